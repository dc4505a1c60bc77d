"""What pages start from: a finished run, recorded responses, published files; each made once a session, in small."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from mstar.cli import main
from tests.benchmarks import published
from tests.docs.page import blocks

HERE = Path(__file__).parent


class Givens:
    """Makes what a page asks for where it is asked for the first time, and copies it from then on.

    Args:
        folder: Where things are made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, place: Path) -> None:
        """Put a file or folder where a page looks for it.

        Raises:
            KeyError: If nobody makes it.
        """
        made = self.folder / name
        if not made.exists():
            made.parent.mkdir(parents=True, exist_ok=True)
            MAKERS[name](made)
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if made.is_dir():
            shutil.copytree(made, target, dirs_exist_ok=True)
        else:
            shutil.copy(made, target)


def make_run(run: Path) -> None:
    """Two iterations of self-evolution by the smallest policy."""
    main(["fit", "-c", str(HERE / "evolve.yaml"), f"--trainer.default_root_dir={run}"])


def make_config(file: Path) -> None:
    """The configuration of that run."""
    shutil.copy(HERE / "evolve.yaml", file)


def make_questions(file: Path) -> None:
    """Questions to be graded."""
    rows = [
        {"pid": "1", "question": "How many cubes are left?", "answer": "3", "answer_type": "integer"},
        {"pid": "2", "question": "Find x.", "answer": "70°", "choices": ["60°", "70°"]},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_responses(file: Path) -> None:
    """Responses to them, with verdicts."""
    rows = [
        {"pid": "1", "response": "There are 3 cubes left.", "model": "a", "correct": True},
        {"pid": "2", "response": "We cannot determine the answer.", "model": "a", "correct": True},
    ]
    file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


def make_mathvista(file: Path) -> None:
    """A few rows as MathVista publishes them."""
    shutil.copy(published.mathvista(file.parent), file)


def make_riddles(file: Path) -> None:
    """A data set in a format of its own."""
    rows = [{"id": str(i), "picture": "white.png", "riddle": "How many?", "solution": str(i)} for i in range(3)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_picture(file: Path) -> None:
    """A picture of the size that the smallest policy takes."""
    Image.new("RGB", (32, 32), "white").save(file)


def make_brevity(file: Path) -> None:
    """The reward that docs/extend.md adds."""
    page = (HERE.parents[1] / "docs" / "extend.md").read_text()
    file.write_text(next(block.text for block in blocks(page) if block.said("file") == [file.name]))


MAKERS: dict[str, Callable[[Path], None]] = {
    "runs/evolve": make_run,
    "runs/demo/evolve": make_run,
    "evolve.yaml": make_config,
    "questions.jsonl": make_questions,
    "responses.jsonl.gz": make_responses,
    "data/testmini.parquet": make_mathvista,
    "data/riddles.jsonl": make_riddles,
    "data/white.png": make_picture,
    "brevity.py": make_brevity,
}
