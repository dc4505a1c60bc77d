"""The outcome reward where answers are unknown: the prompt's own responses vote for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mstar.answers.verifier import Verifier
from mstar.answers.verify import verify
from mstar.rewards.outcome import OutcomeReward
from mstar.rewards.reward import RewardModel, with_reward
from mstar.types import Group, Rollout
from mstar.votes import vote


class VotedOutcome(RewardModel):
    """1 if the answer equals the reference or, on an unlabelled prompt, the pseudo-label its responses vote for.

    The pseudo-label is argmax_a Σ 1(â_i = a) · R_p(ŷ_i) over the prompt's responses (paper, section 7: PRM-weighted
    voting; the number of voters is not stated there: here all that were sampled). Put it behind the reward that
    weighs, for instance ``Product(of=[ProcessReward(…), VotedOutcome()])``. The pseudo-label judges and is then
    forgotten: the prompt stays unlabelled. Where no response states an answer all are wrong.

    Args:
        by: Name of the reward that weighs votes; ``None`` weighs all alike (majority vote).
        verifier: Reads answers and compares them, as in ``OutcomeReward``.
        max_unscorable_rate: Share of unscorable responses above which scoring stops, in [0, 1].
    """

    def __init__(
        self, by: str | None = "process", verifier: Verifier = verify, max_unscorable_rate: float = 0.05
    ) -> None:
        self.by = by
        self.verifier = verifier
        self.outcome = OutcomeReward(verifier, max_unscorable_rate)

    def score(self, groups: Sequence[Group]) -> list[Group]:
        """Add ``outcome``, the verdict and the extracted answer.

        Raises:
            RuntimeError: If more than ``max_unscorable_rate`` of the responses cannot be judged.
            ValueError: If a vote is to be weighed by a reward that was not given.
        """
        voted = [self._labelled(group) for group in groups]
        judged = iter(self.outcome.score([group for group in voted if group.prompt.answer is not None]))
        return [
            silent(group) if found.prompt.answer is None else replace(next(judged), prompt=group.prompt)
            for group, found in zip(groups, voted, strict=True)
        ]

    def _labelled(self, group: Group) -> Group:
        """The group with a reference answer; as it is if it has one, or no answer to vote for."""
        if group.prompt.answer is not None:
            return group
        answered = tuple(replace(r, answer=self.verifier(r.text, group.prompt).answer) for r in group)
        label = vote(replace(group, rollouts=answered), self.by)
        return replace(group, prompt=replace(group.prompt, answer=label))


def silent(group: Group) -> Group:
    """The group with every response wrong for want of an answer."""
    return replace(group, rollouts=tuple(_wrong(rollout) for rollout in group))


def _wrong(rollout: Rollout) -> Rollout:
    return with_reward(replace(rollout, verdict="wrong", answer=None, why="no answer"), "outcome", 0.0)
