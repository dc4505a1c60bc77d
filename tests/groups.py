"""Groups written in a line, for tests of what looks at groups only."""

from __future__ import annotations

from collections.abc import Sequence

from mstar.types import Group, Prompt, Rollout, Verdict

VERDICTS: dict[str, Verdict | None] = {"+": "correct", "-": "wrong", "n": "wrong", "u": "unscorable", "?": None}


def make_group(
    name: str = "p",
    marks: str = "+-",
    rewards: Sequence[float] = (),
    by: str = "process",
    texts: Sequence[str] = (),
    kind: str = "",
) -> Group:
    """A group with one rollout a mark: + correct, - wrong, n without an answer, u unscorable, ? not judged."""
    rollouts = (
        Rollout(
            prompt_id=name,
            index=index,
            text=texts[index] if texts else f"response {index}",
            tokens=(1,) * (index + 1),
            rewards={by: rewards[index]} if rewards else {},
            verdict=VERDICTS[mark],
            answer={"+": "right", "n": None}.get(mark, f"wrong {index}"),
            why="no reference" if mark == "u" else "",
        )
        for index, mark in enumerate(marks)
    )
    return Group(Prompt(name, "?", kind=kind), tuple(rollouts))


def left(group: Group) -> list[int]:
    """Indices of the rollouts that nobody dropped."""
    return [rollout.index for rollout in group if rollout.kept is not False]


def reasons(group: Group) -> list[str]:
    """Why each rollout was kept or dropped."""
    return [rollout.why for rollout in group]
