"""`generate()` with the composer's rules, for whoever has the model's folder and not this package.

`musicgpt export` writes this file as `custom_generate/generate.py`, with the rules beside it, where
transformers looks for it. So a model that `AutoModelForCausalLM.from_pretrained(..., trust_remote_code=True)`
loads from that folder composes by the rules when it samples, and any other model does with
`model.generate(ids, custom_generate=folder, trust_remote_code=True)`. `Composer` makes its pieces with
`compose_rows`, too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from transformers import GenerationConfig

from tokenization.errors import MusicGPTError
from tokenization.vocabulary import BOS_ID, EOS_ID, PAD_ID, TOKENS, VOCAB_SIZE

from .beginnings import best_beginnings
from .defaults import BARS, MAX_NEW_TOKENS, MAX_PARTICLES, PARTICLES, least, most_tokens
from .frame import refuse_long_subject, refuse_too_much
from .given_ids import GivenIds, read_given
from .particles import Particles
from .rules import chosen
from .rules.asked import Asked
from .rules.base import Brief, RuleProcessor, build
from .rules.beginning import Beginning
from .rules.given import KeepGiven
from .sampling import Sampling, SeededSampling, particle_seeds
from .window import slide

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
    given_ids: Any = None,
    free: Any = None,
    particles: int | None = None,
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
        given_ids (`torch.LongTensor` of shape `(length,)`, *optional*): a piece as the tokenizer writes it,
            or a part of it. Its notes stay. `inputs` are then a prefix, or left out for that of these ids.
        free (list of triples, *optional*): where other notes are composed beside the given ones: from a tick
            (24 a quarter) up to another, in some voices (0 is the highest), such as `(96, 192, [1])`; notes
            of `given_ids` that begin there are composed anew. When not given, `given_ids` are the subject of
            a fugue.
        particles (`int`, *optional*): how many rows compose a piece together (`musicgpt/particles.py`); 8
            between given notes, else 1.

    Returns:
        What `generate()` returns: ids of shape `(rows, length)`, prompts included, padded on the right.

    Raises:
        MusicGPTError: for `bars` or `particles` out of range, for rows with different prompts where a
            streamer or more than the ids is asked for, and for given notes or particles with that, or
            without rules or sampling.
        GivenError: for given notes that cannot stay.
    """
    _check_ranges(bars, particles)
    own = partial(type(model).generate, model)  # `from_pretrained` puts this function into the place of it
    ids = inputs if inputs is not None else arguments.pop("input_ids", None)
    config = copy.deepcopy(generation_config or model.generation_config)
    steered = given_ids is not None or (particles or 1) > 1
    if not _composes(model, config, rules, arguments):
        _refuse(steered, "need do_sample=True, one beam and rules (rules=[] for none)")
        asked = {"generation_config": generation_config, "logits_processor": logits_processor, **arguments}
        return own(ids, **{name: value for name, value in asked.items() if value is not None})
    length = _asked_length(generation_config, arguments)
    for name in [name for name in arguments if hasattr(config, name)]:
        setattr(config, name, arguments.pop(name))
    is_more = config.return_dict_in_generate or arguments.get("streamer") is not None
    _refuse(steered and is_more, "give ids alone, without streamer and return_dict_in_generate")
    sampling = Sampling.like(config, rhythm_temperature, rhythm_top_p)
    seed = int(torch.randint(2**31, ())) if seed is None else seed
    ids, groups = _prompts(ids, config, model.device, arguments)
    given = None
    if given_ids is not None:
        given = _given(model, groups, given_ids, free, transposition)
        ids = torch.tensor([given.prompt] * len(ids), device=ids.device)
        groups = {tuple(given.prompt): list(range(len(ids)))}
    number = particles or (PARTICLES if given is not None and given.frame.is_bounded else 1)
    context = model.config.max_position_embeddings
    slides = number == 1 and not config.return_dict_in_generate
    most = most_tokens(bars, min_bars, min_notes) if length is None else length(ids.shape[1])
    min_bars, min_notes = least(bars, min_bars, min_notes)
    wanted: dict[str, Any] = {"bars": bars, "min_bars": min_bars, "min_notes": min_notes}
    wanted |= {"transposition": transposition, "ends": length is None or bars is not None}
    arguments |= {"config": config, "processors": logits_processor or ()}
    new: list[list[int]] = [[]] * len(ids)
    for prompt, rows in _batches(groups, number):
        seeds = [seed + row for row in rows] * number
        brief = _brief(model, prompt, seeds, most, slides, given, **wanted)
        output, _, swarm = compose_rows(
            own, ids.device, prompt, brief, chosen(rules), sampling, context, number, **arguments
        )
        if config.return_dict_in_generate:
            return output
        made = output if swarm is None else output[swarm.choose()][None]
        for row, tokens in zip(rows, made[:, len(prompt) :].tolist(), strict=True):
            new[row] = tokens if given is None else given.whole(tokens)
    return _behind(ids, new)


