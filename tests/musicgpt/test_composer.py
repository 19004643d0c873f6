from __future__ import annotations

import re
import threading

import numpy as np
import pytest

from musicgpt import Composer, Settings, SettingsError
from musicgpt.rules import rule
from musicgpt.rules.asked import TIME_ZERO
from tokenization import Meter, MusicGPTError, Score, decode, encode, first_error
from tokenization.score import ONSET, PITCH
from tokenization.vocabulary import EOS_ID, TOKEN_TO_ID, TYPE_INDEX


@pytest.fixture(scope="module")
def prompt() -> Score:
    """Eight bars of 3/4 in D minor whose first note has a length and a pitch that no token has."""
    rows = [(0, 23, 20, 4)] + [(12 * i, 12, 62 + (i * 5) % 12, i % 3) for i in range(1, 48)]
    said = {"key": "D minor", "tempo": 92.5, "form": "fugue", "title": "A beginning"}
    return Score(rows, meters=[Meter(0, 3, 4)], source="beginning.mid", **said)


def test_a_piece_is_legal_and_in_the_key_and_meter_that_were_asked_for(composer):
    [piece] = composer.compose(
        Settings(key="F# minor", meter="6/8", form="fugue", voices=3, max_new_tokens=300, seed=5)
    )
    assert first_error(piece.ids) is None
    found = str(piece.score.key), piece.score.meters[0].name, piece.score.form
    assert found == ("F# minor", "6/8", "fugue")
    # The same ids read by the tokenizer's own decoder, moved to that key.
    expected = decode(piece.ids).score.in_key("F# minor")
    np.testing.assert_array_equal(piece.score.array, expected.array)
    assert piece.score.tempo and piece.num_prompt_notes == 0 and len(piece.score.meters) == 1


def test_piece_k_of_a_batch_is_the_piece_that_its_seed_makes_alone(composer):
    settings = Settings(max_new_tokens=200, seed=11)
    batch = composer.compose(settings, num=5)
    assert [p.seed for p in batch] == [11, 12, 13, 14, 15]
    assert len({tuple(p.ids) for p in batch}) == 5
    for piece in batch:
        [alone] = composer.compose(piece.settings)
        assert alone.ids == piece.ids


def test_without_a_seed_one_is_drawn_and_makes_the_piece_again(composer):
    [first] = composer.compose(Settings(max_new_tokens=60))
    [second] = composer.compose(Settings(max_new_tokens=60))
    assert first.seed != second.seed
    assert composer.compose(first.settings)[0].ids == first.ids


def test_sampling_settings_reach_the_sampling(composer):
    alone = Composer(composer.model, rules=False)  # a plan has its seed, too
    narrow = alone.compose(Settings(seed=1, top_k=1, max_new_tokens=80), num=3)
    # only the likeliest token is left: the seed cannot matter
    assert len({tuple(p.ids) for p in narrow}) == 1
    wide = alone.compose(Settings(seed=1, top_k=0, top_p=1, temperature=2, max_new_tokens=80), num=3)
    assert len({tuple(p.ids) for p in wide}) == 3


def test_a_continuation_leaves_the_prompt_as_it_is(composer, prompt):
    [piece] = composer.compose(Settings(seed=3, max_new_tokens=200), prompt=prompt)
    n = piece.num_prompt_notes
    assert n == len(prompt) and piece.num_new_notes > 0
    np.testing.assert_array_equal(piece.score.array[:n], prompt.array)
    assert piece.score.array[n, ONSET] > prompt.array[-1, ONSET]
    assert (piece.score.key, piece.score.tempo, piece.score.meters[0]) == (prompt.key, 92.5, prompt.meters[0])
    assert first_error(piece.ids) is None
    assert piece.ids[: 4 * n] == encode(prompt).tolist()[: 4 * n]
    assert piece.file_stem().startswith("beginning_continued_")


def test_of_a_prompt_longer_than_the_context_the_last_whole_bars_are_read(composer, prompt):
    rows = [(12 * i, 12, 60 + i % 12, i % 2) for i in range(900)]
    long = Score(rows, meters=[Meter(0, 3, 4), Meter(72 * 50, 4, 4)], key="A minor")
    [piece] = composer.compose(Settings(seed=1, max_new_tokens=100), prompt=long)
    assert len(piece.ids) <= composer.context
    np.testing.assert_array_equal(piece.score.array[:900], long.array)
    new = piece.score.array[900:, ONSET]
    assert len(new) and (new > long.array[-1, ONSET]).all()
    # What was read ends with the prompt's last note, and stands at the same place of the bar.
    read = decode(piece.ids).score
    first_new = read.array[len(read) - len(new), ONSET]
    assert (new[0] - first_new - 72 * 50) % 96 == 0


