"""The charts of a report: drawn by matplotlib, light and dark for the page, and once more for papers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mstar.report.story import Fit, Story, k_of
from mstar.report.tally import FATES

START = -1
"""Where the warm-up stands on an axis of iterations."""
DPI = 200
FONTS = "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"
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


@dataclass(frozen=True)
class Chart:
    """A chart and what is said of it."""

    name: str
    """Of its files."""
    title: str
    caption: str
    """May be read without the chart: it is also its alternative text."""
    size: tuple[int, int] = (0, 0)
    """Width and height in pixels, so that a page is laid out before its charts are there; set when it is drawn."""
    narrow: tuple[int, int] | None = None
    """Of the one for narrow screens, which only those have that take the page's width."""


Drawer = Callable[[Sequence[Story], Theme], Figure | None]


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


def told(name: str, story: Story, stories: Sequence[Story]) -> str:
    """A series' name, with its run's where there are two."""
    return name if len(stories) == 1 else f"{story.name}: {name}"


def accuracy(stories: Sequence[Story], theme: Theme) -> Figure | None:
    """Greedy accuracy after each iteration, its interval, and the controls at their best."""
    if not any(story.validations for story in stories):
        return None
    figure, (axes,) = canvas(theme, wide=True)
    for story, colour in zip(stories, theme.runs, strict=False):
        before = [(START, story.start.accuracy)] if story.start else []
        found = [*before, *((v.iteration, v.accuracy) for v in story.validations)]
        at, shares = [x for x, _ in found], [share for _, share in found]
        known = [(x, s.low, s.high) for x, s in found if s.low is not None and s.high is not None]
        if known:
            where, low, high = zip(*known, strict=True)
            axes.fill_between(where, low, high, color=colour, alpha=0.14, linewidth=0)
        axes.plot(at, [s.value for s in shares], "o-", color=colour, ms=4.5, label=told("evolved", story, stories))
        for fit, dash in zip(story.controls, cycle(("--", ":", "-.")), strict=False):
            _level(axes, fit, theme.other if len(stories) == 1 else colour, dash, told(fit.name, story, stories))
    iterations_along(axes, any(story.start for story in stories))
    percent_up(axes, "greedy accuracy")
    legend(axes, theme, 4)
    return figure


def _level(axes: Axes, fit: Fit, colour: str, dash: str, name: str) -> None:
    best = fit.best.accuracy
    axes.axhline(
        best.value, color=colour, linestyle=dash, linewidth=1.5, label=f"{name}, best of {len(fit.validations)}"
    )
    if best.low is not None and best.high is not None:
        axes.axhspan(best.low, best.high, color=colour, alpha=0.09, linewidth=0)


def steps(stories: Sequence[Story], theme: Theme) -> Figure | None:
    """Greedy accuracy by optimizer steps, beside every validation of the controls."""
    if not any(story.validations and story.controls for story in stories):
        return None
    figure, (axes,) = canvas(theme)
    for story, colour in zip(stories, theme.runs, strict=False):
        before = [(story.start.step, story.start.accuracy)] if story.start else []
        found = [*before, *((v.step, v.accuracy) for v in story.validations)]
        axes.plot(
            [x for x, _ in found],
            [s.value for _, s in found],
            "o-",
            color=colour,
            ms=4,
            label=told("evolved", story, stories),
        )
        for fit in story.controls:
            shade = theme.other if len(stories) == 1 else colour
            at, values = [v.step for v in fit.validations], [v.accuracy.value for v in fit.validations]
            axes.plot(at, values, "--", color=shade, linewidth=1.4, label=told(fit.name, story, stories))
    axes.set_xlabel("optimizer steps")
    percent_up(axes, "greedy accuracy")
    legend(axes, theme, 2)
    return figure


def exploration(stories: Sequence[Story], theme: Theme) -> Figure | None:
    """pass@k of each iteration's own rollouts, against greedy accuracy on validation prompts."""
    names = sorted({n for s in stories for i in s.iterations for n in i.measures if n.startswith("pass@")}, key=k_of)
    if not names:
        return None
    chosen = names if len(stories) == 1 else [names[0], names[-1]]
    figure, axes = canvas(theme, len(stories))
    for one, story in zip(axes, stories, strict=True):
        for name, colour in zip(chosen, theme.sequence, strict=False):
            one.plot(*measured(story, name), "o-", color=colour, ms=3, label=name)
        if story.validations:
            at = [v.iteration for v in story.validations]
            one.plot(
                at, [v.accuracy.value for v in story.validations], "--", color=theme.ink, label="greedy, validation"
            )
        _side(one, story, stories)
    percent_up(axes[0], "prompts solved")
    legend(axes[0], theme, 3)
    return figure


