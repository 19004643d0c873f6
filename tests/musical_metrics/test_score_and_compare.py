"""The musical score, the comparison of sets, the two-sample test and the distances."""

from __future__ import annotations

import json

import numpy as np
import pytest

from musical_metrics import catalogue, compare, distances, null_models
from musical_metrics.measure import Measure
from musical_metrics.reference import Band, Table, length_class, table
from musical_metrics.score import (
    families_of,
    judge,
    judge_all,
    musical_score,
    score_of,
    shipped_yardstick,
    weakest,
    yardstick,
)
from musical_metrics.words import WORDS
from tokenization.score import PITCH, Score

# -- the score
# -----------------------------------------------------------------------------------------------------------


def test_typicality_by_hand():
    band = Band(low=0.0, median=1.0, high=3.0, n=40)
    at = {value: judge("interval_entropy", Measure(value), band) for value in (1.0, 3.0, 5.0, 0.0, 3.005)}
    assert [at[v].typicality for v in (1.0, 3.0, 5.0, 0.0)] == [1.0, 0.5, 1 / 16, 0.5]
    assert [at[v].outside for v in (1.0, 3.0, 5.0, 3.005)] == [False, False, True, False]


def test_a_band_is_never_narrower_than_the_resolution():
    constant = Band(low=0.0, median=0.0, high=0.0, n=40)
    assert judge("parallel_fifths", Measure(5.0), constant).typicality == 0.5  # 5 per 1,000 is the resolution


def test_the_score_by_hand():
    by = shipped_yardstick("fugue", "whole")
    measures = {name: Measure(by.bands[name].median) for name in catalogue.NAMES}
    assert score_of(measures, by).value == pytest.approx(100)
    assert (
        weakest(judge_all(measures, by.bands), families_of(judge_all(measures, by.bands), by.spreads)) is None
    )
    # One metric at the edge of its band: d = 1 in a family of one metric.
    measures["pitch_nll"] = Measure(by.bands["pitch_nll"].low)
    share = 1 / sum(catalogue.FAMILIES.values())
    u = 1 / by.spreads["expectation"]
    assert score_of(measures, by).value == pytest.approx(100 * 2 ** -(share * u**2))
    # However far, a family costs no more than u = 3.
    measures["pitch_nll"] = Measure(99.0)
    judged = judge_all(measures, by.bands)
    far = families_of(judged, by.spreads)["expectation"]
    assert far == pytest.approx(min(3, 4 / by.spreads["expectation"]))
    assert score_of(measures, by).value >= 100 * 2 ** -(share * 9)
    assert weakest(judged, families_of(judged, by.spreads)) == "steps that Bach does not write"


def test_the_originals_six_change_nothing():
    by = shipped_yardstick("fugue", "whole")
    measures = {name: Measure(by.bands[name].median) for name in catalogue.NAMES}
    own = [metric.name for metric in catalogue.METRICS if metric.family == "original"]
    assert len(own) == 14
    far = {name: Measure(99.0) for name in own}
    assert score_of({**measures, **far}, by).value == pytest.approx(100)


def test_every_scored_metric_has_words_for_both_sides():
    assert set(WORDS) == {metric.name for metric in catalogue.METRICS if metric.scored}


def test_too_little_to_judge_by(voices, line):
    found = musical_score(voices(line([60, 62])))
    assert found.value is None
    assert "too few" in found.reason
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_lengths():
    counts = (1, 128, 181, 182, 300, 700, 725, 5000)
    assert " ".join(map(length_class, counts)) == "128 128 128 256 256 512 whole whole"


def test_the_table_round_trips_and_leaves_key_numbers_out():
    bach = table()
    again = Table.from_json(bach.to_json())
    assert again.ids == bach.ids
    assert all(np.allclose(again.values[k], bach.values[k], equal_nan=True) for k in bach.values)
    keep = bach.select("fugue", without=[1, 2])
    assert set(bach.forms[keep]) == {"fugue"}
    assert not set(bach.numbers[keep]) & {1, 2}
    assert (
        bach.bands("fugue", "whole", without=[1])["pitch_nll"].n < bach.bands("fugue", "whole")["pitch_nll"].n
    )


