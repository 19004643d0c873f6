"""Which modules of the model share a file in an exported folder."""

from __future__ import annotations

_MODEL_FILES = {
    **dict.fromkeys(
        ("stepping_musicgpt", "features_musicgpt", "imitation_musicgpt", "cache_musicgpt"),
        "musical_state_musicgpt",
    ),
    **dict.fromkeys(("repetition_musicgpt", "bar_end_musicgpt"), "grammar_musicgpt"),
    **dict.fromkeys(("engine_musicgpt", "streaming_musicgpt"), "generation_musicgpt"),
}


def model_file(module: str) -> str:
    """The file in which a module of the model stands."""
    stem = module.rpartition(".")[2]
    return _MODEL_FILES.get(stem, stem)
