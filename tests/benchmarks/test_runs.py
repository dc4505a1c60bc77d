"""Benchmark runs: every config on its fixture gives the numbers worked out by hand; nothing is sampled twice."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest

from mstar.cli import main
from mstar.dynamics import wilson_interval
from mstar.rollout.fingerprint import fingerprint
from tests.benchmarks import published
from tests.benchmarks.stubs import Killed, Scripted
from tests.policies import policy

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs" / "benchmarks"
TINY = {
    "class_path": "mstar.demo.tiny.TinyLlava",
    "init_args": {
        "hidden_size": 32, "num_layers": 2, "mlp_size": 32, "num_heads": 2, "num_kv_heads": 1, "vision_mlp_size": 32,
    },
}  # fmt: skip

# How a prompt is answered, greedily and four times: + right, - wrong, 0 without an answer.
MARKS = ("+ ++--", "- +---", "0 ++0-", "+ ----", "+ ++++", "- 0000")
# What follows for that prompt: greedy accuracy, pass@2 = 1 - C(4-c, 2) / C(4, 2) with c right ones, majority vote
# (of two against two the answer seen first), greedy response without an answer.
BY_HAND = ((1, 5 / 6, 1, 0), (0, 1 / 2, 0, 0), (0, 5 / 6, 1, 1), (1, 0, 0, 0), (1, 1, 1, 0), (0, 0, 0, 0))


@dataclass(frozen=True)
class Case:
    """A benchmark's prompts in the order of its file: id, right and wrong answer; and the marks by sub-task."""

    answers: list[tuple[str, str, str]]
    kinds: dict[str, list[int]]
    """Sub-task to the prompts it has, as numbers of ``MARKS``."""
    name: str = ""
    flags: list[str] = field(default_factory=list)


