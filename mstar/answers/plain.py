"""Text as it is compared: without the marks that LaTeX and Markdown put around an answer."""

from __future__ import annotations

import re

MARKS = (
    (re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\[dt]?frac\s*\{(\d+)\}\s*\{(\d+)\}"), r"\1/\2"),
    (re.compile(r"\^?\s*\\circ\b|\^\{\s*\\circ\s*\}|\\degree\b"), "°"),
    (re.compile(r"\\[()\[\],;!]|\*\*|\\?\$"), ""),
    (re.compile(r"\\%"), "%"),
    (re.compile("\u2212"), "-"),
)


def plain(text: str) -> str:
    r"""Leave out dollar signs, bold marks and ``\text``, write degrees as ° and the unicode minus as -.

    >>> plain(r"$\text{B}$"), plain("**70**"), plain(r"13^\circ"), plain(r"\frac{1}{2}")
    ('B', '70', '13°', '1/2')
    """
    for mark, instead in MARKS:
        text = mark.sub(instead, text)
    return text.strip()


def normalized(text: str) -> str:
    """Text as it is compared: case, spaces, surrounding quotes and a final full stop do not count either.

    >>> normalized(' "Yes." ')
    'yes'
    """
    quotes = "\"'`“”‘’ "
    return " ".join(plain(text).casefold().split()).strip(quotes).removesuffix(".").strip(quotes)


def yes_or_no(text: str) -> str | None:
    """``yes`` or ``no`` if the text says one and, behind a comma or full stop, at most explains it.

    >>> yes_or_no("No, Alaska has less."), yes_or_no("yes"), yes_or_no("no idea")
    ('no', 'yes', None)
    """
    said = re.match(r"(yes|no)\b\s*(?:[,.;:!]|$)", normalized(text))
    return said.group(1) if said else None
