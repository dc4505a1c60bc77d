"""easy-VQA: worked responses put together from its own answers, and the table of `make demo-easyvqa`.

``python -m mstar.demo.easyvqa --out runs/easyvqa`` reads what the recipe's stages left there and prints the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mstar.prompts.contents import Contents, contents_of
from mstar.prompts.ids import picked
from mstar.prompts.listed import ListedPrompts, prompt_ids
from mstar.types import Prompt, PromptSource

SHAPES = ("circle", "rectangle", "triangle")
ASKS = {"yes/no": ("yes", "no"), "shape": SHAPES}
POLICIES = {"warm-up": "test-warmup", "control": "test-control", "evolved": "test-evolved"}


class Worked(ListedPrompts):
    r"""Prompts with a worked response: what the image shows, in two lines, then the answer.

    easy-VQA has questions and answers, no reasoning. What an image shows is taken from its answers to *other* questions
    of the same image: one that asks for the shape, and one that asks for the colour. Images that were not asked both
    are left out. ``shape: circle\ncolor: red\nAnswer: no``.

    Args:
        source: easy-VQA's prompts; which of them show the same image is known from the images.
        num: How many, from the beginning.

    Raises:
        ValueError: If there are fewer.
    """

    def __init__(self, source: PromptSource, num: int) -> None:
        self.source = source
        self.images = contents_of(source).first.tolist()
        self.shown = told(source, self.images)
        self.indices = [index for index, image in enumerate(self.images) if len(self.shown[image]) == 2][:num]
        if len(self.indices) < num:
            raise ValueError(
                f"Worked.num is {num}, but only {len(self.indices)} prompts show what was asked; lower it."
            )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int, /) -> Prompt:
        prompt = self.source[self.indices[index]]
        shown = self.shown[self.images[self.indices[index]]]
        return replace(prompt, cot=f"shape: {shown['shape']}\ncolor: {shown['color']}\nAnswer: {prompt.answer}")

    def ids(self) -> Sequence[str]:
        """Their ids."""
        return picked(prompt_ids(self.source), self.indices)

    def contents(self) -> Contents:
        """What they show."""
        return contents_of(self.source).take(np.array(self.indices))


def told(source: PromptSource, images: Sequence[int]) -> dict[int, dict[str, str]]:
    """What the answers say of each image: its shape, its colour, or both."""
    shown: dict[int, dict[str, str]] = {image: {} for image in images}
    for index, image in enumerate(images):
        prompt = source[index]
        what = asks(prompt.answer or "")
        if what != "yes/no" and prompt.answer:
            shown[image][what] = prompt.answer
    return shown


def asks(answer: str) -> str:
    """What a question asks for, told by its answer.

    >>> asks("no"), asks("circle"), asks("teal")
    ('yes/no', 'shape', 'color')
    """
    return next((what for what, answers in ASKS.items() if answer in answers), "color")
