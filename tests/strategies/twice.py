"""Run on each rank: an iteration, and the same command again for another, which goes on from its checkpoint.

``torchrun … -m tests.strategies.twice ARGUMENTS [-- ARGUMENTS …]``, the arguments those of ``mstar fit``, one run after
another, for importing takes longer than running.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby

from mstar.cli import main


def twice(args: Sequence[str]) -> None:
    """One iteration, and the run gone on with."""
    for epochs in (1, 2):
        main(["fit", *args, f"--trainer.max_epochs={epochs}"])


if __name__ == "__main__":
    for other, words in groupby(sys.argv[1:], "--".__eq__):
        if not other:
            twice(list(words))