def test_chorales_by_bach_score_above_their_null_models():
    """Not the Well-Tempered Clavier, not seen by anything here, and still nearer to it than their own
    shuffled and Markov versions.
    """
    corpus = pytest.importorskip("music21.corpus")
    real, shuffled, markov = [], [], []
    for seed, number in enumerate(("66.6", "153.1", "7.7", "26.6", "40.8")):
        parts = corpus.parse(f"bach/bwv{number}").parts
        rows = [
            (round(n.offset * 24), round(n.quarterLength * 24), n.pitch.midi, voice)
            for voice, part in enumerate(parts)
            for n in part.flatten().stripTies().notes
            if n.isNote
        ]
        chorale = Score(rows, key=str(parts[0].analyze("key")))
        real.append(musical_score(chorale).value)
        shuffled.append(musical_score(null_models.shuffled(chorale, seed)).value)
        markov.append(musical_score(null_models.markov(chorale, seed)).value)
    for own, noise, chain in zip(real, shuffled, markov, strict=True):
        assert own > max(noise, chain)


# -- null models
# ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("null_model", [null_models.shuffled, null_models.markov])
def test_null_models_keep_rhythm_and_range(wander, null_model):
    piece = wander(1)
    made = null_model(piece, 3)
    assert made == null_model(piece, 3)
    assert made != piece
    for voice in range(3):
        ours, theirs = (s.array[s.array[:, 3] == voice] for s in (made, piece))
        assert np.array_equal(ours[:, :2], theirs[:, :2])
        assert set(ours[:, PITCH]) <= set(theirs[:, PITCH])
    if null_model is null_models.shuffled:
        assert sorted(made.array[:, PITCH]) == sorted(piece.array[:, PITCH])


def test_markov_steps_are_steps_of_the_piece(wander):
    piece = wander(2, 200, voices=1)
    pairs = set(zip(piece.array[:, PITCH].tolist(), piece.array[1:, PITCH].tolist(), strict=False))
    made = null_models.markov(piece, 0).array[:, PITCH].tolist()
    last = int(piece.array[-1, PITCH])
    assert all(pair in pairs or pair[0] == last for pair in zip(made, made[1:], strict=False))


def test_a_chain_of_rhythm_has_the_piece_s_values_and_its_end(wander):
    piece = wander(3)
    made = null_models.markov_with_rhythm(piece, 1)
    assert made == null_models.markov_with_rhythm(piece, 1)
    assert made.end <= piece.end and made.end > 0.9 * piece.end
    for voice in range(3):
        ours, theirs = (s.array[s.array[:, 3] == voice] for s in (made, piece))
        assert ours[0].tolist()[:1] + ours[0].tolist()[2:] == theirs[0].tolist()[:1] + theirs[0].tolist()[2:]
        assert not np.array_equal(ours[:, 0], theirs[:, 0])
        steps = [
            set(map(tuple, np.column_stack([a[:-1, 1], np.diff(a[:, 0])]).tolist())) for a in (ours, theirs)
        ]
        assert steps[0] <= steps[1] | {tuple(theirs[-1, [1, 1]].tolist())}


# -- comparing sets
# ------------------------------------------------------------------------------------------------------


def test_auc():
    assert compare.auc(np.array([2.0, 3.0]), np.array([1.0, 2.0, np.nan])).value == 3.5 / 4
    assert compare.auc(np.array([]), np.array([1.0])).value is None


def rows(rng: np.random.Generator, n: int, shift: float) -> np.ndarray:
    return rng.normal(shift, 1, (n, len(catalogue.NAMES)))


def test_two_sample_test_sees_a_difference_and_no_difference():
    rng = np.random.default_rng(0)
    same = compare.two_sample_test(rows(rng, 150, 0), rows(rng, 150, 0))
    apart = compare.two_sample_test(rows(rng, 60, 0), rows(rng, 60, 1.0))
    assert abs(same.auc - 0.5) < 0.12 and same.low < 0.5
    assert apart.auc > 0.95 and 0.9 < apart.low <= apart.auc <= apart.high


