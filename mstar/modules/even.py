"""An optimizer step that is the same on every rank: the same calls of the model, and a mean over all ranks' tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel

from mstar.modules.logprobs import on_device
from mstar.modules.packing import OURS, pack
from mstar.modules.renderer import Inputs, Renderer, placeholders
from mstar.modules.tree import TREE
from mstar.types import Prompt

COUNTS = ("num_tokens", "num_responses", "num_steps")
"""What losses are divided by, as far as a batch has it."""

Weighed = tuple[Inputs, float]
"""A part, and 1, or 0 for one that is computed only because other ranks compute one."""


def even(
    batch: Sequence[Inputs], gather: Callable[[Tensor], Tensor], model: PreTrainedModel, renderer: Renderer
) -> list[Weighed]:
    """This rank's parts as all ranks agree on them.

    *Calls.* Sharded strategies wait for every rank in every layer, so ranks with fewer parts repeat one at weight 0.
    A layer that is not called waits too, or gets no gradient, which DDP does not allow: so parts with images stand
    behind those without, each rank has as many of either kind, and a model that sees has at least one with images.

    *Means.* DDP and FSDP average gradients over ranks. Counts are averaged likewise, so that the step's loss is the
    mean over the tokens of all ranks and not a mean of means: the same as one rank's that had the whole batch.

    Args:
        batch: At least one part.
        gather: Stacks a tensor of all ranks, ``(n,)`` to ``(ranks, n)``.
        model: What parts are for.
        renderer: The model's.
    """
    counts = [name for name in COUNTS if name in batch[0]]
    kinds = [[part for part in batch if has_images(part) is kind] for kind in (False, True)]
    sizes = torch.stack([batch[0][name].float() for name in counts]) if counts else torch.zeros(0)
    device = batch[0]["input_ids"].device
    own = torch.tensor([len(parts) for parts in kinds], device=device, dtype=torch.float32)
    every = gather(torch.cat([own, sizes.to(device)])).reshape(-1, 2 + len(counts))
    most = [int(number) for number in every[:, :2].max(0).values]
    most[1] = max(most[1], int(bool(placeholders(model))))
    means = dict(zip(counts, every[:, 2:].mean(0), strict=True))
    return [
        ({**part, **means}, weight)
        for images, parts, number in zip((False, True), kinds, most, strict=True)
        for part, weight in filled(parts, number, batch[0], images, model, renderer)
    ]


def filled(
    parts: Sequence[Inputs], number: int, other: Inputs, images: bool, model: PreTrainedModel, renderer: Renderer
) -> list[Weighed]:
    """Parts of one kind, with as many more at weight 0 as make ``number``; ``other`` is any part."""
    missing = number - len(parts)
    if not missing:
        return [(part, 1.0) for part in parts]
    offered = parts or [spare(other, images, model, renderer)]
    smallest = min(offered, key=lambda part: part["input_ids"].numel())
    return [*[(smallest, 0.0)] * missing, *((part, 1.0) for part in parts)]


def spare(other: Inputs, images: bool, model: PreTrainedModel, renderer: Renderer) -> Inputs:
    """A part with one response, the longest of ``other``, behind a prompt with or without an image."""
    row = int((other["labels"] >= 0).sum(1).argmax())
    side = _side(model)
    prompt = Prompt("spare", "?", (Image.new("RGB", (side, side)),) if images else ())
    tokens = other["labels"][row]
    (made,) = pack(renderer, [(prompt, tokens[tokens >= 0].tolist())], 1, share=False)
    rest = {name: value[row : row + 1] if value.dim() else value for name, value in other.items() if name in OURS}
    return {**rest, **on_device(model, made)}


def has_images(part: Inputs) -> bool:
    """Whether a part holds more than sequences and what is said of its responses."""
    size = part["input_ids"].shape
    return any(value.shape[:2] != size for name, value in part.items() if name not in OURS and name not in TREE)


def _side(model: PreTrainedModel) -> int:
    """Side in pixels of a picture that the model can be shown."""
    size = (model.config.to_dict().get("vision_config") or {}).get("image_size")
    return size if isinstance(size, int) else 64
