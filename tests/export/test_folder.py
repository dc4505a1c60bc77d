"""A folder is whole or absent."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from mstar.export.folder import whole_folder


def test_nothing_is_left_of_an_attempt_that_failed(tmp_path: Path) -> None:
    def fail() -> None:
        with whole_folder(tmp_path / "out") as part:
            (part / "half").write_text("…")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_attempt_left_does_not_get_in(tmp_path: Path) -> None:
    leftover = tmp_path / ".out.part"
    leftover.mkdir()
    (leftover / "half").write_text("…")
    with whole_folder(tmp_path / "out") as part:
        (part / "all").write_text("…")
        (part / "all").chmod(0o600)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["all"]
    assert (tmp_path / "out" / "all").stat().st_mode & 0o777 == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("fail", [False, True])
def test_an_old_folder_that_a_kill_left_aside_is_not_lost(tmp_path: Path, fail: bool) -> None:
    (tmp_path / ".out.old").mkdir()  # moved aside, and killed before the new one was in its place
    (tmp_path / ".out.old" / "old").write_text("…")
    with suppress(ZeroDivisionError), whole_folder(tmp_path / "out") as part:
        (part / "new").write_text("…")
        _ = 1 / (not fail)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["old" if fail else "new"]
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_an_old_folder_stays_until_the_new_one_is_there(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with whole_folder(tmp_path / "out") as part:
            (part / content).write_text("…")
            assert content == "old" or (tmp_path / "out" / "old").is_file()
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["new"]
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
