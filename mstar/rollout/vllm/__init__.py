"""The vLLM engine, an optional extra: the same face as the native one."""

from mstar.rollout.vllm.vllm_engine import VllmEngine

__all__ = ["VllmEngine"]
