"""Does the demo's process reward tell sound right responses from lucky ones, and is what its top 2 train cleaner?

``python -m benchmarks.process_reward runs/demo-seed0 [more runs] [--split validation] [--model prm/model]``: a minute
or two a run on one thread. Of the warm-up policy's responses to a split's scenes, those with the right answer are
compared with the others to the same prompt: *clean* ones equal the scene's own worked response, *lucky* ones do not
(mostly a misread digit that does not change the answer). Measured are the chance that a clean one is scored above a
lucky one (AUC over all such pairs, and its mean over prompts), and the share of lucky ones among what the top 2 of each
prompt keep, beside 2 at random (its expectation). Intervals are 95 % bootstrap over prompts.

The generator's steps are asked here, to measure; neither step labels nor training see them. Beside the trained model
stands the likelihood head as it is before training: what the labels add is the difference. Settings are chosen on
``--split validation``. Few prompts have both kinds, 36 to 85 of 1,000 scenes: hence 4,000 scenes, 8 responses each.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mstar.demo.scenes import DigitScenes, gold
from mstar.files import read_json
from mstar.modules.backbone import PretrainedBackbone
from mstar.modules.policy import PolicyModule
from mstar.modules.process_reward import ProcessRewardModule
from mstar.modules.step_heads import LikelihoodHead
from mstar.rewards import OutcomeReward, ProcessReward
from mstar.rollout import NativeEngine
from mstar.selection import TopByReward
from mstar.selection.selector import candidates
from mstar.step_metrics import auc
from mstar.types import Group, Request, Sampling

K = 2  # responses that evolution keeps a prompt
RESAMPLES = 9999
SAMPLING = Sampling(num_responses=8, max_new_tokens=32)
SEPARATOR = "\n"
SPLITS = ("test", "validation")
Counts = NDArray[np.float64]


def count(group: Group, k: int = K) -> tuple[float, ...]:
    """What one prompt's right responses count: pairs won, pairs, lucky in the top k, lucky in k at random, kept.

    A pair is a clean response and a lucky one, a tie half won; k at random is its expectation.

    Args:
        group: Right responses alone, one or more, with the reward ``process``.
    """
    clean = [is_clean(rollout.prompt_id, rollout.text) for rollout in group]
    pairs = sum(clean) * (len(clean) - sum(clean))
    won = pairs * auc([rollout.rewards["process"] for rollout in group], clean) if pairs else 0.0
    top = candidates(TopByReward(k, by="process").select([group], seed=0)[0])
    lucky = sum(not is_clean(rollout.prompt_id, rollout.text) for rollout in top)
    return won, pairs, lucky, len(top) * (1 - sum(clean) / len(clean)), len(top)


def is_clean(prompt_id: str, text: str) -> bool:
    """Whether a response is the scene's own worked response."""
    return text.strip() == gold(prompt_id)


def summarize(counts: Sequence[tuple[float, ...]]) -> dict[str, Any]:
    """AUC in [0, 1] and shares in per cent, the former and the gap of the latter with 95 % intervals, from all counts.

    Raises:
        ValueError: If there is no pair in any prompt.
    """
    table = np.array(counts).reshape(-1, 5)  # (prompts, 5)
    compared = table[table[:, 1] > 0]
    if not len(compared):
        raise ValueError("No scene has both a clean and a lucky response: give more of them with --prompts.")
    resampled = np.random.default_rng(0).multinomial(len(table), [1 / len(table)] * len(table), RESAMPLES) @ table
    return {
        "auc": interval(table.sum(0), resampled, pairs_won),
        "auc_by_prompt": round(float((compared[:, 0] / compared[:, 1]).mean()), 3),
        "prompts": len(compared),
        "pairs": int(table[:, 1].sum()),
        "lucky_top": round(100 * float(table[:, 2].sum() / table[:, 4].sum()), 1),
        "lucky_random": round(100 * float(table[:, 3].sum() / table[:, 4].sum()), 1),
        "cleaner": interval(table.sum(0), resampled, points_cleaner),
    }


