"""Draw the charts of a report by matplotlib: light and dark for the page, and once more for papers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from mstar.report.canvas import DARK, LIGHT, NARROW, Theme, style
from mstar.report.charts import CHARTS, Chart, Drawer
from mstar.report.story import Story

DPI = 200
FONTS = "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"


def draw_for_page(stories: Sequence[Story], folder: Path) -> list[Chart]:
    """Draw every chart there is something to show in, light and dark; give these charts.

    Written are ``<chart>-light.svg`` and ``<chart>-dark.svg``, and of wide ones ``<chart>-light-narrow.svg`` and so on.
    """
    folder.mkdir()
    drawn = []
    for chart, draw in CHARTS:
        if _draw(draw, stories, LIGHT, folder / f"{chart.name}-light.svg") is not None:
            size, narrow = _draw(draw, stories, DARK, folder / f"{chart.name}-dark.svg") or ((0, 0), None)
            drawn.append(replace(chart, size=size, narrow=narrow))
    return drawn


def _draw(
    draw: Drawer, stories: Sequence[Story], theme: Theme, path: Path
) -> tuple[tuple[int, int], tuple[int, int] | None] | None:
    """Draw a chart in one theme; its sizes (`Chart`), or ``None`` if there is nothing to show."""
    with matplotlib.rc_context(style(theme, text=True)):
        figure = draw(stories, theme)
        if figure is None:
            return None
        _write_svg(figure, path)
        small = draw(stories, replace(theme, narrow=True)) if figure.get_figwidth() > NARROW[0] else None
        if small is not None:
            _write_svg(small, path.with_stem(f"{path.stem}-narrow"))
        return pixels(figure), None if small is None else pixels(small)


def pixels(figure: Figure) -> tuple[int, int]:
    """Width and height of a figure on a screen."""
    return round(96 * figure.get_figwidth()), round(96 * figure.get_figheight())


def _write_svg(figure: Figure, path: Path) -> None:
    """As text, in the fonts of the page: matplotlib only names those that are installed where it runs."""
    buffer = StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    path.write_text(buffer.getvalue().replace("'DejaVu Sans'", FONTS), encoding="utf-8")


def draw_for_paper(stories: Sequence[Story], folder: Path) -> list[Path]:
    """Write every chart as PNG and as SVG whose text is drawn, so that it looks the same everywhere."""
    folder.mkdir()
    written = []
    for chart, draw in CHARTS:
        with matplotlib.rc_context(style(LIGHT, text=False)):
            figure = draw(stories, LIGHT)
            if figure is not None:
                for path, more in ((folder / f"{chart.name}.png", {}), (folder / f"{chart.name}.svg", {"Date": None})):
                    figure.savefig(path, dpi=DPI, facecolor="white", metadata=more)
                    written.append(path)
    return written
