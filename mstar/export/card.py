"""The cards of an exported policy and of its training set, in the hub's format"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCard, DatasetCardData, ModelCard, ModelCardData

from mstar import __version__
from mstar.export.kept import Kept
from mstar.export.measured import Figure
from mstar.export.run import look_up
from mstar.modules.adapter import Lora
from mstar.modules.backbone import PretrainedBackbone
from mstar.modules.policy import PolicyModule
from mstar.modules.process_reward import ProcessRewardModule

HERE = Path(__file__).parent
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
RECIPE = (  # what the card names of a configuration; all of it is in mstar.yaml
    ("data", "data"),
    ("prompts", "data.prompts"),
    ("source of prompts", "data.prompts.source"),
    ("reward", "reward"),
    ("selectors", "data.selectors"),
    ("temperature by", "data.temperature.rule"),
    ("objective", "model.objective"),
    ("adapter", "model.adapter"),
    ("optimizer", "model.optimizer"),
    ("engine", "data.engine"),
    ("responses a step, on each rank", "data.batch_size"),
    ("seed", "seed_everything"),
    ("precision", "trainer.precision"),
    ("strategy", "trainer.strategy"),
)


def model_card(
    module: PolicyModule | ProcessRewardModule,
    config: Mapping[str, Any],
    steps: int,
    kept: Kept,
    figures: Sequence[Figure],
    name: str,
    dataset: str | None,
    merged: bool,
) -> ModelCard:
    """Say what a model is, how to use it, how it was made, how well it does and what it was trained on.

    Args:
        module: The run's model.
        config: The run's.
        steps: Optimizer steps of the checkpoint, the warm-up's counted where it took over from one.
        kept: What it was trained on.
        figures: What was measured.
        name: Hub id or folder by which it is loaded.
        dataset: Hub id of the training set; ``None`` if it is pushed nowhere.
        merged: Whether the weights are whole.
    """
    lora = module.adapter if isinstance(module, PolicyModule) else None
    adapter = lora is not None and not merged
    base = module.backbone.path
    on_hub = base is not None and not Path(base).exists() and HUB_ID.fullmatch(base) is not None
    data = ModelCardData(
        base_model=base if on_hub else None,
        base_model_relation=("adapter" if adapter else "finetune") if on_hub else None,
        library_name="peft" if adapter else "transformers",
        pipeline_tag="image-text-to-text" if isinstance(module, PolicyModule) else None,
        datasets=[dataset] if dataset else None,
        tags=["mstar", "self-evolving-training", *(["lora"] if lora else [])],
    )
    card: ModelCard = ModelCard.from_template(
        data,
        template_path=str(HERE / "model_card.md"),
        name=name,
        adapter=adapter,
        rank=lora.r if isinstance(lora, Lora) else None,
        reward=isinstance(module, ProcessRewardModule),
        base=base,
        base_link=f"https://huggingface.co/{base}" if on_hub else base,
        four_bit=isinstance(module.backbone, PretrainedBackbone) and module.backbone.quantization is not None,
        instruction=module.instruction,
        recipe=[*recipe(config), ("optimizer steps", f"{steps:,}"), ("versions", versions())],
        figures=figures,
        percent=percent,
        stages=kept.stages,
        kept_at=f"[{dataset}](https://huggingface.co/datasets/{dataset})" if dataset else "`kept/`",
    )
    return card


def dataset_card(kept: Kept, name: str, model: str) -> DatasetCard:
    """Say what a training set is and where each iteration's part comes from."""
    assert kept.table is not None
    data = DatasetCardData(
        pretty_name=f"Responses that {model} was trained on",
        task_categories=["image-text-to-text"],
        size_categories=[size_category(len(kept.table))],
        tags=["mstar", "self-evolving-training", "synthetic"],
        configs=[{"config_name": "default", "data_files": [{"split": "train", "path": "data/*.parquet"}]}],
    )
    card: DatasetCard = DatasetCard.from_template(
        data,
        template_path=str(HERE / "dataset_card.md"),
        name=name,
        model=model,
        rows=len(kept.table),
        stages=kept.stages,
        missing=kept.missing,
    )
    return card


def recipe(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a configuration says of the method, a row each; what it leaves out is left out."""
    for name, key in RECIPE:
        found = look_up(config, key.split("."))
        if found is not None:
            yield name, told(found)
    for callback in config.get("trainer", {}).get("callbacks") or ():
        if callback["class_path"].startswith("mstar.init_policy"):
            yield "an iteration starts from", told(callback)


def told(value: Any) -> str:
    r"""A setting in a table's cell: classes by their names, with the arguments that are plain values.

    >>> told({"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.1, "betas": [0.9, 0.95]}})
    'AdamW (lr 0.1)'
    """
    if isinstance(value, list):
        return ", ".join(map(told, value))
    if not isinstance(value, Mapping):
        return str(value).replace("|", "\\|").replace("\n", " ")
    plain = {
        k: v for k, v in (value.get("init_args") or {}).items() if isinstance(v, int | float | str) and v is not False
    }
    inside = ", ".join(f"{key} {told(one)}" for key, one in plain.items())
    name = str(value.get("class_path", "")).rpartition(".")[2]
    return f"{name} ({inside})" if inside else name


def percent(share: float) -> str:
    """A share as per cent with one decimal."""
    return f"{100 * share:.1f}"


def size_category(rows: int) -> str:
    """The hub's word for a number of rows.

    >>> size_category(999), size_category(1_000), size_category(2_000_000)
    ('n<1K', '1K<n<10K', '1M<n<10M')
    """
    bounds = (("1K", 10**3), ("10K", 10**4), ("100K", 10**5), ("1M", 10**6), ("10M", 10**7), ("100M", 10**8))
    if rows < bounds[0][1]:
        return "n<1K"
    return next((f"{a}<n<{b}" for (a, _), (b, most) in pairwise(bounds) if rows < most), "n>100M")


def versions() -> str:
    """Of what it was exported with."""
    names = ("torch", "transformers", "lightning", "peft")
    return ", ".join([f"mstar {__version__}", *(f"{name} {version(name)}" for name in names)])
