"""Digests that tell whether rollouts were made from the same policy and prompts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch.distributed.tensor import DTensor

from mstar.types import Prompt


def fingerprint(model: torch.nn.Module) -> str:
    """Digest of all weights held by this rank: names, shapes, types and bytes; 16 hexadecimal digits.

    Reads every byte, about a second a gigabyte: once an iteration, which takes far longer.
    """
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(model.state_dict().items()):
        local = value.to_local() if isinstance(value, DTensor) else value
        digest.update(f"{name}{tuple(local.shape)}{local.dtype}".encode())
        digest.update(local.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def prompt_digest(prompts: Sequence[Prompt]) -> str:
    """Digest of prompts with their images, in order; 16 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=8)
    for prompt in prompts:
        digest.update(repr((prompt.id, prompt.question, prompt.answer)).encode())
        for image in prompt.images:
            digest.update(repr((image.mode, image.size)).encode())
            digest.update(image.tobytes())
    return digest.hexdigest()
