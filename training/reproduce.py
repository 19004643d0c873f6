"""From the corpus to the shipped files: builds the data set, trains part after part, takes the means,
writes the files and measures them.

python -m training.reproduce [--out runs/reproduce] [--scores DIR | --data DIR] [--jobs 2] [--dry-run]
    [--scale tiny]

The same command goes on after an end of any kind: what `record.json` says is whole is not made again, and a
training goes on from its newest checkpoint.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenization.interruption import errors_in_one_line

from . import checkpoints
from .arguments import Arguments, DataArguments
from .errors import TrainingError
from .jobs import Jobs
from .plan import PLAN, Step, read_plan
from .record import RECORD, Record, code_fingerprint, data_fingerprint, fingerprint, machine
from .run_log import MADE, read_log
from .validate import write_json

MODEL, CONFIG = "model.safetensors", "config.json"
SHIP = "shipped"


class Reproduction:
    """One reproduction in its folder.

    Args:
        out: the folder.
        scores, data: where the pieces come from: a folder of scores or a built data set; `../shared/data`
            when neither is given.
        scale (`str`): `"full"`, or `"tiny"` for a test of the way.
        plan: the file with the steps.
        jobs (`int`): how many trainings may run beside each other, where none needs the other.

    Raises:
        TrainingError: if plan or record cannot be read.
    """

    def __init__(
        self,
        out: Path,
        scores: str | None = None,
        data: str | None = None,
        scale: str = "full",
        plan: Path = PLAN,
        jobs: int = 1,
    ):
        self.out, self.scores, self.data, self.scale = out, scores, data, scale
        self.steps = read_plan(plan)
        self.record = Record(out)
        self.jobs = Jobs(jobs)

    # -- what is to be done

    def told(self) -> str:
        """The plan with what of it is whole, as text."""
        built = f"built from {self.scores or '../shared/data'} into {self._built()}"
        lines = [f"data set: {self.data or built}"]
        for step in self.steps:
            whole = self.record.is_whole(step.name)
            took = f" ({self.record.steps[step.name]['seconds']:.0f} s)" if whole else ""
            lines.append(f"{'whole' if whole else 'to do'}  step {step.name}: {step.told()}{took}")
        lines.append(f"at the end {self.out / SHIP} is written, and measured on the validation split")
        return "\n".join(lines)

    def run(self) -> dict[str, Any]:
        """All of it; returns the record.

        Raises:
            TrainingError: if the data or a recipe is not what the record was begun with, or a step fails.
        """
        try:
            pieces = self._pieces()
            self._check_data(pieces)
            self._steps(pieces["validation"])
            self._ship(pieces["validation"])
        except KeyboardInterrupt as error:
            error.add_note(f"What is whole stands in {self.out}; the same command goes on from there.")
            raise
        finally:
            self.jobs.end()
        return self.record.values

    # -- data

    def _built(self) -> Path:
        return Path(self.data) if self.data else self.out / "data"

    def _pieces(self) -> dict[str, list[Any]]:
        from dataset_builder import BuildOptions, build_dataset

        from .sources import default_scores, load_pieces

        if self.data is None:
            source = str(self.scores or default_scores())
            build_dataset(
                BuildOptions(out=self._built(), source=(source,), configs=("wtc-plus",), overwrite=True)
            )
        return load_pieces(DataArguments(data=str(self._built()), extra=["all"]))

    def _check_data(self, pieces: dict[str, list[Any]]) -> None:
        now, then = data_fingerprint(pieces), self.record.values.get("data")
        if then is not None and then["fingerprint"] != now:
            raise TrainingError(
                f"The pieces are not those with which {self.record.path} was begun (fingerprint {now[:12]},"
                f" then {then['fingerprint'][:12]}): bring them back, or begin anew in another --out."
            )
        counts = {
            name: {"pieces": len(part), "notes": sum(p.num_notes for p in part)}
            for name, part in pieces.items()
        }
        self.record.set(
            data={"fingerprint": now, **counts}, scale=self.scale, machine=machine(), code=code_fingerprint()
        )

    # -- steps

    def _steps(self, pieces: list[Any]) -> None:
        """All steps, each once those that it needs are whole."""
        waiting = {step.name: step for step in self.steps}
        running: dict[str, Step] = {}
        while waiting or running:
            missing = waiting.keys() | running.keys()
            ready = [step for step in waiting.values() if missing.isdisjoint(step.sources)]
            if not ready or self.jobs.full:
                for name in self.jobs.finished():
                    self._finish(running.pop(name))
                continue
            step = waiting.pop(ready[0].name)
            if self._step(step, pieces):
                running[step.name] = step

    def _inputs(self, step: Step) -> str:
        """Fingerprint of what a step is made of, besides the code."""
        made_of = self.record.sums(step.sources)
        if step.kind != "train":
            return fingerprint(step, made_of)
        values = step.arguments(Path("data"), Path("out"), {n: Path(n) for n in step.sources}, self.scale)
        # how long it goes on is the plan's to say, and may become more
        values.fit.stop_after = None
        return fingerprint(values.to_dict(), self.record.values["data"]["fingerprint"], made_of)

    def _places(self, step: Step) -> dict[str, Path]:
        """The folder of the model of each step that a training needs."""
        return {name: self.record.output(name, "mean") for name in step.sources}

    def _step(self, step: Step, pieces: list[Any]) -> bool:
        """Do a step, or begin it; whether `_finish` must follow when it is done."""
        inputs, known = self._inputs(step), self.record.steps.get(step.name)
        if known and known["inputs"] != inputs:
            raise TrainingError(
                f"Step {step.name!r} in {self.out} was made by another recipe, or from other weights: bring"
                " them back, or begin anew in another --out."
            )
        if self.record.is_whole(step.name) and self._reaches(step):
            if known and known["code"] != code_fingerprint():
                self._say(f"step {step.name}: made by another version of the code, and kept")
            return False
        self._say(f"step {step.name}: {step.told()}")
        if step.kind == "mean":
            self._mean(step, inputs)
        elif step.kind == "calibrate":
            self._calibrate(step, inputs, pieces)
        else:
            self._train(step, inputs)
        return step.kind == "train"

    def _reaches(self, step: Step) -> bool:
        """Whether a training that is whole went as far as the plan wants."""
        return step.kind != "train" or f"epoch {step.last_epoch}" in self.record.steps[step.name]["outputs"]

    def _train(self, step: Step, inputs: str) -> None:
        run = self.out / step.name
        if "outputs" in self.record.steps.get(step.name, {}) and self._reaches(step):
            shutil.rmtree(run, ignore_errors=True)  # it was whole and is not any more
        found = checkpoints.list_checkpoints(run / "checkpoints")
        kept_until = (found[0] / checkpoints.STATE).stat().st_mtime if found else None
        self.record.begin(step.name, inputs, kept_until)
        arguments = step.arguments(self._built(), run, self._places(step), self.scale)
        self.jobs.start(step.name, _train, arguments.to_dict())

    def _finish(self, step: Step) -> None:
        """A training came to its end."""
        run = self.out / step.name
        losses = {
            f"epoch {entry['epoch']}": round(entry["nats_per_note"], 4)
            for entry in read_log(run)
            if entry["kind"] == "eval"
        }
        outputs = {f"epoch {epoch}": folder / MODEL for epoch, folder in _by_epoch(run).items()}
        self.record.finish(step.name, outputs, figures=losses)

    def _mean(self, step: Step, inputs: str) -> None:
        from .average import average

        target = self.out / step.name
        shutil.rmtree(target, ignore_errors=True)  # a mean without its record
        self.record.begin(step.name, inputs)
        sources = [
            self.record.output(name, "mean" if epoch is None else f"epoch {epoch}") for name, epoch in step.of
        ]
        folder = average(
            target,
            [str(source) for source in sources],
            step.prefix_scale,
            step.fields,
            run=self.out / step.of[-1][0],
        )
        self.record.finish(step.name, {"mean": folder / MODEL})

    def _calibrate(self, step: Step, inputs: str, pieces: list[Any]) -> None:
        """The mean again, with a scale of its logits in the config."""
        from .calibrate import calibrate, collect, write_scale
        from .models import load_model

        [(name, _)] = step.of
        self.record.begin(step.name, inputs)
        source = self.record.output(name, "mean")
        shutil.rmtree(self.out / step.name, ignore_errors=True)

        def fill(folder: Path) -> None:
            shutil.copytree(source.parent, folder, dirs_exist_ok=True)

        checkpoints.write_folder(self.out / step.name, fill)
        target = self.out / step.name / source.name
        figures: dict[str, float] = {}
        try:
            found = calibrate(collect(load_model(str(source)), pieces, progress=True), pieces)
            write_scale(target, found.scale)
            figures = {"before": float(found.before.sum()), "after": float(found.after.sum())}
            self._say(found.told())
        except TrainingError as error:
            if self.scale == "full":
                raise
            self._say(f"step {step.name}: left as it is, at this scale: {error}")
        self.record.finish(step.name, {"mean": target / MODEL, "config": target / CONFIG}, figures=figures)

    # -- the end

    def _ship(self, pieces: list[Any]) -> None:
        """Write the last mean as the shipped folder, with the mean's loss and the steps on its card, and
        measure the files that were written.
        """
        from .average import add_figures
        from .ship import ship

        last = self.steps[-1].name
        inputs = fingerprint(self.record.sums([last]))
        if self.record.is_whole(SHIP) and self.record.steps[SHIP]["inputs"] == inputs:
            return
        self._say(f"step {SHIP}: writes and measures the files")
        self.record.begin(SHIP, inputs)
        best = self.record.output(last, "mean")
        add_figures(best, self._loss(best, pieces))
        write_json(self.out / last / MADE, self._made())
        files = ship(self.out / last, self.out / SHIP)
        nats = self._loss(self.out / SHIP, pieces).nats_per_note
        self.record.finish(SHIP, {path.name: path for path in files}, figures={SHIP: nats})

    @staticmethod
    def _loss(folder: Path, pieces: list[Any]) -> Any:
        from .evaluation import evaluate_report
        from .models import load_model

        return evaluate_report(load_model(str(folder)), pieces, progress=True)

    def _made(self) -> dict[str, Any]:
        """The steps and the fingerprints of what they were made of, for the card."""
        return {
            "steps": {step.name: step.told() for step in self.steps},
            "fingerprints": {
                "data": self.record.values["data"]["fingerprint"],
                "recipes": fingerprint([self.record.steps[step.name]["inputs"] for step in self.steps]),
                "code": fingerprint(sorted({self.record.steps[step.name]["code"] for step in self.steps})),
            },
        }

    @staticmethod
    def _say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def _train(arguments: dict[str, Any]) -> None:
    from .trainer import Trainer

    Trainer(Arguments.from_dict(arguments)).run()


def _by_epoch(run: Path) -> dict[int, Path]:
    """A run's checkpoints at the ends of epochs; those that an interruption wrote are left out."""
    found = {}
    for folder in checkpoints.list_checkpoints(run / "checkpoints"):
        _, state = checkpoints.read_state(folder)
        if state["batch"] == 0:
            found[int(state["epoch"])] = folder
    return dict(sorted(found.items()))


