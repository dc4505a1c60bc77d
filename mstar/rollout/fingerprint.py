"""Digests that tell whether rollouts were made from the same policy and prompts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import distributed
from torch.distributed.tensor import DTensor

from mstar.types import Prompt


def fingerprint(model: torch.nn.Module) -> str:
    """Digest of all weights: names, shapes, types and bytes; 16 hexadecimal digits, the same on all ranks.

    Every rank calls this. Sharded weights (``DTensor``) are put together one at a time, so that their digest is that
    of the same weights on one device; where ranks hold different parts otherwise, theirs are digested together.
    Reads every byte, about a second a gigabyte: once an iteration, which takes far longer.
    """
    own = _digest(model, whole=True)
    if not (distributed.is_available() and distributed.is_initialized()):
        return own
    mine = torch.tensor(list(bytes.fromhex(own)), dtype=torch.uint8, device=next(model.parameters()).device)
    every = [torch.empty_like(mine) for _ in range(distributed.get_world_size())]
    distributed.all_gather(every, mine)
    found = [bytes(each.tolist()) for each in every]
    return own if len(set(found)) == 1 else hashlib.blake2b(b"".join(found), digest_size=8).hexdigest()


def own_fingerprint(model: torch.nn.Module) -> str:
    """Digest of the weights that this rank holds, to tell whether they have changed; no other rank is waited for."""
    return _digest(model, whole=False)


def _digest(model: torch.nn.Module, whole: bool) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(held(model).items()):
        if isinstance(value, DTensor):
            value = value.full_tensor() if whole else value.to_local()
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        copied = value.detach().to("cpu", copy=True)  # numpy would pin the storage, which FSDP2 frees
        digest.update(copied.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def held(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The model's ``state_dict``; asked for itself, sharded weights would give away what is gathered."""
    state: dict[str, torch.Tensor] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        module._save_to_state_dict(state, f"{name}." if name else "", keep_vars=False)
    return state


def prompt_digest(prompts: Sequence[Prompt]) -> str:
    """Digest of prompts with their images, in order; 16 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=8)
    for prompt in prompts:
        digest.update(repr((prompt.id, prompt.question, prompt.answer)).encode())
        for image in prompt.images:
            digest.update(repr((image.mode, image.size)).encode())
            digest.update(image.tobytes())
    return digest.hexdigest()
