"""Callbacks that watch a run or write down its result."""

from mstar.callbacks.benchmark_report import BenchmarkReport
from mstar.callbacks.exploration import ExplorationMonitor
from mstar.callbacks.export import Export
from mstar.callbacks.parity import ParityGate
from mstar.callbacks.progress import Progress
from mstar.callbacks.samples import Samples

__all__ = ["BenchmarkReport", "ExplorationMonitor", "Export", "ParityGate", "Progress", "Samples"]
