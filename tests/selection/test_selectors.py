from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import nan

import pytest

from mstar.selection import (
    AboveThreshold,
    BalancedThreshold,
    Cap,
    Dedup,
    KeepAll,
    KeepCorrect,
    KeepOrigin,
    RandomK,
    Selector,
    TargetSize,
    TopByReward,
    VariedGroups,
    drop,
    select_all,
)
from mstar.types import Group
from tests.groups import left, make_group, reasons

REWARDS = (0.1, 0.9, 0.5, 0.9, 0.2)
EVERY: list[Selector] = [
    KeepAll(),
    KeepCorrect(),
    TopByReward(2, "process"),
    RandomK(2),
    AboveThreshold(0.4, "process"),
    BalancedThreshold("process"),
    Cap(2),
    KeepOrigin("policy"),
    KeepOrigin("rationalize"),
    Dedup(),
    Dedup("steps"),
    TargetSize(4),
    VariedGroups("process"),
]


def select(selector: Selector, *groups: Group, seed: int = 0) -> list[Group]:
    return selector.select(groups, seed)


def test_keep_correct_tells_wrong_from_silent_from_unscorable() -> None:
    (group,) = select(KeepCorrect(), make_group(marks="+-nu?"))
    assert left(group) == [0]
    assert reasons(group) == ["", "wrong answer", "no answer", "unscorable: no reference", "not judged"]


@pytest.mark.parametrize(
    ("k", "rewards", "kept"),
    [
        (1, REWARDS, [1]),
        (2, REWARDS, [1, 3]),
        (3, REWARDS, [1, 2, 3]),
        (9, REWARDS, [0, 1, 2, 3, 4]),
        (2, (0.5,) * 5, [0, 1]),
    ],
)
def test_top_by_reward_keeps_the_best_and_the_earlier_of_equals(
    k: int, rewards: tuple[float, ...], kept: list[int]
) -> None:
    (group,) = select(TopByReward(k, "process"), make_group(marks="+++++", rewards=rewards))
    assert left(group) == kept


def test_top_by_reward_ranks_only_what_is_left() -> None:
    (group,) = select_all([KeepCorrect(), TopByReward(2, "process")], [make_group(marks="+--++", rewards=REWARDS)], 0)
    assert left(group) == [3, 4]
    assert reasons(group) == ["not among the top 2", "wrong answer", "wrong answer", "kept", "kept"]


@pytest.mark.parametrize("selector", [TopByReward(), AboveThreshold(), VariedGroups("product")])
def test_an_unknown_reward_is_answered_with_the_known_ones(selector: Selector) -> None:
    with pytest.raises(ValueError, match=r"by is 'product', but the reward gives \['process'\]"):
        select(selector, make_group(marks="+-", rewards=(0.1, 0.2)))


@pytest.mark.parametrize(
    "selector", [TopByReward(2, "process"), AboveThreshold(0.4, "process"), VariedGroups("process")]
)
def test_a_reward_that_is_not_a_number_selects_nothing(selector: Selector) -> None:
    with pytest.raises(ValueError, match="response 1 to prompt 'p' is not a number"):
        select(selector, make_group(marks="+-", rewards=(0.1, nan)))


def test_above_threshold_wants_more_than_alpha() -> None:
    (group,) = select(AboveThreshold(0.5, "process"), make_group(marks="+++++", rewards=REWARDS))
    assert left(group) == [1, 3]


def test_random_k_draws_every_response_equally_often() -> None:
    drawn = Counter(
        index
        for seed in range(300)
        for group in select(RandomK(2), make_group(marks="++++-"), seed=seed)
        for index in left(group)
    )
    assert sum(drawn.values()) == 600
    assert all(80 < drawn[index] < 160 for index in range(5))  # 120 expected, standard deviation 8.5


def test_random_k_draws_anew_for_each_prompt() -> None:
    drawn = {tuple(left(group)) for group in select(RandomK(1), *(make_group(f"p{i}", "+++++") for i in range(50)))}
    assert len(drawn) == 5


def test_random_k_draws_from_what_is_left_and_takes_all_of_few() -> None:
    (group,) = select_all([KeepCorrect(), RandomK(2)], [make_group(marks="-+--")], 0)
    assert left(group) == [1]


@pytest.mark.parametrize(
    ("by", "texts", "kept"),
    [
        ("text", ["a b", "a  B\n", "b a", "a b"], [0, 2]),
        ("text", ["a\n\nb", "b\n\na", "a b", "c"], [0, 1, 3]),
        ("steps", ["a\n\nb", "b\n\na", "a b", "c"], [0, 2, 3]),
        ("steps", ["a\n\n# Answer\n\n4", "a\n\n# Answer\n\n5", "a\n\n\n# Answer\n\n4", "A\n\n# Answer\n\n4"], [0, 1]),
    ],
)
def test_dedup_keeps_the_first_of_equals(by: str, texts: list[str], kept: list[int]) -> None:
    (group,) = select(Dedup("steps" if by == "steps" else "text"), make_group(marks="++++", texts=texts))
    assert left(group) == kept


def test_dedup_by_steps_leaves_marks_and_order_out() -> None:
    texts = ["1. Add.\n- Read:", "read\nadd", "2.5 + 1\nread", "5 + 1\nread"]
    (group,) = select(Dedup("steps", separator="\n"), make_group(marks="++++", texts=texts))
    assert left(group) == [0, 2, 3]


