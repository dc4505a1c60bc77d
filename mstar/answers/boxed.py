r"""The content of ``\boxed{…}``, braces matched."""

from __future__ import annotations

import re

BRACE = re.compile(r"(?<!\\)[{}]|\\f?boxed\s*\{")


def last_boxed(text: str) -> str | None:
    r"""Content of the last ``\boxed{…}`` whose braces close; escaped braces do not count.

    >>> last_boxed(r"\boxed{1} or \boxed{a_{2}}")
    'a_{2}'
    """
    if "boxed" not in text:
        return None
    opened: list[tuple[int, bool]] = []
    closed = (-1, -1)
    for brace in BRACE.finditer(text):
        if brace[0] != "}":
            opened.append((brace.end(), brace[0] != "{"))
        elif opened:
            start, boxed = opened.pop()
            closed = max(closed, (start, brace.start())) if boxed else closed
    return text[closed[0] : closed[1]] if closed[0] >= 0 else None
