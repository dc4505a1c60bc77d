"""Images that cannot be shown: each is named, dropped and counted, or stops the iteration; nothing else is lost."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mstar.types import Prompt
from tests.bad_input.world import GOOD, World, read

Make = Callable[[Path], Any]
NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
CANNOT = r"prompts\.jsonl, row 4 \((line 5, )?id bad-0\): an image cannot be read .*Paths are relative to image_root"
OUTSIDE = (
    r"row 4 \((line 5, )?id bad-0\): image '.*' lies outside image_root .*Set image_root to a folder that holds all"
)
ADDRESS = r"row 4 \((line 5, )?id bad-0\): image '.*' is an address; nothing is fetched .*Download the images"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *more: bytes) -> bytes:
    """A few bytes that claim to be an image of any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 97))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(more) + data + chunk(b"IEND", b"")


def encoded(form: str, **settings: Any) -> bytes:
    buffer = BytesIO()
    Image.fromarray(NOISE).save(buffer, form, **settings)
    return buffer.getvalue()


def moving(form: str) -> bytes:
    frames = [Image.fromarray(np.roll(NOISE, i, 0)) for i in range(3)]
    buffer = BytesIO()
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def holding(content: bytes, name: str = "bad.png") -> Make:
    def make(folder: Path) -> str:
        (folder / name).write_bytes(content)
        return name

    return make


def tiff(mode: str) -> Make:
    def make(folder: Path) -> str:
        Image.new(mode, (8, 8)).save(folder / "bad.tif")
        return "bad.tif"

    return make


def secret(folder: Path) -> Path:
    file = folder.parent / "secret.png"
    Image.fromarray(NOISE).save(file)
    return file


def above(folder: Path) -> str:
    return f"../{secret(folder).name}"


def round_about(folder: Path) -> str:
    return f"a/b/../../../{secret(folder).name}"


def absolute(folder: Path) -> str:
    return str(secret(folder))


def link(folder: Path) -> str:
    (folder / "link.png").symlink_to(secret(folder))
    return "link.png"


def linked_folder(folder: Path) -> str:
    (folder / "away").symlink_to(secret(folder).parent)
    return "away/secret.png"


def dead_link(folder: Path) -> str:
    (folder / "dead.png").symlink_to(folder / "nothing.png")
    return "dead.png"


def directory(folder: Path) -> str:
    (folder / "pictures").mkdir()
    return "pictures"


def pipe(folder: Path) -> str:
    os.mkfifo(folder / "pipe.png")  # opening it would wait for ever
    return "pipe.png"


def named(name: str) -> Make:
    return lambda folder: name


