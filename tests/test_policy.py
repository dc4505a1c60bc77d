"""The policy module outside training."""

from __future__ import annotations

import pytest

from mstar.demo.scenes import DigitScenes
from mstar.modules.process_reward import ProcessRewardModule
from tests.policies import backbone, policy


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_restored_whatever_happens_during_inference(training: bool) -> None:
    module = policy().train(training)
    with module.inference():
        assert not module.training
    assert module.training is training
    with pytest.raises(KeyError), module.inference():
        raise KeyError("test")
    assert module.training is training


def test_the_mode_is_restored_when_scoring_fails() -> None:
    module = ProcessRewardModule(backbone(), separator="\n").train()
    with pytest.raises(ValueError, match="token_budget is 0"):
        module.score_steps([DigitScenes("cot", 1, seed=0)[0]], ["4"], token_budget=0)
    assert module.training
