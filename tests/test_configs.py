"""Every file in configs/ builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from mstar.cli import main
from mstar.recipe.plan import read_recipe

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize("path", sorted((CONFIGS / "demo").glob("*.yaml")), ids=lambda path: path.name)
def test_config_builds(path: Path, tmp_path: Path) -> None:
    cli = main([f"--config={path}", f"--trainer.default_root_dir={tmp_path}"], run=False)
    assert cli.model is not None and cli.datamodule is not None


@pytest.mark.parametrize("path", sorted((CONFIGS / "recipes").glob("*.yaml")), ids=lambda path: path.name)
def test_recipe_is_understood(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.stages and all((path.parent / name).is_file() for stage in recipe.stages for name in stage.config)
