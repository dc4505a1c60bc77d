"""Monte-Carlo step labels: complete every step prefix of a response and count the correct completions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mstar.files import write_atomically
from mstar.modules.policy import Policy
from mstar.progress import QUIET, Reporter
from mstar.rewards.check import scored
from mstar.rewards.reward import RewardModel
from mstar.rollout.collect import Collector, make_key, write_groups
from mstar.rollout.engine import RolloutEngine
from mstar.rollout.ranks import Ranks
from mstar.rollout.store import Key, Stage, require_same
from mstar.seeds import stable_seed
from mstar.steps import step_ends
from mstar.types import Group, Prompt, Request, Rollout, Sampling

SETTINGS = "made_with"


@dataclass(frozen=True)
class StepLabels:
    """A response and one label a step."""

    prompt_id: str
    index: int
    text: str
    labels: tuple[float, ...]
    """Share of completions from behind each step that were correct, in [0, 1]."""
    correct: bool
    """The response's own verdict."""


@dataclass(frozen=True)
class Labeller:
    """Samples responses and labels their steps, resumably.

    Responses are a stage of the store, completions another; a group of completions is on disk as it finishes.
    Responses with the same text are labelled once, and beginnings that several share are completed once. Labels know
    what they were made with, so that those of other settings are refused.
    """

    engine: RolloutEngine
    reward: RewardModel
    sampling: Sampling
    num_completions: int
    separator: str
    seed: int

    def label(
        self, folder: Path, policy: Policy, prompts: Sequence[Prompt], ranks: Ranks, progress: Reporter = QUIET
    ) -> list[StepLabels]:
        """Complete ``folder/steps.parquet`` and return its rows; every rank calls this.

        Raises:
            RuntimeError: If responses, completions or labels are there that were made with something else.
        """
        found = made_with(folder)
        if found is not None:
            require_same(found, self.settings, folder)
        collector = Collector(self.engine, self.reward, ranks=ranks, progress=progress)
        groups = collector.collect(Stage(folder / "responses"), policy, prompts, self.sampling, self.seed)
        if found is None:
            labelled = [(group.prompt, rollout) for group in groups for rollout in unique(group)]
            asked = [request for prompt, rollout in labelled for request in self._requests(policy, prompt, rollout)]
            requests = list({request.key: request for request in asked}.values())
            values = self._complete(Stage(folder / "completions"), policy, requests, ranks, progress)
            if ranks.rank == 0:
                rows = [self._labels(policy, prompt, rollout, values) for prompt, rollout in labelled]
                write_labels(folder, rows, self.settings)
            ranks.barrier()
        return read_labels(folder)

    @property
    def settings(self) -> Key:
        """What labels depend on beside policy and prompts, as JSON has it."""
        settings = {
            "sampling": asdict(self.sampling),
            "num_completions": self.num_completions,
            "separator": self.separator,
            "seed": self.seed,
        }
        plain: Key = json.loads(json.dumps(settings))
        return plain

    def _requests(self, policy: Policy, prompt: Prompt, rollout: Rollout) -> list[Request]:
        """One request a step but the last, behind which nothing is left to complete; named by what it continues."""
        tokens, ends = policy.renderer.step_ends(rollout.text, step_ends(rollout.text, self.separator))
        prefixes = [tokens[: end + 1] for end in ends[:-1]]
        return [Request(prompt, prefix, f"{prompt.id}#{stable_seed(*prefix):x}") for prefix in prefixes]

    def _complete(
        self, stage: Stage, policy: Policy, requests: Sequence[Request], ranks: Ranks, progress: Reporter
    ) -> dict[str, float]:
        """Share of correct completions by request key."""
        sampling = replace(self.sampling, num_responses=self.num_completions)
        prompts = list({request.prompt.id: request.prompt for request in requests}.values())
        key = {
            **make_key(policy, prompts, sampling, self.seed),
            **self.settings,
            "requests": stable_seed(*(r.key for r in requests)),
        }
        stage.open(key)
        done = stage.generated()
        ranks.barrier()
        own = {prompt.id for prompt in ranks.share(prompts)}  # a prompt's requests together: it is computed once
        share = [request for request in requests if request.prompt.id in own]
        mine = [request for request in share if request.key not in done]
        with (
            stage.part(ranks.rank, key) as part,
            progress.phase("step labels", len(share), len(share) - len(mine), "steps") as phase,
        ):
            write_groups(part, self.engine.generate(policy, mine, sampling, self.seed), ranks, phase)
        ranks.barrier()
        rollouts = stage.generated()
        groups = scored(self.reward, [Group(request.prompt, rollouts[request.key]) for request in requests])
        shares = [sum(r.correct for r in group) / len(group) for group in groups]
        return dict(zip((request.key for request in requests), shares, strict=True))

    def _labels(self, policy: Policy, prompt: Prompt, rollout: Rollout, values: dict[str, float]) -> StepLabels:
        labels = [values[request.key] for request in self._requests(policy, prompt, rollout)]
        last = [float(rollout.correct)] if step_ends(rollout.text, self.separator) else []
        return StepLabels(rollout.prompt_id, rollout.index, rollout.text, (*labels, *last), rollout.correct)


def unique(group: Group) -> list[Rollout]:
    """The first rollout of each text."""
    return list({rollout.text: rollout for rollout in reversed(group.rollouts)}.values())[::-1]


def write_labels(folder: Path, rows: Sequence[StepLabels], settings: Key) -> None:
    """Write labels as Parquet, one row a response; what they were made with goes into the file's metadata."""
    buffer = BytesIO()
    table = pa.Table.from_pylist([asdict(row) for row in rows])
    pq.write_table(table.replace_schema_metadata({SETTINGS: json.dumps(dict(settings))}), buffer)
    write_atomically(folder / "steps.parquet", buffer.getvalue())


def made_with(folder: Path) -> Key | None:
    """The settings of the labels in a folder; ``None`` if there are no labels."""
    file = folder / "steps.parquet"
    if not file.is_file():
        return None
    settings: Key = json.loads((pq.read_schema(file).metadata or {}).get(SETTINGS.encode(), b"{}"))
    return settings


def read_labels(folder: Path) -> list[StepLabels]:
    """Labels that ``mstar predict`` wrote.

    Raises:
        FileNotFoundError: If there are none; the message says how to make them.
    """
    file = folder / "steps.parquet"
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing: run mstar predict with the same data.labels first.")
    rows = pq.read_table(file).to_pylist()
    return [StepLabels(**{**row, "labels": tuple(row["labels"])}) for row in rows]
