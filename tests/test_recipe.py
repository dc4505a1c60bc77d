from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mstar.recipe import Recipe, RecipeError, Stage, StageError, read_recipe, run_recipe
from mstar.recipe.plan import build_argv
from mstar.recipe.record import differences, plan_stage


@pytest.fixture(autouse=True)
def _fake_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stages, which are processes of their own, find ``python -m fake_stage``."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def write(path: Path, *stages: dict[str, Any], **settings: Any) -> Path:
    path.write_text(yaml.safe_dump({**settings, "stages": list(stages)}))
    return path


def fake(name: str, after: list[str] | None = None, **args: Any) -> dict[str, Any]:
    stage = {"name": name, "module": "fake_stage", "args": {"name": name, **args}}
    return stage if after is None else {**stage, "after": after}


def begun(out: Path) -> list[str]:
    return (out / "begun.txt").read_text().split()


def done(out: Path, stage: str) -> Any:
    return json.loads((out / stage / "done.json").read_text())


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def start_runner(recipe: Path, out: Path) -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-m", "mstar", "run", str(recipe), "--out", str(out)],
        cwd=root,
        stdout=subprocess.DEVNULL,
        # Shells start jobs in the background with Ctrl-C ignored, and children inherit it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


class TestReading:
    def test_a_stage_comes_after_the_one_above_unless_it_says_so(self, tmp_path: Path) -> None:
        recipe = read_recipe(
            write(tmp_path / "r.yaml", fake("a"), fake("b"), fake("c", after=["a"]), fake("d", after=[]))
        )
        assert [stage.after for stage in recipe.stages] == [(), ("a",), ("a",), ()]

    @pytest.mark.parametrize(
        ("stages", "message"),
        [
            ([], "at least one"),
            (["a"], "stage 1: a stage is a mapping with a `name`"),
            ([{"name": "a/b", "command": "fit"}], "becomes a folder"),
            ([{"name": "a", "comand": "fit"}], "stage a: unknown key comand. Did you mean command?"),
            ([{"name": "a", "command": "fitt"}], "'fitt'; give one of fit"),
            ([{"name": "a"}], "either `command`"),
            ([{"name": "a", "command": "fit", "module": "x"}], "one of the two"),
            ([{"name": "a", "module": "x", "config": ["r.yaml"]}], "takes no `config`"),
            ([{"name": "a", "command": "fit", "config": ["q.yaml"]}], r"no config .*q.yaml.*Did you mean r.yaml"),
            ([{"name": "a", "command": "fit", "config": "r.yaml"}], r"give a list, such as \[r.yaml\]"),
            ([{"name": "a", "command": "fit", "args": {"x": "{otu}"}}], "args hold {otu}"),
            ([{"name": "a", "command": "fit", "threads": 0}], "stage a: threads is 0"),
            ([fake("a"), fake("a")], "two stages of this name"),
            ([fake("base"), fake("b", after=["bass"])], "after bass, which is no stage. Did you mean base"),
            ([fake("a", after=["b"]), fake("b")], r"wait for each other: a \(after b\), b \(after a\)"),
        ],
    )
    def test_what_is_wrong_is_named_with_the_way_out(self, tmp_path: Path, stages: list[Any], message: str) -> None:
        with pytest.raises(RecipeError, match=message) as error:
            read_recipe(write(tmp_path / "r.yaml", *stages))
        assert "r.yaml" in str(error.value)

    def test_wrong_files_are_named(self, tmp_path: Path) -> None:
        (tmp_path / "broken.yaml").write_text("stages: [")
        with pytest.raises(RecipeError, match=r"broken\.yaml is not valid YAML"):
            read_recipe(tmp_path / "broken.yaml")
        with pytest.raises(RecipeError, match=r"Did you mean broken\.yaml"):
            read_recipe(tmp_path / "borken.yaml")
        with pytest.raises(RecipeError, match="unknown key job"):
            read_recipe(write(tmp_path / "r.yaml", fake("a"), job=2))
        with pytest.raises(RecipeError, match="jobs is 0"):
            read_recipe(write(tmp_path / "r.yaml", fake("a"), jobs=0))


