"""Values that are out of range and arguments that contradict each other, refused by name before a run
begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .errors import ArgumentsError

if TYPE_CHECKING:
    from .arguments import Arguments

MOST_TIMES = 100
# Field -> (smallest, largest) value; None where there is no limit.
_RANGES: dict[str, tuple[float | None, float | None]] = {
    "run.threads": (1, None),
    "run.workers": (0, 256),
    "run.log_every": (1, None),
    "data.validation_share": (0, 0.9),
    "data.max_pieces": (1, None),
    "data.length": (32, 65536),
    "data.condition_dropout": (0, 1),
    "data.context_notes": (0, None),
    "data.begin_share": (0, 1),
    "model.dropout": (0, 0.95),
    "fit.epochs": (1, None),
    "fit.max_steps": (1, None),
    "fit.stop_after": (1, None),
    "fit.batch_size": (1, None),
    "fit.micro_batch_size": (1, None),
    "fit.learning_rate": (0, 10),
    "fit.matrix_learning_rate": (0, 10),
    "fit.weight_decay": (0, None),
    "fit.embedding_weight_decay": (0, None),
    "fit.momentum": (0, 0.9999),
    "fit.grad_clip": (0, None),
    "fit.warmup_ratio": (0, 1),
    "fit.decay_ratio": (0, 1),
    "fit.final_lr_ratio": (0, 1),
    "fit.ema_decay": (0, 0.999999),
    "fit.label_smoothing": (0, 0.9),
    "fit.teacher_share": (0, 1),
    "evaluation.eval_every": (1, None),
    "evaluation.context": (32, None),
    "evaluation.musical_every": (0, None),
    "evaluation.musical_pieces": (1, None),
    "evaluation.musical_tokens": (32, None),
    "evaluation.loss_weight": (0, 1),
    "evaluation.musical_weight": (0, 1),
    "evaluation.patience": (1, None),
    "evaluation.save_every": (1, None),
    "evaluation.save_every_steps": (1, None),
    "evaluation.keep_last": (1, None),
}


def check(arguments: Arguments) -> None:
    """Raise an `ArgumentsError` for the first value out of range or pair of arguments that cannot both
    hold.
    """
    for key, limits in _RANGES.items():
        group, name = key.split(".")
        _check_range(name, getattr(getattr(arguments, group), name), *limits)
    if wrong := [*_in_data(arguments), *_in_fit(arguments), *_in_evaluation(arguments)]:
        raise ArgumentsError(wrong[0])
    from .augmentation import read_stages

    read_stages(arguments.augmentation.stages)


def _check_range(name: str, value: Any, low: float | None, high: float | None) -> None:
    if value is None:
        return
    if (low is not None and value < low) or (high is not None and value > high):
        wanted = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ArgumentsError(f"--{name} is {value}; it must be {wanted}.")


def _in_data(a: Arguments) -> Iterator[str]:
    """Those of the pieces, and of where the model goes."""
    run, data = a.run, a.data
    if run.private and not run.push:
        yield "--private says how to push, but --push names no repository: give both or neither."
    if data.data is not None and data.scores is not None:
        yield "--data and --scores both say where the pieces are: choose one."
    if data.extra and data.builder_config not in (None, "wtc-plus"):
        yield (
            f"--extra {', '.join(data.extra)} needs the further pieces: set --builder_config"
            f" wtc-plus, not {data.builder_config}."
        )
    if any(times < 0 or times > MOST_TIMES for times in data.times.values()):
        yield (
            f"--times {data.times} holds a number that is not between 0 and {MOST_TIMES}: it says how"
            " often an epoch takes a piece."
        )
    if data.context_notes * 4 > data.length // 2:
        yield (
            f"--context_notes {data.context_notes} takes {data.context_notes * 4} tokens, more than half"
            f" of --length {data.length}: too little is learnt."
        )


def _in_fit(a: Arguments) -> Iterator[str]:
    """Those of what is trained and how."""
    model, fit = a.model, a.fit
    if fit.micro_batch_size is not None and fit.micro_batch_size > fit.batch_size:
        yield (
            f"--micro_batch_size {fit.micro_batch_size} is larger than --batch_size {fit.batch_size},"
            " which counts all rows of a step."
        )
    if fit.matrix_learning_rate is not None and fit.optimizer != "muon":
        yield f"--matrix_learning_rate belongs to --optimizer muon, but --optimizer is {fit.optimizer}."
    if fit.schedule == "wsd" and fit.warmup_ratio + fit.decay_ratio > 1:
        yield (
            f"--warmup_ratio {fit.warmup_ratio} and --decay_ratio {fit.decay_ratio} add up to more than"
            " the whole run."
        )
    if bool(model.teachers) != (fit.teacher_share is not None):
        yield "--teachers says whom to learn from and --teacher_share how much: give both or neither."
    if model.teachers and fit.label_smoothing > 0:
        yield "--label_smoothing and --teachers both say what a target is spread over: choose one."
    if model.init_from is not None and model.config_overrides:
        yield "--init_from brings its own config: --config_overrides cannot change it."


def _in_evaluation(a: Arguments) -> Iterator[str]:
    """Those of what is measured on the way."""
    data, model, evaluation = a.data, a.model, a.evaluation
    if evaluation.musical_every > 0 and model.model != "musicgpt":
        yield (
            "--musical_every needs --model musicgpt, whose grammar makes every piece legal; --model is"
            f" {model.model}."
        )
    if evaluation.stop_on == "combined" and evaluation.musical_every == 0:
        yield "--stop_on combined needs the musical score: set --musical_every to a number of epochs."
    if evaluation.musical_every > 0 and evaluation.musical_every % evaluation.eval_every != 0:
        yield (
            f"--musical_every {evaluation.musical_every} must be a multiple of --eval_every"
            f" {evaluation.eval_every}: the combined score needs both."
        )
    if evaluation.musical_every > 0 and abs(evaluation.loss_weight + evaluation.musical_weight - 1) > 1e-6:
        yield (
            f"--loss_weight {evaluation.loss_weight} and --musical_weight {evaluation.musical_weight}"
            " must add up to 1."
        )
    if evaluation.context is not None and evaluation.context < data.length // 2:
        yield (
            f"--context {evaluation.context} is less than half of --length {data.length}: validation"
            " would not see what training saw."
        )
