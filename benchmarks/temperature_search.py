"""Racing for a temperature against measuring every candidate on every prompt: the same choice, with how many responses?

``python -m benchmarks.temperature_search [--tables 18] [--recorded RUN/temperature/iteration-0000]``: a minute on one
thread. A search that a run has recorded in full is replayed as it is; else tables are made by a policy that is written
down here: per prompt the logits of ten answers, sampled at each temperature, and in hot responses steps that slip.
Temperatures share their random numbers (``shared``), as the engines have it, or do not (``own``), as if every text went
its own way from the first token on; real policies lie between. Curves are as flat near their peak as the paper's
(section 8.2), so which of several temperatures is the highest on 250 prompts is often luck: beside each search stands
how often the full grid itself chooses the same on 250 other prompts. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from math import exp
from pathlib import Path
from statistics import fmean

from mstar.rollout.store import from_parquet
from mstar.temperature import ArgmaxPass, ArgmaxRewardPass, Choice, FullGrid, Racing, Search, TemperatureRule
from mstar.temperature.control import CANDIDATES
from mstar.types import Group, Prompt, Rollout

NUM_PROMPTS, NUM_RESPONSES, NUM_ANSWERS = 250, 16, 10
SLIP = 0.03  # chance that a step slips at temperature 1; it grows with the temperature's cube
RULES: dict[str, TemperatureRule] = {"reward-pass@2": ArgmaxRewardPass(2), "pass@16": ArgmaxPass(16)}
Table = dict[float, list[Group]]


def make_table(seed: int, skill: float, shared: bool) -> Table:
    """Groups by temperature of one policy; ``skill`` is the mean logit of right answers."""
    draw, table = random.Random(seed), Table({t: [] for t in CANDIDATES})
    for number in range(NUM_PROMPTS):
        logits = [draw.gauss(skill, 2.2), *(draw.gauss(0, 1) for _ in range(NUM_ANSWERS - 1))]
        liked = [draw.gauss(0, 0.5) for _ in logits]
        luck, steps = draw_luck(draw), draw.randint(3, 12)
        for t, groups in table.items():
            answers = sample(logits, steps, t, luck if shared else draw_luck(draw))
            rewards = [0.5 * right + liked[answer] + mood for answer, right, mood in answers]
            responses = [
                response(f"p{number}", i, a[1], r) for i, (a, r) in enumerate(zip(answers, rewards, strict=True))
            ]
            groups.append(Group(Prompt(f"p{number}", "?"), tuple(responses)))
    return table


def draw_luck(draw: random.Random) -> list[tuple[float, float, float]]:
    """Of each response: which answer, whether a step slips, and what the reward makes of it."""
    return [(draw.random(), draw.random(), draw.gauss(0, 0.5)) for _ in range(NUM_RESPONSES)]


def sample(
    logits: Sequence[float], steps: int, temperature: float, luck: Sequence[tuple[float, float, float]]
) -> list[tuple[int, bool, float]]:
    """Answers, whether they are right (the first one, and no step has slipped), and the reward's mood."""
    weights = [exp(2 * logit / temperature) for logit in logits]
    slipping = 1 - (1 - SLIP * temperature**3) ** steps
    answers = [(pick(weights, which), slip >= slipping, mood) for which, slip, mood in luck]
    return [(answer, answer == 0 and sound, mood) for answer, sound, mood in answers]


def pick(weights: Sequence[float], where: float) -> int:
    """The item that holds the share ``where`` of all weight."""
    left = where * sum(weights)
    for number, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return number
    return len(weights) - 1


def response(prompt_id: str, index: int, right: bool, reward: float) -> Rollout:
    """A response of which only verdict and reward count."""
    verdict = "correct" if right else "wrong"
    return Rollout(prompt_id, index, "", (1,), rewards={"process": reward}, verdict=verdict)  # type: ignore[arg-type]


def read_table(folder: Path) -> Table:
    """The full grid that a run has left in a search's folder."""
    table = {}
    for stage in sorted(folder.glob("temperature-?.??")):
        rollouts = from_parquet(stage / "rollouts.parquet")
        table[float(stage.name.removeprefix("temperature-"))] = [Group(Prompt(n, ""), r) for n, r in rollouts.items()]
    if not table:
        raise SystemExit(f"{folder} holds no temperature-… folders; give a run's temperature/iteration-… folder.")
    return table


def search(how: Search, table: Table, rule: TemperatureRule) -> Choice:
    """Search a table."""
    return how.find(list(table), len(next(iter(table.values()))), rule, lambda t, part: [table[t][i] for i in part])


def compare(tables: Sequence[Table], others: Sequence[Table], name: str, way: str = "") -> dict[str, float]:
    """Racing against the grid under one rule, printed."""
    rule = RULES[name]
    same, near, again, loss, spent = [], [], [], [], []
    for table in tables:
        full, raced = search(FullGrid(), table, rule), search(Racing(), table, rule)
        same.append(full.temperature == raced.temperature)
        near.append(abs(full.temperature - raced.temperature) < 0.11)
        loss.append(full.scores[full.temperature] - full.scores[raced.temperature])
        spent.append(sum(raced.num_prompts.values()) / sum(full.num_prompts.values()))
        if len(tables) == 1:
            print(f"{name}: grid {full.temperature:g} ({full.reason}), race {raced.temperature:g}")
    for table, other in zip(tables, others, strict=False):
        again.append(search(FullGrid(), table, rule).temperature == search(FullGrid(), other, rule).temperature)
    found = {
        "same_choice": fmean(same),
        "within_0.1": fmean(near),
        "mean_loss": fmean(loss),
        "responses": fmean(spent),
        "most": max(spent),
    }
    if again:
        found["grid_again"] = fmean(again)
    print(f"{way} {name}: {', '.join(f'{key} {value:.4f}' for key, value in found.items())}", flush=True)
    return {key: round(value, 4) for key, value in found.items()}


def main() -> None:
    """Search, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=18, help="policies to search for")
    parser.add_argument("--recorded", type=Path, help="replay a search that a run has recorded")
    asked = parser.parse_args()
    if asked.recorded:
        tables = [read_table(asked.recorded)]
        print(json.dumps({name: compare(tables, [], name) for name in RULES}))
        return
    found = {}
    for way in ("shared", "own"):
        skills = [(-0.6, 0.4, 1.4)[number % 3] for number in range(asked.tables)]
        tables = [make_table(number, skill, way == "shared") for number, skill in enumerate(skills)]
        others = [make_table(number + 1_000_000, skill, way == "shared") for number, skill in enumerate(skills)]
        found[way] = {name: compare(tables, others, name, way) for name in RULES}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
