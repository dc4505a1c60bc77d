"""The README's file tree is true."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_module_stands_in_the_readmes_tree() -> None:
    tree = (ROOT / "README.md").read_text().split("## Files")[1]
    named = [line.split()[0] for line in tree.splitlines() if line.strip()]
    modules = [path.name for path in (ROOT / "mstar").rglob("*.py") if path.name not in ("__init__.py",)]
    assert sorted(modules) == sorted(name for name in named if name.endswith(".py"))


def test_every_page_and_every_folder_of_pages_and_tests_stands_there() -> None:
    tree = (ROOT / "README.md").read_text().split("## Files")[1].split()
    pages = [path.name for path in (ROOT / "docs").glob("*.md")]
    folders = [f"{path.name}/" for room in ("configs", "tests") for path in (ROOT / room).iterdir() if path.is_dir()]
    assert [name for name in [*pages, *folders] if name not in tree and name != "__pycache__/"] == []
