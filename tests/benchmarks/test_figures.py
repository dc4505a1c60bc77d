"""Every config on its fixture gives the numbers worked out by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mstar.cli import main
from mstar.dynamics import wilson_interval
from mstar.modules.process_reward import ProcessRewardModule
from mstar.modules.step_heads import LikelihoodHead
from mstar.rollout.fingerprint import fingerprint
from tests.benchmarks import published
from tests.benchmarks.cases import CASES, CONFIGS, OVERLAY, ROOT, command, mean, report, says, script
from tests.benchmarks.stubs import Scripted
from tests.policies import backbone, policy


def documented(kind: str) -> list[str]:
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    return re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)


@pytest.mark.parametrize("name", CASES)
def test_every_config_gives_the_numbers_worked_out_by_hand(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["validate", *command(name, tmp_path, script(name))])
    rows = report(tmp_path)["benchmarks"][name]["rows"]
    wanted = {"all": list(range(len(CASES[name].answers))), **CASES[name].kinds}
    assert rows.keys() == wanted.keys()
    table = capsys.readouterr().out
    for kind, prompts in wanted.items():
        greedy, sampled = rows[kind]["greedy"], rows[kind]["sampled"]
        found = [greedy["accuracy"], sampled["pass@2"], sampled["majority_vote"], greedy["no_answer"]]
        for column, measured in enumerate(found):
            assert (measured["n"], measured["value"]) == (len(prompts), pytest.approx(mean(prompts, column)))
            interval = wilson_interval(measured["value"] * len(prompts), len(prompts))
            assert (measured["low"], measured["high"]) == pytest.approx(interval)
        texts = [script(name)[CASES[name].answers[prompt][0]][0] for prompt in prompts]
        assert greedy["tokens"]["value"] == pytest.approx(sum(len(text.split()) for text in texts) / len(texts))
        line = next(line for line in table.splitlines() if kind in line)
        assert f" {100 * mean(prompts, 0):.1f} [" in line and f" {100 * mean(prompts, 1):.1f} [" in line
    assert table.count("━┓") == 1 and "Validate metric" not in table


def test_the_held_out_questions_are_reported_by_part_and_source(tmp_path: Path) -> None:
    """Rows 0, 2, 4 and 6 are of TabMWP and answered right, the others of IconQA and answered wrong."""
    data = tmp_path / "data"
    data.mkdir()
    file = published.mathv360k(data)
    texts = {str(i): ["Answer: " + ("A" if i % 2 else str(i // 2))] for i in range(8)}
    parts = [f"--data.benchmarks.mathv360k_{part}" for part in ("test", "validation")]
    main([
        "validate", "-c", str(CONFIGS / "mathv360k.yaml"), "-c", str(OVERLAY), "--data.sampling=null", says(texts),
        *(f"{part}.rows.path={file}" for part in parts),
        *(f"{part}.rows.image_root={data / 'data_images'}" for part in parts),
        *(f"{part}.part.num_test=3" for part in parts),
        *(f"{part}.part.num_validation=1" for part in parts),
        f"--trainer.default_root_dir={tmp_path / 'run'}",
    ])  # fmt: skip
    found = report(tmp_path)
    accuracies = {
        name: {kind: (row["greedy"]["accuracy"]["value"], row["greedy"]["accuracy"]["n"]) for kind, row in rows.items()}
        for name, rows in ((name, benchmark["rows"]) for name, benchmark in found["benchmarks"].items())
    }
    assert accuracies == {
        "mathv360k_test": {"all": (pytest.approx(1 / 3), 3), "TabMWP": (1, 1), "IconQA": (0, 2)},
        "mathv360k_validation": {"all": (1, 1), "TabMWP": (1, 1)},
    }
    assert found["mean"] == pytest.approx(2 / 3)
    assert {temperature for _, temperature in Scripted.asked} == {0.0}


def test_the_tiny_policy_itself_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["test", *command("mathvista", tmp_path, None)])
    found = report(tmp_path)
    whole = found["benchmarks"]["mathvista"]["rows"]["all"]
    assert whole["greedy"]["accuracy"]["n"] == 6 and 0 < whole["greedy"]["tokens"]["value"] <= 8
    assert found["settings"]["model"] == ""
    assert found["settings"]["policy"] == fingerprint(policy().model)  # type: ignore[arg-type]
    assert found["benchmarks"]["mathvista"]["seconds"] > 0
    assert "mathvista" in capsys.readouterr().out
    greedy = pq.read_table(tmp_path / "run" / "mathvista-greedy.parquet").to_pylist()
    assert sorted(row["prompt_id"] for row in greedy) == list("123456") and all(row["verdict"] for row in greedy)
    assert len(pq.read_table(tmp_path / "run" / "mathvista-sampled.parquet")) == 6 * 4


def test_a_reward_ranks_and_weighs(tmp_path: Path) -> None:
    texts = {i: ["Answer: -1"] * 5 for i in "123456"}
    # Brevity is 1 / words. Prompt 3: the two shortest of four are wrong and outweigh the others, 1/2 + 1/2 > 1/3 + 1/4.
    texts["3"] = ["Answer: 4", "So Answer: 4", "Well, so Answer: 4", "Answer: 5", "Answer: 5"]
    # Prompt 4: the shortest is right, and outweighs the three that are wrong, 1/2 > 1/7 + 1/7 + 1/7.
    texts["4"] = ["Answer: 1", "Answer: 0.25", *["One two three four five Answer: 1"] * 3]
    reward = {
        "class_path": "mstar.rewards.Product",
        "init_args": {
            "of": [{"class_path": "mstar.rewards.OutcomeReward"}, {"class_path": "tests.benchmarks.stubs.Brevity"}]
        },
    }
    main([
        "validate", *command("mathvista", tmp_path, texts), f"--reward={json.dumps(reward)}",
        "--trainer.callbacks.by=brevity",
    ])  # fmt: skip
    sampled = {kind: row["sampled"] for kind, row in report(tmp_path)["benchmarks"]["mathvista"]["rows"].items()}
    names = ("pass@1", "pass@2", "reward_pass@1", "reward_pass@2", "majority_vote", "weighted_vote")
    assert [sampled["MWP"][name]["value"] for name in names] == pytest.approx([1 / 2, 5 / 6, 0, 0, 1, 0])
    # FQA are prompts 1, all wrong, and 4.
    assert [sampled["FQA"][name]["value"] for name in names] == pytest.approx([1 / 8, 1 / 4, 1 / 2, 1 / 2, 0, 1 / 2])


def test_the_process_reward_of_the_documentation_ranks(tmp_path: Path) -> None:
    model = ProcessRewardModule(backbone(), LikelihoodHead(), separator="\n")
    model.configure_model()
    model.export(tmp_path / "prm", model.state_dict())
    (tmp_path / "prm.yaml").write_text(documented("yaml")[0].replace("runs/prm/model", str(tmp_path / "prm")))
    overlay = ["-c", str(tmp_path / "prm.yaml"), "--trainer.callbacks.ks=[1,2]"]
    main(["validate", *command("mathvista", tmp_path, script("mathvista")), *overlay])
    rows = pq.read_table(tmp_path / "run" / "mathvista-sampled.parquet").to_pylist()
    groups = [[row for row in rows if row["prompt_id"] == prompt] for prompt in "123456"]
    assert len({row["rewards"]["process"] for row in rows}) > 6
    firsts = [max(group, key=lambda row: (row["rewards"]["process"], -row["index"])) for group in groups]
    measured = report(tmp_path)["benchmarks"]["mathvista"]["rows"]["all"]["sampled"]["reward_pass@1"]
    assert measured["value"] == pytest.approx(sum(row["verdict"] == "correct" for row in firsts) / 6)


def test_every_config_is_measured_here() -> None:
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == {*CASES, "mathv360k"}


def test_the_layout_of_the_documentation_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, settings = documented("python")[-1], documented("yaml")[-1]
    (tmp_path / "riddles.py").write_text(code)
    settings = settings.replace("data/riddles.jsonl", str(tmp_path / "riddles.jsonl"))
    (tmp_path / "riddles.yaml").write_text(settings.replace(" configs/", f" {ROOT}/configs/"))
    published.picture().save(tmp_path / "a.png")
    rows = [{"id": "x", "picture": "a.png", "riddle": "What has keys?", "solution": "piano"}]
    (tmp_path / "riddles.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.syspath_prepend(str(tmp_path))
    main([
        "validate", "-c", str(CONFIGS / "ai2d.yaml"), "-c", str(tmp_path / "riddles.yaml"), "-c", str(OVERLAY),
        "--data.sampling=null", says({"x": ["Answer: piano"]}), f"--trainer.default_root_dir={tmp_path / 'run'}",
    ])  # fmt: skip
    assert report(tmp_path)["benchmarks"].keys() == {"riddles"}
    assert report(tmp_path)["mean"] == 1
