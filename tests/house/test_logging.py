"""docs/metrics.md names every key that is logged, once, and no other; all loggers have the same; images are bounded."""

from __future__ import annotations

import json
import re
from csv import DictReader
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mstar.cli import main
from tests.benchmarks.cases import command, script
from tests.benchmarks.conftest import own_cache  # noqa: F401 (a fixture, for every test here)
from tests.house.stubs import Killed
from tests.house.test_evolution import ROOT, fit
from tests.house.test_step_rewards import fit as fit_process_reward
from tests.house.test_step_rewards import labels  # noqa: F401 (a fixture)

SAMPLED = "--data.init_args.evaluation.sampling={num_responses: 4, max_new_tokens: 12}"
CONTROL = {
    "prompts": {"class_path": "mstar.demo.scenes.DigitScenes", "init_args": {"split": "validation", "num": 3}},
    "rule": {"class_path": "mstar.temperature.ArgmaxPass", "init_args": {"k": 2}},
    "candidates": [0.5, 0.9],
    "num_responses": 2,
}
HOLES = {
    "<split>": r"(?!(?:rollout|train|temperature|parity)/)[\w-]+",
    "[<kind>/]": r"(?:[^/]+/)?",
    "<k>": r"\d+",
    "<t>": r"[\d.]+",
    "<phase>": r"\w+",
}


def patterns() -> dict[str, re.Pattern[str]]:
    """What the page's tables name, as what it stands for."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    named = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    assert len(named) == len(set(named))
    return {name: re.compile(filled(name)) for name in named}


def filled(name: str) -> str:
    parts = re.split("(" + "|".join(map(re.escape, HOLES)) + ")", name)
    return "".join(HOLES.get(part, re.escape(part)) for part in parts)


def keys(run: Path) -> set[str]:
    """Of metrics.csv, which has what every logger is given."""
    (head, *_) = (run / "logs" / "metrics.csv").read_text().splitlines()
    return set(head.split(",")) - {"step"}


@pytest.fixture(scope="module")
def evolution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One iteration with everything on that logs."""
    run = tmp_path_factory.mktemp("evolution")
    recording = "--data.init_args.engine={class_path: mstar.rollout.NativeEngine, init_args: {logprobs: true}}"
    more = ["--trainer.callbacks.by=outcome", SAMPLED, f"--data.init_args.temperature={json.dumps(CONTROL)}", recording]
    advantage = "--data.init_args.advantage=mstar.objectives.advantage.GroupAdvantage"
    added = ["--trainer.callbacks+=mstar.callbacks.ParityGate", "--trainer.callbacks+=mstar.callbacks.Samples"]
    objective = ["--model.init_args.objective=mstar.objectives.GRPO", advantage]
    fit(run, "--trainer.max_epochs=1", *more, *added, "--trainer.callbacks.num=2", *objective)
    return run


def test_the_page_names_every_key_that_is_logged_once_and_no_other(
    evolution: Path,
    labels: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    logging = ["--trainer.logger=true", "--trainer.log_every_n_steps=1", "--trainer.max_epochs=1"]
    fit_process_reward(tmp_path / "prm", labels, *logging)
    main(["validate", *command("mathvista", tmp_path / "benchmark", script("mathvista")), "--trainer.logger=true"])
    logged = keys(evolution) | keys(tmp_path / "prm") | keys(tmp_path / "benchmark" / "run")
    assert "mathvista/accuracy" in logged and "val/ranking_auc" in logged
    named = patterns()
    told = {key: [name for name, pattern in named.items() if pattern.fullmatch(key)] for key in logged}
    assert not {key: names for key, names in told.items() if len(names) != 1}
    assert not named.keys() - {name for names in told.values() for name in names}


def test_tensorboard_has_the_same_keys(evolution: Path) -> None:
    tags = EventAccumulator(str(evolution / "logs")).Reload().Tags()["scalars"]
    assert set(tags) - {"hp_metric"} == keys(evolution)


def test_few_images_are_logged_each_with_its_response(evolution: Path) -> None:
    events = EventAccumulator(str(evolution / "logs"), size_guidance={"tensors": 0}).Reload()
    assert events.Tags()["images"] == ["samples/val/0", "samples/val/1"]
    (image,) = events.Images("samples/val/0")
    assert image.width > 1 and image.step > 0
    (text,) = events.Tensors("samples/val/0/text_summary")
    said = text.tensor_proto.string_val[0].decode()
    assert "answer" in said and "reference" in said and all(line.startswith("    ") for line in said.splitlines())


def table(run: Path) -> list[tuple[str, ...]]:
    """All rows but for what is wall time."""
    rows = list(DictReader((run / "logs" / "metrics.csv").read_text().splitlines()))
    timed = ("seconds", "per_second")
    return [tuple(f"{k}={v}" for k, v in sorted(row.items()) if v and not any(t in k for t in timed)) for row in rows]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole")
    fit(run)
    return run


@pytest.mark.parametrize(("kill", "where"), [("KillAtStep", "step=4"), ("KillInValidation", "epoch=0")])
def test_a_resumed_run_has_the_rows_of_one_that_was_not_interrupted(
    uninterrupted: Path, tmp_path: Path, kill: str, where: str
) -> None:
    with pytest.raises(Killed):
        fit(tmp_path, f"--trainer.callbacks+=tests.house.stubs.{kill}", f"--trainer.callbacks.{where}")
    fit(tmp_path)
    assert table(tmp_path) == table(uninterrupted)


def test_a_logger_of_ones_own_stands_beside_the_default_ones_and_false_is_none(tmp_path: Path) -> None:
    csv = f"{{class_path: lightning.pytorch.loggers.CSVLogger, init_args: {{save_dir: {tmp_path / 'own'}}}}}"
    page = ["-c", str(ROOT / "tests" / "house" / "tiny.yaml")]
    kinds = {
        flag: [type(each).__name__ for each in main([*page, *more], run=False).trainer.loggers]
        for flag, more in {"none": [], "own": [f"--trainer.logger={csv}"], "false": ["--trainer.logger=false"]}.items()
    }
    assert kinds == {
        "none": ["TensorBoardLogger", "MetricsCsv"],
        "own": ["TensorBoardLogger", "MetricsCsv", "CSVLogger"],
        "false": [],
    }
