"""Several ranks, really run: two gloo processes a strategy, started by torchrun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mstar.modules.adapter import Lora
from mstar.modules.backbone import PretrainedBackbone
from mstar.modules.policy import PolicyModule
from tests.strategies.runs import ROOT, arguments, facts, falls, require_trained


def launch(*command: str) -> None:
    """Start a command of two ranks and wait for it."""
    quiet = {"OMP_NUM_THREADS": "1", "PYTHON": sys.executable, "PROCESSES": "2"}
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **quiet}, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def sharded(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two iterations each, the second gone on with from the first's checkpoint."""
    runs = {name: tmp_path_factory.mktemp(name) for name in ("fsdp2", "qlora")}
    two = "--trainer.devices=2"
    whole = arguments(base, runs["fsdp2"], ["fsdp2"], two)
    adapter = arguments(base, runs["qlora"], ["qlora", "fsdp"], two)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    launch(*torchrun, "-m", "tests.strategies.twice", *whole, "--", *adapter)
    return runs


def require_halves(run: Path, units: int, epoch: int) -> str:
    """Require that each rank holds half, and that weights are gathered once an iteration; says so in numbers."""
    ranks = [facts(run, rank, epoch) for rank in (0, 1)]
    assert ranks[0]["bytes"] == ranks[1]["bytes"] and ranks[0]["units"] == units
    for each in ranks:
        assert each["gathers"][-1]["_allgather_base_"] == units  # one a unit
        assert each["waits"] == 0 and each["tokens"] > 0  # none while responses are written
    assert ranks[0]["tokens"] != ranks[1]["tokens"]  # nor do ranks write as many
    return (
        f"{ranks[0]['bytes']:,} bytes of parameters a rank, {units} gathers an iteration, "
        f"{ranks[0]['waits']} for {ranks[0]['tokens']} and {ranks[1]['tokens']} tokens"
    )


def test_fsdp2_holds_half_on_each_rank_and_gathers_once(
    sharded: dict[str, Path], base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = sharded["fsdp2"]
    module = PolicyModule(PretrainedBackbone(str(base)))
    apart = require_trained(run, module)
    whole = sum(p.nbytes for p in module.parameters())
    said = [require_halves(run, 4, epoch) for epoch in (0, 1)]
    assert facts(run)["bytes"] == whole / 2
    with capsys.disabled():
        print(f"\nfsdp2 x2: {said[0]} ({whole:,} in all); {falls(run, ranks=2)}; {apart}")


def test_qlora_is_sharded_too(sharded: dict[str, Path], base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = sharded["qlora"]
    module = PolicyModule(PretrainedBackbone(str(base), "bfloat16", quantization="nf4"), adapter=Lora())
    apart = require_trained(run, module, bf16=True)
    said = [require_halves(run, 4, epoch) for epoch in (0, 1)]
    found = facts(run)
    assert found["layers"]["Linear4bit"] == 14 and found["types"] == {"torch.bfloat16": 14}
    assert found["trainable"] == sum(p.numel() for p in module.parameters() if p.requires_grad) / 2
    with capsys.disabled():
        print(f"\nqlora + fsdp x2: {said[0]}, base in {found['base_bytes']:,}; {falls(run, ranks=2)}; {apart}")


def test_ddp_by_the_script_for_torchrun(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    launch("scripts/torchrun.sh", "fit", *arguments(base, tmp_path, ["ddp"], "--trainer.max_epochs=2"))
    module = PolicyModule(PretrainedBackbone(str(base)))
    apart = require_trained(tmp_path, module)
    found = [facts(tmp_path, rank) for rank in (0, 1)]
    assert {each["wrapped"] for each in found} == {"DistributedDataParallel"}
    assert {each["bytes"] for each in found} == {sum(p.nbytes for p in module.parameters())}
    with capsys.disabled():
        print(f"\nddp x2: {found[0]['bytes']:,} bytes of parameters a rank; {falls(tmp_path, ranks=2)}; {apart}")
