"""What a model wrote, made safe to print: a terminal obeys some characters and hides or turns others."""

from __future__ import annotations

import unicodedata

OBEYED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories shown by their code: controls, marks of direction, halves of characters, line separators."""


def printable(text: str, keep: str = "\n\t") -> str:
    r"""The text with everything a terminal would obey written out; a program reads back the same text.

    >>> print(printable("red \x1b[31m, turned \u202e, plain ü 漢\n"), end="")
    red \x1b[31m, turned \u202e, plain ü 漢
    """
    return "".join(c if c in keep or unicodedata.category(c) not in OBEYED else _code(c) for c in text)


def _code(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
