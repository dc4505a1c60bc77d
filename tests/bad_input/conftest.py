from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest

from mstar.modules.policy import PolicyModule
from tests.bad_input.world import World
from tests.policies import policy


@pytest.fixture(scope="session")
def tiny() -> PolicyModule:
    return policy()


@pytest.fixture
def world(tmp_path: Path, tiny: PolicyModule) -> World:
    return World(tmp_path, tiny)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()