def card_figure() -> float | None:
    """Nats a note that the card of the shipped weights states; `None` where it states none."""
    from huggingface_hub import ModelCard

    from modeling_musicgpt import shipped_checkpoint

    results = ModelCard.load(shipped_checkpoint() / "README.md").data.eval_results or []
    return next((float(one.metric_value) for one in results if one.metric_name == "Nats a note"), None)


def summary(values: dict[str, Any]) -> str:
    """The record as text: times, losses, and the figure beside the card's."""
    lines = [f"{'step':<10}{'minutes':>9}  nats a note after each epoch"]
    for name, step in values["steps"].items():
        losses = " ".join(f"{loss:.3f}" for loss in step.get("figures", {}).values())
        lines.append(f"{name:<10}{step['seconds'] / 60:>9.1f}  {losses}".rstrip())
    total = sum(step["seconds"] for step in values["steps"].values())
    lines.append(f"{'all':<10}{total / 60:>9.1f}")
    nats, card = values["steps"][SHIP]["figures"][SHIP], card_figure()
    beside = (
        f"; the card of the shipped weights says {card:.4f}, a difference of {nats - card:+.4f}"
        if card is not None
        else ""
    )
    lines.append(f"the files made here: {nats:.4f} nats a note on validation{beside}")
    if values["scale"] != "full":
        lines.append("a test of the way, at a scale at which little is learnt: the figures mean nothing")
    return "\n".join(lines)


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m training.reproduce",
        description=(
            "From the corpus to the shipped files, step by step as training/configs/shipped/plan.yaml says."
            " The same command goes on after an end of any kind."
        ),
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/reproduce"),
        help="folder of the runs (default: runs/reproduce)",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--scores", help="folder of scores, built into a data set (default: ../shared/data)")
    where.add_argument("--data", help="folder that `python -m dataset_builder` wrote")
    parser.add_argument(
        "--scale",
        default="full",
        choices=("full", "tiny"),
        help="tiny: a small model and four pieces, the whole way in minutes (default: full)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        help="so many trainings beside each other, each on its share of the cores (default: 1)",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and what is whole")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0, 2 with one line for bad input, 130 or 143 after a signal."""
    from tokenization.interruption import interruptible

    given = build_parser().parse_args(argv)
    return interruptible(lambda: _reproduce(given))


@errors_in_one_line
def _reproduce(given: argparse.Namespace) -> int:
    if given.jobs < 1:
        raise TrainingError(f"--jobs is {given.jobs}; it must be at least 1.")
    work = Reproduction(given.out, given.scores, given.data, given.scale, jobs=given.jobs)
    print(work.told())
    if given.dry_run:
        return 0
    values = work.run()
    print(f"{summary(values)}\nrecord: {given.out / RECORD}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
