"""A process reward of one family judges a policy of another, each with a template and a tokenizer of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mstar.demo.tiny import SPECIAL, build_tokenizer
from mstar.modules.backbone import PretrainedBackbone
from mstar.modules.families import placeholders
from mstar.modules.policy import PolicyModule
from mstar.modules.process_reward import ProcessRewardModule
from mstar.rewards.process import ProcessReward
from mstar.rollout import NativeEngine
from mstar.types import Group, Prompt, Request, Rollout, Sampling
from tests.conformance.checks import CLOSE, called, picture
from tests.conformance.tiny import TINIES

POLICY, JUDGE = "qwen2_5_vl", "idefics3"
SAID = "The sum of the digits is 9."
PROMPTS = [
    Prompt("1", "What is the sum?", (picture(1, 64, 48),)),
    Prompt("2", "Which is larger?", (picture(2, 33, 47), picture(3, 80, 20))),
]


def letters() -> PreTrainedTokenizerFast:
    """A tokenizer of which every letter is a token, with the special tokens at other ids than the demo's."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({token: i for i, token in enumerate([*alphabet, *SPECIAL])}, []))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> PolicyModule:
    folder = tmp_path_factory.mktemp(POLICY)
    TINIES[POLICY].build(POLICY, folder)
    made = PolicyModule(PretrainedBackbone(str(folder)))
    made.configure_model()
    return made


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> ProcessRewardModule:
    """Trained nowhere, but with a head that tells steps apart; written and read again."""
    backbone, folder = tmp_path_factory.mktemp(JUDGE), tmp_path_factory.mktemp("judge")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.conformance.tiny.build_tokenizer", letters)
        TINIES[JUDGE].build(JUDGE, backbone)
    module = ProcessRewardModule(PretrainedBackbone(str(backbone)))
    module.configure_model()
    torch.nn.init.normal_(module.head.linear.weight, generator=torch.Generator().manual_seed(0))
    module.export(folder, module.state_dict())
    module.backbone = PretrainedBackbone(str(folder))
    return module


def folder_of(judge: ProcessRewardModule) -> str:
    assert isinstance(judge.backbone, PretrainedBackbone)
    return judge.backbone.path


def groups_of(policy: PolicyModule) -> list[Group]:
    with policy.inference() as ready:
        requests = [Request(prompt) for prompt in PROMPTS]
        return list(NativeEngine().generate(ready, requests, Sampling(3, max_new_tokens=6), seed=0))


def test_a_judge_of_another_family_scores_what_the_policy_wrote(
    policy: PolicyModule, judge: ProcessRewardModule
) -> None:
    reward = ProcessReward(folder_of(judge), aggregate="mean")
    groups = groups_of(policy)
    scored = reward.score(groups)
    for before, after in zip(groups, scored, strict=True):
        for rollout, found in zip(before, after, strict=True):
            assert found.tokens == rollout.tokens  # of the policy's tokenizer, still
            (alone,) = judge.score_steps([before.prompt], [rollout.text])
            assert found.step_rewards == pytest.approx(alone, abs=CLOSE)
    assert len({rollout.rewards["process"] for group in scored for rollout in group}) > 2


def test_a_judge_reads_prompts_through_its_own_template_and_tokenizer(
    policy: PolicyModule, judge: ProcessRewardModule
) -> None:
    assert policy.model is not None and judge.model is not None
    with called(judge.model.base_model) as rows:
        judge.score_steps(PROMPTS, ["3+4=7", SAID])
    own = [judge.renderer.process([prompt])["input_ids"][0].tolist() for prompt in PROMPTS]
    theirs = [policy.renderer.process([prompt])["input_ids"][0].tolist() for prompt in PROMPTS]
    text = judge.renderer.tokenizer(SAID, add_special_tokens=False)["input_ids"]
    assert len(text) == len(SAID) > len(build_tokenizer()(SAID)["input_ids"])
    assert (*own[1], *text) in rows
    assert own != theirs and not {tuple(row) for row in theirs} & {row[: len(t)] for row in rows for t in theirs}
    assert set(placeholders(policy.model)).isdisjoint(placeholders(judge.model))


def test_text_that_names_the_judges_image_token_is_read_as_text(
    policy: PolicyModule, judge: ProcessRewardModule
) -> None:
    (image,) = judge.renderer.tokenizer.convert_ids_to_tokens(placeholders(judge.model))  # type: ignore[arg-type]
    written = Rollout("1", 0, f"See {image}: 7", (5,), "stop", 1.0)
    (group,) = ProcessReward(folder_of(judge)).score([Group(PROMPTS[0], (written,))])
    assert 0 < group.rollouts[0].rewards["process"] < 1
    tokens, _ = judge.renderer.step_ends(written.text, [len(written.text)])
    assert judge.renderer.decode(tokens) == written.text
    question = replace(PROMPTS[0], question=f"What does {image} show?")
    with pytest.raises(ValueError, match=rf"'1' holds '{image}'.*a idefics3.*Take it out"):
        ProcessReward(folder_of(judge)).score([Group(question, (written,))])
