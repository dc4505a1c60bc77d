"""What does not hold here, and why; ``test_conformance.py`` holds each line true, the README prints it."""

from __future__ import annotations

NEEDS_TORCHVISION: dict[str, str] = {
    "phi4_multimodal": "Phi4MultimodalImageProcessor",
    "mistral3": "PixtralProcessor",
    "llama4": "Llama4ImageProcessor",
    "cohere2_vision": "Cohere2VisionImageProcessor",
    "lfm2_vl": "Lfm2VlImageProcessor",
}
"""Families that nothing can be shown to without torchvision, and the class that needs it. Their parts are checked."""

EXCEPTIONS: dict[tuple[str, str], str] = {}
"""Checks that a family does not pass."""
