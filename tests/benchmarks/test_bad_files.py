"""A bad file is one clear error before anything is sampled: the file, the row, the way out."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mstar.benchmarks import (
    Benchmark,
    Conversation,
    InlineChoices,
    Layout,
    LetteredColumns,
    ListedChoices,
    MathVista,
    Rows,
)
from tests.benchmarks.published import png, tsv

ROW = {
    "index": 7, "question": "?", "hint": "", "A": "a", "B": "b", "C": "", "D": "", "answer": "A", "l2-category": "x",
    "image": b64encode(png()).decode(),
}  # fmt: skip
LISTED = {"id": "q", "question": "?", "choices": ["a", "b"], "answer": "A", "image": "dot.png"}
VISTA = {
    "pid": "1", "question": "?", "choices": ["a", "b"], "unit": None, "precision": None, "answer": "a",
    "question_type": "multi_choice", "answer_type": "text", "metadata": {"task": "x"}, "image": "dot.png",
}  # fmt: skip


def table(folder: Path, *changes: Mapping[str, Any], **settings: Any) -> Benchmark:
    rows = [{**ROW, "index": i, **change} for i, change in enumerate(changes)]
    return Benchmark(Rows(tsv(folder / "bench.tsv", rows)), LetteredColumns(), **settings)


def records(folder: Path, layout: Layout, *rows: Mapping[str, Any]) -> Benchmark:
    (folder / "dot.png").write_bytes(png())
    (folder / "bench.json").write_text(json.dumps(rows))
    return Benchmark(Rows(str(folder / "bench.json")), layout)


def test_a_missing_column_names_those_there_are(tmp_path: Path) -> None:
    path = tsv(tmp_path / "bench.tsv", [{k: v for k, v in ROW.items() if k != "hint"}])
    with pytest.raises(
        ValueError, match=r"bench.tsv has no column 'hint', which LetteredColumns reads as 'context'; its col"
    ):
        Benchmark(Rows(path), LetteredColumns())
    assert len(Benchmark(Rows(path), LetteredColumns(context=None))) == 1


def test_an_image_column_that_is_not_there_is_missed_before_sampling(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no column 'decoded_image', which MathVista reads as 'image'"):
        records(tmp_path, MathVista(), VISTA)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"B": ""}, r"row 1: its choices B, C, D are empty"),
        ({"B": "", "C": "c"}, r"row 1: its choices B, D are empty"),
        ({"answer": "C"}, r"row 1: its answer 'C' is the letter of none of its 2 choices"),
        ({"answer": "dog"}, r"row 1: its answer 'dog' is the letter of none of its 2 choices"),
    ],
)
def test_wrong_choices_name_the_row_and_the_way_out(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"bench.tsv, {message}.*1 of 2 rows .*leave_out: \['1'\]"):
        table(tmp_path, {}, change)
    benchmark = table(tmp_path, {}, change, leave_out=["1"])
    assert list(benchmark.ids()) == ["0"] and benchmark.left_out == {"by id": 1}


def test_an_id_that_is_not_the_rows_number_is_named_beside_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"row 0 \(id 77\): its answer"):
        table(tmp_path, {"index": 77, "answer": "D"})


@pytest.mark.parametrize(
    ("layout", "row", "message"),
    [
        (ListedChoices(), {**LISTED, "answer": "C"}, "'C' is the letter of none of its 2 choices"),
        (ListedChoices(), {**LISTED, "choices": "A. a; B. b"}, "is no list; InlineChoices reads choices from a text"),
        (ListedChoices(indexed=True), {**LISTED, "answer": "2"}, "'2' is the index of none of its 2 choices"),
        (MathVista("image"), {**VISTA, "answer": "c"}, "its answer 'c' is none of its 2 choices"),
        (MathVista("image"), {**VISTA, "choices": None}, "it is multi_choice, but has 0 choices"),
        (InlineChoices("id", kind=None), {**LISTED, "question": "What?"}, 'it has no "Options:" or "Choices:"'),
        (
            Conversation(),
            {"image": "dot.png", "conversations": [{"from": "gpt", "value": "?"}]},
            "should be human, gpt",
        ),
        (Conversation(), {"image": "dot.png", "conversations": "?"}, "should be human, gpt"),
        (ListedChoices(), {**LISTED, "id": None}, "its id is empty"),
        (ListedChoices(), {**LISTED, "question": None}, "its question is empty"),
        (ListedChoices(), {**LISTED, "choices": list("x" * 27)}, "27 choices, more than there are letters"),
        (MathVista("image"), {**VISTA, "precision": "two"}, "its precision 'two' is no number of decimal places"),
        (MathVista("image"), {**VISTA, "metadata": None}, "its metadata None is no record with a task"),
    ],
)
def test_a_row_that_is_not_laid_out_so_is_refused(
    tmp_path: Path, layout: Layout, row: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        records(tmp_path, layout, row)


def test_an_unreadable_image_names_its_row(tmp_path: Path) -> None:
    benchmark = table(
        tmp_path, {}, {"image": b64encode(b"no image" * 20).decode()}, {"image": "?" * 80}, {"image": "9"}
    )
    assert len(benchmark[0].images) == 1
    with pytest.raises(ValueError, match=r"bench.tsv, row 1: an image cannot be read .*fetch it again"):
        benchmark[1]
    with pytest.raises(ValueError, match=r"bench.tsv, row 2: an image cannot be read .*should be base64"):
        benchmark[2]
    with pytest.raises(ValueError, match=r"bench.tsv, row 3: its image is that of row '9', which is not there"):
        benchmark[3]


def test_a_missing_picture_says_where_it_was_looked_for(tmp_path: Path) -> None:
    benchmark = records(tmp_path, ListedChoices(), {**LISTED, "image": "gone.png"})
    with pytest.raises(ValueError, match=r"row 0 \(line 1, id q\): an image cannot be read .*image_root"):
        benchmark[0]


def test_two_rows_of_one_id_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"rows 0 and 1 have the same id '3'.*layout.init_args.id"):
        table(tmp_path, {"index": 3}, {"index": 3})


@pytest.mark.parametrize("setting", ["without", "leave_out"])
def test_leaving_out_what_is_not_there_is_an_error(tmp_path: Path, setting: str) -> None:
    with pytest.raises(ValueError, match=rf"{setting} names \['percpetion'\], which .* does not have; it has \['"):
        table(tmp_path, {}, **{setting: ["percpetion"]})


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no file .*none\.tsv.*give a hub id"):
        Rows(str(tmp_path / "none.tsv")).open()


def test_a_data_set_that_cannot_be_read_points_to_local_copies(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cannot be read from the hub .* give a copy of its files: rows.path"):
        Rows(str(tmp_path)).open()  # a hub data set without files, as a folder


HEADER = "\t".join(ROW)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", b"[1", "a.json, line 1: this is not JSON .* fetch it again"),
        ("a.json", b"[1]", "a.json, line 1: this is a number, not an object"),
        ("a.json", b"[]", "a.json holds no rows"),
        ("a.json", b'[{"q": "\xe9"}]', "a.json is not UTF-8 .* fetch it again"),
        ("a.jsonl", b'{"id": 1}\n\n{"id": ', "a.jsonl, line 3: this is not JSON"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1", "a.parquet is not a Parquet file .* Git LFS"),
        ("a.tsv", b"", "a.tsv cannot be read as UTF-8 text with a tab between cells"),
        ("a.tsv", f"{HEADER}\n7\t?\n".encode(), "a.tsv cannot be read .*Row #2: Expected 10 columns, got 2: 7"),
        ("a.tsv", HEADER.encode() + b"\n\xe9" + b"\t" * 9 + b"\n", "a.tsv cannot be read .*Row #2: .*invalid UTF8"),
    ],
)
def test_a_file_that_is_not_what_its_ending_says_is_refused(
    tmp_path: Path, name: str, text: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(text)
    with pytest.raises(ValueError, match=message):
        Rows(str(tmp_path / name)).open()


def test_nothing_to_ask_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bench.tsv").write_text(HEADER + "\n")
    with pytest.raises(ValueError, match=r"bench.tsv has no prompts: there are no rows"):
        Benchmark(Rows(str(tmp_path / "bench.tsv")), LetteredColumns())
    with pytest.raises(ValueError, match=r"bench.tsv has no prompts: all 1 rows are left out \(x\)"):
        table(tmp_path, {}, without=["x"])
