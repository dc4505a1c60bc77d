"""Benchmarks as their authors publish them: a reader for each layout, and one way of asking for all."""

from mstar.benchmarks.benchmark import Benchmark
from mstar.benchmarks.held_out import HeldOut
from mstar.benchmarks.mathv360k import MathV360K
from mstar.layouts.asking import Asking
from mstar.layouts.conversation import Conversation
from mstar.layouts.inline_choices import InlineChoices
from mstar.layouts.layout import Layout, Question
from mstar.layouts.lettered_columns import LetteredColumns
from mstar.layouts.listed_choices import ListedChoices
from mstar.layouts.mathvista import MathVista
from mstar.prompts.rows import Rows

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
