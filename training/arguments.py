"""What a run can be told: typed groups of fields, read from a recipe (YAML) and from `--key value` overrides.

The docstring under each field is its help text: `python -m training --help` prints what stands here.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .errors import ArgumentsError


@dataclass
class RunArguments:
    """Where the run lives and how it is executed."""

    output_dir: str = "runs/musicgpt"
    """Folder of the run: log, checkpoints, samples, the best models and the model card."""
    seed: int = 0
    """Every random draw of the run follows from this number and the step."""
    resume: bool = True
    """Go on from the last whole checkpoint in `output_dir`, if there is one."""
    overwrite: bool = False
    """Delete an earlier run in `output_dir` first."""
    allow_changed_data: bool = False
    """Go on although the pieces are not those that the run began with."""
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = "auto"
    """Autocast; `auto` leaves it to accelerate's configuration (`accelerate config`, `accelerate launch
    --mixed_precision`).
    """
    deterministic: bool = True
    """Ask torch for deterministic kernels, so that a resumed run equals an uninterrupted one bit for bit."""
    cpu: bool = False
    """Stay on the CPU even where there is a GPU."""
    threads: int | None = None
    """Threads a process; torch's own choice when not given."""
    workers: int = 0
    """Processes that cut the next epoch's rows while this one is trained; with 0 it is done when the epoch
    begins. The rows are the same.
    """
    trackers: list[str] = field(default_factory=list)
    """Accelerate's trackers beside the JSONL log, such as `tensorboard` or `trackio`."""
    log_every: int = 10
    """Steps between two lines of the log."""
    push: str | None = None
    """Hub repository that gets the best model and its card at the end."""
    private: bool = False
    """Make that repository private."""


@dataclass
class DataArguments:
    """Which pieces, and how they are cut into rows."""

    data: str | None = None
    """Folder written by `python -m dataset_builder`, loaded as it is."""
    scores: str | None = None
    """Folder of scores, or `music21` for music21's own corpus, built on the fly into a cache."""
    builder_config: Literal["preludes", "fugues", "wtc", "wtc-plus"] | None = None
    """Configuration of the data set builder for `scores`; when not given, `wtc` for the project's own data
    without `extra`, else `wtc-plus`.
    """
    form: Literal["all", "prelude", "fugue"] = "all"
    """Keep only pieces of this form; validation too."""
    extra: list[str] | None = None
    """Of data that holds the WTC, the further pieces for train, such as `[core, organ]`: `core` = inventions,
    sinfonias and Art of Fugue, `organ`, `chorales`, `keyboard` = what is none of these, any value of the
    column `work`, `all`, or `none`; when not given, `all` of a folder named by `scores`, else none.
    """
    times: dict[str, float] = field(default_factory=dict)
    """How often an epoch takes the pieces of a work or group, such as `{WTC: 2, chorales: 0.5}`; once where
    nothing is said. With 0.5 each piece comes in every second epoch; the work's own name goes before its
    group's, and that before `all`.
    """
    validation_share: float = 0.1
    """Share of the pieces held out when the data has no validation split of its own (at least one piece)."""
    max_pieces: int | None = None
    """Train on the first so many pieces only."""
    length: int = 1024
    """Tokens a row at most."""
    packing: bool = False
    """Put several short pieces into one row; attention and bar positions never cross from one to the next."""
    condition_dropout: float = 0.15
    """Probability with which each token of the conditioning prefix is left out (METER only where it says
    4/4).
    """
    mode_of_transposed: Literal["kept", "left out"] = "left out"
    """What the prefix of a piece says that augmentation has transposed: its MODE, as if it still stood in C
    major / A minor, or nothing, so that MODE always means the normalised key.
    """
    context_notes: int = 24
    """Notes at the beginning of a crop from the middle of a piece that are heard but not predicted, so that
    the model does not learn to begin its own pieces in the middle.
    """
    begin_share: float = 0.0
    """Probability that the first crop of a piece is moved to the piece's beginning."""
    predict_prefix: bool = True
    """Learn to predict the prefix and, at the beginning of a piece, the first TIME too; both stay outside the
    published loss.
    """


@dataclass
class ModelArguments:
    """The network and where its weights begin."""

    model: Literal["musicgpt", "gpt2"] = "musicgpt"
    """`musicgpt`, or `gpt2` for transformers' `GPT2LMHeadModel` on the same tokens (the baseline)."""
    config_overrides: dict[str, Any] = field(default_factory=dict)
    """Fields of the model's config that differ from its default, such as `{hidden_size: 128}`."""
    init_from: str | None = None
    """Begin with the weights of this checkpoint folder or Hub id; `shipped` is the one that comes with the
    project.
    """
    teachers: list[str] = field(default_factory=list)
    """Checkpoints (folders, runs' folders, Hub ids) whose mean the model learns beside the data; see
    `teacher_share` and `training.ensemble`.
    """
    dropout: float | None = None
    """Dropout of the embeddings and of what each sub-layer adds; the config's own values when not given."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""


@dataclass
class FitArguments:
    """Optimisation."""

    epochs: int = 100
    """Passes over the train split; the schedule spans them."""
    max_steps: int | None = None
    """Stop after so many steps; the schedule then spans these."""
    stop_after: int | None = None
    """End the run after so many epochs, while the schedule goes on spanning `epochs`."""
    batch_size: int = 8
    """Rows a step over all processes."""
    micro_batch_size: int | None = None
    """Rows a forward pass and process; fewer than the process's share means accumulation. The result does not
    change.
    """
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon`: Muon (training/muon.py) for the matrices inside the blocks, AdamW for the rest."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW."""
    matrix_learning_rate: float | None = None
    """Peak learning rate of Muon (its updates are scaled to the size of AdamW's); `learning_rate` when not
    given.
    """
    weight_decay: float = 0.1
    """Decoupled weight decay of matrices; vectors (biases, norms) have none."""
    embedding_weight_decay: float | None = None
    """Weight decay of embedding tables; `weight_decay` when not given."""
    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's betas."""
    momentum: float = 0.95
    """Muon's momentum."""
    grad_clip: float | None = 1.0
    """Largest norm of the whole gradient."""
    schedule: Literal["cosine", "wsd", "constant"] = "cosine"
    """After warmup: cosine decay, `wsd` (stays at the peak, then falls linearly), or constant."""
    warmup_ratio: float = 0.02
    """Share of the run in which the learning rate rises from 0."""
    decay_ratio: float = 0.3
    """Share of the run in which `wsd` falls."""
    final_lr_ratio: float = 0.02
    """Learning rate at the end, as a share of the peak."""
    ema_decay: float | None = None
    """Keep an exponential average of the weights with this decay; it is what is validated and saved."""
    teacher_share: float | None = None
    """With `teachers`: the share of each target that is their distribution; the rest is the token of the
    data.
    """
    label_smoothing: float = 0.0
    """Share of the target spread over the tokens of the target's own type."""


