"""Measure every family and write the README's table: ``python -m tests.conformance``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    failed = pytest.main([str(Path(__file__).with_name("test_conformance.py")), "-q"])
    if failed:
        sys.exit("The table is not written: a check fails that tests/conformance/exceptions.py does not name.")
    from tests.conformance.table import README, written  # pytest wants to be the first to import what its plugins do

    README.write_text(written(README.read_text()))
