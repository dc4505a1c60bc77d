"""What sampling costs: counts, and seconds by phase."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields


@dataclass
class Account:
    """Adds up what an engine does."""

    prompts: int = 0
    """Prompts run through the model."""
    responses: int = 0
    tokens: int = 0
    """Tokens sampled."""
    steps: int = 0
    """Decoding steps."""
    row_steps: int = 0
    """Rows decoded, over all steps; with ``steps`` and ``rows`` it tells how full the batch was."""
    rows: int = 0
    """Rows there was room for, over all steps."""
    cache_bytes: int = 0
    """Most memory that keys and values took."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By phase: ``encode`` (images, tokens), ``prefill``, ``decode``, ``sample``, ``bookkeeping``."""

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time inside to a phase."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    @property
    def occupancy(self) -> float:
        """Share of the rows there was room for that were in use, in [0, 1]."""
        return self.row_steps / self.rows if self.rows else 0.0

    def since(self, earlier: dict[str, float]) -> dict[str, float]:
        """What was added after ``earlier`` was taken by ``flat``."""
        return {name: value - earlier.get(name, 0.0) for name, value in self.flat().items()}

    def flat(self) -> dict[str, float]:
        """All counts and seconds by name."""
        counts = {
            f.name: float(getattr(self, f.name)) for f in fields(self) if f.name not in ("seconds", "cache_bytes")
        }
        return {**counts, **{f"seconds/{name}": value for name, value in self.seconds.items()}}
