"""Kill a run again and again, and see that it ends as if nothing had been.

``python -m benchmarks.faults --kills 25`` runs a recipe of four stages on a tiny policy (warm-up, step labels, process
reward, self-evolution with a temperature search) twice: undisturbed, and killed by SIGKILL at random moments spread
over all that it does, started again by the same command each time. ``--ranks 2`` trains on two processes; then every
other kill takes one of them alone, and the run must end by itself. Final weights, optimizer states, labels,
temperatures and kept sets must be equal bit for bit. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import torch
import yaml

from benchmarks.recorded import EVENTS

ROOT = Path(__file__).parents[1]
LATEST = 20.0  # seconds from the start of an attempt within which a moment that has passed before is chosen anew
TICK = 0.002

SIZES = {"hidden_size": 32, "num_layers": 1, "mlp_size": 32, "num_heads": 2, "num_kv_heads": 1, "vision_mlp_size": 32}
TINY = {"class_path": "mstar.demo.tiny.TinyLlava", "init_args": SIZES}
SAMPLING = {"num_responses": 4, "max_new_tokens": 12}
ENGINE = {"class_path": "benchmarks.recorded.RecordedEngine"}
OUTCOME = {"class_path": "benchmarks.recorded.RecordedReward"}
CHECKPOINT = "lightning.pytorch.callbacks.ModelCheckpoint"


def scenes(split: str, num: int) -> dict[str, Any]:
    """Prompts of the demo."""
    return {"class_path": "mstar.demo.scenes.DigitScenes", "init_args": {"split": split, "num": num}}


def read_back(path: str) -> dict[str, Any]:
    """The model of an earlier stage."""
    return {"class_path": "mstar.modules.backbone.PretrainedBackbone", "init_args": {"path": path}}


def trainer(devices: int, *callbacks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A trainer that writes a checkpoint each step, and one each epoch."""
    saved = {"filename": "last", "enable_version_counter": False}
    every = [{**saved, "save_on_train_epoch_end": True}, {**saved, "every_n_train_steps": 1}]
    return {
        "accelerator": "cpu",
        "devices": devices,
        "strategy": "ddp" if devices > 1 else "auto",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "callbacks": [
            {"class_path": "benchmarks.recorded.Recorder"},
            *({"class_path": CHECKPOINT, "init_args": settings} for settings in every),
            *callbacks,
        ],
        **more,
    }


def policy(backbone: dict[str, Any]) -> dict[str, Any]:
    """A policy that learns fast enough to change from iteration to iteration."""
    adamw = {"class_path": "torch.optim.AdamW", "init_args": {"lr": 1e-3}}
    settings = {"backbone": backbone, "frozen": ["model.vision_tower.post_layernorm"], "optimizer": adamw}
    return {"class_path": "mstar.modules.policy.PolicyModule", "init_args": settings}


def stages(ranks: int) -> dict[str, dict[str, Any]]:
    """The configuration of every stage."""
    best = {"filename": "best", "monitor": "val/accuracy", "mode": "max", "enable_version_counter": False}
    watched = {"class_path": CHECKPOINT, "init_args": best}
    export = {"class_path": "mstar.callbacks.Export", "init_args": {"checkpoint": "last"}}
    evaluation = {"validation": scenes("validation", 8), "max_new_tokens": 12}
    prm = {"class_path": "mstar.modules.process_reward.ProcessRewardModule"}
    process = {"class_path": "mstar.rewards.ProcessReward", "init_args": {"path": "{out}/prm/model"}}
    labelled = {"prompts": scenes("prompts", 12), "labels": "{out}/labels/steps", "sampling": SAMPLING}
    labelled["separator"] = " "
    evolving = {
        "engine": ENGINE,
        "prompts": {
            "class_path": "mstar.prompts.OrderedWalk",
            "init_args": {"interval": 16, "source": scenes("prompts", 32)},
        },
        "sampling": SAMPLING,
        "selectors": [
            {"class_path": "mstar.selection.KeepCorrect"},
            {"class_path": "mstar.selection.TopByReward", "init_args": {"k": 2, "by": "process"}},
        ],
        "temperature": {
            "prompts": scenes("validation", 8),
            "rule": {"class_path": "mstar.temperature.ArgmaxRewardPass"},
            "candidates": [0.7, 1.3],
            "every": 1,
            "num_responses": 4,
        },
        "evaluation": evaluation,
        "batch_size": 4,
    }
    data = "mstar.datamodules"
    return {
        "warmup": {
            "model": policy(TINY),
            "reward": OUTCOME,
            "data": {
                "class_path": f"{data}.warmup.WarmupDataModule",
                "init_args": {
                    "engine": ENGINE,
                    "examples": scenes("cot", 16),
                    "evaluation": evaluation,
                    "batch_size": 4,
                    "steps_per_epoch": 4,
                },
            },
            "trainer": trainer(ranks, watched, export, max_epochs=2),
        },
        "labels": {
            "model": policy(read_back("{out}/warmup/model")),
            "reward": OUTCOME,
            "data": {
                "class_path": f"{data}.steps.StepDataModule",
                "init_args": {**labelled, "engine": ENGINE, "num_completions": 4},
            },
            "trainer": {**trainer(ranks), "callbacks": []},
        },
        "prm": {
            "model": {**prm, "init_args": {"backbone": read_back("{out}/warmup/model"), "separator": " "}},
            "data": {
                "class_path": f"{data}.steps.StepDataModule",
                "init_args": {**labelled, "held_out": 0.3, "batch_size": 8},
            },
            "trainer": trainer(1, export, max_epochs=2),
        },
        "evolve": {
            "model": policy(read_back("{out}/warmup/model")),
            "reward": {"class_path": "mstar.rewards.Product", "init_args": {"of": [OUTCOME, process]}},
            "data": {"class_path": f"{data}.evolving.EvolvingDataModule", "init_args": evolving},
            "trainer": trainer(ranks, watched, export, max_epochs=2),
        },
    }


