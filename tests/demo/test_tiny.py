from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel, ProcessorMixin

from mstar.demo.scenes import DigitScenes
from mstar.demo.tiny import TinyLlava, build_tokenizer

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tiny() -> tuple[PreTrainedModel, ProcessorMixin]:
    return TinyLlava(seed=3).load()


def encode(processor: ProcessorMixin, num: int = 3) -> dict[str, torch.Tensor]:
    prompts = list(DigitScenes("cot", num))
    chats = [
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt.question}]}]
        for prompt in prompts
    ]
    text = [processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False) for chat in chats]
    images = [list(prompt.images) for prompt in prompts]
    return dict(processor(images=images, text=text, padding=True, return_tensors="pt"))


def test_a_prompt_is_four_image_tokens_and_the_question(tiny: tuple[PreTrainedModel, ProcessorMixin]) -> None:
    model, processor = tiny
    batch = encode(processor)
    assert batch["pixel_values"].shape == (3, 3, 32, 32)
    assert (batch["input_ids"] == model.config.image_token_id).sum(dim=1).tolist() == [4, 4, 4]
    assert batch["attention_mask"][2, 0] == 0
    assert processor.tokenizer.decode(batch["input_ids"][0]).startswith("<s><user><image><image><image><image>Sum of")
    assert processor.tokenizer.decode(batch["input_ids"][0]).endswith("?<assistant>")


def test_a_response_in_a_chat_ends_with_the_end_token(tiny: tuple[PreTrainedModel, ProcessorMixin]) -> None:
    chat = [{"role": "user", "content": "Sum?"}, {"role": "assistant", "content": "1+1=2"}]
    assert tiny[1].apply_chat_template(chat, tokenize=False) == "<s><user>Sum?<assistant>1+1=2</s>"


def test_saved_and_reopened_through_auto_classes_it_gives_equal_logits(
    tiny: tuple[PreTrainedModel, ProcessorMixin], tmp_path: Path
) -> None:
    model, processor = tiny
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again, its_processor = (
        AutoModelForImageTextToText.from_pretrained(tmp_path),
        AutoProcessor.from_pretrained(tmp_path),
    )
    batch, its_batch = encode(processor), encode(its_processor)
    assert batch.keys() == its_batch.keys()
    assert all(torch.equal(batch[key], its_batch[key]) for key in batch)
    with torch.no_grad():
        assert torch.equal(model(**batch).logits, again(**its_batch).logits)
    assert again.generation_config.eos_token_id == processor.tokenizer.eos_token_id
    assert its_processor.tokenizer.padding_side == "left"
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".safetensors", ".jinja"}


def test_generation_stops_and_pads_as_configured(tiny: tuple[PreTrainedModel, ProcessorMixin]) -> None:
    model, processor = tiny
    tokenizer = processor.tokenizer
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id != tokenizer.pad_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id
    assert model.generation_config.bos_token_id == tokenizer.bos_token_id
    out = model.generate(**encode(processor), max_new_tokens=4, do_sample=False)
    assert out.shape[1] <= encode(processor)["input_ids"].shape[1] + 4


def test_pictures_matter_to_the_logits(tiny: tuple[PreTrainedModel, ProcessorMixin]) -> None:
    model, processor = tiny
    batch = encode(processor)
    with torch.no_grad():
        seen = model(**batch).logits
        blank = model(**{**batch, "pixel_values": torch.ones_like(batch["pixel_values"])}).logits
    assert not torch.allclose(seen[:, -1], blank[:, -1])


def test_the_seed_alone_draws_the_weights(tiny: tuple[PreTrainedModel, ProcessorMixin]) -> None:
    state = torch.random.get_rng_state()
    same, other = TinyLlava(seed=3).load()[0].state_dict(), TinyLlava(seed=4).load()[0].state_dict()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(weight, same[name]) for name, weight in tiny[0].state_dict().items())
    assert not all(torch.equal(weight, other[name]) for name, weight in same.items())


def test_it_has_fewer_than_a_million_weights(tiny: tuple[PreTrainedModel, ProcessorMixin]) -> None:
    assert tiny[0].num_parameters() < 1_000_000
    assert tiny[0].lm_head.weight is tiny[0].model.language_model.embed_tokens.weight


def test_every_digit_is_a_token_and_worked_responses_survive_the_tokenizer() -> None:
    tokenizer = build_tokenizer()
    assert tokenizer.tokenize("40/65") == ["4", "0", "/", "6", "5"]
    for prompt in DigitScenes("printed", 60, seed=9):
        tokens = tokenizer(prompt.cot).input_ids
        assert tokenizer.decode(tokens) == prompt.cot
        assert len(tokens) < 29


def test_learning_the_tokenizer_twice_gives_the_same_one() -> None:
    first, second = (json.loads(build_tokenizer().backend_tokenizer.to_str()) for _ in range(2))
    assert first == second