def test_a_key_given_with_a_prompt_says_what_key_the_prompt_is_in(composer):
    unkeyed = Score([(24 * i, 24, 62 + (2, 4, 5, 7)[i % 4], 0) for i in range(16)])
    [piece] = composer.compose(Settings(key="Bb major", seed=1, max_new_tokens=40), prompt=unkeyed)
    assert str(piece.score.key) == "Bb major"
    np.testing.assert_array_equal(piece.score.array[:16], unkeyed.array)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"settings": Settings(meter="4/4")}, "in 3/4"),
        ({"prompt_bars": 0}, "at least 1"),
        ({"num": 0}, "num is 0"),
    ],
)
def test_what_cannot_be_done_with_a_prompt_is_said(composer, prompt, arguments, words):
    with pytest.raises(MusicGPTError, match=words):
        composer.compose(prompt=prompt, **arguments)


def test_a_limit_that_leaves_no_room_for_a_note_is_refused_with_one_that_does(composer, prompt):
    # bars of six notes; the last one is moved so near to the bar line that no other can follow in its bar
    bars = prompt.first_bars(7)
    bars = bars.replace(notes=[*bars.notes[:-1], bars.notes[-1]._replace(onset=7 * 72 - 1)])
    with pytest.raises(
        MusicGPTError, match="max_new_tokens is 20, which leaves no room for a new note"
    ) as error:
        composer.compose(Settings(seed=3, max_new_tokens=20), prompt=bars, num=2)
    with pytest.raises(MusicGPTError, match="no room"):
        list(composer.stream(Settings(seed=3, max_new_tokens=20), prompt=bars))
    least = int(re.search(r"Give at least (\d+)", str(error.value))[1])
    assert all(
        piece.num_new_notes
        for piece in composer.compose(Settings(seed=3, max_new_tokens=least), prompt=bars, num=4)
    )


