from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import mstar
from mstar.__main__ import main


@pytest.mark.parametrize("args", [[], ["-h"], ["--help"]])
def test_help_lists_every_command_on_one_screen(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(args)
    page = capsys.readouterr().out
    for command in ("fit", "validate", "test", "predict", "run", "grade", "rollouts", "report"):
        assert f"\n  {command} " in page
    assert page.count("\n") <= 24
    assert max(map(len, page.splitlines())) <= 80


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out == f"mstar {mstar.__version__}\n"


def test_help_and_recipes_do_not_wait_for_torch(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("stages: [{name: a, module: x}]")
    program = f"""
import sys
from mstar.__main__ import main
main(["--help"])
main(["run", {str(recipe)!r}, "--dry_run"])
sys.exit(bool({{"torch", "lightning"}} & set(sys.modules)))
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, cwd=Path(__file__).parents[1])


def test_a_wrong_recipe_ends_with_a_message_not_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^mstar run: .*none\.yaml: there is no such file"):
        main(["run", str(tmp_path / "none.yaml")])


def test_openmp_threads_sleep_when_idle() -> None:
    program = "import os; os.environ.pop('OMP_WAIT_POLICY', None); import mstar; print(os.environ['OMP_WAIT_POLICY'])"
    root = Path(__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=root)
    assert run.stdout == "PASSIVE\n"