class TestPlanning:
    def test_a_command_is_an_ordinary_command_line(self, tmp_path: Path) -> None:
        (tmp_path / "recipes").mkdir()
        (tmp_path / "a.yaml").touch()
        args = {
            "model.path": "{out}/base",
            "trainer.max_steps": 4,
            "x": [1, "{seed}"],
            "y": None,
            "z": True,
            "lr": 1e-5,
        }
        stage = Stage("warm", command="fit", config=("../a.yaml",), args=args)
        argv = build_argv(Recipe(tmp_path / "recipes" / "r.yaml", (stage,)), stage, out="runs/x", seed=7)
        assert argv[1:] == [
            *("-m", "mstar", "fit", f"--config={tmp_path}/a.yaml", "--seed_everything=7"),
            *("--trainer.default_root_dir=runs/x/warm", "--model.path=runs/x/base", "--trainer.max_steps=4"),
            *('--x=[1, "7"]', "--y=null", "--z=true", "--lr=1e-05"),
        ]

    def test_a_module_gets_the_run_folder(self, tmp_path: Path) -> None:
        stage = Stage("table", module="some.module", args={"stage": "{stage}"})
        argv = build_argv(Recipe(tmp_path / "r.yaml", (stage,)), stage, out="runs/x", seed=7)
        assert argv[1:] == ["-m", "some.module", "--out=runs/x", "--stage=table"]

    def test_a_plan_changes_with_what_a_config_says_not_with_how(self, tmp_path: Path) -> None:
        stage = Stage("a", command="fit", config=("a.yaml",), args={"path": "{out}/x"}, threads=1)
        recipe = Recipe(tmp_path / "r.yaml", (stage,))
        plans = []
        for text in ("model: {lr: 1, n: 2}", "# why\nmodel:\n  n: 2\n  lr: 1\n", "model: {lr: 3}"):
            (tmp_path / "a.yaml").write_text(text)
            plans.append(plan_stage(recipe, stage, seed=0))
        assert differences(plans[0], plans[1]) == []
        assert differences(plans[0], plans[2]) == [
            "config a.yaml model.lr: 1 → 3",
            "config a.yaml model.n: 2 → (absent)",
        ]
        assert differences(plans[2], plan_stage(recipe, stage, seed=1)) == ["seed: 0 → 1"]


