"""The head of a model card: what the Hub reads (licence, base model, data set, figures), made with its own
library and read back by it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

# The name of the shipped model's repository on the Hub, without a user.
SHIPPED_NAME = "musicgpt-wtc"
_TASK: dict[str, Any] = {"task_type": "text-generation", "task_name": "Symbolic music generation"}
# Figure of a run -> the Hub's type and the name of the metric.
_METRICS = {
    "nats_per_note": ("loss", "Nats a note"),
    "masked_nats_per_note": ("loss", "Nats a note, legal tokens only"),
    "bits_per_note": ("loss", "Bits a note"),
    "musical_score": ("musical_metrics", "Musical score, 0 to 100"),
}


class Lineage(NamedTuple):
    """Where a model's weights began: the base model's name on the Hub and its licence, as far as they are
    known.
    """

    base: str | None = None
    licence: str | None = None


def lineage_of(init_from: str | None) -> Lineage:
    """What a model that begins with these weights inherits.

    Args:
        init_from (`str`, *optional*): as in a recipe: `shipped`, a folder, a run's folder, or a name on the
            Hub.
    """
    from dataset_builder.identity import OPEN_LICENCE
    from modeling_musicgpt import shipped_checkpoint

    from .models import resolve

    if init_from is None:
        return Lineage()
    place = Path(resolve(init_from))
    if place.exists() and place.resolve() == shipped_checkpoint().resolve():
        return Lineage(SHIPPED_NAME, OPEN_LICENCE)
    if place.exists():
        return _lineage_of_card(place / "README.md")
    # A name on the Hub; a folder of the machine that trained says nothing to others.
    return Lineage(
        init_from if init_from.count("/") <= 1 and not init_from.startswith((".", "/", "~")) else None
    )


def _lineage_of_card(card: Path) -> Lineage:
    """What the card of a model on this machine says of its own base; the model itself where it is an export
    of the shipped one.
    """
    from huggingface_hub import metadata_load

    data = (metadata_load(card) if card.is_file() else None) or {}
    is_shipped = any(entry.get("name") == SHIPPED_NAME for entry in data.get("model-index") or [])
    return Lineage(SHIPPED_NAME if is_shipped else data.get("base_model"), data.get("license"))


def licence_of(data: dict[str, Any] | None, lineage: Lineage) -> str | None:
    """The licence of a model: its base model's where that asks for the same (share alike), else that of open
    sources, else nothing is said.
    """
    from dataset_builder.identity import OPEN_LICENCE

    if lineage.licence == OPEN_LICENCE or (not lineage.base and data and data["licence"] == OPEN_LICENCE):
        return OPEN_LICENCE
    return None


def results_of(data: dict[str, Any], figures: dict[str, Any]) -> list[Any]:
    """The figures of a model as `EvalResult`s on the validation split of its data."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            **_TASK,
            dataset_type=data["id"],
            dataset_name=data["title"],
            dataset_config=data["config"],
            dataset_split="validation",
            metric_type=kind,
            metric_name=text,
            metric_value=round(figures[name], 4),
        )
        for name, (kind, text) in _METRICS.items()
        if isinstance(figures.get(name), (int, float))
    ]


def header(name: str, data: dict[str, Any] | None, figures: dict[str, Any], lineage: Lineage) -> str:
    """The card's metadata between its two lines of dashes.

    Args:
        name (`str`): the model's name, for the index of its results.
        data (`dict`, *optional*): `training.card.describe_data`.
        figures (`dict`): of the best model, as in its `figures.json`.
        lineage (`Lineage`): where its weights began.
    """
    from huggingface_hub import ModelCardData

    of_bach = bool(data and data["of_bach"])
    results = results_of(data, figures) if data else []
    card = ModelCardData(
        language="zxx",  # ISO 639-2: no linguistic content
        library_name="transformers",
        pipeline_tag="text-generation",
        license=licence_of(data, lineage),
        base_model=lineage.base,
        datasets=[data["id"]] if data else None,
        metrics=sorted({result.metric_type for result in results}) or None,
        model_name=name,
        eval_results=results or None,
        tags=["music", "symbolic-music", "midi", "musicxml", *(["bach"] if of_bach else []), "musicgpt"],
    )
    return f"---\n{card}\n---"
