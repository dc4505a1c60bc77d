"""Questions about four digits in a 2×2 picture, with answers, and worked responses where a split has them.

The base policy learns on ``printed`` scenes; ``cot`` is a small seed set in real handwriting, ``prompts`` are many more
scenes, of other glyphs, with answers only. A right answer all but certifies that the digits were read, so verified
responses are labels for new handwriting: the setting of M-STaR (arXiv 2412.17451) in small.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from math import prod
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mstar.demo.glyphs import GLYPH, Mask, Split, glyph_pool, handwritten, label, printed
from mstar.seeds import run_seed
from mstar.types import Prompt, PromptSource

Kind = Literal["sum", "prod", "range"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SPLITS: tuple[Split, ...] = get_args(Split)
CELL = 16
"""Side of a cell in pixels; the tiny policy sees one visual token a cell."""
SIDE = 2 * CELL
"""Side of a picture in pixels."""
READING = "Read the digits."
LINES = {"rows": ("top row, bottom row", ((0, 1), (2, 3))), "columns": ("left column, right column", ((0, 2), (1, 3)))}
"""How a pair of lines is named, and its cells (reading order)."""
INKS = ((25, 25, 25), (20, 40, 170), (170, 20, 30), (10, 110, 40))
PAPER = 240
NOISE = 6
"""Standard deviation of the pixel noise, in 0..255 units."""


@dataclass(frozen=True)
class Scene:
    """What a picture shows and what is asked about it."""

    id: str
    kind: Kind
    lines: str
    """``rows`` or ``columns``; unused by ``range``."""
    digits: tuple[int, ...]
    """Four digits in reading order."""
    glyphs: tuple[int, ...]
    """Their handwriting, as indices into ``load_digits``; empty if printed."""

    @property
    def question(self) -> str:
        """The question's text; it says nothing about the digits."""
        name = LINES[self.lines][0]
        return {
            "sum": f"Sum of {name}?",
            "prod": f"Product of {name}?",
            "range": "Largest digit minus smallest?",
        }[self.kind]

    @property
    def facts(self) -> tuple[tuple[str, int], ...]:
        """The single operations that answer the question, each with its result."""
        if self.kind == "range":
            high, low = max(self.digits), min(self.digits)
            return ((f"{high}-{low}", high - low),)
        pairs = [(self.digits[i], self.digits[j]) for i, j in LINES[self.lines][1]]
        if self.kind == "sum":
            return tuple((f"{a}+{b}", a + b) for a, b in pairs)
        return tuple((f"{a}*{b}", prod((a, b))) for a, b in pairs)

    @property
    def answer(self) -> str:
        """One integer, or two joined by a comma."""
        return ",".join(str(value) for _, value in self.facts)

    @property
    def worked(self) -> str:
        """The gold response: the reading, one fact a line, the answer."""
        a, b, c, d = self.digits
        facts = [f"{fact}={value}" for fact, value in self.facts]
        return "\n".join([f"{a}{b}/{c}{d}", *facts, f"Answer: {self.answer}"])


class DigitScenes:
    """A split of the demo task, as a sequence of prompts; pictures are drawn when asked for.

    Kinds take turns (sum, product, range); of each pair of lines, half are rows and half columns. Fully determined by
    ``(split, seed, index)``: ``num`` only says where to stop. Splits of *one* seed share no handwriting, so give all
    splits of a study the same seed.

    Args:
        split: ``printed`` (typeface, worked responses), ``cot`` (handwriting, worked responses), ``prompts``,
            ``validation`` and ``test`` (handwriting, answers only), ``ood`` (answers only, other writers).
        num: Number of scenes, > 0.
        seed: Deals out the glyphs and draws the scenes; ``None`` takes the run's (``seed_everything``).
    """

    def __init__(self, split: Split, num: int, seed: int | None = None) -> None:
        seed = run_seed(seed)
        if split not in SPLITS:
            raise ValueError(f"DigitScenes.split is {split!r}; give one of {', '.join(SPLITS)}.")
        if num < 1:
            raise ValueError(f"DigitScenes.num is {num}; give 1 or more.")
        if seed < 0:
            raise ValueError(f"DigitScenes.seed is {seed}; give 0 or more.")
        self.split: Split = split
        self.num = num
        self.seed = seed

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, index: int, /) -> Prompt:
        if not 0 <= index < self.num:
            raise IndexError(f"DigitScenes({self.split!r}) has {self.num} scenes; {index} is not one of them.")
        rng, scene = _draw(self.split, self.seed, index)
        return Prompt(
            id=scene.id,
            question=scene.question,
            images=(_picture(scene, rng),),
            answer=scene.answer,
            kind=scene.kind,
            cot=scene.worked if self.split in ("printed", "cot") else None,
            meta={"question_type": "free_form", "answer_type": "integer" if scene.kind == "range" else "list"},
        )


