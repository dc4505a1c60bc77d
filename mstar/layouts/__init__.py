"""Layouts: how data sets write a question down, for benchmarks and for what is trained on."""

from mstar.layouts.asking import Asking
from mstar.layouts.columns import Columns
from mstar.layouts.conversation import Conversation
from mstar.layouts.inline_choices import InlineChoices
from mstar.layouts.layout import Layout, Question
from mstar.layouts.lettered_columns import LetteredColumns
from mstar.layouts.listed_choices import ListedChoices
from mstar.layouts.mathvista import MathVista
from mstar.layouts.turns import Turns

__all__ = [
    "Asking",
    "Columns",
    "Conversation",
    "InlineChoices",
    "Layout",
    "LetteredColumns",
    "ListedChoices",
    "MathVista",
    "Question",
    "Turns",
]
