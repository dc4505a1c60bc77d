"""Sampling responses and keeping every one of them on disk."""

from mstar.rollout.engine import RolloutEngine
from mstar.rollout.generate import GenerateEngine
from mstar.rollout.native import NativeEngine
from mstar.rollout.vllm import VllmEngine

__all__ = ["GenerateEngine", "NativeEngine", "RolloutEngine", "VllmEngine"]
