"""What the benchmarks of faults and of fuzz count, they count right."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from benchmarks import fuzz
from benchmarks.faults import equal, lost_and_in_flight, moments
from mstar.answers import Judgement
from mstar.types import Prompt


def attempt(*words: str) -> list[list[str]]:
    return [["1", *word.split()] for word in words]


@pytest.mark.parametrize(
    ("attempts", "lost", "in_flight"),
    [
        ([attempt("begun a", "stored a")], 0, 0),
        ([attempt("begun a", "begun b", "stored a"), attempt("begun b", "stored b")], 1, 1),
        ([attempt("begun a", "stored a"), attempt("begun a", "stored a")], 1, 0),  # what was stored was lost
        ([attempt("begun a"), attempt("batch evolve 1"), attempt("begun a")], 1, 1),
        ([attempt("begun a"), attempt("begun a"), attempt("begun a", "stored a")], 2, 2),
    ],
)
def test_groups_lost_are_those_begun_again(attempts: list[list[list[str]]], lost: int, in_flight: int) -> None:
    assert lost_and_in_flight(attempts) == (lost, in_flight)


def test_moments_are_spread_over_the_run() -> None:
    events = [f"event {i}" for i in range(100)]
    chosen = [int(event.split()[1]) for event in moments(events, 10, seed=0)]
    assert chosen == sorted(chosen) and [number // 10 for number in chosen] == list(range(10))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"a": torch.tensor([1.0, 2.0]), "b": [1, "x"]}, True),
        ({"a": torch.tensor([1.0, 2.0 + 2.4e-7]), "b": [1, "x"]}, False),
        ({"a": torch.tensor([1.0, 2.0], dtype=torch.float64), "b": [1, "x"]}, False),
        ({"a": torch.tensor([1.0, 2.0]), "b": [1]}, False),
        ({"a": torch.tensor([1.0, 2.0])}, False),
    ],
)
def test_equal_is_to_the_last_bit(other: object, same: bool) -> None:
    assert equal({"a": torch.tensor([1.0, 2.0]), "b": [1, "x"]}, other) is same


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object]]:
    monkeypatch.setattr(sys, "argv", ["fuzz", "--minutes", "0.01"])
    code = fuzz.main()
    result: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return code, result


def test_fuzz_finds_a_verifier_that_pays_or_breaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def generous(text: str, prompt: Prompt) -> Judgement:
        return Judgement("correct", text, "why not")

    def broken(text: str, prompt: Prompt) -> Judgement:
        raise IndexError(text)

    monkeypatch.setattr(fuzz, "VERIFIERS", {"generous": generous, "broken": broken})
    code, result = run(monkeypatch, capsys)
    assert code == 1 and result["responses"]
    assert result["false_correct"] and result["crashes"] and not result["wrong_steps"] and not result["obeyed"]
