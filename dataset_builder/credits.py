"""Where the notes come from: the repositories behind the source names, with their commits, licences and
makers.

`python -m dataset_builder.credits` prints the table that stands in `LICENSE-WEIGHTS.md`.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenization.markdown import table


class Credit(NamedTuple):
    """One source of notes: who made it, where it is, under what licence, and what a user should know of
    it.
    """

    encoder: str
    repository: str
    commit: str
    licence: str
    remark: str = ""
    written_out: bool = False  # its files write out repeats and trills as notes


CREDITS: dict[str, Credit] = {
    "buschke": Credit(
        "Buschke",
        "github.com/Buschke/sheet-music",
        "6407be50e640a7da136f8fb9d8a0b66b915d33ca",
        "Public Domain (each file's header)",
        "47 fugues with named voices; BWV 878 from commit cc7ecfa488b94c609371e287800c950dfc679756, whose"
        " header still says so",
    ),
    "ksnortum": Credit(
        "Knute Snortum",
        "github.com/ksnortum/bach-well-tempered-1",
        "69533eaa9e1f9b94c68519f19c7097236b9acfb3",
        "CC BY-SA 4.0",
        "fugue BWV 852",
    ),
    "when_in_rome": Credit(
        "When in Rome (Mark Gotham and contributors)",
        "github.com/MarkGotham/When-in-Rome",
        "59dd9c88338dc086ff076c61c800d69f8d56c044",
        "CC BY-SA 4.0",
        "preludes of Book I; very probably derived from the CC0 Open Well-Tempered Clavier",
    ),
    "mutopia": Credit(
        "contributors of the Mutopia Project",
        "github.com/MutopiaProject/MutopiaProject",
        "2144afd6f52d56c5b6995b8b589ef1268b3139f0",
        "Public Domain, CC BY-SA 2.5, 3.0 or 4.0 by file (column `licence`)",
        "preludes BWV 870, 871, 875; of `wtc-plus` the Art of Fugue, Goldberg variations, partitas, little"
        " preludes and other keyboard works, and the organ works",
    ),
    "cage433": Credit(
        "cage433",
        "github.com/cage433/clairnote-scores",
        "b1d755c8e94bda0c4737984127537dc9d37ff82f",
        "CC BY-SA 4.0 (file header)",
        "prelude BWV 887",
    ),
    "open_music_score": Credit(
        "not named",
        "github.com/yufanyufan/open_music_score",
        "74836e6e15390ada94f87e22f6f4a960bc500f36",
        "declared public domain by its README; no licence file",
        "preludes of Book II; the weakest evidence of the sources: leave them out with `--without-source"
        " open_music_score`",
        written_out=True,
    ),
    "ksnortum_inventions": Credit(
        "Knute Snortum",
        "github.com/ksnortum/bach-15-two-part-inventions",
        "2398bbbef2bd0ac8b2dadafd53eed7048d261289",
        "CC BY-SA 4.0",
        "inventions BWV 772-786",
    ),
    "ksnortum_sinfonias": Credit(
        "Knute Snortum",
        "github.com/ksnortum/bach-15-sinfonias",
        "81ab75c5421db183671405c49a28644b2f8adedd",
        "CC BY-SA 4.0",
        "sinfonias BWV 787-801",
    ),
    "bcfb": Credit(
        "Yaolong Ju, Sylvain Margot, Cory McKay, Luke Dahn, Ichiro Fujinaga (BCFB)",
        "github.com/juyaolongpaul/Bach_chorale_FB",
        "431c5c019aeea198c0128a05dd1d2a7364c2d786",
        "CC BY 4.0",
        "four-part chorales of the Bach Chorales Figured Bass dataset 2.0; changed: the four vocal parts"
        " alone. To be cited: Y. Ju, S. Margot, C. McKay, L. Dahn and I. Fujinaga, Automatic Figured Bass"
        " Annotation Using the New Bach Chorales Figured Bass Dataset, ISMIR 2020",
    ),
    "music21": Credit(
        "see each file",
        "the corpus that the music21 package ships (github.com/cuthbertLab/music21)",
        "the installed version",
        "by file; only files whose own notice, or the corpus', allows free use",
        "BWV 846 and chorales",
    ),
}


def licence_table() -> str:
    """All sources of open scores as a Markdown table: who encoded them, where they are, what was used, their
    terms.
    """
    rows = [
        (
            f"`{name}`",
            credit.encoder,
            f"{credit.repository} at {credit.commit[:12]}",
            credit.remark,
            credit.licence,
        )
        for name, credit in CREDITS.items()
        if name != "music21"  # its files name no licence
    ]
    return table(("source", "encoded by", "where", "what was used", "terms"), rows)


if __name__ == "__main__":
    print(licence_table())
