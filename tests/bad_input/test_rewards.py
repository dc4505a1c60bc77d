"""Rewards that raise, hang, or give no number: named, or counted as unscorable; every response stays in the store."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from mstar.answers import Judgement
from mstar.answers.symbolic.pool import WorkerPool
from mstar.limits import TimeLimitError, time_limit
from mstar.rewards import OutcomeReward, RewardModel
from mstar.rewards.reward import with_reward
from mstar.types import Group, Prompt
from tests.bad_input.world import GOOD, World, read

Verifier = Callable[[str, Prompt], Judgement]


def raises(text: str, prompt: Prompt) -> Judgement:
    raise ZeroDivisionError("no ground to stand on")


def exits(text: str, prompt: Prompt) -> Judgement:
    raise SystemExit("the verifier called exit()")


def returns_nothing(text: str, prompt: Prompt) -> Judgement:
    return None  # type: ignore[return-value]


def loops(text: str, prompt: Prompt) -> Judgement:
    while True:
        pass


def sleeps(text: str, prompt: Prompt) -> Judgement:
    time.sleep(600)
    raise AssertionError


def backtracks(text: str, prompt: Prompt) -> Judgement:
    re.match(r"(a+)+$", "a" * 40 + "b")
    raise AssertionError


def waits(text: str, prompt: Prompt) -> Judgement:
    threading.Event().wait()
    raise AssertionError


def swallows(text: str, prompt: Prompt) -> Judgement:
    with suppress(OSError):
        time.sleep(600)
    raise AssertionError


@pytest.mark.parametrize("verifier", [raises, returns_nothing])
def test_a_verifier_that_breaks_names_the_response(world: World, verifier: Verifier) -> None:
    with pytest.raises((ZeroDivisionError, AttributeError)) as broken:
        world.collect(read(world.rows()), reward=OutcomeReward(verifier))
    notes = broken.value.__notes__
    assert notes[-1] == (
        "OutcomeReward was scoring 8 responses to 4 prompts, the first 'good-0'. Every response is in the store: mend "
        "the reward and run the same command again."
    )
    assert verifier is returns_nothing or notes[0] == "The verifier was judging response 0 to prompt 'good-0'."
    assert len(world.stage.generated()) == GOOD and world.intact()
    world.collect(read(world.rows()))
    assert world.stage.sealed


def test_a_verifier_that_exits_ends_the_run_and_no_response_is_lost(world: World) -> None:
    with pytest.raises(SystemExit, match="the verifier called exit"):
        world.collect(read(world.rows()), reward=OutcomeReward(exits))
    assert len(world.stage.generated()) == GOOD and world.intact()


@pytest.mark.parametrize("verifier", [loops, sleeps, backtracks, waits, swallows])
def test_a_verifier_that_hangs_is_interrupted_and_counted(world: World, verifier: Verifier) -> None:
    source = read(world.rows())

    def sometimes(text: str, prompt: Prompt) -> Judgement:
        return verifier(text, prompt) if prompt.id == "good-1" else Judgement("wrong", None, "")

    began = time.monotonic()
    with pytest.raises(
        RuntimeError, match=r"2 of 8 responses .*the verifier took more than 0\.1 s; reward\.time_limit"
    ):
        world.collect(source, reward=OutcomeReward(sometimes, time_limit=0.1))
    assert time.monotonic() - began < 30
    assert len(world.stage.generated()) == GOOD and world.intact()
    world.collect(source, reward=OutcomeReward(sometimes, max_unscorable_rate=0.25, time_limit=0.1))
    assert world.stage.manifest["counts"]["unscorable"] == 2 and world.intact()


def test_a_limit_works_off_the_main_thread() -> None:
    said: list[str] = []

    def run() -> None:
        try:
            with time_limit(0.1):
                while True:
                    pass
        except TimeLimitError as error:
            said.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=30)
    assert said == ["took more than 0.1 s"]


def test_a_limit_that_is_kept_leaves_nothing_behind() -> None:
    for _ in range(100):
        with time_limit(0.05):
            pass
    time.sleep(0.1)
    with pytest.raises(ValueError, match="leaves no time"), time_limit(0):
        pass
    with pytest.raises(ValueError, match=r"reward\.time_limit is 0"):
        OutcomeReward(time_limit=0)


class Giving(RewardModel):
    """Gives what it is told to give."""

    def __init__(self, change: Callable[[list[Group]], list[Group]]) -> None:
        self.change = change

    def score(self, groups: Sequence[Group]) -> list[Group]:
        scored = [
            replace(group, rollouts=tuple(with_reward(rollout, "mine", 1.0) for rollout in group)) for group in groups
        ]
        return self.change(scored)


def with_value(value: float) -> Callable[[list[Group]], list[Group]]:
    def change(groups: list[Group]) -> list[Group]:
        first, second = groups[2].rollouts
        return [*groups[:2], replace(groups[2], rollouts=(first, with_reward(second, "mine", value))), *groups[3:]]

    return change


NUMBER = (
    r"Giving gave {} as 'mine' to response 1 of prompt 'good-2'; a reward is a finite number\. Every response is in"
)
OTHER = r"Giving was given 8 responses to 4 prompts and gave back \d to \d, or in another order: score\(\) must return"
GIVEN = {
    "not a number": (with_value(math.nan), NUMBER.format("nan")),
    "infinite": (with_value(math.inf), NUMBER.format("inf")),
    "minus infinite": (with_value(-math.inf), NUMBER.format("-inf")),
    "nothing": (lambda groups: [], OTHER),
    "one too few": (lambda groups: groups[:-1], OTHER),
    "one twice": (lambda groups: [*groups[:-1], groups[0]], OTHER),
    "backwards": (lambda groups: groups[::-1], OTHER),
    "a response less": (lambda groups: [replace(groups[0], rollouts=groups[0].rollouts[:1]), *groups[1:]], OTHER),
}


@pytest.mark.parametrize("case", GIVEN)
def test_what_a_reward_gives_back_is_checked(world: World, case: str) -> None:
    change, message = GIVEN[case]
    source = read(world.rows())
    with pytest.raises(RuntimeError, match=message):
        world.collect(source, reward=Giving(change))
    assert len(world.stage.generated()) == GOOD and world.intact()
    world.collect(source, reward=Giving(lambda groups: groups))
    assert world.stage.sealed and world.intact()


def test_a_worker_that_is_interrupted_is_replaced() -> None:
    pool = WorkerPool(seconds=20)
    with pytest.raises(TimeLimitError), time_limit(3):
        pool.verify("x+1", "x^{9^{9^{9}}}+" * 200 + "1")
    assert pool.verify("x+1", "1+x") is True
    pool.close()