@dataclass
class AugmentationArguments:
    """What is done to the pieces of train, stage by stage."""

    stages: list[dict[str, float]] = field(default_factory=list)
    """Stages in order, each `{until, transpose, transpose_share, octave, tempo, rescale, drop_voice}`;
    `until` is the share of the run at which it ends. See docs/training.md and `training.augmentation.Stage`.
    """


@dataclass
class EvaluationArguments:
    """Validation, the musical score, early stopping and checkpoints."""

    eval_every: int = 1
    """Epochs between two validations."""
    context: int | None = None
    """Tokens a validation window; the model's context when not given."""
    musical_every: int = 0
    """Epochs between two musical evaluations (0: never)."""
    musical_pieces: int = 8
    """Pieces generated for each, with the same seeds and settings every time."""
    musical_tokens: int = 1024
    """Longest piece generated for it, in tokens."""
    loss_weight: float = 0.3
    """Weight of the validation loss in the combined score."""
    musical_weight: float = 0.7
    """Weight of the musical score in the combined score."""
    stop_on: Literal["none", "loss", "combined"] = "none"
    """What early stopping watches."""
    patience: int = 10
    """Evaluations without improvement after which the run stops."""
    save_every: int = 1
    """Epochs between two checkpoints."""
    save_every_steps: int | None = None
    """Steps between two checkpoints, beside those of `save_every`."""
    keep_last: int = 2
    """Checkpoints kept for resuming; the best models are kept apart."""


