"""Parquet files, and tables of text with tabs between cells."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import datasets
import pyarrow
from pyarrow import csv, parquet

from mstar.files import replacing
from mstar.prompts.records import cache_folder, stamp

TSV_BLOCK = 1 << 28  # bytes; the longest row, image and all, must fit in one
BATCH_BYTES = 1 << 22  # that are kept together
READ = 256  # rows read at once
VERSION = 1  # of what is kept on disk
AGAIN = "It may be cut off, or a pointer of Git LFS: fetch it again, as it is published."


def read_parquet(files: Sequence[str]) -> datasets.Dataset:
    """Rows of one or several files, memory-mapped: kept as Arrow until one of them changes.

    ``datasets`` would keep them as well, but reads many row groups ahead, and keeps a thousand rows at a time: opening
    what is kept touches the beginning of every batch, which is most of a file of small rows.

    Raises:
        ValueError: If one is no Parquet file, or has other columns than the first.
    """
    words = repr([VERSION, *(stamp(Path(file)) for file in files)])
    kept = cache_folder() / f"parquet-{hashlib.blake2b(words.encode(), digest_size=16).hexdigest()}.arrow"
    if not kept.is_file():
        schema = _schema(files[0])
        with replacing(kept) as file, pyarrow.ipc.new_stream(file, schema) as stream:
            for source in files:
                for batch in _batches(source, schema):
                    stream.write_table(batch)
    return datasets.Dataset.from_file(str(kept))


def _schema(file: str) -> pyarrow.Schema:
    try:
        return parquet.read_schema(file)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{file} is not a Parquet file ({error}). {AGAIN}") from error


def _batches(file: str, schema: pyarrow.Schema) -> Iterator[pyarrow.Table]:
    """A file's rows, some megabytes at a time."""
    if not _schema(file).equals(schema):
        raise ValueError(f"{file} has other columns or types than the files before it. Read them apart, and join them.")
    waiting: list[pyarrow.RecordBatch] = []
    try:
        with parquet.ParquetFile(file, pre_buffer=False) as source:
            for batch in source.iter_batches(batch_size=READ, use_threads=False):
                waiting.append(batch)
                if sum(part.nbytes for part in waiting) >= BATCH_BYTES:
                    yield pyarrow.Table.from_batches(waiting, schema).combine_chunks()
                    waiting = []
    except pyarrow.ArrowException as error:
        raise ValueError(f"{file} cannot be read ({error}). {AGAIN}") from error
    yield pyarrow.Table.from_batches(waiting, schema).combine_chunks()


def read_tsv(path: Path) -> datasets.Dataset:
    """All columns as text: an option may be the word "None" or the number 1.0.

    Raises:
        ValueError: If it is no UTF-8, or a row has another number of cells than the header, which is row 1 there.
    """
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline().rstrip("\r\n").split("\t")
    try:
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(block_size=TSV_BLOCK, use_threads=False),  # errors name rows without threads
            parse_options=csv.ParseOptions(delimiter="\t", newlines_in_values=True),
            convert_options=csv.ConvertOptions(column_types=dict.fromkeys(header, pyarrow.string())),
        )
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path} cannot be read as UTF-8 text with a tab between cells ({error}). {AGAIN}") from error
    return datasets.Dataset(table)
