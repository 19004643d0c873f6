"""Writes `docs/dependencies.md`: what each kind of install brings, why, and under which licence: `python
docs/make_dependencies.py`.
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

WHY = {
    "torch": "the model",
    "transformers": "configuration, `generate()`, loading",
    "tokenizers": "the fast tokenizer",
    "safetensors": "weights",
    "numpy": "scores as arrays",
    "mido": "instruments of what is played",
    "pretty-midi": "its sound font, for the MP3 of the page",
    "gradio": "the page",
    "verovio": "the engraved score",
    "midirenderer": "sound",
    "lameenc": "MP3",
    "typst": "PDF",
    "matplotlib": "the piano roll",
    "tqdm": "the progress bar",
}


def name_of(text: str) -> str:
    """The normalised name of a package."""
    return re.sub(r"[-_.]+", "-", text).lower()


def licence(name: str) -> str:
    """What a package says of its licence, in a few words."""
    try:
        about = distribution(name).metadata
    except PackageNotFoundError:
        return "not installed where this was made"
    classes = [
        c.rsplit(" :: ", 1)[1] for c in about.get_all("Classifier") or [] if c.startswith("License ::")
    ]
    text = (
        about.get("License-Expression")
        or "; ".join(classes)
        or (about.get("License") or "not said").splitlines()[0]
    )
    return text.replace("|", "/")[:80]


def brought(roots: list[Requirement]) -> dict[str, str]:
    """All packages that some requirements bring here, each with the one that asked for it first."""
    found: dict[str, str] = {}
    todo = [(root, "") for root in roots]
    while todo:
        requirement, by = todo.pop(0)
        name = name_of(requirement.name)
        if name in found:
            continue
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            if not by:
                found[name] = by  # asked for by the project itself: it must not be missing from the table
            continue
        found[name] = by
        extras = requirement.extras or {""}
        for need in map(Requirement, needs):
            if not need.marker or any(need.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append((need, name))
    return found


def main() -> None:
    """Write the page."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    plain = brought([Requirement(text) for text in project["dependencies"]])
    extras = {
        name: [Requirement(text) for text in texts]
        for name, texts in project["optional-dependencies"].items()
    }
    own = project["name"]
    asked = [
        r
        for wanted in extras["space"]
        for r in ([o for e in wanted.extras for o in extras[e]] if wanted.name == own else [wanted])
    ]
    space = brought(asked)
    lines = [
        "# What an install brings",
        "",
        (
            "Made by `python docs/make_dependencies.py` from the packages' own words, on Linux. The sound"
            " font inside `pretty_midi` is under the GPL 2."
        ),
    ]
    for title, packages in (
        ("`pip install .`", plain),
        ("`pip install '.[space]'`, beside that", {k: v for k, v in space.items() if k not in plain}),
    ):
        lines += ["", f"## {title}", "", "| package | why | licence |", "| --- | --- | --- |"]
        lines += [
            f"| {name} | {WHY.get(name) or (f'for {by}' if by else 'the page')} | {licence(name)} |"
            for name, by in sorted(packages.items())
        ]
    Path(__file__).with_name("dependencies.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
