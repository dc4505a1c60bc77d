"""Nothing is sampled twice, and nothing depends on kills or ranks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mstar.cli import main
from mstar.rollout.fingerprint import fingerprint
from tests.benchmarks.cases import ROOT, command, report, script
from tests.benchmarks.stubs import Killed, Scripted
from tests.policies import policy


def test_a_killed_run_samples_only_what_is_missing(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    main(["validate", *command("mathvista", whole, script("mathvista")), "--data.chunk=4"])
    everything = list(Scripted.asked)
    assert len(everything) == 12
    for groups in (3, 9):  # within the first chunk's greedy responses, then within the second chunk
        flags = command("mathvista", killed, script("mathvista"), kill_after=12 + groups)
        with pytest.raises(Killed):
            main(["validate", *flags, "--data.chunk=4"])
    main(["validate", *command("mathvista", killed, script("mathvista")), "--data.chunk=4"])
    assert Scripted.asked[12:] == everything
    first, second = report(whole), report(killed)
    for found in (first, second):
        found["benchmarks"]["mathvista"].pop("seconds")
    assert first == second


def test_a_rerun_samples_nothing_but_judges_anew(tmp_path: Path) -> None:
    main(["validate", *command("mathvista", tmp_path, script("mathvista"))])
    asked, before = len(Scripted.asked), report(tmp_path)
    main(["validate", *command("mathvista", tmp_path, script("mathvista"))])
    assert len(Scripted.asked) == asked and report(tmp_path) == before
    verifier = "--reward.verifier=tests.house.stubs.even_length"
    main(["validate", *command("mathvista", tmp_path, script("mathvista")), verifier])
    assert len(Scripted.asked) == asked
    rows = report(tmp_path)["benchmarks"]["mathvista"]["rows"]
    lengths = [len(texts[0]) for texts in script("mathvista").values()]
    assert rows["all"]["greedy"]["accuracy"]["value"] == sum(length % 2 == 0 for length in lengths) / 6
    assert rows != before["benchmarks"]["mathvista"]["rows"]


def test_responses_of_another_policy_are_refused(tmp_path: Path) -> None:
    main(["validate", *command("mathvista", tmp_path, script("mathvista"))])
    with pytest.raises(
        RuntimeError, match=r"policy was '.*', is now '.*'. Restore the earlier setting, or start afresh"
    ):
        main(["validate", *command("mathvista", tmp_path, script("mathvista")), "--model.backbone.seed=1"])


def test_a_checkpoint_is_what_is_measured(tmp_path: Path) -> None:
    warmup = ROOT / "tests" / "house" / "warmup.yaml"
    fit = f"--trainer.default_root_dir={tmp_path / 'fit'}"
    main(["fit", "-c", str(warmup), fit, "--model.backbone.num_layers=2"])
    checkpoint = tmp_path / "fit" / "checkpoints" / "last.ckpt"
    main(["validate", *command("ai2d", tmp_path, script("ai2d")), f"--ckpt_path={checkpoint}"])
    settings = report(tmp_path)["settings"]
    assert settings["ckpt_path"] == str(checkpoint) and settings["policy"] != fingerprint(policy().model)  # type: ignore[arg-type]


def test_two_ranks_report_what_one_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Question 0 is right at first and wrong when rotated, 1 is wrong, 2 right.

    Four prompts in chunks of three: ranks have different shares, one has none of the last chunk and none of some
    sub-tasks, and a question's rotations are on both.
    """
    texts = {"0": ["Answer: dry"], "1000000": ["Answer: wet"], "1": ["Answer: A"], "2": ["Answer: Cid"]}
    texts = {prompt: [answer, *["Answer: A", "Answer: B"] * 2] for prompt, (answer,) in texts.items()}
    one, two = tmp_path / "one", tmp_path / "two"
    flags = ["--data.benchmarks.mmbench_r.layout.rotations=true", "--data.chunk=3"]
    main(["validate", *command("mmbench_r", one, texts), *flags])
    assert "circular" in capsys.readouterr().out
    rows = report(one)["benchmarks"]["mmbench_r"]["rows"]
    measured = {kind: (row["greedy"]["accuracy"], row["greedy"]["circular"]) for kind, row in rows.items()}
    assert {kind: (a["value"], a["n"], c["value"], c["n"]) for kind, (a, c) in measured.items()} == {
        "all": (0.5, 4, pytest.approx(1 / 3), 3), "AR": (0.5, 2, 0, 1), "LR": (0, 1, 0, 1), "RR": (1, 1, 1, 1),
    }  # fmt: skip
    flags += ["--trainer.devices=2", "--trainer.strategy=ddp"]
    ddp = [sys.executable, "-m", "mstar", "validate", *command("mmbench_r", two, texts), *flags]
    done = subprocess.run(ddp, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("━┓") == 1
    assert report(two)["benchmarks"]["mmbench_r"]["rows"] == rows
    files = [pq.read_table(folder / "run" / "mmbench_r-sampled.parquet").to_pylist() for folder in (one, two)]
    assert [(row["prompt_id"], row["index"], row["verdict"]) for row in files[1]] == sorted(
        (row["prompt_id"], row["index"], row["verdict"]) for row in files[0]
    )


def test_training_on_a_benchmark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only measures: use mstar validate or mstar test"):
        main(["fit", *command("ai2d", tmp_path, script("ai2d")), "--trainer.max_epochs=1"])


def test_ranking_by_the_answer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'outcome', which knows the answer"):
        main(["validate", *command("ai2d", tmp_path, script("ai2d")), "--trainer.callbacks.by=outcome"])
