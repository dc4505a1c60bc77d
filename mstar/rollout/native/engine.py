"""The native engine: any Hugging Face vision-language model, each prompt computed once, no row ever idle."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Literal

import torch

from mstar.modules.packing import LONGEST
from mstar.modules.policy import Policy
from mstar.modules.tree import cut, shares
from mstar.rollout.account import Account
from mstar.rollout.engine import require_distinct
from mstar.rollout.native.decoder import Decoder
from mstar.rollout.native.grouped import Grouped
from mstar.rollout.native.jobs import Job, Written
from mstar.rollout.native.memory import Room, is_out_of_memory, room
from mstar.rollout.native.packed import TYPES, PackedLinears, warn_if_slow
from mstar.types import Group, Request, Rollout, Sampling

log = logging.getLogger(__name__)


class NativeEngine:
    """Samples from any Hugging Face vision-language model with a key-value cache in every layer.

    Image and prompt go through the model once; its keys and values are shared by all responses. A fixed number of rows
    is decoded together; a row whose response has ended is given to the next one at once. What several beginnings of
    responses to a prompt have in common is computed once. Greedy and sampled requests may stand in one call.

    Every response draws from a random stream of its own, so neither its neighbours, nor the number of rows, nor a
    resume changes which numbers it gets (log-probabilities differ by floating-point noise between batch shapes, so a
    near-tie may still flip). Placeholder tokens are never sampled.

    Models whose layers are not all plain causal attention (sliding windows, image tokens that see ahead) are decoded
    a batch of prompts at a time, from copies of each prompt's cache.

    Args:
        rows: Responses decoded at the same time; ``None`` takes as many as pay and fit into ``memory``.
        logprobs: Record each token's log-probability, as the GRPO objective needs.
        share: Read a prompt's keys once for all its rows (``true``) or copy them into each row (``false``); ``None``
            shares prompts that are long enough for it to be faster.
        memory: Share of the memory that is free at the start which keys and values may take, in (0, 1]. Out of memory
            all the same, the engine goes on with half the rows; nothing finished is lost.
        dtype: ``auto`` samples from the policy as it is. ``float32`` packs the weights of a policy in fp32 for oneDNN,
            a second copy of them: the same policy, faster on CPUs (``benchmarks/rollout.py``); under autocast its
            products stay in fp32. ``bfloat16`` rounds the inputs and weights of linear layers, attention of images
            and of what is sampled, and its keys and values (those of models decoded a batch at a time excepted) to
            bf16, on CPUs that have instructions for it: faster still on some, from a few million weights on, slower on
            others (``mstar doctor`` measures which); responses and their log-probabilities are those of the rounded
            policy.
    """

    def __init__(
        self,
        rows: int | None = None,
        logprobs: bool = False,
        share: bool | None = None,
        memory: float = 0.5,
        dtype: Literal["auto", "float32", "bfloat16"] = "auto",
    ) -> None:
        if rows is not None and rows < 1:
            raise ValueError(f"engine.rows is {rows}; give 1 or more.")
        if not 0 < memory <= 1:
            raise ValueError(f"engine.memory is {memory}; give a share in (0, 1].")
        if dtype not in ("auto", *TYPES):
            raise ValueError(f"engine.dtype is {dtype}; give auto, float32 or bfloat16.")
        self.rows = rows
        self.logprobs = logprobs
        self.share = share
        self.memory = memory
        self.dtype = dtype
        self.account = Account()

    def generate(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        """Yield groups as they finish; see ``RolloutEngine.generate``."""
        if not requests:
            return
        groups = Finished(policy, requests, sampling)
        around = iter if self.dtype == "auto" else PackedLinears(policy.model, TYPES[self.dtype]).around
        rounded = self.dtype == "bfloat16" and shares(policy.model)
        if self.dtype == "bfloat16":
            warn_if_slow(self.dtype)
        fits = room(policy.model, groups.longest, self.memory, self.rows, rounded=rounded)
        while True:
            decoder = self._decoder(policy, seed, fits)
            try:
                for written in around(decoder.run(groups.missing())):
                    if (group := groups.add(written)) is not None:
                        yield group
                return
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if fits.rows == 1:
                    raise RuntimeError(
                        "Out of memory with a single response in work: lower data.sampling.max_new_tokens "
                        f"({sampling.max_new_tokens}) or the images' max_pixels. Finished groups are kept."
                    ) from error
                fits = fits.halved()
                log.warning("Out of memory: going on with %d rows at a time.", fits.rows)
            del decoder
            torch.cuda.empty_cache()

    def _decoder(self, policy: Policy, seed: int, fits: Room) -> Decoder | Grouped:
        if shares(policy.model):
            return Decoder(policy, seed, fits, self.logprobs, self.share, self.account)
        return Grouped(policy, seed, fits, self.logprobs, self.account)


class Finished:
    """Responses as they come, until a group is whole."""

    def __init__(self, policy: Policy, requests: Sequence[Request], sampling: Sampling) -> None:
        require_distinct(requests)
        self.policy = policy
        self.sampling = {request.stream: request.sampling or sampling for request in requests}
        self.requests = {request.stream: request for request in requests}
        self.found: dict[str, dict[int, Written]] = {stream: {} for stream in self.requests}

    @property
    def longest(self) -> int:
        """Most tokens a response of these may have."""
        return max(len(r.prefix) + self.sampling[s].max_new_tokens for s, r in self.requests.items())

    def missing(self) -> list[list[Job]]:
        """What is still to be written, jobs of a prompt together; long prompts first, equal lengths beside another.

        A prompt with very many beginnings to continue comes several times: what stands behind it is one row's.
        """
        jobs: dict[str, list[Job]] = {}
        for stream, found in self.found.items():
            request, sampling = self.requests[stream], self.sampling[stream]
            # Greedy responses of a prompt are all the same: one is written, and the others are copies.
            wanted = range(1 if sampling.temperature == 0 else sampling.num_responses)
            if missing := tuple(index for index in wanted if index not in found):
                jobs.setdefault(request.prompt.id, []).append(Job(request, sampling, missing))
        rows = [
            [each[i] for i in part]
            for each in jobs.values()
            for part in cut([job.request.prefix for job in each], LONGEST)
        ]
        return sorted(rows, key=lambda each: -len(each[0].request.prompt.question))

    def add(self, written: Written) -> Group | None:
        """Take a response; give the group if it was the last."""
        stream = written.request.stream
        found, sampling = self.found[stream], self.sampling[stream]
        found[written.index] = written
        if sampling.temperature == 0:
            found.update(dict.fromkeys(range(sampling.num_responses), written))
        if len(found) < sampling.num_responses:
            return None
        del self.found[stream]
        request = self.requests[stream]
        rollouts = tuple(self._rollout(found[i], i, sampling) for i in range(sampling.num_responses))
        return Group(request.prompt, rollouts, request.key)

    def _rollout(self, written: Written, index: int, sampling: Sampling) -> Rollout:
        tokens = (*written.request.prefix, *written.tokens)
        return Rollout(
            prompt_id=written.request.prompt.id,
            index=index,
            text=self.policy.renderer.decode(tokens),
            tokens=tokens,
            finish=written.finish,
            temperature=sampling.temperature,
            logprobs=written.logprobs,
        )
