"""A picture of a report's first screen, taken by Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mstar.files import write_atomically

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--headless",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREEN = (1280, 800)
"""Width and height in pixels."""


def find_chromium() -> str | None:
    """Where Chromium is; ``None`` if it is not installed."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium without a window.

    Raises:
        RuntimeError: If it, or playwright, is not installed, or does not start; the message says what to do.
    """
    path = find_chromium()
    if path is None:
        raise RuntimeError("There is no Chromium to take a picture with. Install it: apt-get install chromium")
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise RuntimeError(
            "Playwright, which drives Chromium, is missing. Install it: pip install playwright"
        ) from error
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        except Error as error:
            raise RuntimeError(f"{path} does not start; try it by hand. It said: {error.message}") from error
        try:
            yield browser
        finally:
            browser.close()


def take(page: Path, out: Path) -> None:
    """Write the first screen of a page as PNG.

    Args:
        page: An HTML file.
        out: The picture; its folder must exist.

    Raises:
        RuntimeError: If Chromium is missing, or cannot open the page.
    """
    with chromium() as browser:
        from playwright.sync_api import Error

        try:
            tab = browser.new_page(color_scheme="light")
            tab.goto(page.resolve().as_uri())
            screenshot(tab, out)
        except Error as error:
            raise RuntimeError(f"Chromium cannot take a picture of {page}: {error.message}") from error


def screenshot(tab: Page, out: Path) -> None:
    """Write what a tab shows first, in the size of docs/report.png."""
    tab.set_viewport_size({"width": SCREEN[0], "height": SCREEN[1]})
    tab.wait_for_load_state("load")
    write_atomically(out, tab.screenshot())
