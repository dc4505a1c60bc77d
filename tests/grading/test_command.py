"""`mstar grade` as it is typed: what it prints, what it writes, and what it says of input that is wrong."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mstar.__main__ import main

Rows = list[dict[str, Any]]
Write = Callable[[Path, Rows], None]

QUESTIONS: Rows = [
    {"pid": "1", "question": "How many cubes are left?", "answer": "3", "answer_type": "integer", "task": "counting"},
    {"pid": "2", "question": "Find x.", "answer": "70°", "choices": ["60°", "70°"], "task": "geometry"},
    {"pid": "3", "question": "Find y.", "answer": None, "task": "geometry"},
    {"pid": "4", "question": "Find z.", "answer": "1", "task": "geometry"},
]
RESPONSES: Rows = [
    {"pid": "1", "response": "There are 3 cubes left.", "model": "a", "correct": True},
    {"pid": "1", "response": "There are 3 or 4 cubes left.", "model": "b", "correct": False},
    {"pid": "2", "response": "We cannot determine the answer.", "model": "a", "correct": True},
    {"pid": "2", "response": "(B)", "model": "b", "correct": False},
    {"pid": "3", "response": "Answer: 7", "model": "a", "correct": False},
]


def jsonl(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def jsonl_gz(path: Path, rows: Rows) -> None:
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n\n" for row in rows).encode()))


def parquet(path: Path, rows: Rows) -> None:
    names = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)


def parquet_gz(path: Path, rows: Rows) -> None:
    parquet(path.with_suffix(""), rows)
    path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))


KINDS: dict[str, Write] = {"jsonl": jsonl, "jsonl.gz": jsonl_gz, "parquet": parquet, "parquet.gz": parquet_gz}


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    jsonl(tmp_path / "questions.jsonl", QUESTIONS)
    jsonl(tmp_path / "responses.jsonl", RESPONSES)
    return str(tmp_path / "questions.jsonl"), str(tmp_path / "responses.jsonl")


def printed(capsys: pytest.CaptureFixture[str], *args: str) -> list[str]:
    main(["grade", *args])
    return capsys.readouterr().out.splitlines()


def refusal(*args: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["grade", *args])
    assert isinstance(ended.value.code, str)  # a message, and exit status 1
    return ended.value.code


@pytest.mark.parametrize("questions", KINDS)
@pytest.mark.parametrize("responses", KINDS)
def test_every_kind_of_file_gives_the_same_figures(
    questions: str, responses: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, recorded = tmp_path / f"q.{questions}", tmp_path / f"r.{responses}"
    KINDS[questions](asked, QUESTIONS)
    KINDS[responses](recorded, RESPONSES)
    assert json.loads(printed(capsys, str(asked), str(recorded))[-1]) == {
        "n": 5,
        "accuracy": 0.4,
        "agreement": 0.6,
        "false_positives": 1,
        "false_negatives": 1,
        "unscorable": 1,
    }


def test_the_table_has_models_tasks_and_types(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    lines = [" ".join(line.split()) for line in printed(capsys, *files)]
    assert lines[1] == "all 5 40.0 % 60.0 % 1 1 20.0 %"
    assert "model b 2 50.0 % 50.0 % 1 0 0.0 %" in lines
    assert "task counting 2 50.0 % 100.0 % 0 0 0.0 %" in lines
    assert "type integer 2 50.0 % 100.0 % 0 0 0.0 %" in lines
    assert "1 of 4 questions have no response; they do not count." in lines
    assert "The first unscorable response is to '3': the prompt has no reference answer." in lines


def test_a_protocol_is_chosen(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    def found(protocol: str) -> tuple[int, int]:
        last = json.loads(printed(capsys, *files, "--protocol", protocol)[-1])
        return last["false_positives"], last["false_negatives"]

    assert found("strict") == (1, 1)
    assert found("mathvista") == (1, 1)
    assert found("stated") == (0, 2)


def test_out_has_a_line_a_response(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(capsys, *files, "--out", str(tmp_path / "graded.jsonl"))
    lines = [json.loads(line) for line in (tmp_path / "graded.jsonl").read_text().splitlines()]
    assert [line["verdict"] for line in lines] == ["correct", "wrong", "wrong", "correct", "unscorable"]
    assert lines[3] == {
        "pid": "2",
        "model": "b",
        "verdict": "correct",
        "answer": "(B)",
        "reason": "right",
        "recorded": False,
    }
    assert lines[2]["answer"] is None and lines[2]["reason"] == "no answer"


def test_without_recorded_verdicts_there_is_nothing_to_agree_with(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare.jsonl"
    jsonl(bare, [{"pid": 1, "response": "3"}, {"pid": "2", "response": None}])
    last = json.loads(printed(capsys, files[0], str(bare))[-1])
    assert (last["n"], last["accuracy"]) == (2, 0.5)
    assert last["agreement"] is last["false_positives"] is last["false_negatives"] is None


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('{"pid": "9", "response": "3"}', "line 1: no question has pid '9'; give the questions"),
        (
            '{"pid": "1", "response": "3"}\n{"pid": "1", "text": "3"}',
            "line 2: there is no field 'response'; its fields",
        ),
        ('{"pid": "1", "response": "3"}\n\n{"pid": "1"', "line 3: not JSON"),
        ('["1"]', 'line 1: ["1"] is not an object; give one object a line'),
        ('{"pid": "1", "response": "3", "correct": "yes"}', "line 1: 'correct' is 'yes'; give true, false or null"),
        ("", "holds no responses"),
    ],
)
def test_wrong_responses_are_refused_by_line(lines: str, said: str, files: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "wrong.jsonl").write_text(lines)
    message = refusal(files[0], str(tmp_path / "wrong.jsonl"))
    assert message.startswith(f"mstar grade: {tmp_path / 'wrong.jsonl'}")
    assert said in message


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"pid": "5", "question": "?"}, "line 5: there is no field 'answer'"),
        ({"pid": "1", "question": "?", "answer": "1"}, "line 5: pid '1' was already used in"),
        ({"pid": "5", "question": "?", "answer": "1", "choices": "A"}, "line 5: 'choices' is 'A'; give a list"),
        ({"pid": "5", "question": "?", "answer": "1", "precision": 1.5}, "line 5: 'precision' is 1.5"),
        ({"pid": "5", "question": "?", "answer": "1", "precision": float("nan")}, "line 5: 'precision' is nan"),
    ],
)
def test_wrong_questions_are_refused_by_line(
    row: dict[str, Any], said: str, files: tuple[str, str], tmp_path: Path
) -> None:
    jsonl(tmp_path / "questions.jsonl", [*QUESTIONS, row])
    assert said in refusal(*files)


def test_files_that_cannot_be_read_are_refused(files: tuple[str, str], tmp_path: Path) -> None:
    assert "no.jsonl: there is no such file" in refusal(files[0], str(tmp_path / "no.jsonl"))
    assert "give a .jsonl or .parquet file" in refusal(files[0], str(tmp_path / "responses.csv"))
    for name in ("bad.jsonl.gz", "bad.parquet"):
        (tmp_path / name).write_bytes(b"neither one nor the other")
    assert "bad.jsonl.gz: cannot be read" in refusal(files[0], str(tmp_path / "bad.jsonl.gz"))
    assert "bad.parquet: not a Parquet file" in refusal(files[0], str(tmp_path / "bad.parquet"))
    assert "make it first" in refusal(*files, "--out", str(tmp_path / "none" / "graded.jsonl"))


def test_a_word_that_is_no_option_is_refused(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["grade", *files, "--protocol", "lenient"])
    assert "invalid choice: 'lenient'" in capsys.readouterr().err


def test_help_says_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["grade", "--help"])
    said = capsys.readouterr().out
    assert "mstar grade questions.jsonl responses.jsonl" in said
    assert all(word in said for word in ("strict", "mathvista", "stated", "--out"))
