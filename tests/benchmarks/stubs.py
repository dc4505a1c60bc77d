"""What tests of benchmarks plug in by class_path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from mstar.modules.policy import Policy
from mstar.rewards.reward import RewardModel, with_reward
from mstar.rollout.account import Account
from mstar.types import Group, Request, Rollout, Sampling


class Killed(Exception):  # noqa: N818 (it is no error)
    """Stands for a kill."""


class Scripted:
    """An engine that says what a test wrote down for each prompt; one more text than asked for is the greedy one.

    Args:
        texts: Responses by prompt id: the greedy one, then the sampled ones.
        kill_after: Groups after which it stops for good; ``None`` for never.
    """

    asked: ClassVar[list[tuple[str, float]]] = []
    """Prompt and temperature of every group sampled."""

    def __init__(self, texts: dict[str, list[str]], kill_after: int | None = None) -> None:
        self.texts: Mapping[str, Sequence[str]] = texts
        self.kill_after = kill_after
        self.account = Account()

    def generate(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        """Yield the groups in order; a word is a token."""
        for request in requests:
            if self.kill_after is not None and len(self.asked) == self.kill_after:
                raise Killed(f"{self.kill_after} groups")
            self.asked.append((request.prompt.id, sampling.temperature))
            texts = self.texts[request.prompt.id]
            texts = texts[1 : 1 + sampling.num_responses] if sampling.temperature else texts[:1]
            yield Group(request.prompt, tuple(_rollout(request, i, t, sampling) for i, t in enumerate(texts)))


class Brevity(RewardModel):
    """A reward that does not know the answer: fewer words are better."""

    def score(self, groups: Sequence[Group]) -> list[Group]:
        """Add ``brevity``."""
        return [Group(g.prompt, tuple(with_reward(r, "brevity", 1 / len(r.tokens)) for r in g)) for g in groups]


def _rollout(request: Request, index: int, text: str, sampling: Sampling) -> Rollout:
    return Rollout(request.prompt.id, index, text, tuple(range(len(text.split()))), temperature=sampling.temperature)