@dataclass
class Arguments:
    """All groups. Build it with `parse_arguments` or `from_dict`; both check it."""

    run: RunArguments = field(default_factory=RunArguments)
    data: DataArguments = field(default_factory=DataArguments)
    model: ModelArguments = field(default_factory=ModelArguments)
    fit: FitArguments = field(default_factory=FitArguments)
    augmentation: AugmentationArguments = field(default_factory=AugmentationArguments)
    evaluation: EvaluationArguments = field(default_factory=EvaluationArguments)

    def __post_init__(self) -> None:
        from .contradictions import check

        check(self)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Nested plain values; `from_dict` reads it back."""
        return {
            group: {
                k: list(v) if isinstance(v, tuple) else v
                for k, v in dataclasses.asdict(getattr(self, group)).items()
            }
            for group in GROUPS
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Mapping[str, Any]]) -> Arguments:
        """Read nested values, as a recipe has them.

        Raises:
            ArgumentsError: naming an unknown group or field, or a value of the wrong type.
        """
        groups = {}
        for group, fields in values.items():
            if group not in GROUPS:
                raise ArgumentsError(
                    f"Unknown section {group!r} in the recipe{_nearest(group, GROUPS)}; there are"
                    f" {', '.join(GROUPS)}."
                )
            types_of = typing.get_type_hints(GROUPS[group])
            for name in fields or {}:
                if name not in types_of:
                    raise ArgumentsError(
                        f"Unknown argument {name!r} in section {group!r}{_nearest(name, types_of)}."
                    )
            groups[group] = GROUPS[group](
                **{name: convert(name, value, types_of[name]) for name, value in (fields or {}).items()}
            )
        return cls(**groups)


GROUPS: dict[str, type] = typing.get_type_hints(Arguments)


def _nearest(word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def convert(name: str, value: Any, hint: Any) -> Any:
    """`value` as the type that a field declares.

    Raises:
        ArgumentsError: naming the field, the value and the type.
    """
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        option = next(option for option in options if option is not type(None))
        if value == "none" and typing.get_origin(option) is list:
            return []
        if value is None or value in ("none", "null"):
            return None
        return convert(name, value, option)
    if origin is Literal:
        # YAML reads a bare `no` as False.
        value = "no" if value is False and "no" in options else value
        if value not in options:
            raise ArgumentsError(
                f"--{name} cannot be {value!r}: it must be one of {', '.join(map(str, options))}."
            )
        return value
    if origin is tuple:
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != len(options):
            raise ArgumentsError(
                f"--{name} needs {len(options)} values in brackets, such as [0.9, 0.98], not {value!r}."
            )
        return tuple(convert(name, item, option) for item, option in zip(value, options, strict=True))
    if origin is list:
        items = [value] if isinstance(value, (str, Mapping)) else list(value)
        return [convert(name, item, options[0]) for item in items]
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ArgumentsError(
                f"--{name} needs a mapping in braces, such as {{hidden_size: 128}}, not {value!r}."
            )
        return {
            str(key): item if options[1] is Any else convert(f"{name}.{key}", item, options[1])
            for key, item in value.items()
        }
    return _convert_plain(name, value, hint)


def _convert_plain(name: str, value: Any, hint: type) -> Any:
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    if hint in (int, float) and not isinstance(value, bool):
        try:
            # YAML reads 3e-4 as text.
            number = float(value)
            if hint is float or number.is_integer():
                return hint(number)
        except (TypeError, ValueError):
            pass
    raise ArgumentsError(f"--{name} needs a value of type {hint.__name__}, not {value!r}.")


def field_help(group: type) -> dict[str, str]:
    """The docstring under each field of a dataclass: name -> text on one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(group))).body[0].body  # type: ignore[attr-defined]
    texts = {}
    for before, after in zip(body, body[1:], strict=False):
        if (
            isinstance(before, ast.AnnAssign)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            texts[before.target.id] = " ".join(str(after.value.value).split())  # type: ignore[union-attr]
    return texts


def build_parser(prog: str = "python -m training"):
    """The `argparse` parser of all fields; `-` and `_` in names are equal."""
    import argparse

    parser = argparse.ArgumentParser(
        prog=prog, description="Train a model from a recipe.", allow_abbrev=False
    )
    parser.add_argument(
        "--config", metavar="RECIPE", help="YAML recipe, or the name of one of training/configs"
    )
    for group, kind in GROUPS.items():
        section = parser.add_argument_group(group, (kind.__doc__ or "").strip())
        texts = field_help(kind)
        for item in dataclasses.fields(kind):
            default = item.default_factory() if callable(item.default_factory) else item.default
            flags = [f"--{item.name}"] + ([f"--{item.name.replace('_', '-')}"] if "_" in item.name else [])
            # Values stay text here: the recipe's reader gives them their type.
            text = f"{texts[item.name]} (default: {default})".replace("%", "%%")
            section.add_argument(
                *flags,
                dest=f"{group}.{item.name}",
                default=argparse.SUPPRESS,
                metavar="VALUE",
                nargs="?",
                const="true",
                help=text,
            )
    return parser


def read_recipe(name: str) -> dict[str, dict[str, Any]]:
    """The nested values of a recipe: a path, or the name of one that comes with the project (`wtc`,
    `quick.yaml`).

    Raises:
        ArgumentsError: if it is missing or no YAML mapping.
    """
    import yaml

    shipped = Path(__file__).parent / "configs"
    places = [Path(name), shipped / name, shipped / f"{name}.yaml"]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        names = ", ".join(sorted(p.stem for p in shipped.glob("*.yaml")))
        raise ArgumentsError(f"There is no recipe {name!r}; those that come with the project are {names}.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ArgumentsError(f"The recipe {name!r} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(values, dict) or not all(isinstance(v, dict) or v is None for v in values.values()):
        raise ArgumentsError(f"The recipe {name!r} must hold sections ({', '.join(GROUPS)}) with fields.")
    return {key: dict(value or {}) for key, value in values.items()}


def parse_arguments(argv: Sequence[str] | None = None, prog: str = "python -m training") -> Arguments:
    """Arguments from the command line: defaults, then the recipe, then the overrides.

    Raises:
        ArgumentsError: naming what is unknown, of the wrong type or contradictory.
    """
    import yaml

    given, unknown = build_parser(prog).parse_known_args(argv)
    if unknown:
        names = [item.name for kind in GROUPS.values() for item in dataclasses.fields(kind)]
        raise ArgumentsError(
            f"Unknown argument {unknown[0]!r}{_nearest(unknown[0].lstrip('-').replace('-', '_'), names)}."
        )
    overrides = vars(given)
    recipe = overrides.pop("config")
    values = read_recipe(recipe) if recipe else {}
    for key, text in overrides.items():
        group, name = key.split(".")
        values.setdefault(group, {})[name] = yaml.safe_load(text) if text != "" else ""
    return Arguments.from_dict(values)