def test_a_dedup_by_what_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="one of text, steps"):
        Dedup("meaning")  # type: ignore[arg-type]


def test_repeated_responses_stay_unless_dedup_is_asked_for() -> None:
    same = make_group(marks="+++-", texts=["a", "a", "a", "b"], rewards=(0.9, 0.9, 0.9, 0.1))
    for selectors in ([KeepCorrect()], [KeepCorrect(), TopByReward(3, "process")], [KeepCorrect(), Cap(3)]):
        (group,) = select_all(selectors, [same], 0)
        assert [r.index for r in group if r.kept] == [0, 1, 2]
    (group,) = select_all([KeepCorrect(), Dedup()], [same], 0)
    assert [r.index for r in group if r.kept] == [0]


def test_a_cap_keeps_the_first_that_are_left() -> None:
    (group,) = select_all([KeepCorrect(), Cap(2)], [make_group(marks="-++-+")], 0)
    assert reasons(group) == ["wrong answer", "kept", "kept", "wrong answer", "beyond the cap of 2"]


def test_keep_origin_drops_what_did_not_see_the_answer() -> None:
    group = make_group(marks="+-")
    hinted = replace(group, rollouts=(group.rollouts[0], replace(group.rollouts[1], origin="rationalize")))
    (kept,) = select(KeepOrigin(), hinted)
    assert left(kept) == [1] and reasons(kept) == ["made by policy", ""]


def test_dedup_names_the_response_it_repeats() -> None:
    (group,) = select(Dedup(), make_group(marks="+++", texts=["a", "b", "a"]))
    assert reasons(group) == ["", "", "same as response 0"]


@pytest.mark.parametrize(("num", "sizes"), [(1, [1]), (3, [1, 1, 1]), (5, [1, 2, 2]), (6, [1, 2, 3]), (9, [1, 2, 3])])
def test_target_size_takes_from_all_prompts_alike(num: int, sizes: list[int]) -> None:
    groups = [make_group("a", "+"), make_group("b", "++"), make_group("c", "+++")]
    kept = sorted(len(left(group)) for group in select(TargetSize(num), *groups))
    assert [size for size in kept if size] == sizes
    assert sum(kept) == min(num, 6)


def test_target_size_favours_no_prompt() -> None:
    groups = [make_group(name, "+") for name in "abcd"]
    kept = Counter(g.prompt.id for seed in range(400) for g in select(TargetSize(1), *groups, seed=seed) if left(g))
    assert all(60 < kept[name] < 140 for name in "abcd")  # 100 expected, standard deviation 8.7


@pytest.mark.parametrize(
    ("rewards", "dropped", "kept"),
    [
        ((0.0, 0.0, 0.0), {}, []),
        ((0.0, 1.0, 0.0), {}, [0, 1, 2]),
        ((0.0, 1.0, 0.0), {1: "gone"}, []),
        ((1.0, 0, 0), {1: ""}, [0, 2]),
    ],
)
def test_varied_groups_drops_a_group_without_variance(
    rewards: tuple[float, ...], dropped: dict[int, str], kept: list[int]
) -> None:
    (group,) = select(VariedGroups("process"), drop(make_group(marks="+-+", rewards=rewards), dropped))
    assert left(group) == kept


def some_groups() -> list[Group]:
    texts = ["a", "b", "a", "c", "d"]
    return [make_group(f"p{i}", "+-+n+", REWARDS, texts=texts) for i in range(6)]


@pytest.mark.parametrize("selector", EVERY, ids=lambda selector: type(selector).__name__)
def test_the_order_of_prompts_does_not_matter(selector: Selector) -> None:
    groups = some_groups()
    there = {g.prompt.id: left(g) for g in selector.select(groups, 7)}
    back = {g.prompt.id: left(g) for g in selector.select(groups[::-1], 7)}
    assert there == back


@pytest.mark.parametrize("selector", EVERY, ids=lambda selector: type(selector).__name__)
def test_what_is_dropped_stays_dropped_for_its_first_reason(selector: Selector) -> None:
    gone = [drop(group, {1: "first", 3: "first"}) for group in some_groups()]
    for group in selector.select(gone, 0):
        assert not {1, 3} & set(left(group))
        assert [rollout.why for rollout in group if rollout.index in (1, 3)] == ["first", "first"]


def test_dropping_again_keeps_the_first_reason() -> None:
    assert reasons(drop(drop(make_group(marks="+-"), {1: "first"}), {0: "second", 1: "second"})) == ["second", "first"]


@pytest.mark.parametrize("selector", EVERY, ids=lambda selector: type(selector).__name__)
def test_what_stays_is_left_alone(selector: Selector) -> None:
    groups = some_groups()
    for before, after in zip(groups, selector.select(groups, 0), strict=True):
        assert after.prompt is before.prompt
        assert all(new == old for old, new in zip(before, after, strict=True) if new.kept is None)


def test_select_all_decides_on_every_rollout() -> None:
    groups = select_all([KeepCorrect(), Dedup(), TopByReward(1, "process")], some_groups(), 0)
    assert all(rollout.kept is not None and rollout.why for group in groups for rollout in group)


def test_without_selectors_everything_is_kept() -> None:
    assert all(rollout.kept for group in select_all([], some_groups(), 0) for rollout in group)


@pytest.mark.parametrize("make", [lambda: TopByReward(0), lambda: RandomK(0), lambda: TargetSize(0), lambda: Cap(0)])
def test_keeping_none_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match="is 0; give 1 or more"):
        make()
