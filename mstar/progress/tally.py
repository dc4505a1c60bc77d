"""What a phase has done so far, how fast, and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mstar.terminal import printable
from mstar.types import Group


@dataclass
class Tally:
    """Counts of a phase. What an earlier run did counts for how far it is, not for how fast."""

    name: str
    total: int
    done: int = 0
    """Of ``total``, what an earlier run did included."""
    unit: str = "groups"
    new: int = 0
    """Done since the phase was begun here."""
    responses: int = 0
    tokens: int | Tensor = 0
    """A tensor is looked at only as it is shown: on a GPU that waits for all that is at work."""
    judged: int = 0
    """Responses with a verdict."""
    right: int = 0
    seconds: float = 0.0
    """Inside the phase."""
    loss: Tensor | None = None

    def add(self, done: int, responses: int = 0, tokens: int | Tensor = 0) -> None:
        """Count."""
        self.done += done
        self.new += done
        self.responses += responses
        self.tokens = self.tokens + tokens

    def add_groups(self, groups: Sequence[Group]) -> None:
        """Count groups with all that is known of their responses."""
        rollouts = [rollout for group in groups for rollout in group]
        self.add(len(groups), len(rollouts), sum(len(rollout.tokens) for rollout in rollouts))
        self.judged += sum(rollout.verdict is not None for rollout in rollouts)
        self.right += sum(rollout.correct for rollout in rollouts)

    @property
    def complete(self) -> bool:
        """Whether nothing is left."""
        return self.done >= self.total

    @property
    def left(self) -> float | None:
        """Seconds to go at the speed so far; ``None`` while there is none."""
        return self.seconds * (self.total - self.done) / self.new if self.new else None


def told(tally: Tally) -> str:
    """A phase in a line.

    >>> told(Tally("rollout", 500, done=120, new=20, responses=80, tokens=4000, judged=80, right=20, seconds=10))
    'rollout 120/500 groups (24 %), 8 responses/s, 400 tokens/s, 25 % right, 3:10 left'
    >>> told(Tally("rollout", 500, done=500, new=20, seconds=10))
    'rollout 500/500 groups in 0:10'
    """
    share = "" if tally.complete else f" ({100 * tally.done / max(tally.total, 1):.0f} %)"
    parts = [f"{tally.name} {tally.done:,}/{tally.total:,} {tally.unit}{share}"]
    if tally.complete:
        parts[0] += f" in {clock(tally.seconds)}"
    counts = {"responses": tally.responses, "tokens": int(tally.tokens)}
    parts += [f"{rate(n / tally.seconds)} {what}/s" for what, n in counts.items() if n and tally.seconds > 0]
    if tally.judged:
        parts.append(f"{100 * tally.right / tally.judged:.0f} % right")
    if tally.loss is not None:
        parts.append(f"loss {float(tally.loss):.4g}")
    if not tally.complete and tally.left is not None:
        parts.append(f"{clock(tally.left)} left")
    return printable(", ".join(parts), keep="")


def told_all(tallies: Sequence[Tally]) -> str:
    """A phase, and within it another one, in a line.

    >>> told_all([Tally("temperature search", 30, done=10), Tally("rollout", 10)])
    'temperature search 10/30 groups (33 %) | rollout 0/10 groups (0 %)'
    """
    return " | ".join(map(told, tallies))


def rate(value: float) -> str:
    """A rate with three digits, or all of its whole part.

    >>> rate(0.123), rate(8.0), rate(12345.6)
    ('0.123', '8', '12,346')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def clock(seconds: float) -> str:
    """A time as people read it.

    >>> clock(9.4), clock(190), clock(7322)
    ('0:09', '3:10', '2:02:02')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
