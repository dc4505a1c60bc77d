"""Every family passes every check, or does not for the reason that is written down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mstar.modules.families import FAMILIES
from tests.conformance.checks import CHECKS, Subject
from tests.conformance.exceptions import EXCEPTIONS, UNBUILT
from tests.conformance.tiny import TINIES

pytestmark = [
    # transformers 5.23's processors of GLM and PaliGemma, with numpy 2
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]
CASES = [
    pytest.param(
        name,
        check,
        id=f"{name}-{check.__name__}",
        marks=[pytest.mark.xfail(reason=reason)] if (reason := EXCEPTIONS.get((name, check.__name__))) else [],
    )
    for name in TINIES
    for check in CHECKS
]


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Subject]:
    """Families, each built once."""
    built: dict[str, Subject] = {}

    def give(name: str) -> Subject:
        if name not in built:
            folder: Path = tmp_path_factory.mktemp(name)
            TINIES[name].build(name, folder)
            built[name] = Subject(folder)
        return built[name]

    return give


@pytest.mark.parametrize(("name", "check"), CASES)
def test_a_family_conforms(name: str, check: Callable[[Subject], None], subjects: Callable[[str], Subject]) -> None:
    check(subjects(name))


def test_every_family_is_measured_or_said_not_to_be() -> None:
    assert set(FAMILIES) == set(TINIES) | set(UNBUILT)
    assert not set(TINIES) & set(UNBUILT)
    assert {name for name, _ in EXCEPTIONS} <= set(TINIES)
    assert {check for _, check in EXCEPTIONS} <= {check.__name__ for check in CHECKS}
