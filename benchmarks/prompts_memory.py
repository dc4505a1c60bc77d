"""Memory of reading and walking 1,000,000 prompts beside that of 10,000, each in a process of its own.

``python -m benchmarks.prompts_memory``: a quarter of an hour on an idle core. Data are made in a temporary folder: JSON
lines with the paths of images, and Parquet with the images inside. A process reads its file, checks that ids differ,
and walks every prompt in intervals of 1,000, opening every image.

``peak`` is the largest resident memory the kernel saw (``VmHWM``). It counts pages of mapped files for as long as they
stay resident, though the system could take them back at any time; ``anonymous`` (``RssAnon``, sampled at every
interval) leaves them out. Both count Python and its libraries, which is ``imported``; torch is not among them. ``then``
is the peak once prompts were also divided by what they show and found again by id, for which there are some 60 bytes a
prompt. The last line is JSON; ``ratio`` is the worst of ``peak``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from mstar.prompts import DatasetPrompts, OrderedWalk, Split

SIZES = (10_000, 1_000_000)
FORMATS = ("jsonl", "parquet")
INTERVAL = 1000
ROW_GROUP = 10_000  # rows of the Parquet file that are stored together
NUM_FILES = 100  # images that JSON lines name in turn
LIMIT = 1.2


def main() -> int:
    """Make, measure and print; the exit code is 1 if more prompts needed more memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=2, default=SIZES, help="prompts that are compared")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--walk", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.make:
        make(asked.make, asked.sizes[0])
        return 0
    if asked.walk:
        print(json.dumps(walk(asked.walk)))
        return 0
    found = {form: compare(form, asked.sizes) for form in FORMATS}
    ratio = max(ratios["peak"] for ratios in found.values())
    print(json.dumps({"ratio": ratio, "limit": LIMIT, "sizes": list(asked.sizes), **found}))
    return int(ratio > LIMIT)


def compare(form: str, sizes: tuple[int, int]) -> dict[str, Any]:
    """Both sizes of a format: megabytes, seconds, and how many times as much the larger one needs."""
    measured = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="mstar-prompts-") as folder:
            file = Path(folder) / f"prompts.{form}"
            alone("--make", str(file), "--sizes", str(size), str(size), cache=folder)
            measured.append(json.loads(alone("--walk", str(file), cache=folder)))
            print(f"{form}, {size:,} prompts: {measured[-1]}", flush=True)
    few, many = measured
    return {
        "few": few,
        "many": many,
        **{name: round(many[name] / few[name], 3) for name in ("peak", "anonymous", "then")},
    }


def alone(*words: str, cache: str) -> str:
    """Run this module in a process of its own; gives the last line it prints."""
    place = {"HF_DATASETS_CACHE": str(Path(cache) / "cache"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "benchmarks.prompts_memory", *words]
    done = subprocess.run(command, env=os.environ | place, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip().rpartition("\n")[2]


def walk(file: Path) -> dict[str, float]:
    """Read and walk a file's prompts; gives megabytes and seconds."""
    imported, began, anonymous = memory("VmRSS"), time.monotonic(), 0.0
    source = DatasetPrompts(str(file))
    pool = OrderedWalk(source, INTERVAL)
    seen = 0
    for iteration in range(-(-len(source) // INTERVAL)):
        prompts = pool.prompts(iteration)
        seen += sum(not prompt.unusable and len(prompt.images) == 1 for prompt in prompts)  # reading opens them
        anonymous = max(anonymous, memory("RssAnon"))
    assert seen == len(source), f"{seen} of {len(source)} prompts were seen"
    found = {"peak": memory("VmHWM"), "anonymous": anonymous, "imported": imported}
    found["seconds"] = round(time.monotonic() - began, 1)
    sides = [Split(source, part) for part in ("train", "test")]
    names = [f"q{number}" for number in range(0, len(source), max(1, len(source) // 100))]
    assert [prompt.id for prompt in pool.find(names)] == names
    assert 0 < len(sides[1]) < len(sides[0])
    return {**found, "then": memory("VmHWM")}


def memory(name: str) -> float:
    """Megabytes, as the kernel counts them for this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024, 1)


def make(file: Path, size: int) -> None:
    """Write a file of prompts, a few at a time."""
    if file.suffix == ".jsonl":
        for number in range(NUM_FILES):
            (file.parent / f"{number}.png").write_bytes(picture(number))
        with file.open("w") as lines:
            for row in rows(size):
                lines.write(json.dumps({**row, "images": f"{row['number'] % NUM_FILES}.png"}) + "\n")
        return
    schema = pa.schema([*((name, pa.string()) for name in ("id", "question", "answer")), ("number", pa.int64())])
    schema = schema.append(pa.field("images", pa.struct([("bytes", pa.binary()), ("path", pa.string())])))
    with pq.ParquetWriter(file, schema) as writer:
        batch: list[dict[str, Any]] = []
        for row in rows(size):
            batch.append({**row, "images": {"bytes": picture(row["number"]), "path": None}})
            if len(batch) == ROW_GROUP:
                writer.write_batch(pa.RecordBatch.from_pylist(batch, schema))
                batch = []
        writer.write_batch(pa.RecordBatch.from_pylist(batch, schema))


def rows(size: int) -> Iterator[dict[str, Any]]:
    """Questions of about 60 characters."""
    for number in range(size):
        question = f"What is {number} + {number * 7 % 1000}, if the picture's colour is added twice?"
        yield {"id": f"q{number}", "question": question, "answer": str(number), "number": number}


def picture(number: int) -> bytes:
    """A PNG of 16×16 pixels, another for each number below 16 million."""
    buffer = BytesIO()
    Image.new("RGB", (16, 16), (number & 255, number >> 8 & 255, number >> 16 & 255)).save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
