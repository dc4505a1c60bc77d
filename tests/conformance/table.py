"""The README's table of families, made of what ``test_conformance.py`` measures."""

from __future__ import annotations

from pathlib import Path

from mstar.modules.families import FAMILIES
from tests.conformance.checks import CHECKS
from tests.conformance.exceptions import EXCEPTIONS, NEEDS_TORCHVISION
from tests.conformance.tiny import TINIES

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- families: made by python -m tests.conformance -->", "<!-- families end -->"


def table() -> str:
    """A row for families that fare alike, those that pass most first."""
    rows: dict[tuple[int, str], list[str]] = {}
    for name in FAMILIES:
        rows.setdefault(fared(name), []).append(f"`{name}`")
    lines = [f"| {', '.join(names)} | {len(names)} | {score} | {why} |" for (score, why), names in rows.items()]
    head = [f"| families, by `model_type` | | of {len(CHECKS)} checks | what does not hold |", "|---|---|---|---|"]
    return "\n".join([*head, *sorted(lines, key=lambda line: "torchvision" in line)])


def fared(name: str) -> tuple[int, str]:
    """Checks that a family passes, and what it does not."""
    if name in NEEDS_TORCHVISION:
        return 0, "images need torchvision; parts, freezing and LoRA targets checked"
    reasons = {check: why for (family, check), why in EXCEPTIONS.items() if family == name}
    notes = [f"{check}: {why}" for check, why in reasons.items()]
    if FAMILIES[name].needs_image:
        notes.append("no prompt without an image: such prompts are dropped and counted")
    assert name in TINIES
    return len(CHECKS) - len(reasons), "; ".join(notes)


def written(readme: str) -> str:
    """The README with the table between its marks."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"
