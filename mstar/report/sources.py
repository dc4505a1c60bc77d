"""Prompts again, by id: the store holds neither pictures nor reference answers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mstar.evaluation import EvaluationSet
from mstar.prompts import PromptPool
from mstar.report.find import setting
from mstar.rollout.fingerprint import prompt_digest
from mstar.types import Prompt

HERE = "Call mstar report in the folder where the run was started, and see that the data lie where they did."


@dataclass(frozen=True)
class Sources:
    """A run's prompts, as far as they can be opened again."""

    pool: PromptPool | None = None
    """``None`` if it cannot be made."""
    trouble: str = ""
    """Why not, in words."""

    def find(self, prompt_id: str, question: str) -> tuple[Prompt | None, str]:
        """A prompt by id, and if it is not there, why.

        Args:
            prompt_id: As the store has it.
            question: As the store has it; a prompt that asks something else now is not given.
        """
        if self.pool is None:
            return None, "its source cannot be opened"
        position = self.pool.index.find(prompt_id)
        if position is None:
            return None, "it is not in its source any more"
        try:
            prompt = self.pool.source[position]
        except (OSError, ValueError) as error:  # a file that is gone; a row that is unusable now
            return None, f"it cannot be read any more: {error}"
        if question and prompt.question != question:
            return None, "its source asks another question under this id now"
        return prompt, ""

    def changed(self, manifest: Mapping[str, Any]) -> str:
        """What is to be said of an iteration whose prompts are not those that were asked; empty if they are.

        Reads every picture of the iteration, as a resume does.
        """
        asked = manifest.get("asked")
        if self.pool is None or asked is None:
            return ""
        try:
            same = prompt_digest(self.pool.find(manifest["prompts"])) == asked
        except (OSError, ValueError, RuntimeError):
            same = False
        return "" if same else "a question, an answer or a picture has changed since, or is gone"


def open_sources(config: Mapping[str, Any]) -> Sources:
    """Make the prompts of a run once more from its configuration, and nothing else of it.

    Whatever goes wrong is told and not raised: the sources are the user's own classes and files, and a report without
    pictures is better than none.
    """
    settings = setting(config, "data", "init_args", "prompts")
    if not settings:
        return Sources(trouble="The run's configuration (logs/config.yaml) says nothing of its prompts.")
    try:
        pool = _make(config, settings, PromptPool)
        _ = pool.index  # opens the data
    except Exception as error:
        last = (str(error).strip().splitlines() or [""])[-1]
        return Sources(trouble=f"The run's prompts cannot be opened ({type(error).__name__}: {last}). {HERE}")
    return Sources(pool)


def count_validation(config: Mapping[str, Any]) -> int | None:
    """Prompts of a stage's validation split; ``None`` if it cannot be opened."""
    settings = setting(config, "data", "init_args", "evaluation")
    try:
        return len(_make(config, settings, EvaluationSet).validation) if settings else None
    except Exception:  # the user's own classes and files; intervals are then left out, and the report says so
        return None


def _make(config: Mapping[str, Any], settings: Any, kind: Any) -> Any:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--made", type=kind)
    with _seed(config):
        return parser.instantiate(parser.parse_object({"made": settings})).made


@contextmanager
def _seed(config: Mapping[str, Any]) -> Iterator[None]:
    """The run's seed where sources look for it (`mstar.seeds.run_seed`); put back afterwards."""
    before, seed = os.environ.get("PL_GLOBAL_SEED"), config.get("seed_everything")
    if isinstance(seed, int) and not isinstance(seed, bool):
        os.environ["PL_GLOBAL_SEED"] = str(seed)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("PL_GLOBAL_SEED", None)
        else:
            os.environ["PL_GLOBAL_SEED"] = before
