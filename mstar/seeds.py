"""Seeds that depend on what is sampled, never on when or beside what."""

from __future__ import annotations

import hashlib
import os


def stable_seed(*parts: object) -> int:
    """Hash the parts to a seed in [0, 2**63); the same on every machine and in every Python process.

    >>> stable_seed(0, "prompt-7", 3) == stable_seed(0, "prompt-7", 3)
    True
    >>> stable_seed("ab", "c") == stable_seed("a", "bc")
    False
    """
    text = "".join(f"{len(str(part))}:{part}," for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def run_seed(seed: int | None) -> int:
    """Give ``seed``, or the run's own (``seed_everything``, which Lightning publishes as ``PL_GLOBAL_SEED``), or 0."""
    return int(os.environ.get("PL_GLOBAL_SEED", "0")) if seed is None else seed
