from __future__ import annotations

import zipfile
from dataclasses import replace

import pytest

from dataset_builder.configs import select
from dataset_builder.errors import DatasetError
from dataset_builder.processing import process_all
from dataset_builder.sources import open_source
from dataset_builder.sources.music21_corpus import WITHOUT_NOTICE, corpus_folder, notice_of


@pytest.fixture(scope="module")
def corpus():
    return open_source("music21")


def test_the_prelude_and_the_chorales_that_may_be_used(corpus):
    prelude = next(piece for piece in corpus.pieces if piece.id == "wtc1p01")
    assert (prelude.kind, prelude.number, prelude.split, prelude.bwv) == ("prelude", 1, "train", "846")
    assert len(corpus.pieces) > 300
    assert all(piece.licence for piece in corpus.pieces)
    assert all(piece.path.suffix == ".mxl" for piece in corpus.pieces)
    left_out = {path.stem for path in corpus_folder().glob("*.mxl")} - {
        piece.path.stem for piece in corpus.pieces
    }
    # BWV 116.6 says only "PDF (c) 2004 Margaret Greentree".
    assert "bwv116.6" in left_out
    with zipfile.ZipFile(corpus_folder() / "bwv116.6.mxl") as archive:
        assert notice_of(b"".join(archive.read(name) for name in archive.namelist())) is None


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        (
            "<credit-words>PDF © 2004 N. N.</credit-words><credit-words>used by\n permission</credit-words>",
            "used by permission",
        ),
        ("<credit-words>Johann Sebastian Bach</credit-words>", WITHOUT_NOTICE),
        ("<rights>Copyright 1999</rights>", None),
        ('<rights type="music">All rights reserved</rights>', None),
    ],
)
def test_notices(text, notice):
    found = notice_of(text.encode())
    assert found == notice or (notice and found.startswith(notice))


def test_configs_of_the_corpus(corpus):
    assert [piece.id for piece in select(corpus, "preludes").pieces] == ["wtc1p01"]
    with pytest.raises(DatasetError, match="has no piece for the config fugues"):
        select(corpus, "fugues")


def test_a_part_of_it_becomes_rows(corpus):
    some = replace(
        corpus, pieces=[piece for piece in corpus.pieces if piece.id == "wtc1p01"] + corpus.pieces[:24]
    )
    done = process_all(some)
    assert done.skipped == []
    assert sorted(done.kept) == ["train", "validation"]
    rows = [row for split in done.kept for table in done.tables(split) for row in table.to_pylist()]
    assert len(rows) == 25
    first = rows[0]
    assert (first["id"], first["key"], first["num_notes"], first["bars"]) == ("wtc1p01", "C major", 533, 34)
    assert all(row["voices"] in (4, 5) for row in rows if row["work"] == "chorale")
