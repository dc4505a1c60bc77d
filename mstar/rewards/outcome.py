"""The outcome reward: is the final answer the reference answer?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mstar.answers.verifier import Verifier
from mstar.answers.verify import Judgement, verify
from mstar.limits import TimeLimitError, time_limit
from mstar.rewards.reward import RewardModel, with_reward
from mstar.types import Group, Prompt, Rollout


class OutcomeReward(RewardModel):
    """1 if the extracted answer equals the reference, 0 if it is wrong: R(ŷ) = 1(â = a*) (paper, section 1.3).

    A response whose prompt has no usable reference is *unscorable*: it gets 0 with verdict ``unscorable``, is
    counted, and stops the run above a rate.

    Args:
        verifier: Judges a response's text against its prompt: a function or, by ``class_path``, a class (`Verifier`).
            The default demands a stated answer and compares it by the prompt's type. What it raises ends the run, with
            a note that names prompt and response.
        max_unscorable_rate: Share of unscorable responses above which scoring stops, in [0, 1].
        time_limit: Seconds the verifier may take for a response, > 0; one that takes longer is unscorable.
    """

    def __init__(
        self, verifier: Verifier = verify, max_unscorable_rate: float = 0.05, time_limit: float = 60.0
    ) -> None:
        if time_limit <= 0:
            raise ValueError(f"reward.time_limit is {time_limit}; give seconds above 0.")
        self.verifier = verifier
        self.time_limit = time_limit
        self.max_unscorable_rate = max_unscorable_rate

    def score(self, groups: Sequence[Group]) -> list[Group]:
        """Add ``outcome``, the verdict and the extracted answer.

        Raises:
            RuntimeError: If more than ``max_unscorable_rate`` of the responses cannot be judged.
        """
        scored: list[Group] = []
        with self.progress.phase("judging", len(groups), done=0) as phase:
            for group in groups:
                scored.append(replace(group, rollouts=tuple(self._judge(r, group.prompt) for r in group)))
                phase.add_groups(scored[-1:])
        self._check(scored)
        return scored

    def _judge(self, rollout: Rollout, prompt: Prompt) -> Rollout:
        try:
            with time_limit(self.time_limit):
                judgement = self.verifier(rollout.text, prompt)
        except TimeLimitError as error:
            judgement = Judgement("unscorable", None, f"the verifier {error}; reward.time_limit is {self.time_limit:g}")
        except Exception as error:
            error.add_note(f"The verifier was judging response {rollout.index} to prompt {prompt.id!r}.")
            raise
        judged = replace(rollout, verdict=judgement.verdict, answer=judgement.answer, why=judgement.reason)
        return with_reward(judged, "outcome", float(judgement.verdict == "correct"))

    def _check(self, groups: Sequence[Group]) -> None:
        rollouts = [rollout for group in groups for rollout in group]
        lost = [rollout for rollout in rollouts if rollout.verdict == "unscorable"]
        if len(lost) > self.max_unscorable_rate * len(rollouts):
            raise RuntimeError(
                f"{len(lost):,} of {len(rollouts):,} responses cannot be judged, more than reward.max_unscorable_rate "
                f"({self.max_unscorable_rate}) allows. The first is to prompt {lost[0].prompt_id!r}: {lost[0].why}. "
                f"Mend the reference answers, or give a verifier that understands them."
            )
