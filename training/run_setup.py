"""Before the first step of a training run: devices and folder, data, model and optimisers."""

from __future__ import annotations

import os
import shutil
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType

from . import checkpoints
from .baselines import unigram_report
from .crops import Piece
from .ensemble import Ensemble
from .errors import ArgumentsError, TrainingError
from .loader import Loader
from .models import build_model
from .optimization import WeightAverage, build_optimizers
from .record import code_fingerprint, data_fingerprint, fingerprint
from .run_base import Run
from .run_log import DATA, LOG
from .sources import load_pieces
from .validate import write_json

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


class Setup(Run):
    """Before the first step of a training run: devices and folder, data, model and optimisers."""

    def setup(self) -> None:
        """Accelerator, threads, kernels and the run's folder."""
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
        if self.world > 1:
            self.say(f"{self.world} processes share each step ({self.accelerator.distributed_type.value})")

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

    def load_data(self) -> None:
        """The pieces of train and validation. The main process loads first: it may have to build the data
        set.
        """
        if self.given is None:
            from .card import describe_run

            with self.accelerator.main_process_first():
                self.given = load_pieces(self.arguments.data)
            if self.is_main:
                about = {**describe_run(self.arguments), "fingerprints": self._made_of(self.given)}
                write_json(self.folder / DATA, about)
        self.train_pieces, self.validation_pieces = self.given["train"], self.given.get("validation", [])
        if not self.train_pieces:
            raise TrainingError("There is no piece to train on.")
        notes = sum(piece.num_notes for piece in self.train_pieces)
        self.say(
            f"train: {len(self.train_pieces)} pieces, {notes} notes; validation:"
            f" {len(self.validation_pieces)} pieces"
        )
        run, data = self.arguments.run, self.arguments.data
        self.loader = Loader(
            self.train_pieces, data, run.seed, self.arguments.fit.batch_size, workers=run.workers
        )

    def _made_of(self, pieces: dict[str, list[Piece]]) -> dict[str, str]:
        """Fingerprints of pieces, recipe and code, for the card; where the pieces lie is no part of it."""
        recipe = self.arguments.to_dict()
        recipe["run"] = {"seed": self.arguments.run.seed}
        recipe["data"] = {k: v for k, v in recipe["data"].items() if k not in ("data", "scores")}
        return {"data": data_fingerprint(pieces), "recipe": fingerprint(recipe), "code": code_fingerprint()}

    def build(self) -> None:
        """Model, optimisers and average of the weights, prepared for the device and the processes."""
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
        held_out = self.validation_pieces  # the unigram's loss on them is the zero of the combined score
        self.unigram = unigram_report(self.train_pieces, held_out).nats_per_note if held_out else None
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
        teachers = Ensemble.load(names)
        context = int(teachers.config.max_position_embeddings)
        if context < self.arguments.data.length:
            raise ArgumentsError(
                f"--length {self.arguments.data.length} is more than the teachers can hold ({context}"
                " tokens)."
            )
        return teachers.to(self.accelerator.device)


def refuse_leaks(model: Any) -> None:
    """Check on real numbers that a packed row gives each piece what it would get alone.

    Raises:
        ArgumentsError: if the second piece of a row hears the first.
    """
    from tokenization.vocabulary import TOKEN_TO_ID

    note = ["VOICE_0", "DUR_24"]
    words = ["<bos>", "METER_3/4", "TIME_0", "NOTE_60", *note, "TIME_24", "NOTE_62", *note]
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
