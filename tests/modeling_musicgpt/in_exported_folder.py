"""Run in the exported folder by `test_exported_folder.py`, in a process that has `transformers` and `torch`
and nothing of this project.

Every way of using the model gives what it found as JSON: ids, and differences from the reference. What must
hold of it is said in the test.
"""

import json
import sys
import tempfile
import time
import warnings

import torch
import transformers
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, StaticCache, TextStreamer, pipeline
from transformers.generation.streamers import BaseStreamer

TEXT, OTHER, NEW = (
    "MODE_minor METER_3/4 TIME_0 NOTE_69 VOICE_0 DUR_12 TIME_12",
    "FORM_fugue METER_4/4 VOICES_3 TIME_12",
    16,
)
WAYS = {}


def way(function):
    WAYS[function.__name__] = function
    return function


class Folder:
    """The folder's model and tokenizer, and the reference: greedy, without a cache, every token from the
    whole sequence.
    """

    def __init__(self):
        self.tokenizer = AutoTokenizer.from_pretrained(".", trust_remote_code=True)
        self.model = self.load()
        self.ids, self.other = (torch.tensor([self.tokenizer(text)["input_ids"]]) for text in (TEXT, OTHER))
        self.start = self.ids.shape[1]
        self.model.fast_decoding = False
        self.whole = self.greedy(use_cache=False)
        self.whole_other = self.greedy(self.other, use_cache=False)
        self.model.fast_decoding = True
        self.logits = self.model(self.whole, use_cache=False).logits

    def load(self, auto=AutoModelForCausalLM, folder=".", **how):
        return auto.from_pretrained(folder, trust_remote_code=True, **how).eval()

    def greedy(self, ids=None, model=None, **how):
        given = {"do_sample": False, "max_new_tokens": NEW, "end_at_bar": False, **how}
        return (model or self.model).generate(self.ids if ids is None else ids, **given)

    def sampled(self, seed, **how):
        torch.manual_seed(seed)
        return self.model.generate(self.ids, **{"max_new_tokens": NEW, **how}).tolist()

    def with_attention(self, name):
        model = self.load(attn_implementation=name)
        assert model.config._attn_implementation == name
        return model


def off(got, wanted):
    return float((got.float() - wanted.float()).abs().max())


@way
def greedy(f):
    return {"same": f.greedy(), "because": f.model.stock_loop_because}


@way
def sampling(f):
    return {"rows": f.sampled(1), "again": f.sampled(1), "others": f.sampled(2)}


@way
def beams(f):
    return {
        "rows": f.greedy(num_beams=3),
        "again": f.greedy(num_beams=3, use_cache=False),
        "because": f.model.stock_loop_because,
    }


@way
def num_return_sequences(f):
    return {
        "rows": f.sampled(3, num_return_sequences=3),
        "others": f.greedy(num_beams=3, num_return_sequences=3),
    }


@way
def left_padding(f):
    batch = f.tokenizer([TEXT, OTHER], padding=True, padding_side="left", return_tensors="pt")
    rows = f.greedy(batch["input_ids"], attention_mask=batch["attention_mask"])
    return {"same": rows[:1], "second": rows[1, f.start - f.other.shape[1] :], "wanted": f.whole_other[0]}


@way
def assisted(f):
    return {"same": f.greedy(assistant_model=f.load()), "because": f.model.stock_loop_because}


@way
def prompt_lookup(f):
    return {"same": f.greedy(prompt_lookup_num_tokens=3), "because": f.model.stock_loop_because}


@way
def static_cache(f):
    given = StaticCache(config=f.model.config, max_cache_len=64)
    return {
        "same": f.greedy(cache_implementation="static"),
        "second": f.greedy(cache=given)[0],
        "wanted": f.whole[0],
    }


@way
def continued_cache(f):
    first = f.greedy(max_new_tokens=7, return_dict_in_generate=True)
    return {
        "same": f.greedy(
            first.sequences,
            past_key_values=first["past_key_values" if "past_key_values" in first else "cache"],
            max_new_tokens=NEW - 7,
        )
    }


@way
def scores(f):
    out = f.greedy(return_dict_in_generate=True, output_scores=True, output_logits=True)
    raw = torch.cat(out.logits)
    legal = [f.model.grammar.mask(f.whole[:, :n])[0] for n in range(f.start, f.start + NEW)]
    forbidden = [
        bool((score[0][~mask] == -torch.inf).all()) for score, mask in zip(out.scores, legal, strict=True)
    ]
    return {
        "same": out.sequences,
        "off": off(raw, f.logits[0, f.start - 1 : -1]),
        "chosen": [int(score.argmax()) for score in out.scores],
        "forbidden": all(forbidden),
        "because": f.model.stock_loop_because,
    }


@way
def hidden_states(f):
    wanted = f.model(f.whole, output_hidden_states=True, use_cache=False).hidden_states
    out = f.greedy(return_dict_in_generate=True, output_hidden_states=True)
    got = [torch.cat([step[layer] for step in out.hidden_states], dim=1) for layer in range(len(wanted))]
    largest = max(off(a, b[:, :-1]) for a, b in zip(got, wanted, strict=True))
    f.greedy()
    return {
        "same": out.sequences,
        "layers": len(wanted),
        "off": largest,
        "because": f.model.stock_loop_because,
    }


