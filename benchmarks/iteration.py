"""One iteration, sample, score, select and train, against the plain way; and what Lightning adds to a training step.

``python -m benchmarks.iteration``: about ten minutes on one thread, with ``mid`` of ``benchmarks.models``. The plain
way is ``generate`` a prompt at a time, a padded forward pass a response with the same process reward, and TRL's trainer
on the same kept responses. It gets fewer prompts, since its time goes with their number; but not the time in which
TRL's trainer is set up, which is spread over as many prompts as ours. Random weights write nothing to be read, so
behind sampling every response is replaced by digits of its length. Needs TRL: ``pip install -c constraints.txt -e
'.[bench]'``. The last line is JSON.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torchdata.stateful_dataloader import StatefulDataLoader

from benchmarks.measure import REPEATS, interleaved, ratio
from benchmarks.models import Sized, lengths, prompts, steps
from benchmarks.scoring import padded
from mstar.datamodules.policy_data import Example, collate
from mstar.datamodules.warmup import WarmupDataModule
from mstar.evaluation import EvaluationSet
from mstar.modules.policy import PolicyModule
from mstar.modules.process_reward import ProcessRewardModule
from mstar.modules.renderer import Renderer
from mstar.modules.step_heads import ScalarHead
from mstar.objectives import SFT
from mstar.rewards import OutcomeReward
from mstar.rewards.reward import with_reward
from mstar.rollout import GenerateEngine, NativeEngine, RolloutEngine
from mstar.selection import TopByReward
from mstar.types import Group, Prompt, Request, Sampling

NAME, BATCH = "mid", 8
NUM_PROMPTS, PLAIN_PROMPTS = 16, 2  # the plain way takes one after the other: its time a prompt does not depend on them
SAMPLING = Sampling(num_responses=16, max_new_tokens=120)
KEEP = TopByReward(k=4, by="process")
RATE = 1e-6
QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}


def end_sooner(module: PolicyModule, asked: Sequence[Prompt], mean: float = 66.0) -> None:
    """Make the end token about as likely, everywhere, as gives responses of ``mean`` tokens."""
    with module.inference() as policy, torch.no_grad():
        inputs = policy.renderer.process(asked)
        hidden = policy.model.base_model(**inputs).last_hidden_state[:, -1].mean(0)
        weight: Any = policy.model.get_output_embeddings().weight
        others = torch.logsumexp(weight @ hidden, 0)
        wanted = others - torch.log(torch.tensor(mean))
        weight[policy.renderer.tokenizer.eos_token_id] = hidden * wanted / (hidden @ hidden)


def sample(engine: RolloutEngine, module: PolicyModule, asked: Sequence[Prompt]) -> list[Group]:
    """Responses to each prompt, replaced by digits of their lengths."""
    with module.inference() as policy:
        found = engine.generate(policy, [Request(prompt) for prompt in asked], SAMPLING, 0)
        return [replace(g, rollouts=tuple(replace(r, text=steps(len(r.tokens), r.index)) for r in g)) for g in found]


def select(groups: Sequence[Group], scores: Sequence[tuple[float, ...]]) -> list[Group]:
    """Reward the groups' rollouts, given in order, by their worst step, and keep the best."""
    waiting = iter(scores)
    rewarded = [replace(g, rollouts=tuple(with_reward(r, "process", min(next(waiting))) for r in g)) for g in groups]
    return KEEP.select(rewarded, 0)


def written(groups: Sequence[Group]) -> list[Prompt]:
    """Kept responses as worked examples."""
    return [replace(g.prompt, cot=r.text) for g in groups for r in g if r.kept is not False]


def ours(module: PolicyModule, reward: ProcessRewardModule, asked: Sequence[Prompt]) -> list[Prompt]:
    """An iteration of mstar; returns what was kept."""
    groups = sample(NativeEngine(dtype="float32"), module, asked)
    pairs = [(group.prompt, rollout.text) for group in groups for rollout in group]
    kept = written(select(groups, reward.score_steps([p for p, _ in pairs], [t for _, t in pairs])))
    fit(module, kept)
    return kept


def fit(module: PolicyModule, kept: list[Prompt]) -> float:
    """Train by Lightning, one pass; returns the CPU seconds of its steps, without setting up."""
    data = WarmupDataModule(OutcomeReward(), kept, EvaluationSet(kept[:1]), batch_size=BATCH, shuffle=False, seed=0)
    settings: dict[str, Any] = {"reload_dataloaders_every_n_epochs": 1, "use_distributed_sampler": False, **QUIET}
    watch = Watch()
    trainer = Trainer(accelerator="cpu", max_epochs=1, limit_val_batches=0, callbacks=[watch], **settings)
    trainer.fit(module, data)
    return watch.seconds


def plain(
    module: PolicyModule, reward: ProcessRewardModule, asked: Sequence[Prompt], kept: list[Prompt], watch: SetUp
) -> None:
    """An iteration as a user would write it of transformers and TRL, trained on ``kept``."""
    groups = sample(GenerateEngine(), module, asked)
    pairs = [(group.prompt, rollout.text) for group in groups for rollout in group]
    select(groups, padded(reward, [p for p, _ in pairs], [t for _, t in pairs]))
    by_trl(module, kept, watch)


