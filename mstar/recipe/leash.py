"""Run a command and let it live no longer than the runner: `python leash.py COMMAND...`.

A runner killed outright cannot stop its stages, and a stage has processes of its own (ranks, loader workers). The leash
waits beside the stage, its standard input held open by the runner. Each byte there is a signal number for the stage's
whole process group; the end of the input, which the kernel brings about however the runner dies, kills the group. The
leash also inherits the run folder's lock, so that no new runner starts before the last process of the old one is gone.

Only the standard library, no `mstar`: it starts in milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    """Run ``command`` in a session of its own; give its exit code, 128 + n if signal n ended it."""
    stage = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_listen, args=(stage.pid,), daemon=True).start()
    code = stage.wait()
    _signal_group(stage.pid, signal.SIGKILL)  # what the stage left behind: ranks that wait for one that failed
    return code if code >= 0 else 128 - code


def _listen(group: int) -> None:
    while number := os.read(0, 1):
        _signal_group(group, number[0])
    _signal_group(group, signal.SIGKILL)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        os.killpg(group, number)


if __name__ == "__main__":
    # `_exit`, as the listener may still be reading and a normal exit would wait for its lock on standard input.
    os._exit(main(sys.argv[1:]))