def pairs_won(sums: Counts) -> Counts:
    """AUC over all pairs; not-a-number where a resample has none."""
    with np.errstate(invalid="ignore"):
        return sums[..., 0] / sums[..., 1]


def points_cleaner(sums: Counts) -> Counts:
    """How many points fewer of the top k are lucky than of k at random."""
    return 100 * (sums[..., 3] - sums[..., 2]) / sums[..., 4]


def interval(sums: Counts, resampled: Counts, measure: Callable[[Counts], Counts]) -> list[float]:
    """A measure of the sums over prompts, and the ends of its interval."""
    low, high = np.nanquantile(measure(resampled), (0.025, 0.975))
    return [round(float(value), 3) for value in (measure(sums), low, high)]


def responses(run: Path, split: str, num: int) -> list[Group]:
    """Judged responses of a run's warm-up policy to ``num`` scenes of a split.

    Raises:
        FileNotFoundError: If the run has not come so far; the message says what is missing.
    """
    file = run / "warmup" / "done.json"
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing: give the folder of a finished demo, made by make demo.")
    scenes = DigitScenes(split, num, read_json(file)["plan"]["seed"])  # type: ignore[arg-type]
    prompts = [scenes[index] for index in range(num)]
    with PolicyModule(PretrainedBackbone(str(run / "warmup" / "model"))).inference() as policy:
        requests = [Request(prompt) for prompt in prompts]
        return OutcomeReward().score(list(NativeEngine().generate(policy, requests, SAMPLING, seed=0)))


def right(groups: Sequence[Group]) -> list[Group]:
    """The right responses of every prompt that has one."""
    found = [replace(group, rollouts=tuple(rollout for rollout in group if rollout.correct)) for group in groups]
    return [group for group in found if len(group)]


def untrained(run: Path) -> ProcessReward:
    """The likelihood head on the warm-up policy, which no label has touched."""
    reward = ProcessReward(str(run / "warmup" / "model"))
    reward.module = ProcessRewardModule(PretrainedBackbone(reward.path), LikelihoodHead(), SEPARATOR)
    return reward


def measure(run: Path, split: str, num: int, model: str) -> dict[str, Any]:
    """Both models on a run, printed."""
    groups = right(responses(run, split, num))
    rewards = {"trained": ProcessReward(str(run / model)), "untrained": untrained(run)}
    found = {name: summarize([count(group) for group in reward.score(groups)]) for name, reward in rewards.items()}
    for name, one in found.items():
        print(f"{run} {name}: {in_words(one)}", flush=True)
    return found


def in_words(one: Mapping[str, Any]) -> str:
    """One model's line."""
    (ranked, *ends), (gap, *gap_ends) = one["auc"], one["cleaner"]
    return (
        f"clean above lucky {ranked:.2f} [{ends[0]:.2f}, {ends[1]:.2f}] of {one['pairs']} pairs of {one['prompts']} "
        f"prompts, {one['auc_by_prompt']:.2f} by prompt; lucky among the kept: top {K} {one['lucky_top']:.1f} %, "
        f"random {K} {one['lucky_random']:.1f} %, cleaner by {gap:.1f} [{gap_ends[0]:.1f}, {gap_ends[1]:.1f}] points"
    )


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished demos")
    parser.add_argument("--split", choices=SPLITS, default="test", help="whose scenes; validation ones to choose by")
    parser.add_argument("--prompts", type=int, default=4000, help="scenes a run")
    parser.add_argument("--model", default="prm/model", help="the process reward, seen from the run's folder")
    asked = parser.parse_args(words)
    torch.set_num_threads(1)
    print(json.dumps({str(run): measure(run, asked.split, asked.prompts, asked.model) for run in asked.runs}))


if __name__ == "__main__":
    main()
