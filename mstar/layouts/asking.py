"""How a question is put to the policy."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_uppercase

from mstar.layouts.layout import Question


@dataclass(frozen=True)
class Asking:
    r"""Words around a question, the same for every benchmark.

    The default is how MathVista asks (evaluation/build_query.py of github.com/lupantech/MathVista), without its hint:
    how to write the answer is said by ``model.instruction``, after the question. MathV360K, which M-STaR trains on,
    writes its choices the same way.

    >>> print(Asking().text(Question("How long?", "", "B", ("1", "2"), unit="years")))
    How long? (Unit: years)
    Choices:
    (A) 1
    (B) 2
    """

    line: str = "({letter}) {text}"
    """A choice."""
    heading: str = "Choices:"
    """Line before the choices; empty for none."""
    unit: str = " (Unit: {unit})"
    """Behind the question, where the data set gives a unit."""
    context: str = "{context}\n"
    """Before the question, where the data set gives a context or a hint."""

    def text(self, question: Question) -> str:
        """The whole question."""
        context = self.context.format(context=question.context) if question.context else ""
        unit = self.unit.format(unit=question.unit) if question.unit else ""
        choices = [self.line.format(letter=a, text=b) for a, b in zip(ascii_uppercase, question.choices, strict=False)]
        heading = [self.heading] if choices and self.heading else []
        return "\n".join([f"{context}{question.text}{unit}", *heading, *choices])
