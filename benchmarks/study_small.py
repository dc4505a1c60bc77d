"""The study's recipe in small: a dozen scenes learnt by heart, to try the machinery in a minute or two."""

from __future__ import annotations

from typing import Any

Settings = dict[str, Any]


def scenes(num: int = 12, start: int = 0) -> Settings:
    """Scenes with worked responses: all that is trained on, asked and tested with."""
    source = {"class_path": "mstar.demo.scenes.DigitScenes", "init_args": {"split": "cot", "num": num}}
    return {"class_path": "mstar.prompts.Subset", "init_args": {"source": source, "start": start}}


VALIDATION: Settings = {"data.init_args.evaluation.validation": scenes()}
WRITTEN: Settings = {"data.init_args.examples": scenes(), "data.init_args.batch_size": 12, **VALIDATION}
ANSWERS: Settings = {"class_path": "mstar.prompts.Answered", "init_args": {"source": scenes()}}
SHORT: Settings = {"data.init_args.steps_per_epoch": 5, "trainer.max_epochs": 1, "trainer.max_steps": -1}
STAGES: dict[str, Settings] = {
    "base": {**WRITTEN, "data.init_args.steps_per_epoch": 80, "data.init_args.shuffle": True},
    "warmup": {**WRITTEN, **SHORT},
    "labels": {"data.init_args.prompts": scenes()},
    "prm": {"data.init_args.prompts": scenes(), "data.init_args.held_out": 0.5, "trainer.log_every_n_steps": 1},
    "control": {**WRITTEN, **SHORT},
    "sft": {**WRITTEN, **SHORT, "data.init_args.examples": ANSWERS},
}
TEST: Settings = {"data.init_args.evaluation.test": {"test": scenes(), "ood": scenes(6)}, **VALIDATION}
ARM: Settings = {
    "data.init_args.seed_cot": scenes(3),
    "trainer.max_steps": 80,
    "trainer.max_epochs": 2,
    "trainer.log_every_n_steps": 1,
    **VALIDATION,
}


def shrink(stage: Settings) -> Settings:
    """A stage on few scenes and steps; those of arms keep all that makes them what they are."""
    args = stage.get("args", {})
    if stage["name"] in STAGES:
        return {**stage, "args": {**args, **STAGES[stage["name"]]}}
    if stage["name"].startswith("test-"):
        return {**stage, "args": {**args, **TEST}}
    few = {"data.init_args.prompts": few_prompts(args["data.init_args.prompts"])}
    if control := args["data.init_args.temperature"]:
        few["data.init_args.temperature"] = {**control, "prompts": scenes()}
    return {**stage, "args": {**args, **ARM, **few}}


def few_prompts(pool: Settings) -> Settings:
    """A pool of the same kind over half a dozen scenes, labelled and not."""
    small = {"source": scenes(6), "unlabelled": scenes(12, start=6)}
    kept = {name: small.get(name, value) for name, value in pool["init_args"].items()}
    return {**pool, "init_args": kept}
