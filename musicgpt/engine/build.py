"""Builds the engine's library: `python -m musicgpt.engine.build`, and by itself when the package is
installed.

One C++ file is compiled once for each level of instructions that the target may have, and linked to one
shared library without Python's own interface, so that one library serves every Python. The system's C++
compiler does it, else the one in the `ziglang` package.

    python -m musicgpt.engine.build                          # for this computer, beside the sources
    python -m musicgpt.engine.build --target aarch64-linux-gnu --out /tmp/engine   # for another one, by zig

This file uses the standard library only and is run by `setup.py`, where nothing else is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / "src"
# CDLL takes any name on every system
LIBRARY = Path(__file__).resolve().parent / "lib" / "musicgpt_engine.so"
# Levels of instructions by processor, the best first, each with the compiler's options for it.
LEVELS = {
    "x86_64": {
        "avx512": "-mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma -mf16c",
        "avx2": "-mavx2 -mfma -mf16c",
        "base": "",
    },
    "aarch64": {"base": ""},
}
_OTHER_NAMES = {"amd64": "x86_64", "arm64": "aarch64"}
# No -ffast-math: NaN and infinity must stay what they are. The sums that matter are written as vectors.
OPTIONS = (
    "-std=gnu++17 -O3 -fPIC -fvisibility=hidden -fno-exceptions -fno-rtti -fno-math-errno -fno-trapping-math"
    " -ffp-contract=fast "
    "-Wall -Wextra -Wno-maybe-uninitialized"  # GCC warns of its own header for AVX-512
)
_TIMEOUT_S = 600
_SEAL_SIZE = 64


class BuildError(Exception):
    """The library cannot be built here; the message says why."""


def compilers() -> list[list[str]]:
    """The commands that may compile C++ here, in the order in which they are tried: `CXX`, the system's,
    zig's.
    """
    found = [os.environ["CXX"].split()] if os.environ.get("CXX") else []
    found += [[path] for name in ("c++", "g++", "clang++") if (path := shutil.which(name))]
    return found + ([zig()] if importlib.util.find_spec("ziglang") else [])


def zig(target: str | None = None) -> list[str]:
    """The command of the `ziglang` package. On Linux it builds for glibc 2.17, which every distribution in
    use has.
    """
    if target is None and sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        target = f"{machine()}-linux-gnu.2.17"
    return [
        sys.executable,
        "-m",
        "ziglang",
        "c++",
        *(("-target", target) if target else ()),
        "-fno-sanitize=undefined",
    ]


def machine() -> str:
    """The processor of this computer, as `LEVELS` names it."""
    name = platform.machine().lower()
    return _OTHER_NAMES.get(name, name)


def source_hash() -> str:
    """Names the sources and options that a library is made of; the library holds it."""
    digest = hashlib.sha256(repr((OPTIONS, LEVELS)).encode())
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def is_current(path: Path = LIBRARY) -> bool:
    """Whether the library at `path` was built of the present sources, and is whole."""
    if not path.is_file():
        return False
    data = path.read_bytes()
    code, seal = data[:-_SEAL_SIZE], data[-_SEAL_SIZE:]
    return source_hash().encode() in code and seal == _seal(code)


def _seal(code: bytes) -> bytes:
    """What stands behind the code of a library, where no loader looks: damaged code would end the process."""
    return hashlib.sha256(code).hexdigest().encode()


def build(out: Path = LIBRARY, target: str | None = None) -> Path:
    """Compiles and links the library; it stands at `out` whole or not at all.

    Args:
        out (`pathlib.Path`): the file.
        target (`str`, *optional*): as zig names it, such as `aarch64-linux-gnu`; this computer if not given.

    Raises:
        BuildError: if no compiler is there, or none can do it, with the last message of each.
    """
    processor = target.partition("-")[0] if target else machine()
    if processor not in LEVELS:
        raise BuildError(f"the engine knows no processor {processor!r}, only {', '.join(LEVELS)}")
    commands = [zig(target)] if target else compilers()
    if not commands:
        raise BuildError(
            "no C++ compiler was found: install one, or `pip install ziglang`, and run `python -m"
            " musicgpt.engine.build`"
        )
    failures = []
    for command in commands:
        try:
            return _build_with(command, LEVELS[processor], out)
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            failures.append(f"{' '.join(command)}: {said[0] if said else error}")
    raise BuildError("; ".join(failures))


def _build_with(command: list[str], levels: dict[str, str], out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as name:
        folder = Path(name)
        # zig keeps what it compiled; without a home there is no place for it.
        env = {
            "ZIG_GLOBAL_CACHE_DIR": str(folder / "zig"),
            "ZIG_LOCAL_CACHE_DIR": str(folder / "zig"),
            **os.environ,
        }

        # To link nothing of the C++ library is needed, and zig would build its own first.
        linker = ["cc" if word == "c++" and "ziglang" in command else word for word in command]

        def run(*arguments: str, by: list[str] = command) -> None:
            subprocess.run(
                [*by, *arguments], check=True, capture_output=True, text=True, timeout=_TIMEOUT_S, env=env
            )

        def compiled(source: str, name: str, *options: str) -> str:
            target = str(folder / name)
            run(*OPTIONS.split(), *options, "-c", str(SOURCES / source), "-o", target)
            return target

        objects = [
            compiled("level.cpp", f"{level}.o", *options.split(), f"-DLEVEL={level}")
            for level, options in levels.items()
        ]
        listed = " ".join(f"X({level})" for level in levels)
        described = f"-DLEVELS={listed}", f'-DSOURCE_HASH="{source_hash()}"'
        objects.append(compiled("exports.cpp", "exports.o", *described))
        run("-shared", "-s", *objects, "-lm", "-o", str(folder / out.name), by=linker)
        code = (folder / out.name).read_bytes()
        (folder / out.name).write_bytes(code + _seal(code))
        (folder / out.name).replace(out)
    return out


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m musicgpt.engine.build", description="Build the library of fast decoding."
    )
    parser.add_argument(
        "--out", type=Path, default=LIBRARY, help="the file (default: where the package looks for it)"
    )
    parser.add_argument(
        "--if-needed", action="store_true", help="leave a library of the present sources as it is"
    )
    parser.add_argument(
        "--target",
        help="another computer, as zig names it, such as aarch64-linux-gnu; needs the ziglang package",
    )
    args = parser.parse_args()
    if args.if_needed and is_current(args.out):
        return
    try:
        print(build(args.out, args.target))
    except BuildError as error:
        sys.exit(f"The engine cannot be built, and generate() runs without it: {error}")


if __name__ == "__main__":
    main()
