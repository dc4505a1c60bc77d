from __future__ import annotations

import numpy as np
import pytest

from mstar.demo.glyphs import NUM_SHARED_WRITERS, Split, glyph_pool, label
from mstar.demo.scenes import KINDS, SPLITS, DigitScenes, describe, gold, text_only_floor
from mstar.types import Prompt

HANDWRITTEN: tuple[Split, ...] = ("cot", "prompts", "validation", "test", "ood")


def pixels(prompt: Prompt) -> np.ndarray:
    return np.asarray(prompt.images[0])


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_no_handwriting_is_shared_between_splits(seed: int) -> None:
    pools = [set(glyph_pool(split, seed)) for split in HANDWRITTEN]
    assert [len(pool) for pool in pools] == [150, 700, 150, 300, 397]
    assert len(set.union(*pools)) == sum(map(len, pools))


def test_ood_glyphs_come_from_other_writers_whatever_the_seed() -> None:
    assert min(glyph_pool("ood", 0)) == NUM_SHARED_WRITERS
    assert glyph_pool("ood", 0) == glyph_pool("ood", 1)
    assert glyph_pool("test", 0) != glyph_pool("test", 1)


@pytest.mark.parametrize("split", SPLITS)
def test_a_scene_depends_on_split_seed_and_index_alone(split: Split) -> None:
    once, longer, other = DigitScenes(split, 8, 3), DigitScenes(split, 20, 3), DigitScenes(split, 8, 4)
    for index in (7, 0, 7):
        a, b, c = once[index], longer[index], other[index]
        assert (a.id, a.question, a.answer) == (b.id, b.question, b.answer)
        assert np.array_equal(pixels(a), pixels(b))
        assert not np.array_equal(pixels(a), pixels(c))


@pytest.mark.parametrize("split", SPLITS)
def test_only_seed_sets_have_worked_responses(split: Split) -> None:
    prompts = list(DigitScenes(split, 12))
    assert all((prompt.cot is not None) == (split in ("printed", "cot")) for prompt in prompts)
    assert all(prompt.answer for prompt in prompts)
    assert len({prompt.id for prompt in prompts}) == 12


@pytest.mark.parametrize("split", SPLITS)
def test_gold_responses_read_the_digits_and_end_in_the_answer(split: Split) -> None:
    for prompt in DigitScenes(split, 60, 5):
        reading, *facts, last = gold(prompt.id).splitlines()
        scene = describe(prompt.id)
        assert reading == "{}{}/{}{}".format(*scene.digits)
        assert list(scene.digits) == [label(g) for g in scene.glyphs] or split == "printed"
        assert last == f"Answer: {prompt.answer}"
        assert prompt.cot in (None, gold(prompt.id))
        assert prompt.answer == ",".join(fact.split("=")[1] for fact in facts)
        assert all(eval(fact.replace("=", "==")) for fact in facts)


@pytest.mark.parametrize(
    ("lines", "kind", "facts"),
    [
        ("rows", "sum", ["40/65", "4+0=4", "6+5=11", "Answer: 4,11"]),
        ("columns", "sum", ["40/65", "4+6=10", "0+5=5", "Answer: 10,5"]),
        ("rows", "range", ["40/65", "6-0=6", "Answer: 6"]),
    ],
)
def test_rows_and_columns_are_read_as_the_question_names_them(lines: str, kind: str, facts: list[str]) -> None:
    from dataclasses import replace

    scene = replace(describe("printed-0-000000"), kind=kind, lines=lines, digits=(4, 0, 6, 5))
    assert scene.worked.splitlines() == facts
    assert ("row" in scene.question) == (lines == "rows" and kind != "range")


def test_kinds_take_turns_and_products_have_no_zeros() -> None:
    prompts = list(DigitScenes("ood", 300))
    assert [prompt.kind for prompt in prompts] == [*KINDS] * 100
    assert all(0 not in describe(prompt.id).digits for prompt in prompts if prompt.kind == "prod")
    assert {prompt.meta["answer_type"] for prompt in prompts if prompt.kind == "range"} == {"integer"}
    assert {prompt.meta["answer_type"] for prompt in prompts if prompt.kind != "range"} == {"list"}


def test_pictures_are_small_rgb_and_show_four_marks() -> None:
    image = pixels(DigitScenes("cot", 1)[0])
    assert image.shape == (32, 32, 3)
    cells = image.reshape(2, 16, 2, 16, 3).transpose(0, 2, 1, 3, 4).reshape(4, -1)
    assert (cells.min(axis=1) < 120).all()
    assert (cells.max(axis=1) > 220).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_answers_cannot_be_guessed_from_the_question(seed: int) -> None:
    assert text_only_floor(DigitScenes("prompts", 600, seed), DigitScenes("test", 400, seed)) <= 0.15


def test_the_floor_answers_each_question_with_its_most_frequent_answer() -> None:
    train = [Prompt("0", "q", answer=a) for a in ("1", "2", "2")]
    test = [Prompt("1", "q", answer="2"), Prompt("2", "q", answer="1"), Prompt("3", "never asked", answer="2")]
    assert text_only_floor(train, test) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("split", "num", "seed", "named"),
    [("train", 5, 0, "split is 'train'"), ("cot", 0, 0, "num is 0"), ("cot", 5, -1, "seed is -1")],
)
def test_a_bad_argument_is_named_with_its_value(split: Split, num: int, seed: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        DigitScenes(split, num, seed)


def test_indexing_ends_at_num() -> None:
    scenes = DigitScenes("test", 3)
    assert len(scenes) == len(list(scenes)) == 3
    with pytest.raises(IndexError, match="has 3 scenes"):
        scenes[3]


def test_an_unknown_id_is_refused() -> None:
    with pytest.raises(ValueError, match="not a demo scene"):
        gold("mathvista-0-12")
