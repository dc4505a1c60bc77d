from __future__ import annotations

import json
from dataclasses import replace

import pytest
from jsonargparse import ArgumentParser

from mstar.prompts import Answered, Joined, ListedPrompts, MixIn, OrderedWalk, PromptPool, Subset, Unlabelled, Unsolved
from mstar.prompts.ordered_walk import length_of
from mstar.types import Prompt
from tests.groups import make_group


class Letters:
    """A source of prompts a, b, c, …, that counts how often it is read."""

    def __init__(self, num: int = 10) -> None:
        self.num = num
        self.reads = 0

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, index: int, /) -> Prompt:
        self.reads += 1
        return Prompt("abcdefghijklmnopqrstuvwxyz"[index], "?")


class ListedLetters(ListedPrompts):
    """The same, with its ids at hand."""

    def __init__(self, num: int = 10) -> None:
        self.letters = Letters(num)

    def __len__(self) -> int:
        return len(self.letters)

    def __getitem__(self, index: int, /) -> Prompt:
        return self.letters[index]

    def ids(self) -> list[str]:
        return list("abcdefghijklmnopqrstuvwxyz"[: len(self)])


def walked(pool: PromptPool, *iterations: int) -> list[str]:
    return ["".join(prompt.id for prompt in pool.prompts(iteration)) for iteration in iterations]


def solve(pool: PromptPool, solved: str, failed: str = "") -> None:
    pool.update([*(make_group(name, "-+") for name in solved), *(make_group(name, "-nu?") for name in failed)])


@pytest.mark.parametrize(
    ("interval", "intervals"),
    [
        (4, ["abcd", "efgh", "ij", "abcd"]),
        (5, ["abcde", "fghij", "abcde", "fghij"]),
        (1, ["a", "b", "c", "d"]),
        (99, ["abcdefghij"] * 4),
        (1.0, ["abcdefghij"] * 4),
        (0.25, ["abc", "def", "ghi", "j"]),
        (0.01, ["a", "b", "c", "d"]),
    ],
)
def test_the_walk_goes_in_order_with_a_short_end(interval: float, intervals: list[str]) -> None:
    assert walked(OrderedWalk(Letters(), interval), 0, 1, 2, 3) == intervals


