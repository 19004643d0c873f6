"""Recipes, overrides, help and contradictions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import training
from training.arguments import GROUPS, Arguments, build_parser, field_help, parse_arguments
from training.errors import ArgumentsError

RECIPES = sorted((Path(training.__file__).parent / "configs").glob("*.yaml"))


def test_every_field_has_its_docstring_as_help():
    text = build_parser().format_help()
    for group in GROUPS.values():
        helps = field_help(group)
        for item in dataclasses.fields(group):
            assert helps[item.name], f"{group.__name__}.{item.name} has no docstring"
            assert f"--{item.name}" in text
    assert "Peak learning rate of AdamW" in text


def test_overrides_win_over_the_recipe(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("fit: {learning_rate: 3e-4, betas: [0.9, 0.95]}\nrun: {mixed_precision: no}\n")
    words = ["--learning-rate", "2e-3", "--config_overrides", "{hidden_size: 64}", "--trackers", "[a, b]"]
    arguments = parse_arguments(["--config", str(recipe), *words])
    assert arguments.fit.learning_rate == 2e-3
    assert arguments.fit.betas == (0.9, 0.95)
    assert arguments.run.mixed_precision == "no"
    assert arguments.run.trackers == ["a", "b"]
    assert arguments.model.config_overrides == {"hidden_size": 64}
    assert Arguments.from_dict(arguments.to_dict()) == arguments


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipes_are_read(recipe):
    assert parse_arguments(["--config", recipe.stem]).run.output_dir.startswith("runs/")


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--learning_rat", "1"], ["learning_rat", "did you mean 'learning_rate'"]),
        (["--epochs", "many"], ["--epochs", "int", "'many'"]),
        (["--epochs", "1.5"], ["--epochs", "1.5"]),
        (["--epochs", "0"], ["--epochs is 0", "at least 1"]),
        (["--schedule", "linear"], ["--schedule", "cosine, wsd, constant"]),
        (["--private"], ["--private", "--push"]),
        (["--data", "a", "--scores", "b"], ["--data and --scores"]),
        (["--extra", "core", "--builder_config", "wtc"], ["--extra core", "--builder_config wtc-plus"]),
        (["--times", "{WTC: -1}"], ["--times", "between 0 and 100"]),
        (["--times", "{WTC: often}"], ["--times.WTC", "'often'"]),
        (["--micro_batch_size", "9"], ["--micro_batch_size 9", "--batch_size 8"]),
        (["--matrix_learning_rate", "1e-3"], ["--matrix_learning_rate", "--optimizer muon"]),
        (["--stop_on", "combined"], ["--stop_on combined", "--musical_every"]),
        (["--musical_every", "3", "--eval_every", "2"], ["--musical_every 3", "--eval_every 2"]),
        (["--musical_every", "1", "--model", "gpt2"], ["--musical_every", "--model musicgpt"]),
        (
            ["--musical_every", "1", "--loss_weight", "0.5"],
            ["--loss_weight 0.5", "--musical_weight 0.7", "add up to 1"],
        ),
        (
            ["--init_from", "shipped", "--config_overrides", "{hidden_size: 8}"],
            ["--init_from", "--config_overrides"],
        ),
        (["--schedule", "wsd", "--warmup_ratio", "0.8"], ["--warmup_ratio 0.8", "--decay_ratio 0.3"]),
        (["--context_notes", "24", "--length", "128"], ["--context_notes 24", "96 tokens", "--length 128"]),
        (["--context", "64"], ["--context 64", "--length 1024"]),
        (["--stages", "[{until: 0.5, pitch: 2}]"], ["Stage 1", "'pitch'", "transpose"]),
        (["--stages", "[{until: 0.5}]"], ["--stages", "[0.5]", "last must be 1"]),
        (["--stages", "[{octave: 2}]"], ["octave 2", "between 0 and 1"]),
        (["--config", "no-such-recipe"], ["no-such-recipe", "wtc"]),
    ],
)
def test_bad_arguments_are_refused_by_name(argv, words):
    with pytest.raises(ArgumentsError) as caught:
        parse_arguments(argv)
    for word in words:
        assert word in str(caught.value)


def test_further_pieces_are_named_in_a_list(tmp_path):
    for text, names in (
        ("all", ["all"]),
        ("none", []),
        ("[core, Leipzig chorales]", ["core", "Leipzig chorales"]),
    ):
        assert parse_arguments(["--extra", text]).data.extra == names
    assert parse_arguments([]).data.extra is None
    (tmp_path / "r.yaml").write_text("data: {extra: [organ], times: {WTC: 2, organ: 0.5}}")
    data = parse_arguments(["--config", str(tmp_path / "r.yaml")]).data
    assert (data.extra, data.times) == (["organ"], {"WTC": 2.0, "organ": 0.5})
    arguments = parse_arguments(["--config", str(tmp_path / "r.yaml")])
    assert Arguments.from_dict(arguments.to_dict()) == arguments


def test_bad_recipes_are_refused_by_name(tmp_path):
    for text, word in (
        ("fitt: {}", "'fit'"),
        ("fit: {epoch: 1}", "'epochs'"),
        ("- 1", "sections"),
        ("fit: [", "not YAML"),
    ):
        (tmp_path / "r.yaml").write_text(text)
        with pytest.raises(ArgumentsError, match=word):
            parse_arguments(["--config", str(tmp_path / "r.yaml")])


def test_the_command_ends_with_one_line_and_code_2(capsys):
    from training.__main__ import main

    assert main(["--epochs", "-3"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
