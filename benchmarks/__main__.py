"""Run every benchmark, each in a process of its own; ends with one JSON object of all results.

One whose optional package is missing is skipped, with a line that says what to install. One that fails does not stop
the others; the exit code is then 1.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

NAMES = (
    "rollout",
    "scoring",
    "step_labels",
    "training",
    "iteration",
    "grading",
    "temperature_search",
    "faults",
    "fuzz",
    "prompts_memory",
)
NEEDS = {"iteration": ("trl", "pip install -c constraints.txt -e '.[bench]'")}  # a package, and how to get it


def main() -> int:
    """Run them in order."""
    results, failed, skipped = {}, [], []
    for name in NAMES:
        print(f"=== python -m benchmarks.{name}", flush=True)
        package, install = NEEDS.get(name, ("", ""))
        if package and find_spec(package) is None:
            print(f"skipped: {package} is missing; {install}", flush=True)
            skipped.append(name)
            continue
        code, last = run(name)
        if code:
            failed.append(name)
        else:
            results[name] = json.loads(last)
    print(json.dumps({**results, "failed": failed, "skipped": skipped}))
    return int(bool(failed))


def run(name: str) -> tuple[int, str]:
    """Run one and pass on what it prints; returns its exit code and its last line."""
    last = ""
    with subprocess.Popen([sys.executable, "-m", f"benchmarks.{name}"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for last in process.stdout:
            print(last, end="", flush=True)
    return process.returncode, last


if __name__ == "__main__":
    sys.exit(main())
