"""Every format that data sets come in becomes the same prompts."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mstar.layouts import Turns
from mstar.prompts import DatasetPrompts, OrderedWalk, records
from mstar.prompts.mapped import Mapped
from mstar.prompts.records import read_records
from mstar.prompts.rows import Rows
from mstar.prompts.video import open_frames, spread

COLOURS = ("red", "lime", "blue")


def dot(colour: str) -> Image.Image:
    return Image.new("RGB", (2, 3), colour)


def png(colour: str) -> bytes:
    buffer = BytesIO()
    dot(colour).save(buffer, "PNG")
    return buffer.getvalue()


def seen(source: DatasetPrompts) -> list[tuple[str, str, str | None, list[tuple[int, ...]]]]:
    prompts = [source[i] for i in range(len(source))]
    return [(p.id, p.question, p.answer, [image.getpixel((0, 0)) for image in p.images]) for p in prompts]  # type: ignore[misc]


PIXELS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
SEEN = [(str(i), "what?", colour, [pixel]) for i, (colour, pixel) in enumerate(zip(COLOURS, PIXELS, strict=True))]


@pytest.fixture
def rows() -> datasets.Dataset:
    features = datasets.Features(
        {"q": datasets.Value("string"), "answer": datasets.Value("string"), "image": datasets.Image()}
    )
    columns = {"q": ["what?"] * 3, "answer": list(COLOURS), "image": [dot(colour) for colour in COLOURS]}
    return datasets.Dataset.from_dict(columns, features=features)


FIELDS = {"question": "q", "images": "image"}


def test_parquet(tmp_path: Path, rows: datasets.Dataset) -> None:
    rows.to_parquet(str(tmp_path / "p.parquet"))
    assert seen(DatasetPrompts(str(tmp_path / "p.parquet"), fields=FIELDS)) == SEEN


def test_bare_bytes_and_a_name_with_brackets(tmp_path: Path, rows: datasets.Dataset) -> None:
    table = pa.table({"q": ["what?"] * 3, "answer": list(COLOURS), "image": [png(colour) for colour in COLOURS]})
    pq.write_table(table.slice(0, 1), tmp_path / "p1.parquet")
    pq.write_table(table, tmp_path / "p[1].parquet")
    assert seen(DatasetPrompts(str(tmp_path / "p[1].parquet"), fields=FIELDS)) == SEEN
    with pytest.raises(FileNotFoundError, match=r"There is no file .*p\*\.jsonl"):
        DatasetPrompts(str(tmp_path / "p*.jsonl"), fields=FIELDS)


def test_a_table_of_text_with_images_inside(tmp_path: Path) -> None:
    texts = [b64encode(png(colour)).decode() for colour in COLOURS]
    lines = [f"what?\t{colour}\t{text}\n" for colour, text in zip(COLOURS, texts, strict=True)]
    no_lists = [f"[{'A' * 80}", f"[{'-' * 100_000}1]", f"[{'1+' * 20_000}1]"]  # the last two overrun Python's parser
    (tmp_path / "p.tsv").write_text(
        "q\tanswer\timage\n" + "".join(lines) + "what?\tred\t0\n" + "".join(f"what?\tno\t{text}\n" for text in no_lists)
    )
    source = DatasetPrompts(str(tmp_path / "p.tsv"), fields=FIELDS)
    *good, again, one, two, three = OrderedWalk(source, 1.0).prompts(0)
    assert [(p.id, p.question, p.answer, [image.getpixel((0, 0)) for image in p.images]) for p in good] == SEEN
    assert [image.getpixel((0, 0)) for image in again.images] == [PIXELS[0]]  # that of row 0
    assert source.contents().first[0] == source.contents().first[3]
    assert all("no list of base64 texts" in bad.unusable for bad in (one, two, three))


def test_several_parquet_files_are_one(tmp_path: Path, rows: datasets.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    from mstar.prompts import local

    monkeypatch.setattr(local, "BATCH_BYTES", 1)
    rows.select([0, 1]).to_parquet(str(tmp_path / "p-0.parquet"))
    rows.select([2]).to_parquet(str(tmp_path / "p-1.parquet"))
    assert seen(DatasetPrompts(str(tmp_path / "p-*.parquet"), fields=FIELDS)) == SEEN
    rows.select([2]).remove_columns("answer").to_parquet(str(tmp_path / "p-1.parquet"))
    with pytest.raises(ValueError, match=r"p-1\.parquet has other columns or types"):
        DatasetPrompts(str(tmp_path / "p-*.parquet"), fields=FIELDS)


def test_arrow_on_disk(tmp_path: Path, rows: datasets.Dataset) -> None:
    rows.save_to_disk(str(tmp_path / "one"), num_shards=2)
    datasets.DatasetDict({"dev": rows}).save_to_disk(str(tmp_path / "several"))
    assert seen(DatasetPrompts(str(tmp_path / "one"), fields=FIELDS)) == SEEN
    assert seen(DatasetPrompts(str(tmp_path / "several"), "dev", FIELDS)) == SEEN
    with pytest.raises(ValueError, match=r"has no split 'train'; it has \['dev'\]"):
        DatasetPrompts(str(tmp_path / "several"), fields=FIELDS)


def test_a_folder_of_images(tmp_path: Path) -> None:
    lines = [{"file_name": f"{c}.png", "q": "what?", "answer": c} for c in COLOURS]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for colour in COLOURS:
        dot(colour).save(tmp_path / f"{colour}.png")
    found = seen(DatasetPrompts(str(tmp_path), fields=FIELDS))
    assert sorted(row[1:] for row in found) == sorted(row[1:] for row in SEEN)


def test_a_stream_is_kept(tmp_path: Path, rows: datasets.Dataset) -> None:
    (tmp_path / "hub").mkdir()
    rows.to_parquet(str(tmp_path / "hub" / "train-00000-of-00001.parquet"))
    source = DatasetPrompts(str(tmp_path / "hub"), fields=FIELDS, streaming=2)
    assert seen(source) == SEEN[:2]
    (tmp_path / "hub" / "train-00000-of-00001.parquet").unlink()
    assert seen(DatasetPrompts(str(tmp_path / "hub"), fields=FIELDS, streaming=2)) == SEEN[:2]


@pytest.mark.parametrize("name", ["q.json", "q.jsonl"])
def test_json_with_paths_made_of_columns(tmp_path: Path, name: str) -> None:
    for number, colour in enumerate(COLOURS):
        dot(colour).save(tmp_path / f"{number}.png")
    records = [["what?", colour, number] for number, colour in enumerate(COLOURS)]  # as easy-VQA is written
    text = json.dumps(records) if name == "q.json" else "\n".join(map(json.dumps, records))
    (tmp_path / name).write_text(text)
    fields = {"images": "{number}.png", "id": "train-{number}"}
    source = DatasetPrompts(str(tmp_path / name), columns=["question", "answer", "number"], fields=fields)
    assert seen(source) == [(f"train-{row[0]}", *row[1:]) for row in SEEN]
    assert list(source.ids()) == ["train-0", "train-1", "train-2"]
    with pytest.raises(ValueError, match=r"line 1: this is a list, not an object.* name its cells: columns"):
        DatasetPrompts(str(tmp_path / name), fields=fields)
    with pytest.raises(ValueError, match=r"line 1: this is a list, not a list of question, answer"):
        DatasetPrompts(str(tmp_path / name), columns=["question", "answer"], fields=fields)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("{gone}.png", "no column 'gone' for 'images'"),
        ("{image", "braces that do not match"),
        ("{}.png", "columns in its braces"),
        ("{image.x}", "columns in its braces"),
        ("{image:3}", "columns in its braces"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_refused(tmp_path: Path, named: str, message: str) -> None:
    (tmp_path / "q.jsonl").write_text('{"question": "what?", "image": "a"}')
    with pytest.raises(ValueError, match=message):
        DatasetPrompts(str(tmp_path / "q.jsonl"), fields={"images": named})


def write(folder: Path, *records: dict[str, Any]) -> str:
    for colour in COLOURS:
        dot(colour).save(folder / f"{colour}.png")
    (folder / "chat.json").write_text(json.dumps(records, indent=1))
    return str(folder / "chat.json")


def llava(asks: Any, replies: str, **more: Any) -> dict[str, Any]:
    return {"conversations": [{"from": "human", "value": asks}, {"from": "gpt", "value": replies}], **more}


def test_llavas_conversations(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        llava("<image>\nWhich colour?", "It glows.\nAnswer: red", image="red.png", id=7),
        llava("Say yes.", "Answer: yes", id="text"),  # no image, and an id of another type
    )
    source = DatasetPrompts(path, layout=Turns("conversations", "image", id="id"))
    assert seen(source) == [("7", "Which colour?", "red", [PIXELS[0]]), ("text", "Say yes.", "yes", [])]
    assert source[0].cot == "It glows.\nAnswer: red"
    answers = DatasetPrompts(path, layout=Turns("conversations", "image", reply="answer"))
    assert (answers[1].answer, answers[1].cot) == ("yes", None)


def test_trls_messages(tmp_path: Path) -> None:
    asks = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "Same?"}]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": asks},
        {"role": "assistant", "content": [{"type": "text", "text": "They differ. The answer is no."}]},
    ]
    inline = [
        {"role": "user", "content": [{"type": "image", "image": "blue.png"}, {"type": "text", "text": "Colour?"}]}
    ]
    reply = [{"role": "assistant", "content": "blue"}]
    path = write(tmp_path, {"messages": messages, "images": ["red.png", "lime.png"]}, {"messages": inline + reply})
    source = DatasetPrompts(path, layout=Turns())
    assert seen(source) == [
        ("0", "Be brief.\n\nSame?", "no", [*PIXELS[:2]]),
        ("1", "Colour?", None, [PIXELS[2]]),
    ]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (llava("<image> and <image>?", "1", image="red.png"), "its text has 2 <image> marks, but there are 1 images"),
        ({"conversations": [{"from": "gpt", "value": "?"}]}, r"turns are of \['gpt'\]; they should be human, gpt"),
        (
            {"conversations": llava("a", "b")["conversations"] * 2},
            r"it has 4 turns; .*layout\.init_args\.first_only",
        ),
        ({"conversations": "hello"}, r"turns are of \[\]"),
        (llava("<image>", "1", image="red.png"), "its question is empty"),
        (llava([{"type": "image_url"}, {"type": "text", "text": "?"}], "1"), "parts of type image_url; only text"),
        ({"image": "red.png"}, r"turns are of \[\]"),
        (llava("<image> what?", "1", image="gone.png"), "an image cannot be read"),
    ],
)
def test_a_conversation_that_cannot_be_used_is_named_and_dropped(
    tmp_path: Path, record: dict[str, Any], message: str
) -> None:
    path = write(tmp_path, llava("<image> what?", "this", image="red.png"), record)
    source = DatasetPrompts(path, layout=Turns("conversations", "image"))
    good, bad = OrderedWalk(source, 1.0).prompts(0)
    assert not good.unusable and good.question == "what?"
    with pytest.raises(ValueError, match=rf"chat\.json, row 1 \(line \d+\): .*{message}"):
        raise ValueError(bad.unusable)
    assert len(DatasetPrompts(path, layout=Turns("conversations", "image", first_only=True))[0].images) == 1


def test_a_layout_names_its_columns_itself(tmp_path: Path) -> None:
    path = write(tmp_path, llava("what?", "this"))
    with pytest.raises(ValueError, match="both fields and a layout"):
        DatasetPrompts(path, fields={"question": "q"}, layout=Turns())
    with pytest.raises(ValueError, match=r"no column 'messages', which Turns reads; its columns are \['conversations'"):
        DatasetPrompts(path, layout=Turns(images=None))


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_list_is_read_a_record_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, indent: int | None
) -> None:
    monkeypatch.setattr(records, "CHUNK", chunk)
    values = [{"a": 'x]},{ " \\ é'}, {"a": [1, [2.5e3]]}, 12345, "s"]
    (tmp_path / "r.json").write_text(json.dumps(values, indent=indent), encoding="utf-8")
    found = list(read_records(tmp_path / "r.json"))
    assert [record.value for record in found] == [json.loads(record.text) for record in found] == values
    assert [record.line for record in found] == ([1, 1, 1, 1] if indent is None else [2, 5, 13, 14])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[{"a": 1},\n{"a" 2}]', 2),
        ('[{"a": 1},\n\n{"a": 2}', 3),
        ("[1,\n,2]", 2),
        ("[1,\nnope]", 2),
        ('{"a": 1,\n"b" 2}', 2),
        ('{"a": 1,\n"b": 2', 2),
        ("[1,\n2]\n[3]", 2),  # two lists, one behind the other
        ('{"a": {}\n} {"b": {}}', 2),
        ("\n 7", 1),
    ],
)
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_a_broken_file_names_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, line: int, chunk: int
) -> None:
    monkeypatch.setattr(records, "CHUNK", chunk if text.strip()[0] in "[{" else 1 << 20)
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ValueError, match=rf"r\.json, line {line}: this is not JSON"):
        list(read_records(tmp_path / "r.json"))


@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_records_by_id_have_lines_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(records, "CHUNK", chunk)
    (tmp_path / "r.json").write_text('{"a": {"question": "half a character: \\ud83d"},\n\n "b" :\n{"question": "?"}}')
    assert [(record.value["question"][:4], record.line) for record in read_records(tmp_path / "r.json")] == [
        ("half", 1),
        ("?", 4),
    ]


@pytest.mark.parametrize("name", ["q.jsonl", "q.json"])
def test_lines_are_read_under_either_name_and_with_a_byte_order_mark(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"question": "a"}\n{"question": "b"}\n', encoding="utf-8-sig")
    assert [record.value["question"] for record in read_records(tmp_path / name)] == ["a", "b"]


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    for question in ("one?", "longer?"):
        file.write_text(json.dumps({"question": question}))
        assert DatasetPrompts(str(file))[0].question == question


def test_files_are_mapped_anew_now_and_then(tmp_path: Path, rows: datasets.Dataset) -> None:
    rows.save_to_disk(str(tmp_path / "d"))
    mapped = Mapped(Rows(str(tmp_path / "d")).open().rows.rows, stretch=10)
    first = mapped.rows
    assert mapped.read(["answer"], [0])[0]["answer"] == "red" and mapped.whole  # some seven bytes
    assert [row["answer"] for row in mapped.read(["answer"], [2, 0, 1])] == ["blue", "red", "lime"]
    assert mapped.rows is first
    assert mapped.read(["answer"], [1])[0]["answer"] == "lime" and mapped.rows is not first
    part = Mapped(first.select([1, 2]), stretch=1)
    assert part.read(["answer"], [0])[0]["answer"] == "lime"
    with pytest.raises(IndexError, match="there are 3 rows"):
        mapped.read(["answer"], [3])


def gif(folder: Path, colours: Sequence[str] = COLOURS) -> str:
    first, *others = (dot(colour) for colour in colours)
    first.save(folder / "clip.gif", save_all=True, append_images=others)
    return "clip.gif"


@pytest.mark.parametrize("form", ["gif", "folder", "list"])
def test_a_video_is_frames(tmp_path: Path, form: str) -> None:
    names = [f"{i}.png" for i in range(3)]
    (tmp_path / "frames").mkdir()
    for name, colour in zip(names, COLOURS, strict=True):
        dot(colour).save(tmp_path / "frames" / name)
    value = {"gif": gif(tmp_path), "folder": "frames", "list": [f"frames/{name}" for name in names]}[form]
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": "what?", "video": value}))
    path = str(tmp_path / "q.jsonl")
    for num, frames in ((8, PIXELS), (2, (PIXELS[0], PIXELS[2])), (1, PIXELS[1:2])):
        prompt = DatasetPrompts(path, num_frames=num)[0]
        assert [image.getpixel((0, 0)) for image in prompt.images] == list(frames) and len(prompt.images) == len(frames)


def test_frames_inside_a_table_tell_videos_apart(tmp_path: Path) -> None:
    stored = {colour: {"bytes": png(colour), "path": None} for colour in COLOURS}
    clips = [[stored["red"], stored["blue"]], [stored["red"], stored["lime"]], [stored["red"], stored["blue"]], []]
    rows = [{"question": "what?", "video": clip} for clip in clips]
    pq.write_table(pa.Table.from_pylist([*rows, {"question": "what?"}]), tmp_path / "p.parquet")
    first, second, again, empty, none = DatasetPrompts(str(tmp_path / "p.parquet")).contents().first.tolist()
    assert first == again and empty == none and len({first, second, none}) == 3


def test_frames_are_spread_evenly() -> None:
    assert [spread(total, 3) for total in (0, 2, 9)] == [[], [0, 1], [1, 4, 7]]


def test_a_folder_without_frames_and_one_outside_are_refused(tmp_path: Path) -> None:
    (tmp_path / "root" / "empty").mkdir(parents=True)
    with pytest.raises(ValueError, match="row 1: the folder 'empty' has no frames"):
        open_frames("empty", 4, tmp_path / "root", "q.jsonl, row 1")
    with pytest.raises(ValueError, match="lies outside image_root"):
        open_frames("..", 4, tmp_path / "root", "q.jsonl, row 1")


def test_a_container_without_its_decoder_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"row 1: a video file needs PyAV .*\[video\].*folders of frames"):
        open_frames("clip.mp4", 4, tmp_path, "q.jsonl, row 1")
