"""The steps of an epoch: batches, gradients, optimisers, lines of the log."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from .augmentation import Stage, stage_at
from .batches import Batch, Row, collate
from .crops import TERMS
from .ensemble import distilled
from .losses import smoothed, term_sums, token_losses
from .optimization import rate_factor, set_rate
from .run_base import TOTALS, Run


class Steps(Run):
    """The steps of an epoch: batches, gradients, optimisers, lines of the log."""

    def _progress(self, epochs: float, steps: int) -> float:
        """The share of the run that is over after so many epochs and steps."""
        fit = self.arguments.fit
        return steps / fit.max_steps if fit.max_steps else epochs / fit.epochs

    def _stage(self, epoch: int, step: int) -> Stage:
        """The stage of augmentation of an epoch that begins after so many steps."""
        return stage_at(self.stages, self._progress(epoch, step))

    def _last_epoch(self, end: int) -> bool:
        """Whether the run ends with the present epoch, whose last step is `end`, at the latest."""
        fit = self.arguments.fit
        return self.epoch + 1 >= min(fit.epochs, fit.stop_after or fit.epochs) or end >= (
            fit.max_steps or end + 1
        )

    def _batches(self) -> Iterator[tuple[list[Row], float]]:
        """The rest of the present epoch: rows of each step, and the share of the run that is over after
        it.
        """
        # The stage is that of the epoch's beginning, also when a run is resumed in its middle.
        begun = self.step - self.batch
        plan = self.loader.plan(self.epoch, self._stage(self.epoch, begun))
        if not self._last_epoch(begun + len(plan)):
            self.loader.prepare(self.epoch + 1, self._stage(self.epoch + 1, begun + len(plan)))
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
                yield rows, self._progress(self.epoch + self.batch / len(plan), self.step)
                bar.update()

    def train_step(self, rows: list[Row], progress: float) -> None:
        """One step: gradients over this process's rows, a step of every optimiser, a line of the log when it
        is due.
        """
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
        sums = torch.zeros(TOTALS, dtype=torch.float64, device=self.accelerator.device)
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
        fit = self.arguments.fit
        if self.teachers is not None:
            with torch.no_grad(), self.accelerator.autocast():
                taught = self.teachers(**self._inputs(tensors)).logits
            return distilled(logits, taught, tensors["targets"], losses, fit.teacher_share or 0.0)
        if fit.label_smoothing:
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
        self.totals = np.zeros(TOTALS)
        loss, targets, *terms, notes = totals.tolist()
        values = {
            "loss": loss / max(1.0, targets),
            "nats_per_note": sum(terms) / max(1.0, notes),
            **{term: value / max(1.0, notes) for term, value in zip(TERMS, terms, strict=True)},
            "grad_norm": norm,
            "learning_rate": self.arguments.fit.learning_rate * factor,
            "tokens_per_second": speed,
        }
        self._log("train", values)
