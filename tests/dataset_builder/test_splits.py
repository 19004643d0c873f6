from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.pieces import guess_kind, wtc_fields
from dataset_builder.splits import hashed_splits, split_of_number, split_of_path


def test_splits_are_whole_key_numbers():
    by_split = {
        split: [n for n in range(1, 25) if split_of_number(n) == split] for split in ("test", "validation")
    }
    assert by_split == {"test": [9, 16], "validation": [11, 14]}


def test_an_id_of_the_wtc_tells_everything():
    expected = {"work": "WTC", "book": 2, "number": 16, "kind": "fugue", "bwv": "885", "split": "test"}
    assert wtc_fields("wtc2f16") == expected
    assert wtc_fields("wtc1p25") == {} == wtc_fields("sonata")


def test_names_tell_kind_and_split():
    assert guess_kind("Praeludium in C") == "prelude"
    assert guess_kind("bwv578/little_fugue.mid") == "fugue"
    assert guess_kind("sonata") is None
    assert split_of_path(("data", "Valid")) == "validation"
    assert split_of_path(("data",)) is None


@given(st.lists(st.sampled_from("abcdefghij"), min_size=2, max_size=40), st.randoms())
def test_hashed_splits_keep_groups_together_in_any_order(groups, random):
    splits = dict(zip(groups, hashed_splits(groups), strict=True))
    assert all(splits[group] == split for group, split in zip(groups, hashed_splits(groups), strict=True))
    shuffled = random.sample(groups, len(groups))
    assert dict(zip(shuffled, hashed_splits(shuffled), strict=True)) == splits
    assert set(splits.values()) == ({"train", "validation"} if len(set(groups)) > 1 else {"train"})


def test_the_share_is_kept():
    groups = [str(i) for i in range(200)]
    assert hashed_splits(groups, 0.25).count("validation") == 50
    assert hashed_splits(groups, 0.0).count("validation") == 0
