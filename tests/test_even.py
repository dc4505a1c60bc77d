"""Ranks call the model alike, whatever each has to train on, and together train as one rank would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mstar.datamodules.policy_data import Example, collate
from mstar.modules.even import Weighed, even, has_images
from mstar.modules.renderer import Inputs
from mstar.objectives import GRPO, SFT, Objective
from tests.architectures import ARCHITECTURES
from tests.test_packing import assert_equal_gradients, examples, gradients, ready


def agreed(name: str, ranks: Sequence[list[Inputs]]) -> list[list[Weighed]]:
    """What ``even`` makes of each rank's batch."""
    model, renderer = ready(name)
    said: list[Tensor] = []

    def listen(own: Tensor) -> Tensor:
        said.append(own)
        return own[None]

    for batch in ranks:
        even(batch, listen, model, renderer)
    return [even(batch, lambda _: torch.stack(said), model, renderer) for batch in ranks]


def blind(kept: Sequence[Example]) -> list[Example]:
    """The same prompts without their images."""
    return [replace(each, prompt=replace(each.prompt, id=f"{each.prompt.id} unseen", images=())) for each in kept]


@pytest.mark.parametrize("objective", [SFT(), GRPO()])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_ranks_call_the_model_alike_and_add_up_to_one(name: str, objective: Objective) -> None:
    model, renderer = ready(name)
    kept = examples(name)
    dealt = [kept[:2], [*kept[2:6], *blind(kept[:3])], blind(kept[6:])]  # few; with and without images; without
    budgets = zip(dealt, (1, 1, 150), strict=True)
    found = agreed(name, [collate(renderer, budget, True, each) for each, budget in budgets])
    calls = [[has_images(part) for part, _ in parts] for parts in found]
    assert calls[0] == calls[1] == calls[2] == sorted(calls[0]) and {True, False} == set(calls[0])
    (whole,) = collate(renderer, 10**6, True, [example for each in dealt for example in each])
    expected, _ = objective.loss(model, whole)
    shares = [objective.loss(model, part)[0] * weight / 3 for parts in found for part, weight in parts]
    assert sum(share.item() for share in shares) == pytest.approx(expected.item(), rel=1e-5)
    cut = [gradients(model, share) for share in shares]
    assert_equal_gradients([torch.stack(g).sum(0) for g in zip(*cut, strict=True)], gradients(model, expected))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_model_that_sees_is_shown_an_image_in_every_step(name: str) -> None:
    _, renderer = ready(name)
    (parts,) = agreed(name, [collate(renderer, 10**6, True, blind(examples(name)))])
    assert [(has_images(part), weight) for part, weight in parts] == [(False, 1.0), (True, 0.0)]
