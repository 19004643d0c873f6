"""What holds the project's own files together."""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from pathlib import Path

import pytest

from musicgpt.version import __version__


def test_the_version_stands_in_one_place_and_the_other_files_agree(repo_root):
    assert "version" in tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]["dynamic"]
    assert f"\nversion: {__version__}\n" in (repo_root / "CITATION.cff").read_text()
    assert f"version = {{{__version__}}}" in (repo_root / "README.md").read_text()
    assert f"\n## {__version__} " in (repo_root / "CHANGELOG.md").read_text()


def test_the_log_is_indexed(repo_root):
    index = (repo_root / "docs" / "LOG.md").read_text()
    months = sorted((repo_root / "docs" / "log").glob("*.md"))
    titles = [title for month in months for title in re.findall(r"(?m)^## (.+)$", month.read_text())]
    assert re.findall(r"(?m)^\* \[(.+)\]\(log/", index) == titles


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line and line[0] != "#")


def test_every_requirement_has_a_tested_version_that_meets_its_bound(repo_root):
    from packaging.requirements import Requirement

    project = tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]
    pinned = {canonical(name): version for name, version in read_pins(repo_root / "constraints.txt").items()}
    wanted = project["dependencies"] + [
        r for extra in project["optional-dependencies"].values() for r in extra
    ]
    for requirement in map(Requirement, wanted):
        name = canonical(requirement.name)
        if name != project["name"]:
            assert requirement.specifier.contains(pinned[name]), name


@pytest.mark.parametrize(("name", "extras"), [("plain", ()), ("space", ("space", "pdf"))])
def test_the_locks_hold_the_tested_versions_with_hashes(name, extras, repo_root):
    """`make locks` makes them of pyproject.toml and constraints.txt; it has to be run when those change."""
    from packaging.requirements import Requirement

    text = (repo_root / "locks" / f"{name}.txt").read_text()
    assert "://" not in text
    entries = [re.sub(r" \\\n +", " ", entry) for entry in re.split(r"\n(?=\S)", text.strip())]
    locked = {}
    for entry in entries:
        requirement, *hashes = entry.split(" --hash=")
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), requirement
        package, version = requirement.split(" ;")[0].split("==")
        locked[package] = version.strip()
    tested = {canonical(p): v for p, v in read_pins(repo_root / "constraints.txt").items()}
    assert {p: v for p, v in locked.items() if p in tested} == {p: tested[p] for p in locked if p in tested}
    project = tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [r for e in extras for r in project["optional-dependencies"][e]]
    names = {canonical(Requirement(r).name) for r in wanted} - {project["name"]}
    assert names <= locked.keys(), "run make locks"


def test_actions_are_pinned_by_commit_and_may_only_read(repo_root):
    import yaml

    for path in (repo_root / ".github" / "workflows").iterdir():
        text = path.read_text()
        uses = re.findall(r"uses: *(\S+)(.*)", text)
        assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name) for name, _ in uses), path.name
        assert all(re.fullmatch(r" # v[\d.]+", version) for _, version in uses), path.name
        workflow = yaml.safe_load(text)
        assert workflow["permissions"] == {"contents": "read"}, path.name
        secrets = [name for name, job in workflow["jobs"].items() if "id-token" in job.get("permissions", {})]
        assert secrets == (["publish"] if path.name == "release.yml" else [])


@functools.cache
def imports(path: Path) -> list[tuple[int, str, bool]]:
    """Line, package and whether it stands at the top of the module, for each import by an absolute name."""
    tree, found = ast.parse(path.read_text(encoding="utf-8")), []
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        found += [(node.lineno, name.split(".")[0], node in tree.body) for name in names]
    return found


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
ALLOWED = {
    "modeling_musicgpt": set(),
    "musicgpt": set(ORDER[:2]),
    "space": set(ORDER[:5]) - {"dataset_builder"},
}
# A report on a model's own pieces has to compose them; nothing that the metrics are loaded with imports it.
# The model finds the engine where the whole package is installed, and says so where it is not.
EXCEPTIONS = {("modeling_musicgpt/engine_musicgpt.py", "musicgpt")}


@pytest.mark.parametrize("package", ORDER)
def test_no_folder_imports_what_stands_right_of_it(package, repo_root):
    allowed = ALLOWED.get(package, set(ORDER[: ORDER.index(package)])) | {package}
    for path in sorted((repo_root / package).rglob("*.py")):
        if package == "musicgpt" and path.is_relative_to(repo_root / "musicgpt/cli"):
            continue  # a room of its own
        here = path.relative_to(repo_root).as_posix()
        for line, top, _ in imports(path):
            if top in ORDER:
                assert top in allowed or (here, top) in EXCEPTIONS, f"{here}:{line} imports {top}"


def imported(path: Path, root: Path, modules: set[str]) -> set[str]:
    """The modules that a file imports, wherever in it, but for type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    package = path.relative_to(root).parent.parts  # a package's `__init__` counts from the same place
    found: set[str] = set()
    for node in set(ast.walk(tree)) - for_types:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1], node.module] if node.level else [node.module]
            name = ".".join(part for part in base if part)
            inside = {f"{name}.{alias.name}" for alias in node.names}
            found |= (inside & modules) or {name}
    return found & modules


def circles(imports: dict[str, set[str]]) -> list[set[str]]:
    """Groups of modules that need each other: what is left when those that need nothing, or that nothing
    needs, are taken away again and again.
    """
    left = {name: needs - {name} for name, needs in imports.items()}
    while True:
        needed = set().union(*left.values())
        gone = {name for name, needs in left.items() if not needs & left.keys() or name not in needed}
        if not gone:
            return [{name, *needs & left.keys()} for name, needs in left.items()]
        left = {name: needs - gone for name, needs in left.items() if name not in gone}


def test_no_modules_import_each_other_in_a_circle(repo_root):
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [{"b", "c"}, {"c", "b"}]
    paths = {
        ".".join(path.relative_to(repo_root).with_suffix("").parts).removesuffix(".__init__"): path
        for package in {*(name.split("/")[0] for name in ORDER), "benchmarks"}
        for path in (repo_root / package).rglob("*.py")
    }
    found = {name: imported(path, repo_root, set(paths)) for name, path in paths.items()}
    # A package's first file names what stands in it for those outside.
    found = {name: needs for name, needs in found.items() if paths[name].name != "__init__.py"}
    assert sum(map(len, found.values())) > 500
    assert circles(found) == []


def test_generating_imports_only_what_a_plain_install_brings(repo_root):
    """At the top of the modules of the packages that it loads; what an extra brings is imported where it is used."""
    from packaging.requirements import Requirement

    project = tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]
    plain = {canonical(Requirement(r).name) for r in project["dependencies"]}
    allowed = plain | set(ORDER) | set(sys.stdlib_module_names) | {"huggingface_hub"}  # transformers' own
    found = set()
    for package in ("tokenization", "modeling_musicgpt", "musical_metrics", "musicgpt"):
        for path in sorted((repo_root / package).rglob("*.py")):
            tops = {name for _, name, is_top in imports(path) if is_top}
            if path.name != "musical_metrics.py":  # the metric of `evaluate`, for those who have it
                assert tops <= allowed, f"{path.name}: {tops - allowed}"
            found |= tops
    assert {"torch", "transformers", "numpy"} <= found