class PrintedCurriculum:
    """What the base model is pre-trained on: printed scenes, first only read out ("40/65"), then worked.

    Without the reading lessons, reading never emerges within 500 steps (measured).

    Args:
        num_read: Scenes that are read out, > 0.
        num_worked: Worked scenes behind them, > 0.
        seed: Draws the scenes; ``None`` takes the run's (``seed_everything``).
    """

    def __init__(self, num_read: int, num_worked: int, seed: int | None = None) -> None:
        self.num_read = num_read
        self.scenes = DigitScenes("printed", num_read + num_worked, seed)

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int, /) -> Prompt:
        prompt = self.scenes[index]
        if index >= self.num_read:
            return prompt
        read = (prompt.cot or "").splitlines()[0]
        return replace(prompt, question=READING, answer=read, cot=read, kind="read", meta={})


def describe(prompt_id: str) -> Scene:
    """Rebuild the scene behind a prompt from its id, ``<split>-<seed>-<index>``; needs no picture."""
    split, seed, index = prompt_id.split("-")
    if split not in SPLITS:
        raise ValueError(f"prompt {prompt_id!r} is not a demo scene; expected <split>-<seed>-<index>.")
    return _draw(split, int(seed), int(index))[1]


def gold(prompt_id: str) -> str:
    """Give the worked response of any scene: it measures false positives, and never trains.

    >>> gold("printed-0-000000").splitlines()[-1].startswith("Answer: ")
    True
    """
    return describe(prompt_id).worked


def text_only_floor(train: PromptSource, test: PromptSource) -> float:
    """Measure how often the picture is not needed: accuracy in [0, 1] of each question's most frequent training answer.

    A question that training never asked counts as wrong.
    """
    seen: defaultdict[str, Counter[str | None]] = defaultdict(Counter)
    for index in range(len(train)):
        prompt = train[index]
        seen[prompt.question][prompt.answer] += 1
    guess = {question: answers.most_common(1)[0][0] for question, answers in seen.items()}
    asked = [test[index] for index in range(len(test))]
    return sum(p.answer is not None and guess.get(p.question) == p.answer for p in asked) / len(asked)


def _draw(split: Split, seed: int, index: int) -> tuple[np.random.Generator, Scene]:
    """Draw a scene, and hand on the generator that will draw its picture."""
    rng = np.random.default_rng((seed, SPLITS.index(split), index))
    kind = KINDS[index % len(KINDS)]
    pool = glyph_pool(split, seed, nonzero=kind == "prod")
    if pool:
        glyphs = tuple(pool[int(i)] for i in rng.choice(len(pool), size=4, replace=False))
        digits = tuple(label(glyph) for glyph in glyphs)
    else:
        glyphs, digits = (), tuple(int(d) for d in rng.integers(kind == "prod", 10, size=4))
    lines = "rows" if rng.random() < 0.5 else "columns"
    return rng, Scene(f"{split}-{seed}-{index:06d}", kind, lines, digits, glyphs)


def _picture(scene: Scene, rng: np.random.Generator) -> Image.Image:
    """Draw a scene, RGB 32×32: each digit in its cell, moved by 0-2 pixels, in one ink a scene."""
    ink = np.zeros((SIDE, SIDE), dtype=np.float32)
    for cell, mask in enumerate(_masks(scene, rng)):
        y, x = (int(at) for at in rng.integers(0, CELL - GLYPH + 1, size=2) + np.array(divmod(cell, 2)) * CELL)
        ink[y : y + GLYPH, x : x + GLYPH] = mask
    return Image.fromarray(_colour(ink, rng))


def _masks(scene: Scene, rng: np.random.Generator) -> list[Mask]:
    if scene.glyphs:
        return [handwritten(glyph) for glyph in scene.glyphs]
    return [printed(digit, rng) for digit in scene.digits]


def _colour(ink: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Colour ink ``(h, w)`` in [0, 1] and add noise; gives ``(h, w, 3)``."""
    colour = np.array(INKS[int(rng.integers(len(INKS)))], dtype=np.float32)
    pixels = PAPER + ink[..., None] * (colour - PAPER)  # (h, w, 3)
    noisy = pixels + rng.normal(0, NOISE, size=pixels.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
