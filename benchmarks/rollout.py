"""Responses a CPU-second: the native engine against Hugging Face ``generate`` at its best batch size.

    python -m benchmarks.rollout [tiny] [mid] [small] [--more]

Same model, prompts, sampling (n = 16, temperature 1) and lengths of responses, which are heavy-tailed as those of real
policies are: lognormal, median 53, from 10 to 200 tokens. Medians of interleaved runs in one process on one thread;
CPU time of the process. ``--more`` also prints how the rate depends on the number of responses and prompts. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from benchmarks.models import Sized, lengths, prompts
from mstar.modules.policy import Policy, PolicyModule
from mstar.rollout import NativeEngine
from mstar.types import Prompt, Request, Sampling

REPEATS = 5
RESPONSES = 16
NUM_PROMPTS = {"tiny": 32, "mid": 16, "small": 4}  # of the native engine
GENERATED = {"tiny": 8, "mid": 4, "small": 1}  # of generate, whose rate does not depend on it
BATCHES = {"tiny": (1, 4, 8), "mid": (1, 2, 4), "small": (1,)}  # prompts a call of generate
SAMPLING = Sampling(num_responses=1, max_new_tokens=200)
Timed = Callable[[], object]


class EndAt(LogitsProcessor):
    """Makes row i end after ``sizes[i]`` tokens, and not before."""

    def __init__(self, sizes: list[int], width: int, end: int) -> None:
        self.sizes, self.width, self.end = torch.tensor(sizes), width, end

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Set the end token's score."""
        over = input_ids.shape[1] - self.width >= self.sizes - 1
        scores[:, self.end] = torch.where(over, 1e9, -torch.inf)
        return scores


@contextmanager
def endless(policy: Policy) -> Iterator[None]:
    """Never sample the end token: responses end at the length they are given."""
    head: Any = policy.model.get_output_embeddings()
    end = policy.renderer.tokenizer.eos_token_id

    def ban(_module: Any, _inputs: Any, logits: Tensor) -> Tensor:
        return logits.index_fill_(-1, torch.tensor([end]), -torch.inf)

    hook = head.register_forward_hook(ban)
    try:
        yield
    finally:
        hook.remove()


def by_generate(policy: Policy, asked: list[Prompt], sizes: list[list[int]], batch: int) -> int:
    """Responses of Hugging Face ``generate``, ``batch`` prompts a call."""
    model: Any = policy.model
    tokenizer, count = policy.renderer.tokenizer, 0
    for start in range(0, len(asked), batch):
        inputs = policy.renderer.encode(asked[start : start + batch])
        width = inputs["input_ids"].shape[1]
        flat = [size for each in sizes[start : start + batch] for size in each]
        rows = model.generate(
            **inputs,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            num_return_sequences=len(sizes[0]),
            max_new_tokens=SAMPLING.max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            logits_processor=LogitsProcessorList([EndAt(flat, width, tokenizer.eos_token_id)]),
        )
        count += len(rows)
    return count


def by_native(policy: Policy, asked: list[Prompt], sizes: list[list[int]], engine: NativeEngine, seed: int) -> int:
    """Responses of the native engine."""
    requests = [
        Request(prompt, key=f"{prompt.id}/{i}", sampling=replace(SAMPLING, max_new_tokens=size))
        for prompt, each in zip(asked, sizes, strict=True)
        for i, size in enumerate(each)
    ]
    groups = list(engine.generate(policy, requests, SAMPLING, seed))
    written = sum(len(rollout.tokens) for group in groups for rollout in group)
    assert written == sum(map(sum, sizes))
    return len(groups)


def cpu_seconds(run: Timed) -> float:
    """CPU time of this process."""
    began = time.process_time()
    run()
    return time.process_time() - began


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def measure(name: str) -> dict[str, Any]:
    """Ratio of the rates on one model."""
    module = PolicyModule(Sized(name))
    asked = prompts(name, NUM_PROMPTS[name])
    sizes = [lengths(RESPONSES, seed=i) for i in range(len(asked))]
    engine = NativeEngine()
    with module.inference() as policy, endless(policy):
        few, few_sizes = asked[: GENERATED[name]], sizes[: GENERATED[name]]
        trials = {
            batch: cpu_seconds(lambda b=batch: by_generate(policy, few, few_sizes, b))  # type: ignore[misc]
            for batch in BATCHES[name]
        }
        best = min(trials, key=lambda batch: trials[batch])
        print(f"{name}: generate, CPU-seconds by prompts a call:", {k: round(v, 2) for k, v in trials.items()})
        by_native(policy, asked, sizes, engine, 0)
        engine.account.__init__()  # type: ignore[misc]
        theirs, mine = [], []
        for repeat in range(REPEATS):
            theirs.append(cpu_seconds(lambda: by_generate(policy, few, few_sizes, best)))
            mine.append(cpu_seconds(lambda r=repeat: by_native(policy, asked, sizes, engine, r)))  # type: ignore[misc]
    slow = [len(few) * RESPONSES / t for t in theirs]
    fast = [len(asked) * RESPONSES / t for t in mine]
    ratios = [a / b for a, b in zip(fast, slow, strict=True)]
    print(f"{name}: generate {spread(slow)} responses a CPU-second, {best} of {len(few)} prompts a call")
    print(f"{name}: native   {spread(fast)} responses a CPU-second, {len(asked)} prompts; ratio {spread(ratios)}")
    account = engine.account
    print(f"{name}: native, seconds by phase", {k: round(v / REPEATS, 2) for k, v in account.seconds.items()})
    print(f"{name}: occupancy {account.occupancy:.2f}, cache {account.cache_bytes / 2**20:.0f} MiB")
    return {"ratio": round(statistics.median(ratios), 2), "ratios": [round(r, 2) for r in ratios], "batch": best}


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollout")
    parser.add_argument("models", nargs="*", default=["tiny", "mid"])
    names = parser.parse_args().models
    print(json.dumps({name: measure(name) for name in names}))


if __name__ == "__main__":
    main()