CASES = {
    "mathvista": Case(
        [
            ("1", "A", "B"), ("2", "70°", "60°"), ("3", "4", "5"), ("4", "0.25", "0.5"), ("5", "12 years", "11"),
            ("6", "(B)", "A"),
        ],
        {"FQA": [0, 3], "GPS": [1], "MWP": [2], "VQA": [4], "TQA": [5]},
    ),
    "m3cot": Case(
        [("physical-1", "A", "C"), ("logic-2", "sun", "rain"), ("algebra-3", "D", "3")],
        {"science": [0], "commonsense": [1], "mathematics": [2]},
    ),
    "mmstar_r": Case(
        [("0", "A", "D"), ("1", "8", "13"), ("2", "(D)", "(A)"), ("3", "145°", "A")],
        {"instance reasoning": [0], "logical reasoning": [1], "science & technology": [2], "math": [3]},
    ),
    "mmbench_r": Case([("0", "dry", "A"), ("1", "None", "C"), ("2", "C", "B")], {"AR": [0], "LR": [1], "RR": [2]}),
    "ai2d": Case([("0", "B", "fox"), ("1", "E", "A"), ("2", "fox", "D")], {}),
    "mathverse": Case(
        [("1", "C", "16°"), ("2", "10", "12"), ("3", "32°", "D"), ("4", "D", "A")],
        {"Text Dominant": [0], "Vision Intensive": [1], "Vision Only": [2, 3]},
    ),
    "mathvision": Case([("4", "C", "B"), ("5", "17", "16"), ("6", "1 km", "2 km")], {"logic": [0], "counting": [1, 2]}),
    "wemath": Case(
        [
            ("2steps_1/2steps_1", "120°", "A"), ("2steps_1/2steps_2", "B", "A"), ("2steps_1/2steps_multi", "E", "5π"),
            ("3steps_9/3steps_1", "A", "B"), ("3steps_9/3steps_multi", "260", "200"),
        ],
        {"S1": [0, 1, 3], "S2": [2], "S3": [4]},
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(Scripted, "asked", [])
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def script(name: str) -> dict[str, list[str]]:
    """Responses by prompt id, in the words of the marks."""
    texts = {}
    for (prompt, right, wrong), marks in zip(CASES[name].answers, MARKS, strict=False):
        words = {"+": f"So.\nAnswer: {right}", "-": f"Well, then.\nAnswer: {wrong}", "0": "I do not know"}
        texts[prompt] = [words[mark] for mark in marks.replace(" ", "")]
    return texts


def command(name: str, folder: Path, texts: dict[str, list[str]] | None, **engine: Any) -> list[str]:
    """What a user types for a local copy, with the tiny policy."""
    data = folder / "data"
    if not data.exists():
        data.mkdir(parents=True)
        getattr(published, name)(data)
    file = next(path for path in sorted(data.iterdir()) if path.suffix in (".parquet", ".json", ".tsv"))
    scripted = {"class_path": "tests.benchmarks.stubs.Scripted", "init_args": {"texts": texts, **engine}}
    return [
        "-c",
        str(CONFIGS / f"{name}.yaml"),
        f"--data.benchmarks.{name}.rows.path={file}",
        f"--trainer.default_root_dir={folder / 'run'}",
        f"--model.backbone={json.dumps(TINY)}",
        "--data.max_new_tokens=8",
        "--data.sampling.max_new_tokens=8",
        "--data.sampling.num_responses=4",
        "--trainer.callbacks.ks=[1,2]",
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
        *([] if texts is None else [f"--data.engine={json.dumps(scripted)}"]),
    ]


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run" / "benchmark.json").read_text())
    return found


def mean(prompts: list[int], column: int) -> float:
    return sum(BY_HAND[prompt][column] for prompt in prompts) / len(prompts)


@pytest.mark.parametrize("name", CASES)
def test_every_config_gives_the_numbers_worked_out_by_hand(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["validate", *command(name, tmp_path, script(name))])
    rows = report(tmp_path)["benchmarks"][name]["rows"]
    wanted = {"all": list(range(len(CASES[name].answers))), **CASES[name].kinds}
    assert rows.keys() == wanted.keys()
    table = capsys.readouterr().out
    for kind, prompts in wanted.items():
        greedy, sampled = rows[kind]["greedy"], rows[kind]["sampled"]
        found = [greedy["accuracy"], sampled["pass@2"], sampled["majority_vote"], greedy["no_answer"]]
        for column, measured in enumerate(found):
            assert (measured["n"], measured["value"]) == (len(prompts), pytest.approx(mean(prompts, column)))
            interval = wilson_interval(measured["value"] * len(prompts), len(prompts))
            assert (measured["low"], measured["high"]) == pytest.approx(interval)
        line = next(line for line in table.splitlines() if kind in line)
        assert f" {100 * mean(prompts, 0):.1f} [" in line and f" {100 * mean(prompts, 1):.1f} [" in line
    assert table.count("━┓") == 1 and "Validate metric" not in table


def test_the_held_out_questions_are_reported_by_part_and_source(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    file = published.mathv360k(data)
    texts = {str(i): ["Answer: " + ("B" if i % 2 else str(i // 2))] for i in range(8)}  # all right
    scripted = {"class_path": "tests.benchmarks.stubs.Scripted", "init_args": {"texts": texts}}
    parts = [f"--data.benchmarks.mathv360k_{part}" for part in ("test", "validation")]
    main([
        "validate", "-c", str(CONFIGS / "mathv360k.yaml"),
        *(f"{part}.rows.path={file}" for part in parts),
        *(f"{part}.rows.image_root={data / 'data_images'}" for part in parts),
        *(f"{part}.part.num_test=3" for part in parts),
        *(f"{part}.part.num_validation=1" for part in parts),
        f"--trainer.default_root_dir={tmp_path / 'run'}", f"--model.backbone={json.dumps(TINY)}",
        f"--data.engine={json.dumps(scripted)}", "--data.sampling=null", "--trainer.accelerator=cpu",
    ])  # fmt: skip
    found = report(tmp_path)
    sizes = {name: b["rows"]["all"]["greedy"]["accuracy"]["n"] for name, b in found["benchmarks"].items()}
    assert sizes == {"mathv360k_test": 3, "mathv360k_validation": 1} and found["mean"] == 1
    kinds = {kind for benchmark in found["benchmarks"].values() for kind in benchmark["rows"]} - {"all"}
    assert kinds <= {"TabMWP", "IconQA"} and kinds
    assert {temperature for _, temperature in Scripted.asked} == {0.0}


def test_the_tiny_policy_itself_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["test", *command("mathvista", tmp_path, None)])
    found = report(tmp_path)
    whole = found["benchmarks"]["mathvista"]["rows"]["all"]
    assert whole["greedy"]["accuracy"]["n"] == 6 and 0 < whole["greedy"]["tokens"]["value"] <= 8
    assert found["settings"]["model"] == ""
    assert found["settings"]["policy"] == fingerprint(policy().model)  # type: ignore[arg-type]
    assert found["benchmarks"]["mathvista"]["seconds"] > 0
    assert "mathvista" in capsys.readouterr().out
    greedy = pq.read_table(tmp_path / "run" / "mathvista-greedy.parquet").to_pylist()
    assert sorted(row["prompt_id"] for row in greedy) == list("123456") and all(row["verdict"] for row in greedy)
    assert len(pq.read_table(tmp_path / "run" / "mathvista-sampled.parquet")) == 6 * 4


def test_a_reward_ranks_and_weighs(tmp_path: Path) -> None:
    texts = {i: ["Answer: -1"] * 5 for i in "123456"}
    # Brevity is 1 / words. Prompt 3: the two shortest of four are wrong and outweigh the others, 1/2 + 1/2 > 1/3 + 1/4.
    texts["3"] = ["Answer: 4", "So Answer: 4", "Well, so Answer: 4", "Answer: 5", "Answer: 5"]
    # Prompt 4: the shortest is right, and outweighs the three that are wrong, 1/2 > 1/7 + 1/7 + 1/7.
    texts["4"] = ["Answer: 1", "Answer: 0.25", *["One two three four five Answer: 1"] * 3]
    reward = {
        "class_path": "mstar.rewards.Product",
        "init_args": {
            "of": [{"class_path": "mstar.rewards.OutcomeReward"}, {"class_path": "tests.benchmarks.stubs.Brevity"}]
        },
    }
    main([
        "validate", *command("mathvista", tmp_path, texts), f"--reward={json.dumps(reward)}",
        "--trainer.callbacks.by=brevity",
    ])  # fmt: skip
    sampled = {kind: row["sampled"] for kind, row in report(tmp_path)["benchmarks"]["mathvista"]["rows"].items()}
    names = ("pass@1", "pass@2", "reward_pass@1", "reward_pass@2", "majority_vote", "weighted_vote")
    assert [sampled["MWP"][name]["value"] for name in names] == pytest.approx([1 / 2, 5 / 6, 0, 0, 1, 0])
    # FQA are prompts 1, all wrong, and 4.
    assert [sampled["FQA"][name]["value"] for name in names] == pytest.approx([1 / 8, 1 / 4, 1 / 2, 1 / 2, 0, 1 / 2])


def test_a_killed_run_samples_only_what_is_missing(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    main(["validate", *command("mathvista", whole, script("mathvista")), "--data.chunk=4"])
    everything = list(Scripted.asked)
    assert len(everything) == 12
    for groups in (3, 9):  # within the first chunk's greedy responses, then within the second chunk
        flags = command("mathvista", killed, script("mathvista"), kill_after=12 + groups)
        with pytest.raises(Killed):
            main(["validate", *flags, "--data.chunk=4"])
    main(["validate", *command("mathvista", killed, script("mathvista")), "--data.chunk=4"])
    assert Scripted.asked[12:] == everything
    first, second = report(whole), report(killed)
    for found in (first, second):
        found["benchmarks"]["mathvista"].pop("seconds")
    assert first == second


def test_a_rerun_samples_nothing_but_judges_anew(tmp_path: Path) -> None:
    main(["validate", *command("mathvista", tmp_path, script("mathvista"))])
    asked, before = len(Scripted.asked), report(tmp_path)
    main(["validate", *command("mathvista", tmp_path, script("mathvista"))])
    assert len(Scripted.asked) == asked and report(tmp_path) == before
    verifier = (
        "--reward={class_path: mstar.rewards.OutcomeReward, init_args: {verifier: tests.house.stubs.even_length}}"
    )
    main(["validate", *command("mathvista", tmp_path, script("mathvista")), verifier])
    assert len(Scripted.asked) == asked
    rows = report(tmp_path)["benchmarks"]["mathvista"]["rows"]
    lengths = [len(texts[0]) for texts in script("mathvista").values()]
    assert rows["all"]["greedy"]["accuracy"]["value"] == sum(length % 2 == 0 for length in lengths) / 6
    assert rows != before["benchmarks"]["mathvista"]["rows"]


def test_responses_of_another_policy_are_refused(tmp_path: Path) -> None:
    main(["validate", *command("mathvista", tmp_path, script("mathvista"))])
    with pytest.raises(
        RuntimeError, match=r"policy was '.*', is now '.*'. Restore the earlier setting, or start afresh"
    ):
        main(["validate", *command("mathvista", tmp_path, script("mathvista")), "--model.backbone.seed=1"])


def test_a_checkpoint_is_what_is_measured(tmp_path: Path) -> None:
    warmup = ROOT / "tests" / "house" / "warmup.yaml"
    fit = f"--trainer.default_root_dir={tmp_path / 'fit'}"
    main(["fit", "-c", str(warmup), fit, f"--model.backbone={json.dumps(TINY)}"])
    checkpoint = tmp_path / "fit" / "checkpoints" / "last.ckpt"
    main(["validate", *command("ai2d", tmp_path, script("ai2d")), f"--ckpt_path={checkpoint}"])
    settings = report(tmp_path)["settings"]
    assert settings["ckpt_path"] == str(checkpoint) and settings["policy"] != fingerprint(policy().model)  # type: ignore[arg-type]


def test_two_ranks_report_what_one_does(tmp_path: Path) -> None:
    """Five prompts in chunks of two: ranks have different shares, and sub-tasks that only one of them sees."""
    one, two = tmp_path / "one", tmp_path / "two"
    main(["validate", *command("wemath", one, script("wemath")), "--data.chunk=2"])
    flags = [
        *command("wemath", two, script("wemath")),
        "--data.chunk=2",
        "--trainer.devices=2",
        "--trainer.strategy=ddp",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "mstar", "validate", *flags], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("━┓") == 1
    assert report(one)["benchmarks"]["wemath"]["rows"] == report(two)["benchmarks"]["wemath"]["rows"]
    files = [pq.read_table(folder / "run" / "wemath-sampled.parquet").to_pylist() for folder in (one, two)]
    assert [(row["prompt_id"], row["index"], row["verdict"]) for row in files[1]] == sorted(
        (row["prompt_id"], row["index"], row["verdict"]) for row in files[0]
    )


def test_mmbenchs_rotations_give_its_circular_accuracy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Question 0 is right at first and wrong when rotated, on two ranks; question 1 is wrong, question 2 right."""
    texts = {"0": ["Answer: dry"], "1000000": ["Answer: wet"], "1": ["Answer: A"], "2": ["Answer: Cid"]}
    flags = ["--data.sampling=null", "--data.benchmarks.mmbench_r.layout.rotations=true"]
    main(["validate", *command("mmbench_r", tmp_path, texts), *flags])
    rows = report(tmp_path)["benchmarks"]["mmbench_r"]["rows"]
    measured = {kind: (row["greedy"]["accuracy"], row["greedy"]["circular"]) for kind, row in rows.items()}
    assert {kind: (a["value"], a["n"], c["value"], c["n"]) for kind, (a, c) in measured.items()} == {
        "all": (0.5, 4, pytest.approx(1 / 3), 3), "AR": (0.5, 2, 0, 1), "LR": (0, 1, 0, 1), "RR": (1, 1, 1, 1),
    }  # fmt: skip
    assert "circular" in capsys.readouterr().out
    more = ["--trainer.devices=2", "--trainer.strategy=ddp", f"--trainer.default_root_dir={tmp_path / 'two' / 'run'}"]
    ddp = [sys.executable, "-m", "mstar", "validate", *command("mmbench_r", tmp_path, texts), *flags, *more]
    done = subprocess.run(ddp, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    assert report(tmp_path / "two")["benchmarks"]["mmbench_r"]["rows"] == rows


def test_training_on_a_benchmark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only measures: use mstar validate or mstar test"):
        main(["fit", *command("ai2d", tmp_path, script("ai2d")), "--trainer.max_epochs=1"])


def test_ranking_by_the_answer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'outcome', which knows the answer"):
        main(["validate", *command("ai2d", tmp_path, script("ai2d")), "--trainer.callbacks.by=outcome"])


def test_every_config_is_measured_here() -> None:
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == {*CASES, "mathv360k"}


def test_the_layout_of_the_documentation_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    code, settings = (re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)[-1] for kind in ("python", "yaml"))
    (tmp_path / "riddles.py").write_text(code)
    (tmp_path / "riddles.yaml").write_text(settings.replace("data/riddles.jsonl", str(tmp_path / "riddles.jsonl")))
    published.picture().save(tmp_path / "a.png")
    rows = [{"id": "x", "picture": "a.png", "riddle": "What has keys?", "solution": "piano"}]
    (tmp_path / "riddles.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.syspath_prepend(str(tmp_path))
    scripted = {"class_path": "tests.benchmarks.stubs.Scripted", "init_args": {"texts": {"x": ["Answer: piano"]}}}
    main([
        "validate", "-c", str(CONFIGS / "ai2d.yaml"), "-c", str(tmp_path / "riddles.yaml"), "--data.sampling=null",
        f"--trainer.default_root_dir={tmp_path / 'run'}", f"--model.backbone={json.dumps(TINY)}",
        f"--data.engine={json.dumps(scripted)}", "--trainer.accelerator=cpu",
    ])  # fmt: skip
    assert report(tmp_path)["benchmarks"].keys() == {"riddles"}
    assert report(tmp_path)["mean"] == 1
