"""Data as scripts: pages opened from disk may load scripts, but read no files."""

from __future__ import annotations

import json
from typing import Any

ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}
"""What could end a script or begin markup, should the data ever be put into a page; ASCII covers U+2028 and U+2029."""


def call(function: str, *values: Any) -> str:
    r"""A script that hands values to a function of ours: JSON in ASCII, nothing in it that HTML could read.

    Raises:
        ValueError: If a value is not-a-number or infinite, which JSON has no word for.

    >>> call("report.receive", 3, {"text": "</script>\u2028"})
    'report.receive(3,{"text":"\\u003c/script\\u003e\\u2028"});\n'
    """
    written = (json.dumps(value, allow_nan=False, separators=(",", ":")).translate(ESCAPES) for value in values)
    return f"{function}({','.join(written)});\n"