def test_a_piece_that_was_stopped_before_its_first_new_note_is_not_written(composer, prompt, tmp_path):
    stop = threading.Event()
    stop.set()
    stream = composer.stream(Settings(seed=2, max_new_tokens=900), prompt=prompt, stop=stop)
    assert list(stream) == [] and stream.composition.num_new_notes == 0
    with pytest.raises(MusicGPTError, match="no new note"):
        stream.composition.write(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_prompt_that_the_model_takes_for_a_whole_piece_says_so(composer, prompt, monkeypatch):
    monkeypatch.setattr(composer, "_generate", lambda *_, **__: [([TIME_ZERO, EOS_ID], [])])
    with pytest.raises(MusicGPTError, match="another seed, or keep less"):
        composer.compose(Settings(seed=1), prompt=prompt)
    for tokens, settings in (
        ([EOS_ID], Settings(seed=1)),
        ([TIME_ZERO] * 8, Settings(seed=1, max_new_tokens=8)),
    ):
        monkeypatch.setattr(composer, "_generate", lambda *_, tokens=tokens, **__: [(tokens, [])])
        with pytest.raises(MusicGPTError, match=r"without a note.*another seed.*more tokens"):
            composer.compose(settings)


def test_a_piece_without_a_new_note_does_not_take_the_others_with_it(composer, prompt, monkeypatch):
    whole, settings = composer._generate, Settings(seed=4, max_new_tokens=60)

    def all_but(empty):
        def made(task, settings, seeds, **others):
            rows = whole(task, settings, seeds, **others)
            nothing = ([TIME_ZERO, EOS_ID], [])
            return [nothing if seed in empty else row for seed, row in zip(seeds, rows, strict=True)]

        monkeypatch.setattr(composer, "_generate", made)

    three = composer.compose(settings, num=3, prompt=prompt)
    all_but({5})
    with pytest.warns(UserWarning, match=r"1 of 3 pieces have no new note: seed 5 left out.*another seed"):
        others = composer.compose(settings, num=3, prompt=prompt)
    assert [piece.seed for piece in others] == [4, 6]
    assert [piece.ids for piece in others] == [three[0].ids, three[2].ids]
    all_but({4, 5})
    with pytest.raises(SettingsError, match="without a new note"):
        composer.compose(settings, num=2, prompt=prompt)


def test_a_last_seed_that_is_too_large_is_refused_before_anything_is_composed(composer, monkeypatch):
    monkeypatch.setattr(composer.model, "generate", None)
    with pytest.raises(SettingsError, match="above 9223372036854775807"):
        composer.compose(Settings(seed=2**63 - 1), num=2)


@pytest.mark.parametrize("odd", [{"num": 1.5}, {"num": "2"}, {"prompt_bars": "1"}, {"prompt_bars": 1.5}])
def test_numbers_of_another_kind_are_refused(composer, prompt, odd):
    with pytest.raises(SettingsError, match=f"{next(iter(odd))} is"):
        composer.compose(Settings(seed=1, max_new_tokens=40), prompt=prompt, **odd)


def test_streaming_gives_the_notes_and_the_piece_that_compose_gives(composer, prompt):
    settings = Settings(seed=9, max_new_tokens=160)
    for given in (None, prompt):
        [piece] = composer.compose(settings, prompt=given)
        stream = composer.stream(settings, prompt=given)
        notes = list(stream)
        assert stream.composition.ids == piece.ids and stream.composition.score == piece.score
        new = piece.score.array[piece.num_prompt_notes :].tolist()
        assert sorted(map(list, notes)) == sorted(new)


def test_a_stream_can_be_stopped_and_keeps_what_there_is(composer):
    stop = threading.Event()
    stream = composer.stream(Settings(seed=2, max_new_tokens=900), stop=stop)
    first = next(stream)
    stop.set()
    notes = [first, *stream]
    assert stream.composition is not None
    assert len(stream.composition.score) >= len(notes) - 1 > -1
    assert len(stream.composition.ids) < 900
    assert first_error(stream.composition.ids) is None


def test_an_error_in_the_models_thread_reaches_the_reader(composer, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("no memory")

    monkeypatch.setattr(composer.model, "generate", fail)
    with pytest.raises(RuntimeError, match="no memory"):
        next(composer.stream(Settings(seed=2)))


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(MusicGPTError, match=r"config\.json"):
        Composer.from_pretrained(tmp_path)
    with pytest.raises(MusicGPTError, match="no such folder"):
        Composer.from_pretrained(tmp_path / "nothing")
    with pytest.raises(MusicGPTError, match="Cannot load"):
        Composer.from_pretrained("no-such-user/no-such-model-anywhere")
    with pytest.raises(MusicGPTError, match="Cannot load"):
        Composer.from_pretrained("n" * 5000)


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(MusicGPTError, match="device 'kazoo' cannot be used"):
        Composer.from_pretrained(device="kazoo")


def test_what_is_no_score_and_no_settings_is_refused(composer):
    with pytest.raises(MusicGPTError, match="must be a Score, not str"):
        composer.compose(prompt="beginning.mid")
    with pytest.raises(MusicGPTError, match="must be Settings, not dict"):
        composer.compose({"seed": 1})
    with pytest.raises(MusicGPTError, match="no notes"):
        composer.compose(prompt=Score([], key="C major"))


def test_progress_counts_up_to_the_end(composer):
    seen = []
    composer.compose(
        Settings(seed=1, max_new_tokens=40), num=2, progress=lambda done, total: seen.append((done, total))
    )
    assert seen and seen == sorted(seen) and {total for _, total in seen} == {80}


def test_rules_are_chosen_by_a_list(composer):
    """A function of one's own and one of ours, the order, and none."""
    seen = []

    @rule("TIME")
    def no_black_keys(state, scores):
        seen.append(set(state.kind.tolist()))
        added = np.zeros(scores.shape[1])
        added[[i for name, i in TOKEN_TO_ID.items() if name[:5] == "NOTE_" and is_black(name)]] = -np.inf
        return added

    def is_black(name: str) -> bool:
        return int(name[5:]) % 12 in (1, 3, 6, 8, 10)

    settings = Settings(form="fugue", voices=2, max_new_tokens=200, seed=1)
    [piece] = Composer(composer.model, rules=[no_black_keys, "counterpoint"]).compose(settings)
    assert not any(pitch % 12 in (1, 3, 6, 8, 10) for pitch in piece.score.array[:, PITCH].tolist())
    assert seen and all(kinds == {TYPE_INDEX["TIME"]} for kinds in seen)
    alone, ours = (Composer(composer.model, rules=which).compose(settings)[0].ids for which in (False, None))
    assert len({tuple(ids) for ids in (piece.ids, alone, ours)}) == 3
    assert ours == composer.compose(settings)[0].ids
    assert Composer(composer.model, rules=[]).compose(settings)[0].ids == alone
    with pytest.raises(
        MusicGPTError, match="Unknown rule 'close_harmony': the rules are beginning, tonal_plan"
    ):
        Composer(composer.model, rules=["close_harmony"])


@pytest.mark.parametrize("form", ["prelude", "fugue"])
def test_the_engine_and_the_stock_loop_compose_the_same_pieces(form):
    composer = Composer.from_pretrained()
    settings = Settings(form=form, voices=3, max_new_tokens=260, seed=3)
    pieces = composer.compose(settings, num=2)
    assert composer.model.stock_loop_because is None
    composer.model.fast_decoding = False
    assert [piece.ids for piece in composer.compose(settings, num=2)] == [piece.ids for piece in pieces]
