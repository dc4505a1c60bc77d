"""What the study compares: every arm as settings over the demo's recipe, every table with the paper's own numbers.

An arm is a self-evolution from the demo's warm-up under one number of optimizer steps for all; only the settings of its
factor differ. Nothing here knows how stages are run: it gives a recipe's stages as plain data.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mstar.temperature.control import CANDIDATES

Settings = dict[str, Any]
SELECT = "mstar.selection"
CORRECT: Settings = {"class_path": f"{SELECT}.KeepCorrect"}
MONITOR: Settings = {"class_path": "mstar.callbacks.ExplorationMonitor", "init_args": {"by": None}}


def top(k: int) -> Settings:
    """The process reward's k best."""
    return {"class_path": f"{SELECT}.TopByReward", "init_args": {"k": k, "by": "process"}}


RANDOM: Settings = {"class_path": f"{SELECT}.RandomK", "init_args": {"k": 2}}
ABOVE: Settings = {"class_path": f"{SELECT}.AboveThreshold", "init_args": {"alpha": 0.2, "by": "process"}}
"""The paper states no threshold. This process reward is how often the warm-up policy would get it right from a step on,
at the worst step; on prompts trained on it came no higher than 0.22 to 0.37: above 0.5 there is nothing."""


@dataclass(frozen=True)
class Arm:
    """One way to evolve."""

    name: str
    interval: float = 0.25
    """Share of the labelled prompts an iteration."""
    init: str = "Continue"
    """Class of ``mstar.init_policy``."""
    selectors: tuple[Settings, ...] = (CORRECT,)
    rule: Settings | None = None
    """Temperature rule; ``None`` samples at 1."""
    mixin_at: float | None = None
    """When unlabelled prompts join; ``None``: never."""
    oracle: bool = False
    """Whether their hidden answers are shown."""

    @property
    def needs_process_reward(self) -> bool:
        """Whether the arm could not be run without a process reward: it ranks, or weighs votes."""
        votes = self.mixin_at is not None and not self.oracle
        return votes or "process" in str((self.selectors, self.rule))


def rule(name: str, **settings: Any) -> Settings:
    """A temperature rule."""
    return {"class_path": f"mstar.temperature.{name}", "init_args": settings}


TOP2 = (CORRECT, top(2))
ARMS = (
    Arm("iterative-rft", 1.0, "ResetOptimizer"),
    Arm("rest-em", 1.0, "Restart"),
    Arm("continuous-100", 1.0),
    Arm("continuous-50", 0.5),
    Arm("continuous-25", 0.25),
    Arm("continuous-12", 0.125),
    Arm("continuous-6", 0.0625),
    Arm("random-2", selectors=(CORRECT, RANDOM)),
    Arm("above", selectors=(CORRECT, ABOVE)),
    Arm("top-1", selectors=(CORRECT, top(1))),
    Arm("top-2", selectors=TOP2),
    Arm("top-4", selectors=(CORRECT, top(4))),
    Arm("oracle-0", mixin_at=0.0, oracle=True),
    Arm("oracle-top-2-0", selectors=TOP2, mixin_at=0.0, oracle=True),
    Arm("voted-0", selectors=TOP2, mixin_at=0.0),
    Arm("voted-25", selectors=TOP2, mixin_at=0.25),
    Arm("voted-50", selectors=TOP2, mixin_at=0.5),
    Arm("voted-75", selectors=TOP2, mixin_at=0.75),
    Arm("mstar-pass", selectors=TOP2, rule=rule("ArgmaxPass", k=8)),
    Arm("mstar", selectors=TOP2, rule=rule("ArgmaxRewardPass", k=2, by="process")),
)


@dataclass(frozen=True)
class Row:
    """A line of a table: an arm, or ``warmup``, ``control``, ``sft``."""

    label: str
    arm: str
    paper: tuple[float, float] | None = None
    """MathV360K and MathVista, per cent, MiniCPM-V-2.5 (the paper's tables)."""


@dataclass(frozen=True)
class Table:
    """A table of the paper, its rows and what they are compared with."""

    title: str
    base: str
    """The arm that differences are taken to, beside those to the control."""
    rows: tuple[Row, ...]


