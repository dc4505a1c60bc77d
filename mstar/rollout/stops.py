"""Texts that end a response."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mstar.modules.renderer import Renderer

MARGIN = 8  # tokens decoded beyond the text's own length: some tokens are part of a character


class StopTexts:
    """Tells whether the token that was just sampled has completed a stop text."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer

    def ended(self, stops: Sequence[str], tokens: Tensor) -> bool:
        """Whether the end of ``tokens`` ``(length,)`` holds one of the texts."""
        reach = max(map(len, stops)) + MARGIN
        tail = self.renderer.decode(tokens[-reach:].tolist())
        return any(stop in tail for stop in stops)
