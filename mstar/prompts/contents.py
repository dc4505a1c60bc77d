"""What prompts show, as digests: the same image under any name and any id has the same one."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mstar.prompts.unusable import read_prompts
from mstar.types import Prompt, PromptSource

NOTHING = 0
"""The digest of a question without words: it shows nothing that could leak."""


@dataclass(frozen=True)
class Contents:
    """Digests of each prompt's images, 8 bytes an image; of its question, where it has none."""

    digests: NDArray[np.uint64]
    """All prompts' digests, one behind the other ``(sum of counts,)``."""
    counts: NDArray[np.int64]
    """Digests of each prompt ``(prompts,)``, all > 0."""
    decoded: bool = False
    """Whether images were told by their pixels, for want of the bytes they are stored as."""

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> Contents:
        """Put together those of each prompt."""
        digests, counts = array("Q"), array("Q")
        for row in rows:
            digests.extend(row)
            counts.append(len(row))
        return cls(np.array(digests, dtype=np.uint64), np.array(counts, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def first(self) -> NDArray[np.uint64]:
        """The first digest of each prompt ``(prompts,)``."""
        return self.digests[self.starts]

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each prompt's digests begin ``(prompts,)``."""
        return np.cumsum(self.counts) - self.counts

    def take(self, indices: NDArray[np.int64]) -> Contents:
        """Those of some prompts."""
        starts, counts = self.starts[indices], self.counts[indices]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return replace(self, digests=self.digests[np.repeat(starts, counts) + within], counts=counts)


def joined(parts: Sequence[Contents]) -> Contents:
    """Those of several sources, one behind the other.

    Raises:
        ValueError: If they cannot be told from each other.
    """
    check_alike(parts)
    digests, counts = [part.digests for part in parts], [part.counts for part in parts]
    return Contents(np.concatenate(digests), np.concatenate(counts), parts[0].decoded)


def check_alike(parts: Sequence[Contents]) -> None:
    """Refuse sources whose images cannot be compared: an image that both show would go unseen.

    Raises:
        ValueError: If some are told by their bytes and others by their pixels.
    """
    if len({part.decoded for part in parts}) > 1:
        raise ValueError(
            "Split tells images by the bytes they are stored as, but of one of its sources it gets only pixels, so "
            "that an image that both show would not be seen. Give them all as DatasetPrompts, or divide them apart."
        )


def contents_of(source: PromptSource) -> Contents:
    """What a source's prompts show: listed if it can, otherwise read one by one, and images decoded.

    Of a stored image the stored bytes count, of any other its pixels.
    """
    from mstar.prompts.listed import ListedPrompts  # which gives this as what sources do that know no better

    return source.contents() if isinstance(source, ListedPrompts) else read_contents(source)


def read_contents(source: PromptSource) -> Contents:
    """Digests of all prompts, read one by one; one that cannot be asked has a digest of its own."""
    decoded = False

    def rows() -> Iterator[list[int]]:
        nonlocal decoded
        for index in range(len(source)):
            (prompt,) = read_prompts(source, [index])
            decoded |= bool(prompt.images)
            yield _seen(prompt)

    found = Contents.of(rows())
    return replace(found, decoded=decoded)


def _seen(prompt: Prompt) -> list[int]:
    if prompt.unusable:
        return [digest(b"unusable", prompt.id.encode())]
    seen = [digest(repr((image.mode, image.size)).encode(), image.tobytes()) for image in prompt.images]
    return seen or [asked(prompt.question)]


def asked(question: str) -> int:
    """The digest of a question that shows no image; blanks and case do not tell it from another."""
    words = " ".join(question.lower().split())
    return digest(b"question", words.encode()) if words else NOTHING


def digest(*parts: bytes) -> int:
    """64 bits of a hash.

    >>> digest(b"a", b"b") == digest(b"a", b"b") != digest(b"ab", b"")
    True
    """
    found = hashlib.blake2b(digest_size=8)
    for part in parts:
        found.update(len(part).to_bytes(8, "big"))
        found.update(part)
    return int.from_bytes(found.digest(), "big")
