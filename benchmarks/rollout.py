"""Responses a CPU-second: the native engine against Hugging Face ``generate`` at its best batch size.

    python -m benchmarks.rollout [tiny] [mid] [small] [--rates]

Same model, prompts, sampling (n = 16, temperature 1) and lengths of responses, which are heavy-tailed as those of real
policies are: lognormal, median 53, from 10 to 200 tokens. Medians of five rounds in turn, in one process on one thread;
CPU time of the process. Once both in fp32 and, on a CPU that multiplies in bf16, each in the type it is fastest in.
Printed too: how far decoding is from what the machine could do at best, how many rows were in use, peak memory, and
with ``--rates`` the rate by number of responses and of prompts (``tiny``). Without arguments everything is measured, in
more than an hour, most of it ``small`` by ``generate``. The last line is JSON.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from benchmarks.measure import interleaved, peak_memory, ratio
from benchmarks.models import Sized, lengths, prompts
from benchmarks.roofline import Machine, Work, prompt_lengths
from mstar.modules.policy import Policy, PolicyModule
from mstar.rollout import NativeEngine
from mstar.rollout.account import Account
from mstar.rollout.native.packed import can_pack
from mstar.types import Prompt, Request, Sampling

RESPONSES = 16
NUM_PROMPTS = {"tiny": 32, "mid": 32, "small": 16}  # of the native engine
GENERATED = {"tiny": 8, "mid": 4, "small": 2}  # of generate, whose rate does not depend on it
BATCHES = {"tiny": (1, 4, 8), "mid": (1, 2, 4), "small": (1, 2)}  # prompts a call of generate
SAMPLING = Sampling(num_responses=1, max_new_tokens=200)
Sizes = Sequence[Sequence[int]]


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


def by_generate(policy: Policy, asked: Sequence[Prompt], sizes: Sizes, batch: int) -> None:
    """Responses of Hugging Face ``generate``, ``batch`` prompts a call."""
    model: Any = policy.model
    tokenizer = policy.renderer.tokenizer
    for start in range(0, len(asked), batch):
        inputs = policy.renderer.process(asked[start : start + batch])
        width = inputs["input_ids"].shape[1]
        flat = [size for each in sizes[start : start + batch] for size in each]
        model.generate(
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


def by_native(policy: Policy, asked: Sequence[Prompt], sizes: Sizes, engine: NativeEngine) -> None:
    """Responses of the native engine."""
    requests = [
        Request(prompt, key=f"{prompt.id}/{i}", sampling=replace(SAMPLING, max_new_tokens=size))
        for prompt, each in zip(asked, sizes, strict=True)
        for i, size in enumerate(each)
    ]
    groups = list(engine.generate(policy, requests, SAMPLING, seed=0))
    assert sum(len(rollout.tokens) for group in groups for rollout in group) == sum(map(sum, sizes))


def measure(name: str, machine: Machine) -> dict[str, Any]:
    """Ratios of the rates on one model: both in fp32, and both as fast as they can."""
    asked = prompts(name, NUM_PROMPTS[name])
    sizes = [lengths(RESPONSES, seed=i) for i in range(len(asked))]
    few, few_sizes = asked[: GENERATED[name]], sizes[: GENERATED[name]]
    engines = {"native": NativeEngine(dtype="float32")} | (
        {"native, bf16": NativeEngine(dtype="bfloat16")} if can_pack() else {}
    )
    with PolicyModule(Sized(name)).inference() as policy:
        print(f"--- {name}")
        policies = {"": policy} | ({", bf16": rounded(policy)} if can_pack() else {})
        with ExitStack() as stack:
            for each in policies.values():
                stack.enter_context(endless(each))
            generate = {
                f"generate, {n} a call{dtype}": partial(by_generate, each, few, few_sizes, n)
                for dtype, each in policies.items()
                for n in BATCHES[name]
            }
            tried = interleaved(generate, repeats=1)
            ranked = sorted(tried, key=lambda way: tried[way][0])
            best = next(way for way in ranked if not way.endswith("bf16"))
            native = {way: partial(by_native, policy, asked, sizes, engine) for way, engine in engines.items()}
            peaks = {way: peak_memory(run) for way, run in {**native, best: generate[best]}.items()}
            for engine in engines.values():
                engine.account = Account()
            seconds = interleaved({way: generate[way] for way in dict.fromkeys((best, ranked[0]))} | native)
            each_response = _a_response(seconds, native, few_sizes, sizes)
            result: dict[str, Any] = {"ratio": ratio(each_response, best, "native"), "generate_best": best}
            if can_pack():
                fastest = min(native, key=lambda way: statistics.median(seconds[way]))
                result["best_dtype"] = ratio(each_response, ranked[0], fastest)
                result["best_dtype_of"] = [ranked[0], fastest]
            result |= distance(policy, asked, sizes, engines["native"], seconds["native"], machine)
    print("peak memory: " + ", ".join(f"{way} {peak:.0f} MB" for way, peak in peaks.items()))
    return result


def rounded(policy: Policy) -> Policy:
    """The policy in bf16."""
    return Policy(copy.deepcopy(policy.model).to(torch.bfloat16), policy.renderer)  # type: ignore[arg-type]


def _a_response(
    seconds: dict[str, list[float]], native: Container[str], few: Sizes, all_sizes: Sizes
) -> dict[str, list[float]]:
    """CPU seconds a response."""
    counts = {way: sum(map(len, all_sizes if way in native else few)) for way in seconds}
    each = {way: [took / counts[way] for took in found] for way, found in seconds.items()}
    for way, found in each.items():
        print(f"{way}: {1 / statistics.median(found):.2f} responses a CPU-second")
    return each


def distance(
    policy: Policy,
    asked: Sequence[Prompt],
    sizes: Sizes,
    engine: NativeEngine,
    seconds: list[float],
    machine: Machine,
) -> dict[str, float]:
    """Time of the decoding steps over the least time the machine could take; printed with where the time went."""
    account = engine.account
    total = sum(account.seconds.values())
    shares = {phase: round(took / total, 3) for phase, took in account.seconds.items()}
    rounds = len(seconds) + 1
    work = Work.of(policy.model, prompt_lengths(policy.renderer.process(asked)), sizes, account.steps // rounds)
    least = work.seconds(machine)
    decode = shares["decode"] * statistics.median(seconds)
    print(f"share of time by phase: {shares}; rows in use {account.occupancy:.2f}")
    print(
        f"decoding {decode:.2f} s; at best {work.flops / machine.flops:.2f} s to compute and "
        f"{work.nbytes / machine.bandwidth:.2f} s to read: {decode / least:.2f} times the roofline; "
        f"keys and values {account.cache_bytes / 2**20:.0f} MiB"
    )
    return {"over_roofline": round(decode / least, 2), "occupancy": round(account.occupancy, 2)}


def rates(name: str) -> dict[str, dict[int, float]]:
    """Responses a CPU-second by responses a prompt (of 16 prompts), and by prompts (16 responses each)."""
    print(f"--- rates, {name}")
    with PolicyModule(Sized(name)).inference() as policy, endless(policy):
        by_n = {n: _rate(policy, name, 16, n) for n in (1, 4, 16, 64)}
        by_prompts = {num: _rate(policy, name, num, RESPONSES) for num in (10, 100, 1000)}
    return {"by_responses": by_n, "by_prompts": by_prompts}


def _rate(policy: Policy, name: str, num: int, n: int) -> float:
    asked, sizes = prompts(name, num), [lengths(n, seed=i) for i in range(num)]
    engine = NativeEngine(dtype="float32")
    began = time.process_time()
    by_native(policy, asked, sizes, engine)
    rate = num * n / (time.process_time() - began)
    print(f"{num} prompts, {n} responses each: {rate:.1f} a CPU-second, rows in use {engine.account.occupancy:.2f}")
    return round(rate, 1)


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollout")
    parser.add_argument("models", nargs="*", choices=[*NUM_PROMPTS, []])
    parser.add_argument("--rates", action="store_true")
    given = parser.parse_args()
    everything = not given.models and not given.rates
    machine = Machine.measured()
    print(f"one thread: {machine.flops / 1e9:.0f} GFLOP/s in fp32, {machine.bandwidth / 1e9:.1f} GB/s")
    names = list(NUM_PROMPTS) if everything else given.models
    result: dict[str, Any] = {name: measure(name, machine) for name in names}
    if given.rates or everything:
        result["rates"] = rates("tiny")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