def exploitation(stories: Sequence[Story], theme: Theme) -> Figure | None:
    """reward-pass@2, between what two at random and any two would solve."""
    names = ("pass@1", "pass@2", "reward_pass@2")
    if not any("reward_pass@2" in i.measures for s in stories for i in s.iterations):
        return None
    figure, axes = canvas(theme, len(stories))
    for one, story in zip(axes, stories, strict=True):
        for name, colour in zip(names, (theme.other, theme.sequence[1], theme.sequence[0]), strict=True):
            one.plot(*measured(story, name), "o-", color=colour, ms=3, label=name.replace("reward_pass", "reward-pass"))
        _side(one, story, stories)
    percent_up(axes[0], "prompts solved")
    legend(axes[0], theme, 3)
    return figure


def _side(axes: Axes, story: Story, stories: Sequence[Story]) -> None:
    iterations_along(axes)
    if len(stories) > 1:
        axes.text(0.98, 0.04, story.name, transform=axes.transAxes, ha="right", weight="bold")


def measured(story: Story, name: str) -> tuple[list[int], list[float]]:
    """Iterations at which something was measured, and what."""
    found = [(each.number, each.measures[name]) for each in story.iterations if name in each.measures]
    return [x for x, _ in found], [y for _, y in found]


def temperature(stories: Sequence[Story], theme: Theme) -> Figure | None:
    """The temperature of each iteration."""
    if not any(each.temperature is not None for story in stories for each in story.iterations):
        return None
    figure, (axes,) = canvas(theme)
    for story, colour in zip(stories, theme.runs, strict=False):
        found = [(each.number, each.temperature) for each in story.iterations if each.temperature is not None]
        at, values = [x for x, _ in found], [y for _, y in found]
        axes.step(at, values, "o-", where="mid", color=colour, ms=4, label=told("sampled at", story, stories))
    candidates = sorted({t for story in stories for search in story.searches for t, _ in search.scores})
    if 1 < len(candidates) <= 8:
        axes.set_yticks(candidates)
    iterations_along(axes)
    axes.set_ylabel("temperature")
    axes.margins(y=0.2)
    if len(stories) > 1:
        legend(axes, theme, 2)
    return figure


def curves(stories: Sequence[Story], theme: Theme) -> Figure | None:
    """The score of every candidate temperature in each search, the choice ringed."""
    if not any(story.searches for story in stories):
        return None
    figure, axes = canvas(theme, len(stories))
    for one, story in zip(axes, stories, strict=True):
        shades = matplotlib.colormaps["viridis" if theme is LIGHT else "cool"]
        for number, search in enumerate(story.searches):
            colour = shades(0.12 + 0.72 * number / max(1, len(story.searches) - 1))
            one.plot(
                *zip(*search.scores, strict=True),
                "o-",
                color=colour,
                ms=3,
                label=f"before iteration {search.iteration}",
            )
            score = dict(search.scores).get(search.temperature)
            if score is not None:
                one.plot(search.temperature, score, "o", ms=10, mfc="none", mec=colour, mew=1.6)
        one.set_xlabel("temperature")
        if len(stories) > 1:
            one.text(0.98, 0.04, story.name, transform=one.transAxes, ha="right", weight="bold")
        if 0 < len(story.searches) <= 6:
            legend(one, theme, 2)
    percent_up(axes[0], "score")
    return figure


