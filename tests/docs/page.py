"""Read a page of Markdown: its fenced blocks, and what comments that no reader sees say of executing them.

Every command of a page is executed unless a comment above its block says otherwise:

``<!-- test: skip, REASON -->``
    Not executed. Refused for ``mstar`` commands with a configuration: those can at least be built.
``<!-- test: build, REASON -->``
    ``--print_config`` (``--dry_run`` for recipes) is added: everything is parsed and checked, nothing runs.
``<!-- test: add ARGUMENTS -->``
    These are added: what makes a long command short.
``<!-- test: instead "BEGINNING" COMMAND -->``
    This is executed in its place.
``<!-- test: given NAME ... -->``
    Files and folders the block starts from, made by `tests.docs.givens`.
``<!-- test: after PAGE -->``
    The block starts from where another page of docs/ ends, as its text says.
``<!-- test: setup COMMAND -->``
    Executed before the block.
``<!-- test: file NAME -->``
    The block is written to this file; a later command must name it.

``skip``, ``build`` and ``add`` speak of one command of their block where its beginning follows in quotes:
``<!-- test: skip "pip install", needs a network -->``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

VERBS = ("skip", "build", "add", "instead", "given", "after", "setup", "file")
COMMENT = re.compile(r'test:\s*(?P<verb>\w+)\s*(?:"(?P<only>[^"]+)")?,?\s*(?P<text>.*)', re.DOTALL)
FENCE = re.compile(r"(?P<indent> *)```(?P<language>\S*)$")
COMMANDS = ("mstar ", "make ", "pip ", "python ", "pytest ", "git ", ".venv")
PIP = re.compile(r"\bpip3? (un)?install\b")
LANGUAGES = {"bash", "python", "yaml", ""}
"""A block without a language is a picture or an output, and must not hold commands."""


class PageError(ValueError):
    """A page does not say what is to be done with a command; the message names the line and the way out."""


@dataclass(frozen=True)
class Note:
    """What a comment says of the block below it."""

    verb: str
    only: str
    """Beginning of the command that is spoken of; empty for all of the block."""
    text: str


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    line: int
    language: str
    text: str
    notes: tuple[Note, ...] = ()

    def said(self, verb: str) -> list[str]:
        """What the comments say behind a verb, in order."""
        return [note.text for note in self.notes if note.verb == verb]


@dataclass(frozen=True)
class Command:
    """A command of a block and what is to be done with it."""

    line: int
    text: str
    """As the reader types it."""
    run: str
    """What is executed; empty if nothing is."""
    excuse: str = ""
    """Why it is not executed, or only built."""


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, each with the comments above it.

    Raises:
        PageError: If a comment has no block below it or a verb that does not exist, a block has a language that nobody
            executes, or a command stands outside a block.
    """
    found: list[Block] = []
    notes: list[Note] = []
    lines = iter(enumerate(page.splitlines(), start=1))
    for number, line in lines:
        if line.lstrip().startswith("<!--"):
            text = line
            while "-->" not in text:
                text += "\n" + next(lines)[1]
            if "test:" in text:
                notes.append(_note(number, text.strip().removeprefix("<!--").removesuffix("-->").strip()))
        elif opened := FENCE.match(line):
            found.append(Block(number, opened["language"], _until_closed(lines, len(opened["indent"])), tuple(notes)))
            _check(found[-1])
            notes = []
        elif line.strip() and notes:
            raise PageError(f"line {number}: there is a `test:` comment above, but no block right below it.")
        elif line.startswith("    ") and line.lstrip().startswith(COMMANDS):
            raise PageError(f"line {number}: put this command into a ```bash block, so that it is executed.")
    if notes:
        raise PageError("The page ends with a `test:` comment that has no block below it.")
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a ``bash`` block, in order.

    Raises:
        PageError: If a comment speaks of a command that is not there, gives no reason, or skips what can be built.
    """
    every = list(_lines(block))
    for note in block.notes:
        if note.only and not any(text.startswith(note.only) for _, text in every):
            raise PageError(f"line {block.line}: no command of this block begins with {note.only!r}.")
    return [_command(block, line, text) for line, text in every]


def without_comment(command: str) -> str:
    """A command without the remark behind it.

    >>> without_comment("mstar run r.yaml  # all stages")
    'mstar run r.yaml'
    """
    return re.sub(r"\s+#\s.*$", "", command)


def _command(block: Block, line: int, text: str) -> Command:
    notes = [note for note in block.notes if text.startswith(note.only)]
    run, excuse = without_comment(text), ""
    for note in notes:
        if note.verb in ("skip", "build") and len(note.text) < len("needs a GPU"):
            raise PageError(f"line {block.line}: `{note.verb}` needs a comma and a reason in words.")
        if note.verb == "skip":
            if re.match(r"mstar (fit|validate|test|predict|run)\b", text):
                raise PageError(f"line {line}: `{text}` has a configuration: say `build`, not `skip`.")
            run, excuse = "", note.text
        elif note.verb == "build":
            run += " --dry_run" if text.startswith("mstar run") else " --print_config"
            excuse = note.text
        elif note.verb == "add":
            run += f" {note.text}"
        elif note.verb == "instead":
            run = note.text
    return Command(line, text, run, excuse)


def _lines(block: Block) -> Iterator[tuple[int, str]]:
    begun, first = "", 0
    for number, line in enumerate(block.text.splitlines(), start=block.line + 1):
        first = first if begun else number
        begun += line.strip() if not begun else f" {line.strip()}"
        if begun.endswith("\\"):
            begun = begun[:-1].rstrip()
        elif begun and not begun.startswith("#"):
            yield first, begun
            begun = ""
        else:
            begun = ""
    if begun:
        raise PageError(f"line {first}: this command ends in a backslash.")


def _note(number: int, text: str) -> Note:
    said = COMMENT.fullmatch(text)
    if said is None or said["verb"] not in VERBS:
        raise PageError(f"line {number}: <!-- {text} --> says none of {', '.join(VERBS)} behind `test:`.")
    return Note(said["verb"], said["only"] or "", said["text"].strip())


def _until_closed(lines: Iterator[tuple[int, str]], indent: int) -> str:
    text = ""
    for _, line in lines:
        if line.strip() == "```":
            return text
        text += line[indent:] + "\n"
    raise PageError("The page ends inside a block.")


def _check(block: Block) -> None:
    if block.language not in LANGUAGES:
        raise PageError(f"line {block.line}: nobody executes ```{block.language}; write ```bash, ```python or ```yaml.")
    if block.language == "" and any(line.lstrip("$ ").startswith(COMMANDS) for line in block.text.splitlines()):
        raise PageError(f"line {block.line}: this block holds a command; write ```bash, so that it is executed.")
    if block.language == "yaml" and not (block.said("file") or block.said("skip")):
        raise PageError(f"line {block.line}: say in a comment above which file this is: <!-- test: file NAME.yaml -->")
    spared = [note.only for note in block.notes if note.verb in ("skip", "instead")]
    for line in block.text.splitlines() if block.language == "bash" else ():
        if PIP.search(line) and not any(line.startswith(beginning) for beginning in spared):
            raise PageError(
                f"line {block.line}: pip would change the environment that the tests run in; say "
                '<!-- test: skip "pip install", REASON -->'
            )
