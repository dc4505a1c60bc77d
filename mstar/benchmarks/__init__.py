"""Benchmarks as their authors publish them: a reader for each layout, and one way of asking for all."""

from mstar.benchmarks.asking import Asking
from mstar.benchmarks.benchmark import Benchmark
from mstar.benchmarks.conversation import Conversation
from mstar.benchmarks.held_out import HeldOut
from mstar.benchmarks.inline_choices import InlineChoices
from mstar.benchmarks.layout import Layout, Question
from mstar.benchmarks.lettered_columns import LetteredColumns
from mstar.benchmarks.listed_choices import ListedChoices
from mstar.benchmarks.mathv360k import MathV360K
from mstar.benchmarks.mathvista import MathVista
from mstar.benchmarks.rows import Rows

__all__ = [
    "Asking",
    "Benchmark",
    "Conversation",
    "HeldOut",
    "InlineChoices",
    "Layout",
    "LetteredColumns",
    "ListedChoices",
    "MathV360K",
    "MathVista",
    "Question",
    "Rows",
]
