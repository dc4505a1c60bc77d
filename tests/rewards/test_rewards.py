"""Rewards made of rewards, and the outcome that a verifier of one's own decides."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from lightning.pytorch import LightningModule, Trainer

from mstar.answers import Judgement, Strict
from mstar.rewards import Gate, OutcomeReward, Product, RewardModel, RouteByKind, WeightedSum
from mstar.rewards.reward import with_reward
from mstar.types import Group, Prompt, Rollout


class Named(RewardModel):
    """Gives values in the order of the rollouts, and counts what it is told of its lifecycle."""

    def __init__(self, name: str, *values: float) -> None:
        self.name = name
        self.values = values
        self.told: list[str] = []

    def score(self, groups: Sequence[Group]) -> list[Group]:
        return [
            Group(g.prompt, tuple(with_reward(r, self.name, v) for r, v in zip(g, self.values, strict=True)), g.key)
            for g in groups
        ]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.told.append("setup")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.told.append("teardown")


def group(*texts: str, answer: str | None = "4", kind: str = "", key: str = "") -> Group:
    rollouts = (Rollout(prompt_id="p", index=i, text=text, tokens=(1,)) for i, text in enumerate(texts))
    return Group(Prompt("p", "2+2?", answer=answer, kind=kind), tuple(rollouts), key)


def values(groups: Sequence[Group], name: str) -> list[float]:
    return [rollout.rewards[name] for one in groups for rollout in one]


TWO = Named("right", 1.0, 0.0), Named("steps", 0.5, 0.9)


def test_a_product_is_nothing_where_a_factor_is() -> None:
    assert values(Product(TWO).score([group("a", "b")]), "product") == [0.5, 0.0]


def test_a_sum_weighs_what_it_names() -> None:
    assert values(WeightedSum(TWO, {"right": 1, "steps": 0.2}).score([group("a", "b")]), "sum") == pytest.approx(
        [1.1, 0.18]
    )
    with pytest.raises(ValueError, match=r"names \['step'\], but the parts give \['right', 'steps'\]"):
        WeightedSum(TWO, {"step": 1.0}).score([group("a", "b")])


@pytest.mark.parametrize(
    ("threshold", "closed", "expected"), [(1.0, 0.0, [0.5, 0.0]), (1.0, -1.0, [0.5, -1.0]), (0.0, 0.0, [0.5, 0.9])]
)
def test_a_gate_opens_or_does_not(threshold: float, closed: float, expected: list[float]) -> None:
    gate = Gate(TWO, key="right", value="steps", threshold=threshold, closed=closed)
    assert values(gate.score([group("a", "b")]), "gate") == expected


def test_a_gate_without_its_key_says_which_there_are() -> None:
    with pytest.raises(ValueError, match=r"name \['form'\], but the parts give \['right', 'steps'\]"):
        Gate(TWO, key="form", value="steps").score([group("a", "b")])


def test_kinds_go_their_own_way_and_come_back_in_order() -> None:
    routes = RouteByKind({"box": Named("iou", 0.5)}, default=Named("right", 1.0))
    scored = routes.score([group("a", kind="box"), group("b"), group("c", kind="box")])
    assert [list(one.rollouts[0].rewards) for one in scored] == [["iou"], ["right"], ["iou"]]
    assert [one.rollouts[0].text for one in scored] == ["a", "b", "c"]
    with pytest.raises(ValueError, match="No reward for prompts of kind 'list'"):
        RouteByKind({}).score([group("a", kind="list")])


def test_parts_are_set_up_and_torn_down() -> None:
    part, trainer, module = Named("right", 1.0), Trainer(logger=False, barebones=True), LightningModule()
    for whole in (Product([part]), WeightedSum([part], {}), Gate([part], "right", "right"), RouteByKind({"": part})):
        whole.setup(trainer, module, "fit")
        whole.teardown(trainer, module, "fit")
    assert part.told == ["setup", "teardown"] * 4


@pytest.mark.parametrize(
    "reward",
    [
        OutcomeReward(),
        Product([Named("r", 1.0)]),
        WeightedSum([Named("r", 1.0)], {}),
        Gate([Named("r", 1.0)], "r", "r"),
    ],
)
def test_a_group_keeps_its_name(reward: RewardModel) -> None:
    assert reward.score([group("Answer: 4", key="p/2")])[0].key == "p/2"


def test_a_verifier_is_a_function_or_an_object() -> None:
    def backwards(text: str, prompt: Prompt) -> Judgement:
        right = text[::-1] == prompt.answer
        return Judgement("correct" if right else "wrong", text[::-1], "read backwards")

    assert values(OutcomeReward(backwards).score([group("4", "5")]), "outcome") == [1.0, 0.0]
    assert values(OutcomeReward(Strict()).score([group("4", "Answer: 5")]), "outcome") == [0.0, 0.0]
    stated = OutcomeReward().score([group("Answer: 4", "Answer: 5", "4")])
    assert [(r.verdict, r.answer, r.why) for r in stated[0]] == [
        ("correct", "4", "right"),
        ("wrong", "5", "wrong answer"),
        ("wrong", None, "no answer"),
    ]


def test_too_many_unscorable_responses_stop_the_run() -> None:
    asked = [group("Answer: 4"), group("Answer: 4", answer=None)]
    with pytest.raises(RuntimeError, match=r"1 of 2 responses cannot be judged.*prompt has no reference"):
        OutcomeReward().score(asked)
    scored = OutcomeReward(max_unscorable_rate=0.5).score(asked)
    assert values(scored, "outcome") == [1.0, 0.0]
    assert scored[1].rollouts[0].verdict == "unscorable"


def test_a_verifiers_exception_is_no_reward() -> None:
    def broken(text: str, prompt: Prompt) -> Judgement:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        OutcomeReward(broken).score([group("4")])
