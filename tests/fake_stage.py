"""A stage for the tests of recipes: says, writes, waits, starts a process of its own, fails, as told."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--name", default="stage")
    parser.add_argument("--lines", type=int, default=0)
    parser.add_argument("--wait_for", default="")
    parser.add_argument("--child", type=float, default=0.0)
    parser.add_argument("--exit", type=int, default=0)
    told = parser.parse_args()
    for number in range(told.lines):
        print(f"line {number} of {told.name}")
    if told.child:
        child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({told.child})"])
        (told.out / f"{told.name}.child").write_text(str(child.pid))
    with (told.out / "begun.txt").open("a") as file:
        file.write(f"{told.name}\n")
    (told.out / f"{told.name}.here").touch()
    deadline = time.monotonic() + 20
    while told.wait_for and not (told.out / told.wait_for).exists():
        if time.monotonic() > deadline:
            sys.exit(f"{told.wait_for} never came")
        time.sleep(0.01)
    sys.exit(told.exit)


if __name__ == "__main__":
    main()
