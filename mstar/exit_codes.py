"""What a command's exit code says; docs/command-line.md has the table."""

from __future__ import annotations

FAILED = 1
"""Something went wrong; the message says what."""
USAGE = 2
"""The command line or a configuration file is wrong: nothing was run."""
INTERRUPTED = 128 + 2
"""Ctrl-C; the same command goes on from what is on disk."""
PIPE_CLOSED = 128 + 13
"""Whoever read the output has gone: ``mstar rollouts show … | head``."""
STOPPED = 128 + 15
"""Told to stop by SIGTERM, and stopped in good order; the same command goes on from what is on disk."""
