"""Modules that were joined do what they did alone."""

from __future__ import annotations

import sys

import pytest

from musicgpt import hub_code
from musicgpt.hub_code import CannotJoin, Joined

SOURCES = {
    "toy/first.py": '"""The first."""\n\nfrom math import pi\n\nSIZE = 1\n_TABLE = {k: k for k in range(3)}\n'
    "\n\ndef area(r):\n    return SIZE * pi * r\n",
    "toy/second.py": '"""The second."""\n\nfrom .first import SIZE as ONE\nfrom .first import area\n\nSIZE = ONE + 1\n'
    "\n\nclass Circle:\n    def area(self, SIZE_=SIZE):\n        return area(SIZE_) + self.k\n\n    k = _k = 5\n",
    "toy/third.py": "from .passed_on import Circle\n\nSIZE = 3\nresult = (Circle().area(), SIZE)\n",
    "toy/passed_on.py": "from .second import Circle\n",
    "toy/argument.py": "from .first import area\n\n\ndef SIZE():\n    pass\n\n\ndef f(SIZE):\n    return area(SIZE)\n",
    "toy/lost.py": "from pathlib import Path\n\nHERE = Path(__file__)\n",
}


@pytest.fixture(autouse=True)
def toy(tmp_path, monkeypatch):
    (tmp_path / "toy").mkdir()
    for name, text in SOURCES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(hub_code, "ROOT", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in ("toy", "joined")]:
        del sys.modules[name]


@pytest.mark.parametrize("place", [lambda _: "one", lambda name: "one" if name < "toy.t" else "two"])
def test_names_that_meet_are_told_apart(place, tmp_path):
    (tmp_path / "joined").mkdir()
    (tmp_path / "joined/__init__.py").touch()
    joined = Joined(["toy.third"], ["toy"], place, {"one": "Some.", "two": "Others."})
    joined.write(tmp_path / "joined")
    from importlib import import_module

    alone, together = import_module("toy.third"), import_module(f"joined.{place('toy.third')}")
    assert together.result == alone.result
    assert set(joined.modules) == {"toy.first", "toy.second", "toy.third"}


def test_what_nothing_uses_is_left_out_with_what_is_said_of_it(tmp_path):
    lonely = "\n\n# Of the lonely.\n@cache\ndef lonely():\n    return other()\n\n\ndef other():\n    return area(2)\n"
    (tmp_path / "toy/first.py").write_text("from functools import cache\n" + SOURCES["toy/first.py"] + lonely)
    [text] = Joined(["toy.third"], ["toy"], lambda _: "one", {"one": "x"}).files().values()
    assert "def area" in text and "_TABLE" in text and "from math import pi" in text
    assert not any(word in text for word in ("lonely", "other", "cache"))
    [text] = Joined(["toy.first"], ["toy"], lambda _: "one", {"one": "x"}).files().values()
    assert "@cache" in text and "def other" in text  # of an entry everything stays


@pytest.mark.parametrize(("module", "words"), [("argument", "argument SIZE"), ("lost", "read_table")])
def test_what_cannot_be_joined_is_said(module, words):
    with pytest.raises(CannotJoin, match=words):
        Joined([f"toy.{module}"], ["toy"], lambda _: "one", {"one": "x"}).files()
