"""Files, rows and questions that cannot be read: the line is named before anything is sampled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from mstar.cli import main
from mstar.prompts import DatasetPrompts
from mstar.rewards import OutcomeReward
from mstar.types import Prompt
from tests.bad_input.world import GOOD, SAMPLING, Listed, World, read, write_lines

HOUSE = Path(__file__).parents[1] / "house"
ROW = '{"id": "a", "question": "2+2?", "answer": "4"}\n'
FILES: dict[str, tuple[str, bytes, str]] = {
    "an open brace": (
        ".jsonl",
        (ROW + "{").encode(),
        r"line 2: this is not JSON \(.*\)\. Mend the file: one object a line",
    ),
    "a cut line": (".jsonl", (ROW * 2 + ROW[:20]).encode(), r"line 3: this is not JSON"),
    "single quotes": (".jsonl", (ROW + ROW.replace('"', "'")).encode(), r"line 2: this is not JSON"),
    "two objects a line": (".jsonl", (ROW + ROW.strip() + ", " + ROW).encode(), r"line 2: this is not JSON"),
    "a comma behind": (".jsonl", (ROW.strip() + ",\n" + ROW).encode(), r"line 1: this is not JSON"),
    "a list": (".jsonl", (ROW + "[1, 2]\n").encode(), r"line 2: this is a list, not an object"),
    "a text": (".jsonl", (ROW + '"2+2?"\n').encode(), r"line 2: this is a text, not an object"),
    "a table": (".jsonl", b"id,question\na,2+2?\n", r"line 1: this is not JSON"),
    "zeros": (".jsonl", ROW.encode() + b"\0" * 64, r"line 2: this is not JSON"),
    "far down": (".jsonl", (ROW * 3000 + "{]\n").encode(), r"line 3001: this is not JSON"),
    "nothing": (".jsonl", b"", r"prompts\.jsonl is empty\. Fetch it again"),
    "blank lines": (".jsonl", b"\n\n\n", r"prompts\.jsonl holds no rows"),
    "broken json": (".json", b'[{"question": "a"},\n{"question"}]', r"prompts\.json, line 2: this is not JSON"),
    "no parquet": (".parquet", b"PAR1 and then something else", r"is not a Parquet file .*fetch it again"),
    "an empty parquet": (".parquet", b"", r"is not a Parquet file"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_cannot_be_read_names_its_line(world: World, case: str) -> None:
    suffix, content, message = FILES[case]
    file = world.data / f"prompts{suffix}"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        world.collect(read(file))
    assert world.intact() and not world.stage.folder.exists()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nothing.jsonl", r"There is no file '.*nothing\.jsonl'; give a hub id, or an existing"),
        ("https://example.com/prompts.jsonl", r"There is no file 'https://.*'; download it and give its path"),
    ],
)
def test_a_file_that_is_not_there_is_said_to_be_missing(world: World, path: str, message: str) -> None:
    with pytest.raises(FileNotFoundError, match=message):
        DatasetPrompts(path if "://" in path else str(world.data / path))
    assert world.intact()


def test_two_rows_of_one_id_are_named(world: World) -> None:
    with pytest.raises(ValueError, match=r"rows 1 and 4 have the same 'id', 'good-1'; ids must differ\. Mend the file"):
        world.collect(read(world.rows({"id": "good-1"})))
    assert world.intact()


def test_two_prompts_of_one_id_from_memory_are_named(world: World) -> None:
    from mstar.prompts import OrderedWalk

    twice = Listed(Prompt("a", "1?"), Prompt("b", "2?"), Prompt("a", "3?"))
    with pytest.raises(ValueError, match=r"prompts 0 and 2 have the same id 'a'; ids must differ"):
        OrderedWalk(twice).find(["a"])
    assert world.intact()


@pytest.mark.parametrize("question", [None, "", "   ", "\n\t"])
def test_an_empty_question_is_named_or_dropped(world: World, question: str | None) -> None:
    source = read(world.rows({"question": question}))
    with pytest.raises(
        RuntimeError,
        match=r"1 of 5 prompts cannot .*'bad-0': .*row 4 \(line 5, id bad-0\): 'question' is empty; fill it in",
    ):
        world.collect(source)
    assert len(world.collect(source, max_drop_rate=0.2)) == GOOD and world.intact()


def test_a_prompt_that_is_dropped_is_dropped_again_without_being_looked_at(world: World) -> None:
    source = read(world.rows({"question": ""}))
    with pytest.raises(RuntimeError, match="cannot be asked"):
        world.collect(source)
    part = world.stage.folder / "part-00000.jsonl"
    before = part.read_text()
    with pytest.raises(RuntimeError, match="cannot be asked"):
        world.collect(source)
    assert part.read_text() == before


@pytest.mark.parametrize("answer", [None, "", " "])
def test_a_missing_answer_is_unscorable_and_counted(world: World, answer: str | None) -> None:
    source = read(world.rows({"answer": answer}))
    with pytest.raises(RuntimeError, match=r"2 of 10 responses cannot be judged.*'bad-0': the prompt has no reference"):
        world.collect(source, reward=OutcomeReward())
    assert len(world.stage.generated()) == GOOD + 1 and world.intact()
    world.collect(source, reward=OutcomeReward(max_unscorable_rate=0.2))
    assert world.stage.manifest["counts"]["unscorable"] == 2 and world.intact()


def picture(side: int) -> Image.Image:
    return Image.new("RGB", (side, side), "white")


CANNOT_TAKE: dict[str, tuple[Prompt, str]] = {
    "a long question": (
        Prompt("bad", "what? " * 400),
        r"prompt 'bad' takes [\d,]+ tokens, which with sampling\.max_new_tokens \(4\) exceed the model's context of "
        r"512; shorten it, lower max_new_tokens or the image processor's max_pixels",
    ),
    "a megabyte": (Prompt("bad", "x" * 1_000_000), r"exceed the model's context of 512"),
    "a large image": (
        Prompt("bad", "what?", (picture(512),)),
        r"prompt 'bad' takes [\d,]+ tokens \([\d,]+ of them for images\), which .* exceed the model's context",
    ),
    "many images": (Prompt("bad", "what?", (picture(32),) * 130), r"\(\d+ of them for images\), which"),
    "a reserved token": (
        Prompt("bad", "what is in <image>?", (picture(32),)),
        r"the question of prompt 'bad' holds '<image>', which stands for an image's pixels; take it out",
    ),
    "nothing at all": (Prompt("bad", " "), r"prompt 'bad' has neither a question nor an image; fill it in"),
}


@pytest.mark.parametrize("case", CANNOT_TAKE)
def test_a_prompt_the_model_cannot_take_is_named_or_dropped(world: World, case: str) -> None:
    prompt, message = CANNOT_TAKE[case]
    good = [Prompt(f"good-{i}", "2+2?", (picture(32),), "4") for i in range(GOOD)]
    source = Listed(*good, prompt)
    with pytest.raises(RuntimeError, match=rf"(?s)1 of 5 prompts cannot be asked.*'bad': .*{message}"):
        world.collect(source)
    assert [group.prompt.id for group in world.collect(source, max_drop_rate=0.2)] == [p.id for p in good]
    assert list(world.stage.dropped()) == ["bad"] and world.intact()


def test_the_count_of_tokens_is_the_processors(world: World) -> None:
    with world.policy.inference() as policy:
        for images in ((), (picture(32),), (picture(32), picture(32))):
            prompt = Prompt("p", "how many?", images)
            assert policy.renderer.num_tokens(prompt) == policy.renderer.process([prompt])["input_ids"].shape[1]
    assert SAMPLING.max_new_tokens == 4


def test_prompts_that_changed_since_they_were_sampled_are_refused(world: World) -> None:
    world.collect(read(world.rows()))
    file = world.data / "prompts.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[0]["question"] = "3+3?"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RuntimeError, match=r"made from something else: prompts was '\w+', is now '\w+'.*Restore"):
        world.collect(read(file))
    assert world.intact() and Path(world.stage.rollouts).is_file()


@pytest.mark.parametrize(("config", "key"), [("warmup.yaml", "examples"), ("tiny.yaml", "seed_cot")])
def test_a_written_response_that_does_not_fit_is_named(world: World, config: str, key: str) -> None:
    rows = world.rows({"cot": "Read 4 and 0. " * 200}, write=lambda file, rows: write_lines(file, rows[-1:]))
    source = json.dumps({"class_path": "mstar.prompts.DatasetPrompts", "init_args": {"path": str(rows)}})
    run = f"--trainer.default_root_dir={world.run}/fit"
    message = r"of them for images\), which with the [\d,]+ of its worked response exceed the model's context"
    with pytest.raises(ValueError, match=message):
        main(["fit", "-c", str(HOUSE / config), run, f"--data.init_args.{key}={source}"])
    assert world.intact() and not (world.run / "fit" / "checkpoints").exists()
