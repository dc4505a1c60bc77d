"""Timing that holds on a busy machine: CPU time of one thread, variants in turn, medians with their spread."""

from __future__ import annotations

import ctypes
import resource
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

REPEATS = 5


def interleaved(
    variants: Mapping[str, Callable[[], Any]],
    repeats: int = REPEATS,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, list[float]]:
    """CPU seconds of each variant, ``repeats`` times in turn behind one unmeasured round; prints them."""
    torch.set_num_threads(1)
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for repeat in range(repeats + 1):
        for name, run in variants.items():
            began = clock()
            run()
            if repeat:
                seconds[name].append(clock() - began)
    for name, found in seconds.items():
        print(f"{name}: {statistics.median(found):.3f} CPU-seconds [{min(found):.3f}, {max(found):.3f}]", flush=True)
    return seconds


def ratio(seconds: Mapping[str, list[float]], slow: str, fast: str) -> float:
    """Median over the rounds of how many times as long ``slow`` took; printed with its spread."""
    found = [a / b for a, b in zip(seconds[slow], seconds[fast], strict=True)]
    print(f"{slow} / {fast}: {statistics.median(found):.2f} [{min(found):.2f}, {max(found):.2f}]", flush=True)
    return round(statistics.median(found), 2)


def peak_memory(run: Callable[[], Any]) -> float:
    """Megabytes that ``run`` needs at its peak above what was there before: resident memory, read every 2 ms."""
    pages = Path("/proc/self/statm")

    def now() -> float:
        return int(pages.read_text().split()[1]) * resource.getpagesize() / 1e6

    ctypes.CDLL(None).malloc_trim(0)  # what earlier runs freed is not to be used again unseen
    before = peak = now()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, now())

    watcher = threading.Thread(target=watch)
    watcher.start()
    run()
    done.set()
    watcher.join()
    return max(peak, now()) - before
