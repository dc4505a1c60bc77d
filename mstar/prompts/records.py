"""JSON read once, a record at a time: on disk as Arrow from then on, memory-mapped, each record with its line."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import datasets
import pyarrow as pa

from mstar.files import read_json, replacing, write_json

SCHEMA = pa.schema({"record": pa.string(), "line": pa.int64()})
BATCH = 10_000  # records written at once: opening a file touches the beginning of every batch
CHUNK = 1 << 20  # characters read at once
VERSION = 2  # of what is kept on disk
MEND = "Mend the file"
BETWEEN = re.compile(r"\s*,?\s*")


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
        path: JSON lines (``.jsonl``), or a JSON list (``.json``) of records, or an object of them by id.
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
        if path.suffix == ".jsonl":
            yield from _lines(path)
            return
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(CHUNK)
            yield from _listed(path, file, text) if text.lstrip()[:1] == "[" else _by_id(path, text + file.read())
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error}). {MEND}, or fetch it again.") from error


def _lines(path: Path) -> Iterator[Record]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    text = line.decode().strip()
                    yield Record(text, number, json.loads(text))
                except ValueError as error:  # of JSON, or of UTF-8
                    raise _no_json(path, number, error, ": one object a line") from error


def _by_id(path: Path, text: str) -> Iterator[Record]:
    """An object of records by id, as MathVista is published: small files, read whole."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise _no_json(path, error.lineno, error) from error
    if not isinstance(found, Mapping):
        raise ValueError(f"{path} is {kind_of(found)}, not a list of objects. {MEND}, or fetch it again.")
    yield from (Record(json.dumps(value, ensure_ascii=False), 1, value) for value in found.values())


def _listed(path: Path, file: TextIO, text: str) -> Iterator[Record]:
    """The elements of a list, decoded as they come; ``text`` is its beginning."""
    decoder = json.JSONDecoder()
    begin, size = text.index("[") + 1, CHUNK
    line = 1 + text.count("\n", 0, begin)
    while True:
        start = _behind(text, begin)
        line += text.count("\n", begin, start)
        begin = start
        if text[begin : begin + 1] == "]":
            return
        try:
            value, end = decoder.raw_decode(text, begin)
            if end == len(text):  # a number may go on
                raise json.JSONDecodeError("it breaks off", text, end)
        except json.JSONDecodeError as error:
            more = file.read(size)
            if not more:
                at = line + text.count("\n", begin, error.pos)
                raise _no_json(path, at, error.msg) from error
            text, begin, size = text[begin:] + more, 0, 2 * size
            continue
        yield Record(text[begin:end], line, value)
        line += text.count("\n", begin, end)
        begin, size = end, CHUNK


def _behind(text: str, begin: int) -> int:
    """Where the next element begins, behind a comma."""
    found = BETWEEN.match(text, begin)
    assert found is not None
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
