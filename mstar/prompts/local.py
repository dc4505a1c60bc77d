"""Parquet files, and tables of text with tabs between cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import datasets
import pyarrow
from datasets.exceptions import DatasetGenerationError
from pyarrow import csv, parquet

TSV_BLOCK = 1 << 28  # bytes; the longest row, image and all, must fit in one
AGAIN = "It may be cut off, or a pointer of Git LFS: fetch it again, as it is published."


def read_parquet(files: Sequence[str]) -> datasets.Dataset:
    """Rows of one or several files, memory-mapped.

    Raises:
        ValueError: If one is no Parquet file.
    """
    for file in files:
        try:
            parquet.read_schema(file)
        except pyarrow.ArrowException as error:
            raise ValueError(f"{file} is not a Parquet file ({error}). {AGAIN}") from error
    try:
        return datasets.load_dataset("parquet", data_files=list(files), split="train")
    except DatasetGenerationError as error:
        raise ValueError(f"{', '.join(files)} cannot be read ({error.__cause__ or error}). {AGAIN}") from error


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
