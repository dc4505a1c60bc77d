"""Runs of the tests of strategies, and what is held against what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow.parquet as pq
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel

from mstar.checkpoints import read_checkpoint, trained
from mstar.demo.scenes import DigitScenes
from mstar.modules.logprobs import response_logprobs
from mstar.modules.policy import PolicyModule
from mstar.modules.renderer import Renderer
from mstar.rollout.inspect import find_stages, rows_of

ROOT = Path(__file__).parents[2]
EPSILON = 1e-4
"""Nats by which fp32 kernels may differ between batch shapes."""


def arguments(base: Path, run: Path, overlays: Sequence[str], *more: str) -> list[str]:
    """What ``mstar fit`` is given for the tiny run with overlays over it."""
    files = [ROOT / "tests/strategies/tiny.yaml", *(ROOT / f"configs/strategy/{name}.yaml" for name in overlays)]
    fast = [f"--model.backbone.path={base}", "--model.optimizer.lr=0.01"]
    return [*(f"--config={file}" for file in files), *fast, f"--trainer.default_root_dir={run}", *more]


def facts(run: Path, rank: int = 0, epoch: int = 0) -> dict[str, Any]:
    """What a rank wrote of itself."""
    found: dict[str, Any] = json.loads((run / f"facts-{rank}-{epoch}.json").read_text())
    return found


def falls(run: Path, epoch: int = 0, ranks: int = 1) -> str:
    """Require that the loss falls over the passes of an iteration; says how far."""
    steps = [fmean(each) for each in zip(*(facts(run, rank, epoch)["losses"] for rank in range(ranks)), strict=True)]
    first, last = fmean(steps[:2]), fmean(steps[-2:])
    assert last < first * 0.96, steps
    return f"loss {first:.2f} -> {last:.2f}"


def require_trained(run: Path, module: PolicyModule, bf16: bool = False) -> str:
    """Hold rollouts, checkpoints and the exported model against each other; says how far they are apart.

    The second iteration was sampled from the weights that the first one's checkpoint holds, and the exported model is
    that of the last one, as plain transformers loads it. What bf16 is allowed is measured, on this machine and these
    responses: two that each differ from fp32 by so much may be twice as far from one another.
    """
    states = [read_checkpoint(file)["state_dict"] for file in sorted((run / "checkpoints").glob("epoch=*.ckpt"))]
    module.configure_model()
    policies = []
    for state in states:
        module.load_state_dict(state, strict=module.strict_loading)
        policies.append(sampled_gap(run, 1, module.eval().model, module.renderer))
    tolerance = 2 * rounding(module, run) if bf16 else EPSILON
    assert policies[0] < tolerance < policies[1] / 5, (policies, tolerance)
    processor: Any = AutoProcessor.from_pretrained(run / "model")
    exported: Any = AutoModelForImageTextToText.from_pretrained(run / "model").eval()
    assert module.model is not None
    apart = between(module.model, exported, Renderer(processor), run)
    assert apart < tolerance, apart
    return f"rollouts {policies[0]:.1e} of {tolerance:.1e} (other weights: {policies[1]:.2f}), export {apart:.1e} nat"


def rounding(module: PolicyModule, run: Path) -> float:
    """Mean absolute difference between a policy with an adapter in bf16 and the same in fp32, in nats a token."""
    assert module.model is not None and module.adapter is not None
    state = {name.removeprefix("model."): value for name, value in trained(module, module.state_dict()).items()}
    exact: Any = module.adapter.merged(module.backbone.load()[0], state).float().eval()
    return between(module.model, exact, module.renderer, run)


def sampled_gap(run: Path, iteration: int, model: Any, renderer: Renderer) -> float:
    """Mean absolute difference between an iteration's recorded log-probabilities and a model's own, in nats a token."""
    rows = pq.read_table(run / f"rollouts/iteration-{iteration:04d}/rollouts.parquet").to_pylist()
    own = logprobs(model, renderer, run, iteration)
    recorded = torch.tensor([value for row in rows for value in row["logprobs"]])
    return float((own - recorded).abs().mean())


def between(model: PreTrainedModel, other: PreTrainedModel, renderer: Renderer, run: Path) -> float:
    """Mean absolute difference between two models' log-probabilities of what an iteration sampled, in nats."""
    return float((logprobs(model, renderer, run, 1) - logprobs(other, renderer, run, 1)).abs().mean())


def logprobs(model: Any, renderer: Renderer, run: Path, iteration: int) -> torch.Tensor:
    """A model's log-probabilities of an iteration's tokens, in the store's order."""
    scenes = DigitScenes("prompts", 16, seed=7)  # the page's
    prompts = {scenes[index].id: scenes[index] for index in range(len(scenes))}
    stage = find_stages(run)[f"rollouts/iteration-{iteration:04d}"]
    pairs = [(prompts[row.prompt_id], row.tokens) for row in rows_of(stage)]
    return torch.tensor([value for row in response_logprobs(model, renderer, pairs) for value in row])
