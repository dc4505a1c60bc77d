"""A column for each of our fields: the field map of a data set, written down in YAML."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from string import Formatter
from typing import Any

from mstar.layouts.layout import Clip, Layout, Question, listed, unmarked

OURS = ("id", "question", "images", "video", "answer", "kind", "cot")


class Columns(Layout):
    """Reads rows whose question, answer and images have columns of their own.

    Args:
        fields: Column of each of our fields (``id``, ``question``, ``images``, ``video``, ``answer``, ``kind``,
            ``cot``), where it is not called the same; or a text with columns in braces, ``images/{image_id}.png``.
        there: Columns of the data set.
        path: Where it comes from, for messages.
        num_frames: Frames of a video that are shown.

    Raises:
        ValueError: If ``fields`` names what does not exist, there is no question, or images are not mapped.
    """

    def __init__(self, fields: Mapping[str, str], there: Collection[str], path: str, num_frames: int = 8) -> None:
        super().__init__(None, None)
        self._check(fields, there, path)
        found = {ours: fields.get(ours, ours) for ours in OURS}
        self.fields = {ours: named for ours, named in found.items() if set(mentioned(named)) <= set(there)}
        self.num_frames = num_frames
        self.used = tuple(column for named in self.fields.values() for column in mentioned(named))
        self.there = tuple(there)

    @property
    def columns(self) -> dict[str, str | None]:
        """All: what is not ours is kept for verifiers."""
        return {column: column for column in self.there}

    def read(self, row: Mapping[str, Any]) -> Question:
        """Understand a row.

        Raises:
            ValueError: If the question is empty or its marks are not those of its images.
        """
        asked = self._text(row, "question") or ""
        if not asked.strip():
            raise ValueError(f"{self.fields['question']!r} is empty; fill it in")
        images = listed(self._value(row, "images"))
        return Question(
            text=asked,
            published=unmarked(asked, len(images)) if "images" in self.fields and "<image>" in asked else asked,
            answer=self._text(row, "answer"),
            kind=self._text(row, "kind") or "",
            cot=self._text(row, "cot"),
            others={column: value for column, value in row.items() if column not in self.used},
        )

    def name(self, row: Mapping[str, Any], number: int) -> str:
        """The row's id, or its number if ids are not mapped."""
        return str(self._value(row, "id")) if "id" in self.fields else str(number)

    @property
    def naming(self) -> tuple[str, ...]:
        """Columns that ids are made of."""
        return mentioned(self.fields["id"]) if "id" in self.fields else ()

    def shown(self, row: Mapping[str, Any]) -> Sequence[Any]:
        """The row's images, and the frames of its video behind them."""
        video = self._value(row, "video")
        return [*listed(self._value(row, "images")), *([Clip(video, self.num_frames)] if video is not None else [])]

    def _value(self, row: Mapping[str, Any], ours: str) -> Any:
        named = self.fields.get(ours)
        if named is None or "{" not in named:
            return None if named is None else row[named]
        cells = {column: row[column] for column in mentioned(named)}
        return None if None in cells.values() else named.format(**cells)

    def _text(self, row: Mapping[str, Any], ours: str) -> str | None:
        value = self._value(row, ours)
        return None if value is None else str(value)

    @staticmethod
    def _check(fields: Mapping[str, str], there: Collection[str], path: str) -> None:
        have = list(there)
        if unknown := set(fields) - set(OURS):
            raise ValueError(f"DatasetPrompts.fields names {sorted(unknown)}; our fields are {', '.join(OURS)}.")
        for ours, named in {"question": "question", **fields}.items():
            for column in mentioned(named):
                if column not in have:
                    hint = "; or say how it is written: layout" if ours == "question" else ""
                    raise ValueError(
                        f"{path} has no column {column!r} for {ours!r}; its columns are {have}. Map it: "
                        f"fields: {{{ours}: COLUMN}}{hint}."
                    )
        for column, ours in (("image", "images"), ("video", "video")):
            if column in have and ours not in have and ours not in fields:
                raise ValueError(
                    f"{path} has a column {column!r} that no prompt would show. Map it: fields: {{{ours}: {column}}}."
                )


def mentioned(named: str) -> tuple[str, ...]:
    """The columns that a field is made of.

    Raises:
        ValueError: If braces do not match, or hold something else than a column's name.

    >>> mentioned("image"), mentioned("images/{split}/{id}.png")
    (('image',), ('split', 'id'))
    """
    if "{" not in named and "}" not in named:
        return (named,)
    try:
        parts = [(name, spec, change) for _, name, spec, change in Formatter().parse(named) if name is not None]
    except ValueError as error:
        raise ValueError(f"fields: {named!r} has braces that do not match ({error}); write {{COLUMN}}.") from error
    if not parts or any(not name or set(name) & set(".[") or spec or change for name, spec, change in parts):
        raise ValueError(f"fields: {named!r} should have columns in its braces, and nothing else: {{COLUMN}}.")
    return tuple(name for name, _, _ in parts)