class TestRunning:
    def test_stages_run_in_order_and_once(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "out"
        recipe = write(
            tmp_path / "r.yaml", fake("a", after=["b"], lines=2), fake("b", after=[]), fake("c", after=["a"])
        )
        run_recipe(recipe, out)
        assert begun(out) == ["b", "a", "c"]
        assert "a | line 1 of a\n" in capsys.readouterr().out
        assert "line 1 of a" in (out / "a" / "log.txt").read_text()
        assert "fake_stage --out=" in (out / "a" / "log.txt").read_text().splitlines()[1]
        marker = done(out, "a")
        assert marker["seconds"] > 0
        assert marker["cpu_seconds"] > 0
        assert marker["after"] == {"b": done(out, "b")["run"]}

        run_recipe(recipe, out)
        assert begun(out) == ["b", "a", "c"]
        assert "a | done before" in capsys.readouterr().out

    def test_independent_stages_overlap(self, tmp_path: Path) -> None:
        stages = fake("a", wait_for="b.here"), fake("b", after=[], wait_for="a.here"), fake("c", after=["a", "b"])
        run_recipe(write(tmp_path / "r.yaml", *stages, jobs=2), tmp_path)
        assert begun(tmp_path)[-1] == "c"

    def test_other_settings_are_refused_not_mixed(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        run_recipe(write(tmp_path / "r.yaml", fake("a", lines=1), fake("b")), out)
        changed = write(tmp_path / "r.yaml", fake("a", lines=2), fake("b"))
        with pytest.raises(
            RecipeError, match=r"stage a was done in .* with other settings:\n    args lines: 1 → 2"
        ) as error:
            run_recipe(changed, out)
        assert str(error.value).endswith(f"rm -r {out}/a {out}/b")
        assert begun(out) == ["a", "b"]

    def test_an_unfinished_stage_is_not_gone_on_with_in_another_way(self, tmp_path: Path) -> None:
        with pytest.raises(StageError):
            run_recipe(write(tmp_path / "r.yaml", fake("a", exit=3)), tmp_path)
        with pytest.raises(RecipeError, match=r"stage a was begun in .*\n    args exit: 3 → 0"):
            run_recipe(write(tmp_path / "r.yaml", fake("a", exit=0)), tmp_path)

    def test_a_stage_is_not_kept_on_top_of_another_run_of_the_one_before(self, tmp_path: Path) -> None:
        recipe = write(tmp_path / "r.yaml", fake("a"), fake("b"))
        run_recipe(recipe, tmp_path)
        (tmp_path / "a" / "done.json").unlink()
        with pytest.raises(RecipeError, match=r"stage b in .* was built on a run of a that is no longer there"):
            run_recipe(recipe, tmp_path)
        run_recipe(recipe, tmp_path, only=["a"])
        with pytest.raises(RecipeError, match=f"rm -r {tmp_path}/b"):
            run_recipe(recipe, tmp_path)

    def test_only_runs_what_is_named(self, tmp_path: Path) -> None:
        recipe = write(tmp_path / "r.yaml", fake("a"), fake("b"), fake("c"))
        with pytest.raises(RecipeError, match=r"comes after a, which is not done in .*. Add --only a"):
            run_recipe(recipe, tmp_path, only=["b"])
        with pytest.raises(RecipeError, match=r"--only d: .* it has a, b, c"):
            run_recipe(recipe, tmp_path, only=["d"])
        run_recipe(recipe, tmp_path, only=["a", "b"])
        assert begun(tmp_path) == ["a", "b"]

    def test_dry_run_prints_and_leaves_no_trace(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        run_recipe(write(tmp_path / "r.yaml", fake("a"), fake("b")), tmp_path / "out", dry_run=True)
        assert "b (after a)\n    OMP_NUM_THREADS=1 " in capsys.readouterr().out
        assert not (tmp_path / "out").exists()


class TestFailing:
    def test_a_failure_says_where_and_how_to_go_on(self, tmp_path: Path) -> None:
        stages = fake("a", lines=40, exit=3, wait_for="b.here"), fake("b", after=[], wait_for="never", child=60)
        recipe = write(tmp_path / "r.yaml", *stages, jobs=2)
        with pytest.raises(StageError) as error:
            run_recipe(recipe, tmp_path)
        message = str(error.value)
        assert f"stage a exited with 3. The end of {tmp_path}/a/log.txt" in message
        assert "line 39 of a" in message
        assert "line 9 of a" not in message
        assert f"OMP_NUM_THREADS=1 {sys.executable} -m fake_stage --out={tmp_path}" in message
        assert not (tmp_path / "b" / "done.json").exists()
        assert not runs(int((tmp_path / "b.child").read_text()))

    def test_a_killed_stage_is_named_with_its_signal(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "killer.py").write_text("import os; os.kill(os.getpid(), 9)")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        with pytest.raises(StageError, match="stage a was killed by SIGKILL"):
            run_recipe(write(tmp_path / "r.yaml", {"name": "a", "module": "killer"}), tmp_path)

    def test_a_killed_runner_leaves_nothing_running_and_a_rerun_finishes(self, tmp_path: Path) -> None:
        recipe = write(tmp_path / "r.yaml", fake("a"), fake("b", wait_for="go", child=60))
        runner = start_runner(recipe, tmp_path)
        wait_until(lambda: (tmp_path / "b.here").exists())
        child = int((tmp_path / "b.child").read_text())
        assert runs(child)
        runner.kill()
        runner.wait()
        wait_until(lambda: not runs(child))

        (tmp_path / "go").touch()
        run_recipe(recipe, tmp_path)
        assert begun(tmp_path) == ["a", "b", "b"]
        assert done(tmp_path, "b")["attempts"] == 2
        first, second = json.loads((tmp_path / "b" / "attempts.json").read_text())
        assert first["exit"] is None
        assert second["exit"] == 0
        assert done(tmp_path, "b")["seconds"] == pytest.approx(first["seconds"] + second["seconds"], abs=0.01)

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)])
    def test_a_stopped_runner_stops_its_stages_first(self, tmp_path: Path, number: int, code: int) -> None:
        runner = start_runner(write(tmp_path / "r.yaml", fake("a", wait_for="never", child=60)), tmp_path)
        wait_until(lambda: (tmp_path / "a.here").exists())
        runner.send_signal(number)
        assert runner.wait() == code
        assert not runs(int((tmp_path / "a.child").read_text()))
        assert not (tmp_path / "a" / "done.json").exists()

    def test_two_runners_do_not_share_a_folder(self, tmp_path: Path) -> None:
        recipe = write(tmp_path / "r.yaml", fake("a", wait_for="go"))
        runner = start_runner(recipe, tmp_path)
        wait_until(lambda: (tmp_path / "a.here").exists())
        with pytest.raises(RecipeError, match="another mstar run is at work"):
            run_recipe(recipe, tmp_path)
        (tmp_path / "go").touch()
        assert runner.wait() == 0
