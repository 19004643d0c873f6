"""What is given stays: does it, how well does the rest fit, and what does it cost.

    python -m benchmarks.given subjects [--pieces 20] [--source ../shared/data/wtc]
    python -m benchmarks.given answers [--source ../shared/data/wtc]
    python -m benchmarks.given masks [--pieces 2000] [--fillings 5] [--random] [--source ../shared/data]
    python -m benchmarks.given chorales [--pieces 48] [--particles 1,8] [--phrases 2] [--source ../shared/data/bach_chorales]

`subjects`: fugues on subjects of the train split's fugues and on those of `benchmarks/subjects.txt`: do all
voices enter with it, and is the first answer right by the textbook (`answer_faults`, which knows nothing of
the composer's rule). `answers`: the same question of Bach's own answers and of the composer's rule, without
composing. `masks`: random bars of random voices of a few bars of some 200 pieces (Well-Tempered Clavier, half of
the chorales and of `bach_extra`) composed anew by one particle: is every given note there, and nothing beside;
`--random`: by a small model of random weights and no rule but that which keeps what is given, which tries
everything and is fast. `chorales`: the soprano given, with its fermatas. What particles bring and cost is in
`benchmarks/particles.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tokenization import markdown
from tokenization.score import DURATION, ONSET, PITCH, VOICE, Score

OWN = Path(__file__).with_name("subjects.txt")
# A statement has so much of the subject's steps.
MATCH = 0.7


# -- subjects


class Case(NamedTuple):
    """A subject, and with Bach's own the answer, as MIDI pitches, as far as it has the subject's rhythm."""

    name: str
    melody: Score
    voices: int
    answer: list[int] | None


def own_subjects() -> Iterator[Case]:
    """Those of this project."""
    from musicgpt import parse_melody

    lines = [line for line in OWN.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    for i, line in enumerate(lines):
        key, meter, text = (part.strip() for part in line.split("|", 2))
        yield Case(f"own {i + 1}", parse_melody(text, meter).replace(key=key), 3 + i % 2, None)


def bach_subjects(source: Path) -> Iterator[Case]:
    """What the first voice of the train split's fugues plays alone, and how the second one answers."""
    from musical_metrics.corpus import read_corpus
    from tokenization.analysis.subjects import find_subject
    from tokenization.analysis.view import View

    for movement in read_corpus(source):
        view = View(movement.score)
        if movement.split != "train" or movement.score.form != "fugue":
            continue
        if isinstance(find_subject(view), str):
            continue
        array = movement.score.array
        order = np.argsort([array[array[:, VOICE] == v, ONSET][0] for v in view.voices], kind="stable")
        first, second = (array[array[:, VOICE] == view.voices[v]] for v in order[:2])
        alone = first[first[:, ONSET] < second[0, ONSET]]
        melody = movement.score.replace(notes=alone, meters=movement.score.meters[:1])
        n = min(len(alone), len(second))
        late = alone[:n, ONSET] - alone[0, ONSET] != second[:n, ONSET] - second[0, ONSET]
        answer = second[: int(late.argmax()) if late.any() else n, PITCH].tolist()
        yield Case(movement.id, melody, min(5, max(2, movement.score.num_voices)), answer)


def entries_of(score: Score, notes: np.ndarray) -> dict[int, bool]:
    """Of each voice whether it enters with the subject, `(n, 4)`: its rhythm, and steps that differ by two
    semitones at most.
    """
    steps = np.diff(notes[:, [ONSET, PITCH]], axis=0)
    found = {}
    for voice in np.unique(score.array[:, VOICE]).tolist():
        line = score.array[score.array[:, VOICE] == voice][: len(notes)]
        own = np.diff(line[:, [ONSET, PITCH]], axis=0)
        same = len(own) == len(steps) and (own[:, 0] == steps[:, 0]) & (np.abs(own[:, 1] - steps[:, 1]) <= 2)
        found[voice] = bool(np.mean(same) >= MATCH)
    return found


