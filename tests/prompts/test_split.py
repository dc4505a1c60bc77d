"""No image is on two sides of a split."""

from __future__ import annotations

import json
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mstar.benchmarks import Benchmark
from mstar.layouts import ListedChoices
from mstar.prompts import DatasetPrompts, Joined, Shuffled, Split, Subset, Unlabelled
from mstar.prompts.contents import Contents, contents_of, digest
from mstar.prompts.ids import Index, twins
from mstar.prompts.rows import Rows
from mstar.prompts.split import bounds, leaders_of
from mstar.prompts.stored import StoredImages
from mstar.prompts.unusable import UnusablePromptError
from mstar.types import Prompt, PromptSource

PARTS = {"train": 0.6, "validation": 0.2, "test": 0.2}
NUM_IMAGES = 60


class Memory:
    """Prompts from memory."""

    def __init__(self, *prompts: Prompt) -> None:
        self.prompts = prompts

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, index: int, /) -> Prompt:
        return self.prompts[index]


@pytest.fixture
def source(tmp_path: Path) -> DatasetPrompts:
    """Sixty pictures, each in two files and under several ids; some prompts show two, some none."""
    rows = []
    for number in range(NUM_IMAGES):
        picture = Image.fromarray(np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8))
        for copy in ("a", "b"):
            picture.save(tmp_path / f"{number}{copy}.png")
            rows.append({"question": f"what is {copy}?", "images": f"{number}{copy}.png"})
        if number % 10 == 0:
            rows.append({"question": "which?", "images": [f"{number}b.png", f"{(number + 7) % NUM_IMAGES}a.png"]})
        rows.append({"question": f"{number % 20} + 1?", "images": None})
        rows.append({"question": f"  {number % 20} + 1? ", "images": []})
    order = np.random.default_rng(0).permutation(len(rows))
    (tmp_path / "q.jsonl").write_text("".join(json.dumps({"id": f"q{i}", **rows[i]}) + "\n" for i in order))
    return DatasetPrompts(str(tmp_path / "q.jsonl"))


def shown(source: PromptSource) -> set[bytes | str]:
    """Pixels of all images, and the questions that have none."""
    prompts = [source[i] for i in range(len(source))]
    pixels = {image.tobytes() for prompt in prompts for image in prompt.images}
    return pixels | {prompt.question.strip() for prompt in prompts if not prompt.images}


@pytest.mark.parametrize("seed", range(5))
def test_parts_share_no_image_no_question_and_no_id(source: DatasetPrompts, seed: int) -> None:
    parts = [Split(source, part, PARTS, seed) for part in PARTS]
    for one, other in combinations(parts, 2):
        assert not shown(one) & shown(other) and not set(one.ids()) & set(other.ids())
    assert sum(map(len, parts)) == len(source) and all(parts)


def test_a_part_is_about_as_large_as_asked_for() -> None:
    prompts = Memory(*(Prompt(str(i), f"what is {i}?") for i in range(4000)))
    for part, share in PARTS.items():
        assert abs(len(Split(prompts, part, PARTS, 1)) / 4000 - share) < 0.03


