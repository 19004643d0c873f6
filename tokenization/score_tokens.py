"""What both tokenizers can do beyond text: scores to ids and back. Files are the processor's
(`processing_musicgpt.py`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .codec import Decoded, decode, encode, prefix_ids, token_errors
from .errors import ScoreError
from .key import Key, normal_key
from .midi_writer import write_whole
from .score import Score
from .vocabulary import TOKEN_TO_ID, UNK_ID

VOCAB_FILE = "vocab.json"


def text_ends(bos: bool | None, eos: bool | None, saved: Sequence[str]) -> tuple[bool, bool]:
    """Whether text gets `<bos>` and `<eos>`: as it is asked for, else as it was saved."""
    return "bos" in saved if bos is None else bool(bos), "eos" in saved if eos is None else bool(eos)


class ScoreTokens:
    """Mixed into both tokenizers. The ids of the music are fixed, so nothing here depends on the instance."""

    add_bos_token: bool
    add_eos_token: bool

    @property
    def added_to_text(self) -> list[str]:
        """What text gets besides its own tokens. It is saved under this name: transformers does not save the
        two flags.
        """
        return [name for name in ("bos", "eos") if getattr(self, f"add_{name}_token")]

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """As in transformers; an id outside the vocabulary is `<unk>`, for which its two kinds of tokenizer
        have two answers.
        """
        return super().convert_ids_to_tokens(self._known(ids), skip_special_tokens)  # type: ignore[misc]

    def _decode(self, token_ids: Any, *args: Any, **kwargs: Any) -> str:
        return super()._decode(self._known(token_ids), *args, **kwargs)  # type: ignore[misc]

    def _known(self, ids: Any) -> Any:
        if isinstance(ids, int):
            return ids if 0 <= ids < len(self) else UNK_ID  # type: ignore[arg-type]
        return [self._known(int(i)) for i in ids]

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str]:
        """Write `vocab.json` in the order of the ids; returns its path."""
        path = Path(save_directory) / ((f"{filename_prefix}-" if filename_prefix else "") + VOCAB_FILE)
        write_whole(path, (json.dumps(TOKEN_TO_ID, indent=1, ensure_ascii=False) + "\n").encode())
        return (str(path),)

    def encode_score(self, score: Score, add_eos: bool = True) -> list[int]:
        """The ids of a whole piece: `<bos>`, the prefix that describes it, its notes, `<eos>`.

        Args:
            score (`Score`): in any key; it is moved to C major or A minor if its key is known, and quantised.
            add_eos (`bool`): end with `<eos>`; without it the ids are a prompt that the model can continue.

        Raises:
            ScoreError: if it is no score or has no notes.
        """
        if not hasattr(score, "quantised"):
            raise ScoreError(
                f"Only a Score can be encoded, not {type(score).__name__}: read one with read_score, or build"
                " Score(notes)."
            )
        ids = encode(score).tolist()
        return ids if add_eos else ids[:-1]

    def decode_score(self, ids: Any, strict: bool = True, key: Key | str | None = None) -> Score:
        """The score that ids spell, in C major or A minor unless `key` says otherwise.

        Args:
            ids (`list[int]`, array or tensor of shape `(tokens,)`): one piece, with or without padding. What
                follows `<eos>` is ignored, and so is a last note that is not finished.
            strict (`bool`): refuse an illegal token; otherwise skip to the next legal note and say in the
                score's `notices` what was dropped.
            key (`Key` or `str`, *optional*): transpose the score to this key. A piece without a MODE token
                takes its mode.

        Raises:
            TokenError: with `strict`, naming the first illegal token and its position.
            ScoreError: if `key` is unknown or of the other mode than the piece.
        """
        score = self.decode_with_report(ids, strict=strict).score
        if key is None:
            return score
        key = Key.parse(key)
        if score.key is None:
            score = score.replace(key=normal_key(key.mode))
        return score.in_key(key)

    def decode_with_report(self, ids: Any, strict: bool = False) -> Decoded:
        """The decoded score, the number of tokens dropped and the first error, as `decode_score` reports them
        in words.
        """
        return decode(ids, strict=strict)

    def prefix(
        self,
        key: Key | str | None = None,
        mode: str | None = None,
        form: str | None = None,
        meter: str | None = None,
        voices: int | None = None,
        tempo: str | None = None,
    ) -> list[int]:
        """`<bos>` and what is asked of the piece; what is `None` is left to the model.

        Args:
            key (`Key` or `str`, *optional*): gives the mode; the key itself is applied when decoding
                (`decode_score(ids, key=key)`).
            mode (`str`, *optional*): `"major"` or `"minor"`, where no key is asked for.
            form (`str`, *optional*): `"prelude"` or `"fugue"`.
            meter (`str`, *optional*): one of the 12 meters, such as `"3/4"`.
            voices (`int`, *optional*): 2 to 5.
            tempo (`str`, *optional*): `"slow"`, `"moderate"` or `"fast"`.

        Raises:
            ScoreError: for a value without a token, or a mode that contradicts the key.
        """
        if key is not None:
            key = Key.parse(key)
            if mode is not None and mode != key.mode:
                raise ScoreError(f"The key {key} contradicts the mode {mode!r}: give only one of them.")
            mode = key.mode
        return prefix_ids(mode=mode, form=form, meter=meter, voices=voices, tempo=tempo)

    def token_errors(self, ids: Sequence[int] | Any) -> dict[str, float]:
        """How ungrammatical ids are: see `codec.token_errors`."""
        return token_errors(ids)
