from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mstar.prompts import DatasetPrompts, OrderedWalk

ROW = {"id": "q1", "question": "2+2?", "images": "dot.png", "answer": 4, "kind": "sum", "precision": None}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def dot(colour: str = "red", mode: str = "RGB") -> Image.Image:
    return Image.new("RGB", (2, 3), colour).convert(mode)


def write(folder: Path, *rows: dict[str, Any]) -> str:
    dot().save(folder / "dot.png")
    file = folder / "prompts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def test_a_row_becomes_a_prompt(tmp_path: Path) -> None:
    prompt = DatasetPrompts(write(tmp_path, {**ROW, "choices": ["3", "4"]}))[0]
    assert (prompt.id, prompt.question, prompt.answer, prompt.kind, prompt.cot) == ("q1", "2+2?", "4", "sum", None)
    assert prompt.meta == {"precision": None, "choices": ["3", "4"]}
    (image,) = prompt.images
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (2, 3), (255, 0, 0))


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    path = write(tmp_path, {"pid": 7, "query": "?", "image": "dot.png", "solution": "so"})
    fields = {"id": "pid", "question": "query", "images": "image", "cot": "solution"}
    prompt = DatasetPrompts(path, fields=fields)[0]
    assert (prompt.id, prompt.question, prompt.cot, prompt.meta, len(prompt.images)) == ("7", "?", "so", {}, 1)


@pytest.mark.parametrize(("value", "number"), [(None, 0), ([], 0), ("dot.png", 1), (["dot.png", "./dot.png"], 2)])
def test_a_prompt_has_as_many_images_as_its_row(tmp_path: Path, value: Any, number: int) -> None:
    assert len(DatasetPrompts(write(tmp_path, {**ROW, "images": value}))[0].images) == number


def test_without_ids_the_row_is_the_id(tmp_path: Path) -> None:
    source = DatasetPrompts(write(tmp_path, {"question": "a"}, {"question": "b"}))
    assert [source[i].id for i in range(len(source))] == list(source.ids()) == ["0", "1"]


def test_images_are_opened_only_when_asked_for(tmp_path: Path) -> None:
    source = DatasetPrompts(write(tmp_path, ROW, {**ROW, "id": "q2", "images": "missing.png"}))
    assert (len(source), list(source.ids()), source[0].id) == (2, ["q1", "q2"], "q1")
    with pytest.raises(
        ValueError, match=r"row 1 \(line 2, id q2\): an image cannot be read .*missing\.png.*image_root"
    ):
        source[1]


def test_a_prompt_holds_no_image(tmp_path: Path) -> None:
    prompt = DatasetPrompts(write(tmp_path, {**ROW, "images": ["dot.png", "dot.png"]}))[0]
    first, again = prompt.images[0], prompt.images[0]
    assert first is not again and first == again and list(prompt.images) == [first, first] == list(prompt.images[:])
    assert prompt == replace(prompt, images=tuple(prompt.images)) != replace(prompt, images=(first,))
    dot("blue").save(tmp_path / "dot.png")
    assert prompt.images[1].getpixel((0, 0)) == (0, 0, 255)


