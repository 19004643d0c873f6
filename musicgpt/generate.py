"""`generate()` with the composer's rules, for whoever has the model's folder and not this package.

`musicgpt export` writes this file as `custom_generate/generate.py`, with the rules beside it, where
transformers looks for it. So a model that `AutoModelForCausalLM.from_pretrained(..., trust_remote_code=True)`
loads from that folder composes by the rules when it samples, and any other model does with
`model.generate(ids, custom_generate=folder, trust_remote_code=True)`. `Composer` makes its pieces with
`compose_ids`, too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from tokenization.errors import MusicGPTError
from tokenization.vocabulary import BOS_ID, EOS_ID, PAD_ID, TOKENS, VOCAB_SIZE

from .beginnings import best_beginnings
from .defaults import BARS, MIN_BARS, MIN_NOTES
from .rules import chosen
from .rules.asked import Asked
from .rules.base import Brief, RuleProcessor, build
from .rules.beginning import Beginning
from .sampling import Sampling, SeededSampling

# What the composer does not do is left to the model's own `generate()`.
_NOT_OURS = (
    "assistant_model",
    "prompt_lookup_num_tokens",
    "inputs_embeds",
    "negative_prompt_ids",
    "past_key_values",
    "cache",
)


def generate(
    inputs: torch.Tensor | None = None,
    generation_config: GenerationConfig | None = None,
    logits_processor: Iterable[Any] | None = None,
    *,
    model: Any,
    rules: Sequence[Any] | bool = True,
    seed: int | None = None,
    rhythm_temperature: float | None = None,
    rhythm_top_p: float | None = None,
    bars: int | None = None,
    min_bars: int | None = None,
    min_notes: int | None = None,
    transposition: int = 0,
    **arguments: Any,
) -> Any:
    """Pieces by the composer's rules where `generate()` samples one token after another. Greedy decoding,
    beams, an assistant, embeddings and guidance are the model's own, without rules.

    What is asked for stands in the prefix of the ids, as the tokenizer's `prefix(mode=, form=, meter=,
    voices=)` writes it. Rows of different length are padded on the left.

    Args:
        inputs (`torch.LongTensor` of shape `(batch, length)`, *optional*): prefixes or beginnings of pieces;
            `<bos>` alone when not given. Also as `input_ids`.
        generation_config (`GenerationConfig`, *optional*), logits_processor (list, *optional*), arguments: as
            for `generate()`. Of sampling `temperature`, `top_k`, `top_p` and `min_p` count. Without a length
            (`max_new_tokens`, `max_length`) a piece ends by itself, with a cadence.
        model (`MusicGPTForCausalLM`): given by transformers.
        rules (list or `bool`): what steers the pieces, the most important first: names, classes and
            functions; `True`: all of the composer's; `False`: none, and all is the model's own.
        seed (`int`, *optional*): row k is the piece that `seed + k` makes alone; drawn by torch if not given.
        rhythm_temperature, rhythm_top_p (`float`, *optional*): in place of `temperature` and `top_p` for
            durations and steps in time.
        bars (`int`, *optional*): how many a piece is to have, 4 to 200; met within one bar where the tokens
            are enough for them.
        min_bars, min_notes (`int`, *optional*): a piece does not end before it has so many; 16 and 200, or
            none where `bars` are asked for.
        transposition (`int`): semitones from the tokens, in C major or A minor, to the key in which the piece
            will be heard, so that it stays on the keyboard there.

    Returns:
        What `generate()` returns: ids of shape `(rows, length)`, prompts included, padded on the right.

    Raises:
        MusicGPTError: for `bars` out of range, or for rows with different prompts where a streamer or more
            than the ids is asked for.
    """
    if bars is not None and not BARS[0] <= bars <= BARS[1]:
        raise MusicGPTError(f"bars is {bars}; it must be at least {BARS[0]} and at most {BARS[1]}.")
    own = partial(type(model).generate, model)  # `from_pretrained` puts this function into the place of it
    ids = inputs if inputs is not None else arguments.pop("input_ids", None)
    config = copy.deepcopy(generation_config or model.generation_config)
    if not _composes(model, config, rules, arguments):
        given = {"generation_config": generation_config, "logits_processor": logits_processor, **arguments}
        return own(ids, **{name: value for name, value in given.items() if value is not None})
    length = _asked_length(generation_config, arguments)
    for name in [name for name in arguments if hasattr(config, name)]:
        setattr(config, name, arguments.pop(name))
    sampling = Sampling.like(config, rhythm_temperature, rhythm_top_p)
    asked: dict[str, Any] = {
        "bars": bars,
        "min_bars": min_bars,
        "min_notes": min_notes,
        "transposition": transposition,
    }
    ids, groups = _prompts(ids, config, model.device, arguments)
    seed = int(torch.randint(2**31, ())) if seed is None else seed
    made = []
    for prompt, rows in groups.items():
        brief = _brief(model, prompt, [seed + row for row in rows], length, ids.shape[1], **asked)
        start = torch.tensor([prompt] * len(rows), device=ids.device)
        sample, processors = SeededSampling(sampling, brief.seeds), logits_processor or ()
        made.append(compose_ids(own, start, brief, chosen(rules), sample, config, processors, **arguments))
    return made[0] if config.return_dict_in_generate else _together(ids, groups, made)


def compose_ids(
    generate: Callable,
    ids: torch.Tensor,
    brief: Brief,
    rules: Iterable[Any],
    sample: Callable,
    config: GenerationConfig | None = None,
    processors: Iterable[Any] = (),
    keep: Any = None,
    particles: Any = None,
    **arguments: Any,
) -> Any:
    """Pieces from one prompt, by rules.

    Args:
        generate (callable): the model's own `generate()`.
        ids (`torch.LongTensor` of shape `(rows, length)`): the prompt, the same in every row.
        brief (`Brief`): what the rules are made for.
        rules (list): classes and functions, the most important first; what was asked for (`Asked`) goes
            before all of them.
        sample (callable): see `RuleProcessor`.
        config (`GenerationConfig`, *optional*): for what else `generate()` does; how it samples does not
            count.
        processors (list): logits processors that come before the rules.
        keep (class, *optional*): of the keeper (see `RuleProcessor`), where `brief` has a frame.
        particles (`Particles`, *optional*): makes of all rows one piece (`musicgpt/particles.py`).
        arguments: of `generate()`.

    Returns:
        What `generate()` returns.
    """
    rules = list(rules)
    keeper = None if keep is None or brief.frame is None else keep(brief)
    brief.earlier += [] if keeper is None else [keeper]
    built = [rule for rule in build([Asked, *rules], brief) if rule is not keeper]
    for rule in built:
        if isinstance(rule, Beginning):

            def begin(own: Brief, sample: Callable, until: Any) -> torch.Tensor:
                start = ids[:1].expand(own.rows, -1)
                others = [item for item in rules if item is not Beginning]
                return compose_ids(generate, start, own, others, sample, keep=keep, stopping_criteria=[until])

            rule.tokens = best_beginnings(begin, brief, sample)
    config = GenerationConfig() if config is None else copy.deepcopy(config)
    config.max_new_tokens, config.max_length = brief.max_new_tokens, None
    config.bos_token_id, config.eos_token_id, config.pad_token_id = BOS_ID, EOS_ID, PAD_ID
    # The sampling is in `sample`; what a generation config says of it must not come on top.
    config.do_sample, config.temperature, config.top_p, config.top_k, config.min_p = False, 1.0, 1.0, 50, None
    # A rule that ends pieces with a cadence does so in time: the model's own, which ends them at a bar line
    # when another bar would not fit, would be before it. Nor does it end one that ends where what is given
    # says.
    config.end_at_bar = not (brief.is_bounded or any(hasattr(rule, "closing") for rule in built))
    processor = RuleProcessor(built, brief.prompt.repeated(brief.rows), sample, keeper)
    if particles is not None:
        particles.steer(processor)
        criteria = [*arguments.get("stopping_criteria", ()), particles]
        arguments["stopping_criteria"] = StoppingCriteriaList(criteria)
    return generate(
        ids,
        attention_mask=torch.ones_like(ids),
        generation_config=config,
        logits_processor=LogitsProcessorList([*processors, processor]),
        **arguments,
    )


def _composes(model: Any, config: GenerationConfig, rules: Any, arguments: dict[str, Any]) -> bool:
    """Whether a call is one for the composer: it samples tokens of ours, one after another."""

    def asked(name: str, default: Any) -> Any:
        value = arguments.get(name)
        value = getattr(config, name, None) if value is None else value
        return default if value is None else value

    return (
        rules is not False
        and model.config.vocab_size == VOCAB_SIZE
        and asked("do_sample", False)
        and asked("num_beams", 1) == 1
        and asked("guidance_scale", 1) == 1
        and asked("constrain_grammar", True)
        and all(arguments.get(name) is None for name in _NOT_OURS)
    )


def _asked_length(given: GenerationConfig | None, arguments: dict[str, Any]) -> Callable[[int], int] | None:
    """The number of new tokens for a prompt of so many, as a call asks for it; `None` where it does not."""
    for asked in (arguments, vars(given) if given is not None else {}):
        new, length = asked.get("max_new_tokens"), asked.get("max_length")
        if new is not None:
            return lambda prompt: new
        if length is not None:
            return lambda prompt: max(1, length - prompt)
    return None


def _prompts(
    ids: torch.Tensor | None, config: GenerationConfig, device: torch.device, arguments: dict[str, Any]
) -> tuple[torch.Tensor, dict[tuple[int, ...], list[int]]]:
    """The ids, each row as often as sequences are asked for, and the prompts in them without padding, with
    the rows that have each.

    Raises:
        MusicGPTError: for several prompts where there may be but one.
    """
    ids = torch.tensor([[BOS_ID]], device=device) if ids is None else ids
    mask = arguments.pop("attention_mask", None)
    mask = ids != PAD_ID if mask is None else mask.to(ids.device).bool()
    times, config.num_return_sequences = config.num_return_sequences or 1, 1
    ids, mask = ids.repeat_interleave(times, dim=0), mask.repeat_interleave(times, dim=0)
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, (tokens, kept) in enumerate(zip(ids, mask, strict=True)):
        groups.setdefault(tuple(tokens[kept].tolist()), []).append(row)
    if len(groups) > 1 and (arguments.get("streamer") is not None or config.return_dict_in_generate):
        raise MusicGPTError(
            f"The rows have {len(groups)} different prompts; with a streamer or return_dict_in_generate they"
            " must be the same: call generate() once for each."
        )
    return ids, groups


def _brief(
    model: Any,
    prompt: Sequence[int],
    seeds: list[int],
    length: Callable[[int], int] | None,
    padded: int,
    bars: int | None,
    min_bars: int | None,
    min_notes: int | None,
    transposition: int,
) -> Brief:
    """What a prefix and a call ask for; `length` is what `_asked_length` gives, `padded` the number of tokens
    of the prompt with its padding.
    """
    asked: dict[str, Any] = {}
    for token in prompt:
        if TOKENS[token].type in ("TIME", "NOTE"):
            break
        asked[TOKENS[token].type] = TOKENS[token].value
    room = model.config.max_position_embeddings - len(prompt)
    return Brief(
        len(seeds),
        seeds=seeds,
        mode=asked.get("MODE", "major"),
        meter=asked.get("METER"),
        form=asked.get("FORM"),
        voices=asked.get("VOICES"),
        bars=bars,
        min_bars=(0 if bars else MIN_BARS) if min_bars is None else min_bars,
        min_notes=(0 if bars else MIN_NOTES) if min_notes is None else min_notes,
        max_new_tokens=room if length is None else min(length(padded), room),
        ends=length is None or bars is not None,
        transposition=transposition,
        prompt=model.state_after(prompt),
    )


def _together(
    ids: torch.Tensor, groups: dict[tuple[int, ...], list[int]], made: list[torch.Tensor]
) -> torch.Tensor:
    """The rows of several calls in their order: prompts as they were given, then what is new."""
    new = [output[:, len(prompt) :] for output, prompt in zip(made, groups, strict=True)]
    longest = max(part.shape[1] for part in new)
    whole = ids.new_full((len(ids), ids.shape[1] + longest), PAD_ID)
    whole[:, : ids.shape[1]] = ids
    for part, rows in zip(new, groups.values(), strict=True):
        whole[rows, ids.shape[1] : ids.shape[1] + part.shape[1]] = part.to(whole.device)
    return whole


__all__ = ["compose_ids", "generate"]
