"""From prompts and responses to model inputs, and back: one place for sampler, trainer and reward model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor, nn
from transformers import PreTrainedModel, ProcessorMixin

from mstar.modules.families import JOINED_ALONG, RESPONSE_TYPES
from mstar.modules.families import placeholders as placeholders
from mstar.modules.tree import Inputs as Inputs
from mstar.modules.tree import Tree
from mstar.types import Prompt

IGNORED = -100  # the label of positions that are not trained


class Renderer:
    """Turns prompts into model inputs by the model's own chat template and processor.

    The sampler, the trainer and the process reward all see a prompt through this class, so that the image pixels
    and prompt tokens a response was sampled from are those it is trained on.

    Args:
        processor: The model's processor.
        instruction: Said after every question, for instance how to write the answer; empty to leave out.
    """

    def __init__(self, processor: ProcessorMixin, instruction: str = "") -> None:
        self.processor: Any = processor
        self.tokenizer: Any = processor.tokenizer
        self.tokenizer.padding_side = "left"
        self.instruction = instruction
        self.longest = 0
        """Tokens of the longest prompt processed so far."""
        self.joined_along = JOINED_ALONG.get(type(processor).__name__, {})
        self.response_type = RESPONSE_TYPES.get(type(processor).__name__, 0)
        self._added: dict[tuple[int, int], int] = {}
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    def text(self, prompt: Prompt) -> str:
        """Render a prompt as the text the processor expands: chat template, images first, generation prompt.

        Raises:
            ValueError: If the prompt cannot be asked (``Prompt.unusable``).
        """
        if prompt.unusable:
            raise ValueError(prompt.unusable)
        question = f"{prompt.question}\n{self.instruction}" if self.instruction else prompt.question
        content: list[dict[str, str]] = [{"type": "image"}] * len(prompt.images)
        messages = [{"role": "user", "content": [*content, {"type": "text", "text": question}]}]
        rendered: str = self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return rendered

    def process(self, prompts: Sequence[Prompt]) -> Inputs:
        """Encode prompts, left-padded: ``input_ids`` and ``attention_mask`` ``(B, T)``, and what the images become."""
        images = [list(prompt.images) for prompt in prompts]
        texts = [self.text(prompt) for prompt in prompts]
        batch = self.processor(
            text=texts,
            images=images if any(images) else None,
            padding=True,
            return_tensors="pt",
            add_special_tokens=not all(map(self._begun, texts)),
        )
        self.longest = max(self.longest, batch["input_ids"].shape[1])
        return {k: v for k, v in batch.items() if isinstance(v, Tensor) and k != "labels"}

    def merged(self, rows: Sequence[Inputs]) -> Inputs:
        """What ``process`` (or ``encode``) would give for several prompts, of what it gave for each alone.

        So each prompt's images are processed once, and batches are cut when all lengths are known. Sequences are
        left-padded; images stand one behind the other, padded at their ends with zeros as processors do it.
        """
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: self._stacked(name, [row for row in rows if name in row]) for name in names}

    def _stacked(self, name: str, rows: Sequence[Inputs]) -> Tensor:
        values = [row[name] for row in rows]
        if name in self.joined_along:
            return torch.cat(values, self.joined_along[name])
        left = values[0].shape == rows[0]["input_ids"].shape
        pad = self.tokenizer.pad_token_id if name == "input_ids" else 0
        sizes = [max(axis) for axis in zip(*(value.shape[1:] for value in values), strict=True)]
        return torch.cat([_enlarged(value, sizes, left, pad) for value in values])

    def unexpanded(self, prompt: Prompt) -> list[int]:
        """Tokens of a prompt with one placeholder an image, as the chat template has it."""
        text = self.text(prompt)
        ids: list[int] = self.tokenizer(text, add_special_tokens=not self._begun(text))["input_ids"]
        return ids

    def _begun(self, text: str) -> bool:
        """Whether the chat template wrote the token that begins a text: then the tokenizer must not add another."""
        return self.tokenizer.bos_token is not None and text.startswith(self.tokenizer.bos_token)

    def num_tokens(self, prompt: Prompt) -> int:
        """Tokens a prompt takes, images included; no pixel is looked at if an image of each size was counted before."""
        return len(self.unexpanded(prompt)) + sum(map(self.added_tokens, prompt.images))

    def added_tokens(self, image: Image) -> int:
        """Tokens by which the processor expands an image; those of equal size take the same."""
        if image.size not in self._added:
            bare = Prompt("", "?", (image,))
            expanded = int(self.process([bare])["attention_mask"].sum())
            self._added[image.size] = expanded - len(self.unexpanded(bare))
        return self._added[image.size]

    def encode(self, prompts: Sequence[Prompt], prefixes: Sequence[Sequence[int]] | None = None) -> Inputs:
        """Encode prompts, left-padded, each with the beginning of a response if ``prefixes`` has one.

        Args:
            prompts: B prompts.
            prefixes: B lists of response tokens that follow the prompt.

        Returns:
            ``input_ids`` and ``attention_mask`` ``(B, T)``, and what else the processor makes (pixels, grids).
        """
        inputs = self.process(prompts)
        if prefixes is None or not any(prefixes):
            return inputs
        width = inputs["input_ids"].shape[1]
        rows = [_real(inputs["attention_mask"][i]) for i in range(len(prompts))]
        lengths = [int(row.sum()) + len(prefix) for row, prefix in zip(rows, prefixes, strict=True)]
        return {
            name: self._extend(name, value, rows, prefixes, max(lengths)) if value.shape[1:2] == (width,) else value
            for name, value in inputs.items()
        }

    def _extend(
        self, name: str, value: Tensor, rows: Sequence[Tensor], prefixes: Sequence[Sequence[int]], width: int
    ) -> Tensor:
        if value.dim() != 2 or value.shape[0] != len(rows):
            return value
        pad = self.tokenizer.pad_token_id if name == "input_ids" else 0
        out = torch.full((len(rows), width), pad, dtype=value.dtype)
        for i, (real, prefix) in enumerate(zip(rows, prefixes, strict=True)):
            tail = self._tail(name, prefix, value.dtype)
            row = torch.cat([value[i][real], tail])
            out[i, width - len(row) :] = row
        return out

    def rows(self, prompts: Sequence[Prompt], trees: Sequence[Tree]) -> Inputs:
        """Encode prompts, each once, with a tree of response tokens behind it; right-padded.

        Args:
            prompts: B prompts.
            trees: What follows each.

        Returns:
            The model's inputs with ``input_ids`` and ``attention_mask`` ``(B, T)``, ``ends`` ``(B, T)``: the position
            behind each token's last descendant, 0 on padding; and ``prompt_lengths`` ``(B,)``.
        """
        return self.behind(self.process(prompts), trees)

    def behind(self, inputs: Inputs, trees: Sequence[Tree]) -> Inputs:
        """Put a tree of response tokens behind each prompt of ``process``; see ``rows``."""
        real = inputs["attention_mask"].bool()
        size = inputs["input_ids"].shape
        lengths = real.sum(1)  # (B,)
        totals = [int(n) + len(tree.tokens) for n, tree in zip(lengths, trees, strict=True)]
        out = {k: v for k, v in inputs.items() if v.shape != size}
        for name in inputs.keys() - out.keys():
            pad = self.tokenizer.pad_token_id if name == "input_ids" else 0
            out[name] = torch.full((size[0], max(totals)), pad, dtype=inputs[name].dtype)
            for i, tree in enumerate(trees):
                out[name][i, : lengths[i]] = inputs[name][i][real[i]]
                out[name][i, lengths[i] : totals[i]] = self._tail(name, tree.tokens, inputs[name].dtype)
        ends = torch.zeros(size[0], max(totals), dtype=torch.long)
        for i, tree in enumerate(trees):
            ends[i, : lengths[i]] = totals[i]
            ends[i, lengths[i] : totals[i]] = torch.tensor(tree.ends, dtype=torch.long) + lengths[i]
        return {**out, "ends": ends, "prompt_lengths": lengths}

    def _tail(self, name: str, tokens: Sequence[int], dtype: torch.dtype) -> Tensor:
        """What a sequence-aligned input holds at response positions: ids, ones in masks, a type in token types."""
        if name == "input_ids":
            return torch.tensor(tokens, dtype=dtype)
        value = {"attention_mask": 1, "token_type_ids": self.response_type}.get(name, 0)
        return torch.full((len(tokens),), value, dtype=dtype)

    def response_tokens(self, text: str) -> tuple[int, ...]:
        """Tokens of a written response, end token included. Names of special tokens in it are plain text."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return (*ids, self.tokenizer.eos_token_id)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of response tokens, special tokens left out."""
        text: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def step_ends(self, text: str, ends: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Tokens of a response and the index of the token that completes each step.

        Names of special tokens in it are plain text: to a policy of another family ``<image>`` may be just that.

        Args:
            text: The response.
            ends: For each step the position in ``text`` behind its last character, rising.

        Returns:
            Token ids (without end token) and, for each step, an index into them.
        """
        coded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True)
        starts = [start for start, _ in coded["offset_mapping"]]
        return tuple(coded["input_ids"]), tuple(max(0, sum(s < end for s in starts) - 1) for end in ends)


def vocabulary_digest(processor: ProcessorMixin) -> str:
    """Digest of a tokenizer's tokens and their ids; 16 hexadecimal digits."""
    tokenizer: Any = processor
    tokens = sorted(tokenizer.tokenizer.get_vocab().items())
    return hashlib.blake2b(repr(tokens).encode(), digest_size=8).hexdigest()


def end_tokens(model: PreTrainedModel, renderer: Renderer) -> list[int]:
    """Ids that end a response: those of the generation config and of the tokenizer."""
    configured = model.generation_config.eos_token_id if model.generation_config else None
    listed = configured if isinstance(configured, list) else [configured]
    return sorted({i for i in (*listed, renderer.tokenizer.eos_token_id) if i is not None})


def _enlarged(value: Tensor, sizes: Sequence[int], left: bool, pad: float) -> Tensor:
    """Pad all axes but the first."""
    missing = [size - have for size, have in zip(sizes, value.shape[1:], strict=True)]
    ends = [(count, 0) if left else (0, count) for count in reversed(missing)]
    return nn.functional.pad(value, [end for pair in ends for end in pair], value=pad)


def _real(mask: Tensor) -> Tensor:
    return mask.bool()
