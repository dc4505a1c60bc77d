"""Retention removes what it says, keeps the record, and survives a kill in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from mstar.rollout.retention import KEPT, KeepAll, KeepKept, KeepLast, Retention
from mstar.rollout.store import MANIFEST, ROLLOUTS, Stage, iteration_folder
from tests.rollout.stores import sealed


def run_of(folder: Path, iterations: int = 4) -> Path:
    for iteration in range(iterations):
        sealed(iteration_folder(folder, iteration))
    return folder


def files(run: Path) -> list[list[str]]:
    return [sorted(file.name for file in folder.iterdir()) for folder in sorted((run / "rollouts").iterdir())]


WHOLE, BARE, FEW = [MANIFEST, ROLLOUTS], [MANIFEST], sorted([KEPT, MANIFEST])


@pytest.mark.parametrize(
    ("retention", "left"),
    [
        (KeepAll(), [WHOLE] * 4),
        (KeepKept(), [FEW, FEW, FEW, WHOLE]),
        (KeepLast(1), [BARE, BARE, WHOLE, WHOLE]),
        (KeepLast(0), [BARE, BARE, BARE, WHOLE]),
    ],
)
def test_what_stays(tmp_path: Path, retention: Retention, left: list[list[str]]) -> None:
    run = run_of(tmp_path)
    for _ in range(2):
        retention.prune(run, 3)
        assert files(run) == left


def test_kept_rollouts_are_read_as_before(tmp_path: Path) -> None:
    before = Stage(iteration_folder(run_of(tmp_path), 0)).read()
    KeepKept().prune(tmp_path, 1)
    after = Stage(iteration_folder(tmp_path, 0)).read()
    assert after == {name: tuple(r for r in rollouts if r.kept) for name, rollouts in before.items()} != before


def test_a_kill_between_manifest_and_removal_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(tmp_path, 2)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            KeepKept().prune(run, 1)
    Stage(iteration_folder(run, 0)).read()
    KeepKept().prune(run, 1)
    assert files(run) == [FEW, WHOLE]


def test_removed_rollouts_say_who_removed_them(tmp_path: Path) -> None:
    KeepLast(0).prune(run_of(tmp_path), 2)
    with pytest.raises(RuntimeError, match=r"rollouts\.parquet is gone: data\.retention keeps the rollouts of 0 iter"):
        Stage(iteration_folder(tmp_path, 0)).read()
    with pytest.raises(ValueError, match=r"data\.retention\.num is -1"):
        KeepLast(-1)
