"""The values that travel: prompts, rollouts, groups and the sampling they came from.

All are frozen; a stage of the pipeline returns new ones (``dataclasses.replace``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from PIL.Image import Image

Verdict = Literal["correct", "wrong", "unscorable"]
Finish = Literal["stop", "length"]


@dataclass(frozen=True)
class Prompt:
    """A question with its image(s) and, if labelled, its reference answer."""

    id: str
    """Unique within its source. Everything is joined by this id, never by the question's text."""
    question: str
    """Shown to the policy, after the images."""
    images: Sequence[Image] = ()
    """In the order the question refers to them. A source may open them anew each time they are looked at, so that only
    those in work are in memory: look once."""
    answer: str | None = None
    """Reference answer; ``None`` on unlabelled prompts. Never rendered into what the policy trains on."""
    kind: str = ""
    """Question type, for reports and routing (MathVista: ``FQA``, ``GPS``, …)."""
    cot: str | None = None
    """A worked response to imitate; only seed sets have one."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """The data set's own fields that verifiers read: ``answer_type``, ``choices``, ``precision``, ``unit``."""
    unusable: str = ""
    """Why it cannot be asked, in words; empty if it can. Whoever renders one that says so is told."""

    def require_same(self, other: Prompt) -> None:
        """Refuse another prompt of this id that shows or asks something else.

        Raises:
            ValueError: Naming the id and what differs.
        """
        if self is other:
            return
        for what, differs in (("question", self.question != other.question), ("images", self.images != other.images)):
            if differs:
                raise ValueError(
                    f"Two prompts have the id {self.id!r}, but their {what} differ: give prompts ids that differ, for "
                    "responses are joined to them by id."
                )


class PromptSource(Protocol):
    """A read-only sequence of prompts; images are opened when an index is asked for, or later."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Prompt: ...


@dataclass(frozen=True)
class Sampling:
    """How responses are drawn."""

    num_responses: int = 16
    """Responses a prompt (the paper's K = 16)."""
    temperature: float = 1.0
    """Unitless, >= 0; 0 is greedy."""
    top_p: float = 1.0
    """Nucleus mass in (0, 1]; 1 keeps all tokens."""
    top_k: int = 0
    """Most likely tokens kept; 0 keeps all."""
    min_p: float = 0.0
    """Tokens less likely than this share of the most likely one are left out, in [0, 1); 0 keeps all."""
    stop: tuple[str, ...] = ()
    """Texts that end a response where they appear; kept in it. Finish is ``stop``."""
    max_new_tokens: int = 512
    """Longest response, in tokens; reaching it ends the response with finish ``length``."""

    def __post_init__(self) -> None:
        if self.num_responses < 1:
            raise ValueError(f"sampling.num_responses is {self.num_responses}; give 1 or more.")
        if self.temperature < 0:
            raise ValueError(f"sampling.temperature is {self.temperature}; give 0 (greedy) or more.")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"sampling.top_p is {self.top_p}; give a value in (0, 1], 1 to keep all tokens.")
        if self.top_k < 0:
            raise ValueError(f"sampling.top_k is {self.top_k}; give 0 to keep all tokens, or a positive count.")
        if not 0 <= self.min_p < 1:
            raise ValueError(f"sampling.min_p is {self.min_p}; give a share in [0, 1), 0 to keep all tokens.")
        if not all(self.stop):
            raise ValueError("sampling.stop holds an empty text, which would end every response at once; remove it.")
        if self.max_new_tokens < 1:
            raise ValueError(f"sampling.max_new_tokens is {self.max_new_tokens}; give 1 or more.")


@dataclass(frozen=True)
class Rollout:
    """One response to a prompt and all that is known of it."""

    prompt_id: str
    index: int
    """Position among the prompt's responses; with seed and prompt id it fixes the random stream."""
    text: str
    """The response, decoded, special tokens left out."""
    tokens: tuple[int, ...]
    """The response's token ids, end token included if it was sampled."""
    finish: Finish = "stop"
    """``stop``: the end token or a stop text was sampled; ``length``: ``max_new_tokens`` was reached."""
    temperature: float = 1.0
    logprobs: tuple[float, ...] | None = None
    """Log-probability of each token under the policy at temperature 1, natural log; ``None`` if not asked for."""
    rewards: Mapping[str, float] = field(default_factory=dict)
    """Named rewards of the whole response; filled by reward models."""
    step_rewards: tuple[float, ...] | None = None
    """One reward in [0, 1] a reasoning step; filled by the process reward."""
    verdict: Verdict | None = None
    """Filled by the outcome reward."""
    answer: str | None = None
    """The final answer extracted from ``text``; ``None`` if there is none."""
    origin: str = "policy"
    """``policy``, or the refiner that made it."""
    kept: bool | None = None
    """Whether the selectors kept it; ``None`` before selection."""
    why: str = ""
    """The selector's reason, in words."""

    @property
    def correct(self) -> bool:
        """Whether the verifier said so; wrong, unscorable and unjudged are all not correct."""
        return self.verdict == "correct"


@dataclass(frozen=True)
class Group:
    """The rollouts of one prompt."""

    prompt: Prompt
    rollouts: tuple[Rollout, ...]
    key: str = ""
    """Names the request it answers where a prompt is continued more than once; empty means the prompt's id."""

    @property
    def name(self) -> str:
        """What the group is stored under."""
        return self.key or self.prompt.id

    def __iter__(self) -> Iterator[Rollout]:
        return iter(self.rollouts)

    def __len__(self) -> int:
        return len(self.rollouts)


@dataclass(frozen=True)
class Request:
    """What an engine is asked to continue: a prompt, or a prompt with the beginning of a response."""

    prompt: Prompt
    prefix: tuple[int, ...] = ()
    """Response tokens already there; sampled ones follow. ``Rollout.tokens`` holds both."""
    key: str = ""
    """Names the random stream; empty means the prompt's id."""
    sampling: Sampling | None = None
    """How this request is sampled where it differs from the call's: greedy ones may stand beside sampled ones."""

    @property
    def stream(self) -> str:
        """The key of the request's random stream."""
        return self.key or self.prompt.id


Groups = Sequence[Group]