@way
def attentions(f):
    model = f.with_attention("eager")
    wanted = model(f.whole, output_attentions=True, use_cache=False).attentions
    out = f.greedy(model=model, return_dict_in_generate=True, output_attentions=True)
    last = [step[-1][0, :, -1] for step in out.attentions]  # (heads, keys) of each new token
    largest = max(off(a, wanted[-1][0, :, n - 1, :n]) for n, a in enumerate(last, start=f.start))
    sums = max(abs(float(a.sum(-1).max()) - 1) for a in last)
    return {"same": out.sequences, "off": max(largest, sums), "layers": len(wanted)}


class _Keep(BaseStreamer):
    def __init__(self):
        self.seen, self.ended = [], False

    def put(self, value):
        self.seen += value.flatten().tolist()

    def end(self):
        self.ended = True


class _Texts(TextStreamer):
    text = ""

    def on_finalized_text(self, text, stream_end=False):
        self.text += text


@way
def streamers(f):
    keep, texts = _Keep(), _Texts(f.tokenizer, skip_prompt=True)
    same = f.greedy(streamer=keep)
    f.greedy(streamer=texts)
    return {
        "same": same,
        "seen": [keep.seen],
        "ended": keep.ended,
        "text": texts.text.split(),
        "words": f.tokenizer.decode(f.whole[0, f.start :]).split(),
    }


@way
def guidance(f):
    mask = torch.ones_like(f.ids)
    # u + 3 (c - u) with u = c
    itself = f.greedy(guidance_scale=3.0, negative_prompt_ids=f.ids, negative_prompt_attention_mask=mask)
    away = f.greedy(
        guidance_scale=3.0,
        negative_prompt_ids=f.other,
        negative_prompt_attention_mask=torch.ones_like(f.other),
    )
    return {"same": itself, "rows": away, "because": f.model.stock_loop_because}


def _half(f, dtype):
    model = f.load(dtype=dtype)
    assert model.dtype == dtype
    logits = model(f.whole).logits
    torch.manual_seed(0)
    return {
        "off": off(logits.float().softmax(-1), f.logits.softmax(-1)),
        "rows": model.generate(f.ids, max_new_tokens=NEW),
    }


@way
def bfloat16(f):
    return _half(f, torch.bfloat16)


@way
def float16(f):
    return _half(f, torch.float16)


@way
def eager(f):
    model = f.with_attention("eager")
    return {"same": f.greedy(model=model, use_cache=True), "off": off(model(f.whole).logits, f.logits)}


@way
def sdpa(f):
    model = f.with_attention("sdpa")
    return {"same": f.greedy(model=model), "off": off(model(f.whole).logits, f.logits)}


@way
def flex(f):
    model = f.with_attention("flex_attention")
    with warnings.catch_warnings(), torch.compiler.set_stance("force_eager"):
        warnings.simplefilter("ignore")  # compiled it needs a C++ compiler and half a minute
        return {"off": off(model(f.whole).logits, f.logits)}


@way
def in_pipeline(f):
    pipe = pipeline("text-generation", model=".", trust_remote_code=True)
    text = pipe([TEXT + " "], do_sample=False, max_new_tokens=NEW, end_at_bar=False)[0][0]["generated_text"]
    return {"text": text.split(), "words": f.tokenizer.decode(f.whole[0], skip_special_tokens=True).split()}


@way
def compiled(f):
    """One graph without breaks, whole sequences and cached steps; the backend that only traces keeps this
    fast.
    """
    step = torch.compile(f.model, fullgraph=True, backend="eager")
    cache = StaticCache(config=f.model.config, max_cache_len=64)
    f.model(f.whole[:, :-2], cache=cache)
    logits = [step(f.whole, use_cache=False).logits]
    for n in range(f.start + NEW - 2, f.start + NEW):
        logits.append(step(f.whole[:, n : n + 1], cache=cache, position_ids=torch.tensor([[n]])).logits)
    return {"off": off(torch.cat(logits, dim=1), torch.cat((f.logits, f.logits[:, -2:]), dim=1))}


@way
def saved_and_loaded(f):
    with tempfile.TemporaryDirectory() as folder:
        f.model.save_pretrained(folder)
        f.tokenizer.save_pretrained(folder)
        model, tokenizer = (
            f.load(folder=folder),
            AutoTokenizer.from_pretrained(folder, trust_remote_code=True),
        )
        base = f.load(AutoModel, folder)
        hidden = f.model.model(f.whole).last_hidden_state
        return {
            "same": f.greedy(model=model),
            "off": off(base(f.whole).last_hidden_state, hidden),
            "prompt": tokenizer(TEXT)["input_ids"],
        }


@torch.no_grad()
def main():
    folder, found = Folder(), {}
    found["reference"] = {
        "row": folder.whole[0].tolist(),
        "start": folder.start,
        "new": NEW,
        "version": transformers.__version__,
    }
    for name, function in WAYS.items():
        begun = time.perf_counter()
        try:
            found[name] = {
                key: value.tolist() if isinstance(value, torch.Tensor) else value
                for key, value in function(folder).items()
            }
        except Exception as error:
            found[name] = {"raised": f"{type(error).__name__}: {error}"}
        print(f"{time.perf_counter() - begun:6.2f} s {name}", file=sys.stderr)
    found["modules"] = {
        "ours": sorted(
            {name.partition(".")[0] for name in sys.modules}
            & {"tokenization", "modeling_musicgpt", "musicgpt", "training"}
        )
    }
    print(json.dumps(found))


main()
