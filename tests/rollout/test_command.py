"""`mstar rollouts`: what a store holds, whether it is whole, and as one table."""

from __future__ import annotations

import re
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest

from mstar.__main__ import main
from tests.rollout.stores import begun, group, sealed

EVIL = "\x1b[2J\x1b]0;owned\x07[bold]not bold[/bold] \u202egnorw"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    sealed(tmp_path / "run" / "rollouts" / "iteration-0000")
    sealed(tmp_path / "run" / "rollouts" / "iteration-0001", group("p", EVIL, "wrong\n\nlines"))
    begun(tmp_path / "run" / "rollouts" / "iteration-0002", group("r"))
    return tmp_path / "run"


def said(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    main(["rollouts", *map(str, words)])
    return capsys.readouterr().out


def test_ls_counts_every_stage(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split() for line in said(capsys, "ls", run).splitlines() if "iteration" in line]
    assert lines == [
        ["rollouts/iteration-0000", "sealed", "2", "1", "4", "2", "0", "2", "8", "1"],
        ["rollouts/iteration-0001", "sealed", "1", "1", "2", "1", "0", "1", "4", "1"],
        ["rollouts/iteration-0002", "open", "1", "1", "2"],
    ]


def test_show_obeys_nothing_a_model_wrote(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = said(capsys, "show", run, "--stage", "0001", "--kept")
    assert r"\x1b[2J\x1b]0;owned\x07[bold]not bold[/bold] \u202egnorw" in page
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", page)
    assert "kept · correct · outcome 1" in page and "not asked: data.jsonl, row 3" in page
    assert "lines" not in page
    assert "dropped: " in said(capsys, "show", run, "--stage", "0001", "--dropped")
    assert said(capsys, "show", run, "--prompt", "q", "--limit", "1").count(" · q · ") == 1


def test_verify_finds_what_was_changed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "verify", run).splitlines() == [
        "rollouts/iteration-0000 | sealed: 4 rollouts",
        "rollouts/iteration-0001 | sealed: 2 rollouts",
        "rollouts/iteration-0002 | open: 1 groups and 1 dropped prompts so far",
    ]
    file = run / "rollouts" / "iteration-0000" / "rollouts.parquet"
    flipped = bytearray(file.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    file.write_bytes(flipped)
    part = run / "rollouts" / "iteration-0002" / "part-00000.jsonl"
    part.write_text(part.read_text().replace('"rollouts"', '"rollouts'))
    with pytest.raises(SystemExit) as failed:
        main(["rollouts", "verify", str(run)])
    lines = capsys.readouterr().out.splitlines()
    assert failed.value.code == 1
    assert "0000 | BAD: " in lines[0] and "is not what was sealed: its checksum is" in lines[0]
    assert "0001 | sealed" in lines[1]
    assert "0002 | BAD: " in lines[2] and "part-00000.jsonl, line 3: this is no group any more" in lines[2]


def test_export_gives_one_table(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "6 rollouts of 2 stages" in said(capsys, "export", run, "--out", tmp_path / "all.parquet")
    assert pq.read_table(tmp_path / "all.parquet").num_rows == 6
    said(capsys, "export", run, "--out", tmp_path / "kept", "--kept")
    rows = datasets.load_from_disk(str(tmp_path / "kept"))
    assert rows["prompt_id"][:] == ["p", "q", "p"] and rows["text"][2] == EVIL
    assert rows["stage"][:] == ["rollouts/iteration-0000"] * 2 + ["rollouts/iteration-0001"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ls", "{run}/none"], r"none holds no rollouts; give the folder of a run"),
        (["ls", "{run}", "--stage", "x"], r"--stage x: no stage is called so; there are rollouts/iteration-0000"),
        (["export", "{run}", "--out", "{run}"], r"exists; remove it, or give another folder"),
        (["export", "{run}", "--stage", "0002", "--out", "{run}/x.parquet"], r"No stage is finished and still has"),
    ],
)
def test_what_cannot_be_done_is_said(run: Path, words: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=f"^mstar rollouts: .*{message}"):
        main(["rollouts", *(word.format(run=run) for word in words)])
