"""JSON read once, a record at a time: on disk as Arrow from then on, memory-mapped, each record with its line."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import datasets
import pyarrow as pa

from mstar.files import read_json, replacing, write_json

SCHEMA = pa.schema({"record": pa.string(), "line": pa.int64()})
BATCH = 10_000  # records written at once: opening a file touches the beginning of every batch
CHUNK = 1 << 20  # characters read at once
VERSION = 3  # of what is kept on disk
MEND = "Mend the file"
BETWEEN = re.compile(r"\s*,?\s*")
COLON = re.compile(r"\s*:\s*")
CLOSING = {"[": "]", "{": "}"}
DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Record:
    """A record as it is written."""

    text: str
    line: int
    """In its file, from 1."""
    value: Any


def kept_records(path: Path, names: Sequence[str] = ()) -> tuple[datasets.Dataset, list[str]]:
    """Texts and lines of a file's records, memory-mapped, and the names of all their columns.

    Kept in the cache of ``datasets`` (``HF_DATASETS_CACHE``) until the file changes. Records keep their own types: a
    column may hold a number here and a text there.

    Args:
        path: JSON lines (``.jsonl``); or a JSON list of records, an object of them by id, or lines again (``.json``).
        names: Columns of records that are written as lists.

    Raises:
        ValueError: If a line is no JSON, or a record is another kind of thing; the message names the line.
    """
    kept = cache_folder() / f"{_key(path, names)}.arrow"
    about = kept.with_suffix(".json")
    if not (kept.is_file() and about.is_file()):
        columns = _keep(path, names, kept)
        write_json(about, {"path": str(path.resolve()), "columns": columns})
    return datasets.Dataset.from_file(str(kept)), read_json(about)["columns"]


def cache_folder() -> Path:
    """Where what was read is kept, beside what ``datasets`` keeps."""
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "mstar"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def stamp(path: Path) -> str:
    """What changes when a file does: its place, size and time of modification."""
    found = path.stat()
    return f"{path.absolute()} {found.st_size} {found.st_mtime_ns}"


def _key(path: Path, names: Sequence[str]) -> str:
    words = json.dumps([VERSION, stamp(path), list(names)])
    return hashlib.blake2b(words.encode(), digest_size=16).hexdigest()


def _keep(path: Path, names: Sequence[str], kept: Path) -> list[str]:
    """Write all records to ``kept``, atomically; gives the names of their columns."""
    columns = dict.fromkeys(names)
    with replacing(kept) as file, pa.ipc.new_stream(file, SCHEMA) as stream:
        batch: list[dict[str, Any]] = []
        count = 0
        for record in read_records(path):
            columns |= dict.fromkeys(_columns(record, path, names))
            batch.append({"record": record.text, "line": record.line})
            count += 1
            if len(batch) == BATCH:
                stream.write_batch(pa.RecordBatch.from_pylist(batch, SCHEMA))
                batch = []
        if not count:
            raise ValueError(f"{path} holds no rows. Fetch it again.")
        stream.write_batch(pa.RecordBatch.from_pylist(batch, SCHEMA))
    return list(columns)


def _columns(record: Record, path: Path, names: Sequence[str]) -> Sequence[str]:
    where = f"{path}, line {record.line}: this is"
    if names:
        if not isinstance(record.value, list) or len(record.value) != len(names):
            raise ValueError(f"{where} {kind_of(record.value)}, not a list of {', '.join(names)}. {MEND}, or columns.")
        return ()
    if isinstance(record.value, list):
        raise ValueError(f"{where} a list, not an object. {MEND}: one object a record; or name its cells: columns.")
    if not isinstance(record.value, Mapping):
        raise ValueError(f"{where} {kind_of(record.value)}, not an object. {MEND}: one object a record.")
    return tuple(record.value)


def read_records(path: Path) -> Iterator[Record]:
    """The records of a file, in order; no more than one and what lies near it are in memory.

    Raises:
        ValueError: If something is no JSON; the message names the line.
    """
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty. Fetch it again.")
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = "" if path.suffix == ".jsonl" else file.read(CHUNK)
            yield from _elements(path, file, text) if text and not _has_lines(text) else _lines(path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error}). {MEND}, or fetch it again.") from error


def _has_lines(text: str) -> bool:
    """Whether a file that is called ``.json`` holds JSON lines, as many data sets do: its first line is whole."""
    first, _, rest = text.lstrip().partition("\n")
    try:
        return bool(first.startswith("{") and rest.strip() and json.loads(first))
    except ValueError:
        return False


def _lines(path: Path) -> Iterator[Record]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    text = line.decode("utf-8-sig").strip()
                    yield Record(text, number, json.loads(text))
                except ValueError as error:  # of JSON, or of UTF-8
                    raise _no_json(path, number, error, ": one object a line") from error


def _elements(path: Path, file: TextIO, text: str) -> Iterator[Record]:
    """The elements of a list, or an object's values (MathVista's), decoded as they come; ``text`` is its beginning."""
    opening = text.lstrip()[:1]
    if opening not in CLOSING:
        raise _no_json(path, 1, "it begins neither with [ nor with {")
    begin, size = text.index(opening) + 1, CHUNK
    line = 1 + text.count("\n", 0, begin)
    while True:
        try:
            start, end, value = _element(text, begin, CLOSING[opening])
        except json.JSONDecodeError as error:
            more = file.read(size)
            if not more:
                raise _no_json(path, line + text.count("\n", begin, error.pos), error.msg) from error
            text, begin, size = text[begin:] + more, 0, 2 * size
            continue
        line += text.count("\n", begin, start)
        if start == end:
            break
        yield Record(text[start:end], line, value)
        line += text.count("\n", start, end)
        begin, size = end, CHUNK
    if text[end + 1 :].strip() or any(more.strip() for more in iter(partial(file.read, CHUNK), "")):
        raise _no_json(path, line, f"more stands behind the {CLOSING[opening]} that ends it")


def _element(text: str, begin: int, closing: str) -> tuple[int, int, Any]:
    """Where the next element begins and ends, and its value; behind the last it begins and ends at the bracket.

    Raises:
        JSONDecodeError: If it is none, or goes on behind the text.
    """
    start = _behind(BETWEEN, text, begin)
    if text[start : start + 1] == closing:
        return start, start, None
    if closing == "}":
        start = _behind(COLON, text, DECODER.raw_decode(text, start)[1])
    value, end = DECODER.raw_decode(text, start)
    if end == len(text):  # a number may go on
        raise json.JSONDecodeError("it breaks off", text, end)
    return start, end, value


def _behind(pattern: re.Pattern[str], text: str, begin: int) -> int:
    """Where a match ends that begins here."""
    found = pattern.match(text, begin)
    if found is None:
        raise json.JSONDecodeError("a colon is missing", text, begin)
    return found.end()


def _no_json(path: Path, line: int, error: object, form: str = "") -> ValueError:
    return ValueError(f"{path}, line {line}: this is not JSON ({error}). {MEND}{form}, or fetch it again.")


def kind_of(value: Any) -> str:
    """What JSON calls a value.

    >>> kind_of(True), kind_of(1.5), kind_of(None)
    ('a truth value', 'a number', 'nothing')
    """
    names = {bool: "a truth value", int: "a number", float: "a number", str: "a text", list: "a list"}
    return "nothing" if value is None else names.get(type(value), "an object")
