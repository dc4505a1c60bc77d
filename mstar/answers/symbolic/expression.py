r"""Equality of mathematical expressions: at once where text or numbers decide, else by math-verify in a worker."""

from __future__ import annotations

import re
from functools import lru_cache

from mstar.answers.kinds.quantity import quantity, same_number
from mstar.answers.plain import normalized
from mstar.answers.symbolic.pool import WorkerPool

SPACE = re.compile(r"\s+|\\[,;:! ]|\\left|\\right|\\displaystyle|\\d?(?=frac)")


def same_expression(answer: str, reference: str) -> bool | None:
    r"""Whether two expressions are equal as mathematics.

    Equal texts and numbers are decided here, in microseconds. The rest is asked of ``math_verify.verify(gold, answer)``
    (the gold comes first: the order matters to it), which runs in a worker process with a hard limit of time and of
    memory, so that the limit works on any thread.

    Returns:
        ``None`` if the reference cannot be read.

    Raises:
        WorkerError: If the comparison took too long or too much memory. It is neither right nor wrong.

    >>> same_expression(r"\frac{1}{2}", "0.5"), same_expression(r" x^2 + 1", "x^2+1")
    (True, True)
    """
    if SPACE.sub("", answer) == SPACE.sub("", reference) or normalized(answer) == normalized(reference):
        return True
    right, given = quantity(reference), quantity(answer)
    if right is not None and given is not None and right.pi == given.pi:
        return same_number(answer, reference)
    return _asked(answer, reference)


@lru_cache(maxsize=16_384)
def _asked(answer: str, reference: str) -> bool | None:
    """The worker's word, once for each pair: policies repeat themselves, and math-verify takes milliseconds."""
    return POOL.verify(reference, answer)


POOL = WorkerPool()
"""The workers of this process; none is started before the first question that needs one."""
