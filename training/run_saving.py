"""What a run saves, and how it goes on from that: exports, checkpoints, the same run on the same data."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict
from transformers.utils import logging

from tokenization import MusicGPTTokenizerFast

from . import checkpoints
from .errors import CheckpointError
from .run_base import TOTALS, Run
from .run_log import RunLog
from .validate import write_json


class Saving(Run):
    """What a run saves, and how it goes on from that: exports, checkpoints, the same run on the same data."""

    def export(self, target: Path, figures: dict[str, Any]) -> None:
        """Write the model as it is now (inside `_weights`: the averaged one) as a folder that
        `from_pretrained` reads.
        """
        weights = self.accelerator.get_state_dict(self.model)
        if self.is_main:
            kept = {name: value for name, value in figures.items() if name != "scores"}
            about = {"step": self.step, "epoch": self.epoch, **kept}
            checkpoints.write_folder(target, lambda folder: self._fill_export(folder, weights, about))
        self.accelerator.wait_for_everyone()

    def _fill_model(self, folder: Path, weights: dict[str, Any]) -> None:
        bar = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            self.plain.save_pretrained(folder, state_dict=weights)
        finally:
            if bar:
                logging.enable_progress_bar()

    def _fill_export(self, folder: Path, weights: dict[str, Any], about: dict[str, Any]) -> None:
        self._fill_model(folder, weights)
        MusicGPTTokenizerFast().save_pretrained(folder)
        write_json(folder / "figures.json", about)
        write_json(folder / "training_arguments.json", self._own_arguments())

    def _own_arguments(self) -> dict[str, Any]:
        """The arguments with the validation context that was really used."""
        values = self.arguments.to_dict()
        values["evaluation"]["context"] = self.context
        return values

    def save_checkpoint(self) -> None:
        """Everything that the run needs to go on as if it had never stopped; older checkpoints beyond
        `keep_last` are deleted.
        """
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
                "pieces": self._fingerprints,
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
            write_json(self.folder / "training_arguments.json", self._own_arguments())
        if self.arguments.run.trackers:
            flat = {
                f"{group}.{name}": str(value)
                for group, values in self._own_arguments().items()
                for name, value in values.items()
            }
            self.accelerator.init_trackers("training", config=flat)
        self.accelerator.wait_for_everyone()

    def _restore(self, path: Path, tensors: dict[str, Any], state: dict[str, Any]) -> None:
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
        self.totals = np.array(state["totals"]) if self.is_main else np.zeros(TOTALS)
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

    @cached_property
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
        for split, now in self._fingerprints.items():
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
