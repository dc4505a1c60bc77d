"""Rows that branch compute each branch as if it stood alone."""

from __future__ import annotations

import pytest
import torch

from mstar.demo.scenes import DigitScenes
from mstar.modules.policy import Policy
from mstar.modules.tree import Tree, tree_inputs, trie
from mstar.types import Prompt
from tests.policies import policy


@pytest.fixture(scope="module")
def ready() -> Policy:
    with policy().inference() as inner:
        return inner


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    source = DigitScenes("prompts", 3, seed=0)
    return [source[i] for i in range(len(source))]


def logits_of(ready: Policy, prompts: list[Prompt], trees: list[Tree]) -> torch.Tensor:
    with torch.no_grad():
        out: torch.Tensor = ready.model(**tree_inputs(ready.model, ready.renderer.rows(prompts, trees))).logits
    return out


def siblings(responses: list[tuple[int, ...]]) -> Tree:
    """Whole responses one after the other, each with its own copy of what it shares with others."""
    ends = [end for i, response in enumerate(responses) for end in [sum(map(len, responses[: i + 1]))] * len(response)]
    return Tree(tuple(token for response in responses for token in response), tuple(ends))


def test_each_sibling_has_the_logits_it_has_alone(ready: Policy, prompts: list[Prompt]) -> None:
    responses = [(70, 71, 72), (70, 80), (90, 91, 92, 93)]
    together = logits_of(ready, prompts, [siblings(responses), siblings(responses[:1]), Tree()])
    for row, (prompt, own) in enumerate(zip(prompts, [responses, responses[:1], []], strict=True)):
        length = int(ready.renderer.rows([prompt], [Tree()])["prompt_lengths"][0])
        start = length
        for response in own:
            alone = logits_of(ready, [prompt], [siblings([response])])[0]
            assert torch.allclose(together[row, :length], alone[:length], atol=1e-5)
            assert torch.allclose(together[row, start : start + len(response)], alone[length:], atol=1e-5)
            start += len(response)


def test_a_trie_gives_each_prefix_the_logits_it_has_alone(ready: Policy, prompts: list[Prompt]) -> None:
    prefixes = [(70, 71, 72, 73), (70, 71), (), (70, 80, 81), (90,), (70, 71)]
    tree, paths = trie(prefixes)
    assert len(tree.tokens) == 7
    together = logits_of(ready, prompts[:1], [tree])[0]
    length = together.shape[0] - len(tree.tokens)
    for prefix, path in zip(prefixes, paths, strict=True):
        assert tuple(tree.tokens[node] for node in path) == prefix
        alone = logits_of(ready, prompts[:1], [siblings([prefix])])[0]
        found = together[[*range(length), *(length + node for node in path)]]
        assert torch.allclose(found, alone, atol=1e-5)
