"""Chromium for tests that look at a report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mstar.report.find import find_run
from mstar.report.screenshot import chromium, find_chromium
from mstar.report.site import write_report
from tests.report.runs import make_recipe

SHOWN = Path(__file__).parents[2] / "docs" / "report.png"
FILLED = "document.body.dataset.ready !== undefined && document.querySelector('#group .card') !== null"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--picture-of RUN``: take docs/report.png anew (make picture)."""
    parser.addoption("--picture-of", type=Path, metavar="RUN", help="take docs/report.png of this run's report")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One for all tests; skips them where there is none."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    if find_chromium() is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe's report; its prompt 1 and the responses to it are an attack."""
    folder = tmp_path_factory.mktemp("report")
    write_report([find_run(make_recipe(folder / "recipe"))], folder / "out")
    return folder / "out"


class Page:
    """A tab with a report in it.

    Args:
        browser: Chromium.
        report: The report's folder.
        colour_scheme: The system's.
    """

    def __init__(self, browser: Any, report: Path, colour_scheme: str = "light") -> None:
        self.tab = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=colour_scheme)
        self.report = report
        self.complaints: list[str] = []
        """What the page wrote to its console, errors and refusals by its content security policy."""
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, address: str = "") -> Page:
        """Load the report anew, as from a link."""
        self.tab.goto("about:blank")
        self.tab.goto(f"{(self.report / 'index.html').as_uri()}{address}")
        self.tab.wait_for_function(FILLED)
        return self

    def choose(self, control: str, option: str) -> None:
        """Set a filter."""
        self.tab.select_option(f"#{control}", label=option)

    def text(self, selector: str) -> str:
        """Of the first element."""
        return str(self.tab.text_content(selector))

    def wait(self, selector: str, text: str) -> None:
        """Until an element has exactly this text."""
        self.tab.wait_for_function("([s, t]) => document.querySelector(s)?.textContent === t", arg=[selector, text])


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Page]:
    """The report, opened; nothing may be complained of in the end."""
    opened = Page(browser, report).open()
    yield opened
    assert opened.complaints == []
    opened.tab.close()
