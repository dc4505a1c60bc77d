"""The README's file tree is true."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_module_stands_in_the_readmes_tree() -> None:
    tree = (ROOT / "README.md").read_text().split("## Files")[1]
    named = [line.split()[0] for line in tree.splitlines() if line.strip()]
    modules = [path.name for path in (ROOT / "mstar").rglob("*.py") if path.name not in ("__init__.py",)]
    assert sorted(modules) == sorted(name for name in named if name.endswith(".py"))
