"""Rows of JSONL and Parquet files, gzip-compressed or not, each with the words that say where it stands."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class GradeError(ValueError):
    """What is wrong with the input, and where."""


def rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every row with its place ("answers.jsonl, line 3"); blank lines are passed over.

    Args:
        path: A ``.jsonl`` or ``.parquet`` file, or one of them with ``.gz`` behind it.

    Raises:
        GradeError: If the file is not there, is of another kind, or a line is no JSON object.
    """
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind not in ("jsonl", "parquet"):
        raise GradeError(f"{path}: give a .jsonl or .parquet file, with .gz behind it if it is compressed")
    content = _content(path)
    return _parquet_rows(path, content) if kind == "parquet" else _json_rows(path, content)


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise GradeError(f"{path}: there is no such file")
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.name.endswith(".gz") else content
    except (OSError, EOFError, zlib.error) as error:
        raise GradeError(f"{path}: cannot be read ({error})") from error


def _json_rows(path: Path, content: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(io.BytesIO(content), 1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:  # of JSON, or of UTF-8
            raise GradeError(f"{place}: not JSON ({error}); give one object a line") from error
        if not isinstance(row, dict):
            raise GradeError(f"{place}: {line.decode().strip()[:40]} is not an object; give one object a line")
        yield place, row


def _parquet_rows(path: Path, content: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa  # only where it is needed: JSONL is graded without the wait
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content))
    except pa.ArrowInvalid as error:
        raise GradeError(f"{path}: not a Parquet file ({error})") from error
    for number, row in enumerate(table.to_pylist()):
        yield f"{path}, row {number}", row
