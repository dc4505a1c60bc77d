"""Every group on a page of data, and an index that filters need: written as groups pass by, loaded as they are read."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from mstar.report.groups import Asked
from mstar.report.pictures import Pictures
from mstar.report.scripts import call
from mstar.report.sources import Sources
from mstar.report.tally import outcome_of
from mstar.steps import step_ends
from mstar.types import Prompt, Rollout

PAGE = 256 * 1024
"""Characters of a page of data, roughly: little enough to load at a key press."""
FRAME = 250
"""Characters of a response beside its text, roughly."""
QUESTION, REFERENCE = 300, 100
"""Characters of a question and of a reference answer that are in the index; pages hold all of them."""
OUTCOMES = ("correct", "wrong", "no answer", "unscorable", "not judged")
DECISIONS = (True, False, None)
"""Kept, dropped, not decided."""
SEPARATORS = ("\n\n", "\n")
"""What process reward models are trained to split steps at; the store has the rewards, not the places."""


class Book:
    """Pages of groups, their pictures and their index, in a folder.

    Args:
        folder: Of the report.
        rewards: Names of the rewards, in the order they are shown.
    """

    def __init__(self, folder: Path, rewards: Sequence[str]) -> None:
        self.folder = folder
        self.rewards = tuple(rewards)
        self.pictures = Pictures(folder / "images")
        (folder / "data").mkdir()
        self.prompts: dict[tuple[str, str], int] = {}
        self.entries: list[tuple[str, str, int, str]] = []
        """Of each prompt: id, question, kind, reference."""
        self.kinds: dict[str, int] = {}
        self.shown: dict[tuple[int, str], dict[str, Any]] = {}
        self.columns = {name: array("l") for name in ("run", "iteration", "prompt", "first")}
        self.codes = bytearray()
        self.values = [array("d") for _ in self.rewards]
        self.pages: list[int] = []
        """The first group of each page."""
        self.waiting: list[dict[str, Any]] = []
        """Groups of the page at work."""
        self.size = 0
        self.without_picture: dict[str, int] = {}
        """Prompts that are shown as the store has them, by the reason."""

    def add(self, run: int, iteration: int, asked: Asked, sources: Sources) -> None:
        """Write a group down.

        Args:
            run: Number of its run in the report.
            iteration: Its iteration's number.
            asked: The group.
            sources: The run's prompts.
        """
        group = asked.group
        facts = self._prompt(run, group.prompt, sources)
        for name, value in (
            ("run", run),
            ("iteration", iteration),
            ("prompt", self._enter(group.prompt, facts)),
            ("first", len(self.codes)),
        ):
            self.columns[name].append(value)
        self.codes += bytes(code_of(rollout) for rollout in group)
        for name, values in zip(self.rewards, self.values, strict=True):
            values.extend(rollout.rewards.get(name, float("nan")) for rollout in group)
        written = [
            response_of(rollout, length, self.rewards)
            for rollout, length in zip(group.rollouts, asked.num_tokens, strict=True)
        ]
        self._write({"run": run, "iteration": iteration, **facts, "responses": written})

    def close(self, runs: Sequence[dict[str, Any]]) -> None:
        """Write what is left, and the index.

        Args:
            runs: What the index says of each run: its name and its iterations' numbers.
        """
        self._turn()
        index = {
            "runs": runs,
            "kinds": list(self.kinds),
            "rewards": self.rewards,
            "outcomes": OUTCOMES,
            "prompts": self.entries,
            "groups": {name: values.tolist() for name, values in self.columns.items()},
            "codes": bytes(ord("a") + code for code in self.codes).decode(),
            "values": [[None if v != v else round(v, 4) for v in values] for values in self.values],
            "pages": self.pages,
        }
        (self.folder / "data" / "index.js").write_text(call("report.receiveIndex", index), encoding="ascii")

    def _prompt(self, run: int, prompt: Prompt, sources: Sources) -> dict[str, Any]:
        """What is shown of a prompt; looked up once, whatever the number of iterations it is in."""
        key = (run, prompt.id)
        if key not in self.shown:
            found, why = sources.find(prompt.id, prompt.question)
            images: list[str] = []
            if found is not None:
                try:
                    images = [self.pictures.add(image) for image in found.images]
                except (OSError, ValueError) as error:  # a source may open files only when they are looked at
                    why = f"it cannot be read any more: {error}"
            if why:
                self.without_picture[why] = self.without_picture.get(why, 0) + 1
            self.shown[key] = {
                "id": prompt.id,
                "question": prompt.question or (found.question if found else ""),
                "kind": prompt.kind or (found.kind if found else ""),
                "reference": found.answer if found else None,
                "images": images,
                "missing": why,
            }
        return self.shown[key]

    def _enter(self, prompt: Prompt, facts: dict[str, Any]) -> int:
        """A prompt's number in the index: the same in all runs that ask the same under the same id."""
        key = (prompt.id, facts["question"])
        if key not in self.prompts:
            self.prompts[key] = len(self.entries)
            kind = self.kinds.setdefault(facts["kind"], len(self.kinds))
            reference = facts["reference"] or ""
            self.entries.append((prompt.id, facts["question"][:QUESTION], kind, reference[:REFERENCE]))
        return self.prompts[key]

    def _write(self, entry: dict[str, Any]) -> None:
        if not self.waiting:
            self.pages.append(len(self.columns["first"]) - 1)
        self.waiting.append(entry)
        self.size += sum(FRAME + sum(map(len, response["steps"])) for response in entry["responses"])
        if self.size > PAGE:
            self._turn()

    def _turn(self) -> None:
        if self.waiting:
            number = len(self.pages) - 1
            page = call("report.receivePage", number, self.waiting)
            (self.folder / "data" / f"page-{number:05d}.js").write_text(page, encoding="ascii")
            self.waiting, self.size = [], 0


def code_of(rollout: Rollout) -> int:
    """Outcome and decision in a number below 15."""
    return OUTCOMES.index(outcome_of(rollout)) * len(DECISIONS) + DECISIONS.index(rollout.kept)


def response_of(rollout: Rollout, num_tokens: int, rewards: Sequence[str]) -> dict[str, Any]:
    """A response as its page has it; step rewards beside their steps, where these can be told apart."""
    steps = split_steps(rollout)
    scores = [round(reward, 4) for reward in rollout.step_rewards or ()]
    return {
        "index": rollout.index,
        "steps": steps or [rollout.text],
        "scores": scores,
        "aligned": bool(steps),
        "outcome": outcome_of(rollout),
        "answer": rollout.answer,
        "kept": rollout.kept,
        "why": rollout.why,
        "finish": rollout.finish,
        "origin": rollout.origin,
        "temperature": rollout.temperature,
        "tokens": num_tokens,
        "rewards": [rollout.rewards.get(name) for name in rewards],
    }


def split_steps(rollout: Rollout) -> list[str]:
    """The response in its rewarded steps, together its whole text; empty if no separator gives as many as there are.

    >>> split_steps(Rollout("p", 0, "2+2=4\\n\\nAnswer: 4\\n", (), step_rewards=(0.9, 0.8)))
    ['2+2=4', '\\n\\nAnswer: 4\\n']
    """
    for separator in SEPARATORS:
        ends = step_ends(rollout.text, separator)
        if ends and rollout.step_rewards is not None and len(ends) == len(rollout.step_rewards):
            bounds = [0, *ends[:-1], len(rollout.text)]
            return [rollout.text[begin:end] for begin, end in pairwise(bounds)]
    return []
