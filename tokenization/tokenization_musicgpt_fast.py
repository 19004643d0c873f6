"""`MusicGPTTokenizerFast`: the 150 tokens on the `tokenizers` library."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from .score_tokens import VOCAB_FILE, ScoreTokens, text_ends
from .tokenization_musicgpt import MusicGPTTokenizer, check_vocabulary
from .vocabulary import SPECIAL_TOKENS, TOKEN_TO_ID


class MusicGPTTokenizerFast(ScoreTokens, PreTrainedTokenizerFast):
    """Tokenizer of MusicGPT on the `tokenizers` library: the ids of `MusicGPTTokenizer`, and offsets.

    Args:
        vocab (`dict[str, int]` or path, *optional*): must be exactly the 150 tokens where given.
        bos_token, eos_token, pad_token, unk_token (`str`): the special tokens.
        add_bos_token (`bool`, *optional*): put `<bos>` before text; yes where nothing is said.
        add_eos_token (`bool`, *optional*): put `<eos>` behind text; no where nothing is said.
        added_to_text (list of `str`, *optional*): what of the two a saved tokenizer adds, `"bos"` and
            `"eos"`.

    Raises:
        ScoreError: if `vocab` is another vocabulary.
    """

    vocab_files_names = {"vocab_file": VOCAB_FILE, "tokenizer_file": "tokenizer.json"}
    model_input_names = ["input_ids", "attention_mask"]
    slow_tokenizer_class = MusicGPTTokenizer  # so that a saved folder names both

    def __init__(
        self,
        vocab: dict[str, int] | str | None = None,
        bos_token: Any = "<bos>",
        eos_token: Any = "<eos>",
        pad_token: Any = "<pad>",
        unk_token: Any = "<unk>",
        add_bos_token: bool | None = None,
        add_eos_token: bool | None = None,
        added_to_text: Sequence[str] = ("bos",),
        **kwargs: Any,
    ):
        if isinstance(vocab, str):
            vocab = json.loads(Path(vocab).read_text(encoding="utf-8"))
        if isinstance(vocab, dict) and vocab:
            check_vocabulary({token: i for token, i in vocab.items() if i < len(TOKEN_TO_ID)}, "the file")
        self._tokenizer = Tokenizer(models.WordLevel(vocab=dict(TOKEN_TO_ID), unk_token=SPECIAL_TOKENS[3]))
        self._tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        add_bos_token, add_eos_token = text_ends(add_bos_token, add_eos_token, added_to_text)
        kwargs.setdefault("clean_up_tokenization_spaces", False)
        super().__init__(
            bos_token=bos_token,
            eos_token=eos_token,
            pad_token=pad_token,
            unk_token=unk_token,
            add_bos_token=add_bos_token,
            add_eos_token=add_eos_token,
            added_to_text=added_to_text,
            **kwargs,
        )

    def _save_pretrained(
        self,
        save_directory: str | os.PathLike[Any],
        file_names: tuple[str, ...],
        legacy_format: bool | None = None,
        filename_prefix: str | None = None,
    ) -> tuple[str, ...]:
        # `tokenizer.json` alone would do for this class; `vocab.json` lets the slow twin load the same
        # folder.
        names = super()._save_pretrained(save_directory, file_names, legacy_format, filename_prefix)
        return (*names, *self.save_vocabulary(str(save_directory), filename_prefix))


MusicGPTTokenizerFast.register_for_auto_class("AutoTokenizer")