def answer_faults(subject: np.ndarray, answer: np.ndarray, tonic: int) -> list[str]:
    """What is wrong with the answer to a subject, by the textbook (Prout, Fugue, 1891, chapters 3 to 5): every
    note goes up a fifth, or a fourth; at the beginning the tonic is answered by the dominant, and the
    dominant, alone or right after the tonic, by the tonic; a subject that goes to the key of the dominant
    and ends on it is answered so that the answer ends on the tonic; and between fourths and fifths it changes
    three times at most.

    Args:
        subject, answer (arrays of shape `(n,)`): MIDI pitches.
        tonic (`int`): pitch class of the key.
    """
    if len(subject) != len(answer):
        return ["of another length"]
    moves, degrees = (answer - subject) % 12, (subject - tonic) % 12
    found = [] if np.isin(moves, (5, 7)).all() else ["neither fifth nor fourth"]
    head = 1 if degrees[0] == 0 else 0
    if degrees[0] == 0 and moves[0] != 7:
        found.append("the tonic at the beginning is not answered by the dominant")
    if degrees[head] == 7 and moves[head] != 5:
        found.append("the dominant at the beginning is not answered by the tonic")
    if degrees[-1] == 7 and 6 in degrees and moves[-1] != 5:
        found.append("does not come back from the key of the dominant")
    if np.count_nonzero(np.diff(moves)) > 3:
        found.append("changes too often")
    return found


def answers(composer: Any, given: argparse.Namespace) -> None:
    """Bach's answers and the composer's rule, judged by the textbook and held against each other."""
    from musicgpt.rules.subject import dominant

    bach, rule, alike = [], [], []
    for case in bach_subjects(given.source):
        key, pitches = case.melody.key, case.melody.array[:, PITCH]
        shift, own = key.transposition_to_normal(), np.array(case.answer)
        pitches = pitches[: len(own)]
        ours = np.array(dominant((pitches + shift).tolist(), key.mode)) - shift
        bach.append(answer_faults(pitches, own, key.pitch_class))
        rule.append(answer_faults(pitches, ours, key.pitch_class))
        alike.append(float(np.mean((own - ours) % 12 == 0)))
        print(f"{case.name}: Bach {bach[-1] or 'right'}, rule {rule[-1] or 'right'}, alike {alike[-1]:.2f}")
    print(
        f"{len(bach)} subjects: by the textbook {sum(not f for f in bach)} of Bach's answers and"
        f" {sum(not f for f in rule)} of the rule's are right; {np.mean(np.array(alike) == 1):.3f} are the same"
        f" note for note, {np.mean(alike):.3f} of the notes"
    )


def subjects(composer: Any, given: argparse.Namespace) -> None:
    """The table of subjects: `given.pieces` of Bach's and of ours."""
    from tqdm import tqdm

    from musicgpt import Given, Settings

    rows: dict[str, list] = {"ours": [], "Bach's": []}
    cases = [*list(own_subjects())[: given.pieces], *list(bach_subjects(given.source))[: given.pieces]]
    for seed, case in enumerate(tqdm(cases, unit="fugue", disable=None)):
        settings = Settings(voices=case.voices, seed=seed)
        stays = Given.subject(case.melody, case.voices).score
        piece, notes = exposition(composer, settings, stays, case.voices), stays.array
        entered = entries_of(piece, notes)
        wrong = answer_faults(notes[:, PITCH], first_answer(piece, notes), piece.key.pitch_class)
        kept = {tuple(n) for n in stays.notes} <= {tuple(n) for n in piece.notes}
        found = (len(entered) == case.voices and all(entered.values()), not wrong, kept)
        rows["Bach's" if case.answer else "ours"].append(found)
        print(f"{case.name}: entered {entered}, answer {wrong or 'right'}, kept {kept}", flush=True)
    for name, some in rows.items():
        entries, answers, stayed = np.array(some, dtype=int).reshape(-1, 3).sum(axis=0)
        print(
            f"{len(some)} subjects, {name}: all voices enter in {entries}, answers right {answers}, kept {stayed}"
        )


