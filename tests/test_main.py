from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import mstar
from mstar import exit_codes
from mstar.__main__ import OWN, main
from mstar.exit_codes import INTERRUPTED, PIPE_CLOSED, USAGE

ROOT = Path(__file__).parents[1]
TINY = ROOT / "tests" / "house" / "tiny.yaml"


@pytest.mark.parametrize("args", [[], ["-h"], ["--help"]])
def test_help_lists_every_command_on_one_screen(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(args)
    page = capsys.readouterr().out
    for command in (
        "fit",
        "validate",
        "test",
        "predict",
        "run",
        "grade",
        "rollouts",
        "report",
        "export",
        "doctor",
        "schema",
        "completion",
    ):
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


@pytest.mark.parametrize("command", OWN)
def test_help_of_our_own_commands_does_not_wait_for_torch(command: str) -> None:
    program = f"""
import sys
from mstar.__main__ import main
try:
    main([{command!r}, "--help"])
except SystemExit as end:
    assert not end.code
sys.exit(bool({{"torch", "lightning", "pyarrow"}} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"usage: mstar {command}")


@pytest.mark.parametrize(("typed", "meant"), [("fti", "fit"), ("rollout", "rollouts"), ("docter", "doctor")])
def test_a_misspelt_command_gives_the_nearest(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([typed, "-c", "a.yaml"])
    assert end.value.code == USAGE
    assert f"there is no command {typed!r}: did you mean {meant!r}?" in capsys.readouterr().err


def test_a_command_like_no_other_lists_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["xyzzy"])
    said = capsys.readouterr().err
    assert all(command in said for command in ("fit", "rollouts"))


@pytest.mark.parametrize("words", [["run"], ["grade"], ["rollouts", "look"], ["doctor", "--jsn"]])
def test_a_wrong_use_is_exit_code_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == USAGE


def test_a_misspelt_setting_is_exit_code_2_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["fit", "-c", str(TINY), f"--trainer.default_root_dir={tmp_path}", "--trainer.max_epocks=1"])
    assert end.value.code == USAGE and not list(tmp_path.iterdir())
    assert "did you mean 'trainer.max_epochs'?" in capsys.readouterr().err


def test_print_config_prints_every_value_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["fit", "-c", str(TINY), f"--trainer.default_root_dir={tmp_path}", "--print_config"])
    assert not end.value.code and not list(tmp_path.iterdir())
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["trainer"]["max_epochs"] == 2 and config["data"]["init_args"]["num_passes"] == 1


def test_ctrl_c_is_exit_code_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(words: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mstar.grading.command.main", interrupted)
    with pytest.raises(SystemExit) as end:
        main(["grade", "a", "b"])
    assert end.value.code == INTERRUPTED
    assert "interrupted" in capsys.readouterr().err


def test_ctrl_c_in_a_run_is_exit_code_130_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    press = ["--trainer.callbacks+=tests.house.stubs.SignalAtStep", "--trainer.callbacks.step=1"]
    run = ["fit", "-c", str(TINY), f"--trainer.default_root_dir={tmp_path}", *press]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts behind & ignores it
    try:
        with pytest.raises(SystemExit) as end:
            main([*run, f"--trainer.callbacks.number={signal.SIGINT.value}"])
    finally:
        signal.signal(signal.SIGINT, before)  # Lightning has taken it
    assert end.value.code == INTERRUPTED
    assert "mstar fit: interrupted; the same command goes on from here" in capsys.readouterr().err


def test_a_reader_that_has_gone_is_no_error() -> None:
    program = "from mstar.__main__ import main; main(['--help'])"
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run([sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, cwd=ROOT)
    os.close(writing)
    assert (run.returncode, run.stderr) == (PIPE_CLOSED, b"")


def test_the_page_of_exit_codes_has_them_all() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    codes = [value for name, value in vars(exit_codes).items() if name.isupper()]
    assert [int(line.split("|")[1]) for line in page.splitlines() if line.startswith(("| 0", "| 1", "| 2"))] == [
        0,
        *codes,
    ]


def test_a_wrong_recipe_ends_with_a_message_not_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^mstar run: .*none\.yaml: there is no such file"):
        main(["run", str(tmp_path / "none.yaml")])


def test_openmp_threads_sleep_when_idle() -> None:
    program = "import os; os.environ.pop('OMP_WAIT_POLICY', None); import mstar; print(os.environ['OMP_WAIT_POLICY'])"
    root = Path(__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=root)
    assert run.stdout == "PASSIVE\n"