@pytest.mark.parametrize("num", range(1, 40))
@pytest.mark.parametrize("parts", [1, 2, 4, 7])
def test_a_share_never_takes_more_iterations_than_it_says(num: int, parts: int) -> None:
    length = length_of(1 / parts, num)
    assert -(-num // length) <= parts


@pytest.mark.parametrize("num", range(1, 12))
@pytest.mark.parametrize("interval", range(1, 13))
def test_every_pass_shows_every_prompt_once(num: int, interval: int) -> None:
    pool = OrderedWalk(Letters(num), interval)
    rounds = -(-num // pool.interval)
    for begin in (0, rounds):
        assert "".join(walked(pool, *range(begin, begin + rounds))) == "abcdefghijklmnopqrstuvwxyz"[:num]


@pytest.mark.parametrize("pool_class", [OrderedWalk, Unsolved])
@pytest.mark.parametrize("interval", [0, -1, 0.0, 1.5, 2.5, -0.5, float("nan")])
def test_an_interval_that_is_neither_count_nor_share_is_refused(
    pool_class: type[OrderedWalk] | type[Unsolved], interval: float
) -> None:
    with pytest.raises(ValueError, match="a number of prompts, or a share"):
        pool_class(Letters(), interval)


def test_an_empty_source_is_refused() -> None:
    with pytest.raises(ValueError, match=r"prompts\.source is empty"):
        OrderedWalk(Letters(0))


@pytest.mark.parametrize(("written", "length"), [("1", 1), ("1.0", 10), ("3", 3), ("0.25", 3)])
def test_a_config_tells_one_from_all(written: str, length: int) -> None:
    parser = ArgumentParser()
    parser.add_argument("--interval", type=int | float)
    assert length_of(parser.parse_args([f"--interval={written}"]).interval, 10) == length


@pytest.mark.parametrize("pool", [OrderedWalk(Letters(), 4), Unsolved(Letters(), 4)])
def test_asked_twice_a_pool_gives_the_same_answer(pool: PromptPool) -> None:
    assert pool.prompts(1) == pool.prompts(1)
    assert walked(pool, 2, 0, 1, 2)[0] == walked(pool, 2)[0]


def test_the_walk_learns_nothing() -> None:
    pool = OrderedWalk(Letters(), 4)
    solve(pool, "abcd")
    assert pool.state_dict() == {}
    assert walked(pool, 0) == ["abcd"]


def test_solved_prompts_do_not_come_back() -> None:
    pool = Unsolved(Letters(), 4)
    solve(pool, "ac", failed="bd")
    assert walked(pool, 0, 1, 2) == ["bdef", "efgh", "ijbd"]
    solve(pool, "efghij")
    assert walked(pool, 0, 1, 2) == ["bd", "bd", "bd"]


def test_hard_prompts_do_not_keep_the_others_waiting() -> None:
    pool = Unsolved(Letters(), 4)
    seen = set()
    for iteration in range(3):
        (names,) = walked(pool, iteration)
        seen |= set(names)
        solve(pool, "", failed=names)
    assert seen == set("abcdefghij")


def test_told_twice_nothing_changes() -> None:
    once, twice = Unsolved(Letters(), 4), Unsolved(Letters(), 4)
    solve(once, "ad", failed="bc")
    for _ in range(2):
        solve(twice, "ad", failed="bc")
    assert once.state_dict() == twice.state_dict() == {"solved": ["a", "d"]}


def test_state_survives_a_checkpoint() -> None:
    before, after = Unsolved(Letters(), 4), Unsolved(Letters(), 4)
    solve(before, "adg")
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    assert walked(after, 0, 1, 2) == walked(before, 0, 1, 2)


def test_when_all_is_solved_the_error_says_how_to_stop() -> None:
    pool = Unsolved(Letters(3), 2)
    solve(pool, "abc")
    with pytest.raises(RuntimeError, match=r"Lower trainer\.max_epochs to 5"):
        pool.prompts(5)


def test_prompts_are_found_by_id_in_the_order_asked_for() -> None:
    pool = OrderedWalk(Letters(), 4)
    assert [prompt.id for prompt in pool.find(["j", "a", "j"])] == ["j", "a", "j"]
    assert pool.find([]) == []


def test_a_lost_prompt_is_named() -> None:
    with pytest.raises(RuntimeError, match=r"2 prompts of a finished iteration.*'y'"):
        OrderedWalk(Letters(), 4).find(["a", "y", "z"])


def test_ids_are_read_when_first_needed_and_only_once() -> None:
    letters = Letters()
    pool = OrderedWalk(letters, 4)
    assert letters.reads == 0
    pool.find(["a"])
    assert letters.reads == len(letters) + 1
    pool.find(["b"])
    assert letters.reads == len(letters) + 2


@pytest.mark.parametrize("whole", [True, False])
def test_a_source_that_lists_its_ids_is_not_read_for_them(whole: bool) -> None:
    source = ListedLetters()
    pool = Unsolved(source if whole else Subset(source, 1), 4)
    solve(pool, "b")
    assert walked(pool, 0) == ["acde" if whole else "cdef"]
    assert source.letters.reads == 4


def test_two_prompts_of_one_id_are_refused() -> None:
    class Twins(Letters):
        def __getitem__(self, index: int, /) -> Prompt:
            return replace(super().__getitem__(index), id="twin")

    with pytest.raises(ValueError, match="prompts 0 and 1 have the same id 'twin'"):
        OrderedWalk(Twins(), 4).find(["twin"])


@pytest.mark.parametrize(
    ("start", "stop", "names"), [(0, None, "abcdefghij"), (2, 4, "cd"), (-2, None, "ij"), (8, 99, "ij"), (0, -7, "abc")]
)
def test_a_subset_is_a_slice(start: int, stop: int | None, names: str) -> None:
    part = Subset(Letters(), start, stop)
    assert "".join(part[i].id for i in range(len(part))) == "".join(part.ids()) == names
    with pytest.raises(IndexError):
        part[len(part)]


def test_an_empty_subset_is_refused() -> None:
    with pytest.raises(ValueError, match="from 10 to None of 10 prompts is empty"):
        Subset(Letters(), 10)


class Labelled(Letters):
    """Letters with their answers."""

    def __getitem__(self, index: int, /) -> Prompt:
        prompt = super().__getitem__(index)
        return replace(prompt, answer=prompt.id.upper(), cot="because")


def mixed(mixin_at: float = 0.5, ratio: float = 0.5, oracle: bool = False) -> MixIn:
    return MixIn(Subset(Labelled(), 0, 6), Subset(Labelled(), 6), 4, mixin_at, ratio, oracle)


def asked(pool: PromptPool, iteration: int, progress: float) -> str:
    return "".join(prompt.id for prompt in pool.prompts(iteration, progress))


def test_unlabelled_prompts_join_when_their_time_has_come() -> None:
    assert [asked(mixed(), 0, progress) for progress in (0.0, 0.49, 0.5, 1.0)] == ["abcd", "abcd", "abcdgh", "abcdgh"]
    assert [asked(mixed(0.0), iteration, 0.0) for iteration in range(4)] == ["abcdgh", "efij", "abcdgh", "efij"]
    assert asked(mixed(0.0, ratio=9.0), 0, 0.0) == "abcdghij"


@pytest.mark.parametrize("oracle", [False, True])
def test_only_the_oracle_sees_hidden_answers(oracle: bool) -> None:
    pool = mixed(0.0, oracle=oracle)
    answers = {prompt.id: prompt.answer for prompt in pool.prompts(0)}
    assert [answers[name] for name in "ad"] == ["A", "D"]
    assert [answers[name] for name in "gh"] == (["G", "H"] if oracle else [None, None])
    assert [prompt.answer for prompt in pool.find(["a", "g"])] == ["A", "G" if oracle else None]


@pytest.mark.parametrize(("settings", "message"), [({"mixin_at": 1.5}, "mixin_at is 1"), ({"ratio": 0}, "ratio is 0")])
def test_a_mixture_that_makes_no_sense_is_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MixIn(Letters(), Letters(), **settings)  # type: ignore[arg-type]


def test_a_prompt_cannot_be_labelled_and_not() -> None:
    with pytest.raises(ValueError, match="the same id 'a'"):
        MixIn(Letters(), Letters(), 4).find(["a"])


def test_an_unlabelled_prompt_keeps_nothing_that_tells() -> None:
    source = Unlabelled(Labelled())
    assert (source[0].answer, source[0].cot, len(source), list(source.ids())) == (None, None, 10, list("abcdefghij"))


def test_joined_sources_follow_each_other() -> None:
    joined = Joined([Subset(Letters(), 7), Subset(Letters(), 0, 2)])
    assert [joined[i].id for i in range(len(joined))] == list(joined.ids()) == list("hijab")
    for index in (5, -1):
        with pytest.raises(IndexError):
            joined[index]
    with pytest.raises(ValueError, match="give one or more"):
        Joined([])


def test_answers_are_imitated_as_they_are_written() -> None:
    source = Answered(Labelled(), "So: {answer}")
    assert (source[1].cot, source[1].answer, len(source), source.ids()[1]) == ("So: B", "B", 10, "b")
    with pytest.raises(ValueError, match="no reference answer"):
        Answered(Letters())[0]
    with pytest.raises(ValueError, match=r"must say \{answer\}"):
        Answered(Labelled(), "answer")
