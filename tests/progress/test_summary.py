"""The page at an iteration's end: on one screen, with what was kept and why not the rest."""

from __future__ import annotations

from dataclasses import replace

from mstar.progress.summary import summary
from mstar.selection import KeepCorrect, RandomK, select_all
from mstar.types import Group
from tests.groups import make_group


def groups() -> list[Group]:
    made = [
        make_group("a", "++-", kind="sum"),
        make_group("b", "n--", kind="range"),
        make_group("c", "+++", kind="sum"),
    ]
    return select_all([KeepCorrect(), RandomK(2)], made, seed=0)


def page(found: list[Group], **metrics: float) -> str:
    return summary(3, found, metrics, {"rollout": 61.0, "training": 9.6, "scoring": 0.2}, {"d": "unreadable: x.png"})


def test_the_page_has_everything() -> None:
    found = page(groups(), **{"rollout/pass@2": 0.5, "rollout/reward_pass@2": 0.4, "val/accuracy": 0.25})
    assert found.splitlines() == [
        "iteration 3 | 9 responses to 3 prompts at temperature 1 | accepted 4 (44.4 %), of 66.7 % of the prompts",
        "  sampled         pass@2 50.0 · reward-pass@2 40.0",
        "  validation      accuracy 25.0",
        "  kept by type    sum 4 · range 0",
        "  dropped because wrong answer 3 · no answer 1 · not drawn 1",
        "  not asked       unreadable 1",
        "  time            rollout 1:01 · training 0:10",
    ]


def test_a_hundred_kinds_and_a_hundred_reasons_are_one_screen() -> None:
    many = [make_group(str(number), "+-", kind=f"a kind with a long name, number {number}") for number in range(100)]
    mine = [
        replace(g, rollouts=tuple(replace(r, kept=False, why=f"reason number {g.name} of many") for r in g))
        for g in many
    ]
    shown = page(mine).splitlines()
    assert len(shown) <= 30 and max(map(len, shown)) <= 120
    assert "92 others" in "\n".join(shown)


def test_nothing_on_the_page_commands_the_terminal() -> None:
    evil = make_group("a", "+-", kind="\x1b[2J\nsum")
    mine = [replace(evil, rollouts=tuple(replace(r, kept=False, why="\x1b]0;owned\x07") for r in evil))]
    assert "\x1b" not in page(mine) and "\x07" not in page(mine)
