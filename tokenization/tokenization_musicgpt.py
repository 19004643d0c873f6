"""`MusicGPTTokenizer`: the 150 tokens as a Hugging Face tokenizer in plain Python."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizer

from .errors import ScoreError
from .score_tokens import VOCAB_FILE, ScoreTokens, text_ends
from .vocabulary import TOKEN_TO_ID, UNK_ID

# The white space of Unicode, as the `tokenizers` library has it; `str.split` also splits at the four
# separators 1C-1F.
_WORD = re.compile("[^\t\n\x0b\x0c\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
# (`<bos>` in front, `<eos>` behind) -> the name that transformers has for it.
_PATTERNS = {(True, False): "bos", (False, True): "eos", (True, True): "bos_eos", (False, False): "none"}


def check_vocabulary(vocab: dict[str, int], where: str) -> None:
    """Raise `ScoreError` unless `vocab` is exactly the 150 tokens."""
    if vocab != TOKEN_TO_ID:
        wrong = [token for token in {**vocab, **TOKEN_TO_ID} if vocab.get(token) != TOKEN_TO_ID.get(token)]
        raise ScoreError(
            f"The vocabulary in {where} is not that of MusicGPT: {len(wrong)} tokens differ, among them"
            f" {wrong[0]!r}. The 150 tokens are fixed; new ones are added with `add_tokens`."
        )


class MusicGPTTokenizer(ScoreTokens, PreTrainedTokenizer):
    """Tokenizer of MusicGPT in plain Python; `MusicGPTTokenizerFast` gives the same ids.

    Text is tokens with white space between them, such as `"<bos> MODE_minor TIME_0 NOTE_57 VOICE_0 DUR_24
    TIME_24"`. Calling the tokenizer on text puts `<bos>` in front and nothing behind, as a prompt needs it;
    text that holds its own `<bos>` is encoded with `add_special_tokens=False`.

    Args:
        vocab_file (`str`, *optional*): a `vocab.json`; it must hold exactly the 150 tokens.
        bos_token, eos_token, pad_token, unk_token (`str`): the special tokens.
        add_bos_token (`bool`, *optional*): put `<bos>` before text; yes where nothing is said.
        add_eos_token (`bool`, *optional*): put `<eos>` behind text; no where nothing is said.
        added_to_text (list of `str`, *optional*): what of the two a saved tokenizer adds, `"bos"` and
            `"eos"`.

    Raises:
        ScoreError: if `vocab_file` holds another vocabulary.
    """

    vocab_files_names = {"vocab_file": VOCAB_FILE}
    model_input_names = ["input_ids", "attention_mask"]

    def __init__(
        self,
        vocab_file: str | None = None,
        bos_token: Any = "<bos>",
        eos_token: Any = "<eos>",
        pad_token: Any = "<pad>",
        unk_token: Any = "<unk>",
        add_bos_token: bool | None = None,
        add_eos_token: bool | None = None,
        added_to_text: Sequence[str] = ("bos",),
        **kwargs: Any,
    ):
        self.vocab_file = vocab_file
        if vocab_file is not None:
            check_vocabulary(json.loads(Path(vocab_file).read_text(encoding="utf-8")), str(vocab_file))
        self.encoder = dict(TOKEN_TO_ID)
        self.decoder = {index: token for token, index in TOKEN_TO_ID.items()}
        add_bos_token, add_eos_token = text_ends(add_bos_token, add_eos_token, added_to_text)
        kwargs["special_tokens_pattern"] = _PATTERNS[add_bos_token, add_eos_token]
        kwargs.setdefault("clean_up_tokenization_spaces", False)
        super().__init__(
            vocab_file=vocab_file,
            bos_token=bos_token,
            eos_token=eos_token,
            pad_token=pad_token,
            unk_token=unk_token,
            add_bos_token=add_bos_token,
            add_eos_token=add_eos_token,
            added_to_text=added_to_text,
            **kwargs,
        )

    @property
    def add_bos_token(self) -> bool:
        """Whether text gets `<bos>` in front; it can be set."""
        return "bos" in self.special_tokens_pattern

    @add_bos_token.setter
    def add_bos_token(self, value: bool) -> None:
        self.special_tokens_pattern = _PATTERNS[bool(value), self.add_eos_token]

    @property
    def add_eos_token(self) -> bool:
        """Whether text gets `<eos>` behind it; it can be set."""
        return "eos" in self.special_tokens_pattern

    @add_eos_token.setter
    def add_eos_token(self, value: bool) -> None:
        self.special_tokens_pattern = _PATTERNS[self.add_bos_token, bool(value)]

    @property
    def vocab_size(self) -> int:
        """150; `len(tokenizer)` also counts tokens that were added."""
        return len(self.encoder)

    def get_vocab(self) -> dict[str, int]:
        """All tokens and their ids, added ones included."""
        return {**self.encoder, **self._added_tokens_encoder}

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        words = _WORD.findall(text)
        return (
            words
            if self.unk_token is None
            else [word if word in self.encoder else str(self.unk_token) for word in words]
        )

    def _convert_token_to_id(self, token: str) -> int:  # type: ignore[override]
        return self.encoder.get(token, UNK_ID)

    def _convert_id_to_token(self, index: int) -> str:
        return self.decoder.get(index, str(self.unk_token))


MusicGPTTokenizer.register_for_auto_class("AutoTokenizer")
