"""How charts look: colours, matplotlib's settings, axes and legends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

START = -1
"""Where the warm-up stands on an axis of iterations."""
NARROW, WIDE = (4.6, 2.6), (9.6, 3.0)
"""Width and height of a chart that stands beside another, and of one that has the page's width; inches."""


@dataclass(frozen=True)
class Theme:
    """Colours."""

    name: str
    ink: str
    muted: str
    grid: str
    runs: tuple[str, ...]
    """Of the first run and the second."""
    other: str
    """Of what a run is held against."""
    sequence: tuple[str, ...]
    """Of series, one after the other."""
    fates: tuple[str, ...]
    """Of `FATES`."""
    narrow: bool = False
    """Whether the chart is for a narrow screen."""


LIGHT = Theme(
    "light", "#1f2328", "#656d76", "#e4e7eb", ("#2563eb", "#d9480f"), "#8a919c",
    ("#2563eb", "#0d9488", "#d97706", "#9333ea", "#db2777", "#4d7c0f", "#0891b2", "#6b7280"),
    ("#15803d", "#a16207", "#86c79b", "#e58b86", "#f0c3bf", "#a5abb4", "#d3d7dd"),
)  # fmt: skip
DARK = Theme(
    "dark", "#e6e9ee", "#9aa4b2", "#2c323b", ("#6ea8fe", "#ff9f6b"), "#7d8794",
    ("#6ea8fe", "#2dd4bf", "#fbbf24", "#c084fc", "#f472b6", "#a3e635", "#22d3ee", "#9ca3af"),
    ("#3fb46a", "#c9952f", "#2d6b45", "#b0504f", "#6d3a3b", "#59626e", "#3a414b"),
)  # fmt: skip


def style(theme: Theme, text: bool) -> Any:
    """Matplotlib's settings.

    Args:
        theme: Colours.
        text: Keep text as text, set in the reader's own font.
    """
    return {
        "svg.fonttype": "none" if text else "path",
        "svg.hashsalt": "mstar",  # ids are the same each time
        "font.family": "DejaVu Sans",
        "font.size": 8.5,
        "text.color": theme.ink,
        "text.parse_math": False,  # names of kinds and rewards are no formulas
        "axes.labelcolor": theme.muted,
        "axes.edgecolor": theme.grid,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "grid.color": theme.grid,
        "grid.linewidth": 0.8,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "lines.linewidth": 1.8,
        "lines.solid_capstyle": "round",
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
    }


def canvas(theme: Theme, panels: int = 1, wide: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure with axes beside each other, or below each other where the screen is narrow."""
    if theme.narrow:
        figure = Figure(figsize=(NARROW[0], NARROW[1] * panels))
        return figure, list(figure.subplots(panels, 1, squeeze=False, sharey=True)[:, 0])
    figure = Figure(figsize=WIDE if wide or panels > 1 else NARROW)
    return figure, list(figure.subplots(1, panels, squeeze=False, sharey=True)[0])


def iterations_along(axes: Axes, start: bool = False) -> None:
    """Whole iterations below; the warm-up, if it is shown, before the first."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], nbins=12))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda x, _: "warm-up" if start and x == START else f"{x:g}" if x >= 0 else "")
    )
    axes.set_xlabel("iteration")


def percent_up(axes: Axes, label: str) -> None:
    """Shares as per cent."""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g}"))
    axes.set_ylabel(f"{label}, %")


def legend(axes: Axes, theme: Theme, columns: int = 3) -> None:
    """Names above the chart, where they hide nothing."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=min(columns, 2) if theme.narrow else columns,
        borderaxespad=0.2,
        handlelength=1.4,
        columnspacing=1.2,
    )
