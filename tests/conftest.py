"""The same surroundings for every test: no network, one thread, nothing that spins."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Before torch, and here rather than in a fixture: OpenMP and tokenizers read them once, at import.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
# What is read is kept by path and time of modification; nothing of a test is to outlive it.
os.environ["HF_DATASETS_CACHE"] = tempfile.mkdtemp(prefix="mstar-tests-")
# LightningCLI 2.6 calls what jsonargparse 4.49 deprecated; mstar.cli does the same for users.
os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"

import torch

torch.set_num_threads(1)
atexit.register(shutil.rmtree, os.environ["HF_DATASETS_CACHE"], ignore_errors=True)