def test_a_broken_image_names_its_row(tmp_path: Path) -> None:
    path = write(tmp_path, ROW)
    (tmp_path / "dot.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"prompts\.jsonl, row 0 \(line 1, id q1\): an image cannot be read"):
        DatasetPrompts(path)[0].images[0]


@pytest.mark.parametrize("outside", ["../secret.png", "/secret.png", "a/../../secret.png", "link.png"])
def test_image_paths_may_not_leave_their_root(tmp_path: Path, outside: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    dot().save(tmp_path / "secret.png")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    source = DatasetPrompts(write(tmp_path, {**ROW, "images": outside}), image_root=str(root))
    with pytest.raises(ValueError, match=r"row 0 \(line 1, id q1\): image '.*' lies outside image_root"):
        source[0].images[0]


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    dot("blue").save(tmp_path / "pictures" / "blue.png")
    source = DatasetPrompts(write(tmp_path, {**ROW, "images": "blue.png"}), image_root=str(tmp_path / "pictures"))
    assert source[0].images[0].getpixel((0, 0)) == (0, 0, 255)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_image_columns_become_rgb(tmp_path: Path, mode: str) -> None:
    path = str(tmp_path / "prompts.parquet")
    features = datasets.Features(
        {"id": datasets.Value("string"), "question": datasets.Value("string"), "images": datasets.Image()}
    )
    rows = {"id": ["q"], "question": ["?"], "images": [dot(mode=mode)]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(path)
    (image,) = DatasetPrompts(path)[0].images
    assert (image.mode, image.size) == ("RGB", (2, 3))


def test_parquet_with_bare_image_bytes_is_read(tmp_path: Path) -> None:
    buffer = BytesIO()
    dot("lime").save(buffer, "PNG")
    stored = [[{"bytes": buffer.getvalue(), "path": None}]]
    pq.write_table(pa.table({"question": ["?"], "images": stored}), tmp_path / "p.parquet")
    (image,) = DatasetPrompts(str(tmp_path / "p.parquet"))[0].images
    assert image.getpixel((0, 0)) == (0, 255, 0)


@pytest.mark.parametrize(
    ("row", "fields", "message"),
    [
        ({"query": "?"}, {}, r"no column 'question' for 'question'; its columns are \['query'\]. Map it: fields:"),
        (ROW, {"id": "pid"}, r"no column 'pid' for 'id'; its columns are .* Map it: fields: \{id: COLUMN\}"),
        (ROW, {"image": "images"}, r"fields names \['image'\]; our fields are id, question, images, video"),
        ({"question": "?", "image": "dot.png"}, {}, r"Map it: fields: \{images: image\}"),
    ],
)
def test_a_column_that_is_not_there_says_what_to_type(
    tmp_path: Path, row: dict[str, Any], fields: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        DatasetPrompts(write(tmp_path, row), fields=fields)


def test_two_rows_of_one_id_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"prompts\.jsonl: rows 1 and 2 have the same 'id', 'q2'"):
        DatasetPrompts(write(tmp_path, ROW, {**ROW, "id": "q2"}, {**ROW, "id": "q2"}))


@pytest.mark.parametrize("fields", [{}, {"id": "{id}-{kind}"}])
def test_a_row_without_an_id_is_named(tmp_path: Path, fields: dict[str, str]) -> None:
    path = write(tmp_path, ROW, {**ROW, "id": None})
    with pytest.raises(ValueError, match=r"row 1 \(line 2\): its id(, kind)? is empty.* fields: \{id: COLUMN\}"):
        DatasetPrompts(path, fields=fields)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"images": "data:image/png;base64," + "A" * 5000}, "cannot be looked up .File name too long.*image_root"),
        ({"video": "A" * 5000}, "cannot be looked up .File name too long"),
        ({"images": "circle.png"}, "cannot be looked up .*image_root"),
        ({"images": None, "question": "<image>What?"}, "1 <image> marks, but there are 0 images"),
        ({"question": "half \ud83d"}, "surrogates not allowed"),
    ],
)
def test_a_row_that_cannot_be_asked_is_dropped_by_name(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    (tmp_path / "circle.png").symlink_to("circle.png")
    source = DatasetPrompts(write(tmp_path, ROW, {**ROW, "id": "q2", **row}))
    good, bad = OrderedWalk(source, 1.0).prompts(0)
    assert not good.unusable and re.search(rf"row 1 \(line 2, id q2\): .*{message}", bad.unusable)
    assert len(bad.unusable) < 700 and len(source.contents()) == 2


def test_an_empty_question_names_its_row(tmp_path: Path) -> None:
    source = DatasetPrompts(write(tmp_path, ROW, {**ROW, "id": "q2", "question": None}))
    with pytest.raises(ValueError, match=r"row 1 \(line 2, id q2\): 'question' is empty"):
        source[1]


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no file .*none\.jsonl"):
        DatasetPrompts(str(tmp_path / "none.jsonl"))
