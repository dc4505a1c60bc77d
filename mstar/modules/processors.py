"""Open a model's processor, also where torchvision is missing: then without its video part, which needs it."""

from __future__ import annotations

import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import transformers
from transformers import AutoConfig, AutoProcessor, PreTrainedConfig, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils import VIDEO_PROCESSOR_NAME
from transformers.utils.hub import cached_file
from transformers.utils.import_utils import is_torchvision_available

from mstar.files import read_json, write_json
from mstar.modules.families import FAMILIES, LLAVA, VIDEO_SETTINGS


def load_processor(
    path: str, trust_remote_code: bool = False, base: str | None = None, **settings: Any
) -> ProcessorMixin:
    """Read a processor as ``AutoProcessor`` does.

    Without torchvision transformers can make no video processor, and fails on every processor that has one, whether or
    not a video is ever asked for. Such a processor is then read without that part; ``save_pretrained`` writes its
    settings again as they were read, so that the folder is whole where torchvision is there.

    Args:
        path: Hub id or folder.
        trust_remote_code: Run the Python code that comes with the processor.
        base: Where the model is from, if not from ``path`` as well: an adapter's folder does not say what it is.
        **settings: Of the processor, in place of those it was saved with.

    Raises:
        ImportError: If the images, too, need torchvision.
    """
    if not is_torchvision_available() and not trust_remote_code:
        config = AutoConfig.from_pretrained(base or path, trust_remote_code=False)
        cls = processor_class(config)
        # Where nothing needs to be left out, the folder may name another class than its model's usual one.
        if cls is not None and image_only(cls) is not PROCESSOR_MAPPING.get(type(config), None):
            made = image_only(cls).from_pretrained(path, **settings)
            made.video_settings = _video_settings(path)
            return made  # type: ignore[no-any-return]
    return AutoProcessor.from_pretrained(path, trust_remote_code=trust_remote_code, **settings)  # type: ignore[no-any-return]


def processor_class(config: PreTrainedConfig) -> Any:
    """The class of a model's processor, the one that needs no torchvision if there are two; ``None`` if unknown."""
    other = FAMILIES.get(config.model_type, LLAVA).image_only
    return getattr(transformers, other) if other else PROCESSOR_MAPPING.get(type(config), None)


@functools.cache
def image_only(cls: type[ProcessorMixin]) -> Any:
    """A processor class that asks for no video processor; the class itself if it never does."""
    if "video_processor" not in cls.get_attributes():
        return cls
    video = SimpleNamespace(**VIDEO_SETTINGS.get(cls.__name__, {}))
    return type(
        cls.__name__,  # what is saved names the class
        (cls, _NoVideo),
        {"__module__": cls.__module__, "all_parts": tuple(cls.get_attributes()), "video_processor": video},
    )


class _NoVideo(ProcessorMixin):
    """Stands behind the processor's own class, whose constructor hands a video processor on: it ends here."""

    all_parts: tuple[str, ...] = ()
    video_settings: dict[str, Any] | None = None

    def __init__(self, *given: Any, **settings: Any) -> None:
        settings = {name: value for name, value in settings.items() if "video" not in name}
        super().__init__(*[part for part in given if part is not None], **settings)  # type: ignore[no-untyped-call]

    @classmethod
    def get_attributes(cls) -> list[str]:
        return [name for name in cls.all_parts if "video" not in name]

    @classmethod
    def from_args_and_dict(cls, args: Any, processor_dict: dict[str, Any], **kwargs: Any) -> Any:
        given = dict(zip(cls.get_attributes(), args, strict=True))
        return super().from_args_and_dict([given.get(name) for name in cls.all_parts], processor_dict, **kwargs)

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        written = super().save_pretrained(save_directory, *args, **kwargs)
        if self.video_settings is not None:
            write_json(Path(save_directory) / VIDEO_PROCESSOR_NAME, self.video_settings)
        return written


def _video_settings(path: str) -> dict[str, Any] | None:
    """What a folder says of its video processor, in either of the places where it may stand."""
    within = ProcessorMixin.get_processor_dict(path)[0].get("video_processor")
    file = cached_file(path, VIDEO_PROCESSOR_NAME, _raise_exceptions_for_missing_entries=False)
    return within or (read_json(Path(file)) if file else None)
