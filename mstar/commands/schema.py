"""`mstar schema`: the JSON schema of configuration files, for editors that check and complete as one types."""

from __future__ import annotations

import argparse
import inspect
import json
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

DESCRIPTION = """\
Print the JSON schema of configuration files of mstar fit, validate, test and predict.

  mstar schema > schema.json

An editor with a YAML language server then checks and completes a page that begins with
  # yaml-language-server: $schema=schema.json
"""
DESCRIBED = ("mstar", "lightning", "torch.optim")
"""Packages whose classes are described; of others any class_path is taken."""
Schema = dict[str, Any]


def main(args: list[str]) -> None:
    """Print the schema."""
    parser().parse_args(args)
    print(json.dumps(schema(), indent=1))


def parser() -> argparse.ArgumentParser:
    """What may follow ``mstar schema``."""
    return argparse.ArgumentParser(
        prog="mstar schema",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def schema() -> Schema:
    """The schema of a page: what the four commands take, and for every slot the classes that fit it.

    A class that is not part of mstar, Lightning or ``torch.optim`` passes with any settings: one's own plug-ins are
    not known here. Nothing is required, as pages stack. Made by jsonargparse's own generator, whose three gaps are
    closed in ``_Pages``.
    """
    from mstar.cli import parsers

    generator = _generator(list(_modules()))
    found: list[Schema] = [generator.generate(command) for command in parsers()[1].values()]
    whole = found[0]  # all four have the same slots, and one or two keys of their own
    for other in found[1:]:
        whole["properties"] = {**other["properties"], **whole["properties"]}
    whole["title"] = "A configuration file of mstar"
    whole["description"] = "What mstar fit, validate, test and predict take with -c."
    stacked: Schema = _without_required(whole)
    return stacked


def _modules() -> Iterator[Any]:
    """All of mstar that can be imported: what is not, is not found."""
    import mstar

    for found in pkgutil.walk_packages(mstar.__path__, "mstar."):
        if not found.name.endswith("__main__"):
            yield import_module(found.name)


def _generator(modules: list[Any]) -> Any:
    """A generator of schemas that knows the classes of some modules."""
    # Private to jsonargparse: its public door, get_completion_script("jsonschema"), fails on torch's metaclasses.
    from jsonargparse._completions_jsonschema import ParserJsonschema, new_object
    from jsonargparse._typehints import get_all_subclass_paths, implements_protocol, is_protocol
    from jsonargparse._util import get_import_path

    classes = {
        value
        for module in modules
        for value in vars(module).values()
        if inspect.isclass(value) and value.__module__.startswith("mstar.") and not inspect.isabstract(value)
    }

    class _Pages(ParserJsonschema):
        def class_ref(self, class_type: Any, action: Any, subclass: bool) -> Schema:
            """Leave out what no page sets: torch's own classes are a megabyte."""
            if isinstance(class_type, type) and not class_type.__module__.startswith(DESCRIBED):
                return {"anyOf": [{"type": "string"}, _any_class(known=[])]}
            return dict(super().class_ref(class_type, action, subclass))

        def subclass_def(self, class_type: Any, action: Any) -> Schema:
            """Add what implements a protocol without deriving from it, and let unknown classes pass."""
            paths = [path for path in get_all_subclass_paths(class_type) if _there(path)]
            if is_protocol(class_type):
                fits = (cls for cls in classes if not is_protocol(cls) and implements_protocol(cls, class_type))
                paths = sorted({*paths, *map(str, map(get_import_path, fits))})
            known = {path: _spellings(path) for path in paths}
            one_of = [self.class_path_schema(path, action) for path in paths]
            for one, path in zip(one_of, paths, strict=True):
                one["properties"]["class_path"] = {"enum": known[path]}
            others = _any_class([name for names in known.values() for name in names])
            own = [] if is_protocol(class_type) or inspect.isabstract(class_type) else [class_type]
            inline = [self.class_parser_schema(cls, action) for cls in own]  # its settings, without a class_path
            return {"anyOf": [{"type": "string"}, *one_of, others, *inline]}

        def callable_schema(self, typehint: Any, action: Any) -> Schema:
            """Let classes stand for what returns one of several types, as learning-rate schedules do."""
            made = dict(super().callable_schema(typehint, action))
            return {"anyOf": [made, _any_class(known=[])]} if made == {"type": "string"} else made

    def _any_class(known: list[str]) -> Schema:
        made: Schema = new_object()
        made["properties"] |= {
            "class_path": {"type": "string", **({"not": {"enum": known}} if known else {})},
            "init_args": {"type": "object"},
            "dict_kwargs": {"type": "object"},
        }
        return made

    return _Pages()  # type: ignore[no-untyped-call]


def _there(path: str) -> bool:
    """Whether a class is described: Lightning makes some as a run goes on, which no page can name."""
    module, _, name = path.rpartition(".")
    return path.startswith(DESCRIBED) and name in vars(import_module(module))


def _spellings(path: str) -> list[str]:
    """A class by its short name, and by the module it is written in."""
    module, _, name = path.rpartition(".")
    written = getattr(import_module(module), name)
    return list(dict.fromkeys([path, f"{written.__module__}.{written.__qualname__}"]))


def _without_required(value: Any) -> Any:
    """The same, with nothing required: pages stack, so that one may hold a single setting of a class."""
    if isinstance(value, list):
        return [_without_required(item) for item in value]
    if not isinstance(value, dict):
        return value
    required = [name for name, item in value.items() if name == "required" and isinstance(item, list)]
    return {name: _without_required(item) for name, item in value.items() if name not in required}
