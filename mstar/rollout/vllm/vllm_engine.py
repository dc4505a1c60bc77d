"""Rollouts by vLLM."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Literal

from mstar.modules.policy import Policy
from mstar.rollout.account import Account
from mstar.rollout.engine import require_distinct
from mstar.rollout.vllm.fleet import Fleet
from mstar.rollout.vllm.replica import Replica, Response, Settings, require
from mstar.rollout.vllm.translate import to_group, to_params, to_prompt
from mstar.types import Group, Request, Sampling

IN_FLIGHT = 512
"""Responses a replica is given at a time: enough to keep it full, few enough that their images fit into memory."""


class VllmEngine:
    """Samples by vLLM, which shares the training's GPUs: it sleeps while the policy learns.

    Each ``generate`` wakes it, brings the policy's weights if they have changed, drops what was cached under the old
    ones and compares the log-probabilities of four short responses with the policy's own forward; a wrong load is
    repeated by building vLLM anew, and if that is no better the run stops. A LoRA adapter is loaded beside its base
    (``peft.PeftModel`` policies), never merged. Placeholder tokens are never sampled.

    *Reproducible:* a response's random numbers come from (seed, request's stream, response's index) alone, so a
    resumed run asks for the same ones. *Not:* that the same numbers give the same tokens. vLLM's kernels round
    differently with the number of rows beside a response, so near-ties can flip (its ``VLLM_BATCH_INVARIANT=1`` is
    meant against that); versions and GPUs differ; and the tokens are never those of ``NativeEngine``, which draws
    by another rule.

    Run for real: text-only models on vLLM's CPU build. Read from the source but never run, for want of a GPU:
    images, sleep mode, and several GPUs (``docs/vllm.md``). Under DDP each process has a vLLM on its own GPU; with
    sharded strategies every process needs a request in each call, since all take part in gathering the weights.

    Args:
        tensor_parallel: GPUs that share one copy of the model.
        data_parallel: Copies of the model, in one training process; the first begins at the policy's own GPU.
        gpu_memory: Share of each GPU's memory for vLLM, in (0, 1]; it must be free when vLLM starts.
        logprobs: Record each token's log-probability at temperature 1, as the GRPO objective needs.
        sleep_level: While training: 1 moves vLLM's weights to host memory, 2 drops them (less host memory, but they
            are loaded again each time), 0 keeps them on the GPU. No effect where vLLM cannot sleep (CPU).
        tolerance: Largest mean difference between vLLM's and the policy's log-probability of a token, in nats, that
            passes as rounding when vLLM is built. A later load must stay near what was found then.
        base: For a LoRA policy: the folder or hub id of its base model; ``None`` writes it from the policy, which
            cannot be done with quantised weights.
        options: Further arguments of ``vllm.LLM``, as they are: ``{max_model_len: 4096, enforce_eager: true}``.
    """

    def __init__(
        self,
        tensor_parallel: int = 1,
        data_parallel: int = 1,
        gpu_memory: float = 0.4,
        logprobs: bool = False,
        sleep_level: Literal[0, 1, 2] = 1,
        tolerance: float = 0.1,
        base: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if tensor_parallel < 1 or data_parallel < 1:
            raise ValueError(
                f"engine.tensor_parallel is {tensor_parallel}, engine.data_parallel {data_parallel}; give 1 or more."
            )
        if not 0 < gpu_memory <= 1:
            raise ValueError(f"engine.gpu_memory is {gpu_memory}; give a share in (0, 1].")
        if tolerance <= 0:
            raise ValueError(f"engine.tolerance is {tolerance}; give more than 0 nat.")
        require()
        self.logprobs = logprobs
        self.account = Account()
        settings = Settings(tensor_parallel, gpu_memory, sleep_level, dict(options or {}))
        self._fleet = Fleet(settings, data_parallel, tolerance, base)
        self._names = count()

    def generate(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        """Yield groups as they finish; see ``RolloutEngine.generate``."""
        if not requests:
            return
        require_distinct(requests)
        try:
            with self.account.phase("weights"):
                self._fleet.prepare(policy, requests[0])
            yield from self._sample(policy, requests, sampling, seed)
        finally:
            self._fleet.rest()

    def close(self) -> None:
        """End vLLM's processes, which otherwise end with this one."""
        self._fleet.close()

    def _sample(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Group]:
        waiting = deque(requests)
        flying: dict[str, tuple[Replica, Request, Sampling]] = {}
        try:
            while waiting or flying:
                while waiting and (replica := self._free(flying.values())):
                    request = waiting.popleft()
                    own = request.sampling or sampling
                    name = f"mstar-{next(self._names)}"
                    self._add(replica, name, policy, request, own, seed)
                    flying[name] = replica, request, own
                for name, responses in self._step():
                    _, request, own = flying.pop(name)
                    self._count(responses)
                    yield to_group(policy.renderer, request, own, responses)
        finally:
            for name, (replica, _, _) in flying.items():
                replica.abort(name)

    def _step(self) -> list[tuple[str, list[Response]]]:
        """Wait for the next tokens of every replica in turn (they do not wait for us); give what is finished."""
        with self.account.phase("sample"):
            self.account.steps += 1
            return [each for replica in self._fleet.replicas if replica.num_waiting for each in replica.step()]

    def _count(self, responses: Sequence[Response]) -> None:
        self.account.prompts += 1
        self.account.responses += len(responses)
        self.account.tokens += sum(len(response.tokens) for response in responses)

    def _add(
        self, replica: Replica, name: str, policy: Policy, request: Request, sampling: Sampling, seed: int
    ) -> None:
        params = to_params(policy, request, sampling, seed, self.logprobs)
        try:
            replica.add(name, to_prompt(policy.renderer, request), params, self._fleet.adapter)
        except ValueError as error:
            error.add_note(f"vLLM refused prompt {request.prompt.id!r}; engine.options.max_model_len may be too small.")
            raise

    def _free(self, flying: Any) -> Replica | None:
        """The replica with least to do, if it can take more."""
        load = {id(replica): 0 for replica in self._fleet.replicas}
        for replica, _, sampling in flying:
            load[id(replica)] += sampling.num_responses
        least = min(self._fleet.replicas, key=lambda replica: load[id(replica)])
        return least if load[id(least)] < IN_FLIGHT else None
