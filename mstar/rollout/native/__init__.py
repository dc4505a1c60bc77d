"""The native rollout engine."""

from mstar.rollout.native.engine import NativeEngine

__all__ = ["NativeEngine"]
