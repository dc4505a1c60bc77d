from __future__ import annotations

import subprocess
import sys

import pytest

from mstar.seeds import stable_seed


@pytest.mark.parametrize(
    ("one", "other"),
    [(("ab", "c"), ("a", "bc")), (("a", ""), ("a",)), (("a,b",), ("a", "b")), ((1, 2), (2, 1)), ((1, 23), (12, 3))],
)
def test_parts_do_not_run_together(one: tuple[object, ...], other: tuple[object, ...]) -> None:
    assert stable_seed(*one) != stable_seed(*other)


def test_seeds_fit_a_torch_generator() -> None:
    seeds = {stable_seed("prompt", index) for index in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_every_process_makes_the_same_seeds() -> None:
    code = "from mstar.seeds import stable_seed; print(stable_seed(0, 'prompt', 3))"
    made = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert int(made.stdout) == stable_seed(0, "prompt", 3)
