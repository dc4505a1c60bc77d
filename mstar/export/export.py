"""Write a run as a folder for others: weights, processor, cards, configuration, and the data set it was trained on"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from mstar.checkpoints import read_checkpoint
from mstar.export.card import dataset_card, model_card
from mstar.export.folder import whole_folder
from mstar.export.kept import Kept, read_kept, write_kept
from mstar.export.measured import Figure, read_measured
from mstar.export.push import KEPT, dataset_repo
from mstar.export.run import Run, read_run
from mstar.files import checksum, read_json, write_json
from mstar.modules.policy import PolicyModule
from mstar.modules.process_reward import ProcessRewardModule

RECORD, CONFIG, CARD = "export.json", "mstar.yaml", "README.md"


def export(
    folder: Path,
    out: Path,
    merge: bool = False,
    checkpoint: str | None = None,
    measured: Sequence[Path] = (),
    repo: str | None = None,
) -> bool:
    """Write ``out``, whole or not at all; if it is there already, made from the same, it is left alone.

    Args:
        folder: The run's.
        out: A folder that is not there, or is empty.
        merge: Write whole weights where an adapter was trained, else the adapter alone.
        checkpoint: Name or path; ``None`` takes ``best``, else ``last``.
        measured: Other run folders, in which this policy was measured.
        repo: Hub id that it will have, for its card.

    Returns:
        Whether anything was written.

    Raises:
        FileNotFoundError: If the run has no checkpoint or configuration, or a base is not where it was.
        ValueError: If ``out`` holds something else, or the adapter's base was made from nothing.
    """
    run = read_run(folder, checkpoint)
    figures = read_measured([folder, *measured])
    request = {
        "run": folder.resolve().name,  # names and no paths: it may be published
        "checkpoint": {"file": run.checkpoint.name, "checksum": checksum(run.checkpoint)},
        "merge": merge,
        "measured": [each.resolve().name for each in measured],
        "figures": [[figure.of, figure.metric, figure.value] for figure in figures],
        "repo": repo,
    }
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        require_same_export(out, request)
        return False
    with whole_folder(out) as part:
        _write(run, part, merge, figures, repo, str(out), request)
    return True


def _write(
    run: Run, part: Path, merge: bool, figures: Sequence[Figure], repo: str | None, name: str, request: dict[str, Any]
) -> None:
    state = read_checkpoint(run.checkpoint, mmap=True)
    kept = read_kept(run.sampled, state["epoch"])
    module = run.module()
    write_model(module, part, state["state_dict"], merge)
    dataset = dataset_repo(repo) if repo and kept.table is not None else None
    card = model_card(module, run.config, state["global_step"], kept, figures, repo or name, dataset, merge)
    card.save(part / CARD)
    (part / CONFIG).write_text(yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    if kept.table is not None:
        _write_kept(kept, part / KEPT, dataset or f"{name}/{KEPT}", repo or name)
    write_json(part / RECORD, {**request, "global_step": state["global_step"], "iterations": list(kept.stages)})


def _write_kept(kept: Kept, folder: Path, name: str, model: str) -> None:
    write_kept(kept, folder)
    dataset_card(kept, name, model).save(folder / CARD)


def write_model(
    module: PolicyModule | ProcessRewardModule, folder: Path, state: dict[str, Any], merge: bool = True
) -> None:
    """Write weights, processor, chat template and generation config of a checkpoint's model into an empty folder."""
    if isinstance(module, PolicyModule):
        module.export(folder, state, merge)
    else:
        module.export(folder, state)


def require_same_export(out: Path, request: dict[str, Any]) -> None:
    """Refuse a folder that holds anything but this export.

    Raises:
        ValueError: Naming what is there.
    """
    if not (out / RECORD).is_file():
        raise ValueError(f"--out {out} is not empty, and not of `mstar export`: give a folder that is not there yet.")
    found = read_json(out / RECORD)
    different = [name for name, value in request.items() if found.get(name) != value]
    if different:
        details = "; ".join(f"{name} was {found.get(name)!r}, is now {request[name]!r}" for name in different)
        raise ValueError(f"--out {out} holds another export: {details}. Remove it, or give another folder.")
