"""Prompts on their way to the rows: encoded once, computed when there is room, kept until their responses are done."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mstar.modules.policy import Policy
from mstar.rollout.account import Account
from mstar.rollout.native.jobs import Job, Response
from mstar.rollout.native.memory import Room, bytes_per_token
from mstar.rollout.native.prefill import Beginning, Encoded, Filled, encode, key_shape, prefill
from mstar.rollout.native.prompts import SharedPrompts
from mstar.rollout.native.slots import KeyShape

PREFILL_TOKENS = 4096  # of one forward pass over prompts: bounds the memory it needs
PREFILL_PIXELS = 2**20  # of one forward pass on a CPU, colours counted apart: more images together are slower
SHARED_FROM = 48  # tokens a prompt must have for sharing to cost less than reading copies


@dataclass(frozen=True)
class Start:
    """A response that waits for a row."""

    response: Response
    beginning: Beginning
    most_keys: int
    """Keys that its slot may come to hold."""


@dataclass(frozen=True)
class Held:
    """Keys and values that slots will begin with, kept until the last response that needs them has its row."""

    keys: Tensor
    """``(layers, heads, tokens, size)``: of the tree behind the prompt, and of the prompt before it if it is copied."""
    values: Tensor
    copied: int
    """Tokens of the prompt among them."""


class Intake:
    """Runs prompts through the model as there is room for them, and hands out their responses one by one.

    Args:
        policy: Inside ``PolicyModule.inference()``.
        room: How much is in memory at the same time.
        share: Whether prompts are shared or copied into each row's slot; ``None`` goes by the first one's length.
        account: Where the cost is added.
    """

    def __init__(self, policy: Policy, room: Room, share: bool | None, account: Account) -> None:
        self.policy, self.room, self.share, self.account = policy, room, share, account
        self.token_bytes = bytes_per_token(policy.model, rounded=room.rounded)
        self.on_cpu = policy.model.device.type == "cpu"
        self.shape: KeyShape | None = None
        self.prompts: SharedPrompts | None = None
        self.starts: deque[Start] = deque()
        self.held: dict[int, Held] = {}
        self.left: dict[int, int] = {}  # responses of each prompt in memory that are not finished
        self.ahead: Encoded | None = None  # the next prompt, if it was encoded but there was no room for it

    def take(self, waiting: deque[Sequence[Job]], wanted: int, idle: bool) -> bool:
        """Compute the next prompts, if there is room; tells whether there was.

        Args:
            waiting: Jobs of a prompt together; those that are taken leave it.
            wanted: Responses there are rows for.
            idle: Nothing else is to be done: then one prompt always has room.
        """
        batch = self._next(waiting, wanted, idle and not self.starts)
        if batch:
            with self.account.phase("prefill"):
                filled = prefill(self.policy, [encoded for _, encoded in batch])
            self.account.prompts += len(batch)
            with self.account.phase("bookkeeping"):
                self._keep([jobs for jobs, _ in batch], filled)
        return bool(batch)

    def pop(self) -> tuple[Tensor | None, Tensor | None]:
        """Take the next start away; gives the keys and values its slot begins with, if any."""
        start = self.starts.popleft()
        prompt, path = start.response.prompt, start.beginning.path
        held = self.held[prompt]
        if not self.starts or self.starts[0].response.prompt != prompt:
            del self.held[prompt]
        index = [*range(held.copied), *(held.copied + node for node in path)]
        return (held.keys[:, :, index], held.values[:, :, index]) if index else (None, None)

    def finished(self, response: Response) -> None:
        """Forget a prompt when its last response is finished."""
        self.left[response.prompt] -= 1
        if not self.left[response.prompt]:
            del self.left[response.prompt]
            if self.prompts is not None:
                self.prompts.remove(response.prompt)

    @property
    def row_bytes(self) -> int:
        """What rows may take: where prompts are copied into them, also half of what would be the prompts'."""
        return self.room.row_bytes + self.room.prompt_bytes - self._prompt_bytes

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        held = sum(each.keys.nbytes + each.values.nbytes for each in self.held.values())
        return held + (self.prompts.nbytes if self.prompts is not None else 0)

    @property
    def _prompt_bytes(self) -> int:
        return self.room.prompt_bytes if self.share else self.room.prompt_bytes // 2

    def _next(self, waiting: deque[Sequence[Job]], wanted: int, idle: bool) -> list[tuple[Sequence[Job], Encoded]]:
        """The next prompts, each encoded once."""
        batch: list[tuple[Sequence[Job], Encoded]] = []
        with self.account.phase("encode"):
            while waiting and wanted > 0:
                if self.ahead is None:
                    prefixes = [job.request.prefix for job in waiting[0]]
                    self.ahead = encode(self.policy, waiting[0][0].request.prompt, prefixes)
                if self.share is None:
                    self.share = self.ahead.length >= SHARED_FROM
                together = [*(encoded for _, encoded in batch), self.ahead]
                if not (idle and not batch) and not self._fit(together):
                    break
                batch.append((waiting.popleft(), self.ahead))
                wanted -= sum(len(job.missing) for job in batch[-1][0])
                self.ahead = None
        return batch

    def _fit(self, prompts: Sequence[Encoded]) -> bool:
        """Whether these may be computed together now."""
        if len(prompts) > 1 and (
            len(prompts) * max(each.width for each in prompts) > PREFILL_TOKENS
            or (self.on_cpu and sum(each.pixels for each in prompts) > PREFILL_PIXELS)
        ):
            return False
        tokens = sum(each.keys.shape[2] for each in self.held.values())
        if self.share:
            lengths = [each.length for each in prompts]
            tokens += sum(len(each.tree.tokens) for each in prompts)
            tokens += self.prompts.after(lengths) if self.prompts is not None else len(lengths) * max(lengths)
        else:
            tokens += sum(each.width for each in prompts)
        return 2 * tokens * self.token_bytes <= self._prompt_bytes  # twice: where they go may have to be copied

    def _keep(self, work: Sequence[Sequence[Job]], filled: Sequence[Filled]) -> None:
        if self.shape is None:
            self.shape = self.room.kept(key_shape(filled[0]))
            self.prompts = SharedPrompts(self.shape) if self.share else None
        if self.prompts is not None:
            self.prompts.reserve(len(filled), max(each.length for each in filled))
        for jobs, each in zip(work, filled, strict=True):
            number = self._hold(each)
            self.left[number] = sum(len(job.missing) for job in jobs)
            for job, beginning in zip(jobs, each.beginnings, strict=True):
                most = self.held[number].copied + len(job.request.prefix) + job.sampling.max_new_tokens
                self.starts += [Start(Response(job, index, number), beginning, most) for index in job.missing]

    def _hold(self, filled: Filled) -> int:
        """Keep a prompt's keys and values; returns its number."""
        length = filled.length
        if self.prompts is None:
            number, begin = max(self.left, default=-1) + 1, 0
        else:
            number, begin = self.prompts.add(filled.keys[:, :, :length], filled.values[:, :, :length]), length
        # Copies: a view would keep the keys of all prompts that were computed together.
        assert self.shape is not None
        kept = self.shape.dtype
        keys, values = (each[:, :, begin:].to(kept, copy=True) for each in (filled.keys, filled.values))
        self.held[number] = Held(keys, values, copied=length - begin)
        return number
