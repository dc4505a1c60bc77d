"""Expressions: decided at once where that is possible, else by math-verify in a worker that can be killed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mstar.answers import verify
from mstar.answers.symbolic import expression
from mstar.answers.symbolic.expression import same_expression
from mstar.answers.symbolic.pool import WorkerError, WorkerPool
from mstar.types import Prompt

HARD = "9^{9^{9^9}}"


class NoPool:
    def verify(self, gold: str, answer: str) -> bool | None:
        raise AssertionError(f"{gold!r} and {answer!r} need no worker")


@pytest.mark.parametrize(
    ("answer", "reference", "same"),
    [
        ("5", "5.0", True),
        ("-5", "5", False),
        (r"\frac{1}{2}", "0.5", True),
        (r"x^2 + 1", "x^2+1", True),
        (r"\left(1, 2\right)", "(1,2)", True),
        ("4π", r"4\pi", True),
    ],
)
def test_what_is_plain_needs_no_worker(
    answer: str, reference: str, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expression, "POOL", NoPool())
    assert same_expression(answer, reference) is same


@pytest.mark.parametrize(
    ("answer", "reference", "same"),
    [
        (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}", True),
        (r"2\sqrt{3}", r"\sqrt{12}", True),
        (r"2\sqrt{3}", r"\sqrt{13}", False),
        ("1+x", "x+1", True),
        ("(x+1)^2", "x^2+2x+1", True),
        ("x-1", "x+1", False),
        (r"\frac{1}{2}", r"\frac{1}{3}", False),
        ("{2,1}", "{1,2}", True),
        ("x=5", "5", True),
        ("12.566", r"4\pi", False),
        ("", "x+1", False),
        ("5", "{", None),
    ],
)
def test_expressions_are_equal_as_mathematics(answer: str, reference: str, same: bool | None) -> None:
    assert same_expression(answer, reference) is same


def test_the_gold_comes_first() -> None:
    """math-verify takes an interval for a gold inequality, and no inequality for a gold interval."""
    assert same_expression("(1,2)", "1<x<2") is True
    assert same_expression("1<x<2", "(1,2)") is False


@pytest.mark.parametrize("pool", [WorkerPool(seconds=0.5)])
def test_a_worker_over_its_time_is_killed_and_the_next_question_is_answered(pool: WorkerPool) -> None:
    with pytest.raises(WorkerError, match=r"took more than 0\.5 s"):
        pool.verify("3", HARD)
    assert pool.verify("x+1", "1+x") is True
    pool.close()


def test_a_limit_works_off_the_main_thread() -> None:
    pool, said = WorkerPool(seconds=0.5), list[str]()

    def ask() -> None:
        try:
            pool.verify("3", HARD)
        except WorkerError as error:
            said.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert len(said) == 1 and "took more than" in said[0]
    pool.close()


def test_threads_share_the_workers() -> None:
    pool, said = WorkerPool(size=1), list[bool | None]()
    threads = [threading.Thread(target=lambda: said.append(pool.verify("x+1", "1+x"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [True] * 4
    pool.close()


def test_too_much_memory_is_no_verdict() -> None:
    pool = WorkerPool(megabytes=64)  # less than the libraries hold already: there is no room for more
    with pytest.raises(WorkerError, match="memory"):
        pool.verify("3", "1" * 50_000_000)
    pool.close()


def test_a_comparison_without_an_end_is_unscorable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expression, "POOL", WorkerPool(seconds=0.5))
    expression._asked.cache_clear()
    judged = verify(f"Answer: {HARD}", Prompt("p", "?", answer="x+3", meta={"answer_type": "expression"}))
    assert judged.verdict == "unscorable"
    assert "took more than" in judged.reason
    expression.POOL.close()


def test_no_worker_outlives_its_parent() -> None:
    program = """
from mstar.answers.symbolic.expression import POOL
assert POOL.verify("x+1", "1+x")
print(POOL._free[0].process.pid)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    deadline = time.monotonic() + 10
    while (alive := Path(f"/proc/{int(run.stdout)}").exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive
