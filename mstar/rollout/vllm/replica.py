"""One vLLM engine: the only file that knows vLLM's names, which move between versions."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mstar.rollout.vllm.placement import surroundings

LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # the sizes vLLM allocates


@dataclass(frozen=True)
class Settings:
    """What every replica is built with."""

    tensor_parallel: int
    gpu_memory: float
    sleep_level: int
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter on disk; ``version`` rises from 1 and is never used twice in a replica."""

    version: int
    folder: Path
    rank: int


@dataclass(frozen=True)
class Response:
    """What vLLM sampled: tokens, why they end, and the log-probability of each at temperature 1 (if asked for)."""

    tokens: tuple[int, ...]
    finish: str
    logprobs: tuple[float, ...] | None = None


def require() -> None:
    """Check that vLLM is there without importing it, which takes seconds.

    Raises:
        ImportError: If it is not.
    """
    if importlib.util.find_spec("vllm") is None:
        raise ImportError(
            "VllmEngine needs vLLM, which is not installed: pip install 'mstar[vllm]' (docs/vllm.md says which "
            "versions go together), or take the native engine: class_path mstar.rollout.NativeEngine."
        )


class Replica:
    """A vLLM engine in processes of its own, on devices of its own.

    Args:
        folder: The model, as ``save_pretrained`` writes it, or a hub id.
        settings: What it is built with.
        devices: Indices into the visible GPUs; empty without GPUs.
        rank: Room for LoRA adapters up to this rank; 0 for none.
    """

    def __init__(self, folder: Path | str, settings: Settings, devices: Sequence[int], rank: int) -> None:
        vllm = importlib.import_module("vllm")
        platform = importlib.import_module("vllm.platforms").current_platform
        self._sleeps = settings.sleep_level > 0 and platform.is_sleep_mode_available()
        self._asleep = False
        self.dropped = False  # whether the weights are gone and must be loaded again
        self.num_waiting = 0
        arguments = {"model": str(folder), "enable_sleep_mode": self._sleeps, **_arguments(settings, rank)}
        if platform.is_cpu():
            # A seeded request whose prefill is cut in two ends vLLM's CPU build (0.32: "does not use offset").
            arguments["enable_chunked_prefill"] = False
        with surroundings(devices):
            self._llm = vllm.LLM(**{**arguments, **settings.options})
        self._params = vllm.SamplingParams
        self._whole = importlib.import_module("vllm.sampling_params").RequestOutputKind.FINAL_ONLY
        self._lora = importlib.import_module("vllm.lora.request").LoRARequest

    def add(self, name: str, prompt: dict[str, Any], params: dict[str, Any], adapter: Adapter | None) -> None:
        """Queue a request; it is sampled while others are stepped."""
        lora = adapter and self._lora(f"mstar-{adapter.version}", adapter.version, str(adapter.folder))
        sampling = self._params(**params, output_kind=self._whole)
        self._llm.llm_engine.add_request(name, prompt, sampling, lora_request=lora)
        self.num_waiting += 1

    def step(self) -> Iterator[tuple[str, list[Response]]]:
        """Wait for the next tokens; give the requests that are finished by them, each with all its responses."""
        for output in self._llm.llm_engine.step():
            if output.finished:
                self.num_waiting -= 1
                yield output.request_id, [_response(c) for c in sorted(output.outputs, key=lambda c: c.index)]

    def abort(self, name: str) -> None:
        """Forget a request that is not finished."""
        self._llm.llm_engine.abort_request([name])
        self.num_waiting -= 1

    def sleep(self, level: int) -> None:
        """Give the GPU memory back: the cache, and the weights to host memory (1) or for good (2)."""
        if self._sleeps and not self._asleep:
            self._llm.sleep(level=level)
            self._asleep, self.dropped = True, level == 2

    def wake(self, part: str) -> None:
        """Take the memory of ``weights`` or, after them, of the ``kv_cache`` again; nothing if it is awake."""
        if self._asleep:
            self._llm.wake_up(tags=[part])
            self._asleep = part == "weights"

    def load(self, folder: Path) -> None:
        """Overwrite the weights with a folder's, in place."""
        self._llm.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
        self.dropped = False

    def reset_caches(self) -> None:
        """Drop keys, values and image features that were computed with other weights."""
        self._llm.reset_prefix_cache()
        self._llm.llm_engine.reset_encoder_cache()

    def close(self) -> None:
        """End its processes and free what they hold."""
        self._llm.llm_engine.engine_core.shutdown()


def _arguments(settings: Settings, rank: int) -> dict[str, Any]:
    lora = {"enable_lora": True, "max_loras": 1, "max_lora_rank": next(r for r in LORA_RANKS if r >= rank)}
    return {
        "tensor_parallel_size": settings.tensor_parallel,
        "gpu_memory_utilization": settings.gpu_memory,
        "enable_prefix_caching": True,  # the n responses of a prompt share its prefill
        "logprobs_mode": "raw_logprobs",  # before bans and temperature, as an objective needs them
        "generation_config": "vllm",  # nothing but what Sampling says
        **(lora if rank else {}),
    }


def _response(completion: Any) -> Response:
    tokens, found = tuple(completion.token_ids), completion.logprobs
    logprobs = None if found is None else tuple(at[token].logprob for at, token in zip(found, tokens, strict=True))
    return Response(tokens, completion.finish_reason, logprobs)
