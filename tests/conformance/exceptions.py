"""What does not hold here, and why; ``test_conformance.py`` holds each line true, the README prints it."""

from __future__ import annotations

NO_IMAGES = "its image processor needs torchvision"

UNBUILT: dict[str, str] = {
    "phi4_multimodal": NO_IMAGES,
    "mistral3": NO_IMAGES,
    "llama4": NO_IMAGES,
    "cohere2_vision": NO_IMAGES,
    "lfm2_vl": NO_IMAGES,
    "perception_lm": NO_IMAGES,
    "kimi_k25": NO_IMAGES,
    "molmo2": NO_IMAGES,
}
"""Families of which no processor can be made without torchvision."""

EXCEPTIONS: dict[tuple[str, str], str] = {}
"""Checks that a family does not pass."""
