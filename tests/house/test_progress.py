"""A run says how far it is: every long phase in its log, and a page an iteration; other ranks say nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mstar.cli import main
from mstar.progress.display import Lines
from tests.house.test_evolution import CONFIG, ROOT, assert_same, fit

SHOWN = "--trainer.enable_progress_bar=true"
LABELS = str(Path(__file__).parent / "labels.yaml")
SAMPLED = "--data.init_args.evaluation.sampling={num_responses: 4, max_new_tokens: 12}"
CONTROL = {"rule": {"class_path": "mstar.temperature.ArgmaxPass", "init_args": {"k": 2}}, "candidates": [0.5, 0.9]}


@pytest.fixture(autouse=True)
def everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny phases are over at once: give each its line."""
    made = Lines.__init__

    def short(self: Lines, every: float = 30.0, shortest: float = 0.0, **more: object) -> None:
        made(self, every, 0.0, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Lines, "__init__", short)


def phases(said: str) -> list[str]:
    """What is over, in order."""
    return [found[1] for found in re.finditer(r"^([a-z ]+) (\d+)/\2 \w+ in 0:\d\d", said, re.MULTILINE)]


def test_every_phase_of_an_evolution_has_its_line_and_every_iteration_its_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(tmp_path, SHOWN, SAMPLED, f"--data.init_args.temperature={json.dumps({**CONTROL, 'num_responses': 2})}")
    said = capsys.readouterr().err
    once = ["rollout", "scoring", "training", "measuring val"]
    assert phases(said) == ["temperature search", *once, *once]
    assert re.search(r"^scoring 6/6 groups in .*\d % right", said, re.MULTILINE)
    assert re.search(r"^training \d+/\d+ batches in .* responses/s, .* tokens/s, loss \d", said, re.MULTILINE)
    for iteration in (0, 1):
        page = said[said.index(f"iteration {iteration} | 24 responses to 6 prompts at temperature") :].splitlines()
        assert re.search(r"accepted \d+ \(\d+\.\d %\)", page[0])
        assert page[1].startswith("  sampled         pass@1 ") and "pass@4" in page[1]
        assert page[2].startswith("  validation      accuracy ") and page[3].startswith("  kept by type    ")
        assert page[4].startswith("  dropped because ")


def test_an_iteration_without_validation_shows_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(tmp_path, SHOWN, "--trainer.check_val_every_n_epoch=2", "--trainer.max_epochs=3")
    pages = re.split(r"^iteration (?=\d \|)", capsys.readouterr().err, flags=re.MULTILINE)[1:]
    assert ["\n  validation " in page for page in pages] == [False, True, False]


def test_showing_changes_nothing(tmp_path: Path) -> None:
    fit(tmp_path / "shown", SHOWN)
    fit(tmp_path / "quiet")
    assert_same(tmp_path / "shown", tmp_path / "quiet")


def test_step_labels_have_their_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = [f"--trainer.default_root_dir={tmp_path}", f"--data.init_args.labels={tmp_path / 'steps'}"]
    main(["predict", "-c", LABELS, *run, SHOWN])
    assert phases(capsys.readouterr().err) == ["rollout", "scoring", "step labels", "judging"]


def test_another_bar_of_lightnings_takes_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bar = "--trainer.callbacks+=lightning.pytorch.callbacks.TQDMProgressBar"
    fit(tmp_path, SHOWN, bar, "--trainer.max_epochs=1")
    assert phases(capsys.readouterr().err) == []


def test_one_rank_of_two_speaks_and_says_so(tmp_path: Path) -> None:
    lines = ["--trainer.callbacks+=mstar.callbacks.Progress", "--trainer.callbacks.every=0.05"]
    command = ["fit", "-c", CONFIG, f"--trainer.default_root_dir={tmp_path}", "--trainer.max_epochs=1", SHOWN, *lines]
    done = subprocess.run(
        [sys.executable, "-m", "mstar", *command, "--trainer.devices=2", "--trainer.strategy=ddp"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("iteration 0 | 24 responses to 6 prompts") == 1
    said = [line for line in done.stderr.splitlines() if re.match(r"(rollout|training|measuring val) \d", line)]
    assert said and all(line.endswith(" [rank 0 of 2]") for line in said)
    assert not [line for line in said if line.startswith("rollout") and "/3 " not in line]
