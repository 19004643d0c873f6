"""The page's words: both languages say the same things, and what the server says has a Spanish form."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from musical_metrics.catalogue import BY_NAME
from musicgpt import MOODS
from musicgpt.frame import refuse_long_subject
from musicgpt.given import Given, parse_melody
from space import words
from space.assets import STATIC
from space.controls import PRESETS, musical_choices, settings_from
from space.report import assess, report_html
from space.studio import describe
from space.welcome import load_welcome
from space.words import MESSAGES, language_of, translated
from tokenization import MusicGPTError, Score

from .conftest import make_score


def holes(text: str) -> list[str]:
    """What changes in a phrase."""
    return sorted(re.findall(r"\{(\w+)\}", text))


def test_both_languages_have_the_same_phrases():
    words = json.loads((STATIC / "words.json").read_text("utf-8"))
    assert words["en"].keys() == words["es"].keys()
    pairs = [(english, words["es"][key]) for key, english in words["en"].items()]
    pairs += [
        pair for phrases in json.loads(MESSAGES.read_text("utf-8")).values() for pair in phrases.items()
    ]
    assert [pair for pair in pairs if holes(pair[0]) != holes(pair[1])] == []


def test_the_language_is_that_of_the_request():
    asked = {"es-ES,es;q=0.9,en;q=0.8": "es", "fr, en": "en", "fr;q=1, es;q=.5": "es", None: "en", "": "en"}
    assert {header: language_of(header) for header in asked} == asked


def test_a_phrase_is_found_with_what_changes_in_it():
    line = describe(load_welcome())
    assert translated(line, "en") == line
    assert re.match(r"Fuga en do menor, 3 voces · \d+ notas · \d+ compases · ", translated(line, "es"))
    waiting = "Composing candidate 2 of 3: 1 note, 2 bars · 10% of 1,000 tokens · you hear candidate 1"
    assert translated(waiting, "es") == (
        "Componiendo la candidata 2 de 3: 1 nota, 2 compases · 10% de 1,000 tokens · se oye la candidata 1"
    )
    assert translated("what nobody has translated", "es") == "what nobody has translated"


def test_phrases_are_read_as_by_an_expression():
    """Every hole as short as can be, also where what stands between holes comes in them."""
    for phrase in words._phrases("es"):
        joints = [re.escape(part) for part in phrase.around]
        holes = [f"(?P<{name}>.+?)" for name in phrase.names]
        expression = re.compile("".join(a + b for a, b in zip(joints, [*holes, ""], strict=True)))
        for fillings in (["7"] * len(holes), [*(f"a{part}b" for part in phrase.around[1:])]):
            text = "".join(a + b for a, b in zip(phrase.around, [*fillings, ""], strict=True))
            found = expression.fullmatch(text)
            assert phrase.values(text) == (found and found.groupdict()), text
        assert phrase.values("".join(phrase.around)) is None


def test_what_a_visitor_writes_holds_nobody_up():
    """With an expression a thousand characters of this took half a minute."""
    text = "Bars 1" + " to " * 30_000 + " are not there: the piece has bars 1" + " to " * 30_000
    assert translated(text, "es").endswith(" to " * 9)
    nested = "Fugue in " * 5_000
    assert translated(nested, "es").count("Fuga en ") <= words.DEEPEST + 1


def test_all_that_can_be_chosen_or_measured_has_a_spanish_name():
    texts = [text for entry in BY_NAME.values() for text in (entry.title, entry.unit)]
    texts += [*PRESETS, *(mood.description for mood in MOODS.values())]
    half = re.compile(r"\b(of|the|from|to)\b")  # a part of it was found as a phrase of its own
    missing = {t for t in texts if translated(t, "es") == t or half.search(translated(t, "es"))}
    assert not missing, "these want a line in space/messages.json"
    choices = musical_choices("es")
    assert ("fuga", "fugue") in choices["form"]
    assert ("mi bemol menor", "Eb minor") in choices["key"]
    same = {
        "any" if value == "any" else words
        for name in choices
        for words, value in choices[name]
        if words == value
    }
    assert all(re.fullmatch(r"\d+(/\d+)?", words) for words in same)
    assert "Aquí aparecen las cifras" in report_html(None, "es")


JARGON = re.compile(
    r"split|held-out|entropy|bits|nats|ratio|window|hash|index|pitch class|metric|entrop|ventana"
)


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_report_speaks_a_musicians_language(language):
    html = report_html(assess(make_score()), language) + report_html(
        assess(Score([(0, 24, 60, 0)], key="C major")), language
    )
    texts = re.sub(r"<[^>]*>", " ", re.sub(r'title="([^"]*)"', r">\1<", html))
    texts += " ".join(translated(e, language) for m in BY_NAME.values() for e in (m.title, m.unit))
    texts += translated("Nearest Bach passage: no run of 9 notes is shared with the train split.", language)
    texts += translated(
        "compared with 8 held-out fugues, first 9 notes; too regular counts like too wild", language
    )
    assert JARGON.findall(texts) == []


def test_a_key_is_written_in_one_way():
    for key in ("C# minor", "C-sharp minor", "C♯ minor"):
        assert translated(key, "en") == "C♯ minor" and translated(key, "es") == "do sostenido menor"
        title = f"Fugue in {key}, 3 voices, continued · 9 notes"
        assert translated(title, "en") == "Fugue in C♯ minor, 3 voices, continued · 9 notes"
        nearest = (
            f"Nearest Bach passage: 9 notes of fugue BWV 849 ({key}, Book 1), bar 3 (here bar 5, voice 1)."
        )
        assert "(C♯ minor, Book 1)" in translated(nearest, "en")
        assert "(do sostenido menor, libro 1)" in translated(nearest, "es")
        assert settings_from(key=key).key == "C# minor"
    assert translated("Prelude in E-flat major", "en") == "Prelude in E♭ major"
    assert ("E♭ minor", "Eb minor") in musical_choices("en")["key"]
    assert translated("Ab4/16 or F#4/4.", "en") == "Ab4/16 or F#4/4."


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: parse_melody("H4"),
        lambda: parse_melody("C4/7"),
        lambda: Given.melody(parse_melody("C4/4 D4/4"), "kazoo"),
        lambda: Given.subject(parse_melody("C4/4")),
        lambda: Given.subject(parse_melody("C5/4 " * 300)),
        lambda: refuse_long_subject(100, 400),
        lambda: settings_from(voices="x"),
        lambda: settings_from(temperature=99.0),
        lambda: settings_from(key="H major"),
    ],
)
def test_mistakes_are_told_in_spanish(mistake):
    with pytest.raises(MusicGPTError) as error:
        mistake()
    assert translated(str(error.value), "es") != str(error.value)


# Where what a visitor sends is read, and where it is worked on.
READ = ("midi_reader", "musicxml_file", "musicxml_reader", "parts", "reading")
WORKED_ON = ("changes", "controls", "engraving", "own", "rendering", "studio", "turns", "quota")
# What a model's folder alone says, and what names a path of the server.
ELSEWHERE = ("Files that end in ", "Cannot read ", "file: ")


def refusals(path: Path) -> Iterator[tuple[str, str]]:
    """The texts of the errors that a module raises, with two ways to fill what changes in them."""

    def text(node: ast.AST, hole: str) -> str:
        if isinstance(node, ast.JoinedStr):
            return "".join(text(part, hole) for part in node.values)
        return str(node.value) if isinstance(node, ast.Constant) else hole

    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        raised = node.exc if isinstance(node, ast.Raise) else None
        if not isinstance(raised, ast.Call) or not raised.args or not isinstance(raised.func, ast.Name):
            continue
        if raised.func.id.endswith("Error") and raised.func.id not in ("ValueError", "TypeError"):
            yield text(raised.args[0], "file"), text(raised.args[0], "s")


def test_every_refusal_has_a_spanish_form(repo_root):
    paths = [repo_root / "tokenization" / f"{name}.py" for name in READ]
    paths += [repo_root / "space" / f"{name}.py" for name in WORKED_ON] + [
        repo_root / "musicgpt" / "given.py"
    ]
    found = [texts for path in paths for texts in refusals(path)]
    assert len(found) > 60
    assert [
        texts[0]
        for texts in found
        if all(translated(text, "es") == text for text in texts) and not texts[0].startswith(ELSEWHERE)
    ] == []
