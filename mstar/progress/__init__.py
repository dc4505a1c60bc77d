"""How far long phases are: what they count, and where it is shown. `mstar.callbacks.Progress` puts it on."""

from mstar.progress.reporter import QUIET, Phase, Reporter, ReportingBar, reporter_of

__all__ = ["QUIET", "Phase", "Reporter", "ReportingBar", "reporter_of"]