class SetUp:
    """CPU seconds in which TRL's trainer was set up, a call of ``by_trl`` each: to its first step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def callback(self) -> Any:
        """Start the clock; gives what stops it when training begins."""
        from transformers import TrainerCallback

        began, seconds = time.process_time(), self.seconds

        class Stop(TrainerCallback):
            def on_train_begin(self, *_: Any, **__: Any) -> None:
                seconds.append(time.process_time() - began)

        return Stop()


def by_trl(module: PolicyModule, kept: list[Prompt], watch: SetUp) -> float:
    """Train by TRL, one pass, on prompts and completions; returns the loss."""
    from datasets import Dataset
    from transformers.trainer_callback import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    stop = watch.callback()
    rows = [
        {
            "images": list(prompt.images),
            "prompt": [{"role": "user", "content": prompt.question}],
            "completion": [{"role": "assistant", "content": prompt.cot}],
        }
        for prompt in kept
    ]
    with tempfile.TemporaryDirectory() as folder:
        settings = SFTConfig(
            folder,
            per_device_train_batch_size=BATCH,
            num_train_epochs=1,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            max_length=None,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
        )
        make: Any = SFTTrainer
        trainer = make(module.model, settings, train_dataset=Dataset.from_list(rows), processing_class=module.processor)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(stop)
        loss: float = trainer.train().training_loss
    return loss


@torch.no_grad()
def loss_of(module: PolicyModule, kept: list[Prompt]) -> float:
    """The loss that ``fit`` begins with, if all are one batch."""
    assert module.model is not None
    examples = [Example(prompt, module.renderer.response_tokens(prompt.cot or "")) for prompt in kept]
    return sum(SFT().loss(module.model, part)[0].item() for part in collate(module.renderer, 4096, True, examples))


class Watch(Callback):
    """CPU seconds from the fetching of the first batch to the end of training."""

    seconds = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start."""
        self.began = time.process_time()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop."""
        self.seconds = time.process_time() - self.began


def bare(module: PolicyModule, kept: list[Prompt]) -> float:
    """CPU seconds of the same training in a loop of one's own."""
    assert module.model is not None
    renderer: Renderer = module.renderer
    examples = [Example(prompt, renderer.response_tokens(prompt.cot or "")) for prompt in kept]
    optimizer = torch.optim.AdamW(module.parameters(), lr=RATE)
    loader = StatefulDataLoader(examples, batch_size=BATCH, collate_fn=partial(collate, renderer, 4096, True))
    module.train()
    began = time.process_time()
    for batch in loader:
        optimizer.zero_grad()
        for part in batch:
            SFT().loss(module.model, part)[0].backward()
        optimizer.step()
    return time.process_time() - began


def lightning_overhead(module: PolicyModule) -> float:
    """Share by which Lightning's training steps take longer than a bare loop's: median over rounds in turn."""
    texts = [steps(size, seed) for seed, size in enumerate(lengths(32, seed=1))]
    kept = [replace(p, cot=texts[4 * i + j]) for i, p in enumerate(prompts(NAME, 8)) for j in range(4)]
    ways = (fit, bare)
    shares = []
    for repeat in range(REPEATS + 1):  # the first warms up; who goes first alternates
        took = {way: way(module, kept) for way in (ways if repeat % 2 else ways[::-1])}
        if repeat:
            shares.append(took[fit] / took[bare] - 1)
    print(f"Lightning over a bare loop: {statistics.median(shares):+.1%} [{min(shares):+.1%}, {max(shares):+.1%}]")
    return round(statistics.median(shares), 4)


def a_prompt(seconds: dict[str, list[float]], set_up: list[float]) -> dict[str, list[float]]:
    """CPU seconds a prompt; TRL's set-up is spread over as many prompts as ours, of which one iteration is made."""
    print(f"of plain, to set TRL's trainer up: {statistics.median(set_up):.3f} CPU-seconds")
    plain_ones = zip(seconds["plain"], set_up, strict=True)
    return {
        "ours": [took / NUM_PROMPTS for took in seconds["ours"]],
        "plain": [(took - once) / PLAIN_PROMPTS + once / NUM_PROMPTS for took, once in plain_ones],
    }


def main() -> None:
    """Measure and print."""
    if importlib.util.find_spec("trl") is None:
        sys.exit("TRL is missing: pip install -c constraints.txt -e '.[bench]'")
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    module, reward = PolicyModule(Sized(NAME)), ProcessRewardModule(Sized(NAME, seed=1), ScalarHead())
    module.configure_model()
    reward.configure_model()
    reward.eval()
    torch.nn.init.normal_(reward.head.linear.weight, std=0.1)  # type: ignore[union-attr]
    asked = prompts(NAME, NUM_PROMPTS)
    few = asked[:PLAIN_PROMPTS]
    end_sooner(module, asked)
    sizes = [len(r.tokens) for g in sample(NativeEngine(dtype="float32"), module, asked) for r in g]
    print(f"responses of {statistics.mean(sizes):.0f} tokens, {sum(s == SAMPLING.max_new_tokens for s in sizes)} cut")
    names = {prompt.id for prompt in few}
    kept = [prompt for prompt in ours(module, reward, asked) if prompt.id in names]
    own = loss_of(module, kept)  # first: TRL's trainer takes a step
    print(f"loss of the kept by mstar {own:.4f}, by TRL {by_trl(module, kept, SetUp()):.4f}")
    watch = SetUp()
    seconds = interleaved(
        {"ours": partial(ours, module, reward, asked), "plain": partial(plain, module, reward, few, kept, watch)}
    )
    each = a_prompt(seconds, watch.seconds[1:])  # the first round is not measured
    print(json.dumps({"ratio": ratio(each, "plain", "ours"), "lightning_overhead": lightning_overhead(module)}))


if __name__ == "__main__":
    main()
