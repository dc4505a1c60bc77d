"""Find the line of a JSON file that ``datasets`` stumbled over: its own errors do not say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

WHOLE = "Mend the file"


def explain(path: Path) -> str:
    """Say in words which line of a file of JSON lines cannot be read, or does not fit to those above it."""
    if path.stat().st_size == 0:
        return f"{path} is empty. Fetch it again."
    if path.suffix == ".json":
        return _explain_whole(path)
    with path.open("rb") as lines:
        return _explain_lines(path, lines)


def _explain_lines(path: Path, lines: Iterable[bytes]) -> str:
    kinds: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:  # also what is not UTF-8
            return f"{path}, line {number}: this is not JSON ({error}). {WHOLE}: one object a line."
        if not isinstance(row, dict):
            return f"{path}, line {number}: this is {_kind(row)}, not an object. {WHOLE}: one object a line."
        for name, value in row.items():
            found = _kind(value)
            before, first = kinds.setdefault(name, (found, number)) if found else (found, number)
            if before != found:
                return (
                    f"{path}, line {number}: {name!r} is {found} and was {before} in line {first}; a column has one "
                    f"type. {WHOLE}, for instance by writing it as text everywhere."
                )
    return f"{path} holds no rows that fit together. Fetch it again."


def _explain_whole(path: Path) -> str:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        return f"{path}, line {error.lineno}: this is not JSON ({error.msg}). {WHOLE}."
    except UnicodeDecodeError as error:
        return f"{path} is not UTF-8 ({error}). {WHOLE}."
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        return f"{path} is not a list of objects. {WHOLE}."
    return f"{path} cannot be read"


def _kind(value: Any) -> str:
    """What JSON calls a value; nothing for null, which fits everywhere, and one word for all numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"
