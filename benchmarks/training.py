"""SFT on a prompt's k best responses: the prompt computed once for them, against a padded row a response.

``python -m benchmarks.training``: about five minutes on one thread. Time is that of ``mid`` of ``benchmarks.models``
(256 image tokens, 8,192 words), memory that of ``cut`` (49,280 words). The plain way pads batches of 8 responses, each
with its prompt, and makes logits everywhere. Both make their inputs from prompts and tokens. The last line is JSON, and
its ``ratio`` is for k = 4.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from benchmarks.measure import interleaved, peak_memory, ratio
from benchmarks.models import Sized, lengths, prompts, responses
from mstar.datamodules.policy_data import Example, collate
from mstar.modules.renderer import Renderer
from mstar.objectives import SFT

NUM_PROMPTS = 2
PLAIN_BATCH = 8
Train = Callable[[PreTrainedModel, Renderer, list[Example]], float]


def kept(name: str, num_prompts: int, k: int) -> list[Example]:
    """What is trained on: k responses a prompt."""
    sizes = lengths(num_prompts * k, seed=0)
    tokens = responses(name, sizes, seed=0)
    asked = [prompt for prompt in prompts(name, num_prompts) for _ in range(k)]
    return [Example(prompt, written) for prompt, written in zip(asked, tokens, strict=True)]


def shared(model: PreTrainedModel, renderer: Renderer, examples: list[Example]) -> float:
    """What ``PolicyModule`` does with a batch: gradients of the mean over tokens, a part at a time."""
    total = 0.0
    for part in collate(renderer, 4096, True, examples):
        loss, _ = SFT().loss(model, part)
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    return total


def plain(model: PreTrainedModel, renderer: Renderer, examples: list[Example]) -> float:
    """A padded row a response and logits of every token."""
    count = sum(len(example.tokens) for example in examples)
    order = sorted(
        range(len(examples)), key=lambda i: i * 7 % len(examples)
    )  # prompts mixed, as a shuffled loader does
    total = 0.0
    for start in range(0, len(order), PLAIN_BATCH):
        batch = _padded(renderer, [examples[i] for i in order[start : start + PLAIN_BATCH]])
        labels = batch.pop("labels")
        logits = model(**batch, use_cache=False).logits[:, :-1]
        flat = logits.reshape(-1, logits.shape[-1])
        loss = torch.nn.functional.cross_entropy(flat, labels[:, 1:].reshape(-1), reduction="sum") / count
        loss.backward()
        total += loss.item()
    return total


def _padded(renderer: Renderer, examples: list[Example]) -> dict[str, Tensor]:
    asked: dict[str, Any] = renderer.process([example.prompt for example in examples])
    ids = [row[mask.bool()] for row, mask in zip(asked["input_ids"], asked["attention_mask"], strict=True)]
    tails = [torch.tensor(example.tokens) for example in examples]
    pad = partial(torch.nn.utils.rnn.pad_sequence, batch_first=True)
    rows = [torch.cat(pair) for pair in zip(ids, tails, strict=True)]
    labels = [torch.cat([torch.full_like(i, -100), tail]) for i, tail in zip(ids, tails, strict=True)]
    return {
        **asked,
        "input_ids": pad(rows),
        "attention_mask": pad([torch.ones_like(row) for row in rows]),
        "labels": pad(labels, padding_value=-100),
    }


def difference(model: PreTrainedModel, renderer: Renderer, examples: list[Example]) -> float:
    """Relative difference of the two ways' gradients."""
    both = []
    for train in (shared, plain):
        model.zero_grad()
        print(f"{train.__name__}: loss {train(model, renderer, examples):.6f}")
        both.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    return float((both[0] - both[1]).norm() / both[1].norm())


def memory(name: str, k: int) -> dict[str, float]:
    """Peak megabytes above weights and gradients."""
    model, processor = Sized(name).load()
    renderer = Renderer(processor)
    examples = kept(name, 1, k)
    shared(model, renderer, [Example(examples[0].prompt, (70,))])  # gradients are there from now on
    ways: dict[str, Train] = {"shared": shared, "plain": plain}
    found = {way: peak_memory(partial(train, model, renderer, examples)) for way, train in ways.items()}
    print(", ".join(f"{way}: {megabytes:.0f} MB" for way, megabytes in found.items()), flush=True)
    return found


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    model, processor = Sized("mid").load()
    renderer = Renderer(processor)
    variants, worst = {}, 0.0
    for k in (4, 8):
        examples = kept("mid", NUM_PROMPTS, k)
        worst = max(worst, difference(model, renderer, examples))
        variants[f"plain k={k}"] = partial(plain, model, renderer, examples)
        variants[f"shared k={k}"] = partial(shared, model, renderer, examples)
    print(f"relative difference of gradients at most {worst:.1e}")
    peaks = memory("cut", 8)
    seconds = interleaved(variants)
    print(
        json.dumps(
            {
                "ratio": ratio(seconds, "plain k=4", "shared k=4"),
                "ratio_k8": ratio(seconds, "plain k=8", "shared k=8"),
                "memory_ratio": round(peaks["plain"] / peaks["shared"], 2),
                "gradient_difference": worst,
            }
        )
    )


if __name__ == "__main__":
    main()
