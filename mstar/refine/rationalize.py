"""Rationalization: tell the answer, ask for the reasoning, train without the hint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mstar.modules.policy import Policy
from mstar.refine.refiner import unsolved
from mstar.rollout.engine import RolloutEngine
from mstar.seeds import stable_seed
from mstar.types import Group, Prompt, Request, Rollout, Sampling

COT_INSTRUCTION = (
    "Offer a comprehensive breakdown of your analytical process, detailing each step, the reasoning behind your "
    "decisions, and how you integrated various pieces of information, and put your answer at the end."
)  # M-STaR's extra instruction for its warm-up (mstar-paper, section 3)


class Rationalize:
    """Samples unsolved prompts with their reference answer as a hint (STaR, 2203.14465; M-STaR's warm-up).

    The rollouts belong to the prompt without the hint: that is what they are scored and trained under.

    Args:
        hint: Appended to the question; ``{answer}`` is replaced by the reference answer.
        only_unsolved: STaR's way; otherwise every labelled prompt gets a hint, as in M-STaR's warm-up.
    """

    def __init__(self, hint: str = "Answer: {answer}. " + COT_INSTRUCTION, only_unsolved: bool = True) -> None:
        if "{answer}" not in hint:
            raise ValueError(f"Rationalize.hint is {hint!r}; it must say {{answer}} where the reference answer goes.")
        self.hint = hint
        self.only_unsolved = only_unsolved

    def refine(
        self, groups: Sequence[Group], policy: Policy, engine: RolloutEngine, sampling: Sampling, seed: int
    ) -> list[Group]:
        """Return hinted rollouts under their own prompts, origin ``rationalize``; unlabelled prompts get none."""
        asked = [g.prompt for g in (unsolved(groups) if self.only_unsolved else groups) if g.prompt.answer]
        plain = {prompt.id: prompt for prompt in asked}
        hinted = [Request(self._hinted(prompt)) for prompt in asked]
        made = engine.generate(policy, hinted, sampling, stable_seed(seed, "rationalize"))
        return [Group(plain[g.prompt.id], tuple(_own(r) for r in g)) for g in made]

    def _hinted(self, prompt: Prompt) -> Prompt:
        hint = self.hint.replace("{answer}", prompt.answer or "")
        return replace(prompt, question=f"{prompt.question}\n{hint}")


def _own(rollout: Rollout) -> Rollout:
    # Log-probs were taken under the hinted prompt: as the policy's own they would be wrong.
    return replace(rollout, origin="rationalize", logprobs=None)
