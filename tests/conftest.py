"""The same surroundings for every test: no network, one thread, nothing that spins."""

from __future__ import annotations

import os

# Before torch, and here rather than in a fixture: OpenMP and tokenizers read them once, at import.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
# LightningCLI 2.6 calls what jsonargparse 4.49 deprecated; mstar.cli does the same for users.
os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"

import torch

torch.set_num_threads(1)
