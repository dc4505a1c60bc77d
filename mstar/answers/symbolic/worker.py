"""The process that compares expressions: ``python -m mstar.answers.symbolic.worker CPU_SECONDS MEGABYTES``.

Reads a JSON line ``[gold, answer]`` and writes one: ``true``, ``false``, ``null`` for a gold that cannot be read, or a
text that says what went wrong. The kernel ends it when a comparison takes more CPU time than allowed, even inside C
code and even if nobody reads its answer any more.
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import sys
from typing import TextIO


def main(arguments: list[str], questions: TextIO, answers: TextIO) -> None:
    """Answer until the questions end."""
    seconds, megabytes = float(arguments[0]), int(arguments[1])
    import math_verify  # before the limits: the import is not the answer's fault

    logging.disable(logging.CRITICAL)  # it warns that its own timeouts are off: ours are on
    compare(math_verify, "x+1", "1+x")  # the first comparison builds parsers for a second: nor is that
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    print("ready", file=answers, flush=True)
    for line in questions:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        gold, answer = json.loads(line)
        try:
            said = compare(math_verify, gold, answer)
        except (MemoryError, RecursionError) as error:
            said = f"it took too much memory ({type(error).__name__})"
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(said), file=answers, flush=True)


def compare(library: object, gold: str, answer: str) -> bool | str | None:
    """Whether math-verify takes the two for equal; ``None`` if it cannot read the gold."""
    parse, verify = library.parse, library.verify  # type: ignore[attr-defined]
    expected = parse(framed(gold), parsing_timeout=None)
    if not any(not isinstance(one, str) for one in expected):
        return None
    given = parse(framed(answer), parsing_timeout=None)
    return bool(given) and bool(verify(expected, given, timeout_seconds=None))


def framed(text: str) -> str:
    """As math-verify reads LaTeX: between dollars, once."""
    return text if "$" in text or "\\boxed" in text else f"${text}$"


if __name__ == "__main__":
    main(sys.argv[1:], sys.stdin, sys.stdout)
