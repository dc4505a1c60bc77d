"""easy-VQA: worked responses put together from its own answers, and the table of `make demo-easyvqa`.

``python -m mstar.demo.easyvqa --out runs/easyvqa`` reads what the recipe's stages left there and prints the table.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from mstar.demo.summary import percent, seconds
from mstar.dynamics import wilson_interval
from mstar.files import read_json, write_json
from mstar.prompts.contents import Contents, contents_of
from mstar.prompts.ids import picked
from mstar.prompts.listed import ListedPrompts, prompt_ids
from mstar.prompts.rows import Rows
from mstar.types import Prompt, PromptSource

DATA = Path("data/easy-vqa")
SHAPES = ("circle", "rectangle", "triangle")
ASKS = {"yes/no": ("yes", "no"), "shape": SHAPES}
POLICIES = {"warm-up": "test-warmup", "control": "test-control", "evolved": "test-evolved"}
TRAINED = {"warm-up": "warmup", "control": "control", "evolved": "evolve"}


class Worked(ListedPrompts):
    r"""Prompts with a worked response: what the image shows, in two lines, then the answer.

    easy-VQA has questions and answers, no reasoning. What an image shows is taken from its answers to *other* questions
    of the same image: one that asks for the shape, and one that asks for the colour. Images that were not asked both
    are left out. ``shape: circle\ncolor: red\nAnswer: no``.

    Args:
        source: easy-VQA's prompts; which of them show the same image is known from the images.
        num: How many, from the beginning.

    Raises:
        ValueError: If there are fewer.
    """

    def __init__(self, source: PromptSource, num: int) -> None:
        self.source = source
        self.images = contents_of(source).first.tolist()
        self.shown = told(source, self.images)
        self.indices = [index for index, image in enumerate(self.images) if len(self.shown[image]) == 2][:num]
        if len(self.indices) < num:
            raise ValueError(
                f"Worked.num is {num}, but only {len(self.indices)} prompts show what was asked; lower it."
            )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int, /) -> Prompt:
        prompt = self.source[self.indices[index]]
        shown = self.shown[self.images[self.indices[index]]]
        return replace(prompt, cot=f"shape: {shown['shape']}\ncolor: {shown['color']}\nAnswer: {prompt.answer}")

    def ids(self) -> Sequence[str]:
        """Their ids."""
        return picked(prompt_ids(self.source), self.indices)

    def contents(self) -> Contents:
        """What they show."""
        return contents_of(self.source).take(np.array(self.indices))


def told(source: PromptSource, images: Sequence[int]) -> dict[int, dict[str, str]]:
    """What the answers say of each image: its shape, its colour, or both."""
    shown: dict[int, dict[str, str]] = {image: {} for image in images}
    for index, image in enumerate(images):
        prompt = source[index]
        what = asks(prompt.answer or "")
        if what != "yes/no" and prompt.answer:
            shown[image][what] = prompt.answer
    return shown


def asks(answer: str) -> str:
    """What a question asks for, told by its answer.

    >>> asks("no"), asks("circle"), asks("teal")
    ('yes/no', 'shape', 'color')
    """
    return next((what for what, answers in ASKS.items() if answer in answers), "color")


def summarize_run(out: Path) -> dict[str, Any]:
    """Collect the figures of a finished run.

    Args:
        out: The recipe's run folder.
    """
    found = {policy: read_json(out / folder / "evaluation.json")["test"] for policy, folder in POLICIES.items()}
    return {
        "policies": {policy: {**measured, "asks": by_asks(measured["kinds"])} for policy, measured in found.items()},
        "floor": floors(questions("train"), questions("test")),
        "seconds": seconds(out),
        "cpu_seconds": {policy: cpu_seconds(out / folder) for policy, folder in TRAINED.items()},
    }


def by_asks(kinds: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Greedy accuracy by what is asked for, from that by answer."""
    found: dict[str, dict[str, Any]] = {}
    for what in ("yes/no", "shape", "color"):
        mine = [measured for answer, measured in kinds.items() if asks(answer) == what]
        total = sum(measured["num_prompts"] for measured in mine)
        right = sum(measured["accuracy"] * measured["num_prompts"] for measured in mine)
        found[what] = {"num_prompts": total, "accuracy": right / total, "ci95": wilson_interval(right, total)}
    return found


def questions(split: str) -> list[tuple[str, str]]:
    """All questions of easy-VQA's ``train`` or ``test``, each with its answer."""
    table = Rows(str(DATA / split / "questions.json"), columns=("question", "answer", "image")).open()
    return [(row["question"], row["answer"]) for row in table.texts(["question", "answer"], range(len(table)))]


def floors(train: Sequence[tuple[str, str]], test: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Accuracy in [0, 1] on all test questions without looking at an image.

    ``majority``: the most frequent training answer, whatever is asked; ``by_question``: each question's own.

    >>> floors([("a?", "no"), ("a?", "no"), ("b?", "yes")], [("a?", "no"), ("b?", "yes"), ("c?", "no")])
    {'majority': 0.6666666666666666, 'by_question': 0.6666666666666666}
    """
    answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for question, answer in train:
        answers[question][answer] += 1
    most = sum(answers.values(), Counter[str]()).most_common(1)[0][0]
    guess = {question: found.most_common(1)[0][0] for question, found in answers.items()}
    return {
        "majority": sum(answer == most for _, answer in test) / len(test),
        "by_question": sum(guess.get(question) == answer for question, answer in test) / len(test),
    }


def cpu_seconds(folder: Path) -> float:
    """CPU seconds of a stage, over all attempts."""
    return float(sum(attempt.get("cpu_seconds") or 0.0 for attempt in read_json(folder / "attempts.json")))


def table(summary: Mapping[str, Any]) -> Table:
    """The table that ``make demo-easyvqa`` prints; per cent, greedy accuracy with its 95 % interval."""
    first = next(iter(summary["policies"].values()))
    shown = Table(title=f"easy-VQA, {first['num_prompts']:,} test questions", title_justify="left")
    for column in (
        "policy",
        "greedy accuracy",
        *(f"{name} ({n['num_prompts']:,})" for name, n in first["asks"].items()),
    ):
        shown.add_column(column, justify="left" if column == "policy" else "right")
    for policy, measured in summary["policies"].items():
        shown.add_row(policy, within(measured), *(within(part) for part in measured["asks"].values()))
    return shown


def within(measured: Mapping[str, Any]) -> str:
    """An accuracy with its interval."""
    low, high = measured["ci95"]
    return f"{percent(measured['accuracy'])} [{percent(low)}, {percent(high)}]"


def main() -> None:
    """Print the table and write ``summary.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the recipe's run folder")
    out = parser.parse_args().out
    summary = summarize_run(out)
    write_json(out / "summary.json", summary)
    Console(width=140).print(table(summary))
    accuracy = {policy: measured["accuracy"] for policy, measured in summary["policies"].items()}
    over = {policy: percent(accuracy["evolved"] - accuracy[policy]) for policy in ("control", "warm-up")}
    print(f"evolved: {over['control']} points above the control, {over['warm-up']} above the warm-up")
    print(
        f"without looking: {percent(summary['floor']['majority'])} % by the most frequent answer, "
        f"{percent(summary['floor']['by_question'])} % by each question's most frequent answer"
    )
    print("CPU seconds: " + ", ".join(f"{name} {value:.0f}" for name, value in summary["cpu_seconds"].items()))
    print(f"written to {out / 'summary.json'}")


if __name__ == "__main__":
    main()
