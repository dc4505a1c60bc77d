"""The README's table of families is the one that was measured."""

from __future__ import annotations

from tests.conformance.table import README, written


def test_the_readme_says_what_was_measured() -> None:
    text = README.read_text()
    assert written(text) == text, "run: python -m tests.conformance"