def test_groups_stay_in_one_fold():
    """A piece and its null model share noise that only leaks if they are split; with groups the classifier cannot
    use it.
    """
    rng = np.random.default_rng(1)
    folds = compare._folds(np.arange(40) // 4, 6, rng)
    assert all(len(set(folds[4 * i : 4 * i + 4])) == 1 for i in range(10))
    assert len(set(folds)) > 3


def test_two_sample_test_needs_pieces():
    few = np.zeros((3, len(catalogue.NAMES)))
    assert compare.two_sample_test(few, np.zeros((9, len(catalogue.NAMES)))) is None
    unknown = np.full((4, len(catalogue.NAMES)), np.nan)
    assert compare.two_sample_test(unknown, np.zeros((9, len(catalogue.NAMES)))) is None


def test_compare_with_bach_and_with_a_set(wander):
    pieces = [wander(seed, 200) for seed in range(5)]
    found = compare.compare(pieces)
    assert found.reference == "44 held-out fugues of the Well-Tempered Clavier, first 256 notes"
    assert found.families["all"].auc > 0.9  # random walks are not Bach
    assert found.score < found.reference_score
    assert found.metrics["out_of_key_ratio"].median == 0.0
    other = compare.compare(pieces, [wander(seed, 200) for seed in range(20, 26)])
    assert other.reference == "6 given pieces"
    assert 0 <= other.families["all"].auc <= 1  # of five and six pieces: noise
    assert json.dumps(other.to_dict(), allow_nan=False)


def test_transpositions_and_crops_count_once(wander):
    pieces = [wander(seed, 200) for seed in range(3)]
    whole = pieces[0]
    crop = whole.replace(notes=whole.array[40:160])
    assert compare.one_of_each([crop, *pieces, whole.transposed(4)]) in ([1, 2, 3], [2, 3, 4])
    assert compare.compare([*pieces, whole.transposed(-3), crop]).alike == 2


def test_families_floor_and_interval():
    """Sets that differ in one family are told apart by it, and by no other; halves of one set by none."""
    rng = np.random.default_rng(3)
    ours, theirs = rows(rng, 40, 0), rows(rng, 80, 0)
    ours[:, catalogue.NAMES.index("chord_fit")] += 3
    groups = [i // 2 for i in range(80)]
    found = compare.family_separations(ours, theirs, groups)
    assert found["harmony"].auc > 0.95
    assert found["harmony"].low <= found["harmony"].auc <= found["harmony"].high
    assert found["keys"].low < 0.5 < found["keys"].high + 0.15
    assert found["harmony"].low > found["keys"].high
    floor = compare.bach_against_bach(theirs, groups)
    assert all(one.low < 0.65 for one in floor.values())


def test_bachs_own_score_is_held_out():
    bach = table()
    own = compare.bach_scores(bach, "fugue")
    assert np.isnan(own[bach.forms == "prelude"]).all()
    inside = np.array(
        [
            score_of(compare.row_measures(row), yardstick(bach, "fugue", "whole")).value
            for row in bach.values["whole"][bach.forms == "fugue"]
        ]
    )
    # Leaving a movement out of its own band cannot make it more typical on the whole.
    assert np.nanmean(own) < inside.mean()
    assert 65 < np.nanmedian(own) < 95


# -- distances
# -----------------------------------------------------------------------------------------------------------


def test_a_set_overlaps_with_its_like_and_not_with_another():
    rng = np.random.default_rng(2)
    reference, like, unlike = rng.normal(0, 1, 60), rng.normal(0, 1, 60), rng.normal(8, 1, 60)
    near, far = distances.distances(reference, like), distances.distances(reference, unlike)
    assert near.overlap.value > 0.9 > 0.1 > far.overlap.value
    assert near.divergence.value < 0.05 < 1 < far.divergence.value


def test_densities_stand_on_one_grid_and_integrate_to_one():
    grid = np.linspace(-10, 10, 1000)
    for samples in (np.array([0.0]), np.array([-2.0, 3.0, 3.1])):
        assert np.trapezoid(distances.density(samples, grid, 0.5), grid) == pytest.approx(1)


def test_kl_of_two_gaussians_is_the_closed_form():
    """KL(N(0,1) || N(1,1)) is 1/2; kernel densities of large samples come near it."""
    grid = np.linspace(-8, 9, 1000)
    rng = np.random.default_rng(3)
    p, q = (distances.density(rng.normal(m, 1, 2000), grid, 0.15) for m in (0, 1))
    assert np.trapezoid(p * np.log((p + 1e-12) / (q + 1e-12)), grid) == pytest.approx(0.5, abs=0.1)


def test_an_outlier_does_not_hide_narrow_kernels():
    """One far outlier stretches the grid until the other set's kernels would fall between its points."""
    reference = np.append(np.linspace(0, 1e-3, 40), 1000.0)
    found = distances.distances(reference, np.array([5e-4]))
    assert np.isfinite([found.overlap.value, found.divergence.value]).all()


def test_constants_do_not_crash():
    same = distances.distances(np.ones(5), np.ones(4))
    assert (same.overlap.value, same.divergence.value) == (1.0, 0.0)
    other = distances.distances(np.ones(5), np.full(4, 2.0))
    assert other.overlap.value == 0.0
    assert other.divergence.value is None
    assert distances.distances(np.ones(2), np.ones(4)).overlap.value is None
