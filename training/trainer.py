"""The training run: setup, data, model, fit, validate, save, in this order."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tokenization.interruption import Interruption

from . import checkpoints
from .arguments import Arguments
from .augmentation import read_stages, stage_at
from .batches import Batch, Row, collate, plan_epoch
from .crops import TERMS, Piece
from .errors import ArgumentsError, CheckpointError, TrainingError
from .run_log import DATA, LOG, RunLog

# What a run writes into its folder, and `--overwrite` takes away: what else is there is somebody's.
RUN_FILES = (
    "checkpoints",
    "best-loss",
    "best-combined",
    "samples",
    LOG,
    DATA,
    "training_arguments.json",
    "curves.png",
)
_TOTALS = len(TERMS) + 3  # loss, targets, four terms, notes


class Trainer:
    """One run.

    Args:
        arguments (`Arguments`): what it is told.
        pieces (`dict`, *optional*): pieces of `train` and `validation`; loaded as the arguments say when not
            given.

    Attributes:
        step, epoch, batch (`int`): steps done, epochs done, steps done of the present epoch.
        best (`dict`): best validation loss and best combined score so far.
    """

    def __init__(self, arguments: Arguments, pieces: dict[str, list[Piece]] | None = None):
        self.arguments = arguments
        self.folder = Path(arguments.run.output_dir)
        self.stages = read_stages(arguments.augmentation.stages)
        self.step = self.epoch = self.batch = 0
        self.best: dict[str, Any] = {"loss": None, "combined": None, "since": 0}
        self.stopping = 0  # the signal that asked for the end
        self.totals = np.zeros(_TOTALS)
        self.given = pieces

    # -- setup

    def run(self) -> dict[str, Any]:
        """The whole run; returns the last validation's figures.

        Raises:
            TrainingError: if it cannot begin or go on.
            Interruption: after SIGINT or SIGTERM; while training, when the checkpoint is written.
        """
        try:
            self.setup()
            self.load_data()
            self.build()
            self.resume()
            with self._on_signals():
                self.fit()
            return self.finish()
        except KeyboardInterrupt as error:
            error.add_note(self._kept())
            raise

    def _kept(self) -> str:
        """What there is to go on from."""
        found = checkpoints.list_checkpoints(self.folder / "checkpoints")
        return (
            f"saved at step {int(found[0].name[5:])}; the same command goes on from there."
            if found
            else "no checkpoint was written yet."
        )

    def setup(self) -> None:
        """Accelerator, threads, kernels and the run's folder."""
        import torch
        from accelerate import Accelerator

        run = self.arguments.run
        if run.threads:
            torch.set_num_threads(run.threads)
        if run.deterministic:
            # Some CUDA kernels are only deterministic with this workspace, which must be set before the first
            # use.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True, warn_only=True)
        precision = None if run.mixed_precision == "auto" else run.mixed_precision
        trackers = {"log_with": run.trackers, "project_dir": str(self.folder)} if run.trackers else {}
        try:
            self.accelerator = Accelerator(mixed_precision=precision, cpu=run.cpu or None, **trackers)
        except (ValueError, ImportError) as error:
            raise ArgumentsError(
                f"Accelerate refuses these settings: {' '.join(str(error).split())}."
            ) from error
        self.is_main = self.accelerator.is_main_process
        self.rank, self.world = self.accelerator.process_index, self.accelerator.num_processes
        if self.is_main:
            self._prepare_folder()
        self.accelerator.wait_for_everyone()

    def _prepare_folder(self) -> None:
        run = self.arguments.run
        if run.overwrite and (self.folder / "training_arguments.json").is_file():
            for name in RUN_FILES:
                path = self.folder / name
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        if not run.resume and checkpoints.list_checkpoints(self.folder / "checkpoints"):
            raise ArgumentsError(
                f"--resume is false, but {self.folder} holds a run: choose another --output_dir, or"
                " --overwrite."
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"The folder {self.folder} cannot be made: {error.strerror}.") from error

    def say(self, text: str) -> None:
        """A line for people, from the main process only."""
        if self.is_main:
            from tqdm import tqdm

            tqdm.write(text, file=sys.stderr)

    # -- data

    def load_data(self) -> None:
        """The pieces of train and validation. The main process loads first: it may have to build the data
        set.
        """
        from .sources import load_pieces

        if self.given is None:
            from .card import describe_run

            with self.accelerator.main_process_first():
                self.given = load_pieces(self.arguments.data)
            if self.is_main:
                (self.folder / DATA).write_text(
                    json.dumps(describe_run(self.arguments), indent=1), encoding="utf-8"
                )
        self.train_pieces, self.validation_pieces = self.given["train"], self.given.get("validation", [])
        if not self.train_pieces:
            raise TrainingError("There is no piece to train on.")
        notes = sum(piece.num_notes for piece in self.train_pieces)
        self.say(
            f"train: {len(self.train_pieces)} pieces, {notes} notes; validation:"
            f" {len(self.validation_pieces)} pieces"
        )

    # -- model

    def build(self) -> None:
        """Model, optimisers and average of the weights, prepared for the device and the processes."""
        from accelerate.utils import DistributedType

        from .baselines import unigram_nats
        from .models import build_model
        from .optimization import WeightAverage, build_optimizers

        arguments = self.arguments
        model = build_model(arguments.model, arguments.run.seed)
        context = int(model.config.max_position_embeddings)
        if arguments.data.length > context:
            raise ArgumentsError(
                f"--length {arguments.data.length} is more than the model can hold ({context} tokens)."
            )
        self.context = min(context, arguments.evaluation.context or context)
        sharded = self.accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)
        if sharded and arguments.fit.optimizer == "muon":
            raise ArgumentsError(
                "--optimizer muon needs whole matrices on every process: take adamw with FSDP or DeepSpeed."
            )
        if sharded and arguments.fit.ema_decay:
            raise ArgumentsError(
                "--ema_decay needs whole weights on every process: leave it out with FSDP or DeepSpeed."
            )
        self.say(f"{arguments.model.model}: {sum(p.numel() for p in model.parameters()):,} parameters")
        if arguments.data.packing:
            refuse_leaks(model)
        self.unigram = (
            unigram_nats(self.train_pieces, self.validation_pieces) if self.validation_pieces else None
        )
        # Together: with FSDP accelerate hands the sharded parameters on to the optimisers.
        self.model, *self.optimizers = self.accelerator.prepare(
            model, *build_optimizers(model, arguments.fit)
        )
        self.teachers = self._load_teachers()
        self.average = WeightAverage(self.plain, arguments.fit.ema_decay) if arguments.fit.ema_decay else None

    def _load_teachers(self) -> Any:
        """The models that this one learns from, on its device; `None` without them."""
        names = self.arguments.model.teachers
        if not names:
            return None
        from .ensemble import Ensemble

        teachers = Ensemble.load(names)
        context = int(teachers.config.max_position_embeddings)
        if context < self.arguments.data.length:
            raise ArgumentsError(
                f"--length {self.arguments.data.length} is more than the teachers can hold ({context}"
                " tokens)."
            )
        return teachers.to(self.accelerator.device)

    @property
    def plain(self) -> Any:
        """The model without what accelerate wrapped around it."""
        return self.accelerator.unwrap_model(self.model)

    def _weights(self) -> contextlib.AbstractContextManager:
        """A context in which the model has the weights that are validated and saved."""
        return self.average.swapped(self.plain) if self.average else contextlib.nullcontext()

    # -- fit

    def fit(self) -> None:
        """Train until the epochs or steps are over, or early stopping has seen enough."""
        fit, evaluation = self.arguments.fit, self.arguments.evaluation
        if not self.step and self.validation_pieces:
            begun = self._validation_loss()
            self._log("start", begun)
            self.say(f"before the first step: nats_per_note {begun['nats_per_note']:.3f}")
        while self.epoch < fit.epochs and not self._enough():
            for rows, progress in self._batches():
                self.train_step(rows, progress)
                if self._asked_to_stop():
                    self.save_checkpoint()
                    self._end()
                if evaluation.save_every_steps and self.step % evaluation.save_every_steps == 0:
                    self.save_checkpoint()
                if fit.max_steps and self.step >= fit.max_steps:
                    break
            else:
                self.epoch, self.batch = self.epoch + 1, 0
            last = self.epoch >= fit.epochs or self._steps_over()
            if last or self.epoch % evaluation.eval_every == 0:
                self.validate()
            if last or self.epoch % evaluation.save_every == 0 or self._enough():
                self.save_checkpoint()

    def _steps_over(self) -> bool:
        return bool(self.arguments.fit.max_steps) and self.step >= (self.arguments.fit.max_steps or 0)

    def _enough(self) -> bool:
        evaluation, stop_after = self.arguments.evaluation, self.arguments.fit.stop_after
        return (
            self._steps_over()
            or (stop_after is not None and self.epoch >= stop_after)
            or (evaluation.stop_on != "none" and self.best["since"] >= evaluation.patience)
        )

    def _progress(self, done: int, steps: int) -> float:
        fit = self.arguments.fit
        return self.step / fit.max_steps if fit.max_steps else (self.epoch + done / steps) / fit.epochs

    def _batches(self) -> Iterator[tuple[list[Row], float]]:
        """The rest of the present epoch: rows of each step, and the share of the run that is over after
        it.
        """
        from tqdm import tqdm

        arguments = self.arguments
        # The stage is that of the epoch's beginning, also when a run is resumed in its middle.
        begun = self.step - self.batch
        share = (
            begun / arguments.fit.max_steps if arguments.fit.max_steps else self.epoch / arguments.fit.epochs
        )
        stage = stage_at(self.stages, share)
        plan = plan_epoch(
            self.train_pieces, arguments.data, stage, arguments.run.seed, self.epoch, arguments.fit.batch_size
        )
        bar = tqdm(
            total=len(plan),
            initial=self.batch,
            desc=f"epoch {self.epoch + 1}",
            unit="step",
            leave=False,
            disable=not self.is_main,
        )
        with bar:
            for rows in plan[self.batch :]:
                self.step, self.batch = self.step + 1, self.batch + 1
                yield rows, self._progress(self.batch, len(plan))
                bar.update()

    def train_step(self, rows: list[Row], progress: float) -> None:
        """One step: gradients over this process's rows, a step of every optimiser, a line of the log when it
        is due.
        """
        import torch

        from .optimization import rate_factor, set_rate

        began = time.perf_counter()
        fit = self.arguments.fit
        # Everything random in a step (dropout) follows from the seed and the step, so nothing of it has to be
        # stored.
        torch.manual_seed(
            int(
                np.random.SeedSequence([self.arguments.run.seed, self.step, self.rank]).generate_state(
                    1, np.uint64
                )[0]
                >> 1
            )
        )
        factor = rate_factor(progress, fit)
        set_rate(self.optimizers, factor)
        targets = sum(int(segment.predicted.sum()) for row in rows for segment in row)
        self.totals += self._backward(rows, targets)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), fit.grad_clip or float("inf"))
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self.average:
            self.average.update(self.plain)
        if self.step % self.arguments.run.log_every == 0:
            tokens = sum(len(segment) for row in rows for segment in row)
            self._log_step(float(norm), factor, tokens / (time.perf_counter() - began))

    def _backward(self, rows: list[Row], targets: int) -> np.ndarray:
        """Gradients of the mean loss over all processes' targets; this process's sums of loss, targets, terms
        and notes.
        """
        import torch

        from .losses import term_sums, token_losses

        sums = torch.zeros(_TOTALS, dtype=torch.float64, device=self.accelerator.device)
        chunks = list(self._micro_batches(rows))
        for place, batch in enumerate(chunks):
            last = place == len(chunks) - 1
            # Gradients meet only after the last part: DistributedDataParallel then averages over the
            # processes, hence `world`.
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                tensors = {
                    name: torch.from_numpy(value).to(self.accelerator.device)
                    for name, value in vars(batch).items()
                }
                with self.accelerator.autocast():
                    logits = self.model(**self._inputs(tensors)).logits
                losses = token_losses(logits, tensors["targets"])
                learnt = self._learnt(logits, losses, tensors)
                self.accelerator.backward(learnt.sum() * (self.world / max(1, targets)))
                with torch.no_grad():
                    sums[0] += losses.double().sum()
                    sums[1] += batch.num_targets
                    sums[2:] += term_sums(losses, tensors["terms"])
        return sums.cpu().numpy()

    def _learnt(self, logits: Any, losses: Any, tensors: dict[str, Any]) -> Any:
        """The losses whose gradient is taken: those of the data, or mixed with the teachers' or with an even
        spread.
        """
        import torch

        fit = self.arguments.fit
        if self.teachers is not None:
            from .ensemble import distilled

            with torch.no_grad(), self.accelerator.autocast():
                taught = self.teachers(**self._inputs(tensors)).logits
            return distilled(logits, taught, tensors["targets"], losses, fit.teacher_share or 0.0)
        if fit.label_smoothing:
            from .losses import smoothed

            return smoothed(logits, tensors["targets"], losses, fit.label_smoothing)
        return losses

    def _inputs(self, tensors: dict[str, Any]) -> dict[str, Any]:
        """What the model is called with. Without packing padding stands at the right, where a causal model
        cannot see it: no mask is needed, and attention may take its fastest path. With packing the positions
        tell transformers where one piece ends and the next begins.
        """
        inputs = {"input_ids": tensors["input_ids"], "use_cache": False}
        return {**inputs, "position_ids": tensors["position_ids"]} if self.arguments.data.packing else inputs

    def _micro_batches(self, rows: list[Row]) -> Iterator[Batch]:
        mine = rows[self.rank :: self.world]
        if not mine:  # more processes than rows: this one takes part without a target
            yield collate(rows[:1]).without_targets()
            return
        size = self.arguments.fit.micro_batch_size or len(mine)
        for start in range(0, len(mine), size):
            yield collate(mine[start : start + size])

    def _log_step(self, norm: float, factor: float, speed: float) -> None:
        totals = self._reduced(self.totals)
        self.totals = np.zeros(_TOTALS)
        loss, targets, *terms, notes = totals.tolist()
        values = {
            "loss": loss / max(1.0, targets),
            "nats_per_note": sum(terms) / max(1.0, notes),
            **{term: value / max(1.0, notes) for term, value in zip(TERMS, terms, strict=True)},
            "grad_norm": norm,
            "learning_rate": self.arguments.fit.learning_rate * factor,
        }
        self._log("train", values, tokens_per_second=speed * 1.0)

    def _log(self, kind: str, values: dict[str, Any], **more: Any) -> None:
        if self.is_main:
            self.log.add(kind, step=self.step, epoch=self.epoch, **values, **more)
        numbers = {
            f"{kind}/{name}": value
            for name, value in {**values, **more}.items()
            if isinstance(value, (int, float))
        }
        self.accelerator.log(numbers, step=self.step)

    def _reduced(self, values: np.ndarray) -> np.ndarray:
        """The sum over all processes."""
        import torch

        if self.world == 1:
            return values
        # NCCL has no float64 on some devices; these sums are far below 2^53, and Gloo and NCCL both add
        # float64.
        tensor = torch.from_numpy(values).to(self.accelerator.device)
        return self.accelerator.reduce(tensor, reduction="sum").cpu().numpy()

    # -- validate

    def validate(self) -> dict[str, Any]:
        """Validation loss, the musical score when it is due, and the best models."""
        evaluation = self.arguments.evaluation
        if not self.validation_pieces and not evaluation.musical_every:
            return {}
        with self._weights():
            figures = self._validation_loss() if self.validation_pieces else {}
            due = evaluation.musical_every and (
                self.epoch % evaluation.musical_every == 0 or self.epoch >= self.arguments.fit.epochs
            )
            if due:
                figures |= self._musical_evaluation(figures.get("nats_per_note"))
            self._log("eval", figures)
            self._keep_best(figures)
        shown = {
            name: figures[name]
            for name in ("nats_per_note", "masked_nats_per_note", *TERMS, "musical_score", "combined")
            if name in figures
        }
        self.say(
            f"epoch {self.epoch}, step {self.step}: "
            + ", ".join(f"{name} {value:.3f}" for name, value in shown.items())
        )
        return figures

    def _validation_loss(self) -> dict[str, Any]:
        from .evaluation import evaluate
        from .units import report

        share = (self.rank, self.world)
        pieces = evaluate(
            self.plain, self.validation_pieces, self.context, autocast=self.accelerator.autocast, share=share
        )
        sums = self._reduced(
            np.stack([np.concatenate([p.nats, p.masked, [p.notes, p.tokens]]) for p in pieces])
        )
        n = len(TERMS)
        for piece, row in zip(pieces, sums, strict=True):
            piece.nats, piece.masked = row[:n], row[n : 2 * n]
            piece.notes, piece.tokens = int(row[-2]), int(row[-1])
        result = report(pieces, draws=1000)
        return {
            "nats_per_note": result.nats_per_note,
            "masked_nats_per_note": result.masked.nats_per_note,
            "bits_per_note": result.unmasked.bits_per_note,
            **result.unmasked.terms,
            "unigram_nats_per_note": self.unigram,
        }

    def _musical_evaluation(self, nats: float | None) -> dict[str, Any]:
        """Every process composes its share of the pieces, so that none waits for the main one."""
        from accelerate.utils import gather_object

        from .musical import combined_score, evaluate_music, together, write_samples

        evaluation = self.arguments.evaluation
        result = evaluate_music(
            self.plain,
            evaluation.musical_pieces,
            evaluation.musical_tokens,
            self.arguments.data.form,
            share=(self.rank, self.world),
        )
        if self.world > 1:
            result = together(gather_object([result]))
        if self.is_main:
            write_samples(result, self.folder / "samples" / f"epoch-{self.epoch:04d}")
        summary = result.summary()
        if nats is not None and self.unigram:
            summary["combined"] = combined_score(
                nats,
                self.unigram,
                summary["musical_score"],
                evaluation.loss_weight,
                evaluation.musical_weight,
            )
        return summary

    def _keep_best(self, figures: dict[str, Any]) -> None:
        """Save the best models, and count evaluations without improvement for early stopping."""
        stop_on = self.arguments.evaluation.stop_on
        for name, key, sign in (("loss", "nats_per_note", -1), ("combined", "combined", 1)):
            value = figures.get(key)
            if value is None:
                continue
            best = self.best[name]
            better = best is None or sign * value > sign * best
            if better:
                self.best[name] = value
                self.best[f"{name}_epoch"] = self.epoch
                self.export(self.folder / f"best-{name}", figures)
            if name == stop_on:
                self.best["since"] = 0 if better else self.best["since"] + 1

    # -- save

    def export(self, target: Path, figures: dict[str, Any]) -> None:
        """Write the model as it is now (inside `_weights`: the averaged one) as a folder that
        `from_pretrained` reads.
        """
        weights = self.accelerator.get_state_dict(self.model)
        if self.is_main:
            about = {
                "step": self.step,
                "epoch": self.epoch,
                **{k: v for k, v in figures.items() if k != "scores"},
            }
            checkpoints.write_folder(target, lambda folder: self._fill_export(folder, weights, about))
        self.accelerator.wait_for_everyone()

    def _fill_model(self, folder: Path, weights: dict[str, Any]) -> None:
        from transformers.utils import logging

        bar = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            self.plain.save_pretrained(folder, state_dict=weights)
        finally:
            if bar:
                logging.enable_progress_bar()

    def _fill_export(self, folder: Path, weights: dict[str, Any], about: dict[str, Any]) -> None:
        from tokenization import MusicGPTTokenizerFast

        self._fill_model(folder, weights)
        MusicGPTTokenizerFast().save_pretrained(folder)
        (folder / "figures.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        (folder / "training_arguments.json").write_text(
            json.dumps(self._own_arguments(), indent=1), encoding="utf-8"
        )

    def _own_arguments(self) -> dict[str, Any]:
        """The arguments with the validation context that was really used."""
        values = self.arguments.to_dict()
        values["evaluation"]["context"] = self.context
        return values

    def save_checkpoint(self) -> None:
        """Everything that the run needs to go on as if it had never stopped; older checkpoints beyond
        `keep_last` are deleted.
        """
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

        whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
        state_dicts: tuple[dict[str, Any], Any] = get_state_dict(
            self.model, self._plain_optimizers(), options=whole
        )
        weights, optimizers = state_dicts
        # The window since the last line of the log is not over: its sums go along, so that the line comes out
        # the same.
        totals = self._reduced(self.totals).tolist()
        if self.is_main:
            # Copies: on the CPU these are the parameters themselves, into which the average is about to be
            # written.
            weights = {name: value.detach().cpu().clone() for name, value in weights.items()}
            tensors = {f"model|{name}": value for name, value in weights.items()}
            tensors |= {f"optimizer|{path}": leaf for path, leaf in checkpoints.flatten(optimizers["state"])}
            if self.average:
                tensors |= {f"average|{name}": value for name, value in self.average.values.items()}
            state = {
                **{name: getattr(self, name) for name in ("step", "epoch", "batch", "best")},
                "totals": totals,
                "average_updates": self.average.updates if self.average else 0,
                "optimizer_groups": optimizers["param_groups"],
                "scaler": (
                    self.accelerator.scaler.state_dict() if self.accelerator.scaler is not None else None
                ),
                "arguments": self._own_arguments(),
                "pieces": self._fingerprints(),
            }
            folder = self.folder / "checkpoints"
            with self._weights():
                exported = (
                    {name: value.detach().cpu().clone() for name, value in self.plain.state_dict().items()}
                    if self.average
                    else weights
                )
                checkpoints.write_folder(
                    checkpoints.step_folder(folder, self.step),
                    lambda path: self._fill_checkpoint(path, exported, tensors, state),
                )
            checkpoints.prune(folder, self.arguments.evaluation.keep_last)
        self.accelerator.wait_for_everyone()

    def _fill_checkpoint(
        self, path: Path, exported: dict[str, Any], tensors: dict[str, Any], state: dict[str, Any]
    ) -> None:
        self._fill_model(path, exported)
        checkpoints.write_state(path, tensors, state)

    def _plain_optimizers(self) -> list[Any]:
        return [getattr(optimizer, "optimizer", optimizer) for optimizer in self.optimizers]

    def resume(self) -> None:
        """Go on from the newest whole checkpoint, if there is one, and open the log."""
        found = (
            checkpoints.newest(self.folder / "checkpoints", self.say) if self.arguments.run.resume else None
        )
        if found is not None:
            self._restore(*found)
        if self.is_main:
            self.log = RunLog(self.folder, self.step)
            (self.folder / "training_arguments.json").write_text(
                json.dumps(self._own_arguments(), indent=1), encoding="utf-8"
            )
        if self.arguments.run.trackers:
            flat = {
                f"{group}.{name}": str(value)
                for group, values in self._own_arguments().items()
                for name, value in values.items()
            }
            self.accelerator.init_trackers("training", config=flat)
        self.accelerator.wait_for_everyone()

    def _restore(self, path: Path, tensors: dict[str, Any], state: dict[str, Any]) -> None:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

        self._check_same_run(path, state["arguments"])
        self._check_same_data(path, state.get("pieces"))
        nested = checkpoints.unflatten(tensors)
        optimizers = {"state": nested.get("optimizer", {}), "param_groups": state["optimizer_groups"]}
        whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
        try:
            set_state_dict(
                self.model,
                self._plain_optimizers(),
                model_state_dict=nested["model"],
                optim_state_dict=optimizers,
                options=whole,
            )
        except (RuntimeError, KeyError, ValueError) as error:
            raise CheckpointError(
                f"The checkpoint {path.name} belongs to another model or optimiser:"
                f" {' '.join(str(error).split())[:300]}."
            ) from error
        if self.average:
            self.average.values = {
                name: value.to(self.accelerator.device) for name, value in nested["average"].items()
            }
            self.average.updates = state["average_updates"]
        if state["scaler"] is not None and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.step, self.epoch, self.batch, self.best = (
            state[name] for name in ("step", "epoch", "batch", "best")
        )
        self.totals = np.array(state["totals"]) if self.is_main else np.zeros(_TOTALS)
        self.say(f"resumed from {path.name}: epoch {self.epoch}, step {self.step}")

    def _check_same_run(self, path: Path, before: dict[str, Any]) -> None:
        """A resumed run must be the same run: what decides its course may not change.

        Raises:
            CheckpointError: naming the argument that differs.
        """
        now = self._own_arguments()
        free = {"fit": {"micro_batch_size", "stop_after"}, "model": {"gradient_checkpointing"}}
        for group in ("data", "model", "fit", "augmentation"):
            for name, value in before[group].items():
                if name not in free.get(group, set()) and name in now[group] and now[group][name] != value:
                    raise CheckpointError(
                        f"{path.name} was trained with --{name} {value}, not {now[group][name]}: give the"
                        " same, or begin another run with --output_dir, or this one anew with --overwrite."
                    )
        if before["run"]["seed"] != now["run"]["seed"]:
            raise CheckpointError(
                f"{path.name} was trained with --seed {before['run']['seed']}, not {now['run']['seed']}."
            )

    def _fingerprints(self) -> dict[str, dict[str, str]]:
        """What each piece is, by split and name."""
        splits = {"train": self.train_pieces, "validation": self.validation_pieces}
        return {
            split: {piece.name: piece.fingerprint() for piece in pieces} for split, pieces in splits.items()
        }

    def _check_same_data(self, path: Path, before: dict[str, dict[str, str]] | None) -> None:
        """A resumed run must have the pieces that it began with.

        Raises:
            CheckpointError: naming those that differ; not with `allow_changed_data`.
        """
        if before is None:
            self.say(
                f"{path.name} does not say which pieces it was trained on: written before fingerprints were"
                " kept, it goes on unchecked."
            )
            return
        changes = []
        for split, now in self._fingerprints().items():
            then = before.get(split, {})
            for what, names in (
                ("gone", then.keys() - now.keys()),
                ("new", now.keys() - then.keys()),
                ("changed", {name for name in then.keys() & now.keys() if then[name] != now[name]}),
            ):
                if names:
                    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
                    changes.append(f"{what} in {split}: {', '.join(sorted(names)[:3])}{more}")
        if not changes:
            return
        told = f"{path.name} was trained on other data ({'; '.join(changes)})"
        if not self.arguments.run.allow_changed_data:
            raise CheckpointError(
                f"{told}: bring it back, go on all the same with --allow_changed_data true, or begin anew"
                " with --overwrite true."
            )
        self.say(f"{told}; going on as --allow_changed_data says.")

    # -- the end

    def finish(self) -> dict[str, Any]:
        """Close the trackers, write the model card and push the best model if asked to. Returns the best
        figures.
        """
        self.accelerator.end_training()
        if self.is_main:
            from .card import write_cards

            write_cards(self.folder)
            if self.arguments.run.push:
                from .card import push

                push(self.folder, self.arguments.run.push, self.arguments.run.private)
        self.accelerator.wait_for_everyone()
        return dict(self.best)

    def _asked_to_stop(self) -> bool:
        """Whether any process got SIGINT or SIGTERM; all processes agree."""
        if self.world == 1:
            return bool(self.stopping)
        if self.stopping:
            self.accelerator.set_trigger()
        return self.accelerator.check_trigger()

    def _end(self) -> NoReturn:
        """End the run, which is saved. Only the main process has something to say."""
        number = self.stopping or signal.SIGTERM
        if self.is_main:
            raise Interruption(number)
        sys.exit(128 + number)

    @contextlib.contextmanager
    def _on_signals(self) -> Iterator[None]:
        """While training, SIGINT and SIGTERM ask for a checkpoint and an orderly end after the present step;
        a second one ends at once.
        """
        numbers = (signal.SIGINT, signal.SIGTERM)

        def handle(number: int, *_: object) -> None:
            if self.stopping:
                raise Interruption(number)
            self.stopping = number

        try:
            before = {number: signal.signal(number, handle) for number in numbers}
        except ValueError:  # not the main thread: whoever runs us handles signals
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def refuse_leaks(model: Any) -> None:
    """Check on real numbers that a packed row gives each piece what it would get alone.

    Raises:
        ArgumentsError: if the second piece of a row hears the first.
    """
    import torch

    from tokenization.vocabulary import TOKEN_TO_ID

    words = [
        "<bos>",
        "METER_3/4",
        "TIME_0",
        "NOTE_60",
        "VOICE_0",
        "DUR_24",
        "TIME_24",
        "NOTE_62",
        "VOICE_0",
        "DUR_24",
    ]
    other = ["<bos>", "TIME_6", "NOTE_40", "VOICE_1", "DUR_12", "TIME_12"]
    first, second = ([TOKEN_TO_ID[word] for word in part] for part in (words, other))
    training = model.training
    model.eval()
    with torch.no_grad():
        alone = model(input_ids=torch.tensor([second]), use_cache=False).logits
        positions = torch.tensor([[*range(len(first)), *range(len(second))]])
        packed = model(
            input_ids=torch.tensor([first + second]), position_ids=positions, use_cache=False
        ).logits[:, len(first) :]
    model.train(training)
    if not torch.allclose(alone, packed, atol=1e-4):
        raise ArgumentsError(
            f"--packing: in {type(model).__name__} a piece hears the one before it in its row; train without"
            " packing."
        )
