"""Each thing that leaves this repository, tried alone in a new environment in which the project is not
installed.

    python tests/fresh/verify_exports.py [--only model] [--source SCORES] [--keep DIR]

`musicgpt export all` writes the four folders for the Hub, `python -m build` the wheel. Then, one environment
after the other:

* model: torch and transformers, `trust_remote_code=True`: `AutoModelForCausalLM` and `AutoTokenizer`, the
  pipeline;
* dataset: datasets, `load_dataset`;
* metric: what its requirements.txt says, `evaluate.load`;
* space: what its requirements.txt says, `python app.py`: the page, one call of each ability, and a tool by MCP;
* wheel: what it asks for itself, `musicgpt generate` in another folder.

Every one needs a package index (or a cache) for the installation alone; what is then run has no network where
`unshare` is allowed, and the Hub is off for all. Not part of the suite: some minutes and 2 GB of disk, given
back at the end.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from environment import ROOT, Environment, Failed, Report, call

_ALONE = """
import importlib.util as u
there = [n for n in ("musicgpt", "tokenization", "modeling_musicgpt", "dataset_builder") if u.find_spec(n)]
assert not there, f"the project can be imported: {there}"
"""
_MODEL = """
import torch, transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline
tokenizer = AutoTokenizer.from_pretrained("model", trust_remote_code=True)
model = AutoModelForCausalLM.from_pretrained("model", trust_remote_code=True)
torch.manual_seed(0)
ids = torch.tensor([tokenizer.prefix(mode="minor", form="fugue", meter="4/4", voices=3)])
output = model.generate(ids, max_new_tokens=400, do_sample=True)[0].tolist()
score = tokenizer.decode_score(output, key="d minor")
assert len(score) > 50, score
text = pipeline("text-generation", model="model", trust_remote_code=True)("MODE_minor METER_3/4 ", max_new_tokens=80, do_sample=True)[0]["generated_text"]
assert text.count("NOTE_") > 10, text
print(f"transformers {transformers.__version__}, generate: {len(score)} notes in {score.key}; pipeline: {text.count('NOTE_')} notes")
"""
_DATASET = """
import datasets
found = datasets.load_dataset("dataset")
assert found["train"].num_rows and "input_ids" in found["train"].column_names, found
first = found["train"][0]["input_ids"]
assert all(0 <= i < 150 for i in first)
print(f"datasets {datasets.__version__}, splits", {name: split.num_rows for name, split in found.items()}, "first row", len(first), "tokens")
"""
_METRIC = """
import sys, evaluate, glob
metric = evaluate.load("musical_metrics")
results = metric.compute(predictions=sorted(glob.glob("scores/*")), form="prelude")
assert 0 <= results["musical_score"] <= 100
print(f"evaluate {evaluate.__version__}, musical score {results['musical_score']:.1f}, held-out Bach {results['reference_score']:.1f}, {len(results)} values")
"""
_SPACE = """
import asyncio, os, sys, time
from gradio_client import Client, handle_file
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
client, told = Client(sys.argv[1], verbose=False), []
def ask(name, *given, **named):
    begun = time.monotonic()
    answer = client.predict(*given, api_name=name, **named)
    files = [path for path in answer if isinstance(path, str)] if isinstance(answer, (tuple, list)) else []
    assert all(os.path.getsize(path) > 200 for path in files), files
    told.append(f"{name} {time.monotonic() - begun:.1f} s")
    return answer
piece = ask("/compose", key="D minor", form="fugue", voices="3", bars="8", seed=7)
assert [os.path.splitext(path)[1] for path in piece[:4]] == [".mid", ".musicxml", ".png", ".mp3"], piece
own = handle_file(piece[1])
tune = "C5/8 B4/16 C5/16 G4/8 Ab4/8 C5/4"
assert ask("/compose", subject=tune, max_tokens=240, seed=7)[4]["given_notes"] == 6
assert ask("/continue", own, bars=2, max_tokens=200, seed=7)[4]["given_notes"] > 10
assert ask("/harmonize", melody="C5/4 D5/4 Eb5/2", part="soprano", voices="4", seed=7)[4]["given_notes"] == 3
assert ask("/revise", own, first_bar=2, last_bar=3, voices="2", seed=7)[4]["notes"]
assert ask("/perform", own, "organ", "wav")[3].endswith(".wav")
assert 0 <= ask("/assess", own)["value"] <= 100
async def as_tools():
    async with streamable_http_client(sys.argv[1] + "/gradio_api/mcp/") as (read, write, _), ClientSession(read, write) as session:
        await session.initialize()
        tools = [tool.name for tool in (await session.list_tools()).tools]
        answer = await session.call_tool("compose", {"max_tokens": 80, "seed": 4})
        assert not answer.isError, answer
        return tools
