"""What holds the project's own files together."""

from __future__ import annotations

import re
import tomllib

from musicgpt.version import __version__


def test_the_version_stands_in_one_place_and_the_other_files_agree(repo_root):
    assert "version" in tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]["dynamic"]
    assert f"\nversion: {__version__}\n" in (repo_root / "CITATION.cff").read_text()
    assert f"\n## {__version__} " in (repo_root / "CHANGELOG.md").read_text()


def test_every_requirement_has_a_tested_version_that_meets_its_bound(repo_root):
    from packaging.requirements import Requirement

    project = tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]
    lines = (repo_root / "constraints.txt").read_text().splitlines()
    pinned = {re.sub(r"[-_.]+", "-", n).lower(): v for n, v in (line.split("==") for line in lines if "==" in line and line[0] != "#")}
    wanted = project["dependencies"] + [r for extra in project["optional-dependencies"].values() for r in extra]
    for requirement in map(Requirement, wanted):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name != project["name"]:
            assert requirement.specifier.contains(pinned[name]), name
