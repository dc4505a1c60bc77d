"""The charts of a report, a function each, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mstar.report.canvas import LIGHT, START, Theme, canvas, iterations_along, legend, percent_up
from mstar.report.story import Fit, Story, k_of
from mstar.report.tally import FATES


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
