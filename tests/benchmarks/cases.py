"""What is asked in each benchmark's fixture, how it is answered, and what follows from that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import published

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs" / "benchmarks"
OVERLAY = ROOT / "tests" / "benchmarks" / "tiny.yaml"

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
    return [
        *("-c", str(CONFIGS / f"{name}.yaml"), "-c", str(OVERLAY)),
        f"--data.benchmarks.{name}.rows.path={file}",
        f"--trainer.default_root_dir={folder / 'run'}",
        "--trainer.callbacks.ks=[1,2]",
        *([] if texts is None else [says(texts, **engine)]),
    ]


def says(texts: dict[str, list[str]], **engine: Any) -> str:
    """The flag for an engine that says these texts."""
    scripted = {"class_path": "tests.benchmarks.stubs.Scripted", "init_args": {"texts": texts, **engine}}
    return f"--data.engine={json.dumps(scripted)}"


def report(folder: Path) -> dict[str, Any]:
    """What the run wrote."""
    found: dict[str, Any] = json.loads((folder / "run" / "benchmark.json").read_text())
    return found


def mean(prompts: list[int], column: int) -> float:
    """A column of ``BY_HAND`` over some prompts."""
    return sum(BY_HAND[prompt][column] for prompt in prompts) / len(prompts)
