"""Several ranks: they choose what one would, none waits for one that keeps nothing or is gone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.house.test_evolution import CONFIG, ROOT, fit, rollouts, weights

ONE_EPOCH = "--trainer.max_epochs=1"
FIRST_RANK_ONLY = "--reward.init_args.verifier=tests.house.stubs.every_fourth_prompt"


def launch(run: Path, ranks: int, *more: str) -> tuple[int, str, float]:
    """Exit code, what was said, and the seconds from a rank's death to the end."""
    command = ["fit", "-c", CONFIG, f"--trainer.default_root_dir={run}", f"--trainer.devices={ranks}", ONE_EPOCH, *more]
    done = subprocess.run(
        [sys.executable, "-m", "mstar", *command, "--trainer.strategy=ddp"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    death = re.search(r"dying at ([\d.]+)", done.stdout)
    return done.returncode, done.stderr, time.time() - float(death[1]) if death else 0.0


def test_four_ranks_of_which_three_keep_nothing_choose_what_one_does(tmp_path: Path) -> None:
    code, said, _ = launch(tmp_path / "four", 4, FIRST_RANK_ONLY)
    assert code == 0, said[-3000:]
    fit(tmp_path / "one", FIRST_RANK_ONLY, ONE_EPOCH)
    assert rollouts(tmp_path / "four", 0) == rollouts(tmp_path / "one", 0)
    table = pq.read_table(tmp_path / "one" / "rollouts" / "iteration-0000" / "rollouts.parquet")
    kept = {row["prompt_id"] for row in table.to_pylist() if row["kept"]}
    asked = list(dict.fromkeys(table["prompt_id"].to_pylist()))
    assert kept and kept <= set(asked[::4])


def batches(run: Path, rank: int) -> list[list[list[int]]]:
    return [json.loads(line) for line in (run / f"batches-{rank}.jsonl").read_text().splitlines()]


def test_two_ranks_take_step_by_step_what_one_takes(tmp_path: Path) -> None:
    write = "--trainer.callbacks+=tests.house.stubs.WriteBatches"
    code, said, _ = launch(tmp_path / "two", 2, write)
    assert code == 0, said[-3000:]
    fit(tmp_path / "one", ONE_EPOCH, write, "--data.init_args.batch_size=8")
    one = batches(tmp_path / "one", 0)
    steps = zip(batches(tmp_path / "two", 0), batches(tmp_path / "two", 1), strict=True)
    assert [sorted([*first, *second]) for first, second in steps] == one
    assert len(one) > 1 and len(one[0]) == 8


@pytest.mark.parametrize(
    ("rank", "by", "last"),
    [
        (1, "raise", "rank 1 failed first: ZeroDivisionError: rank 1 divided by zero"),
        (0, "raise", "rank 0 failed first: ZeroDivisionError: rank 0 divided by zero"),
        (1, "kill", "rank 1 was killed by SIGKILL (out of memory?)"),
    ],
)
def test_a_rank_that_dies_ends_the_run_with_its_error(tmp_path: Path, rank: int, by: str, last: str) -> None:
    settings = {"rank": rank, "step": 1, "by": by}
    dying = [f"--trainer.callbacks.{name}={value}" for name, value in settings.items()]
    code, said, seconds = launch(tmp_path, 2, "--trainer.callbacks+=tests.house.stubs.DieAtStep", *dying)
    assert code == 1 and seconds < 60
    assert said.strip().splitlines()[-2:] == [last, "The same command goes on from what is on disk."]


def test_all_ranks_leave_behind_the_batch_in_which_one_was_told_to(tmp_path: Path) -> None:
    settings = ["--trainer.callbacks.rank=1", "--trainer.callbacks.step=0"]
    code, said, _ = launch(tmp_path, 2, "--trainer.callbacks+=tests.house.stubs.SignalAtStep", *settings)
    assert code == 143, said[-3000:]
    assert weights(tmp_path)["optimizer.0.step"] == 1
    assert said.count("told to stop; the same command goes on from here") == 2
