"""The parts that a vision-language model is made of, found by asking the model."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import PreTrainedModel

from mstar.modules.families import family_of, part_of


def language_layers(model: PreTrainedModel) -> list[str]:
    """Names of the linear layers of the language model, the output layer left out.

    Those within its decoder, but for what the family's vision tower and projector keep there, as Phi's do.

    >>> from mstar.demo.tiny import TinyLlava
    >>> model, _ = TinyLlava(hidden_size=16, num_layers=1, mlp_size=16, num_heads=2, num_kv_heads=1).load()
    >>> language_layers(model)[0], len(language_layers(model))
    ('model.language_model.layers.0.self_attn.q_proj', 7)
    """
    family = family_of(model)
    inside = {id(module) for module in model.get_decoder().modules() if isinstance(module, nn.Linear)}
    found = [name for name, module in model.named_modules() if id(module) in inside]
    return [name for name in found if part_of(family, name) not in ("vision_tower", "projector")]


def outside_language(model: PreTrainedModel) -> list[str]:
    """Names of the largest parts with linear layers, none the language model's: towers, projector, output layer."""
    return _outside(model, [f"{name}." for name in language_layers(model)], "")


def _outside(module: nn.Module, layers: list[str], prefix: str) -> list[str]:
    found = []
    for name, child in module.named_children():
        path = f"{prefix}{name}."
        if any(layer.startswith(path) for layer in layers):
            found += _outside(child, layers, path)
        elif any(isinstance(part, nn.Linear) for part in child.modules()):
            found.append(path[:-1])
    return found


def blocks(model: PreTrainedModel) -> list[tuple[nn.Module, str, nn.Module]]:
    """The blocks that the towers repeat, each with the module that holds it and its name there; outermost ones only.

    Those that transformers itself keeps whole when it spreads a model (``_no_split_modules``).
    """
    kinds: set[str] = set(_whole(model))
    layers = {id(layer) for layer in getattr(model.get_decoder(), "layers", ())}
    return _blocks(model, kinds, layers)


def _whole(model: Any) -> list[str]:
    return list(model._no_split_modules or ())


def _blocks(module: nn.Module, kinds: set[str], layers: set[int]) -> list[tuple[nn.Module, str, nn.Module]]:
    found = []
    for name, child in module.named_children():
        in_list = isinstance(module, nn.ModuleList)
        if in_list and (type(child).__name__ in kinds or id(child) in layers):
            found.append((module, name, child))
        else:
            found += _blocks(child, kinds, layers)
    return found
