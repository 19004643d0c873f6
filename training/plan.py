"""The steps from the corpus to the shipped weights, read from `configs/shipped/plan.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .arguments import Arguments, read_recipe
from .errors import TrainingError

PLAN = Path(__file__).parent / "configs" / "shipped" / "plan.yaml"
# What `--scale tiny` changes: the whole way in seconds, with a model that learns nothing.
_TINY: dict[str, dict[str, Any]] = {
    "run": {"log_every": 1},
    "data": {"length": 96, "context_notes": 2, "max_pieces": 4},
    "fit": {"batch_size": 4},
}
_TINY_MODEL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_motifs": 31,
    "max_position_embeddings": 256,
}
_FIELDS = {
    "train": {"name", "train", "from", "teachers"},
    "mean": {"name", "mean", "config", "prefix_scale"},
    "calibrate": {"name", "calibrate"},
}


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name (`str`): also that of its folder.
        kind (`str`): `"train"`, `"mean"` or `"calibrate"`.
        recipe (`str` or `None`): of a training, the path of its recipe.
        begins (`str` or `None`): of a training, the step whose weights it begins with; random ones if `None`.
        teachers (tuple of `str`): of a training, the means that it learns from.
        last_epoch (`int`): of a training, the last epoch that a mean takes.
        of (tuple of `(str, int | None)`): of a mean, steps, and the epoch of those that train; the one mean
            that is calibrated.
        fields (`dict`): of a mean, fields of its config that differ from those of its sources.
        prefix_scale (`float`): of a mean, see `training.average`.
    """

    name: str
    kind: str
    recipe: str | None = None
    begins: str | None = None
    teachers: tuple[str, ...] = ()
    last_epoch: int = 0
    of: tuple[tuple[str, int | None], ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    prefix_scale: float = 1.0

    @property
    def sources(self) -> tuple[str, ...]:
        """The steps that must be whole before this one."""
        begins = (self.begins,) if self.begins else ()
        return tuple(dict.fromkeys([*(name for name, _ in self.of), *begins, *self.teachers]))

    def told(self) -> str:
        """One line for people."""
        if self.recipe:
            begins = self.begins or "random weights"
            teachers = f", taught by {' and '.join(self.teachers)}" if self.teachers else ""
            return f"trains by {Path(self.recipe).name} to epoch {self.last_epoch}, from {begins}{teachers}"
        if self.kind == "calibrate":
            return f"fits the scale of the logits of {self.of[0][0]} by type of token (training.calibrate)"
        names = ", ".join(name if epoch is None else f"{name} after epoch {epoch}" for name, epoch in self.of)
        louder = f", prefix embeddings times {self.prefix_scale}" if self.prefix_scale != 1 else ""
        changed = f", with {self.fields}" if self.fields else ""
        return f"the mean of {names}{louder}{changed}"

    def arguments(self, data: Path, out: Path, places: Mapping[str, Path], scale: str) -> Arguments:
        """What the training of this step is told.

        Args:
            data: the built data set. out: the run's folder.
            places: for each step of `sources`, the folder of its model.
            scale (`str`): `"full"` or `"tiny"`.
        """
        assert self.recipe is not None
        values = read_recipe(self.recipe)
        more: dict[str, dict[str, Any]] = {
            "run": {"output_dir": str(out)},
            "data": {"data": str(data), "scores": None},
            "model": {
                "init_from": str(places[self.begins]) if self.begins else None,
                "teachers": [str(places[name]) for name in self.teachers],
            },
            "fit": {"stop_after": self.last_epoch},
            "evaluation": {"eval_every": 1, "save_every": 1, "keep_last": 1000},
        }
        for group, fields in more.items():
            values.setdefault(group, {}).update(fields)
        if scale == "tiny":
            for group, fields in _TINY.items():
                values[group].update(fields)
            if not self.begins:
                values["model"]["config_overrides"] = {
                    **values["model"].get("config_overrides", {}),
                    **_TINY_MODEL,
                }
        return Arguments.from_dict(values)


def read_plan(path: Path = PLAN) -> list[Step]:
    """The steps in their order.

    Raises:
        TrainingError: naming the step that is wrong.
    """
    import yaml

    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))["steps"]
        steps = [_step(values, path.parent) for values in given]
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"The plan {path} cannot be read: {' '.join(str(error).split()) or type(error).__name__}."
        ) from error
    last: dict[str, int] = {}
    for step in steps:
        for name, epoch in step.of:
            last[name] = max(last.get(name, 0), epoch or 0)
    steps = [
        replace(step, last_epoch=last.get(step.name, 0)) if step.kind == "train" else step for step in steps
    ]
    _check(steps, path)
    return steps


def _step(values: dict[str, Any], folder: Path) -> Step:
    kind = next((kind for kind in _FIELDS if kind in values), "mean")
    if strange := values.keys() - _FIELDS[kind]:
        raise ValueError(f"the step {values.get('name')!r} has the unknown field {sorted(strange)[0]!r}")
    name = str(values["name"])
    if kind == "train":
        return Step(
            name,
            kind,
            recipe=str(folder / values["train"]),
            begins=values.get("from"),
            teachers=tuple(map(str, values.get("teachers") or ())),
        )
    if kind == "calibrate":
        return Step(name, kind, of=((values["calibrate"], None),))
    of = tuple(
        (source.partition("@")[0], int(source.partition("@")[2]) if "@" in source else None)
        for source in values["mean"]
    )
    scale = float(values.get("prefix_scale", 1.0))
    return Step(name, kind, of=of, fields=values.get("config") or {}, prefix_scale=scale)


def _check(steps: Sequence[Step], path: Path) -> None:
    seen: dict[str, Step] = {}
    for step in steps:
        wrong = None
        if step.name in seen or not step.name.isalnum():
            wrong = "its name is taken, or is not of letters and digits"
        elif missing := [name for name in step.sources if name not in seen]:
            wrong = f"it needs {missing[0]!r}, which no earlier step is"
        elif step.kind == "train" and not step.last_epoch:
            wrong = "no mean takes an epoch of it"
        elif bad := [n for n in (step.begins, *step.teachers) if n and seen[n].kind == "train"]:
            wrong = f"it begins with or learns from {bad[0]!r}, which is no mean"
        elif bad := [name for name, epoch in step.of if (seen[name].kind == "train") != bool(epoch)]:
            wrong = f"of {bad[0]!r} an epoch is named exactly where it is a training"
        if wrong:
            raise TrainingError(f"The plan {path}: step {step.name!r} is wrong: {wrong}.")
        seen[step.name] = step
    if not steps or steps[-1].kind == "train":
        raise TrainingError(
            f"The plan {path} must end with a mean or its calibration, which is what is shipped."
        )