def write_recipe(folder: Path, ranks: int) -> Path:
    """The recipe and its configurations, as files."""
    folder.mkdir(parents=True)
    listed = []
    for name, config in stages(ranks).items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"trainer": config.pop("trainer")}))
        command = "predict" if name == "labels" else "fit"  # a recipe fills in {out} in args alone
        listed.append({"name": name, "command": command, "config": [f"{name}.yaml"], "args": config})
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"stages": listed}))
    return recipe


@dataclass
class Run:
    """A run of the recipe and what is known of it.

    Args:
        recipe: The recipe.
        out: Its run folder.
    """

    recipe: Path
    out: Path
    seconds: float = 0.0
    endings: list[float] = field(default_factory=list)
    """Seconds it took to end by itself, behind each kill of a single rank."""

    @property
    def events(self) -> Path:
        return self.out.with_suffix(".events")

    def lines(self) -> list[list[str]]:
        """Events so far: process, what, which."""
        return [line.split(" ", 2) for line in self.events.read_text().splitlines()] if self.events.is_file() else []

    def attempt(self, kill: tuple[str, float, bool] | None) -> int:
        """Start it by its command; kill it behind an event, some seconds later; give its exit code.

        Args:
            kill: The event, the seconds behind it, and whether one rank alone is killed; ``None`` lets it end.
        """
        command = [sys.executable, "-m", "mstar", "run", str(self.recipe), "--out", str(self.out)]
        environment = {**os.environ, EVENTS: str(self.events), "OMP_WAIT_POLICY": "PASSIVE"}
        began, past = time.monotonic(), len(self.lines())
        log = self.out.with_suffix(".log").open("ab")
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        if kill is not None:
            event, delay, alone = kill
            self._wait(process, event, past)
            time.sleep(delay)
            self._kill(process, alone)
        code = process.wait()
        log.close()
        self.seconds += time.monotonic() - began
        return code

    def _wait(self, process: subprocess.Popen[bytes], event: str, past: int) -> None:
        """Until the event is seen; if it was seen in an earlier attempt, until anything happens in this one."""
        seen = any(" ".join(words[1:]) == event for words in self.lines())
        deadline = time.monotonic() + LATEST
        while process.poll() is None:
            new = self.lines()[past:]
            if any(" ".join(words[1:]) == event for words in new) or (seen and (new or time.monotonic() > deadline)):
                return
            time.sleep(TICK)

    def _kill(self, process: subprocess.Popen[bytes], alone: bool) -> None:
        ranks = [child for child in psutil.Process(process.pid).children(recursive=True) if is_rank(child)]
        if not alone or len(ranks) < 2:
            process.kill()
            wait_for_end(ranks)
            return
        began = time.monotonic()
        random.choice(ranks).kill()
        process.wait(timeout=120)
        self.endings.append(time.monotonic() - began)


