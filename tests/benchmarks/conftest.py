"""Every test of benchmarks reads its own files, and starts with nothing asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest

from tests.benchmarks.stubs import Scripted


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(Scripted, "asked", [])
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()
