"""Every command of README.md, CONTRIBUTING.md and docs/ is executed, or a comment in the page says why not."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import datasets
import pytest
import yaml

import mstar
from mstar.__main__ import HELP
from tests.docs.givens import Givens
from tests.docs.page import blocks, commands
from tests.docs.place import ROOT, Place

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]


@pytest.fixture(scope="session")
def givens(tmp_path_factory: pytest.TempPathFactory) -> Givens:
    return Givens(tmp_path_factory.mktemp("givens"))


@pytest.fixture
def place(tmp_path: Path, givens: Givens, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    folder = tmp_path / "mstar"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    known = set(sys.modules)
    # Behind the repository itself: its copy of `tests` and `benchmarks` is not another module.
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    made = Place(folder, givens)
    monkeypatch.chdir(folder)
    yield made
    datasets.enable_progress_bars()
    for name in set(sys.modules) - known:  # another page may have a file of the same name
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


@pytest.mark.parametrize("page", NAMES)
def test_every_command_of_a_page_works(page: str, place: Place) -> None:
    for block in blocks((ROOT / page).read_text()):
        try:
            place.execute(block)
        except Exception as error:
            error.add_note(f"{page}, the block at line {block.line}")
            raise
    assert not place.unused, f"{page}: no command uses the files of {place.unused}"


@pytest.mark.parametrize("page", NAMES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", text)
    broken = [link for link in links if "://" not in link and not (ROOT / page).parent.joinpath(link).exists()]
    assert not broken


@pytest.mark.parametrize("page", NAMES)
def test_whatever_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    written = {name for block in blocks(text) for name in block.said("file")}
    spans = re.findall(r"`([^`\n]+)`", prose(text))
    assert [span for span in spans if span not in written and not exists(span)] == []


def test_what_is_excused_is_listed_with_its_reason() -> None:
    excused = [
        f"{path.name}:{command.line}: {command.text} | {command.excuse}"
        for path in PAGES
        for block in blocks(path.read_text())
        if block.language == "bash"
        for command in commands(block)
        if command.excuse
    ]
    print(*excused, sep="\n")  # pytest -rP shows it
    assert all(line.rpartition("|")[2].strip() for line in excused)


def test_every_page_stands_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    assert [path.name for path in (ROOT / "docs").glob("*.md") if path.name not in index and path.stem != "index"] == []


def test_the_citation_is_of_this_version_and_of_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # what the format demands
    assert citation["version"] == mstar.__version__
    assert citation["preferred-citation"]["url"].endswith("2412.17451")


def prose(page: str) -> str:
    """A page without its blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", page, flags=re.DOTALL | re.MULTILINE)


def exists(span: str) -> bool:
    """Whether there is what code in running text names: a command, a module, a make target, a file of ours."""
    match span.split():
        case ["mstar", command, *_] if command.isalpha():
            return f"\n  {command} " in HELP
        case ["make", target, *_]:
            return f"\n{target}:" in (ROOT / "Makefile").read_text()
        case ["python", "-m", module, *_] if module.startswith(("mstar", "benchmarks", "tests")):
            return find_spec(module) is not None
        case [name] if re.fullmatch(r"mstar(\.\w+)+", name):
            return find_spec(name.rpartition(".")[0]) is not None and _member(name)
        case [path] if re.fullmatch(r"(configs|docs|tests|benchmarks|mstar)/[\w./-]+", path):
            return (ROOT / path).exists()
    return True


def _member(name: str) -> bool:
    module, _, last = name.rpartition(".")
    return hasattr(import_module(module), last) or find_spec(name) is not None


def test_a_misspelt_name_is_noticed() -> None:
    assert exists("mstar rollouts ls RUN") and not exists("mstar rollout ls RUN")
    assert exists("mstar.callbacks.Export") and not exists("mstar.callbacks.Import")
    assert exists("python -m benchmarks.study --all") and not exists("python -m benchmarks.studies")
    assert exists("make demo") and not exists("make tea")
    assert exists("configs/mstar.yaml") and not exists("configs/nstar.yaml")
    assert exists("data.sampling.temperature")
