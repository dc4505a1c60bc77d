"""`mstar doctor` says what is there, what is missing, and ends with an exit code that says whether the base works."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mstar.__main__ import main
from mstar.commands import doctor


def test_a_machine_that_runs_the_tests_works(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["works"] is True
    about = {(finding["about"], finding["name"]): finding for finding in report["findings"]}
    assert about["package", "torch"]["says"].startswith("2.")
    assert {
        ("cpu", "products"),
        ("memory", "main"),
        ("disk", "runs"),
        ("extra", "vllm"),
        ("import", "lightning"),
    } <= set(about)
    assert all(finding["state"] == "ok" for (kind, _), finding in about.items() if kind != "extra")


def test_a_base_that_does_not_work_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "requirements", lambda: [Requirement("torch>=99"), Requirement("nosuchpackage>=1")])
    with pytest.raises(SystemExit) as end:
        main(["doctor"])
    assert end.value.code == 1
    page = capsys.readouterr().out
    assert "needed is >=99; pip install 'torch>=99'" in page
    assert "nosuchpackage" in page and "is not there; pip install 'nosuchpackage>=1'" in page
    assert page.endswith("The base does not work: see what is missing or broken above.\n")


def test_an_extra_that_is_missing_names_its_way_out_and_breaks_nothing() -> None:
    needed = [Requirement('nosuchpackage>=1; extra == "wandb"'), Requirement('pytest>=1; extra == "test"')]
    found = {finding.name: finding for finding in doctor.extras(needed)}
    assert found["wandb"].state == "missing"
    assert found["wandb"].says == "nosuchpackage is not there; pip install -e '.[wandb]'"
    assert found["test"].state == "ok" and found["test"].says.startswith("pytest ")


def test_a_package_that_does_not_load_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unloadable.py").write_text("raise OSError('libnothing.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    found = doctor.imported("unloadable")
    assert (found.state, found.says) == ("broken", "OSError: libnothing.so.1: cannot open shared object file")


def test_a_source_tree_that_is_not_installed_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "requires", gone)
    (finding,) = doctor.base_packages(doctor.requirements())
    assert finding.state == "missing" and "pip install -c constraints.txt -e ." in finding.says