BAD: dict[str, tuple[Make, str]] = {
    "zero bytes": (holding(b""), CANNOT),
    "text": (holding(b"<html>404 Not Found</html>"), CANNOT),
    "truncated png": (holding(encoded("PNG")[:-3000]), CANNOT),
    "truncated jpeg": (holding(encoded("JPEG")[:900]), CANNOT),
    "truncated gif": (holding(encoded("GIF")[:900]), CANNOT),
    "truncated webp": (holding(encoded("WEBP")[:600]), CANNOT),
    "header alone": (holding(b"\x89PNG\r\n\x1a\n"), CANNOT),
    "random bytes": (holding(NOISE.tobytes()), CANNOT),
    "wrong checksum": (holding(png(4, 8).replace(b"IHDR", b"IHDx")), CANNOT),
    "compressed text bomb": (
        holding(png(4, 8, chunk(b"zTXt", b"k\0\0" + zlib.compress(b"0" * 2**27)))),
        CANNOT,
    ),
    "50,000 × 50,000": (
        holding(png(50_000, 50_000)),
        r"row 4 \((line 5, )?id bad-0\): an image is too large to be opened .*Make it smaller",
    ),
    "13,000 × 13,000": (
        holding(png(13_000, 13_000)),
        r"row 4 \((line 5, )?id bad-0\): an image is too large to be opened .*Make it smaller",
    ),
    "9,000 × 9,000": (
        holding(png(9_000, 9_000)),
        r"has 9,000 × 9,000 pixels, more than the 67,108,864 that are opened",
    ),
    "a line": (holding(png(2**31 - 1, 1)), r"row 4 \((line 5, )?id bad-0\): an image is too large to be opened"),
    "moving gif": (
        holding(moving("GIF")),
        r"row 4 \((line 5, )?id bad-0\): an image moves \(3 frames of GIF\)\. Save the frame that is meant",
    ),
    "moving webp": (holding(moving("WEBP")), r"row 4 \((line 5, )?id bad-0\): an image moves \(3 frames of WEBP\)"),
    "moving png": (holding(moving("PNG")), r"row 4 \((line 5, )?id bad-0\): an image moves \(3 frames of PNG\)"),
    "32-bit integers": (
        tiff("I"),
        r"row 4 \((line 5, )?id bad-0\): an image holds numbers without a scale \(mode I\)\. Save it as 8-bit RGB",
    ),
    "floats": (tiff("F"), r"row 4 \((line 5, )?id bad-0\): an image holds numbers without a scale \(mode F\)"),
    "missing": (named("nothing.png"), CANNOT),
    "empty path": (named(""), r"row 4 \((line 5, )?id bad-0\): image '' is no file"),
    "a directory": (directory, r"row 4 \((line 5, )?id bad-0\): image 'pictures' is no file"),
    "a pipe": (pipe, r"row 4 \((line 5, )?id bad-0\): image 'pipe\.png' is no file"),
    "a zero in the path": (
        named("good.png\0.jpg"),
        r"row 4 \((line 5, )?id bad-0\): image 'good.png\\x00.jpg' is no path",
    ),
    "a name too long": (named("data:image/png;base64," + "A" * 5000), r"cannot be looked up \(File name too long\)"),
    "a program": (holding(encoded("EPS")), r"row 4 \((line 5, )?id bad-0\): an image is a program \(EPS\).*Save it as"),
    "a device": (named("/dev/zero"), OUTSIDE),
    "http": (named("http://example.com/a.png"), ADDRESS),
    "https": (named("https://example.com/a.png?b=1"), ADDRESS),
    "file": (named("file:///etc/passwd"), ADDRESS),
    "s3": (named("s3://bucket/a.png"), ADDRESS),
    "above the root": (above, OUTSIDE),
    "round about": (round_about, OUTSIDE),
    "absolute": (absolute, OUTSIDE),
    "a link out": (link, OUTSIDE),
    "a linked folder": (linked_folder, OUTSIDE),
    "a dead link": (dead_link, CANNOT),
    "one of two": (lambda folder: ["good.png", "nothing.png"], CANNOT),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_image_is_named_or_dropped_and_counted(world: World, case: str) -> None:
    make, message = BAD[case]
    value = make(world.data)
    plain = isinstance(value, str)
    source = read(world.rows({"images": value}) if plain else world.rows({"images": value}, write=as_lists))
    with pytest.raises(RuntimeError, match=rf"(?s)1 of {GOOD + 1} prompts cannot be asked.*'bad-0': .*{message}"):
        world.collect(source)
    assert world.intact() and not world.stage.sealed
    groups = world.collect(source, max_drop_rate=0.2)
    assert [group.prompt.id for group in groups] == [f"good-{i}" for i in range(GOOD)]
    assert world.stage.dropped().keys() == {"bad-0"} and world.stage.manifest["counts"]["dropped"] == 1
    assert world.intact()


def as_lists(file: Path, rows: list[dict[str, Any]]) -> Path:
    from tests.bad_input.world import write_lines

    return write_lines(
        file, [{**row, "images": row["images"] if isinstance(row["images"], list) else [row["images"]]} for row in rows]
    )


STORED = {
    "no bytes": (
        b"",
        None,
        r"row 4 \((line 5, )?id bad-0\): an image cannot be read .*Its bytes are in the file: fetch it again",
    ),
    "truncated bytes": (
        encoded("PNG")[:-3000],
        None,
        r"row 4 \((line 5, )?id bad-0\): an image cannot be read .*fetch it again",
    ),
    "a bomb": (png(50_000, 50_000), None, r"row 4 \((line 5, )?id bad-0\): an image is too large"),
    "neither": (None, None, r"row 4 \((line 5, )?id bad-0\): an image has neither bytes nor a path\. Fill the cell in"),
    "a path out": (None, "../secret.png", OUTSIDE),
}


@pytest.mark.parametrize("case", STORED)
def test_a_bad_image_inside_a_table_is_named_or_dropped(world: World, case: str) -> None:
    content, path, message = STORED[case]

    def write(file: Path, rows: list[dict[str, Any]]) -> Path:
        good = {"bytes": encoded("PNG", optimize=True), "path": None}
        Image.fromarray(NOISE[:32, :32]).save(file.parent / "small.png")
        good["bytes"] = (file.parent / "small.png").read_bytes()
        images = [good] * GOOD + [{"bytes": content, "path": path}]
        table = {name: [row[name] for row in rows] for name in ("id", "question", "answer")}
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        pq.write_table(pa.table({**table, "images": pa.array(images, kind)}), file.with_suffix(".parquet"))
        return file.with_suffix(".parquet")

    source = read(world.rows({}, write=write))
    with pytest.raises(RuntimeError, match=rf"(?s)1 of {GOOD + 1} prompts cannot be asked.*{message}"):
        world.collect(source)
    assert len(world.collect(source, max_drop_rate=0.2)) == GOOD and world.intact()


def colours(image: Image.Image) -> int:
    return len(set(image.get_flattened_data()))


STRANGE: dict[str, Callable[[Path], None]] = {
    "cmyk.jpg": lambda file: Image.fromarray(NOISE).convert("CMYK").save(file, quality=95),
    "palette.gif": lambda file: Image.fromarray(NOISE).convert("P").save(file),
    "bit.png": lambda file: Image.fromarray(NOISE).convert("1").save(file),
    "alpha.png": lambda file: Image.fromarray(NOISE).convert("RGBA").save(file),
    "grey16.png": lambda file: Image.fromarray(NOISE[..., 0].astype(np.uint16) << 8).save(file),
    "pages.tif": lambda file: Image.fromarray(NOISE).save(
        file, save_all=True, append_images=[Image.new("RGB", (9, 9))]
    ),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_strange_and_not_bad_becomes_rgb(world: World, name: str) -> None:
    STRANGE[name](world.data / name)
    source = read(world.rows({"images": name}))
    prompt: Prompt = source[GOOD]
    (image,) = prompt.images
    assert image.mode == "RGB" and image.size == (64, 64) and colours(image) > (1 if name == "bit.png" else 100)
