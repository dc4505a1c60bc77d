"""Text as it is compared: without the marks that LaTeX and Markdown put around an answer."""

from __future__ import annotations

import re

DRESSED = re.compile(r"[\\$*`~\u00a0\u2000-\u2013\u2212\u221a\u3000-\u303f\uff00-\uffef]")
FULL_WIDTH = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys([0x00A0, *range(0x2000, 0x200A), 0x3000], " "),
    0x200B: None,  # zero-width space
    **dict.fromkeys([0x2010, 0x2011, 0x2013, 0x2212], "-"),  # hyphens, the en dash and the minus
    0x3002: ".",
    0x3001: ",",
}
WORDS = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|boldsymbol)\s{0,9}\{((?:[^{}]|\{[^{}]{0,999}\}){0,999})\}"
)
FRACTION = r"\\[dtc]?frac\s{0,3}\{\s{0,3}(\d{1,60})\s{0,3}\}\s{0,3}\{\s{0,3}(\d{1,60})\s{0,3}\}"
NESTED = 3
"""Times that ``\\text`` and its like are taken off, the outermost first: deeper ones stay."""
MARKS = (
    (re.compile(r"\^?\s{0,3}\{?\s{0,3}\\circ\b\s{0,3}\}?|\\degree\b|\\textdegree\b"), "°"),
    (re.compile(r"\\(?:left|right|big|Big|displaystyle|limits|quad|qquad)(?![a-zA-Z])"), ""),
    (re.compile(r"\\(?:[()\[\],;:! ]|\\)|~|\*\*|`|(?<!\w)\*(?=\S)|(?<=\S)\*(?!\w)|\\?\$"), " "),
    (re.compile(r"\\[dtc]?frac\s{0,3}(\d)\s{0,3}(\d)(?!\d)"), r"\1/\2"),
    (re.compile(rf"(?<=\d)\s{{0,3}}{FRACTION}"), r" \1/\2"),
    (re.compile(FRACTION.replace(r"(\d", r"(-?\d", 1)), r"\1/\2"),
    (re.compile(r"(?:\\sqrt|√)\s{0,3}\{\s{0,3}(\w{1,60})\s{0,3}\}|\\sqrt\s{0,3}(\w)"), r"√\1\2"),
    (re.compile(r"\\(?:times|cdot)(?![a-zA-Z])"), "×"),
    (re.compile(r"\\pi(?![a-zA-Z])"), "π"),
    (re.compile(r"\\(?:approx|simeq)(?![a-zA-Z])"), "≈"),
    (re.compile(r"\\([%{}#&])"), r"\1"),
)
QUOTES = "\"'“”‘’ "


def plain(text: str) -> str:
    r"""Leave out dollar signs, bold marks and ``\text``; write degrees as °, π as π, simple fractions with a slash.

    Full-width characters become narrow ones and the unicode minus a hyphen. What is not known stays as it is.

    >>> plain(r"$\text{B}$"), plain("**70**"), plain(r"13^\circ"), plain(r"1\frac{1}{2}"), plain("（Ｂ）")
    ('B', '70', '13°', '1 1/2', '(B)')
    """
    if not DRESSED.search(text):
        return text.strip()
    text = text.translate(FULL_WIDTH)
    for _ in range(NESTED):
        text = WORDS.sub(r"\1", text)
    for mark, instead in MARKS:
        text = mark.sub(instead, text)
    return text.strip()


def normalized(text: str) -> str:
    """Text as it is compared: case, spaces, surrounding quotes and a final full stop do not count either.

    >>> normalized(' "Yes." ')
    'yes'
    """
    return " ".join(plain(text).casefold().split()).strip(QUOTES).removesuffix(".").strip(QUOTES)


def yes_or_no(text: str) -> str | None:
    """``yes`` or ``no`` if the text says one and, behind a comma or full stop, at most explains it.

    >>> yes_or_no("No, Alaska has less."), yes_or_no("yes"), yes_or_no("no idea")
    ('no', 'yes', None)
    """
    said = re.match(r"(yes|no)\b\s*(?:[,.;:!]|$)", normalized(text))
    return said.group(1) if said else None
