"""The tiny architectures that other tests rely on look at their pictures."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mstar.modules.renderer import Renderer, placeholders
from mstar.modules.tree import Tree, shares, tree_inputs
from mstar.types import Prompt
from tests.architectures import ARCHITECTURES, SIZES, prompts_for


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_tiny_architecture_sees_its_picture(name: str) -> None:
    model, processor = ARCHITECTURES[name]()
    renderer = Renderer(processor)
    prompts = prompts_for(name)
    assert shares(model)

    def last(asked: list[Prompt]) -> torch.Tensor:
        rows = renderer.rows(asked, [Tree() for _ in asked])
        with torch.no_grad():
            logits = model(**tree_inputs(model, rows)).logits
        return torch.stack([row[n - 1] for row, n in zip(logits, rows["prompt_lengths"], strict=True)])

    mirrored = [replace(p, images=tuple(i.rotate(180) for i in p.images)) for p in prompts]
    together, turned = last(prompts), last(mirrored)
    assert ((together - turned).abs().amax(1) > 1e-4).all()
    for index, prompt in enumerate(prompts):
        assert torch.allclose(together[index], last([prompt])[0], atol=1e-5)
    ids = renderer.rows(prompts, [Tree() for _ in prompts])["input_ids"]
    assert len(set((ids == placeholders(model)[0]).sum(1).tolist())) == len(SIZES[name])
