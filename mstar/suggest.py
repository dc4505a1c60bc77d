"""What was meant by a misspelt key: the nearest one that exists, said at the end of the parser's own message."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Sequence
from importlib import import_module

from lightning.pytorch import Trainer

KEYS = ("seed_everything", "trainer", "model", "data", "reward", "ckpt_path", "weights_only", "config")
UNKNOWN = re.compile(
    r"class_path '(?P<cls>[\w.]+)'"
    r"|(?:does not accept option|Option|Key) '(?P<key>[\w.]+)'"
    r"|unrecognized arguments: --(?P<flag>[\w.]+)"
    r"|module '(?P<module>[\w.]+)' has no attribute '(?P<name>\w+)'",
    re.MULTILINE,
)


def suggestions(message: str) -> list[str]:
    """The nearest existing name for each unknown one that a message of jsonargparse mentions.

    >>> suggestions("Subcommand 'fit' does not accept option 'trainer.max_epoch'")
    ["'trainer.max_epoch': did you mean 'trainer.max_epochs'?"]
    """
    found, owner = [], ""
    for match in UNKNOWN.finditer(message):
        if match["cls"]:
            owner = match["cls"]
        elif match["module"]:
            found.append(_suggest(match["name"], "", _members(match["module"])))
        elif unknown := match["key"] or match["flag"]:
            found.append(_nearest(unknown, owner))
    return list(dict.fromkeys(one for one in found if one))


def _nearest(unknown: str, owner: str) -> str:
    """Look among the arguments of the class that was told of it, of the trainer, or among the command's keys."""
    first, _, rest = unknown.partition(".")
    if first == "trainer" and rest:
        return _suggest(rest, "trainer.", _arguments(Trainer))
    if owner:
        module, _, name = owner.rpartition(".")
        return _suggest(first, "", _arguments(getattr(import_module(module), name)))
    return _suggest(first, "", KEYS)


def _suggest(name: str, before: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1) if name not in known else []
    return f"{before + name!r}: did you mean {before + near[0]!r}?" if near else ""


def _arguments(cls: type) -> list[str]:
    return list(inspect.signature(cls).parameters)


def _members(module: str) -> list[str]:
    return [name for name in vars(import_module(module)) if not name.startswith("_")]
