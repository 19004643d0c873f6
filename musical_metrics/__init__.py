"""Musical metrics that tell Bach from noise: plain functions on `Score`s, and an `evaluate` module over them.

Names are imported when first used, so that `import musical_metrics` costs nothing.
"""

from __future__ import annotations

from typing import Any

_HOME = {
    "musical_score": "score",
    "MusicalScore": "score",
    "compare": "compare",
    "Comparison": "compare",
    "feature_rows": "compare",
    "two_sample_test": "compare",
    "nearest_passage": "originality",
    "originality_report": "originality",
    "measure_all": "catalogue",
    "METRICS": "catalogue",
    "Measure": "measure",
    "View": "tokenization.analysis.view",
    "bands": "reference",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = _HOME[name]
    return getattr(import_module(home if "." in home else f"{__name__}.{home}"), name)


__all__ = [*_HOME]
