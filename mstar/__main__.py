"""The command line: `mstar run`, `grade`, `rollouts` and `export` by rooms of their own, the rest by LightningCLI."""

from __future__ import annotations

import sys

import mstar

HELP = """\
usage: mstar COMMAND ...

  fit        train: warm-up, process reward, self-evolution
  validate   evaluate on the validation split
  test       evaluate on the test split
  predict    sample responses, or label their steps, and write them down
  run        run a recipe: a list of such commands, finished ones skipped
  grade      grade recorded responses
  rollouts   list, show, verify and export what a run has sampled
  export     a run's policy and training set for transformers, peft, vLLM, a hub

  mstar run configs/recipes/demo.yaml  the whole method on a tiny model
  mstar grade QUESTIONS RESPONSES      accuracy, agreement with verdicts
  mstar rollouts show RUN --kept       responses that were trained on
  mstar fit -c configs/demo/base.yaml  one command, as configured
  mstar fit -c a.yaml -c b.yaml --x 1  files stack, flags win
  mstar fit -c a.yaml --print_config   every value in force; runs nothing
  mstar fit --help                     every setting

  -h, --help   this page
  --version    the version
"""


def main(args: list[str] | None = None) -> None:
    """Run one command.

    Args:
        args: What follows ``mstar`` on the command line; ``None`` takes it from there.
    """
    words = sys.argv[1:] if args is None else args
    match words[:1]:
        case [] | ["-h"] | ["--help"]:
            print(HELP, end="")
        case ["--version"]:
            print(f"mstar {mstar.__version__}")
        case ["run"]:
            # The branches import for themselves: these answer at once, without the seconds that torch takes.
            from mstar.recipe.command import main as run

            run(words[1:])
        case ["grade"]:
            from mstar.grading.command import main as grade

            grade(words[1:])
        case ["rollouts"]:
            from mstar.rollout.command import main as rollouts

            rollouts(words[1:])
        case ["export"]:
            from mstar.export.command import main as export

            export(words[1:])
        case _:
            from mstar.cli import main as lightning_cli

            lightning_cli(words)


if __name__ == "__main__":
    main()
