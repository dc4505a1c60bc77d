"""Completions from every step prefix of responses: the native engine against a call of ``generate`` a prefix.

``python -m benchmarks.step_labels``: about four minutes on one thread, with ``mid`` of ``benchmarks.models``. Step
labels ask for 8 completions from behind each step but the last, of 8 responses to each of 2 prompts. The native engine
is asked for all of them at once, as ``mstar predict`` does; the plain way encodes image, prompt and prefix anew in
every call, here for every tenth prefix, whose completions are about as long as all are. Both write the same number of
tokens behind a prefix: heavy-tailed, and the fewer the more is written already. The last line is JSON.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from transformers import LogitsProcessorList

from benchmarks.measure import interleaved, ratio
from benchmarks.models import Sized, lengths, prompts, steps
from benchmarks.rollout import SAMPLING, EndAt, endless
from mstar.modules.policy import Policy, PolicyModule
from mstar.rollout import NativeEngine
from mstar.steps import step_ends
from mstar.types import Prompt, Request

NAME, NUM_PROMPTS, RESPONSES, COMPLETIONS = "mid", 2, 8, 8
SAMPLED = slice(5, None, 10)  # the prefixes that generate completes; all of them would take as long


@dataclass(frozen=True)
class Prefix:
    """A beginning to complete, and how many tokens each completion has."""

    prompt: Prompt
    tokens: tuple[int, ...]
    sizes: tuple[int, ...]


def prefixes(policy: Policy) -> list[Prefix]:
    """What is to be completed."""
    found = []
    for number, asked in enumerate(prompts(NAME, NUM_PROMPTS)):
        for index, size in enumerate(lengths(RESPONSES, seed=RESPONSES * number)):
            text = steps(size, seed=index)
            tokens, ends = policy.renderer.step_ends(text, step_ends(text, "\n\n"))
            begun = [tokens[: end + 1] for end in ends[:-1]]
            found += [Prefix(asked, each, _rest(len(each) / len(tokens), each)) for each in begun]
    return found


def _rest(written: float, tokens: Sequence[int]) -> tuple[int, ...]:
    """Lengths of completions when a share of the response is ``written``: at least five tokens."""
    return tuple(max(5, round(n * (1 - written))) for n in lengths(COMPLETIONS, seed=sum(tokens) + len(tokens)))


def by_generate(policy: Policy, asked: Sequence[Prefix]) -> None:
    """A call of ``generate`` a prefix."""
    model: Any = policy.model
    tokenizer = policy.renderer.tokenizer
    for prefix in asked:
        inputs = policy.renderer.encode([prefix.prompt], [prefix.tokens])
        end = EndAt(list(prefix.sizes), inputs["input_ids"].shape[1], tokenizer.eos_token_id)
        model.generate(
            **inputs,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            num_return_sequences=COMPLETIONS,
            max_new_tokens=SAMPLING.max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            logits_processor=LogitsProcessorList([end]),
        )


def by_native(policy: Policy, asked: Sequence[Prefix]) -> None:
    """All prefixes in one call of the native engine."""
    requests = [
        Request(prefix.prompt, prefix.tokens, f"{number}/{i}", replace(SAMPLING, max_new_tokens=size))
        for number, prefix in enumerate(asked)
        for i, size in enumerate(prefix.sizes)
    ]
    groups = list(NativeEngine(dtype="float32").generate(policy, requests, SAMPLING, seed=0))
    written = sum(len(r.tokens) for group in groups for r in group)
    assert written == sum(len(prefix.tokens) * COMPLETIONS + sum(prefix.sizes) for prefix in asked)


def main() -> None:
    """Measure and print."""
    with PolicyModule(Sized(NAME)).inference() as policy, endless(policy):
        every = prefixes(policy)
        some = every[SAMPLED]
        for way, asked in (("native", every), ("generate", some)):
            mean = statistics.mean(n for prefix in asked for n in prefix.sizes)
            longest = statistics.mean(max(prefix.sizes) for prefix in asked)
            print(f"{way}: {len(asked)} prefixes, {mean:.0f} tokens behind each, the longest {longest:.0f} on average")
        seconds = interleaved(
            {"generate": partial(by_generate, policy, some), "native": partial(by_native, policy, every)}
        )
    counts = {"generate": len(some) * COMPLETIONS, "native": len(every) * COMPLETIONS}
    each = {way: [took / counts[way] for took in found] for way, found in seconds.items()}
    for way, found in each.items():
        print(f"{way}: {1 / statistics.median(found):.2f} completions a CPU-second")
    print(json.dumps({"ratio": ratio(each, "generate", "native"), "prefixes": len(every)}))


if __name__ == "__main__":
    main()