def is_rank(process: psutil.Process) -> bool:
    """Whether it is a process of a stage, and neither the leash nor a loader's worker."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return bool({"mstar", "mstar.__main__"} & set(words)) and "-I" not in words


def wait_for_end(processes: Sequence[psutil.Process]) -> None:
    """Until the leash has killed them."""
    psutil.wait_procs(processes, timeout=30)


def contents(out: Path) -> dict[str, Any]:
    """Everything a run ends with that must be the same: weights, optimizers, rollouts, labels, temperatures."""
    found: dict[str, Any] = {}
    for file in sorted(out.rglob("*.ckpt")):
        checkpoint = torch.load(file, weights_only=True)
        found[str(file.relative_to(out))] = (checkpoint["state_dict"], checkpoint["optimizer_states"])
    for file in sorted(out.rglob("*.parquet")):
        found[str(file.relative_to(out))] = pq.read_table(file).to_pylist()
    for file in sorted(out.rglob("choice.json")):
        found[str(file.relative_to(out))] = json.loads(file.read_text())
    return found


def equal(one: Any, other: Any) -> bool:
    """Whether nested values are the same, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def moments(events: Sequence[str], kills: int, seed: int) -> list[str]:
    """Events to kill behind: one of each ``kills``-th part of the run, at random."""
    chosen = random.Random(seed)
    distinct = list(dict.fromkeys(events))
    edges = [round(i * len(distinct) / kills) for i in range(kills + 1)]
    return [distinct[chosen.randrange(a, max(a + 1, b))] for a, b in pairwise(edges)]


def lost_and_in_flight(attempts: Sequence[Sequence[Sequence[str]]]) -> tuple[int, int]:
    """Groups that were begun again, and groups that were begun and not yet in the store at the kills.

    >>> lost_and_in_flight([[("1", "begun", "a"), ("1", "begun", "b"), ("1", "stored", "a")], [("2", "begun", "b")]])
    (1, 1)
    """
    begun: Counter[str] = Counter()
    in_flight = 0
    for number, lines in enumerate(attempts):
        mine = {words[2] for words in lines if words[1] == "begun"}
        stored = {words[2] for words in lines if words[1] == "stored"}
        begun.update(mine)
        in_flight += len(mine - stored) if number < len(attempts) - 1 else 0
    return sum(count - 1 for count in begun.values()), in_flight


def main() -> int:
    """Run it undisturbed, then disturbed, and compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--keep", action="store_true", help="leave both runs on disk")
    asked = parser.parse_args()
    random.seed(asked.seed)
    folder = Path(tempfile.mkdtemp(prefix="mstar-faults-"))
    recipe = write_recipe(folder / "recipe", asked.ranks)
    whole, killed = Run(recipe, folder / "whole"), Run(recipe, folder / "killed")
    if whole.attempt(None):
        print((folder / "whole.log").read_text()[-5000:])
        return 1
    print(f"undisturbed: {whole.seconds:.1f} s, {len(whole.lines()):,} events", flush=True)
    targets = moments([" ".join(words[1:]) for words in whole.lines()], asked.kills, asked.seed)
    attempts = []
    for number, event in enumerate(targets):
        before, alone = len(killed.lines()), asked.ranks > 1 and number % 2 == 1
        code = killed.attempt((event, random.uniform(0, 0.3), alone))
        attempts.append(killed.lines()[before:])
        print(f"kill {number + 1}: behind {event} ({'one rank' if alone else 'the run'}), exit code {code}", flush=True)
    before = len(killed.lines())
    code = killed.attempt(None)
    attempts.append(killed.lines()[before:])
    if code:
        print((folder / "killed.log").read_text()[-5000:])
        return 1
    mine, theirs = contents(whole.out), contents(killed.out)
    different = [name for name in mine.keys() | theirs.keys() if not equal(mine.get(name), theirs.get(name))]
    lost, in_flight = lost_and_in_flight(attempts)
    print(f"compared {len(mine)} files; different: {sorted(different) or 'none'}")
    print(f"groups sampled again: {lost}; in flight at the kills: {in_flight}")
    cost = killed.seconds - whole.seconds
    print(f"the restarts cost {cost:.1f} s, {cost / max(1, asked.kills):.1f} s each")
    if not asked.keep:
        shutil.rmtree(folder)
    result = {
        "kills": asked.kills,
        "ranks": asked.ranks,
        "bitwise_equal": not different,
        "files_compared": len(mine),
        "groups_lost": lost,
        "groups_in_flight": in_flight,
        "seconds_undisturbed": round(whole.seconds, 1),
        "seconds_a_restart": round(cost / max(1, asked.kills), 1),
        "seconds_to_end_when_a_rank_dies": round(max(killed.endings, default=0.0), 1),
    }
    print(json.dumps(result))
    return int(bool(different) or lost > in_flight)


if __name__ == "__main__":
    sys.exit(main())