def exposition(composer: Any, settings: Any, stays: Score, voices: int) -> Score:
    """A fugue on a subject, `stays`, up to where each of the other voices has had as many notes as it."""
    stream, own = composer.stream(settings, subject=stays), stays.notes[0].voice
    heard: dict[int, int] = {}
    for note in stream:
        if note.voice != own:
            heard[note.voice] = heard.get(note.voice, 0) + 1
        if len(heard) == voices - 1 and min(heard.values()) >= len(stays):
            stream.stop.set()
    return stream.composition.score


def first_answer(score: Score, notes: np.ndarray) -> np.ndarray:
    """The pitches of the second voice that enters, as many as the subject, `(n, 4)`, has."""
    array = score.array
    starts = {v: array[array[:, VOICE] == v, ONSET][0] for v in np.unique(array[:, VOICE]).tolist()}
    later = sorted((at, v) for v, at in starts.items() if v != notes[0, VOICE])
    if not later:
        return np.zeros(0)
    return array[array[:, VOICE] == later[0][1], PITCH][: len(notes)]


# -- masks


def movements(source: Path, split: str | None = None) -> list[Score]:
    """The movements of a folder, or those of one split."""
    from musical_metrics.corpus import read_corpus

    return [m.score for m in read_corpus(source) if split in (None, m.split)]


def masked_pieces(source: Path) -> list[Score]:
    """The pieces of which masks are made."""
    from tokenization.round_trip import pieces

    others = [list(pieces(source / folder))[::2] for folder in ("bach_chorales", "bach_extra")]
    return [*movements(source / "wtc"), *others[0], *others[1]]


def excerpt(score: Score, rng: np.random.Generator) -> Score:
    """Two to four bars of a piece, from a random one on, in which there are notes."""
    while True:
        first = int(rng.integers(0, max(1, score.num_bars - 2)))
        part = score.passage(int(score.bar_lines()[first])).first_bars(int(rng.integers(2, 5)))
        if len(part):
            return part


def random_given(score: Score, rng: np.random.Generator) -> Any:
    """A piece without one to three random regions."""
    from musicgpt.frame import has_chords
    from musicgpt.given import Given, Region

    lines, voices = score.bar_lines(), np.unique(score.array[:, VOICE])
    regions = []
    for _ in range(int(rng.integers(1, 4))):
        first = int(rng.integers(0, len(lines) - 1))
        last = min(len(lines) - 1, first + int(rng.integers(1, 3)))
        chosen = rng.choice(voices, size=int(rng.integers(1, len(voices) + 1)), replace=False)
        regions.append(Region(int(lines[first]), int(lines[last]), tuple(sorted(chosen.tolist()))))
    stays = ~inside(score.array, regions)
    return Given(
        score.replace(notes=score.array[stays]),
        tuple(regions),
        int(voices.max()) + 1,
        one_by_one=not has_chords(score.array),
        work="revised",
    )


def inside(array: np.ndarray, regions: list) -> np.ndarray:
    """Which notes, `(n, 4)`, begin in a region."""
    found = np.zeros(len(array), dtype=bool)
    for start, end, voices in regions:
        onsets = array[:, ONSET]
        found |= (onsets >= start) & (onsets < end) & np.isin(array[:, VOICE], voices)
    return found


def faults(piece: Any, given: Any) -> int:
    """Given notes that are missing, and new notes where none may be."""
    notes, stays = piece.score.notes, set(given.score.notes)
    missing = len(stays - set(notes)) + len(given.score) - sum(note in stays for note in notes)
    new = np.array([note for note in notes if note not in stays]).reshape(-1, 4)
    wrong = int((~inside(new, given.regions)).sum()) if len(new) else 0
    for onset, duration, _, voice in new.tolist():
        own = given.score.array[given.score.array[:, VOICE] == voice]
        over = (own[:, ONSET] < onset + duration) & (own[:, ONSET] + own[:, DURATION] > onset)
        wrong += int(over.any())
    return missing + wrong


