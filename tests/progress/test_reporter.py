"""Phases within phases, time by phase, and where it is shown: lines, a bar, nothing."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from mstar.callbacks.progress import display
from mstar.progress import Reporter
from mstar.progress.display import Bar, Lines, Off
from tests.groups import make_group


def lines(every: float = 30.0, shortest: float = 0.0, suffix: str = "") -> tuple[Reporter, list[str]]:
    written: list[str] = []
    return Reporter(Lines(every, shortest, written.append, suffix)), written


def test_a_phase_that_is_over_has_one_line_however_many_groups_it_had() -> None:
    reporter, written = lines()
    with reporter.phase("rollout", 100) as phase:
        for number in range(100):
            phase.add_groups([make_group(str(number), "+-")])
    (line,) = written
    assert line.startswith("rollout 100/100 groups in 0:00, ") and line.endswith("50 % right\n")


def test_a_phase_within_another_is_shown_beside_it_and_its_time_is_the_outer_ones() -> None:
    reporter, written = lines(every=0.001)
    with reporter.phase("temperature search", 20) as search:
        with reporter.phase("rollout", 10) as phase:
            phase.add(1)
            time.sleep(0.01)
            phase.add(0)
        search.add(20)
    assert any(line.startswith("temperature search 0/20 groups (0 %) | rollout 1/10 groups (10 %)") for line in written)
    assert written[-1].startswith("temperature search 20/20 groups in")
    assert set(reporter.seconds) == {"temperature search"} and reporter.seconds["temperature search"] >= 0.01


def test_a_phase_entered_again_goes_on_and_one_that_is_told_where_it_stands_does_not() -> None:
    reporter, written = lines()
    for _ in range(2):
        with reporter.phase("measuring val", 10) as phase:
            phase.add(5)
    with reporter.phase("rollout", 10, done=7) as phase:
        assert (phase.tally.done, phase.tally.new) == (7, 0)
        phase.add(3)
    assert [line.split(",")[0] for line in written] == [
        "measuring val 10/10 groups in 0:00\n",
        "rollout 10/10 groups in 0:00\n",
    ]


def test_a_phase_that_breaks_off_is_not_said_to_be_over() -> None:
    reporter, written = lines()
    with pytest.raises(ZeroDivisionError), reporter.phase("rollout", 10):
        raise ZeroDivisionError
    assert written == []
    with reporter.phase("scoring", 1) as phase:
        phase.add(1)
    assert [line.split()[0] for line in written] == ["scoring"]


def test_a_phase_in_which_nothing_gets_done_says_that_it_is_alive() -> None:
    reporter, written = lines(every=0.02)
    with reporter.phase("rollout", 10):
        deadline = time.monotonic() + 5
        while not written and time.monotonic() < deadline:
            time.sleep(0.01)
    assert written[0] == "rollout 0/10 groups (0 %)\n"


def test_so_does_one_that_begins_as_another_ends() -> None:
    reporter, written = lines(every=0.02)
    with reporter.phase("scoring", 1) as phase:
        time.sleep(0.005)  # its thread waits now, and is still alive for a moment when it is told to end
        phase.add(1)
    written.clear()
    with reporter.phase("rollout", 10):
        deadline = time.monotonic() + 5
        while not written and time.monotonic() < deadline:
            time.sleep(0.005)
        assert written


def test_lines_say_whose_they_are() -> None:
    reporter, written = lines(suffix=" [rank 0 of 2]")
    with reporter.phase("rollout", 1) as phase:
        phase.add(1)
    assert written[0].endswith(" [rank 0 of 2]\n")


def test_a_terminal_has_one_bar_and_a_line_for_what_is_over() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    reporter = Reporter(Bar(console))
    with reporter.phase("rollout", 4) as phase, reporter.phase("judging [bold]", 2):
        phase.add(4)
    text = out.getvalue()
    assert "rollout 0/4 groups (0 %) | judging [bold] 0/2" in text
    assert "rollout 4/4 groups in 0:00" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is back


def test_who_is_not_asked_for_shows_nothing() -> None:
    assert isinstance(display("off", 30.0, ""), Off)
    assert isinstance(display("auto", 30.0, ""), Lines)  # a test's standard error is no terminal
    assert isinstance(display("bar", 30.0, ""), Bar)


def test_seconds_between_lines_are_above_none() -> None:
    with pytest.raises(ValueError, match=r"Progress\.every is 0"):
        Lines(0)


def test_a_group_costs_next_to_nothing(tmp_path: Path) -> None:
    """Measured at 5 µs; a group takes milliseconds at the very least."""
    reporter = Reporter(Lines())
    group = make_group("a", "+" * 8)
    began = time.perf_counter()
    with reporter.phase("rollout", 2000) as phase:
        for _ in range(2000):
            phase.add_groups([group])
    assert time.perf_counter() - began < 1.0
