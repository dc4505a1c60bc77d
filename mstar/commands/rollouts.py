"""The words of `mstar rollouts`, apart from its deeds: --help does not wait for torch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

DEEDS = {
    "ls": "A line a stage: what was asked, dropped, right and kept.",
    "show": "Responses with what is known of them; what a model wrote is never obeyed.",
    "verify": "A line a stage; exit code 1 if one is not what was written.",
    "export": "All rollouts of finished stages, as one Parquet file or a folder that datasets.load_from_disk reads.",
}


def parser() -> argparse.ArgumentParser:
    """What may follow ``mstar rollouts``; ``deed`` is one of ``DEEDS``."""
    made = argparse.ArgumentParser(
        prog="mstar rollouts",
        description="List, show, verify and export what a run has sampled.",
        allow_abbrev=False,
    )
    deeds: Any = made.add_subparsers(title="commands", dest="deed", required=True, metavar="COMMAND")
    for deed, phrase in DEEDS.items():
        one = deeds.add_parser(deed, help=phrase.rstrip("."), description=phrase, allow_abbrev=False)
        one.add_argument("run", type=Path, metavar="RUN", help="a run folder, or a folder of several")
        one.add_argument("--stage", help="only stages whose name holds this, such as iteration-0003")
        if deed == "show":
            one.add_argument("--prompt", metavar="ID", help="only responses to this prompt")
            one.add_argument("--limit", type=int, default=20, help="responses (default: 20)")
            which = one.add_mutually_exclusive_group()
            which.add_argument("--dropped", dest="kept", action="store_false", default=None, help="only dropped ones")
            which.add_argument("--kept", action="store_true", default=None, help="only kept ones")
        if deed == "export":
            one.add_argument("--out", type=Path, required=True, help="FILE.parquet, or a new folder for datasets")
            one.add_argument("--kept", action="store_true", help="only what was trained on")
    return made
