"""The process reward model: heads read the right tokens, and a saved model scores as it did."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mstar.demo.scenes import DigitScenes
from mstar.modules.process_reward import ProcessRewardModule
from mstar.modules.step_heads import HEADS, LikelihoodHead, ScalarHead, StepHead
from mstar.objectives.objective import token_logprobs
from mstar.rewards import ProcessReward
from mstar.types import Group, Rollout
from tests.policies import backbone

PROMPTS = [DigitScenes("cot", 3, seed=0)[i] for i in range(3)]
TEXTS = [prompt.cot or "" for prompt in PROMPTS]


def module(head: StepHead) -> ProcessRewardModule:
    made = ProcessRewardModule(backbone(), head, separator="\n")
    made.configure_model()
    return made


def test_a_fresh_scalar_head_is_undecided() -> None:
    scores = module(ScalarHead()).score_steps(PROMPTS, TEXTS)
    assert [len(steps) for steps in scores] == [len(text.splitlines()) for text in TEXTS]
    assert {score for steps in scores for score in steps} == {0.5}


def test_the_likelihood_head_adds_up_each_steps_tokens() -> None:
    made = module(LikelihoodHead()).eval()
    assert made.model is not None
    batch = made.encode(PROMPTS[:1], TEXTS[:1])
    with torch.no_grad():
        logits = made(batch)[0]
        logprobs, mask = token_logprobs(made.model, {k: v for k, v in batch.items() if k != "steps"})
    steps = (logits - 1).tolist()  # at the start the scale and the shift are 1
    assert sum(steps) == pytest.approx(float(logprobs[mask].sum()), abs=1e-3)
    first = made.renderer.tokenizer(TEXTS[0].splitlines()[0], add_special_tokens=False)["input_ids"]
    assert steps[0] == pytest.approx(float(logprobs[mask][: len(first)].sum()), abs=1e-3)


@pytest.mark.parametrize("head", HEADS.values())
def test_a_saved_model_scores_as_it_did_alone_or_in_a_batch(head: type[StepHead], tmp_path: Path) -> None:
    made = module(head())
    torch.nn.init.normal_(next(made.head.parameters()), std=0.01)
    made.export(tmp_path, made.state_dict())
    before = made.score_steps(PROMPTS, TEXTS)
    reward = ProcessReward(str(tmp_path), batch_size=2)
    groups = [Group(p, (Rollout(p.id, 0, text, ()),)) for p, text in zip(PROMPTS, TEXTS, strict=True)]
    for group, steps in zip(reward.score(groups), before, strict=True):
        assert group.rollouts[0].step_rewards == pytest.approx(steps, abs=1e-5)
        assert group.rollouts[0].rewards["process"] == pytest.approx(min(steps), abs=1e-5)


def test_a_folder_without_a_process_reward_model_says_what_to_train(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Train one first: mstar fit"):
        ProcessRewardModule.from_pretrained(tmp_path)