def masks(composer: Any, given: argparse.Namespace) -> None:
    """Faults over random masks, each filled several times; one that is refused, or has faults, is named."""
    from tqdm import trange

    from musicgpt import Composer, Settings
    from tokenization.errors import MusicGPTError

    scores = masked_pieces(given.source)
    composer = Composer(random_model(), rules=False) if given.random else composer
    done = bad = new = kept = 0
    refused: dict[str, int] = {}
    for seed in trange(given.pieces, desc="masks", unit="mask", disable=None):
        rng = np.random.default_rng(seed)
        stays = random_given(excerpt(scores[seed % len(scores)], rng), rng)
        try:
            settings = Settings(seed=seed * given.fillings, particles=1)
            pieces = composer.compose(settings, given.fillings, given=stays)
        except MusicGPTError as error:
            refused[str(error)] = refused.get(str(error), 0) + 1
            print(f"{seed}: {error}", flush=True)
            continue
        done, new = done + 1, new + sum(piece.num_new_notes for piece in pieces)
        kept += len(stays.score) * len(pieces)
        if found := sum(faults(piece, stays) for piece in pieces):
            print(f"{seed}: {found} faults", flush=True)
            bad += found
        if seed % 200 == 199:
            print(f"{seed + 1}: {done} done, {new} new, {bad} faults", flush=True)
    print(
        f"{done} masks over {len(scores)} pieces, each filled {given.fillings} times: {kept} given and {new} new"
        f" notes, {sum(refused.values())} refused: {bad} faults"
    )
    for why, times in refused.items():
        print(f"{times} times: {why}")


def random_model() -> Any:
    """A small model of random weights, with sharp opinions."""
    import torch

    from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM

    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = MusicGPTForCausalLM(MusicGPTConfig(**size, num_motifs=64)).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(3)
    return model


# -- chorales


def chorales(composer: Any, given: argparse.Namespace) -> None:
    """The soprano given: what the other voices are, beside Bach's, up to the fermata `given.phrases`."""
    from tqdm import tqdm

    from musicgpt import Settings

    rows: dict[Any, list] = {"Bach": [], **{n: [] for n in given.particles}}
    chosen = list(read_chorales(given.source, given.pieces, given.phrases))
    for i, (score, fermatas) in enumerate(tqdm(chosen, unit="chorale", disable=None)):
        soprano = score.replace(notes=score.array[score.array[:, VOICE] == 0])
        rows["Bach"].append(judged(score, fermatas))
        for number in given.particles:
            settings = Settings(seed=i, particles=number)
            piece = composer.harmonize(soprano, voices=4, settings=settings, phrases=fermatas[:-1])
            rows[number].append(judged(piece.score, fermatas))
        print(i, {n: r[-1] for n, r in rows.items()}, flush=True)
    head = ("", "no parallels", "parallels a chorale", "in range", "root position triad at fermatas")
    cells = [(str(name), *intervals(np.array(found, dtype=float))) for name, found in rows.items()]
    print(f"{len(chosen)} chorales with 95 % intervals\n{markdown.table(head, cells)}")


def intervals(table: np.ndarray, draws: int = 2000) -> list[str]:
    """The columns of the table of chorales from what `judged` says of each, `(n, 4)`, with the 95 % intervals
    of a bootstrap over chorales (seed 0).
    """

    def columns(of: np.ndarray) -> tuple[float, ...]:
        parallels, within, triads, fermatas = of.T
        return (parallels == 0).mean(), parallels.mean(), within.mean(), triads.sum() / fermatas.sum()

    chosen = np.random.default_rng(0).integers(0, len(table), (draws, len(table)))
    low, high = np.quantile([columns(table[rows]) for rows in chosen], (0.025, 0.975), axis=0)
    return [f"{value:.3f} [{a:.3f}, {b:.3f}]" for value, a, b in zip(columns(table), low, high, strict=True)]


