"""Which rank's failure is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mstar.failures import first_failure_last
from mstar.files import write_json


@pytest.mark.parametrize(
    ("rank", "first"), [(1, "rank 1 failed first: it broke"), (3, "rank 0 failed first: ValueError: mine")]
)
def test_only_ranks_of_this_run_are_told_of(tmp_path: Path, rank: int, first: str) -> None:
    trainer: Any = SimpleNamespace(
        global_rank=0, world_size=2, is_global_zero=True, strategy=SimpleNamespace(launcher=None)
    )
    write_json(tmp_path / f".failed-{rank}.json", {"rank": rank, "time": 0.0, "error": "it broke"})
    with pytest.raises(SystemExit, match=first), first_failure_last(trainer, tmp_path):
        raise ValueError("mine")
