"""Builds the engine's library with the package; everything else stands in pyproject.toml.

Where no C++ compiler is installed the one in the `ziglang` package is fetched for the build. Without either
the package installs all the same, and generates without the engine.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

_FILE = Path(__file__).resolve().parent / "musicgpt" / "engine" / "build.py"
# not by its name: that would import torch
_spec = importlib.util.spec_from_file_location("engine_build", _FILE)
engine = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(engine)


class BuildWithEngine(build_py):
    """Copies the Python files, and builds the library beside them: in the checkout itself for an editable
    installation.
    """

    def run(self) -> None:
        super().run()
        inside = engine.LIBRARY.relative_to(_FILE.parents[2])
        out = engine.LIBRARY if self.editable_mode else Path(self.build_lib).resolve() / inside
        try:
            if not engine.is_current(out):
                engine.build(out)
        except (engine.BuildError, OSError) as error:
            out.unlink(missing_ok=True)
            self.warn(f"The engine was not built, and generate() will run without it: {error}")


class PlatformWheel(bdist_wheel):
    """A wheel for one platform and every Python: the library does not use Python's own interface."""

    def get_tag(self) -> tuple[str, str, str]:
        return ("py3", "none", super().get_tag()[2])


class PlatformDistribution(Distribution):
    """Says that not everything in it is Python."""

    def has_ext_modules(self) -> bool:
        return True


setup(
    cmdclass={"build_py": BuildWithEngine, "bdist_wheel": PlatformWheel},
    distclass=PlatformDistribution,
    setup_requires=[] if engine.compilers() or engine.machine() not in engine.LEVELS else ["ziglang>=0.13"],
)
