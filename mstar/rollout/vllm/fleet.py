"""The replicas, and the promise that they hold the policy's weights before they sample."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn

from mstar.modules.policy import Policy
from mstar.rollout.fingerprint import own_fingerprint
from mstar.rollout.vllm.check import PROBE, Answer, judge, own_logprobs, to_probe
from mstar.rollout.vllm.placement import place
from mstar.rollout.vllm.replica import Adapter, Replica, Settings
from mstar.rollout.vllm.translate import to_params, to_prompt
from mstar.rollout.vllm.weights import adapted, save_adapter, save_weights
from mstar.types import Request


class Fleet:
    """Replicas of vLLM that follow a policy.

    After training the weights are saved to a folder and loaded from it in place; a LoRA adapter is loaded beside its
    base. Every load is checked on one prompt. A load that fails the check is repeated by building the replicas anew
    from the folder; if that is better, nothing is loaded in place any more, and if it is wrong too the run stops.
    """

    def __init__(self, settings: Settings, data_parallel: int, tolerance: float, base: str | None) -> None:
        self.settings, self.data_parallel, self.tolerance, self.base = settings, data_parallel, tolerance, base
        self.replicas: list[Replica] = []
        self.adapter: Adapter | None = None
        self.in_place = True
        self._digest = ""
        self._probe: Request | None = None
        self._before: list[Answer] = []
        self._limit = tolerance
        self._version = 0
        self._folder: Path | None = None  # what the replicas were loaded from: weights or an adapter

    def prepare(self, policy: Policy, request: Request) -> None:
        """Wake the replicas (build them, the first time) and bring the policy's weights to them.

        Args:
            policy: The policy.
            request: Any; the prompt of the first one ever is what every load is checked on.

        Raises:
            RuntimeError: If vLLM's log-probabilities are not the policy's, not even when built from its weights.
        """
        self._probe = self._probe or Request(request.prompt)
        digest = own_fingerprint(policy.model)
        changed = digest != self._digest
        if changed:
            self._digest = ""  # until they are known to be there
            self._save(policy)
        if not self.replicas or (changed and not self.in_place):
            self._build(policy)
            self._accept(self._ask(policy))
        elif changed or any(replica.dropped for replica in self.replicas):
            self._load(policy, changed)
        else:
            self._wake(load=False)
        self._digest = digest

    def rest(self) -> None:
        """Give the memory to the training; weights are dropped only if a load in place brings all of them back."""
        level = (
            self.settings.sleep_level if self.in_place and self.adapter is None else min(1, self.settings.sleep_level)
        )
        for replica in self.replicas:
            replica.sleep(level)

    def close(self) -> None:
        """End the replicas; the next ``prepare`` builds them again."""
        replicas, self.replicas, self._digest = self.replicas, [], ""
        for replica in replicas:
            replica.close()

    def _save(self, policy: Policy) -> None:
        """Write what has changed to a new folder: a replica may still have the old one's files open."""
        if self._folder is None:
            self._root = Path(tempfile.mkdtemp(prefix="mstar-vllm-"))
            weakref.finalize(self, shutil.rmtree, self._root, ignore_errors=True)
        self._version += 1
        old, self._folder = self._folder, self._root / f"{self._version}"
        if adapted(policy):
            self.adapter = Adapter(self._version, self._folder, save_adapter(policy, self._folder))
        else:
            save_weights(policy, self._folder)
        if old is not None:
            shutil.rmtree(old)

    def _build(self, policy: Policy) -> None:
        """Start the replicas, each on devices of its own, from what was saved; an adapter's base is saved once."""
        for replica in self.replicas:
            replica.close()
        self.replicas = []
        folder: Path | str | None = self._folder
        if self.adapter is not None:
            folder = self.base or self._root / "base"
            if self.base is None and not Path(folder).exists():
                save_weights(policy, Path(folder))
        assert folder is not None
        rank = self.adapter.rank if self.adapter else 0
        for devices in place(policy.model.device, self.settings.tensor_parallel, self.data_parallel):
            self.replicas.append(Replica(folder, self.settings, devices, rank))

    def _load(self, policy: Policy, changed: bool) -> None:
        """Load in place and check; if that went wrong, build anew and check again."""
        self._wake(load=self.adapter is None)
        answers = self._ask(policy)
        before, limit = self._before if changed else [], self._limit
        wrong = judge(answers, limit, before)
        if not wrong:
            self._before = answers
            return
        self._build(policy)
        built = self._ask(policy)
        self._accept(built)
        if not judge(built, limit, before):
            self.in_place = False
            rank_zero_warn(
                f"vLLM did not take the policy's weights in place: {wrong}. Built anew from them it is right, and from "
                "here on it is built anew whenever they change, which takes longer."
            )

    def _wake(self, load: bool) -> None:
        for replica in self.replicas:
            replica.wake("weights")
            if load and self._folder is not None:
                replica.load(self._folder)
            replica.wake("kv_cache")
            replica.reset_caches()

    def _accept(self, answers: list[Answer]) -> None:
        """Take replicas just built as right, or raise; their gap is rounding, and no later load may be much further."""
        wrong = judge(answers, self.tolerance, [])
        if wrong:
            self.close()
            raise RuntimeError(
                f"vLLM does not compute what the policy computes, though built from its weights: {wrong} (engine."
                "tolerance). If the policy computes in another type, set engine.options.dtype to it; if this is "
                "rounding, raise engine.tolerance; if not, sample with class_path mstar.rollout.NativeEngine."
            )
        self._before = answers
        self._limit = min(self.tolerance, 3 * max(answer.gap for answer in answers) + 1e-3)

    def _ask(self, policy: Policy) -> list[Answer]:
        """What every replica, and the policy, make of the probe."""
        assert self._probe is not None
        prompt = to_prompt(policy.renderer, self._probe)
        params = to_params(policy, self._probe, PROBE, 0, logprobs=True)
        answers = []
        for replica in self.replicas:
            replica.add("mstar-probe", prompt, params, self.adapter)
            finished: Sequence[object] = []
            while not finished:
                finished = probes = [to_probe(responses) for _, responses in replica.step()]
            answers.append(Answer(probes[0], own_logprobs(policy, self._probe, probes[0])))
        return answers
