"""What holds the project's own files together."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest

from musicgpt.version import __version__


def test_the_version_stands_in_one_place_and_the_other_files_agree(repo_root):
    assert "version" in tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]["dynamic"]
    assert f"\nversion: {__version__}\n" in (repo_root / "CITATION.cff").read_text()
    assert f"version = {{{__version__}}}" in (repo_root / "README.md").read_text()
    assert f"\n## {__version__} " in (repo_root / "CHANGELOG.md").read_text()


def test_every_requirement_has_a_tested_version_that_meets_its_bound(repo_root):
    from packaging.requirements import Requirement

    project = tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]
    lines = (repo_root / "constraints.txt").read_text().splitlines()
    pinned = {
        re.sub(r"[-_.]+", "-", n).lower(): v
        for n, v in (line.split("==") for line in lines if "==" in line and line[0] != "#")
    }
    wanted = project["dependencies"] + [
        r for extra in project["optional-dependencies"].values() for r in extra
    ]
    for requirement in map(Requirement, wanted):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name != project["name"]:
            assert requirement.specifier.contains(pinned[name]), name


# Each folder imports only what stands left of it (CONTRIBUTING.md, "How the house is built").
ORDER = (
    "tokenization",
    "modeling_musicgpt",
    "musical_metrics",
    "dataset_builder",
    "musicgpt",
    "training",
    "space",
    "musicgpt/cli",
)
ALLOWED = {"modeling_musicgpt": set(), "space": set(ORDER[:5]) - {"dataset_builder"}}
# A report on a model's own pieces has to compose them; nothing that the metrics are loaded with imports it.
# The model finds the engine where the whole package is installed, and says so where it is not.
EXCEPTIONS = {("musical_metrics/report.py", "musicgpt"), ("modeling_musicgpt/engine_musicgpt.py", "musicgpt")}


@pytest.mark.parametrize("package", ORDER)
def test_no_folder_imports_what_stands_right_of_it(package, repo_root):
    allowed = ALLOWED.get(package, set(ORDER[: ORDER.index(package)])) | {package}
    for path in sorted((repo_root / package).rglob("*.py")):
        if package == "musicgpt" and path.is_relative_to(repo_root / "musicgpt/cli"):
            continue  # a room of its own
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            here = path.relative_to(repo_root).as_posix()
            for top in {name.split(".")[0] for name in names} & set(ORDER):
                assert top in allowed or (here, top) in EXCEPTIONS, f"{here}:{node.lineno} imports {top}"