def test_an_image_stays_where_it_is_whatever_else_there_is(source: DatasetPrompts) -> None:
    where = {name: part for part in PARTS for name in Split(source, part, PARTS, 3).ids()}
    pairs = {i for i in range(len(source)) if len(source[i].images) == 2}
    linked = {image.tobytes() for i in pairs for image in source[i].images}
    for part in PARTS:
        half = Split(Subset(source, 0, len(source) // 2), part, PARTS, 3)
        alone = [p for p in (half[i] for i in range(len(half))) if not {im.tobytes() for im in p.images} & linked]
        assert alone and all(where[prompt.id] == part for prompt in alone)


def test_wrapped_sources_are_divided_as_they_are(source: DatasetPrompts) -> None:
    whole = set(Split(source, "test", PARTS).ids())
    wrapped = (Unlabelled(source), Shuffled(source, 5), Joined([Subset(source, 0, 9), Subset(source, 9)]))
    assert all(set(Split(other, "test", PARTS).ids()) == whole for other in wrapped)


def test_other_seeds_divide_otherwise(source: DatasetPrompts) -> None:
    assert len({tuple(Split(source, "test", PARTS, seed).ids()) for seed in range(4)}) == 4


def test_prompts_of_one_id_stay_together() -> None:
    for seed in range(20):
        twice = Memory(Prompt("same", "a?"), Prompt("same", "b?"), *(Prompt(str(i), f"{i}?") for i in range(50)))
        parts = [Split(twice, part, PARTS, seed) for part in PARTS]
        assert sum("same" in list(part.ids()) for part in parts) == 1


def test_what_chains_together_stays_together() -> None:
    contents = Contents.of([[5], [5, 3], [3, 9], [9], [4]])
    assert leaders_of(contents, list("abcde")).tolist() == [3, 3, 3, 3, 4]
    assert leaders_of(contents, list("abcda")).tolist() == [3, 3, 3, 3, 3]


@pytest.mark.parametrize("seed", range(20))
def test_prompts_are_led_by_the_least_that_they_reach(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shown = [rng.integers(1, 30, rng.integers(1, 4)).tolist() for _ in range(15)]
    ids = [str(number) for number in rng.integers(0, 40, len(shown))]
    groups = [({*row, name}) for row, name in zip(shown, ids, strict=True)]
    for one, other in [*combinations(groups, 2)] * len(groups):  # long enough for any chain
        if one & other:
            one |= other
            other |= one
    least = [min(key for key in group if isinstance(key, int)) for group in groups]
    assert leaders_of(Contents.of(shown), ids).tolist() == least


def test_what_another_source_shows_is_kept_apart(source: DatasetPrompts) -> None:
    stored = Subset(source, 0, 6)
    kept = Split(source, "train", {"train": 1.0}, apart=[stored])
    assert not shown(kept) & shown(stored) and 0 < len(kept) < len(source) - 6


def test_a_benchmark_is_kept_apart_by_its_stored_images(source: DatasetPrompts) -> None:
    test = Path(source.path).with_name("t.jsonl")
    test.write_text(json.dumps({"id": "t", "question": "what?", "image": "3a.png", "answer": "1", "choices": None}))
    layout = ListedChoices(id="id", question="question", choices="choices", answer="answer", image="image")
    benchmark = Benchmark(Rows(str(test)), layout)
    kept = Split(source, "train", {"train": 1.0}, apart=[benchmark])
    assert not shown(kept) & shown(benchmark) and 0 < len(kept) < len(source)
    with pytest.raises(ValueError, match=r"Split tells images by the bytes .* Give them all as DatasetPrompts"):
        Split(source, "train", {"train": 1.0}, apart=[Memory(benchmark[0])])
    with pytest.raises(ValueError, match="Split tells images by the bytes"):
        Split(Joined([source, Memory(benchmark[0])]), "train")


def test_a_source_that_is_read_one_by_one_may_have_prompts_that_cannot_be_asked() -> None:
    class Broken(Memory):
        def __getitem__(self, index: int, /) -> Prompt:
            if index == 1:
                raise UnusablePromptError("b", "row 1: no image")
            return super().__getitem__(index)

    found = contents_of(Broken(*(Prompt(name, "what?") for name in "abc")))
    assert found.first[0] == found.first[2] != found.first[1] and not found.decoded


def test_one_part_ends_where_the_next_begins() -> None:
    parts = dict.fromkeys("abcdefghij", 0.1)
    edges = [bounds(part, parts) for part in parts]
    assert all(one[1] == other[0] for one, other in pairwise(edges)) and edges[0][0] == 0


def test_digests_are_kept_until_a_file_changes(source: DatasetPrompts, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents_of(source)

    def refuse(*_: object) -> int:
        raise AssertionError("an image was read again")

    with monkeypatch.context() as patched:
        patched.setattr(StoredImages, "_file_digest", refuse)
        again = contents_of(DatasetPrompts(source.path))
    assert (again.digests == before.digests).all() and (again.counts == before.counts).all()
    Image.new("RGB", (4, 4)).save(Path(source.path).parent / "0a.png")
    changed = contents_of(DatasetPrompts(source.path))
    assert (changed.digests != before.digests).sum() == 1


def test_an_image_has_one_digest_in_a_file_and_in_a_table(tmp_path: Path) -> None:
    content = b"any bytes"
    (tmp_path / "a.png").write_bytes(content)
    (tmp_path / "q.jsonl").write_text('{"question": "?", "images": "a.png"}\n{"question": "?", "images": "gone.png"}')
    digests = contents_of(DatasetPrompts(str(tmp_path / "q.jsonl"))).digests
    assert digests[0] == digest(content) != digests[1]


@pytest.mark.parametrize(
    ("part", "parts", "message"),
    [
        ("dev", PARTS, r"Split\.part is 'dev'; give one of Split\.parts: train, validation, test"),
        ("train", {"train": 0.9, "test": 0.2}, "sum to 1 at most"),
        ("train", {"train": 0.9, "test": 0.0}, "shares above 0"),
        ("test", {"train": 0.999999, "test": 1e-9}, r"the part 'test' \(1e-09\) of 2 prompts is empty"),
    ],
)
def test_shares_that_are_none_are_refused(part: str, parts: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Split(Memory(Prompt("a", "a?"), Prompt("b", "b?")), part, parts)


def test_contents_are_taken_by_number() -> None:
    contents = Contents.of([[1], [2, 3], [4], [5, 6, 7]])
    taken = contents.take(np.array([3, 0, 1]))
    assert taken.digests.tolist() == [5, 6, 7, 1, 2, 3] and taken.counts.tolist() == [3, 1, 2]
    assert taken.first.tolist() == [5, 1, 2] and len(taken) == 3


def test_ids_are_found_without_being_held() -> None:
    names = [f"q{i * 7919 % 1000}" for i in range(1000)]
    index = Index(names)
    assert [index.find(name) for name in names] == list(range(1000)) and index.find("q1000") is None
    assert index.among({"q3", "x", names[0]}).tolist() == sorted([0, names.index("q3")])
    assert list(twins(names)) == [] and list(twins([*names, "q3", "x", "q3"])) == [
        (names.index("q3"), 1000),
        (names.index("q3"), 1002),
    ]
