"""A tiny policy for tests, with random weights."""

from __future__ import annotations

from mstar.demo.tiny import TinyLlava
from mstar.modules.policy import PolicyModule


def backbone() -> TinyLlava:
    """The smallest vision-language model that still attends to its picture."""
    return TinyLlava(hidden_size=32, num_layers=2, mlp_size=32, num_heads=2, num_kv_heads=1, vision_mlp_size=32)


def policy() -> PolicyModule:
    """A loaded policy."""
    module = PolicyModule(backbone())
    module.configure_model()
    return module
