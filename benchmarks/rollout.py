"""Responses a CPU-second: the native engine against Hugging Face ``generate``, same model, prompts and sampling.

``python -m benchmarks.rollout``: medians of interleaved runs in one process on one thread; the spread is printed, and
the last line is JSON. The model is the demo's with random weights: lengths vary widely, many responses hit the limit.
"""

from __future__ import annotations

import json
import statistics
import time

import torch

from mstar.demo.scenes import DigitScenes
from mstar.demo.tiny import TinyLlava
from mstar.modules.policy import Policy, PolicyModule
from mstar.rollout import GenerateEngine, NativeEngine, RolloutEngine
from mstar.types import Prompt, Request, Sampling

REPEATS = 5
NUM_PROMPTS = 16
SAMPLING = Sampling(num_responses=16, max_new_tokens=48)


def responses_a_second(engine: RolloutEngine, policy: Policy, prompts: list[Prompt], seed: int) -> float:
    """Responses by CPU time of this process."""
    began = time.process_time()
    groups = list(engine.generate(policy, [Request(prompt) for prompt in prompts], SAMPLING, seed))
    return sum(len(group) for group in groups) / (time.process_time() - began)


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    module = PolicyModule(TinyLlava())
    source = DigitScenes("prompts", NUM_PROMPTS, seed=0)
    prompts = [source[i] for i in range(NUM_PROMPTS)]
    engines: dict[str, RolloutEngine] = {"native": NativeEngine(), "generate": GenerateEngine()}
    rates: dict[str, list[float]] = {name: [] for name in engines}
    with module.inference() as policy:
        for repeat in range(REPEATS + 1):
            for name, engine in engines.items():
                rate = responses_a_second(engine, policy, prompts, repeat)
                if repeat:  # the first is a warm-up
                    rates[name].append(rate)
    for name, found in rates.items():
        print(f"{name}: {statistics.median(found):.0f} responses a CPU-second [{min(found):.0f}, {max(found):.0f}]")
    ratios = [mine / theirs for mine, theirs in zip(rates["native"], rates["generate"], strict=True)]
    print(json.dumps({"ratio": round(statistics.median(ratios), 2), "ratios": [round(ratio, 2) for ratio in ratios]}))


if __name__ == "__main__":
    main()
