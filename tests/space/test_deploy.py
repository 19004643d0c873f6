"""The assembled folder: whole, without this repository, uploaded as it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from musicgpt.printing import can_print
from space.deploy import PACKAGES, assemble, main
from tokenization import MusicGPTError

# Imports what a visitor's request needs and tells from where each of our packages came.
PROBE = """
import json, sys
from dataclasses import replace
import musical_metrics
import space.page, space.api, space.rendering, space.welcome
from space.studio import Studio
from space.session import Session
from space.studio import Wish
from space.own import own_wish
from musicgpt import Settings
from musicgpt.given import Given, parse_melody
if __name__ == "__main__":
    studio = Studio()
    studio.load()
    session, wish = Session(), Wish(Settings(max_new_tokens=40, seed=1))
    tune = "C5/8 B4/16 C5/16 G4/8 Ab4/8 C5/4"
    around = Given.around(parse_melody(tune + " r/1 " + tune), (2, 2))
    free = replace(wish, settings=Settings(seed=1))
    for one in (own_wish(wish, "continue", text=tune), own_wish(free, "harmonise", text=tune),
                own_wish(replace(wish, settings=Settings(max_new_tokens=120, seed=1)), "fugue", text=tune),
                replace(free, given=around), wish):
        *_, view = studio.compose(one, session)
        assert set(view.files) >= {"mid", "musicxml", "png", "mp3"}, view.files
    names = ("tokenization", "modeling_musicgpt", "musical_metrics", "musicgpt", "space")
    print(json.dumps([sys.modules[name].__file__ for name in names] + [sorted(view.files)]))
    studio.close()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The Space as it is uploaded."""
    return assemble(tmp_path_factory.mktemp("deploy") / "space", "someone/fugues")


def test_header_and_files_are_what_spaces_read(folder):
    head = yaml.safe_load((folder / "README.md").read_text().split("---")[1])
    assert head["sdk"] == "gradio"
    assert f"gradio[mcp]=={head['sdk_version']}" in (folder / "requirements.txt").read_text()
    assert (folder / head["app_file"]).is_file()
    assert len(head["short_description"]) <= 60
    assert float(head["python_version"]) >= 3.11
    assert 'Client("someone/fugues")' in (folder / "README.md").read_text()
    assert "*.safetensors filter=lfs" in (folder / ".gitattributes").read_text()
    assert {"__pycache__/", "lib/"} <= set((folder / ".gitignore").read_text().splitlines())
    assert {path.name for path in folder.iterdir() if path.is_dir()} == set(PACKAGES)
    assert not list(folder.rglob("__pycache__"))
    assert (folder / "LICENSE").is_file()


def test_versions_are_the_tested_ones(folder, repo_root):
    tested = {
        line.strip().lower().replace("_", "-")
        for line in (repo_root / "constraints.txt").read_text().splitlines()
    }
    wanted = [
        line.lower().replace("_", "-").replace("[mcp]", "")
        for line in (folder / "requirements.txt").read_text().splitlines()
        if line and line[0] != "#"
    ]
    assert [line for line in wanted if line not in tested] == []
    assert all("==" in line for line in wanted)


def test_the_folder_stands_alone(folder, tmp_path):
    (tmp_path / "probe.py").write_text(PROBE)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, tmp_path / "probe.py"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,  # a busy machine
    )
    assert done.returncode == 0, done.stderr
    *homes, files = json.loads(done.stdout.splitlines()[-1])
    assert all(Path(home).is_relative_to(folder) for home in homes), homes
    assert files == sorted(["mid", "mp3", "musicxml", "png", *(["pdf"] if can_print() else [])])


def test_a_model_on_the_hub_takes_the_place_of_the_weights(tmp_path):
    out = assemble(tmp_path / "space", None, "someone/model")
    assert not list(out.rglob("*.safetensors"))
    assert 'MUSICGPT_MODEL", "someone/model"' in (out / "app.py").read_text()
    head = yaml.safe_load((out / "README.md").read_text().split("---")[1])
    assert head["models"] == head["preload_from_hub"] == ["someone/model"]
    compile((out / "app.py").read_text(), "app.py", "exec")


def test_nothing_is_overwritten_and_mistakes_are_said(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(MusicGPTError, match=r"mine\.txt"):
        assemble(tmp_path)
    assert main(["--dry-run", str(tmp_path)]) == 2
    assert main([]) == 2
    assert "--repo USER/NAME" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


class Hub:
    """Writes down what it is asked, in the place of the Hub."""

    def __init__(self):
        self.calls, self.files = [], set()

    def create_repo(self, repo, **options):
        self.calls.append(("create", repo, options))
        return f"https://huggingface.co/spaces/{repo}"

    def upload_folder(self, **options):
        self.calls.append(("upload", options["repo_id"], options))
        self.files = {path.name for path in Path(options["folder_path"]).iterdir()}


def test_upload_makes_a_gradio_space_and_sends_the_folder(monkeypatch, capsys):
    hub = Hub()
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    assert main(["--repo", "someone/fugues", "--private"]) == 0
    assert capsys.readouterr().out.strip().endswith("/spaces/someone/fugues")
    [(first, repo, made), (second, _, sent)] = hub.calls
    assert (first, second, repo) == ("create", "upload", "someone/fugues")
    assert (made["repo_type"], made["space_sdk"], made["private"]) == ("space", "gradio", True)
    assert (sent["repo_type"], sent["delete_patterns"]) == ("space", "*")  # what is no longer there goes
    assert {"app.py", "README.md", *PACKAGES} <= hub.files
