from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mstar.files import read_json, write_atomically, write_json


@pytest.mark.parametrize("data", ["größer\n", b"\x00\xff", ""])
def test_what_is_written_is_read_back(tmp_path: Path, data: bytes | str) -> None:
    path = tmp_path / "a"
    write_atomically(path, data)
    assert path.read_bytes() == (data.encode() if isinstance(data, str) else data)
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_is_replaced_and_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomically(path, "old, longer")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    write_atomically(path, "old")

    def full(source: str, target: Path) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_json_makes_the_round_trip(tmp_path: Path) -> None:
    value = {"name": "ü", "list": [1, 2.5, None, True]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert "ü" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_broken_json_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"half": ')
    with pytest.raises(ValueError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")
