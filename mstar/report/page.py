"""The page: the story as HTML, everything from a run escaped by Jinja."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from mstar import __version__
from mstar.report.charts import Chart
from mstar.report.story import Share, Story
from mstar.report.tally import FATES


def render(stories: Sequence[Story], charts: Sequence[Chart]) -> str:
    """The report's ``index.html``.

    Args:
        stories: One, or two to be told side by side.
        charts: Those that were drawn.
    """
    environment = Environment(
        loader=PackageLoader("mstar.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "share": share, "duration": duration, "count": count, "points": points}
    written = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    template = environment.get_template("report.html.j2")
    return template.render(stories=stories, charts=charts, fates=FATES, version=__version__, written=written)


def percent(value: float | None) -> str:
    """A share as per cent with one decimal.

    >>> percent(0.4567), percent(None)
    ('45.7', '–')
    """
    return "–" if value is None else f"{100 * value:.1f}"


def share(measured: Share) -> str:
    """A share with its interval, per cent.

    >>> share(Share(0.5, 0.4038, 0.5962))
    '50.0 [40.4, 59.6]'
    """
    interval = "" if measured.low is None else f" [{percent(measured.low)}, {percent(measured.high)}]"
    return percent(measured.value) + interval


def points(value: float) -> str:
    """A difference of shares in points, with its sign.

    >>> points(0.265), points(-0.1)
    ('+26.5', '−10.0')
    """
    return f"{'−' if value < 0 else '+'}{abs(100 * value):.1f}"


def duration(seconds: float) -> str:
    """Time as people say it.

    >>> [duration(seconds) for seconds in (4.21, 75, 7320)]
    ['4.2 s', '1 min 15 s', '2 h 2 min']
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def count(number: int) -> str:
    """A count with its thousands apart.

    >>> count(32000)
    '32,000'
    """
    return f"{number:,}"
