"""Run every benchmark, each in a process of its own; ends with one JSON object of all results.

One that cannot run here (an optional package is missing) says so and the others go on; the exit code is then 1.
"""

from __future__ import annotations

import json
import subprocess
import sys

NAMES = ("rollout", "step_labels", "scoring", "training", "iteration")


def main() -> int:
    """Run them in order."""
    results, failed = {}, []
    for name in NAMES:
        print(f"=== python -m benchmarks.{name}", flush=True)
        last = ""
        with subprocess.Popen([sys.executable, "-m", f"benchmarks.{name}"], stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            for line in run.stdout:
                print(line, end="", flush=True)
                last = line
        if run.returncode:
            failed.append(name)
        else:
            results[name] = json.loads(last)
    print(json.dumps({**results, "failed": failed}))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
