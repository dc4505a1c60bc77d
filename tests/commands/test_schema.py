"""`mstar schema`: every page of configs/ is valid under it, a misspelt setting is not, a class of one's own is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mstar.__main__ import main
from mstar.recipe.plan import read_recipe

jsonschema = pytest.importorskip("jsonschema", reason="pip install -e '.[test]'")
CONFIGS = Path(__file__).parents[2] / "configs"
PARTS = {"policies": "model"}  # pages that are the value of a key


@pytest.fixture(scope="module")
def validator() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", lambda text: printed.append(text))
        main(["schema"])
    schema = json.loads(printed[0])
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def pages() -> list[Path]:
    recipes = [CONFIGS / "mstar.yaml", *(CONFIGS / "recipes").glob("*.yaml")]
    assert all(read_recipe(path).stages for path in recipes)
    return sorted(path for path in CONFIGS.rglob("*.yaml") if path not in recipes)


def test_every_page_is_valid(validator: Any) -> None:
    for path in pages():
        page = yaml.safe_load(path.read_text())
        page = {PARTS[path.parent.name]: page} if path.parent.name in PARTS else page
        assert not [f"{path}: {list(e.path)} {e.message[:200]}" for e in validator.iter_errors(page)]


WRONG: dict[str, Callable[[Any], Any]] = {
    "a key": lambda page: page.update(rewards={}),
    "a setting of the trainer": lambda page: page["trainer"].update(max_epoch=3),
    "a setting of a class": lambda page: page["data"]["init_args"].update(batchsize=3),
    "a setting of a class that fits a protocol": lambda page: page["data"]["init_args"]["selectors"][1].update(
        init_args={"kk": 3}
    ),
    "a setting without a class_path": lambda page: page["data"]["init_args"]["temperature"].update(evry=2),
    "a type": lambda page: page["data"]["init_args"].update(batch_size="many"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_misspelt_is_not(validator: Any, what: str) -> None:
    page = yaml.safe_load((CONFIGS / "demo" / "evolve.yaml").read_text())
    assert validator.is_valid(page)
    wrong = copy.deepcopy(page)
    WRONG[what](wrong)
    assert not validator.is_valid(wrong)


def test_a_class_of_ones_own_passes_with_any_settings(validator: Any) -> None:
    page = yaml.safe_load((CONFIGS / "demo" / "evolve.yaml").read_text())
    page["data"]["init_args"]["selectors"].append({"class_path": "shortest.Shortest", "init_args": {"by": "words"}})
    assert validator.is_valid(page)
