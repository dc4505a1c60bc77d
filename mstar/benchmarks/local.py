"""Local files in the formats that benchmarks are published in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow
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
    return datasets.load_dataset("parquet", data_files=list(files), split="train")


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


def read_json(path: Path) -> list[Mapping[str, Any]]:
    """Records of JSON lines, of a JSON list, or of a JSON object of records by id (MathVista's testmini.json).

    Raises:
        ValueError: If it is no JSON, or something else than records.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error}). {AGAIN}") from error
    found = _lines(text, path) if path.suffix == ".jsonl" else _parsed(text, str(path))
    records = list(found.values()) if isinstance(found, dict) else found
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise ValueError(f"{path} holds no list of records; give the file of questions as it is published.")
    return records


def _lines(text: str, path: Path) -> list[Any]:
    return [_parsed(line, f"{path}, line {n}") for n, line in enumerate(text.split("\n"), 1) if line.strip()]


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is not valid JSON ({error}). {AGAIN}") from error
