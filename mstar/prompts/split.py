"""A source divided by what its prompts show, so that no image is on two sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import isclose

import numpy as np
from numpy.typing import NDArray

from mstar.prompts.chosen import Chosen
from mstar.prompts.contents import Contents, check_alike, contents_of
from mstar.prompts.ids import twins
from mstar.prompts.listed import prompt_ids
from mstar.seeds import stable_seed
from mstar.types import PromptSource

PARTS = {"train": 0.8, "validation": 0.1, "test": 0.1}


class Split(Chosen):
    """A part of a source, drawn by a hash of the seed and of what each prompt shows.

    Prompts that share an image are in one part, under whatever id or file name, whichever other prompts there are; so
    are prompts that share an image with a third one, and prompts of one id. Prompts without images are drawn by their
    question. An image that was encoded anew is another one: the stored bytes are hashed, once, and their digests kept
    on disk. Shares are those of the images, so the number of prompts varies a little.

    Args:
        source: The whole; all parts are given the same one.
        part: Which part.
        parts: Share of each part, > 0, in sum 1 at most; what is left over is in none.
        seed: Of the division; parts of different seeds overlap. Not the run's, which would test one run on what
            another was trained on.
        apart: Sources that no image may be shared with, such as a test set published in a file of its own; prompts
            that do are in no part.

    Raises:
        ValueError: If there is no such part, shares are not such, the part is empty, or a source that is kept apart has
            only pixels where the other has stored bytes, or the other way round.
    """

    def __init__(
        self,
        source: PromptSource,
        part: str,
        parts: dict[str, float] = PARTS,
        seed: int = 0,
        apart: Sequence[PromptSource] = (),
    ) -> None:
        check_parts(part, parts)
        contents = contents_of(source)
        leaders = leaders_of(contents, prompt_ids(source))
        mine = drawn(leaders, seed, *bounds(part, parts))
        for other in map(contents_of, apart):
            check_alike([contents, other])
            mine &= ~np.isin(leaders, leaders[shares(contents, other)])
        super().__init__(source, np.flatnonzero(mine))
        if not len(self):
            raise ValueError(
                f"Split: the part {part!r} ({parts[part]}) of {len(source):,} prompts is empty; give it a larger share."
            )


def check_parts(part: str, parts: Mapping[str, float]) -> None:
    """Refuse shares that are none.

    Raises:
        ValueError: Naming them.
    """
    if part not in parts:
        raise ValueError(f"Split.part is {part!r}; give one of Split.parts: {', '.join(parts)}.")
    total = sum(parts.values())
    if min(parts.values()) <= 0 or (total > 1 and not isclose(total, 1)):
        raise ValueError(f"Split.parts is {dict(parts)}; give shares above 0 that sum to 1 at most.")


def bounds(part: str, parts: Mapping[str, float]) -> tuple[float, float]:
    """Where in [0, 1] a part lies.

    >>> bounds("validation", {"train": 0.5, "validation": 0.25, "test": 0.25})
    (0.5, 0.75)
    """
    edges = [0.0, *accumulate(parts.values())]  # one part ends where the next begins, to the last bit
    place = list(parts).index(part)
    return edges[place], edges[place + 1]


def drawn(leaders: NDArray[np.uint64], seed: int, start: float, end: float) -> NDArray[np.bool_]:
    """Which prompts' leaders fall between two bounds; each leader falls where it does whatever else there is."""
    places = mixed(leaders ^ np.uint64(stable_seed(seed, "split"))) / 2.0**64
    return (places >= start) & (places < end)


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread values evenly over all of 64 bits: the finalizer of SplitMix64 (Steele, Lea and Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def leaders_of(contents: Contents, ids: Sequence[str]) -> NDArray[np.uint64]:
    """One digest for all prompts that must stay together: the least of all they show.

    Prompts stay together if they share an image, or an id, or each of them does with a third.
    """
    first = contents.first
    several = np.repeat(contents.counts > 1, contents.counts)
    same = np.array(list(twins(ids)), dtype=np.int64).reshape(-1, 2)
    one = np.concatenate([contents.digests[several], first[same[:, 0]]])
    other = np.concatenate([np.repeat(first, contents.counts)[several], first[same[:, 1]]])
    keys = np.unique(np.concatenate([one, other]))
    leaders = least_reached(len(keys), np.searchsorted(keys, one), np.searchsorted(keys, other))
    linked = np.isin(first, keys)
    first[linked] = keys[leaders[np.searchsorted(keys, first[linked])]]
    return first


def least_reached(count: int, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """The least number that each of ``count`` is linked to, directly or through others ``(count,)``.

    Args:
        count: Numbers, from 0.
        one: One end of each link ``(links,)``.
        other: The other end ``(links,)``.

    >>> least_reached(5, np.array([4, 1]), np.array([1, 2])).tolist()
    [0, 1, 1, 3, 1]
    """
    least = np.arange(count)
    while (least[one] != least[other]).any():
        ends = least[one], least[other]
        np.minimum.at(least, np.maximum(*ends), np.minimum(*ends))
        while (least[least] != least).any():
            least = least[least]
    return least


def shares(contents: Contents, other: Contents) -> NDArray[np.bool_]:
    """Which prompts show something that another source shows too."""
    found = np.isin(contents.digests, other.digests)
    shared: NDArray[np.bool_] = np.logical_or.reduceat(found, contents.starts)
    return shared
