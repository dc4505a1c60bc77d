"""The report of 100,000 rollouts opens and filters at once."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest

from mstar.report.find import find_run
from mstar.report.site import write_report
from tests.report.conftest import Page
from tests.report.runs import make_run

PAINT, FILTER = 2000.0, 300.0
"""Milliseconds on idle cores, of the fastest of several tries; ten times as many where other work takes all cores."""
FILTERS = (
    ("outcome", "0"),
    ("decision", "0"),
    ("iteration", "2"),
    ("iteration", ""),
    ("min", "0.9"),
    ("query", "number 31"),
    ("query", ""),
    ("sort", "hard"),
)
MEASURE = """async (filters) => {
  const times = [];
  for (const [id, value] of filters) {
    const begin = performance.now();
    document.getElementById(id).value = value;
    document.getElementById(id).dispatchEvent(new Event("input"));
    await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
    times.push(performance.now() - begin);
  }
  return times;
}"""


@pytest.fixture(scope="module")
def large(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("large")
    run = find_run(make_run(folder / "run", iterations=4, num=3125, n=8, evil=False))
    began = time.process_time()
    write_report([run], folder / "out")
    size = sum(file.stat().st_size for file in (folder / "out").rglob("*") if file.is_file())
    print(f"\n100,000 rollouts: written in {time.process_time() - began:.1f} s of CPU, {size / 1e6:.0f} MB")
    page = Page(browser, folder / "out")
    yield page
    page.tab.close()


def test_first_paint_does_not_wait_for_all_rollouts(large: Page, capsys: pytest.CaptureFixture[str]) -> None:
    paints, ready = [], []
    for _ in range(3):
        large.open()
        paints.append(large.tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        ready.append(large.tab.evaluate("performance.getEntriesByName('ready')[0].startTime"))
    with capsys.disabled():
        print(f"\n100,000 rollouts: first paint {told(paints)}; list of all prompts {told(ready)}")
    assert large.text("#count") == "12,500 of 12,500 groups · 100,000 responses"
    assert min(paints) < PAINT * crowding()


def test_filters_do_not_walk_all_pages(large: Page, capsys: pytest.CaptureFixture[str]) -> None:
    large.open()
    tries = [large.tab.evaluate(MEASURE, [list(each) for each in FILTERS]) for _ in range(5)]
    times = [min(each) for each in zip(*tries, strict=True)]
    named = ", ".join(f"{name}={value or 'any'} {t:.0f}" for (name, value), t in zip(FILTERS, times, strict=True))
    with capsys.disabled():
        print(f"\n100,000 rollouts: a filter {told(times)} ({named})")
    assert max(times) < FILTER * crowding()
    assert re.match(r"[1-9][\d,]* of 12,500 groups", large.text("#count"))


def test_only_pages_that_are_read_are_loaded(large: Page) -> None:
    large.open("#prompt=p%2F3000&at=3")
    assert large.text("#group h3") == "p/3000"
    loaded = "performance.getEntriesByType('resource').filter((e) => e.name.includes('/data/page-')).length"
    assert large.tab.evaluate(loaded) <= 2 < len(list((large.report / "data").iterdir())) - 1
    assert large.tab.locator(".row").count() < 40


def crowding() -> int:
    """What limits are multiplied by."""
    return 1 if os.getloadavg()[0] <= (os.cpu_count() or 1) else 10


def told(times: list[float]) -> str:
    """Median and range."""
    return f"{median(times):.0f} ms (median of {len(times)}, {min(times):.0f} to {max(times):.0f})"
