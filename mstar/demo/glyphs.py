"""Digit glyphs: real handwriting (scikit-learn's ``load_digits``) and printed ones (Pillow's built-in font).

All glyph masks are ``(14, 14)`` float32, 0 = paper, 1 = ink.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits

Split = Literal["printed", "cot", "prompts", "validation", "test", "ood"]
Mask = NDArray[np.float32]

GLYPH = 14
"""Side of a glyph mask, in pixels."""
NUM_SHARED_WRITERS = 1400
"""Glyphs in file order before which all splits but ``ood`` draw; later ones come from another block of writers."""
SHARES: dict[str, slice] = {
    "test": slice(0, 300),
    "validation": slice(300, 450),
    "cot": slice(450, 600),
    "prompts": slice(600, 1300),
}
"""Each handwritten split's part of the shuffled glyphs, the ``ood`` block apart."""


@lru_cache(maxsize=1)
def _digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Give the 1,797 bitmaps ``(n, 8, 8)`` in 0..255 and their labels ``(n,)``."""
    data = load_digits()
    bitmaps = np.rint(data.images * (255 / 16)).astype(np.uint8)
    return bitmaps, np.asarray(data.target, dtype=np.int64)


def label(glyph: int) -> int:
    """Give the digit, 0-9, that a handwritten glyph shows."""
    return int(_digits()[1][glyph])


@lru_cache(maxsize=64)
def glyph_pool(split: Split, seed: int, *, nonzero: bool = False) -> tuple[int, ...]:
    """List a split's glyphs, as indices into ``load_digits``; splits of one seed share none.

    Args:
        split: One of the handwritten splits; ``printed`` has no pool and gives an empty one.
        seed: Shuffles the glyphs before they are dealt out; ``ood`` does not depend on it.
        nonzero: Leave out the zeros.
    """
    labels = _digits()[1]
    if split == "printed":
        return ()
    if split == "ood":
        pool = np.arange(NUM_SHARED_WRITERS, len(labels))
    else:
        pool = np.random.default_rng(seed).permutation(NUM_SHARED_WRITERS)[SHARES[split]]
    return tuple(int(i) for i in pool if labels[i] > 0 or not nonzero)


@cache
def handwritten(glyph: int) -> Mask:
    """Draw a handwritten glyph, 8×8 enlarged bilinearly."""
    image = Image.fromarray(_digits()[0][glyph])
    return _mask(image.resize((GLYPH, GLYPH), Image.Resampling.BILINEAR))


def printed(digit: int, rng: np.random.Generator) -> Mask:
    """Draw a printed digit: size 12-15, stroke 0 or 1, turned by up to 12 degrees."""
    size, stroke = int(rng.integers(12, 16)), int(rng.integers(0, 2))
    return _mask(_upright(digit, size, stroke).rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR))


@cache
def _upright(digit: int, size: int, stroke: int) -> Image.Image:
    image = Image.new("L", (GLYPH, GLYPH))
    font = ImageFont.load_default(size)
    centre = (GLYPH / 2, GLYPH / 2)
    ImageDraw.Draw(image).text(centre, str(digit), fill=255, font=font, anchor="mm", stroke_width=stroke)
    return image


def _mask(image: Image.Image) -> Mask:
    return np.asarray(image, dtype=np.float32) / np.float32(255)
