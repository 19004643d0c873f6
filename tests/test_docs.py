"""What the documentation says is what the code does, and its links lead somewhere."""

from __future__ import annotations

import re
from collections import Counter

import pytest

_PARTS = (
    ("token embedding", r"model\.embed_tokens"),
    ("tick in the bar", r"musical_embedding\.bar"),
    ("what each voice", r"musical_embedding\.voice"),
    ("melodic interval", r"musical_embedding\.interval"),
    ("motifs", r"musical_embedding\.motif"),
    ("attention", r"self_attn"),
    ("feed-forward", r"\.mlp\."),
    ("layer norms", r"norm"),
    ("melodic head", r"melodic_head"),
)


def test_the_table_of_parameters_is_what_the_model_has(repo_root):
    from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM

    model = MusicGPTForCausalLM(MusicGPTConfig())
    counted: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        counted[next(part for part, pattern in _PARTS if re.search(pattern, name))] += parameter.numel()
    text = (repo_root / "docs" / "model.md").read_text()
    rows = {label: int(count.replace(",", "")) for label, count in re.findall(r"^\| ([^|*]+) \| ([\d,]+) \|$", text, re.MULTILINE)}
    assert sum(rows.values()) == model.num_parameters()
    for label, count in rows.items():
        assert counted[next(part for part, _ in _PARTS if label.startswith(part))] == count, label
    assert f"**{model.num_parameters():,}**" in text


def test_the_table_of_moods_is_the_code_s(repo_root):
    from musicgpt import MOODS

    text = (repo_root / "docs" / "quickstart.md").read_text()
    for name, mood in MOODS.items():
        assert f"| `{name}` | {mood.mode} | {mood.tempo} | {mood.temperature} | {mood.top_p} |" in text


def _pages() -> list:
    from pathlib import Path

    root = Path(__file__).resolve().parent.parent
    return [*sorted((root / "docs").glob("*.md")), root / "CONTRIBUTING.md", root / "SECURITY.md", root / "LICENSE-WEIGHTS.md"]


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.name)
def test_links_between_files_lead_somewhere(page):
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http", "#", "mailto:")):
            assert (page.parent / target.split("#")[0]).exists(), target