def read_chorales(source: Path, number: int, phrases: int | None) -> Iterator[tuple[Score, list[int]]]:
    """Chorales with a key, of four voices, each hymn once, up to a fermata, with the onsets of the soprano's
    fermatas.
    """
    import csv

    from tokenization import read_score
    from tokenization.note_table import catalogued

    rows = {row["title"]: row for row, _ in catalogued(source) if row["tonic"] and row["mode"]}
    found, step = list(rows.values()), max(1, len(rows) // number)
    for row in found[::step][:number]:
        score = read_score(source / row["note_table"], key=f"{row['tonic']} {row['mode']}")
        with open(source / row["note_table"], encoding="utf-8", newline="") as file:
            notes = [n for n in csv.DictReader(file, delimiter="\t") if n["voice"] == "soprano"]
        begins = int(score.array[0, ONSET])
        at = [begins + round(24 * float(n["onset_q"])) for n in notes if "fermata" in n["ornaments"]][
            :phrases
        ]
        soprano = score.array[score.array[:, VOICE] == 0]
        [last] = soprano[soprano[:, ONSET] == at[-1]] if at else soprano[-1:]
        score = score.between(0, int(last[ONSET] + last[DURATION]))
        if score.num_voices == 4 and at:
            yield score, at


def judged(score: Score, fermatas: list[int]) -> tuple[int, float, int, int]:
    """Parallel fifths and octaves; share of notes within the ranges of a choir; fermatas with a triad in root
    position; fermatas.
    """
    from musicgpt.given import PARTS, RANGES

    array = score.array
    limits = np.array([RANGES[part] for part in PARTS])[array[:, VOICE]]
    within = (limits[:, 0] <= array[:, PITCH]) & (array[:, PITCH] <= limits[:, 1])
    triads = 0
    for tick in fermatas:
        sounds = array[(array[:, ONSET] <= tick) & (array[:, ONSET] + array[:, DURATION] > tick), PITCH]
        classes = {int(p - sounds.min()) % 12 for p in sounds}
        triads += classes in ({0, 4, 7}, {0, 3, 7}, {0, 4}, {0, 3})
    return parallels(array), float(within.mean()), triads, len(fermatas)


def parallels(array: np.ndarray) -> int:
    """Pairs of voices that both move, from a fifth or octave to another one of the same size."""
    onsets = np.unique(array[:, ONSET])
    table = np.full((4, len(onsets)), -1)
    for onset, duration, pitch, voice in array.tolist():
        table[voice, (onsets >= onset) & (onsets < onset + duration)] = pitch
    found = 0
    for a in range(4):
        for b in range(a + 1, 4):
            gap, moved = (table[a] - table[b]) % 12, (np.diff(table[a]) != 0) & (np.diff(table[b]) != 0)
            sound = (table[[a, b], :-1] >= 0).all(axis=0) & (table[[a, b], 1:] >= 0).all(axis=0)
            found += int((moved & sound & (gap[1:] == gap[:-1]) & np.isin(gap[1:], (0, 7))).sum())
    return found


WHAT: dict[str, Callable[[Any, argparse.Namespace], None]] = {
    "subjects": subjects,
    "answers": answers,
    "masks": masks,
    "chorales": chorales,
}


def command_line(
    about: str, what: Iterable[str], particles: Sequence[int], source: Path | None
) -> argparse.ArgumentParser:
    """The options that the benchmarks of given notes and of particles share.

    Args:
        about (`str`): the text of `--help`.
        what (iterable of `str`): what can be measured.
        particles (sequence of `int`), source (`Path`, *optional*): defaults.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(what))
    parser.add_argument("--pieces", type=int, default=24, help="how many (default 24)")
    parser.add_argument(
        "--particles",
        type=lambda text: [int(part) for part in text.split(",")],
        default=list(particles),
        help=f"numbers of particles (default {','.join(map(str, particles))})",
    )
    parser.add_argument("--source", type=Path, default=source, help="folder with catalogue.csv and notes/")
    return parser


def main() -> None:
    """The command line."""
    import torch

    from musicgpt import Composer

    assert __doc__ is not None
    parser = command_line(__doc__, WHAT, (1, 16), None)
    parser.add_argument("--fillings", type=int, default=5, help="masks: of each mask (default 5)")
    parser.add_argument("--random", action="store_true", help="masks: by a small model of random weights")
    parser.add_argument("--phrases", type=int, help="chorales: how many of each (default: all)")
    given = parser.parse_args()
    folder = {"chorales": "bach_chorales", "masks": ""}.get(given.what, "wtc")
    given.source = given.source or Path("../shared/data", folder)
    torch.set_num_threads(1)
    WHAT[given.what](Composer.from_pretrained(), given)


if __name__ == "__main__":
    main()
