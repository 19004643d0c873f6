"""`MusicGPTProcessor`: scores and MIDI to what the model takes, and what the model writes back to scores and
MIDI.
"""

from __future__ import annotations

import os
from typing import Any

from transformers import BatchFeature, ProcessorMixin

from .errors import ScoreError
from .key import Key
from .midi_writer import midi_bytes
from .reading import read_score, read_score_bytes
from .score import Score


class MusicGPTProcessor(ProcessorMixin):
    """Scores in, scores out: what an image processor is to images.

    ```python
    inputs = processor("beginning.mid", bars=4, return_tensors="pt")
    output = model.generate(**inputs)
    midi = processor.decode_midi(output[0], key="d minor")
    ```

    Args:
        tokenizer (`MusicGPTTokenizer` or `MusicGPTTokenizerFast`): what writes a score as ids.
    """

    def __init__(self, tokenizer: Any, **kwargs: Any):
        super().__init__(tokenizer, **kwargs)

    def __call__(
        self,
        scores: Any = None,
        text: Any = None,
        key: Key | str | None = None,
        form: str | None = None,
        bars: int | None = None,
        add_eos: bool = False,
        padding: bool | str = True,
        padding_side: str = "left",
        return_tensors: str | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """One piece or several as `input_ids` and `attention_mask`.

        Args:
            scores (`bytes`, path, `Score`, or a list of them): the bytes of a MIDI file, a score file, a
                score.
            text (`str` or list of `str`, *optional*): tokens as text, in place of scores; goes to the
                tokenizer with all that is said here.
            key, form (`str`, *optional*): as for `read_score`, of every piece.
            bars (`int`, *optional*): only the first so many bars, a pickup counted.
            add_eos (`bool`): end with `<eos>`, as for training; without it the ids are a prompt.
            padding (`bool` or `str`), padding_side (`str`), return_tensors (`str`, *optional*): as for every
                tokenizer. Prompts of one batch are padded on the left.
            kwargs: what `tokenizer.pad` takes besides, such as `max_length` of `padding="max_length"`; for
                text, what the tokenizer takes.

        Returns:
            Lists, or tensors of shape `(batch, tokens)` where `return_tensors` names a kind. One piece alone,
            without tensors, is flat.

        Raises:
            ScoreReadError: if a file cannot be read.
            ScoreError: if a score has no notes, or neither or both of `scores` and `text` are given.
        """
        if (scores is None) == (text is None):
            raise ScoreError(
                "Give either scores (MIDI bytes, paths, Scores) or text (tokens with white space between"
                " them)."
            )
        how = {"padding": padding, "padding_side": padding_side, "return_tensors": return_tensors, **kwargs}
        if text is not None:
            return BatchFeature(dict(self.tokenizer(text, **how)))
        several = isinstance(scores, (list, tuple))
        read = [self.read(source, key=key, form=form) for source in (scores if several else [scores])]
        read = read if bars is None else [score.first_bars(bars) for score in read]
        ids = [self.tokenizer.encode_score(score, add_eos=add_eos) for score in read]
        batch = self.tokenizer.pad({"input_ids": ids}, **how)
        return BatchFeature(
            {name: rows if several or return_tensors else rows[0] for name, rows in batch.items()}
        )

    def read(
        self, source: bytes | str | os.PathLike | Score, key: Key | str | None = None, form: str | None = None
    ) -> Score:
        """A score from the bytes of a MIDI file or from a score file; a `Score` is given back with the key
        and form that are named.

        Raises:
            ScoreReadError: if it cannot be read; in a model's folder also for a file that is no MIDI.
        """
        if isinstance(source, (bytes, bytearray, memoryview)):
            return read_score_bytes(bytes(source), ".mid", key=key, form=form)
        if isinstance(source, (str, os.PathLike)):
            return read_score(source, key=key, form=form)
        if not hasattr(source, "quantised"):
            raise ScoreError(
                "A piece is given as the bytes of a MIDI file, a path or a Score, not as"
                f" {type(source).__name__}."
            )
        given = {"key": key, "form": form}
        return source.replace(**{name: value for name, value in given.items() if value is not None})

    def decode_score(self, ids: Any, key: Key | str | None = None, strict: bool = True) -> Score:
        """The score that ids spell: `decode_score` of the tokenizer. For a continuation give the key of what
        is continued (`read(...).key`).

        Raises:
            TokenError: with `strict`, for an illegal token.
            ScoreError: if `key` is unknown or of the other mode than the piece.
        """
        return self.tokenizer.decode_score(ids, key=key, strict=strict)

    def decode_midi(self, ids: Any, key: Key | str | None = None, strict: bool = True) -> bytes:
        """What ids spell as the bytes of a MIDI file; arguments and errors of `decode_score`.

        Raises:
            ScoreError: also if there are no notes to write.
        """
        score = self.decode_score(ids, key=key, strict=strict)
        if not len(score):
            raise ScoreError("The ids spell no notes: there is nothing to write.")
        return midi_bytes(score)


MusicGPTProcessor.register_for_auto_class("AutoProcessor")
