"""Where a page's commands are executed: a copy of the repository as a user has it after a fresh clone."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mstar.__main__ import main
from tests.docs.givens import Givens
from tests.docs.page import Block, blocks, commands

ROOT = Path(__file__).parents[2]
CLONED = ("configs", "docs", "tests", "benchmarks", "Makefile", "pyproject.toml", "constraints.txt", "README.md")
LIMIT = 300
"""Seconds a command may take in a shell."""


class Place:
    """A copy of the repository in which blocks are executed one after the other.

    ``mstar`` commands are run in this process, for most of what each takes in a shell is imports; whatever holds shell
    syntax, and all other commands, in bash with the environment's programs on the path.

    Args:
        folder: Where to copy the repository.
        givens: Makes what blocks start from.
    """

    def __init__(self, folder: Path, givens: Givens) -> None:
        self.folder = folder
        self.givens = givens
        self.unused: dict[str, int] = {}
        """Files that a page told to write and no command has named yet, with the line of their block."""
        self.exported: dict[str, str] = {}
        """What `export` says; in bash each command has a process of its own."""
        folder.mkdir(parents=True)
        for name in CLONED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, folder / name)

    def execute(self, block: Block) -> None:
        """Do what a block says."""
        for page in block.said("after"):
            self._begin_after(page)
        for names in block.said("given"):
            for name in names.split():
                self.givens.put(name, self.folder)
        for text in block.said("setup"):
            self._shell(text, block.line)
        if files := block.said("file"):
            (target,) = files
            (self.folder / target).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / target).write_text(block.text)
            self.unused[target] = block.line
        elif block.language == "python" and not block.said("skip"):
            exec(compile(block.text, f"line {block.line}", "exec"), {"__name__": "__page__"})
        elif block.language == "bash":
            for command in commands(block):
                if command.run:
                    began = time.monotonic()
                    self._run(command.run, command.line)
                    print(f"{time.monotonic() - began:.1f} s | {command.run}")  # pytest -rP shows it

    def _begin_after(self, page: str) -> None:
        """Start from where another page of docs/ ends; it is followed once a session."""
        end = self.givens.folder / "after" / page
        if not end.exists():
            place = Place(end.with_suffix(".begun"), self.givens)
            with contextlib.chdir(place.folder):
                for block in blocks((ROOT / "docs" / page).read_text()):
                    place.execute(block)
            place.folder.rename(end)
        shutil.copytree(end, self.folder, dirs_exist_ok=True)

    def _run(self, command: str, line: int) -> None:
        used = f"{command} {self._stacked(command)}"
        self.unused = {name: at for name, at in self.unused.items() if Path(name).stem not in used}
        words = shlex.split(command)
        if words[0] == "export":
            self.exported |= dict(word.split("=", 1) for word in words[1:])
        elif words[0] != "mstar" or re.search(r"[|&;<>$`*]", re.sub(r"'[^']*'", "", command)):
            self._shell(command, line)
        else:
            try:
                main(words[1:])
            except SystemExit as ended:
                if ended.code:
                    pytest.fail(f"line {line}: `{command}` ended with {ended.code}", pytrace=False)

    def _stacked(self, command: str) -> str:
        """The text of the configurations that a command names: they may name other files in turn."""
        files = [self.folder / word for word in command.split() if word.endswith(".yaml")]
        return " ".join(file.read_text() for file in files if file.is_file())

    def _shell(self, text: str, line: int) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        modules = os.pathsep.join([str(ROOT), self.exported.get("PYTHONPATH", "")])
        env = {**os.environ, **self.exported, "PATH": path, "PYTHONPATH": modules}
        asked = ["bash", "-euo", "pipefail", "-c", text]
        ran = subprocess.run(asked, cwd=self.folder, env=env, capture_output=True, text=True, timeout=LIMIT)
        print(ran.stdout)
        if ran.returncode:
            pytest.fail(f"line {line}: `{text}` ended with {ran.returncode}: {ran.stderr[-2000:]}", pytrace=False)
