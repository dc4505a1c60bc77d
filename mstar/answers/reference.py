"""What an answer is held against: the reference and how the data set wants it compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mstar.types import Prompt


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference answer with its type and the data set's own rules for it."""

    answer: str
    """As the data set writes it."""
    kind: str = "text"
    """``choice``, ``integer``, ``float``, ``list``, ``text``, ``expression``, ``interval``, ``set``, ``boxes``,
    ``spans``, ``edit`` or ``label``."""
    choices: tuple[str, ...] = ()
    """Options of a choice; the labels that a label is one of."""
    precision: int | None = None
    """Decimal places that count in a float; ``None`` compares exactly."""
    tolerance: float = 0.0
    """Share of the reference by which a number may differ, >= 0 (ChartQA: 0.05)."""
    unit: str | None = None
    """What the reference is measured in, if it does not say so itself."""
    threshold: float = 1.0
    """Degree in [0, 1] from which an answer is correct; below 1 only where degrees lie between."""


THRESHOLDS = {"boxes": 0.5, "spans": 0.5}


def reference(prompt: Prompt) -> Reference:
    """Read a prompt's reference, and how to compare it.

    That is ``answer_type``, ``choices``, ``precision``, ``tolerance``, ``unit`` and ``threshold`` of ``prompt.meta``,
    as MathVista names the ones it has; all may be missing or ``None``.

    A prompt with choices asks for a choice whatever its ``answer_type``, except for ``label``.
    """
    meta, choices = prompt.meta, listed(prompt.meta.get("choices"))
    kind = str(meta.get("answer_type") or "text")
    if choices and kind != "label":
        kind = "choice"
    return Reference(
        prompt.answer or "",
        kind,
        choices,
        _number(meta, "precision", int),
        _number(meta, "tolerance", float) or 0.0,
        None if meta.get("unit") is None else str(meta["unit"]),
        _number(meta, "threshold", float) or THRESHOLDS.get(kind, 1.0),
    )


def listed(values: Sequence[Any] | None) -> tuple[str, ...]:
    """Options as text; none for ``None``."""
    return tuple(map(str, values)) if values is not None else ()


def _number(meta: Mapping[str, Any], name: str, read: Any) -> Any:
    value = meta.get(name)
    return None if value is None else read(value)
