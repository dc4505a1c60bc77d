"""Every file in configs/ builds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mstar.cli import main
from mstar.recipe.plan import read_recipe
from tests.benchmarks.published import mathv360k
from tests.demo.easyvqa import easyvqa

CONFIGS = Path(__file__).parents[1] / "configs"
RECIPES = [CONFIGS / "mstar.yaml", *sorted((CONFIGS / "recipes").glob("*.yaml"))]
OVERLAYS = {  # each with the pages that it is put over
    "embedded": ["mstar"],
    "embedded_sft": ["sft"],
    "embedded_unlabelled": ["unlabelled", "embedded"],
}
ELSEWHERE = {"benchmarks", "policies", "strategy"}  # measured, named by others, or put over them: tests of their own


def pages() -> list[Path]:
    """All files that are commands of their own."""
    found = sorted(path for path in CONFIGS.rglob("*.yaml") if path not in RECIPES)
    return [path for path in found if path.parent.name not in ELSEWHERE and path.stem not in OVERLAYS]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that pages name, in small, where they look for them."""
    (tmp_path / "data" / "MathV360K").mkdir(parents=True)
    file = Path(mathv360k(tmp_path / "data" / "MathV360K"))
    file.write_text(json.dumps(json.loads(file.read_text()) * 260))  # enough to hold 1,000 rows out of a half
    easyvqa(tmp_path / "data" / "easy-vqa")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("path", pages(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_config_builds(path: Path, tmp_path: Path) -> None:
    cli = main([f"--config={path}", f"--trainer.default_root_dir={tmp_path}"], run=False)
    assert cli.model is not None and cli.datamodule is not None


@pytest.mark.parametrize(("overlay", "under"), OVERLAYS.items())
def test_overlay_builds(overlay: str, under: list[str], tmp_path: Path) -> None:
    files = [f"--config={CONFIGS / 'methods' / name}.yaml" for name in (*under, overlay)]
    assert main([*files, f"--trainer.default_root_dir={tmp_path}"], run=False).datamodule is not None


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_recipe_is_understood(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.stages and all((path.parent / name).is_file() for stage in recipe.stages for name in stage.config)


def test_no_file_is_left_out() -> None:
    built = {*pages(), *RECIPES, *(CONFIGS / "methods" / f"{name}.yaml" for name in OVERLAYS)}
    assert {path for path in CONFIGS.rglob("*.yaml") if path.parent.name not in ELSEWHERE} == built
