"""Adapters: a few new weights beside frozen ones, by PEFT."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from mstar.checkpoints import require_same_model, trained
from mstar.modules.towers import language_layers

# bitsandbytes, which peft imports, asks for a kernel from a hub wherever there is a CPU; its own is slower, and works.
logging.getLogger("bitsandbytes.backends.cpu.ops").addFilter(lambda record: "kernels-community" not in record.msg)


class Lora:
    """Low-rank adapters of the language model's linear layers (LoRA, 2106.09685; DoRA, 2402.09353).

    Everything else is frozen, checkpoints hold the adapter alone, and rollouts are drawn through the adapter as it is:
    it is never merged into the weights beside it.

    Args:
        r: Rank.
        alpha: The adapter's output is scaled by ``alpha / r``.
        dropout: Share of an adapter's inputs that is dropped in training, in [0, 1).
        dora: Also learn each output's magnitude (DoRA): slower, and nearer to training all weights.
        targets: Regular expression that matches the whole names of the modules to adapt; ``None`` takes every linear
            layer of the language model: attention and MLPs, not the output layer, not the vision tower.
    """

    def __init__(
        self, r: int = 16, alpha: int = 32, dropout: float = 0.0, dora: bool = False, targets: str | None = None
    ) -> None:
        if r < 1:
            raise ValueError(f"adapter.r is {r}; give 1 or more, for instance 16.")
        self.r = r
        self.alpha = alpha
        self.dropout = dropout
        self.dora = dora
        self.targets = targets

    def apply(self, model: PreTrainedModel) -> PreTrainedModel:
        """Put adapters beside a model's layers; they begin as nothing, so that its outputs stay the same.

        Args:
            model: Changed in place: its layers are wrapped, its own weights frozen.

        Returns:
            A ``peft.PeftModel``, which is called as the model is.

        Raises:
            ValueError: If nothing is called as ``targets`` says, or the model has adapters already.
        """
        from peft import LoraConfig, get_peft_model  # takes seconds to import

        if any(".lora_" in name for name, _ in model.named_parameters()):
            raise ValueError(
                "model.adapter is set, but the backbone's folder holds an adapter already: merge it first (mstar "
                "export RUN --out DIR --merge) and give DIR as model.backbone.path."
            )
        targets = self.targets or linear_layers(model)
        if not any(re.fullmatch(targets, name) for name, _ in model.named_modules()):
            near = sorted({name for name, module in model.named_modules() if isinstance(module, nn.Linear)})
            raise ValueError(f"adapter.targets is {targets!r}, which matches no module; linear ones are {near[:3]}, ….")
        config: Any = LoraConfig(
            r=self.r, lora_alpha=self.alpha, lora_dropout=self.dropout, use_dora=self.dora, target_modules=targets
        )
        # Adapters keep the type of the weights beside them: sharded layers need one, and precision is the trainer's.
        adapted: Any = get_peft_model(model, config, autocast_adapter_dtype=False)
        return adapted  # type: ignore[no-any-return]

    def merged(self, model: PreTrainedModel, state: Mapping[str, Tensor]) -> PreTrainedModel:
        """The whole weights of a trained policy: its base, as it was trained on, with the adapter added.

        Weights in 4 bits are first turned back into what they stand for: nothing is ever merged into 4 bits, and what
        comes out writes as the trained policy did. (Merged into the weights as they were before quantisation, as others
        do, it would be another policy.)

        Args:
            model: The base, fresh from its backbone; changed in place.
            state: Trained weights, by their names in the adapted model.

        Raises:
            ValueError: If they are not all of this adapter's weights.
        """
        whole: Any = model.dequantize() if quantized(model) else model
        adapted: Any = self.apply(whole)
        require_same_model(adapted, trained(adapted, state), strict=False)
        adapted.load_state_dict(dict(state), strict=False)
        return adapted.merge_and_unload(safe_merge=True)  # type: ignore[no-any-return]

    def save(self, model: PreTrainedModel, state: Mapping[str, Tensor], folder: Path, base: str | None) -> None:
        """Write the adapter alone, as peft, transformers and vLLM read it.

        Args:
            model: The adapted model; its own weights are left alone.
            state: Trained weights, by their names in it.
            folder: Where to.
            base: Hub id or folder that the model's own weights were read from.

        Raises:
            ValueError: If they were not read from anywhere.
        """
        if base is None:
            raise ValueError(
                "The adapter's base was made from nothing (model.backbone has no path), so nobody could load the "
                "adapter alone: export with --merge (Export.merge: true)."
            )
        adapted: Any = model
        adapted.peft_config["default"].base_model_name_or_path = (
            str(Path(base).resolve()) if Path(base).exists() else base
        )
        adapted.save_pretrained(folder, state_dict=dict(state), save_embedding_layers=False)


def adapter_in(folder: str) -> Any:
    """The ``peft`` configuration of the adapter in a folder; ``None`` if it holds none."""
    if not (Path(folder) / "adapter_config.json").is_file():
        return None
    from peft import PeftConfig

    return PeftConfig.from_pretrained(folder)


def beside(model: PreTrainedModel, folder: str) -> PreTrainedModel:
    """A base with the trained adapter of a folder, frozen; transformers 5.23 itself leaves out DoRA's magnitudes."""
    from peft import PeftModel

    adapted: Any = PeftModel.from_pretrained(model, folder, autocast_adapter_dtype=False)
    return adapted  # type: ignore[no-any-return]


def quantized(model: PreTrainedModel) -> bool:
    """Whether some of a model's weights are stored in fewer bits than they are computed in."""
    return bool(model.config.to_dict().get("quantization_config"))


def linear_layers(model: PreTrainedModel) -> str:
    """A regular expression for the names of the linear layers in the language model's blocks.

    The names of layers, not of their places, so that it is short and reads the same in an exported configuration.
    """
    names = language_layers(model)
    if not names:
        raise ValueError(f"{model.config.model_type} has no linear layer in its language model: give adapter.targets.")
    paths = [name.split(".")[:-1] for name in names]
    prefix = ".".join(step[0] for step in takewhile(_all_equal, zip(*paths, strict=False)))
    leaves = sorted({name.rpartition(".")[2] for name in names})
    return rf"(?:.*\.)?{re.escape(prefix)}\.(?:.*\.)?(?:{'|'.join(map(re.escape, leaves))})"


def _all_equal(step: tuple[str, ...]) -> bool:
    return len(set(step)) == 1
