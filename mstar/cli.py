"""The command line: ``mstar fit | validate | test | predict``, a LightningCLI with a model, data and a reward."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import Namespace
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.fabric.utilities.rank_zero import _get_rank
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException

import mstar.strategies  # noqa: F401 (names for trainer.strategy)
from mstar.callbacks import BenchmarkReport, Progress
from mstar.checkpoints import WholeCheckpoints
from mstar.exit_codes import INTERRUPTED, STOPPED
from mstar.failures import first_failure_last
from mstar.loggers import MetricsCsv
from mstar.resume import Revalidate
from mstar.rewards import RewardModel
from mstar.run_folder import held
from mstar.signals import Leave, Signals
from mstar.suggest import suggestions

# LightningCLI 2.6 calls what jsonargparse 4.49 deprecated: nothing a user of ours could mend.
os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")

TRAINER = {
    "reload_dataloaders_every_n_epochs": 1,  # every epoch is an iteration with a training set of its own
    "use_distributed_sampler": False,  # mstar shards prompts and batches itself, in order
    "num_sanity_val_steps": 0,  # a sanity check would sample before anything is known
}


class Parser(LightningArgumentParser):
    """Says what was meant, where a key is misspelt."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """End with the message and, behind it, the nearest keys that exist."""
        super().error("\n".join([message, *suggestions(message)]), ex)


class MstarCLI(LightningCLI):
    """LightningCLI with one more object, the reward, which is a callback and is also given to the datamodule."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``reward`` and hand the same instance to trainer and data."""
        parser.add_lightning_class_args(RewardModel, "reward", subclass_mode=True)
        parser.set_defaults({"reward": {"class_path": "mstar.rewards.OutcomeReward"}})
        parser.link_arguments("reward", "data.init_args.reward", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse what ``main`` was given; LightningCLI warns whenever the process has arguments of its own."""
        if isinstance(args, dict | Namespace):
            self.config = parser.parse_object(args)
        else:
            self.config = parser.parse_args(args)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Keep logs and checkpoints inside the run folder, ``trainer.default_root_dir``."""
        run = Path(self._get(self.config_init, "trainer").get("default_root_dir") or "runs/latest")
        kwargs["logger"] = self._loggers(run)
        kwargs["callbacks"] = self._callbacks()
        trainer = super().instantiate_trainer(default_root_dir=str(run), **kwargs)
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:  # the user has chosen no other
            trainer.strategy.checkpoint_io = WholeCheckpoints()
        trainer._signal_connector = Signals(trainer)
        trainer.callbacks = [*sorted(trainer.callbacks, key=late), Leave(), Revalidate()]  # type: ignore[attr-defined]
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.dirpath is None:
                callback.dirpath = str(run / "checkpoints")
        return trainer

    def _loggers(self, run: Path) -> list[Logger] | bool:
        """TensorBoard and CSV, and beside them what the user has chosen; none at all for ``--trainer.logger false``."""
        given = self._get(self.config_init, "trainer").get("logger")
        if given is False:
            return False
        chosen = [] if given in (None, True) else list(given) if isinstance(given, list) else [given]
        default: list[Logger] = [TensorBoardLogger(run, name="", version="logs"), MetricsCsv(str(run / "logs"))]
        return [each for each in default if type(each) not in map(type, chosen)] + chosen

    def _callbacks(self) -> list[Callback]:
        """The user's callbacks, and progress if they have chosen no other bar and have not asked for none."""
        settings = self._get(self.config_init, "trainer")
        given = settings.get("callbacks") or []
        chosen = list(given) if isinstance(given, list) else [given]
        quiet = settings.get("enable_progress_bar") is False or settings.get("barebones")
        if quiet or any(isinstance(each, ProgressBar) for each in chosen):
            return chosen
        return [*chosen, Progress()]

    def _run_subcommand(self, subcommand: str) -> None:
        """Run it in a folder that no other run is at work in; end with an exit code of its own if told to stop."""
        folder = Path(self.trainer.default_root_dir)
        try:
            with held(folder) if _get_rank() in (None, 0) else nullcontext(), first_failure_last(self.trainer, folder):
                super()._run_subcommand(subcommand)
        except SIGTERMException:  # Lightning's exit code is 0, by which a recipe would take a stage for done
            print(f"mstar {subcommand}: told to stop; the same command goes on from here", file=sys.stderr)
            raise SystemExit(STOPPED) from None
        except SystemExit as end:
            if not isinstance(end.__context__, KeyboardInterrupt):
                raise
            print(f"mstar {subcommand}: interrupted; the same command goes on from here", file=sys.stderr)
            raise SystemExit(INTERRUPTED) from None

    def before_fit(self) -> None:
        """Go on where an earlier run of the same command stopped; ``--ckpt_path last`` says no more than that."""
        last = Path(self.trainer.default_root_dir) / "checkpoints" / "last.ckpt"
        settings = self.config_init["fit"]
        if settings.get("ckpt_path") in (None, "last"):
            settings["ckpt_path"] = str(last) if last.is_file() else None

    def before_validate(self) -> None:
        """Leave the table to the report, if there is one: Lightning's own would repeat some of it."""
        self._quieten("validate")

    def before_test(self) -> None:
        """As before ``validate``."""
        self._quieten("test")

    def _quieten(self, command: str) -> None:
        callbacks = self.trainer.callbacks  # type: ignore[attr-defined]
        if any(isinstance(callback, BenchmarkReport) for callback in callbacks):
            self.config_init[command]["verbose"] = False
        # Lightning asks for the callbacks a checkpoint was written with; measuring needs none of them.
        warnings.filterwarnings("ignore", "Be aware that when using `ckpt_path`", UserWarning)


def late(callback: Callback) -> int:
    """Where a callback stands: the checkpoints a run goes on from behind those that are chosen by a metric.

    They hold the others' state. Written first, they would not know of the epoch's best, and a resumed run would take a
    worse one for better.
    """
    if not isinstance(callback, ModelCheckpoint):
        return 0
    return 1 if callback.monitor is not None else 2


class _ParserOnlyCLI(MstarCLI):
    """Makes the parsers and stops there."""

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Leave LightningCLI's constructor, which would go on to build everything."""
        raise _ParsersMade(parser, self._subcommand_parsers)


class _ParsersMade(Exception):  # noqa: N818 (it is no error)
    """Carries the parsers out."""

    def __init__(self, whole: LightningArgumentParser, commands: dict[str, LightningArgumentParser]) -> None:
        super().__init__()
        self.whole = whole
        self.commands = commands


def parsers() -> tuple[LightningArgumentParser, dict[str, LightningArgumentParser]]:
    """The parser of ``mstar``, and those of ``fit``, ``validate``, ``test`` and ``predict``, by name."""
    try:
        _build(_ParserOnlyCLI, [], run=True)
    except _ParsersMade as made:
        return made.whole, made.commands
    raise AssertionError("LightningCLI no longer parses its arguments as it is made")


def main(args: ArgsType = None, run: bool = True) -> MstarCLI:
    """Parse and run one command.

    Args:
        args: As on the command line; ``None`` takes ``sys.argv``.
        run: ``False`` only builds everything, as tests of configs do (no subcommand then).
    """
    return _build(MstarCLI, args, run)


def _build(kind: type[MstarCLI], args: ArgsType, run: bool) -> MstarCLI:
    return kind(
        LightningModule,
        LightningDataModule,
        parser_class=Parser,
        subclass_mode_model=True,
        subclass_mode_data=True,
        trainer_defaults=TRAINER,
        parser_kwargs={"prog": "mstar"},
        save_config_kwargs={"overwrite": True},
        auto_configure_optimizers=False,
        load_from_checkpoint_support=False,
        args=args,
        run=run,
    )
