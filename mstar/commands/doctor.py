"""`mstar doctor`: what this machine has and lacks: packages and extras, devices, memory, disk."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement

import mstar
from mstar.exit_codes import FAILED

DESCRIPTION = """\
Say what this machine has and lacks. Exit code 0 if the base works, 1 if not.

  mstar doctor
  mstar doctor --json | jq .
"""
IMPORTED = ("torch", "lightning", "transformers", "datasets", "pyarrow", "torchdata", "jsonargparse", "peft")
"""Packages whose libraries can be there and yet not load."""
WORTH = 1.1
"""Times as fast as ``auto`` that packed products have to be: they take a second copy of the weights."""
LIMIT = Path("/sys/fs/cgroup/memory.max")
GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    about: str
    """``package``, ``import``, ``extra``, ``device``, ``cpu``, ``memory`` or ``disk``."""
    name: str
    state: str
    """``ok``, ``missing`` or ``broken``."""
    says: str
    """What was found; where something is missing, what to type."""


def main(args: list[str]) -> None:
    """Print the findings; exit with 1 if the base does not work."""
    asked = parser().parse_args(args)
    found = list(examine())
    works = all(finding.state == "ok" for finding in found if finding.about != "extra")
    if asked.json:
        print(json.dumps({"works": works, "findings": [asdict(finding) for finding in found]}, indent=1))
    else:
        print(page(found))
        print("\nThe base works." if works else "\nThe base does not work: see what is missing or broken above.")
    if not works:
        raise SystemExit(FAILED)


def parser() -> argparse.ArgumentParser:
    """What may follow ``mstar doctor``."""
    made = argparse.ArgumentParser(
        prog="mstar doctor",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--json", action="store_true", help="for programs")
    return made


def page(findings: Sequence[Finding]) -> str:
    """A line a finding, in columns."""
    width = max(len(finding.name) for finding in findings)
    return "\n".join(f"{f.state:8}{f.about:9}{f.name:{width}}  {f.says}" for f in findings)


def examine() -> Iterator[Finding]:
    """Look at everything, the cheap things first."""
    yield Finding("package", "mstar", "ok", f"{mstar.__version__}, Python {platform.python_version()}")
    yield from base_packages(requirements())
    imports = [imported(name) for name in IMPORTED]
    yield from imports
    yield from extras(requirements())
    if imports[0].state == "ok":
        yield from devices()
    yield memory()
    yield from disks()


def requirements() -> list[Requirement]:
    """What the installed mstar says it needs; nothing if it runs from a source tree that is not installed."""
    try:
        return [Requirement(text) for text in requires("mstar") or []]
    except PackageNotFoundError:
        return []


def base_packages(needed: Sequence[Requirement]) -> Iterator[Finding]:
    """Every package that mstar cannot do without."""
    base = [one for one in needed if "extra" not in str(one.marker or "")]
    if not base:
        yield Finding("package", "mstar", "missing", "is not installed: pip install -c constraints.txt -e .")
    for one in base:
        if one.marker is None or one.marker.evaluate():
            fault = lacking(one)
            says = f"{fault}; pip install '{_plain(one)}'" if fault else version(one.name)
            yield Finding("package", one.name, "missing" if fault else "ok", says)


def extras(needed: Sequence[Requirement]) -> Iterator[Finding]:
    """Every extra, with what it still needs. None of them is part of the base."""
    names = metadata("mstar").get_all("Provides-Extra") if needed else []
    for extra in names or []:
        own = [one for one in needed if one.marker and _belongs(one, extra)]
        faults = [f"{one.name} {fault}" for one in own if one.name != "mstar" and (fault := lacking(one))]
        way_out = f"{', '.join(faults)}; pip install -e '.[{extra}]'"
        there = ", ".join(f"{one.name} {version(one.name)}" for one in own) if not faults else ""
        yield Finding("extra", extra, "missing" if faults else "ok", way_out if faults else there)


def _belongs(one: Requirement, extra: str) -> bool:
    assert one.marker is not None
    return one.marker.evaluate({"extra": extra}) and not one.marker.evaluate({"extra": ""})


def lacking(one: Requirement, version_of: Callable[[str], str] = version) -> str:
    """Why a requirement is not met; empty if it is.

    >>> lacking(Requirement("torch>=2.8"), lambda name: "2.7.1")
    'is 2.7.1, needed is >=2.8'
    """
    try:
        found = version_of(one.name)
    except PackageNotFoundError:
        return "is not there"
    return "" if one.specifier.contains(found, prereleases=True) else f"is {found}, needed is {one.specifier}"


def _plain(one: Requirement) -> str:
    wanted = f"[{','.join(sorted(one.extras))}]" if one.extras else ""
    return f"{one.name}{wanted}{one.specifier}"


def imported(name: str) -> Finding:
    """Whether a package can be imported: its libraries may not fit this machine."""
    try:
        import_module(name)
    except Exception as error:  # whatever a broken library raises is what the finding says
        return Finding("import", name, "broken", f"{type(error).__name__}: {error}".partition("\n")[0])
    return Finding("import", name, "ok", "loads")


def devices() -> Iterator[Finding]:
    """What torch can compute on, and what a CPU is good for."""
    import torch

    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        bf16 = "bf16" if torch.cuda.is_bf16_supported() else "no bf16"
        yield Finding("device", f"cuda:{index}", "ok", f"{card.name}, {card.total_memory / GIB:.0f} GiB, {bf16}")
    if torch.backends.mps.is_available():
        yield Finding("device", "mps", "ok", platform.processor())
    if not torch.cuda.device_count():
        yield Finding("device", "cuda", "ok", f"none (torch {torch.__version__}); everything runs on the CPU, slowly")
    from mstar.rollout.native.packed import product_rates

    cores, allowed = os.cpu_count() or 1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    yield Finding("cpu", "cores", "ok", f"{allowed or cores} of {cores}; {torch.get_num_threads()} threads a process")
    yield Finding("cpu", "vectors", "ok", torch.backends.cpu.get_cpu_capability())
    yield Finding("cpu", "products", "ok", fastest(product_rates()))


def fastest(rates: Mapping[str, float]) -> str:
    """What products a CPU-second say of ``data.engine.dtype``: another than ``auto`` has to be worth it.

    >>> fastest({"auto": 106e9, "float32": 235e9, "bfloat16": 460e9})
    'GFLOP/s: auto 106, float32 235, bfloat16 460; rollouts are fastest with data.engine.dtype bfloat16'
    >>> fastest({"auto": 163e9, "float32": 158e9, "bfloat16": 86e9})
    'GFLOP/s: auto 163, float32 158, bfloat16 86; rollouts are fastest with data.engine.dtype auto'
    """
    best = max(rates, key=lambda name: rates[name])
    best = best if rates[best] > WORTH * rates["auto"] else "auto"
    found = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in rates.items())
    return f"GFLOP/s: {found}; rollouts are fastest with data.engine.dtype {best}"


def memory() -> Finding:
    """Main memory, of which a container may have less than the machine."""
    import psutil

    now = psutil.virtual_memory()
    says = f"{now.available / GIB:.1f} of {now.total / GIB:.1f} GiB free"
    limit = LIMIT.read_text().strip() if LIMIT.is_file() else ""
    return Finding(
        "memory", "main", "ok", f"{says}; this container may use {int(limit) / GIB:.1f}" if limit.isdecimal() else says
    )


def disks() -> Iterator[Finding]:
    """Where runs, temporary files and models from the hub are kept."""
    hub = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    for name, folder in (("runs", Path("runs")), ("hub", hub)):
        there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
        writable = os.access(there, os.W_OK)
        says = f"{shutil.disk_usage(there).free / GIB:.1f} GiB free in {there}"
        broken = f"{there} cannot be written; give another --trainer.default_root_dir, or HF_HOME"
        yield Finding("disk", name, "ok" if writable else "broken", says if writable else broken)
