"""The process reward model: heads read the right tokens, and a saved model scores as it did."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mstar.demo.scenes import DigitScenes
from mstar.modules.logprobs import token_logprobs
from mstar.modules.process_reward import ProcessRewardModule
from mstar.modules.step_heads import HEADS, LikelihoodHead, ScalarHead, StepHead
from mstar.rewards import ProcessReward
from mstar.types import Group, Rollout
from tests.architectures import ARCHITECTURES, prompts_for
from tests.policies import backbone


class Built:
    """A backbone of one of the architectures."""

    def __init__(self, name: str) -> None:
        self.load = ARCHITECTURES[name]


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
    (batch,) = made.parts(PROMPTS[:1], TEXTS[:1], 4096, share=True)
    with torch.no_grad():
        logits = made(batch)[0]
        logprobs, mask = token_logprobs(made.model, batch)
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
    reward = ProcessReward(str(tmp_path), token_budget=60)
    groups = [Group(p, (Rollout(p.id, 0, text, ()),)) for p, text in zip(PROMPTS, TEXTS, strict=True)]
    for group, steps in zip(reward.score(groups), before, strict=True):
        assert group.rollouts[0].step_rewards == pytest.approx(steps, abs=1e-5)
        assert group.rollouts[0].rewards["process"] == pytest.approx(min(steps), abs=1e-5)


def test_a_gain_is_saved(tmp_path: Path) -> None:
    made = module(LikelihoodHead(gain=200))
    with torch.no_grad():
        made.head.get_parameter("scale").fill_(-0.002)
    made.export(tmp_path, made.state_dict())
    assert ProcessRewardModule.from_pretrained(tmp_path).score_steps(PROMPTS, TEXTS) == made.score_steps(PROMPTS, TEXTS)


def test_scale_and_shift_learn_gain_times_as_fast() -> None:
    found = []
    for gain in (1.0, 500.0):
        made = module(LikelihoodHead(gain)).eval()
        (batch,) = made.parts(PROMPTS[:1], TEXTS[:1], 4096, share=True)
        made(batch).sum().backward()
        found.append([float(weight.grad or 0) for weight in made.head.parameters()])
    assert found[1] == pytest.approx([500 * value for value in found[0]], rel=1e-4) and all(found[0])
    with pytest.raises(ValueError, match=r"LikelihoodHead.gain is 0; give more than 0"):
        LikelihoodHead(gain=0)


@pytest.mark.parametrize("budget", [60, 8192])
@pytest.mark.parametrize("head", HEADS.values())
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_response_is_scored_among_its_siblings_as_alone(name: str, head: type[StepHead], budget: int) -> None:
    made = ProcessRewardModule(Built(name), head(), separator="\n")
    made.configure_model()
    first = next(made.head.parameters())
    torch.nn.init.normal_(first, std=0.1) if first.dim() else torch.nn.init.constant_(first, -0.00195)
    texts = ["4+0=4\n4+4=8\n# Answer\n8", "4+0=4\n4+4=9\n# Answer\n9", "4", "", "1+1=2\n# Answer\n2", "4+0=4\n4+4=8"]
    pairs = [(prompt, text) for text in texts for prompt in prompts_for(name)]
    together = made.score_steps([p for p, _ in pairs], [t for _, t in pairs], budget)
    for (prompt, text), steps in zip(pairs, together, strict=True):
        assert steps == pytest.approx(made.score_steps([prompt], [text])[0], abs=1e-5)
    assert [len(steps) for steps in together[::3]] == [3, 3, 1, 0, 2, 2]
    assert len({round(step, 4) for steps in together for step in steps}) > 10


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_llm_only_trains_the_language_model_and_the_head(name: str) -> None:
    made = ProcessRewardModule(Built(name), ScalarHead(), llm_only=True)
    made.configure_model()
    trained = {name for name, parameter in made.named_parameters() if parameter.requires_grad}
    assert any(name.startswith("head.") for name in trained)
    layers = {name for name, _ in made.named_parameters() if ".layers." in name and "vision" not in name}
    layers -= {name for name in layers if "visual" in name}
    assert layers and layers <= trained
    assert not any(part in name for name in trained for part in ("vision", "visual", "connector", "projector"))


def test_a_folder_without_a_process_reward_model_says_what_to_train(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Train one first: mstar fit"):
        ProcessRewardModule.from_pretrained(tmp_path)
