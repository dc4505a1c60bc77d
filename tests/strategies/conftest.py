"""A tiny model in a folder, as strategies and adapters read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mstar.demo.tiny import TinyLlava


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder; widths of 64, a block of nf4."""
    folder = tmp_path_factory.mktemp("base")
    model, processor = TinyLlava(
        hidden_size=64, num_layers=2, mlp_size=64, num_heads=2, num_kv_heads=2, vision_mlp_size=64
    ).load()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
