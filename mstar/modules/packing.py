"""From responses to the batches a model is called with: each prompt once, its responses beside it.

A part is a dictionary of tensors: the rows of ``Renderer.behind`` and, for each of its R responses of at most L tokens,

=================== ========== ================================================================
``rows``            ``(R,)``   the row it stands in
``places``          ``(R, L)`` the position in the row of each of its tokens, 0 as padding
``labels``          ``(R, L)`` the tokens themselves, -100 as padding
``index``           ``(R,)``   its number among the responses that were packed
=================== ========== ================================================================

The token that predicts a response's first one is the prompt's last; a later one is predicted by the one before it in
the response, which need not stand left of it in the row. Responses of a prompt that begin alike share the beginning.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mstar.modules.renderer import IGNORED, Inputs, Renderer
from mstar.modules.tree import Tree, trie
from mstar.types import Prompt

OURS = frozenset(
    {"rows", "places", "labels", "index", "num_tokens", "num_responses", "num_steps"}
    | {"advantages", "old_logprobs", "steps", "step_labels"}
)
LONGEST = 2048
"""Response tokens a row: attention costs the square of a row's length, in time and in memory for its mask."""

AHEAD = 64
"""Prompts that are processed before the first part is cut, so that rows of similar length meet."""

Pair = tuple[Prompt, Sequence[int]]


@dataclass(frozen=True)
class Row:
    """A prompt and the responses that stand behind it."""

    prompt: Prompt
    members: tuple[int, ...]
    """Numbers of the responses."""
    tree: Tree
    paths: tuple[tuple[int, ...], ...]
    """Where each response's tokens stand in the tree."""


@dataclass(frozen=True)
class Ready:
    """A row whose prompt is processed."""

    row: Row
    inputs: Inputs

    @property
    def width(self) -> int:
        """Tokens of prompt and tree."""
        return self.inputs["input_ids"].shape[1] + len(self.row.tree.tokens)


def pack(renderer: Renderer, pairs: Sequence[Pair], token_budget: int, share: bool) -> Iterator[Inputs]:
    """Cut prompts with responses into parts of at most ``token_budget`` tokens, padding included, longest rows first.

    Rows of similar length stand together, prompt and responses counted. A row longer than the budget is a part of its
    own. Images are processed once, and held for ``AHEAD`` prompts, or for a part if it has more.

    Args:
        renderer: Of the model the parts are for.
        pairs: Prompts, told apart by their ids, each with the tokens of a response; at least one token each.
        token_budget: Rows times the longest row's length.
        share: Let responses of a prompt stand in one row; needs a model that ``shares``.

    Raises:
        ValueError: If the budget is not positive, or two prompts of one id are not the same.
    """
    if token_budget < 1:
        raise ValueError(f"token_budget is {token_budget}; give 1 or more, for instance 4096.")
    tokens = [tokens for _, tokens in pairs]
    rows = sorted(_rows(pairs, share), key=lambda row: -len(row.tree.tokens))
    if (whole := _whole(renderer, rows, token_budget)) is not None:
        yield _part(renderer, whole, rows, tokens)
        return
    left = deque(rows)
    ready: list[Ready] = []
    while left or ready:
        while left and (len(ready) < AHEAD or _size(ready) < token_budget):
            row = left.popleft()
            ready.append(Ready(row, renderer.process([row.prompt])))
        if _size(ready) > token_budget:
            ready.sort(key=lambda each: -each.width)
        count = max(1, token_budget // ready[0].width)
        inputs = renderer.merged([each.inputs for each in ready[:count]])
        yield _part(renderer, inputs, [each.row for each in ready[:count]], tokens)
        ready = ready[count:]


def _whole(renderer: Renderer, rows: Sequence[Row], token_budget: int) -> Inputs | None:
    """All prompts processed in one call, which is faster, if a single part will hold them.

    Judged by prompts seen before: how it turns out changes the time it takes, not the parts.
    """
    if not rows or not renderer.longest:
        return None
    if len(rows) * (renderer.longest + len(rows[0].tree.tokens)) > token_budget:
        return None
    inputs = renderer.process([row.prompt for row in rows])
    widths = [n + len(row.tree.tokens) for n, row in zip(inputs["attention_mask"].sum(1).tolist(), rows, strict=True)]
    return inputs if len(rows) * max(widths) <= token_budget else None


def _size(ready: Sequence[Ready]) -> int:
    """Tokens of a part of these rows, padding included."""
    return len(ready) * max(each.width for each in ready)


def _rows(pairs: Sequence[Pair], share: bool) -> list[Row]:
    """A row a prompt, or several if its responses exceed ``LONGEST`` tokens; a row a response without sharing."""
    open_rows: dict[str | int, list[int]] = {}
    filled: list[list[int]] = []
    room: dict[str | int, int] = {}
    for number, (prompt, tokens) in enumerate(pairs):
        name = prompt.id if share else number
        if name not in open_rows or room[name] < len(tokens):
            open_rows[name], room[name] = [], LONGEST
            filled.append(open_rows[name])
        else:
            pairs[open_rows[name][0]][0].require_same(prompt)
        open_rows[name].append(number)
        room[name] -= len(tokens)
    return [_row(pairs, members) for members in filled]


def _row(pairs: Sequence[Pair], members: Sequence[int]) -> Row:
    tree, paths = trie([pairs[number][1] for number in members])
    return Row(pairs[members[0]][0], tuple(members), tree, tuple(paths))


def _part(renderer: Renderer, inputs: Inputs, rows: Sequence[Row], tokens: Sequence[Sequence[int]]) -> Inputs:
    batch = renderer.behind(inputs, [row.tree for row in rows])
    placed = [(i, *member) for i, row in enumerate(rows) for member in zip(row.members, row.paths, strict=True)]
    starts = batch["prompt_lengths"].tolist()
    return {
        **batch,
        "rows": torch.tensor([row for row, _, _ in placed]),
        "places": ragged([[starts[row] + node for node in path] for row, _, path in placed], 0),
        "labels": ragged([tokens[number] for _, number, _ in placed], IGNORED),
        "index": torch.tensor([number for _, number, _ in placed]),
    }


def ragged(rows: Sequence[Sequence[float]], padding: float) -> Tensor:
    """Rows of different lengths as one tensor of their type, at least one column wide.

    >>> ragged([[1, 2], []], -1).tolist()
    [[1, 2], [-1, -1]]
    """
    width = max(1, *map(len, rows))
    return torch.tensor([[*row, *[padding] * (width - len(row))] for row in rows])


def before(part: Inputs) -> Tensor:
    """Where each response token is predicted: positions ``(R, L)`` in its row, one before the token's in its branch."""
    last = part["prompt_lengths"][part["rows"]] - 1  # (R,)
    return torch.cat([last[:, None], part["places"][:, :-1]], 1)


def model_inputs(part: Inputs) -> Inputs:
    """The rows of a part, without what is said of their responses."""
    return {name: value for name, value in part.items() if name not in OURS}