WARMUP = Row("warm-up", "warmup", (38.8, 52.6))
CONTROL = Row("SFT control, equal compute", "control")
CONTINUOUS = Row("continuous, 25 %", "continuous-25", (43.1, 57.2))
TOP_2 = Row("top-2", "top-2", (45.3, 59.2))
TABLES = (
    Table(
        "Table 1: training methods and intervals",
        "continuous-25",
        (
            WARMUP,
            CONTROL,
            Row("SFT on answers", "sft", (44.3, 54.8)),
            Row("iterative RFT, 100 %", "iterative-rft", (42.3, 55.7)),
            Row("ReST-EM, 100 %", "rest-em", (42.3, 55.1)),
            Row("continuous, 100 %", "continuous-100", (42.2, 56.7)),
            Row("continuous, 50 %", "continuous-50", (43.1, 56.2)),
            CONTINUOUS,
            Row("continuous, 12.5 %", "continuous-12", (42.3, 56.1)),
            Row("continuous, 6.25 %", "continuous-6", (41.0, 56.8)),
        ),
    ),
    Table(
        "Table 2: selection among right answers",
        "continuous-25",
        (
            CONTROL,
            Row("none", "continuous-25", (43.1, 57.2)),
            Row("random-2", "random-2", (41.0, 55.5)),
            Row("> α (0.2)", "above", (43.8, 57.5)),
            Row("top-1", "top-1", (43.0, 59.0)),
            TOP_2,
            Row("top-4", "top-4", (44.0, 58.4)),
        ),
    ),
    Table(
        "Table 3: unlabelled prompts",
        "top-2",
        (
            CONTROL,
            Row("labelled only, no process reward", "continuous-25", (43.1, 57.2)),
            Row("labelled only, top-2", "top-2", (45.3, 59.2)),
            Row("oracle from 0 %, no process reward", "oracle-0", (42.5, 58.2)),
            Row("oracle from 0 %, top-2", "oracle-top-2-0", (42.9, 59.1)),
            Row("voted from 0 %, top-2", "voted-0", (43.3, 58.2)),
            Row("voted from 25 %, top-2", "voted-25", (42.4, 57.6)),
            Row("voted from 50 %, top-2", "voted-50", (42.9, 58.2)),
            Row("voted from 75 %, top-2", "voted-75", (45.0, 58.8)),
        ),
    ),
    Table(
        "The final recipe: static and automatic temperature",
        "top-2",
        (
            WARMUP,
            CONTROL,
            Row("static, T = 1 (top-2)", "top-2", (45.3, 59.2)),
            Row("automatic by pass@8 (the paper: pass@k)", "mstar-pass", (42.8, 58.0)),
            Row("automatic by reward-pass@2: M-STaR", "mstar", (45.9, 59.5)),
        ),
    ),
)
ORDERINGS = (
    ("continuous-25", "iterative-rft", "continuous, 25 %, beats iterative RFT, 100 %"),
    ("continuous-25", "rest-em", "continuous, 25 %, beats ReST-EM, 100 %"),
    ("continuous-25", "continuous-100", "an interval of 25 % beats 100 %"),
    ("continuous-25", "continuous-6", "an interval of 25 % beats 6.25 %"),
    ("continuous-25", "random-2", "all right responses beat two at random"),
    ("top-2", "continuous-25", "the process reward's top 2 beat all right responses"),
    ("top-2", "random-2", "the process reward's top 2 beat two at random"),
    ("top-2", "top-1", "two a prompt beat one"),
    ("top-2", "top-4", "two a prompt beat four"),
    ("top-2", "above", "ranking beats a threshold"),
    ("top-2", "voted-0", "labelled prompts alone beat voted ones from the start"),
    ("voted-75", "voted-0", "late mixing does less harm than early"),
    ("mstar", "top-2", "automatic temperature beats a fixed one"),
    ("mstar", "mstar-pass", "reward-pass@2 chooses better than pass@k"),
    ("mstar", "control", "M-STaR beats SFT of equal compute"),
)
"""The paper's orderings of its own tables: the first arm above the second."""


def build_stages(demo: Mapping[str, Any], arms: Sequence[str], steps: int, control_epochs: int) -> list[Settings]:
    """Stages of the study's recipe: the demo's up to the process reward, then each arm, the controls, and their tests.

    Args:
        demo: The demo's recipe, as read from YAML.
        arms: Names of arms and controls to run.
        steps: Optimizer steps of an arm, the warm-up's included.
        control_epochs: Epochs of the control.

    Raises:
        ValueError: If an arm is unknown.
    """
    stages = {stage["name"]: copy.deepcopy(stage) for stage in demo["stages"]}
    known = {arm.name: arm for arm in ARMS}
    if unknown := set(arms) - known.keys() - {"warmup", "control", "sft"}:
        raise ValueError(f"There are no arms {sorted(unknown)}; there are warmup, control, sft, {', '.join(known)}.")
    found = [stages[name] for name in ("base", "warmup", "labels", "prm")]
    for name in arms:
        if name == "control":
            more = {"trainer.max_epochs": control_epochs}
            found.append({**stages["control"], "args": {**stages["control"]["args"], **more}})
        elif name == "sft":
            found.append(answers_alone(stages["control"], steps))
        elif name != "warmup":
            found.append(evolution(stages["evolve"], known[name], steps))
        found.append(tested(stages["test-evolved"], name))
    return found


