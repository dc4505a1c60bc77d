"""The command line: recipes, records, stores and the machine answer at once; the rest is LightningCLI's."""

from __future__ import annotations

import difflib
import os
import sys

import mstar
from mstar.exit_codes import INTERRUPTED, PIPE_CLOSED, USAGE

LIGHTNING = ("fit", "validate", "test", "predict")
OWN = ("run", "grade", "rollouts", "report", "export", "doctor", "schema", "completion")
HELP = """\
usage: mstar COMMAND ...

  fit        train: warm-up, process reward, self-evolution
  validate   evaluate on the validation split
  test       evaluate on the test split
  predict    sample responses, or label their steps, and write them down
  run        run a recipe: a list of such commands, finished ones skipped
  grade      grade recorded responses
  rollouts   list, show, verify and export what a run has sampled
  report     the story of a run and every response, as pages
  export     its policy and training set for transformers, vLLM, a hub
  doctor     what this machine has and lacks
  schema     the JSON schema of configuration files, for editors
  completion a script that lets the shell complete all of this

  mstar run configs/recipes/demo.yaml  the whole method on a tiny model
  mstar rollouts show RUN --kept       responses that were trained on
  mstar fit -c a.yaml -c b.yaml --x 1  files stack, flags win
  mstar fit -c a.yaml --print_config   every value in force; runs nothing
  mstar fit --help                     every setting

  -h, --help   this page
  --version    the version
"""


def main(args: list[str] | None = None) -> None:
    """Run one command; docs/command-line.md says what its exit code means.

    Args:
        args: What follows ``mstar`` on the command line; ``None`` takes it from there.
    """
    words = sys.argv[1:] if args is None else args
    try:
        _run(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("mstar: interrupted; the same command goes on from what is on disk", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the exit would flush, and fail again
        raise SystemExit(PIPE_CLOSED) from None


def _run(words: list[str]) -> None:
    # The branches import for themselves: these answer at once, without the seconds that torch takes.
    match words[:1]:
        case [] | ["-h"] | ["--help"]:
            print(HELP, end="")
        case ["--version"]:
            print(f"mstar {mstar.__version__}")
        case ["run"]:
            from mstar.recipe.command import main as run

            run(words[1:])
        case ["grade"]:
            from mstar.grading.command import main as grade

            grade(words[1:])
        case ["rollouts"]:
            from mstar.commands.rollouts import parser

            asked = parser().parse_args(words[1:])
            from mstar.rollout.command import main as rollouts

            rollouts(asked)
        case ["report"]:
            from mstar.report.command import main as report

            report(words[1:])
        case ["export"]:
            from mstar.export.command import main as export

            export(words[1:])
        case ["doctor"]:
            from mstar.commands.doctor import main as doctor

            doctor(words[1:])
        case ["schema"]:
            from mstar.commands.schema import main as schema

            schema(words[1:])
        case ["completion"]:
            from mstar.commands.completion import main as completion

            completion(words[1:])
        case [word] if not word.startswith("-") and word not in LIGHTNING:
            near = difflib.get_close_matches(word, (*LIGHTNING, *OWN), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join((*LIGHTNING, *OWN))}."
            print(f"mstar: there is no command {word!r}: {hint}", file=sys.stderr)
            raise SystemExit(USAGE)
        case _:
            from mstar.cli import main as lightning_cli

            lightning_cli(words)


if __name__ == "__main__":
    main()
