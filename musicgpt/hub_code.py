"""Modules of this project as few flat files for a folder on the Hub.

The Hub's loader takes files of one folder that import each other by `from .name import ...`, and copies
nothing but Python. So modules are joined: each file has the modules that belong into it, those that others
need first, with their imports at its top; where two define the same name, it gets that of its module before
it. Functions and classes that nothing in the folder uses are left out, but for those of the entries. Tables
that modules read by `tokenization.tables.read_table` become a file of text.
"""

from __future__ import annotations

import ast
import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path, PurePosixPath
from textwrap import fill
from typing import Any, NamedTuple

from tokenization.errors import MusicGPTError

ROOT = Path(__file__).resolve().parents[1]
TABLES = "tokenization.tables"
_TABLES = '''"""Tables of the train split, for the rules, as text: transformers copies no other files."""

import base64

_FILES = {{{files}}}


def read_table(module_file, name):
    """The bytes of a table by its name."""
    return base64.b64decode(_FILES[name])
'''


class CannotJoin(MusicGPTError):
    """A module is written in a way that cannot be joined; the text says where and what to do."""


class Defined(NamedTuple):
    """A name of a module."""

    module: str
    name: str


class Module:
    """A module of ours.

    Args:
        name (`str`): such as `"musicgpt.rules.close"`.
        packages (sequence of `str`): those that count as ours.
        source (`str`, *optional*): its text; that of its file when not given.

    Attributes:
        names (dict): what it imports from modules of ours, by the name that it has here.
        defined (list of `str`): what it defines.
        unused (list of nodes): of its statements those that have no place in a joined file.
    """

    def __init__(self, name: str, packages: Sequence[str], source: str | None = None):
        path = ROOT.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        self.name, self.packages, self.is_package = name, packages, path.name == "__init__.py"
        self.source = path.read_text(encoding="utf-8") if source is None else source
        self.tree = ast.parse(self.source)
        self.unused = [node for node in self.tree.body if _is_for_types(node)]
        self.imports = [node for node in self._nodes() if isinstance(node, ast.Import | ast.ImportFrom)]
        self.names = {
            alias.asname or alias.name: Defined(source, alias.name)
            for node in self.imports
            if (source := self._source(node))
            for alias in node.names
        }
        self.defined = [name for node in self.tree.body for name in _bound(node)]

    def keep(self, needed: Set[ast.stmt]) -> None:
        """Leave out its other statements."""
        self.unused += [node for node in self.tree.body if node not in needed]

    def needs(self) -> dict[str, Defined]:
        """Of `names` those that it uses itself, and does not only pass on."""
        return {name: self.names[name] for name in self.used() & self.names.keys()}

    def used(self) -> set[str]:
        """The names that stand in it."""
        return {name for node in self.tree.body if node not in self.unused for name in _named(node)}

    def _nodes(self) -> Iterator[ast.AST]:
        """All of it but what is unused."""
        for node in self.tree.body:
            if node not in self.unused:
                yield from ast.walk(node)

    def _source(self, node: ast.AST) -> str | None:
        """The module of ours from which a node imports."""
        if not isinstance(node, ast.ImportFrom):
            return None
        package = self.name.split(".") if self.is_package else self.name.split(".")[:-1]
        base = package[: len(package) - node.level + 1] if node.level else []
        name = ".".join([*base, *([node.module] if node.module else [])])
        return name if name.split(".")[0] in self.packages else None

    def foreign(self) -> list[ast.stmt]:
        """Its imports from elsewhere, those inside functions left out."""
        return [n for n in self.tree.body if n in self.imports and not self._source(n)]  # type: ignore[comparison-overlap]

    def tables(self) -> list[str]:
        """The files that it reads by `read_table`."""
        calls = [n for n in self._nodes() if isinstance(n, ast.Call) and ast.unparse(n.func) == "read_table"]
        return [call.args[1].value for call in calls if isinstance(call.args[1], ast.Constant)]  # type: ignore[misc]

    def body(self, renamed: Mapping[str, str]) -> str:
        """What is left of it in a joined file, with names changed."""
        lines = [line.encode() for line in self.source.splitlines()]
        for line, column, old, new in sorted(self._places(renamed), reverse=True):
            text = lines[line - 1]
            assert text[column : column + len(old)] == old.encode(), (self.name, line, old)
            lines[line - 1] = text[:column] + new.encode() + text[column + len(old) :]
        gone = [n for n in self.imports if self._source(n)] + self.foreign() + self.unused
        gone += [node for node in self.tree.body if "__all__" in _bound(node) or _is_text(node)]
        for node in gone:
            first = min([node.lineno, *(line.lineno for line in getattr(node, "decorator_list", []))])
            while node in self.unused and first > 1 and (lines[first - 2] or b"").startswith(b"#"):
                first -= 1  # what is said of it goes with it
            lines[first - 1 : node.end_lineno] = [None] * (node.end_lineno - first + 1)  # type: ignore
        kept = "\n".join(line.decode() for line in lines if line is not None)
        return re.sub(r"\n{4,}", "\n\n\n", kept).strip("\n")

    def _places(self, renamed: Mapping[str, str]) -> Iterator[tuple[int, int, str, str]]:
        """Line, column in bytes, old and new name of each place where a name is to be changed."""
        for node in self._nodes():
            if isinstance(node, ast.Name) and node.id in renamed:
                yield node.lineno, node.col_offset, node.id, renamed[node.id]
            elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node in self.tree.body:
                if node.name in renamed:
                    word = "class " if isinstance(node, ast.ClassDef) else "def "
                    yield node.lineno, node.col_offset + len(word), node.name, renamed[node.name]
            elif isinstance(node, ast.arg) and node.arg in renamed:
                raise CannotJoin(
                    f"{self.name} has an argument {node.arg}, and another module defines that name, too: call"
                    " one of them otherwise."
                )


