"""The table shows every figure, however wide the terminal is."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from mstar.callbacks.benchmark_table import show

SHARE = {"value": 1.0, "n": 6, "low": 0.6097, "high": 1.0}
ROW = {
    "greedy": {"accuracy": SHARE, "no_answer": SHARE, "truncated": SHARE, "tokens": {"value": 123.4, "n": 6}},
    "sampled": {f"{metric}@{k}": SHARE for metric in ("pass", "reward_pass") for k in (1, 2, 4, 8)},
}
SETTINGS = {"model": "org/vlm", "ckpt_path": None, "policy": "1a18", "sampled": {"num_responses": 8, "temperature": 1}}
RESULT: dict[str, Any] = {
    "benchmarks": {"mathvista": {"rows": {"all": ROW, "FQA": ROW}, "seconds": 61.2}},
    "mean": 1.0,
    "settings": SETTINGS,
}


@pytest.mark.parametrize(("width", "terminal"), [(60, True), (150, True), (300, True), (80, False)])
def test_no_figure_is_cut_off(width: int, terminal: bool) -> None:
    console = Console(file=StringIO(), width=width, force_terminal=terminal, no_color=True)
    show(RESULT, console)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert "…" not in text
    assert text.count("[61.0, 100.0]") == 9 * 2 and text.count("100.0") == (9 + 9 + 2) * 2
    assert "reward-pass@8" in text and " 123 " in text and " 61 " in text
    assert "org/vlm (weights 1a18)" in text and "8 at temperature 1" in text


def test_intervals_stand_beside_their_values_where_there_is_room() -> None:
    for width, beside in ((150, False), (300, True)):
        console = Console(file=StringIO(), width=width, force_terminal=True, no_color=True)
        show(RESULT, console)
        assert isinstance(console.file, StringIO)
        assert ("100.0 [61.0, 100.0]" in console.file.getvalue()) == beside


def test_several_benchmarks_end_in_their_mean() -> None:
    console = Console(file=StringIO())
    greedy = {"rows": {"all": {"greedy": ROW["greedy"]}}, "seconds": 1.0}
    show({"benchmarks": {"a": greedy, "b": greedy}, "mean": 0.123, "settings": {**SETTINGS, "sampled": None}}, console)
    assert isinstance(console.file, StringIO)
    assert "12.3" in console.file.getvalue() and "pass" not in console.file.getvalue()
