"""The examples of docs/rules.md do what the page says."""

from __future__ import annotations

from tests.readme_blocks import blocks


def test_the_examples_run(repo_root):
    space: dict = {}
    code = [block.code for block in blocks(repo_root / "docs" / "rules.md") if block.language == "python"]
    assert len(code) == 3
    for text in code:
        exec(text, space)
