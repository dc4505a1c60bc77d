"""Every family passes every check, or does not for the reason that is written down."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from transformers import AutoConfig
from transformers.utils import is_torchvision_available

from mstar.modules.adapter import linear_layers
from mstar.modules.families import FAMILIES, PARTS, parameters_of, part_of, placeholders
from mstar.modules.towers import language_layers, outside_language
from tests.conformance.checks import CHECKS, Subject
from tests.conformance.exceptions import EXCEPTIONS, NEEDS_TORCHVISION
from tests.conformance.tiny import TINIES

pytestmark = [
    # transformers 5.23's processors of GLM and PaliGemma, with numpy 2
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]
CASES = [
    pytest.param(
        name,
        check,
        id=f"{name}-{check.__name__}",
        marks=[pytest.mark.xfail(reason=reason)] if (reason := EXCEPTIONS.get((name, check.__name__))) else [],
    )
    for name in TINIES
    for check in CHECKS
]


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Subject]:
    """Families, each built once."""
    built: dict[str, Subject] = {}

    def give(name: str) -> Subject:
        if name not in built:
            folder: Path = tmp_path_factory.mktemp(name)
            TINIES[name].build(name, folder)
            built[name] = Subject(folder)
        return built[name]

    return give


@pytest.mark.parametrize(("name", "check"), CASES)
def test_a_family_conforms(name: str, check: Callable[[Subject], None], subjects: Callable[[str], Subject]) -> None:
    check(subjects(name))


@pytest.mark.skipif(is_torchvision_available(), reason="torchvision is there")
@pytest.mark.parametrize(("name", "cls"), NEEDS_TORCHVISION.items())
def test_a_family_that_is_not_measured_needs_torchvision(name: str, cls: str) -> None:
    with pytest.raises(ImportError, match=r"(?i)torchvision"):
        getattr(transformers, cls)()


@pytest.mark.parametrize("name", NEEDS_TORCHVISION)
def test_a_family_that_is_not_measured_has_its_parts(name: str) -> None:
    config = AutoConfig.for_model(name)
    for part in (config.get_text_config(), config.vision_config, getattr(config, "audio_config", None)):
        if part is not None:
            setattr(part, "num_blocks" if hasattr(part, "num_blocks") else "num_hidden_layers", 2)
    with torch.device("meta"):
        model = getattr(transformers, FAMILIES[name].opened_by).from_config(config)
    parts = {part: parameters_of(model, part) for part in PARTS}
    names = [parameter for parameter, _ in model.named_parameters()]
    assert sorted(name for part in parts.values() for name in part) == sorted(names)
    assert placeholders(model)
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    adapted = [name for name in linear if re.fullmatch(linear_layers(model), name)]
    assert adapted == language_layers(model)
    assert {part_of(FAMILIES[name], each) for each in adapted} == {"language_model"}
    four_bit = [name for name in linear if not any(f"{name}.".startswith(f"{n}.") for n in outside_language(model))]
    assert four_bit == adapted


def test_every_family_is_measured_or_said_not_to_be() -> None:
    assert set(FAMILIES) == set(TINIES) | set(NEEDS_TORCHVISION)
    assert not set(TINIES) & set(NEEDS_TORCHVISION)
    assert {name for name, _ in EXCEPTIONS} <= set(TINIES)
    assert {check for _, check in EXCEPTIONS} <= {check.__name__ for check in CHECKS}
