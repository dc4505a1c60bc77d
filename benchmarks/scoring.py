"""Step rewards of a prompt's 16 responses: all in one row, against a padded row a response and a forward a step.

``python -m benchmarks.scoring``: three minutes on one thread. The model is ``mid`` of ``benchmarks.models``; a scalar
head, 256 image tokens, about 60 of text. The last line is JSON; ``ratio`` is against padded rows.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import interleaved, ratio
from benchmarks.models import Sized, lengths, prompts, steps
from mstar.modules.process_reward import ProcessRewardModule
from mstar.modules.step_heads import ScalarHead
from mstar.steps import step_ends
from mstar.types import Prompt

NUM_PROMPTS, NUM_RESPONSES = 2, 16
STEPWISE = 2  # responses a prompt that are scored step by step; the others would take as long

Scores = list[tuple[float, ...]]


def ours(module: ProcessRewardModule, asked: list[Prompt], texts: list[str]) -> Scores:
    """What ``ProcessReward.score`` does."""
    return module.score_steps(asked, texts)


@torch.no_grad()
def padded(module: ProcessRewardModule, asked: list[Prompt], texts: list[str]) -> Scores:
    """A row a response, the 16 of a prompt a batch, padded; the head reads the hidden states at step ends."""
    found: Scores = []
    for start in range(0, len(texts), NUM_RESPONSES):
        some = slice(start, start + NUM_RESPONSES)
        found += _read(module, asked[some], texts[some], [_ends(module, text) for text in texts[some]])
    return found


@torch.no_grad()
def stepwise(module: ProcessRewardModule, asked: list[Prompt], texts: list[str]) -> Scores:
    """A forward pass a step, over prompt and response up to the step's end."""
    found: Scores = []
    for prompt, text in zip(asked, texts, strict=True):
        found.append(tuple(_read(module, [prompt], [text[:end]], [[-1]])[0][0] for end in step_ends(text)))
    return found


def _ends(module: ProcessRewardModule, text: str) -> list[int]:
    tokens, ends = module.renderer.step_ends(text, step_ends(text))
    return [end - len(tokens) for end in ends]  # from the right, where left-padded rows end


def _read(module: ProcessRewardModule, asked: list[Prompt], texts: list[str], ends: list[list[int]]) -> Scores:
    processor: Any = module.processor
    head: Any = module.head
    inputs: dict[str, Tensor] = processor(
        text=[module.renderer.text(prompt) + text for prompt, text in zip(asked, texts, strict=True)],
        images=[list(prompt.images) for prompt in asked],
        padding=True,
        return_tensors="pt",
    )
    assert module.model is not None
    hidden = module.model.base_model(**inputs, use_cache=False).last_hidden_state
    return [tuple(torch.sigmoid(head.linear(h[e])[:, 0]).tolist()) for h, e in zip(hidden, ends, strict=True)]


def main() -> None:
    """Measure and print."""
    module = ProcessRewardModule(Sized("mid"), ScalarHead())
    module.configure_model()
    module.eval()
    torch.nn.init.normal_(module.head.linear.weight, std=0.1)  # type: ignore[union-attr]
    asked = [prompt for prompt in prompts("mid", NUM_PROMPTS) for _ in range(NUM_RESPONSES)]
    texts = [steps(size, seed) for seed, size in enumerate(lengths(len(asked), seed=0))]
    some = [i for i in range(len(texts)) if i % NUM_RESPONSES < STEPWISE]
    few = [asked[i] for i in some], [texts[i] for i in some]
    found, expected, alone = ours(module, asked, texts), padded(module, asked, texts), stepwise(module, *few)
    worst = max(
        abs(a - b) for mine, plain in zip(found, expected, strict=True) for a, b in zip(mine, plain, strict=True)
    )
    worst = max(
        worst, *(abs(a - b) for i, s in zip(some, alone, strict=True) for a, b in zip(found[i], s, strict=True))
    )
    print(f"{sum(map(len, found)) / len(found):.1f} steps a response; largest difference between scores {worst:.1e}")
    seconds = interleaved(
        {
            "shared": partial(ours, module, asked, texts),
            "padded": partial(padded, module, asked, texts),
            "stepwise": partial(stepwise, module, *few),
        }
    )
    share = sum(len(found[i]) for i in some) / sum(map(len, found))
    seconds["stepwise, all"] = [second / share for second in seconds["stepwise"]]
    print(
        json.dumps(
            {
                "ratio": ratio(seconds, "padded", "shared"),
                "stepwise_ratio": ratio(seconds, "stepwise, all", "shared"),
                "largest_difference": worst,
            }
        )
    )


if __name__ == "__main__":
    main()
