"""The parts that a vision-language model is made of, found without knowing its family."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import PreTrainedModel


def language_tower(model: PreTrainedModel) -> tuple[str, nn.Module]:
    """The language model, embeddings and blocks without the output layer, and its name within the model.

    >>> from mstar.demo.tiny import TinyLlava
    >>> model, _ = TinyLlava(hidden_size=16, num_layers=1, mlp_size=16, num_heads=2, num_kv_heads=1).load()
    >>> language_tower(model)[0]
    'model.language_model'
    """
    tower = model.get_decoder()
    return next(name for name, module in model.named_modules() if module is tower), tower


def outside_language(model: PreTrainedModel) -> list[str]:
    """Names of the largest parts that hold nothing of the language model: vision tower, projector, output layer."""
    return _outside(model, model.get_decoder(), "")


def _outside(module: nn.Module, tower: nn.Module, prefix: str) -> list[str]:
    found = []
    for name, child in module.named_children():
        if child is tower:
            continue
        inside = any(part is tower for part in child.modules())
        found += _outside(child, tower, f"{prefix}{name}.") if inside else [f"{prefix}{name}"]
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
