"""Self-evolving training for vision-language models.

Each epoch, `mstar` samples responses from the current policy, lets a reward model score them, trains on the ones a
selector keeps, and lets what it measured set how boldly it samples next.
"""

from __future__ import annotations

import os

# OpenMP reads this once, when torch is first imported. Its threads spin at barriers by default: on a machine with
# shared cores, a small matrix product then takes ten times as long with two threads as with one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
