"""Runs for tests of the report: as they lie on disk, without any model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import yaml
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from mstar.files import write_json
from mstar.prompts import ListedPrompts
from mstar.rollout.fingerprint import prompt_digest
from mstar.rollout.store import Stage, iteration_folder
from mstar.types import Group, Prompt, Rollout, Sampling

EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u2028</script>&amp;\u202e"
KINDS = ("sum", "range")
CHOICE = {
    "temperature": 0.7,
    "scores": [[0.7, 0.5], [1.0, 0.4]],
    "reason": "reward-pass@2 is highest",
    "num_prompts": [],
}


class Colours(ListedPrompts):
    """Prompts whose pictures are each of one colour, and of a width of their own.

    Args:
        num: How many.
        offset: Added to the red of every picture: the data after a change.
        evil: Question and reference of prompt 1 are an attack.
    """

    def __init__(self, num: int = 6, offset: int = 0, evil: bool = True) -> None:
        self.num = num
        self.offset = offset
        self.evil = evil

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, index: int, /) -> Prompt:
        attacked = self.evil and index == 1
        return Prompt(
            id=f"p/{index}",
            question=f"Which colour? {EVIL}" if attacked else f"Which colour is number {index}?",
            images=(Image.new("RGB", (8 + index % 50, 8), colour(index, self.offset)),),
            answer=EVIL if attacked else f"colour {index}",
            kind=KINDS[index % 2],
        )

    def ids(self) -> Sequence[str]:
        return [f"p/{index}" for index in range(self.num)]


def colour(index: int, offset: int = 0) -> tuple[int, int, int]:
    """Of a prompt's picture."""
    return (index // 256 + offset, index % 256, 200)


def responses(prompt: Prompt, iteration: int, num: int = 4) -> Group:
    """Right and kept, right, wrong, without an answer, and so on; one more is right in each iteration."""
    rollouts = []
    for index in range(num):
        place = (index - iteration) % 4
        right = place < 2
        rollouts.append(
            Rollout(
                prompt_id=prompt.id,
                index=index,
                text=f"Look at {prompt.id}.\n\nIt is {EVIL if prompt.id == 'p/1' else 'bright'}.\n\nAnswer: {index}",
                tokens=tuple(range(index + 3)),
                temperature=0.7 + 0.3 * iteration,
                rewards={"outcome": float(right), "process": 0.1 + 0.2 * index},
                step_rewards=(0.1, 0.5, 0.9) if index else None,
                verdict="correct" if right else "wrong",
                answer=None if place == 3 else f"colour {index}",
                kept=place == 0,
                why=("kept", "not among the top 1", "wrong answer", "no answer")[place],
            )
        )
    return Group(prompt, tuple(rollouts))


def make_run(
    folder: Path, iterations: int = 3, num: int = 6, n: int = 4, every: int | None = None, evil: bool = True
) -> Path:
    """An evolving stage: every iteration walks all prompts, or the next ``every`` of them."""
    source = Colours(num, evil=evil)
    for iteration in range(iterations):
        span = range(num) if every is None else range(iteration * every, (iteration + 1) * every)
        groups = [responses(source[index], iteration, n) for index in span]
        seal(folder, iteration, groups)
    search = folder / "temperature" / "iteration-0000"
    search.mkdir(parents=True)
    write_json(search / "choice.json", CHOICE)
    write_config(folder, num, evil=evil)
    write_events(folder, {"val/accuracy": [0.4 + 0.1 * i for i in range(iterations)], "train/loss": [1.0] * iterations})
    return folder


def seal(folder: Path, iteration: int, groups: Sequence[Group]) -> Stage:
    """A finished iteration."""
    key = {
        "policy": "abc",
        "prompts": prompt_digest([group.prompt for group in groups]),
        "sampling": asdict(Sampling(4, temperature=0.7 + 0.3 * iteration)),
        "seed": 1,
    }
    stage = Stage(iteration_folder(folder, iteration))
    stage.open(key)
    if iteration == 1:
        with stage.part(0, key) as part:
            part.drop("p/bad", f"row 9: {EVIL}")
    stage.seal(groups, key, {"rollout": 10.0 + iteration, "reward": 2.0})
    return stage


def write_config(folder: Path, num: int = 6, offset: int = 0, warmup: str = "", evil: bool = True) -> None:
    """The configuration as LightningCLI leaves it."""
    source = {"class_path": "tests.report.runs.Colours", "init_args": {"num": num, "offset": offset, "evil": evil}}
    takeover = {"class_path": "mstar.init_policy.Continue", "init_args": {"warmup": warmup}}
    monitor = {"class_path": "mstar.callbacks.ExplorationMonitor", "init_args": {"by": "process"}}
    config = {
        "seed_everything": 3,
        "model": {"class_path": "mstar.modules.policy.PolicyModule", "init_args": {}},
        "trainer": {"callbacks": [monitor, *([takeover] if warmup else [])]},
        "data": {
            "init_args": {
                "prompts": {
                    "class_path": "mstar.prompts.OrderedWalk",
                    "init_args": {"source": source, "interval": 1.0},
                },
                "evaluation": {"validation": {**source, "init_args": {"num": 50}}},
            }
        },
    }
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    (folder / "logs" / "config.yaml").write_text(yaml.safe_dump(config))


def write_events(folder: Path, values: dict[str, list[float]], start: int = 0, steps: int = 10) -> None:
    """TensorBoard's events: a value an iteration, at its last step."""
    writer = EventFileWriter(str(folder / "logs"))
    for key, found in {**values, "epoch": [start + i for i in range(len(next(iter(values.values()))))]}.items():
        for place, value in enumerate(found, start):
            summary = Summary(value=[Summary.Value(tag=key, simple_value=value)])
            writer.add_event(Event(step=steps * (place + 1) - 1, wall_time=1000.0 + 30 * place, summary=summary))
    writer.close()


def make_recipe(folder: Path) -> Path:
    """A recipe: warm-up, control, evolution and tests."""
    warmup = "runs/r/warmup/checkpoints/best.ckpt"
    make_run(folder / "evolve")
    write_config(folder / "evolve", warmup=warmup)
    for name, accuracies, begun in (("warmup", [0.3, 0.4], ""), ("control", [0.42, 0.41], warmup), ("prm", [0.9], "")):
        write_config(folder / name, warmup=begun)
        write_events(folder / name, {"val/accuracy": accuracies})
    for name, value in (("test-control", 0.4), ("test-evolved", 0.6), ("test-warmup", 0.3)):
        (folder / name).mkdir()
        figures = {"num_prompts": 100, "ci95": [value - 0.1, value + 0.1], "accuracy": value, "pass@8": 0.8}
        write_json(folder / name / "evaluation.json", {"test": {**figures, "kinds": {"sum": figures}}})
    return folder


def without_verdicts(group: Group) -> Group:
    """As the engine leaves it."""
    bare = {"rewards": {}, "step_rewards": None, "verdict": None, "answer": None, "kept": None, "why": ""}
    return Group(group.prompt, tuple(replace(rollout, **bare) for rollout in group))
