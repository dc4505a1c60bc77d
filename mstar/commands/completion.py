"""`mstar completion`: a script that lets a shell complete commands, settings and classes."""

from __future__ import annotations

import argparse
import sys

from mstar.exit_codes import FAILED

SHELLS = ("bash", "zsh", "tcsh")
DESCRIPTION = """\
Print a script that completes commands, settings, choices and classes.

  mstar completion bash > ~/.local/share/bash-completion/completions/mstar
  mstar completion zsh > ~/.zfunc/_mstar       # with fpath+=~/.zfunc in ~/.zshrc
  mstar completion tcsh > ~/.mstar.tcsh        # with source ~/.mstar.tcsh

Takes some seconds, once. Needs shtab: pip install -e '.[completion]'
"""


def main(args: list[str]) -> None:
    """Print the script; end the program with a message if shtab is missing."""
    asked = parser().parse_args(args)
    try:
        import shtab  # noqa: F401
    except ImportError:
        print("mstar completion: shtab is missing; pip install -e '.[completion]'", file=sys.stderr)
        raise SystemExit(FAILED) from None
    print(script(asked.shell))


def parser() -> argparse.ArgumentParser:
    """What may follow ``mstar completion``."""
    made = argparse.ArgumentParser(
        prog="mstar completion",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("shell", choices=SHELLS)
    return made


def script(shell: str) -> str:
    """The script for a shell: one parser over Lightning's commands and ours."""
    import shtab

    from mstar.cli import parsers

    lightning, subcommands = parsers()
    preambles = [f"# mstar completion {shell}"]  # jsonargparse adds its functions to a list that is not empty
    lightning.get_completion_script(f"shtab-{shell}", preambles=preambles)
    whole = argparse.ArgumentParser(prog="mstar")
    whole.add_argument("--version", action="store_true", help="the version")
    commands = whole.add_subparsers()
    for name, one in {**subcommands, **light()}.items():
        commands.add_parser(name, help=(one.description or "").strip().partition("\n")[0])
        commands.choices[name] = one
    return str(shtab.complete(whole, shell, preamble="\n".join(preambles)))


def light() -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands that are not Lightning's, by name."""
    from mstar.commands import doctor, rollouts, schema
    from mstar.export import command as export
    from mstar.grading import command as grade
    from mstar.recipe import command as run
    from mstar.report import command as report

    before = {"run": run, "grade": grade, "rollouts": rollouts, "report": report, "export": export}
    rooms = {**before, "doctor": doctor, "schema": schema}
    return {**{name: room.parser() for name, room in rooms.items()}, "completion": parser()}
