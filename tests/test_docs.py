"""What the documentation says is what the code does, and its links lead somewhere."""

from __future__ import annotations

import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

_PARTS = (
    ("token embedding", r"model\.embed_tokens"),
    ("tick in the bar", r"musical_embedding\.bar"),
    ("prefix", r"musical_embedding\.wish"),
    ("what each voice", r"musical_embedding\.voice"),
    ("melodic interval", r"musical_embedding\.interval"),
    ("motifs", r"musical_embedding\.motif"),
    ("attention", r"self_attn"),
    ("feed-forward", r"\.mlp\."),
    ("layer norms", r"norm"),
    ("melodic head", r"melodic_head"),
    ("imitation head", r"imitation_head"),
)


def test_the_table_of_parameters_is_what_the_model_has(repo_root):
    from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM

    model = MusicGPTForCausalLM(MusicGPTConfig())
    counted: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        counted[next(part for part, pattern in _PARTS if re.search(pattern, name))] += parameter.numel()
    text = (repo_root / "docs" / "model.md").read_text()
    rows = {
        label: int(count.replace(",", ""))
        for label, count in re.findall(r"^\| ([^|*]+) \| ([\d,]+) \|$", text, re.MULTILINE)
    }
    assert sum(rows.values()) == model.num_parameters()
    for label, count in rows.items():
        assert counted[next(part for part, _ in _PARTS if label.startswith(part))] == count, label
    assert f"**{model.num_parameters():,}**" in text
    drawing = (repo_root / "docs" / "images" / "model.svg").read_text()
    for label, count in rows.items():
        # The blocks are drawn once, for four; layer norms are drawn without their number.
        shown = f"4 × {count // 4:,}" if label in ("attention", "feed-forward") else f"{count:,}"
        assert shown in drawing or label == "layer norms", label
    assert f"{model.num_parameters():,} in all" in drawing


@pytest.mark.parametrize(
    "package", ["tokenization", "modeling_musicgpt", "musical_metrics", "dataset_builder", "musicgpt"]
)
def test_the_reference_has_every_public_name(package, repo_root):
    written = re.findall(r"^::: (\S+)$", (repo_root / "docs" / "reference.md").read_text(), re.MULTILINE)
    offered = import_module(package)
    for name in offered.__all__:
        value = getattr(offered, name)
        home = getattr(value, "__module__", None)
        assert name == "__version__" or any(
            w == home or w == f"{home}.{name}" or (w.startswith(f"{package}.") and w.endswith(f".{name}"))
            for w in written
        ), name


def test_the_table_of_moods_is_the_code_s(repo_root):
    from musicgpt import MOODS

    text = (repo_root / "docs" / "quickstart.md").read_text()
    for name, mood in MOODS.items():
        assert f"| `{name}` | {mood.mode} | {mood.tempo} | {mood.temperature} | {mood.top_p} |" in text


def _pages() -> list[Path]:
    root = Path(__file__).resolve().parent.parent
    names = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE-WEIGHTS.md")
    return [*sorted((root / "docs").glob("*.md")), *(root / name for name in names)]


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """To files, and to headings of the page itself."""
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith(("http", "mailto:")):
            assert (page.parent / target.split("#")[0]).exists(), target
