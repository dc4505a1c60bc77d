"""Verdicts a second on one core: our verifier, math-verify alone, and the rules of ms-swift and of lmms-eval.

``python -m benchmarks.grading``: one minute. *Short* are answers of MathVista's types in the ways that models state
them, *expressions* are products written out, which only algebra tells from wrong ones: ours asks math-verify in a
worker that can be killed, and its time is counted with ours. Each run has texts of its own, so that no cache
answers; within a run a prompt has 16 responses, as in training. ``right`` is the share of verdicts that agree with how
the response was made. The last line is JSON: verdicts a CPU-second and shares in [0, 1].
"""

from __future__ import annotations

import json
import logging
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count, cycle
from typing import Any

import psutil

from benchmarks.graders import lmms_eval, math_verify_alone, ms_swift
from benchmarks.measure import REPEATS, interleaved, ratio
from mstar.answers import verify
from mstar.types import Prompt

NUM_RESPONSES = 16
SHORT = {"ours": 8_000, "math-verify": 320, "ms-swift": 8_000, "lmms-eval": 8_000}
EXPRESSIONS = {"ours": 120, "math-verify": 120, "ms-swift": 1_200}
"""Verdicts a run: as many as take long enough to be measured."""
FORMS = ("# Answer\n\n{}", "So we get this.\nAnswer: {}", "The answer is {}.", "It follows that $x = \\boxed{{{}}}$.")
WORDS = ("rectangle", "circle", "triangle", "increase", "decrease", "north", "south", "red", "blue", "magenta")

Case = tuple[str, Prompt, bool]
Rule = Callable[[str, Prompt], bool]


def ours(text: str, prompt: Prompt) -> bool:
    """What `OutcomeReward` asks."""
    return verify(text, prompt).verdict == "correct"


RULES: dict[str, Rule] = {
    "ours": ours,
    "math-verify": math_verify_alone,
    "ms-swift": ms_swift,
    "lmms-eval": lmms_eval,
}


def short(num: int, seed: int) -> list[Case]:
    """Stated answers of four types, half of them right."""
    chance, kinds = random.Random(seed), cycle(KINDS)
    return [case for _ in range(num // NUM_RESPONSES) for case in _answers(next(kinds), chance)]


def _answers(kind: Callable[[random.Random], tuple[Prompt, str, str]], chance: random.Random) -> Iterator[Case]:
    prompt, right, wrong = kind(chance)
    for number in range(NUM_RESPONSES):
        good = chance.random() < 0.5
        yield FORMS[number % len(FORMS)].format(right if good else wrong), prompt, good


def _integer(chance: random.Random) -> tuple[Prompt, str, str]:
    value = chance.randrange(10**6)
    return _prompt(str(value), "integer"), str(value), str(value + 1)


def _float(chance: random.Random) -> tuple[Prompt, str, str]:
    value = chance.randrange(100, 10**7) / 100
    return _prompt(str(value), "float", precision=2), f"{value + 0.001:.3f}", f"{value + 0.1:.3f}"


def _choice(chance: random.Random) -> tuple[Prompt, str, str]:
    choices = [f"{word} {chance.randrange(10**6)}" for word in chance.sample(WORDS, 4)]
    right, wrong = chance.sample(range(4), 2)
    prompt = _prompt(choices[right], "text", choices=choices)
    return prompt, f"({chr(65 + right)})", choices[wrong]


def _text(chance: random.Random) -> tuple[Prompt, str, str]:
    right, wrong = (f"{word}{chance.randrange(10**6)}" for word in chance.sample(WORDS, 2))
    return _prompt(right, "text"), right, wrong


KINDS = (_integer, _float, _choice, _text)


def _prompt(answer: str, kind: str, **meta: Any) -> Prompt:
    return Prompt("p", "What is it?", answer=answer, meta={"answer_type": kind, **meta})


def expressions(num: int, seed: int) -> list[Case]:
    """Products of two factors against their expansion, half of them off by one."""
    chance, cases = random.Random(seed), list[Case]()
    for number in range(num):
        a, b, good = chance.randrange(2, 10**4), chance.randrange(2, 10**4), number % 2 == 0
        prompt = _prompt(f"x^2+{a + b}x+{a * b + (not good)}", "expression")
        cases.append((f"It factors into \\boxed{{(x+{a})(x+{b})}}", prompt, good))
    return cases


def core_seconds() -> float:
    """CPU time of this process and of its workers, so far; that of workers in hundredths of a second."""
    return time.process_time() + sum(sum(one.cpu_times()[:2]) for one in psutil.Process().children())


def measure(cases: Callable[[int, int], list[Case]], sizes: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Verdicts a second with their range, and the share of right ones, of each rule on so many cases a run."""
    seeds, right = count(), dict.fromkeys(sizes, 0.0)
    runs = {name: [cases(size, next(seeds)) for _ in range(REPEATS + 1)] for name, size in sizes.items()}

    def run(name: str) -> None:
        verdicts = [RULES[name](text, prompt) == good for text, prompt, good in runs[name].pop()]
        right[name] = statistics.fmean(verdicts)

    seconds = interleaved({name: partial(run, name) for name in sizes}, clock=core_seconds)
    each = {name: [second / sizes[name] for second in found] for name, found in seconds.items()}
    for name in sizes.keys() - {"ours"}:
        ratio(each, name, "ours")
    rates = {name: [round(1 / second) for second in found] for name, found in each.items()}
    return {
        name: {
            "per_second": round(statistics.median(found)),
            "range": [min(found), max(found)],
            "right": round(right[name], 3),
        }
        for name, found in rates.items()
    }


def main() -> None:
    """Measure and print."""
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that it has no limits here
    found = {"short": measure(short, SHORT), "expressions": measure(expressions, EXPRESSIONS)}
    for kind, rates in found.items():
        for name, rate in rates.items():
            share = f"{100 * rate['right']:.1f} % right"
            print(f"{kind}, {name}: {rate['per_second']:,} {rate['range']} a CPU-second, {share}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