def _is_definition(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef | ast.ClassDef)


def _is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _named(node: ast.AST) -> set[str]:
    """The names that stand in a statement."""
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _bound(node: ast.stmt) -> list[str]:
    """The names that a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return []
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = [n for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
    return [name.id for name in names if isinstance(name.ctx, ast.Store)]


class Joined:
    """Some modules and what they need of ours, as files.

    Args:
        entries (sequence of `str`): the modules.
        packages (sequence of `str`): those whose modules are joined; what else they import stays.
        place (callable): from the name of a module to that of its file, without `.py`.
        about (dict): a docstring for each file.
        given (dict, *optional*): the text of modules that take the place of ours, by name.
    """

    def __init__(
        self,
        entries: Sequence[str],
        packages: Sequence[str],
        place: Callable[[str], str],
        about: Mapping[str, str],
        given: Mapping[str, str] | None = None,
    ):
        self.given, self.about, self.packages = dict(given or {}), about, packages
        self.modules: dict[str, Module] = {}  # those that others need first
        self._loaded: dict[str, Module] = {}
        for entry in entries:
            self._visit(entry)
        self._leave_out(entries)
        self.place = {name: place(name) for name in self.modules}
        self.final = self._names()

    def write(self, folder: Path) -> None:
        """Write the files into a folder."""
        folder.mkdir(exist_ok=True)
        for name, text in self.files().items():
            (folder / name).write_text(text, encoding="utf-8")

    def files(self) -> dict[str, str]:
        """The text of each file by its name."""
        places = dict.fromkeys(place for name, place in self.place.items() if name != TABLES)
        texts = {file: self._text(file) for file in places}
        found = {name: module for module in self.modules.values() for name in module.tables()}
        if found:
            entries = [
                f"\n    {name!r}: {base64.b64encode(_table(module, name)).decode()!r},"
                for name, module in sorted(found.items())
            ]
            texts[self.place[TABLES]] = _TABLES.format(files="".join(entries) + "\n")
        return {f"{name}.py": text for name, text in texts.items()}

    def _load(self, name: str) -> Module:
        if name not in self._loaded:
            self._loaded[name] = Module(name, self.packages, self.given.get(name))
        return self._loaded[name]

    def _origin(self, found: Defined) -> Defined:
        """Where a name is defined that a module may only pass on."""
        module = self._load(found.module)
        if found.name not in module.defined and found.name in module.names:
            return self._origin(module.names[found.name])
        if found.name not in module.defined:
            raise CannotJoin(
                f"{found.module} does not define {found.name}, which another module takes from it."
            )
        return found

    def _visit(self, name: str) -> None:
        if name in self.modules:
            return
        module = self._load(name)
        if name != TABLES and "__file__" in re.sub(r"read_table\(__file__", "", module.source):
            raise CannotJoin(
                f"{name} looks for files beside itself; let it read them by {TABLES}.read_table."
            )
        for found in module.names.values():
            self._visit(self._origin(found).module)
        self.modules[name] = module

    def _leave_out(self, entries: Sequence[str]) -> None:
        """Of modules that are no entries leave out the functions and classes that nothing leads to. Constants
        stay: the engine compares them with its own.
        """
        needed: set[ast.stmt] = set()
        waiting = [(self.modules[entry], node) for entry in entries for node in self.modules[entry].tree.body]
        while waiting:
            module, node = waiting.pop()
            if node in needed or node in module.unused:
                continue
            needed.add(node)
            known = {**{name: Defined(module.name, name) for name in module.defined}, **module.names}
            for origin in (self._origin(known[name]) for name in _named(node) & known.keys()):
                home = self.modules[origin.module]
                waiting += [
                    (home, other)
                    for other in home.tree.body
                    if _bound(other) == [origin.name] or not _is_definition(other)
                ]
        for module in self.modules.values():
            module.keep(needed)
        self.modules = {name: m for name, m in self.modules.items() if not needed.isdisjoint(m.tree.body)}

    def _names(self) -> dict[Defined, str]:
        """The name that everything gets in its file."""
        final: dict[Defined, str] = {}
        for file in set(self.place.values()):
            inside = [module for name, module in self.modules.items() if self.place[name] == file]
            taken = [alias.asname or alias.name for m in inside for n in m.foreign() for alias in n.names]  # type: ignore[attr-defined]
            taken = [*set(taken), *{origin.name for origin in self._from_others(inside, file)}]
            taken += [name for module in inside for name in set(module.defined)]
            for module in inside:
                for name in module.defined:
                    own = taken.count(name) == 1 or name == "__all__"
                    final[Defined(module.name, name)] = name if own else _with(module.name, name)
        return final

    def _from_others(self, inside: Iterable[Module], file: str) -> set[Defined]:
        """What the modules of a file need from other files."""
        origins = {self._origin(found) for module in inside for found in module.needs().values()}
        return {origin for origin in origins if self.place[origin.module] != file}

    def _text(self, file: str) -> str:
        inside = [module for name, module in self.modules.items() if self.place[name] == file]
        others: dict[str, set[str]] = {}
        for origin in self._from_others(inside, file):
            others.setdefault(self.place[origin.module], set()).add(self.final[origin])
        imports = [f"from .{name} import {_listed(names)}" for name, names in sorted(others.items())]
        parts = [f'"""{self.about[file]}"""', _foreign(inside), "\n".join(imports)]
        for module in inside:
            renamed = {name: self.final[self._origin(found)] for name, found in module.needs().items()}
            renamed |= {name: self.final[Defined(module.name, name)] for name in module.defined}
            body = module.body({old: new for old, new in renamed.items() if old != new})
            parts.append(f"\n{_banner(module)}\n\n{body}\n")
        return "\n\n".join(part for part in parts if part)


def _with(module: str, name: str) -> str:
    """A name with that of its module before it."""
    stem = module.rpartition(".")[2]
    if name.isupper():
        return f"{'_' * name.startswith('_')}{stem.upper()}_{name.lstrip('_')}"
    if name[0].isupper():
        return stem.title().replace("_", "") + name
    return f"_{stem}_{name.lstrip('_')}"


def _listed(names: Iterable[str]) -> str:
    """Names as an import lists them."""
    inside: dict[str, Any] = {
        "initial_indent": "    ",
        "subsequent_indent": "    ",
        "break_on_hyphens": False,
    }
    return f"(\n{fill(', '.join(sorted(names)), 106, **inside)},\n)"


def _foreign(inside: Iterable[Module]) -> str:
    """The imports from elsewhere of some modules, each once, as far as they are used."""
    plain: set[str] = set()
    listed: dict[str, set[str]] = {}
    for user, node in [(module, node) for module in inside for node in module.foreign()]:
        used = {"annotations", *user.used()}  # the import from __future__ has its effect unnamed
        names = {ast.unparse(a) for a in node.names if (a.asname or a.name.split(".")[0]) in used}  # type: ignore[attr-defined]
        if isinstance(node, ast.ImportFrom) and names:
            listed.setdefault(node.module or "", set()).update(names)
        else:
            plain |= {f"import {name}" for name in names}
    lines = [f"from {name} import {', '.join(sorted(names))}" for name, names in sorted(listed.items())]
    lines.sort(key=lambda line: not line.startswith("from __future__"))
    return "\n".join([*lines[:1], *sorted(plain), *lines[1:]])


def _banner(module: Module) -> str:
    """What a module says of itself, as a comment."""
    said = (ast.get_docstring(module.tree) or "").splitlines()
    stem = module.name.rpartition(".")[2]
    return "\n".join([f"# {f' {stem} ':-^106}", "#", *(f"# {line}".rstrip() for line in said)])


def _table(module: Module, name: str) -> bytes:
    return (ROOT.joinpath(*module.name.split(".")).parent / PurePosixPath(name)).read_bytes()