def evolution(evolve: Settings, arm: Arm, steps: int) -> Settings:
    """The demo's evolve stage with an arm's settings."""
    args = dict(evolve["args"])
    rewards = args["reward.init_args.of"]  # outcome and process
    if not arm.needs_process_reward:
        rewards = rewards[:1]
    elif arm.mixin_at is not None:
        # the votes are weighed by the process reward, which so comes first
        rewards = [rewards[1], {"class_path": "mstar.rewards.VotedOutcome"}]
    args |= {
        "reward.init_args.of": rewards,
        "trainer.max_epochs": -1,
        "trainer.max_steps": steps,
        "trainer.callbacks": [fitted(callback, arm) for callback in args["trainer.callbacks"]],
        "data.init_args.evaluation.validation": scenes("validation", 200),
        "data.init_args.num_passes": 2,
        "data.init_args.prompts": pool(arm),
        "data.init_args.selectors": list(arm.selectors),
        "data.init_args.temperature": None,
        "data.init_args.sampling.temperature": 1.0,
    }
    if arm.rule is not None:
        args["data.init_args.temperature"] = searched(arm.rule)
    return {**evolve, "name": arm.name, "after": ["prm" if arm.needs_process_reward else "warmup"], "args": args}


def fitted(callback: Settings, arm: Arm) -> Settings:
    """A callback of the demo's, with the arm's init policy, and without a process reward where the arm has none."""
    if callback["class_path"].startswith("mstar.init_policy."):
        return {**callback, "class_path": f"mstar.init_policy.{arm.init}"}
    if callback["class_path"] == MONITOR["class_path"] and not arm.needs_process_reward:
        return MONITOR
    return callback


def searched(rule: Settings) -> Settings:
    """A temperature control with the paper's candidates and period, raced for."""
    return {
        "rule": rule,
        "prompts": scenes("validation", 64),
        "search": {"class_path": "mstar.temperature.Racing"},
        "candidates": list(CANDIDATES),
        "every": 2,
        "num_responses": 8,
    }


LABELLED = 1000
"""Scenes with answers; as many others are unlabelled."""


def scenes(split: str, end: int, first: int = 0) -> Settings:
    """Scenes of a split, from ``first`` to before ``end``."""
    source = {"class_path": "mstar.demo.scenes.DigitScenes", "init_args": {"split": split, "num": end}}
    return {"class_path": "mstar.prompts.Subset", "init_args": {"source": source, "start": first}} if first else source


def pool(arm: Arm) -> Settings:
    """Labelled scenes, and unlabelled ones if the arm mixes them in."""
    walked: Settings = {"source": scenes("prompts", LABELLED), "interval": arm.interval}
    if arm.mixin_at is None:
        return {"class_path": "mstar.prompts.OrderedWalk", "init_args": walked}
    joined = {"unlabelled": scenes("prompts", 2 * LABELLED, LABELLED), "mixin_at": arm.mixin_at, "oracle": arm.oracle}
    return {"class_path": "mstar.prompts.MixIn", "init_args": walked | joined}


def answers_alone(control: Settings, steps: int) -> Settings:
    """Plain SFT on questions and answers, from the base policy as in the paper."""
    args = dict(control["args"])
    kept = [each for each in args["trainer.callbacks"] if not each["class_path"].startswith("mstar.init_policy.")]
    source = {"class_path": "mstar.prompts.Answered", "init_args": {"source": scenes("prompts", LABELLED)}}
    args |= {
        "trainer.callbacks": kept,
        "trainer.max_epochs": -1,
        "trainer.max_steps": steps,
        "data.init_args.examples": source,
    }
    return {**control, "name": "sft", "after": ["base"], "args": args}


def tested(test: Settings, name: str) -> Settings:
    """The demo's test of one policy: greedy and one sample, for the warm-up eight, for best-of-k and votes."""
    args = {**test["args"], "model.init_args.backbone.init_args.path": f"{{out}}/{name}/model"}
    if name == "warmup":
        return {**test, "name": f"test-{name}", "after": [name, "prm"], "args": args}
    args |= {
        "reward.init_args.of": args["reward.init_args.of"][:1],
        "data.init_args.evaluation.sampling.num_responses": 1,
        "trainer.callbacks": [MONITOR],
    }
    return {**test, "name": f"test-{name}", "after": [name], "args": args}
