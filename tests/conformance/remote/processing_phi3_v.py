"""A stub with the interface of Phi-3.5-vision's own code: one text a call, images numbered in it, negative ids."""

import re

import torch
from transformers import BatchFeature, ProcessorMixin

TAG = re.compile(r"<\|image_(\d+)\|>")


class Phi3VProcessor(ProcessorMixin):
    def __init__(self, image_processor, tokenizer):
        super().__init__(image_processor, tokenizer)

    def __call__(self, text, images=None, padding=False, truncation=None, max_length=None, return_tensors="pt"):
        assert isinstance(text, str)
        if images is None:
            return BatchFeature(self.tokenizer(text, return_tensors=return_tensors, return_token_type_ids=False))
        found = self.image_processor(images, return_tensors=return_tensors)
        height, width = found["pixel_values"].shape[-2:]
        numbers = [int(number) for number in TAG.findall(text)]
        assert numbers == list(range(1, len(images) + 1))
        chunks = [self.tokenizer(chunk).input_ids for chunk in re.split(r"<\|image_\d+\|>", text)]
        ids = list(chunks[0])
        for number, chunk in zip(numbers, chunks[1:], strict=True):
            ids += [-number] * (height // 8 * width // 8) + chunk
        ids = torch.tensor([ids])
        sizes = torch.tensor([[height, width]] * len(images))
        return BatchFeature({"input_ids": ids, "attention_mask": torch.ones_like(ids), **found, "image_sizes": sizes})
