"""A vLLM that writes down what it is asked to do: the third party's names, none of its work.

It answers with the log-probabilities that ``answer`` gives for the weights that ``load`` made of a folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

Load = Callable[[Path], Any]
"""A folder to what a vLLM that was built from it holds in memory."""
Answer = Callable[[Any, Path | None, Sequence[int]], Sequence[float]]
"""What it holds, an adapter's folder, and a response's tokens to their log-probabilities."""


class FakeVllm:
    """What was called, in order, and the modules that record it."""

    def __init__(self, load: Load, answer: Answer, token: int, sleeps: bool = True) -> None:
        self.load, self.answer, self.token = load, answer, token
        self.calls: list[Any] = []
        self.built: list[dict[str, Any]] = []
        self.environments: list[dict[str, str]] = []
        self.requests: list[SimpleNamespace] = []
        self.loads = True  # whether loading in place does anything
        self.platform = SimpleNamespace(is_sleep_mode_available=lambda: sleeps, is_cpu=lambda: False)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the modules where imports find them."""
        contents: dict[str, dict[str, Any]] = {
            "vllm": {"LLM": lambda **arguments: Llm(self, arguments), "SamplingParams": SimpleNamespace},
            "vllm.platforms": {"current_platform": self.platform},
            "vllm.sampling_params": {"RequestOutputKind": SimpleNamespace(FINAL_ONLY="final")},
            "vllm.lora": {},
            "vllm.lora.request": {"LoRARequest": lambda name, number, path: (name, number, path)},
        }
        for name, members in contents.items():
            module = ModuleType(name)
            module.__spec__ = ModuleSpec(name, None)
            vars(module).update(members)
            monkeypatch.setitem(sys.modules, name, module)

    def order(self) -> list[str]:
        """The calls since this was last asked for, without their arguments."""
        names = [call[0] for call in self.calls]
        self.calls.clear()
        return names


class Llm:
    """One engine; it is its own ``llm_engine`` and ``engine_core``."""

    def __init__(self, record: FakeVllm, arguments: dict[str, Any]) -> None:
        self.record = record
        record.built.append(arguments)
        record.environments.append(dict(os.environ))
        self.weights = record.load(Path(arguments["model"]))
        self.llm_engine = self.engine_core = self
        self.waiting: list[SimpleNamespace] = []
        self.note("build")

    def note(self, name: str, *arguments: Any) -> None:
        self.record.calls.append((name, *arguments))

    def sleep(self, level: int) -> None:
        self.note("sleep", level)

    def wake_up(self, tags: list[str]) -> None:
        self.note(f"wake {tags[0]}")

    def collective_rpc(self, name: str, kwargs: dict[str, str]) -> None:
        self.note(name, kwargs)
        if self.record.loads:
            self.weights = self.record.load(Path(kwargs["weights_path"]))

    def reset_prefix_cache(self) -> None:
        self.note("reset prefix cache")

    def reset_encoder_cache(self) -> None:
        self.note("reset encoder cache")

    def shutdown(self) -> None:
        self.note("shutdown")

    def abort_request(self, names: list[str]) -> None:
        self.note("abort", names)
        self.waiting = [request for request in self.waiting if request.name not in names]

    def add_request(self, name: str, prompt: dict[str, Any], params: Any, lora_request: Any) -> None:
        self.note("ask" if name != "mstar-probe" else "probe")
        request = SimpleNamespace(name=name, prompt=prompt, params=params, lora=lora_request, llm=self)
        self.waiting.append(request)
        self.record.requests.append(request)

    def step(self) -> list[Any]:
        """Finish the last request, so that groups come in another order than they were asked for."""
        request = self.waiting.pop()
        outputs = [self.respond(request, index) for index in reversed(range(request.params.n))]
        running = SimpleNamespace(request_id="other", finished=False, outputs=[])
        return [running, SimpleNamespace(request_id=request.name, finished=True, outputs=outputs)]

    def respond(self, request: SimpleNamespace, index: int) -> Any:
        tokens = [self.record.token + index] * min(2, request.params.max_tokens)
        adapter = Path(request.lora[2]) if request.lora else None
        logprobs = None
        if request.params.logprobs is not None:
            said = self.record.answer(self.weights, adapter, tokens)
            logprobs = [{t: SimpleNamespace(logprob=p)} for t, p in zip(tokens, said, strict=True)]
        return SimpleNamespace(index=index, token_ids=tokens, finish_reason="length", logprobs=logprobs)
