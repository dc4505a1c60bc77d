"""What the file of families promises beside what the checks measure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers.utils import VIDEO_PROCESSOR_NAME

from mstar.modules.backbone import PretrainedBackbone
from mstar.modules.policy import PolicyModule, freeze
from mstar.modules.processors import load_processor
from mstar.rollout.admit import refusal
from mstar.types import Prompt
from tests.architectures import llava
from tests.conformance.tiny import TINIES


def test_frozen_takes_parts_and_beginnings_and_names_both_when_wrong() -> None:
    model, _ = llava()
    freeze(model, ["vision_tower", "model.language_model.layers.0"])
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert any(name.startswith("model.multi_modal_projector") for name in learning)
    assert not any("vision_tower" in name or "layers.0." in name for name in learning)
    with pytest.raises(ValueError, match=r"'model\.vision_x'.*try one of \['vision_tower', 'projector'"):
        freeze(model, ["model.vision_x"])


def test_a_family_with_other_names_says_where_to_write_them() -> None:
    model, _ = llava()
    model.config.model_type = "qwen2_vl"
    with pytest.raises(ValueError, match=r"no vision_tower under the name visual.*'model\.vision_tower'.*families\.py"):
        freeze(model, ["vision_tower"])


def test_settings_of_the_video_processor_survive_where_there_is_none(tmp_path: Path) -> None:
    TINIES["qwen2_5_vl"].build("qwen2_5_vl", tmp_path)
    settings = {"video_processor_type": "Qwen2VLVideoProcessor", "fps": 3}
    (tmp_path / VIDEO_PROCESSOR_NAME).write_text(json.dumps(settings))
    load_processor(str(tmp_path)).save_pretrained(tmp_path / "again")
    assert json.loads((tmp_path / "again" / VIDEO_PROCESSOR_NAME).read_text()) == settings


def test_the_processor_is_of_the_class_that_the_folder_names(tmp_path: Path) -> None:
    TINIES["llava"].build("llava", tmp_path)  # as Pixtral's folders: a LLaVA by its config, and another processor
    file = tmp_path / "processor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "processor_class": "LlavaNextProcessor"}))
    assert type(load_processor(str(tmp_path))).__name__ == "LlavaNextProcessor"


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_a_prompt_without_an_image_is_refused_where_the_family_needs_one(tmp_path: Path) -> None:
    TINIES["paligemma"].build("paligemma", tmp_path)
    module = PolicyModule(PretrainedBackbone(str(tmp_path)))
    with module.inference() as ready:
        assert "takes no prompt without one" in refusal(ready, Prompt("a", "What is 3 + 4?"), 8, "")