def _behind(ids: torch.Tensor, new: list[list[int]]) -> torch.Tensor:
    """Prompts with new tokens behind them, padded on the right."""
    longest = max(map(len, new))
    padded = torch.tensor([row + [PAD_ID] * (longest - len(row)) for row in new], dtype=ids.dtype)
    return torch.cat([ids, padded.to(ids.device)], dim=1)


def _check_ranges(bars: int | None, particles: int | None) -> None:
    if bars is not None and not BARS[0] <= bars <= BARS[1]:
        raise MusicGPTError(f"bars is {bars}; it must be at least {BARS[0]} and at most {BARS[1]}.")
    if particles is not None and not 1 <= particles <= MAX_PARTICLES:
        raise MusicGPTError(f"particles is {particles}; it must be at least 1 and at most {MAX_PARTICLES}.")


def _batches(
    groups: dict[tuple[int, ...], list[int]], particles: int
) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """Prompts with the rows that are composed together from each: one row alone where it has particles."""
    for prompt, rows in groups.items():
        yield from ((prompt, part) for part in ([rows] if particles == 1 else [[row] for row in rows]))


def _refuse(wrong: bool, why: str) -> None:
    if wrong:
        raise MusicGPTError(f"given_ids and particles {why}.")


def compose_rows(
    generate: Callable,
    device: torch.device,
    prompt: Sequence[int],
    brief: Brief,
    rules: Iterable[Any],
    sampling: Sampling,
    context: int,
    particles: int = 1,
    put: Callable[[int], None] | None = None,
    **arguments: Any,
) -> tuple[Any, SeededSampling, Particles | None]:
    """Rows of one prompt, each by its seed, or the rows of which one becomes a piece.

    Args:
        generate (callable): the model's own `generate()`; `device` is where it runs.
        prompt (sequence of `int`): what the rows begin with.
        brief (`Brief`): what the rules are made for; particles all have one seed, that of their plan.
        rules (list), context (`int`), arguments: as for `compose_ids`.
        sampling (`Sampling`): how tokens are drawn.
        particles (`int`): how many rows make one piece; 1: each is one.
        put (callable, *optional*): given each token that all particles have in common.

    Returns:
        What `generate()` returns, what drew the tokens, and the particles, which choose a row; `None` where
        each is a piece.
    """
    seeds = brief.seeds if particles == 1 else particle_seeds(brief.seeds[0], particles)
    ids, sample = torch.tensor([prompt] * len(seeds), device=device), SeededSampling(sampling, seeds)
    swarm = None if particles == 1 else Particles(particles, seeds[0], len(prompt), sample.temperature, put)
    output = compose_ids(generate, ids, brief, rules, sample, context, particles=swarm, **arguments)
    return output, sample, swarm


