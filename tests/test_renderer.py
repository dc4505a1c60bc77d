"""What the model sees of a prompt: special tokens once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from mstar.demo.tiny import BOS
from mstar.modules.renderer import Renderer
from tests.architectures import ARCHITECTURES, prompts_for


def adding_bos(processor: Any) -> Renderer:
    """A renderer whose tokenizer puts a beginning-of-text token before every text, as Llama's does."""
    number = processor.tokenizer.bos_token_id
    processor.tokenizer._tokenizer.post_processor = TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, number)]
    )
    return Renderer(processor)


@pytest.mark.parametrize("templates", [True, False])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_prompt_begins_with_one_beginning_of_text_whoever_writes_it(name: str, templates: bool) -> None:
    _, made = ARCHITECTURES[name]()
    processor: Any = made
    prompts = prompts_for(name, 2)
    wanted = Renderer(processor).process(prompts)["input_ids"].tolist()
    if not templates:
        processor.chat_template = processor.chat_template.replace("{{ bos_token }}\n{%- for", "{%- for")
        assert BOS not in Renderer(processor).text(prompts[0])
    renderer = adding_bos(processor)
    assert renderer.process(prompts)["input_ids"].tolist() == wanted
    assert renderer.unexpanded(prompts[0]).count(renderer.tokenizer.bos_token_id) == 1
    assert renderer.tokenizer.bos_token_id not in renderer.response_tokens("4+4=8")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_prompts_processed_alone_are_merged_to_what_they_are_together(name: str) -> None:
    renderer = Renderer(ARCHITECTURES[name]()[1])
    prompts, prefixes = prompts_for(name, 5), [(), (70, 71, 72), (), (70,), (80,) * 9]
    begun = zip(prompts, prefixes, strict=True)
    pairs = [
        (renderer.process(prompts), [renderer.process([prompt]) for prompt in prompts]),
        (renderer.encode(prompts, prefixes), [renderer.encode([p], [x]) for p, x in begun]),
    ]
    for together, alone in pairs:
        merged = renderer.merged(alone)
        assert merged.keys() == together.keys()
        for field, value in together.items():
            assert torch.equal(merged[field], value) and merged[field].dtype == value.dtype
