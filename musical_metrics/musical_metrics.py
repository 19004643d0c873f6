"""The `evaluate` module: a thin `evaluate.Metric` over the functions of the package `musical_metrics`.

`evaluate.load` copies this one file elsewhere and runs the copy, so nothing may be imported from beside it in
the usual way: `_package` finds the functions, installed or in the folder (or on the Hub) that this file came
from.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Iterable, Sequence, Sized
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import evaluate

_DESCRIPTION = """\
Measures how near symbolic keyboard music lies to Bach's Well-Tempered Clavier: rhythm, melody, texture,
counterpoint, what sounds together, harmony, keys and cadences, surprise under an n-gram of the train split,
repetition, recurrence, fugue, playability, form and originality, each beside the band of held-out Bach
movements, and one musical score from 0 to 100.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list`): the pieces; one path, dict or `Score` alone is a set of one. Each is the path of
        a MIDI, MusicXML or note-table file (`str`), the token ids of a piece (`list` of `int`, 0 to 149),
        or what `Score.to_dict()` gives (`dict`; a `Score` itself will do). Kinds may be mixed; anything
        else is refused by a `PredictionError` that says what is accepted.
    references (`list`, *optional*): pieces to compare with, of the same kinds, as many as you like.
        Without them the pieces are compared with held-out movements of the Well-Tempered Clavier.
    key (`str`, *optional*), form (`str`, *optional*): what all predictions are meant to be, such as `"d
        minor"`, `"fugue"`; else what each piece declares.
    seed (`int`, *optional*, defaults to 0): deals the folds of the two-sample test.

Returns:
    `musical_score` (`float` or `None`): median over the predictions, 0 to 100; `musical_scores` (`list`):
    of each.
    `reference_score` (`float` or `None`): the same for the references; Bach's is by cross-validation.
    `two_sample_auc` (`float` or `None`): how well a classifier tells predictions from references: 0.5 not
    at all, 1 always.
    one entry for each metric (`float` or `None`): its median over the predictions.
    `comparison` (`dict`): for each metric medians, n, AUC, overlap area and KL divergence; `pieces`
        (`list` of `dict`): for each prediction every value with its band or the reason why there is none,
        and the nearest Bach passage.

Examples:
    >>> metric = evaluate.load("musical_metrics")
    >>> notes = {"onset": [0, 24, 48, 72], "duration": [24] * 4, "pitch": [60, 62, 64, 65], "voice": [0] * 4}
    >>> results = metric.compute(predictions=[{"notes": notes, "key": "C major"}])
    >>> results["out_of_key_ratio"], results["parallel_fifths"]
    (0.0, None)
"""

_CITATION = """\
@misc{musicgpt_musical_metrics,
    title = {musical_metrics: how near symbolic music lies to the Well-Tempered Clavier},
    author = {{The MusicGPT contributors}},
    year = {2026},
}
"""

_MISSING = (
    "The metric's functions are not installed: install the project (`pip install musicgpt-wtc`, or `pip"
    " install -e .` in its repository), or load the metric from a folder made by `python -m"
    " musical_metrics.hub_folder`."
)


def _asked_folder() -> Path | None:
    """The folder that `evaluate.load` was asked to load from, if it is running.

    evaluate does not tell a module where it comes from, and the note that it leaves beside the copy goes on
    naming the first folder with the same content; so this looks at what its `load` was called with.
    """
    frame: Any = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "load" and frame.f_globals.get("__name__") == "evaluate.loading":
            path = Path(frame.f_locals["path"])
            return (path.parent if path.suffix == ".py" else path).resolve()
        frame = frame.f_back
    return None


def _origins(asked: Path | None) -> Iterable[Path]:
    """Folders that may hold the package: the one asked for, where this file was copied from, or its
    repository on the Hub.
    """
    here = Path(__file__).resolve()
    if asked is not None:
        yield asked
    yield here.parent
    note = here.with_suffix(".json")  # evaluate writes there what it copied
    if note.is_file():
        yield (
            Path(json.loads(note.read_text(encoding="utf-8")).get("original file path", "")).resolve().parent
        )
    yield Path.cwd() / "musical_metrics"
    repository = next((part.replace("--", "/", 1) for part in __name__.split(".") if "--" in part), None)
    if repository:
        from huggingface_hub import snapshot_download

        yield Path(snapshot_download(repository, repo_type="space"))


def _load_folder(name: str, folder: Path) -> None:
    """Import a folder as the package `name`, whatever the folder is called."""
    place = folder / "__init__.py"
    spec = importlib.util.spec_from_file_location(name, place, submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:
        raise ImportError(_MISSING)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def _importable(name: str) -> bool:
    """Whether a *package* of that name can be imported; this file, found as a module in a folder on the path,
    is none.
    """
    if name in sys.modules:
        return hasattr(sys.modules[name], "__path__")
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.submodule_search_locations is not None and spec.origin is not None


def _package(asked: Path | None) -> ModuleType:
    """The package `musical_metrics` with what it needs: installed, or from one of `_origins`."""
    # In a Hub folder `tokenization` lies inside, in the project's repository beside.
    wanted = {
        "tokenization": (("tokenization", "../tokenization"), "score.py"),
        "musical_metrics": ((".",), "catalogue.py"),
    }
    for name, (places, proof) in wanted.items():
        if _importable(name):
            continue
        folders = (origin / place for origin in _origins(asked) for place in places)
        folder = next((folder for folder in folders if (folder / proof).is_file()), None)
        if folder is None:
            raise ImportError(_MISSING)
        _load_folder(name, folder)
    return importlib.import_module("musical_metrics.pieces")


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class MusicalMetrics(evaluate.Metric):
    """See the description above."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features({"predictions": datasets.Value("string")}),
            reference_urls=["https://link.springer.com/article/10.1007/s00521-018-3849-7"],
        )

    def _download_and_prepare(self, dl_manager: Any) -> None:
        self._functions = _package(_asked_folder())

    def add_batch(
        self,
        *,
        predictions: Sequence[Any] | None = None,
        references: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Add predictions, and references, of which there may be more or fewer."""
        texts = [
            self._texts(pieces, what)
            for what, pieces in (("predictions", predictions), ("references", references))
        ]
        self._references = [*getattr(self, "_references", []), *texts[1]]
        super().add_batch(predictions=texts[0], **kwargs)

    def _texts(self, pieces: Any, what: str) -> list[str]:
        """A set of pieces as strings; `None` and an empty list are no pieces."""
        return (
            []
            if pieces is None or (isinstance(pieces, Sized) and not len(pieces))
            else self._functions.as_texts(pieces, what)
        )

    def add(self, *, prediction: Any = None, reference: Any = None, **kwargs: Any) -> None:
        """Add one prediction, and maybe a reference."""
        self.add_batch(
            predictions=[prediction], references=None if reference is None else [reference], **kwargs
        )

    def compute(
        self,
        *,
        predictions: Sequence[Any] | None = None,
        references: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> dict | None:
        """Compute the metrics; see the inputs above."""
        texts = None if predictions is None else self._functions.as_texts(predictions)
        self._references = [*getattr(self, "_references", []), *self._texts(references, "references")]
        return super().compute(predictions=texts, **kwargs)

    def _compute(
        self, *, predictions: list[str], key: str | None = None, form: str | None = None, seed: int = 0
    ) -> dict[str, Any]:
        references, self._references = getattr(self, "_references", []), []
        return self._functions.report(predictions, references or None, key=key, form=form, seed=seed)
