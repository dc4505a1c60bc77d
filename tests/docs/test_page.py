"""A page cannot leave a command unexecuted without saying so, and comments do what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.givens import Givens
from tests.docs.page import Command, PageError, blocks, commands
from tests.docs.place import Place


def read(page: str) -> list[Command]:
    """All commands of a page."""
    return [command for block in blocks(page) for command in commands(block)]


def only(page: str) -> list[tuple[str, str]]:
    """What is executed, and why something is not."""
    return [(command.run, command.excuse) for command in read(page)]


def test_commands_are_executed_as_they_stand() -> None:
    page = "```bash\n# first\nmstar fit -c a.yaml \\\n    --x 1   # with x\n\nmake test\n```"
    assert only(page) == [("mstar fit -c a.yaml --x 1", ""), ("make test", "")]


@pytest.mark.parametrize(
    ("comment", "first", "second"),
    [
        ("skip, needs a network", ("", "needs a network"), ("", "needs a network")),
        ('skip "git", needs a network', ("", "needs a network"), ("mstar fit -c a.yaml", "")),
        ('add "mstar" --x 1', ("git add x", ""), ("mstar fit -c a.yaml --x 1", "")),
        ('build "mstar", needs a GPU', ("git add x", ""), ("mstar fit -c a.yaml --print_config", "needs a GPU")),
        ('instead "git" pip --version', ("pip --version", ""), ("mstar fit -c a.yaml", "")),
    ],
)
def test_a_comment_does_what_it_says(comment: str, first: tuple[str, str], second: tuple[str, str]) -> None:
    page = f"<!-- test: {comment} -->\n```bash\ngit add x\nmstar fit -c a.yaml\n```"
    if comment.startswith("skip,"):
        page = page.replace("mstar fit -c a.yaml", "git add y")
    assert only(page) == [first, second]


def test_a_recipe_is_built_by_a_dry_run() -> None:
    page = "<!-- test: build, needs a GPU -->\n```bash\nmstar run r.yaml\n```"
    assert only(page) == [("mstar run r.yaml --dry_run", "needs a GPU")]


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("```sh\nmstar --help\n```", "nobody executes ```sh"),
        ("```\n$ mstar --help\n```", "this block holds a command"),
        ("    mstar --help\n", "put this command into a ```bash block"),
        ("```yaml\na: 1\n```", "say in a comment above which file this is"),
        ("```bash\nmstar --help\n", "ends inside a block"),
        ("```bash\nmstar \\\n```", "ends in a backslash"),
        ("<!-- test: skipp, it is slow -->\n```bash\nls\n```", "says none of skip, build"),
        ("<!-- test: skip, it is too slow -->\nWords.\n```bash\nls\n```", "no block right below it"),
        ("<!-- test: skip, it is too slow -->\n", "has no block below it"),
        ("<!-- test: skip -->\n```bash\nls\n```", "needs a comma and a reason"),
        ('<!-- test: add "mstar" --x 1 -->\n```bash\nls\n```', "no command of this block begins with 'mstar'"),
        ("<!-- test: skip, needs a big GPU -->\n```bash\nmstar fit -c a.yaml\n```", "say `build`, not `skip`"),
    ],
)
def test_a_page_that_leaves_something_open_is_refused(page: str, told: str) -> None:
    with pytest.raises(PageError, match=told):
        read(page)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path / "mstar", Givens(tmp_path))
    monkeypatch.chdir(made.folder)
    return made


@pytest.mark.parametrize("command", ["false", "mstar run none.yaml", "cat nowhere | cat"])
def test_a_command_that_fails_fails_its_page(command: str, place: Place) -> None:
    (block,) = blocks(f"```bash\n{command}\n```")
    with pytest.raises(pytest.fail.Exception, match=r"line 2: .* ended with"):
        place.execute(block)


def test_python_is_executed(place: Place) -> None:
    (block,) = blocks("```python\nfrom pathlib import Path\nPath('made').write_text('1')\n1 / 0\n```")
    with pytest.raises(ZeroDivisionError):
        place.execute(block)
    assert (place.folder / "made").read_text() == "1"


def test_a_file_that_no_command_names_is_noticed(place: Place) -> None:
    page = "<!-- test: file {0} -->\n```yaml\nb: {1}\n```\n"
    first, second = blocks(page.format("a.yaml", "mine.Thing") + page.format("mine.py", "1"))
    (use,) = blocks("```bash\necho a.yaml\n```")
    place.execute(first)
    place.execute(second)
    assert set(place.unused) == {"a.yaml", "mine.py"}
    place.execute(use)
    assert not place.unused  # a.yaml is named, and names mine


def test_pip_is_never_executed() -> None:
    with pytest.raises(PageError, match="line 1: pip would change the environment"):
        list(blocks("```bash\npip install -e .\nmstar --help\n```\n"))
    spared = '<!-- test: skip "pip install", needs a network -->\n```bash\npip install -e .\nmstar --help\n```\n'
    assert len(list(blocks(spared))) == 1