tools = asyncio.run(as_tools())
assert len(tools) == 6, tools
print("; ".join(told) + f"; MCP: {len(tools)} tools, compose called")
"""
_WHEEL = """
import json, sys
from pathlib import Path
from musicgpt.cli.main import main
import musicgpt
assert "site-packages" in musicgpt.__file__, musicgpt.__file__
assert main(["generate", "--key", "d minor", "--form", "fugue", "--seed", "7", "--max-new-tokens", "400", "--out", "pieces"]) == 0
assert {p.suffix for p in Path("pieces").iterdir()} >= {".mid", ".musicxml", ".png"}
"""


@functools.cache
def without_network() -> list[str]:
    """The words before a command that take the network from it; none where the machine does not allow
    that.
    """
    words = ["unshare", "--map-root-user", "--net"]
    allowed = (
        shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True).returncode == 0
    )
    return words if allowed else []


def in_environment(environment: Environment, code: str, cwd: Path) -> str:
    """Run Python code without network; its last line."""
    python = str(environment.binaries / "python")
    return (
        call([*without_network(), python, "-c", code], cwd=cwd, env=environment.variables())
        .strip()
        .splitlines()[-1]
    )


def write_folders(hub: Path, source: str) -> str:
    """The four folders, and beside them some scores for the metric; what `musicgpt export` says."""
    (hub / "scores").mkdir(parents=True)
    for path in sorted((ROOT / "space" / "examples").glob("*.m*")):
        shutil.copy2(path, hub / "scores")
    return call(
        [sys.executable, "-m", "musicgpt.cli", "export", "all", "--source", source, "--out", str(hub)],
        cwd=ROOT,
    )


def check_model(environment: Environment, hub: Path) -> str:
    """Loads by `trust_remote_code` with torch and transformers alone."""
    number = environment.install("torch", "transformers")
    return f"{number} distributions; " + in_environment(environment, _ALONE + _MODEL, hub)


def check_dataset(environment: Environment, hub: Path) -> str:
    """Loads with datasets alone."""
    number = environment.install("datasets")
    return f"{number} distributions; " + in_environment(environment, _ALONE + _DATASET, hub)


def check_metric(environment: Environment, hub: Path) -> str:
    """Loads with its own requirements."""
    number = environment.install("-r", str(hub / "musical_metrics" / "requirements.txt"))
    return f"{number} distributions; " + in_environment(environment, _ALONE + _METRIC, hub)


def check_space(environment: Environment, hub: Path) -> str:
    """Starts with its own requirements, shows the page and does each thing that it can, once."""
    number = environment.install("-r", str(hub / "space" / "requirements.txt"))
    return f"{number} distributions; {serve_space(environment, hub)}"


def serve_space(environment: Environment, hub: Path) -> str:
    """Start the Space's folder where its requirements are, and ask it for everything; what it said."""
    environment.python(_ALONE, hub)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    variables = environment.variables(GRADIO_SERVER_PORT=str(port), GRADIO_SERVER_NAME="127.0.0.1")
    log = hub / "space.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [str(environment.binaries / "python"), "app.py"],
            cwd=hub / "space",
            env=variables,
            stdout=output,
            stderr=output,
        )
    try:
        begun = time.monotonic()
        while not (page := _page(address)):
            if server.poll() is not None or time.monotonic() - begun > 300:
                raise Failed(f"the Space did not start:\n{log.read_text()[-4000:]}")
            time.sleep(1)
        ready = time.monotonic() - begun
        asked = call([str(environment.binaries / "python"), "-c", _SPACE, address], cwd=hub, env=variables)
    finally:
        server.terminate()
        server.wait(60)
    return f"GET / answers after {ready:.1f} s with {len(page):,} bytes; {asked.strip().splitlines()[-1]}"


def _page(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return answer.read()
    except OSError:
        return b""


def check_wheel(environment: Environment, hub: Path) -> str:
    """Builds from a copy of what git tracks, installs with its own dependencies, generates in another
    folder.
    """
    clone = hub / "clone"
    call(["git", "clone", "--quiet", str(ROOT), str(clone)])
    environment.install("build", "twine")
    said = call(
        [str(environment.binaries / "python"), "-m", "build", str(clone)], env=environment.variables()
    )
    warnings = [line for line in said.splitlines() if "warning" in line.lower() or "deprecat" in line.lower()]
    call(
        [str(environment.binaries / "twine"), "check", "--strict", *map(str, (clone / "dist").iterdir())],
        env=environment.variables(),
    )
    [wheel] = (clone / "dist").glob("*.whl")
    with Environment(environment.folder / "plain") as plain:
        number = plain.install(str(wheel))
        composed = in_environment(plain, _WHEEL, hub)
    return (
        f"{wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB, {len(warnings)} warnings; {number}"
        f" distributions; {composed}"
    )


CHECKS = {
    "model": check_model,
    "dataset": check_dataset,
    "metric": check_metric,
    "space": check_space,
    "wheel": check_wheel,
}


def main() -> int:
    """Run the checks; 1 if one failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", action="append", choices=CHECKS, help="this one alone; may be given several times"
    )
    parser.add_argument(
        "--source",
        default=str(ROOT / "space" / "examples"),
        help="scores for the data set; the Space's examples when not given",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="work there and leave the folders; a new folder"
    )
    given = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory() as scratch:
        place = given.keep or Path(scratch)
        hub = place / "hub"
        print(f"without network: {'yes' if without_network() else 'not allowed here'}")
        report.line(
            "export",
            " | ".join(write_folders(hub, given.source).strip().splitlines()[-4:]).replace(str(place), "."),
        )
        for name in given.only or CHECKS:
            try:
                with Environment(place / f"environment-{name}") as environment:
                    report.line(name, CHECKS[name](environment, hub))
            except Failed as error:
                report.line(name, str(error), failed=True)
    print("all good" if not report.failed else f"{report.failed} failed")
    return int(report.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
