"""`mstar export`."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

DESCRIPTION = """\
Write a run's policy as a folder that transformers, peft and vLLM read.

  mstar export runs/evolve --out evolved
  mstar export runs/evolve --out evolved --merge --push OWNER/NAME

Weights in safetensors, processor, chat template and generation config; a model
card with the recipe, what was measured (95 % intervals) and where the training
set comes from; that training set in kept/, a folder for datasets.load_dataset.
"""


def main(args: list[str]) -> None:
    """Export as the command line says; end the program with a message, not a traceback, if that fails."""
    asked = parser().parse_args(args)
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled  # these take seconds: torch

    from mstar.export.export import export
    from mstar.export.push import push

    try:
        new = export(asked.run, asked.out, asked.merge, asked.checkpoint, asked.measured, asked.push)
        size = sum(file.stat().st_size for file in asked.out.rglob("*") if file.is_file())
        print(f"{asked.out} | {size / 1e6:,.1f} MB{'' if new else ', there already'}")
        for address in push(asked.out, asked.push, asked.public) if asked.push else ():
            print(address)
    except (HfHubHTTPError, OfflineModeIsEnabled, ConnectionError) as error:
        sys.exit(
            f"mstar export: {asked.out} is written, but not pushed: {error}\nLog in (hf auth login) or wait for the "
            f"network; the same command goes on from here."
        )
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f"mstar export: {error}")


def parser() -> argparse.ArgumentParser:
    """What may follow ``mstar export``."""
    made = argparse.ArgumentParser(
        prog="mstar export",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("run", type=Path, metavar="RUN", help="the folder of a run of `mstar fit`")
    made.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder; its export.json says of what"
    )
    made.add_argument("--merge", action="store_true", help="whole weights where an adapter was trained")
    made.add_argument("--checkpoint", metavar="NAME", help="best, last, or a path (default: best, else last)")
    made.add_argument(
        "--measured", type=Path, action="append", default=[], metavar="RUN", help="a run that measured it; repeatable"
    )
    made.add_argument("--push", type=_repo, metavar="OWNER/NAME", help="upload it, and kept/ as OWNER/NAME-kept")
    made.add_argument("--public", action="store_true", help="make new repositories public (default: private)")
    return made


def _repo(text: str) -> str:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no hub id; give OWNER/NAME")
    return text