def compose_ids(
    generate: Callable,
    ids: torch.Tensor,
    brief: Brief,
    rules: Iterable[Any],
    sample: Callable,
    context: int,
    config: GenerationConfig | None = None,
    processors: Iterable[Any] = (),
    particles: Particles | None = None,
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
        context (`int`): tokens that the model can read; a longer piece is composed window by window
            (`musicgpt/window.py`), which particles are not.
        config (`GenerationConfig`, *optional*): for what else `generate()` does; how it samples does not
            count.
        processors (list): logits processors that come before the rules.
        particles (`Particles`, *optional*): makes of all rows one piece (`musicgpt/particles.py`).
        arguments: of `generate()`.

    Returns:
        What `generate()` returns.
    """
    rules = list(rules)
    if particles is not None:
        rows = particles.begin(brief.frame, int(brief.prompt.ticks[0]))
        ids, brief = ids[:rows], replace(brief, rows=rows, seeds=brief.seeds[:rows])
    keeper = None if brief.frame is None else KeepGiven(brief)
    brief.earlier += [] if keeper is None else [keeper]
    built = [rule for rule in build([Asked, *rules], brief) if rule is not keeper]
    for rule in built:
        if isinstance(rule, Beginning):

            def begin(own: Brief, sample: Callable, until: Any) -> torch.Tensor:
                start = ids[:1].expand(own.rows, -1)
                others = [item for item in rules if item is not Beginning]
                return compose_ids(generate, start, own, others, sample, context, stopping_criteria=[until])

            rule.tokens = best_beginnings(begin, brief, sample)
    config = _plain(config, brief, built, context - ids.shape[1])
    processor = RuleProcessor(built, brief.prompt.repeated(brief.rows), sample, keeper)
    run = partial(slide, generate, config=config, processors=processors, rules=processor, context=context)
    if particles is None:
        return run(ids=ids, **arguments)
    particles.steer(processor)
    arguments["stopping_criteria"] = [*(arguments.get("stopping_criteria") or ()), particles]
    made = run(ids=ids, **arguments)
    config.max_new_tokens += ids.shape[1] - made.shape[1]
    if particles.is_alone and particles.is_over and config.max_new_tokens > 0:  # and nobody stopped it
        return run(ids=particles.set_out(made), **arguments)
    return made


def _plain(
    config: GenerationConfig | None, brief: Brief, rules: Sequence[Any], room: int
) -> GenerationConfig:
    """A generation config that leaves sampling and the end to what composes, where the context has room for
    so many tokens more.
    """
    config = GenerationConfig() if config is None else copy.deepcopy(config)
    config.max_new_tokens, config.max_length = brief.max_new_tokens, None
    config.bos_token_id, config.eos_token_id, config.pad_token_id = BOS_ID, EOS_ID, PAD_ID
    # The sampling is in `sample`; what a generation config says of it must not come on top.
    config.do_sample, config.temperature, config.top_p, config.top_k, config.min_p = False, 1.0, 1.0, 50, None
    # A rule that ends pieces with a cadence does so in time: the model's own, which ends them at a bar line
    # when another bar would not fit, would be before it. Nor does it end one that ends where what is given
    # says.
    config.end_at_bar = not (brief.is_bounded or any(hasattr(rule, "closing") for rule in rules))
    if config.end_at_bar and brief.ends:  # no length is asked for, and the model ends none by itself
        config.max_new_tokens = min(config.max_new_tokens, room)
    return config


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
    most: int,
    slides: bool,
    given: GivenIds | None,
    **wanted: Any,
) -> Brief:
    """What a prefix and a call ask for.

    Args:
        most (`int`): new tokens at most; where not `slides` no more than the context holds.
        wanted: further fields.

    Raises:
        GivenError: if what is given takes more tokens than there can be.
    """
    asked: dict[str, Any] = {}
    for token in prompt:
        if TOKENS[token].type in ("TIME", "NOTE"):
            break
        asked[TOKENS[token].type] = TOKENS[token].value
    slides = slides and not (given is not None and given.frame.is_bounded)
    room = min(most, MAX_NEW_TOKENS if slides else model.config.max_position_embeddings - len(prompt))
    if given is not None:
        asked |= {"METER": None, "VOICES": given.voices}  # its meter was not asked for
        refuse_too_much(given.frame, given.regions, room)
        if given.is_subject:
            refuse_long_subject(len(given.frame.notes) - 1, room)
    return Brief(
        len(seeds),
        seeds=seeds,
        mode=asked.get("MODE", "major"),
        meter=asked.get("METER"),
        form=asked.get("FORM"),
        voices=asked.get("VOICES"),
        max_new_tokens=room,
        prompt=model.state_after(prompt),
        frame=None if given is None else given.frame,
        **wanted,
    )


def _given(
    model: Any, groups: dict[tuple[int, ...], list[int]], given_ids: Any, free: Any, transposition: int
) -> GivenIds:
    """What is given, read; the prompt, if it is more than `<bos>`, is the prefix."""
    if len(groups) > 1:
        raise MusicGPTError(f"given_ids stand beside {len(groups)} different prefixes: give one.")
    [prefix] = groups
    given_ids = torch.as_tensor(given_ids).cpu().numpy()
    return read_given(model, prefix if len(prefix) > 1 else None, given_ids, free, transposition)
