"""easy-VQA's files in small, laid out as the package has them."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = ("red", "green", "blue", "teal")


def easyvqa(folder: Path, num_images: int = 120) -> Path:
    """Write ``train`` and ``test``, each with ``questions.json`` and ``images``; every fifth image lacks its colour."""
    for split in ("train", "test"):
        (folder / split / "images").mkdir(parents=True)
        questions: list[list[str | int]] = []
        for number in range(num_images):
            colour = COLOURS[number % 4]
            picture = Image.new("RGB", (64, 64), (240, 240, 200 + number % 50))
            ImageDraw.Draw(picture).rectangle((5, 5, 20 + number // 50, 20 + (split == "test")), fill=colour)
            picture.save(folder / split / "images" / f"{number}.png")
            questions += [["what shape is present?", "rectangle", number], ["is there a circle?", "no", number]]
            questions += [["is there a rectangle?", "yes", number]]
            questions += [] if number % 5 == 0 else [["what color is the shape?", colour, number]]
        (folder / split / "questions.json").write_text(json.dumps(questions))
    return folder