def funnel(stories: Sequence[Story], theme: Theme) -> Figure | None:
    """What became of each iteration's responses, in shares."""
    if not any(each.num_rollouts for story in stories for each in story.iterations):
        return None
    shown = [fate for fate in FATES if any(each.fates.get(fate) for story in stories for each in story.iterations)]
    figure, axes = canvas(theme, len(stories))
    for one, story in zip(axes, stories, strict=True):
        whole = [each for each in story.iterations if each.num_rollouts]
        bottom = [0.0] * len(whole)
        for fate in shown:
            heights = [each.fates.get(fate, 0) / each.num_rollouts for each in whole]
            colour = theme.fates[FATES.index(fate)]
            one.bar([each.number for each in whole], heights, bottom=bottom, color=colour, width=0.8, label=fate)
            bottom = [b + h for b, h in zip(bottom, heights, strict=True)]
        iterations_along(one)
        one.set_ylim(0, 1)
        if len(stories) > 1:
            one.set_xlabel(f"iteration, {story.name}")
    percent_up(axes[0], "responses")
    legend(axes[0], theme, 4)
    return figure


def time(stories: Sequence[Story], theme: Theme) -> Figure | None:
    """Wall time of each iteration by phase."""
    phases = list(dict.fromkeys(phase for s in stories for each in s.iterations for phase in each.seconds))
    if not phases:
        return None
    figure, axes = canvas(theme, len(stories))
    longest = max(sum(each.seconds.values()) for story in stories for each in story.iterations)
    unit, length = next(
        (unit, n) for unit, n in (("hours", 3600), ("minutes", 60), ("seconds", 1)) if longest >= 3 * n or n == 1
    )
    for one, story in zip(axes, stories, strict=True):
        bottom = [0.0] * len(story.iterations)
        for phase, colour in zip(phases, cycle(theme.sequence)):
            heights = [each.seconds.get(phase, 0.0) / length for each in story.iterations]
            one.bar(
                [each.number for each in story.iterations], heights, bottom=bottom, color=colour, width=0.8, label=phase
            )
            bottom = [b + h for b, h in zip(bottom, heights, strict=True)]
        iterations_along(one)
        if len(stories) > 1:
            one.set_xlabel(f"iteration, {story.name}")
    axes[0].set_ylabel(unit)
    legend(axes[0], theme, 2)
    return figure


def kinds(stories: Sequence[Story], theme: Theme) -> Figure | None:
    """Greedy accuracy after each iteration by question type."""
    names = sorted({kind for story in stories for v in story.validations for kind in v.kinds})
    if len(names) < 2:
        return None
    figure, axes = canvas(theme, len(stories))
    for one, story in zip(axes, stories, strict=True):
        for kind, colour in zip(names, cycle(theme.sequence)):
            found = [(v.iteration, v.kinds[kind]) for v in story.validations if kind in v.kinds]
            one.plot([x for x, _ in found], [y for _, y in found], "o-", color=colour, ms=3, label=kind)
        _side(one, story, stories)
    percent_up(axes[0], "greedy accuracy")
    legend(axes[0], theme, 4)
    return figure


CHARTS: tuple[tuple[Chart, Drawer], ...] = (
    (
        Chart(
            "accuracy",
            "Accuracy by iteration",
            "Greedy accuracy on validation prompts after each iteration with its 95 % interval, and the best of each "
            "control.",
        ),
        accuracy,
    ),
    (
        Chart(
            "steps",
            "The same by optimizer steps",
            "Every validation of the evolution and of its controls; steps count the warm-up’s.",
        ),
        steps,
    ),
    (
        Chart(
            "exploration",
            "Exploration",
            "pass@k of each iteration’s own rollouts, on the prompts it walked, against greedy accuracy on validation "
            "prompts.",
        ),
        exploration,
    ),
    (
        Chart(
            "exploitation",
            "Exploitation",
            "reward-pass@2: prompts with a right answer among the two that the reward prefers. pass@2 is two at "
            "random, pass@1 one.",
        ),
        exploitation,
    ),
    (
        Chart(
            "funnel",
            "What became of the responses",
            "Share of each iteration’s responses that were kept, right but not kept, wrong, or could not be judged.",
        ),
        funnel,
    ),
    (Chart("temperature", "Temperature", "The temperature each iteration sampled at."), temperature),
    (
        Chart(
            "curves",
            "The curve behind each choice",
            "Score of every candidate temperature on held-out prompts, by search; the chosen one is ringed.",
        ),
        curves,
    ),
    (
        Chart(
            "kinds",
            "Accuracy by question type",
            "Greedy accuracy on validation prompts after each iteration, by question type.",
        ),
        kinds,
    ),
    (
        Chart(
            "time",
            "Time by phase",
            "Wall time of each iteration. Training and validation: from the iteration’s first log entry to its last.",
        ),
        time,
    ),
)
