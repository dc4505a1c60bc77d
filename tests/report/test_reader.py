"""What the report says of a run is what its store and its logs say."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from mstar.__main__ import main
from mstar.dynamics import summarize, wilson_interval
from mstar.report.find import find_run
from mstar.report.groups import ROWS, read_groups
from mstar.report.logged import read_logged
from mstar.report.site import replacing_folder, write_rollouts
from mstar.report.story import Story
from mstar.rollout.retention import KeepKept, KeepLast
from mstar.rollout.store import Stage, iteration_folder
from tests.report.runs import (
    EVIL,
    Colours,
    colour,
    make_recipe,
    make_run,
    responses,
    seal,
    without_verdicts,
    write_config,
    write_events,
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def told(run: Path, out: Path) -> Story:
    out.mkdir()
    return write_rollouts([find_run(run)], out)[0]


def data(script: Path) -> Any:
    """What a script of data hands over: its last argument."""
    text = script.read_text(encoding="ascii")
    values = json.loads(f"[{text[text.index('(') + 1 : text.rindex(')')]}]")
    return values[-1]


def groups_in(out: Path) -> list[dict[str, Any]]:
    return [group for page in sorted((out / "data").glob("page-*.js")) for group in data(page)]


def test_counts_are_the_stores(run: Path, tmp_path: Path) -> None:
    story = told(run, tmp_path / "out")
    for each in story.iterations:
        counts = Stage(iteration_folder(run, each.number)).manifest["counts"]
        found = (each.num_prompts, each.num_dropped, each.num_rollouts, each.num_correct, each.num_kept)
        assert found == tuple(counts[name] for name in ("prompts", "dropped", "rollouts", "correct", "kept"))
        assert sum(each.fates.values()) == each.num_rollouts
        assert sum(each.reasons.values()) == each.num_rollouts - each.num_kept
        assert tuple(map(sum, zip(*each.kinds.values(), strict=True))) == (24, each.num_correct, each.num_kept)
    assert story.fates == {"kept": 18, "right, not kept": 18, "wrong": 18, "no answer": 18}
    assert story.dropped == ((1, "p/bad", f"row 9: {EVIL}"),)
    assert len(groups_in(tmp_path / "out")) == 18
    assert sum(len(group["responses"]) for group in groups_in(tmp_path / "out")) == 72


def test_measures_are_those_of_the_monitor(run: Path, tmp_path: Path) -> None:
    story, source = told(run, tmp_path / "out"), Colours()
    for each in story.iterations:
        expected = summarize([responses(source[i], each.number) for i in range(6)], (1, 2, 4, 8), "process")
        assert each.measures == pytest.approx({k: v for k, v in expected.items() if "pass@" in k})


def test_every_response_is_there_with_its_steps_and_picture(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told(run, out)
    group = next(group for group in groups_in(out) if group["id"] == "p/4")
    assert (group["reference"], group["kind"], group["missing"]) == ("colour 4", "sum", "")
    assert Image.open(out / "images" / group["images"][0]).getpixel((0, 0)) == colour(4)
    first, second = group["responses"][:2]
    assert (first["aligned"], first["outcome"], first["kept"], first["tokens"]) == (False, "correct", True, 3)
    assert second["steps"] == ["Look at p/4.", "\n\nIt is bright.", "\n\nAnswer: 1"]
    assert (second["scores"], second["why"]) == ([0.1, 0.5, 0.9], "not among the top 1")
    assert len(list((out / "images").iterdir())) == 6  # of 18 groups


def test_index_says_of_each_response_what_its_page_says(run: Path, tmp_path: Path) -> None:
    told(run, tmp_path / "out")
    index, codes = data(tmp_path / "out" / "data" / "index.js"), []
    for group in groups_in(tmp_path / "out"):
        for response in group["responses"]:
            decision = (True, False, None).index(response["kept"])
            codes.append(chr(97 + index["outcomes"].index(response["outcome"]) * 3 + decision))
    assert index["codes"] == "".join(codes)
    assert [entry[0] for entry in index["prompts"]] == [f"p/{i}" for i in range(6)]
    assert index["groups"]["iteration"] == [0] * 6 + [1] * 6 + [2] * 6
    assert index["groups"]["first"] == list(range(0, 72, 4))


def test_nothing_of_a_run_is_markup(report: Path) -> None:
    for file in report.rglob("*"):
        if file.suffix in (".html", ".js", ".svg"):
            text = file.read_text(encoding="utf-8")
            assert "owned'</script>" not in text and "<img src=x" not in text, file
        if file.parent.name == "data":
            assert file.read_bytes().isascii() and not set(b"<>&") & set(file.read_bytes()), file
    assert next(g for g in groups_in(report) if g["id"] == "p/1")["reference"] == EVIL


def test_accuracy_has_the_interval_of_its_prompts(run: Path, tmp_path: Path) -> None:
    validation = told(run, tmp_path / "out").validations[1]
    assert (validation.iteration, validation.step) == (1, 19)
    assert (validation.accuracy.low, validation.accuracy.high) == pytest.approx(wilson_interval(25, 50), abs=1e-6)


def test_recipe_is_told_with_its_warmup_control_and_tests(report: Path, tmp_path: Path) -> None:
    story = told(make_recipe(tmp_path / "recipe"), tmp_path / "out")
    assert story.warmup is not None and story.warmup.best.accuracy.value == pytest.approx(0.4)
    assert [(fit.name, len(fit.validations)) for fit in story.controls] == [("control", 2)]
    assert list(story.tests["test"]) == ["warmup", "control", "evolved"]
    page = (report / "index.html").read_text()
    assert "<b>40.0</b> to <b>60.0 %</b>; control, from the same start, reached <b>42.0 %</b>" in page
    assert "+30.0 over warmup" in page


def test_interrupted_runs_logs_are_put_together(tmp_path: Path) -> None:
    write_events(tmp_path, {"val/accuracy": [0.1, 0.2]})
    write_events(tmp_path, {"val/accuracy": [0.25, 0.3]}, start=1)
    values = [(entry.iteration, entry.value) for entry in read_logged(tmp_path)["val/accuracy"]]
    assert values == [(0, pytest.approx(0.1)), (1, pytest.approx(0.25)), (2, pytest.approx(0.3))]


def test_csv_logs_are_read_where_there_are_no_others(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,step,train/loss,val/accuracy\n0,4,0.5,\n0,9,,0.25\n1,19,,0.5\n")
    logged = read_logged(tmp_path)
    assert [(e.iteration, e.step, e.value) for e in logged["val/accuracy"]] == [(0, 9, 0.25), (1, 19, 0.5)]


def test_run_that_is_not_finished_is_shown_so_far(run: Path, tmp_path: Path) -> None:
    stage = Stage(iteration_folder(run, 3))
    stage.folder.mkdir()
    with stage.part(0, {"policy": "abc"}) as part:
        part.append(without_verdicts(responses(Colours()[2], 3)))
    story = told(run, tmp_path / "out")
    assert story.iterations[3].state == "open" and story.iterations[3].fates["not judged"] == 4
    assert "Iteration 3 is not finished: its responses are shown without rewards and verdicts." in story.notes
    last = groups_in(tmp_path / "out")[-1]
    assert (last["question"], last["responses"][0]["kept"]) == ("Which colour is number 2?", None)


@pytest.mark.parametrize("retention", [KeepKept(), KeepLast(1)])
def test_pruned_iterations_keep_their_counts(run: Path, tmp_path: Path, retention: Any) -> None:
    whole = told(run, tmp_path / "whole")
    retention.prune(run, 2)
    story = told(run, tmp_path / "out")
    for before, after in zip(whole.iterations, story.iterations, strict=True):
        assert (after.num_rollouts, after.num_correct, after.num_kept) == (24, before.num_correct, before.num_kept)
        assert sum(after.fates.values()) == 24
    assert story.iterations[0].state == "pruned"
    assert "Iteration 0 was pruned (data.retention): its counts are the manifest's." in story.notes


def test_data_that_have_changed_are_said_to(run: Path, tmp_path: Path) -> None:
    write_config(run, offset=9)
    notes = told(run, tmp_path / "out").notes
    assert any("iteration 2 may be others than were asked" in note for note in notes)
    write_config(run, num=4)
    notes = told(run, tmp_path / "less").notes
    assert "2 prompts are shown without picture and reference answer: it is not in its source any more." in notes
    group = next(group for group in groups_in(tmp_path / "less") if group["id"] == "p/5")
    assert (group["images"], group["reference"], group["question"]) == ([], None, "Which colour is number 5?")


def test_prompts_that_cannot_be_opened_are_left_out_with_the_reason(run: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((run / "logs" / "config.yaml").read_text())
    config["data"]["init_args"]["prompts"]["init_args"]["source"]["class_path"] = "gone.Source"
    (run / "logs" / "config.yaml").write_text(yaml.safe_dump(config))
    story = told(run, tmp_path / "out")
    assert len(story.notes) == 1 and story.notes[0].startswith("The run's prompts cannot be opened (")
    assert story.iterations[0].num_rollouts == 24


def test_two_runs_share_the_prompts_that_are_the_same(run: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", iterations=1)
    (tmp_path / "out").mkdir()
    stories = write_rollouts([find_run(run), find_run(other)], tmp_path / "out")
    index = data(tmp_path / "out" / "data" / "index.js")
    assert [story.name for story in stories] == ["run", "other"]
    assert len(index["prompts"]) == 6 and index["groups"]["run"] == [0] * 18 + [1] * 6


def test_figures_for_papers_are_png_and_svg(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["report", str(run), "--figures"])
    figures = {path.name for path in (run / "report" / "figures").iterdir()}
    charts = {"accuracy", "exploration", "exploitation", "funnel", "temperature", "curves", "time"}
    assert figures == {f"{name}.{kind}" for name in charts for kind in ("png", "svg")}
    assert capsys.readouterr().out.splitlines()[-1] == f"open {run / 'report' / 'index.html'}"
    main(["rollouts", "ls", str(run)])
    assert "report" not in capsys.readouterr().out  # nothing in it is taken for a stage


def test_report_is_replaced_whole_or_not_at_all(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def write(text: str, fails: bool = False) -> None:
        with replacing_folder(out) as folder:
            (folder / "report.json").write_text(text)
            if fails:
                raise KeyboardInterrupt

    write("old")
    with pytest.raises(KeyboardInterrupt):
        write("half", fails=True)
    assert (out / "report.json").read_text() == "old"
    write("new")
    assert (out / "report.json").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"run", "out"}


def test_changed_store_is_not_shown(run: Path, tmp_path: Path) -> None:
    file = iteration_folder(run, 1) / "rollouts.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(SystemExit, match=r"^mstar report: .*is not what was sealed"):
        main(["report", str(run), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_reported_is_said(run: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").touch()
    make_run(tmp_path / "several" / "a", 1, 1)
    make_run(tmp_path / "several" / "b", 1, 1)
    for words, message in (
        (["none"], "none holds no iterations"),
        (["several"], f"say which: mstar report {tmp_path}/several/a or mstar report {tmp_path}/several/b"),
        (["run", "--out", "work"], "work exists and is no report; remove it, or give another folder"),
    ):
        with pytest.raises(SystemExit, match=f"^mstar report: .*{message}"):
            main(["report", *(word if word.startswith("--") else str(tmp_path / word) for word in words)])


def test_groups_pass_one_at_a_time(tmp_path: Path) -> None:
    """Of an iteration never more is in memory than a batch of rows and a page."""
    stage = seal(tmp_path, 0, [responses(Colours(600, evil=False)[i], 0) for i in range(600)])
    first = list(islice(read_groups(stage), 3))
    assert [asked.group.prompt.id for asked in first] == ["p/0", "p/1", "p/2"] and 2 * ROWS < 600 * 4
    every = list(read_groups(stage))
    assert len(every) == 600 and all(len(asked.group) == 4 for asked in every)
