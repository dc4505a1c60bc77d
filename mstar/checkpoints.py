"""Checkpoints on disk: whole or absent, read without unpickling objects, and of the model they are loaded into."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import Tensor, nn

from mstar.files import replacing


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place, syncs it and moves it there: a kill leaves the old one or the new one.

    Lightning 2.6 writes to a temporary file in another folder, which may lie on another disk, and does not sync it.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write ``path``, and remove what a killed run left beside it; an address (``s3://…``) is left to Lightning."""
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f".{path.name}.*.tmp"):
            leftover.unlink()
        with replacing(path) as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                if isinstance(error.__context__, OSError):  # torch hides a full disk behind a complaint about positions
                    raise error.__context__ from error
                raise

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = lambda storage, _: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read tensors and primitives, never objects, whatever ``weights_only`` says."""
        if "://" in str(path):
            return super().load_checkpoint(path, map_location, weights_only=True)
        return read_checkpoint(path, map_location)


def read_checkpoint(path: str | Path, map_location: Any = "cpu", *, mmap: bool = False) -> dict[str, Any]:
    """Read a checkpoint without unpickling objects; with ``mmap`` tensors are read from disk when they are used.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is broken, holds objects, or is no checkpoint of Lightning.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint {path}; give one below a run's checkpoints folder, or none.")
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is not a checkpoint, or holds more than tensors and plain values, which is never loaded "
            f"({str(error).splitlines()[0]}). Give a checkpoint that mstar wrote."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}). Remove it to go on from an older one, or restore it from a copy."
        ) from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise ValueError(f"{path} is no checkpoint of a run: it has no state_dict. Give one from a checkpoints folder.")
    return checkpoint


def trained(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The part of a module's state that is trained: what a checkpoint beside frozen weights needs to hold."""
    names = {name for name, p in module.named_parameters() if p.requires_grad}
    return {name: value for name, value in state.items() if name in names}


def require_same_model(module: nn.Module, state: Mapping[str, Tensor], strict: bool = True) -> None:
    """Refuse the weights of another model.

    Args:
        module: What they are to be loaded into.
        state: The checkpoint's weights.
        strict: Whether it must hold all weights, or those alone that are trained.

    Raises:
        ValueError: Naming weights that are missing, too many, or of another shape.
    """
    mine: Mapping[str, Tensor] = module.state_dict() if strict else trained(module, module.state_dict())
    missing, extra = sorted(mine.keys() - state.keys()), sorted(state.keys() - mine.keys())
    shapes = [name for name in mine.keys() & state.keys() if mine[name].shape != state[name].shape]
    told = [
        f"{len(names):,} {what} (the first: {names[0]})"
        for names, what in (
            (missing, "weights of this model are not in it"),
            (extra, "of its weights are not in this model"),
            (sorted(shapes), "have another shape"),
        )
        if names
    ]
    if told:
        raise ValueError(
            f"The checkpoint is of another model: {'; '.join(told)}. Give model.backbone as in the run that wrote it, "
            f"or another --ckpt_path; a run goes on from its own checkpoints/last.ckpt by itself."
        )
