"""The face of a layout: how a data set writes a question down."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any


@dataclass(frozen=True)
class Question:
    """A row as its layout understands it."""

    text: str
    """The question without its choices."""
    published: str
    """The question as the data set words it."""
    answer: str | None
    """As published: a letter, the text of a choice, a number; ``None`` if the data set keeps it back."""
    choices: tuple[str, ...] = ()
    """Texts of the choices; empty for a free-form question."""
    kind: str = ""
    """Sub-task, as published."""
    context: str = ""
    """What the data set wants said before the question."""
    answer_type: str | None = None
    """MathVista's ``text``, ``integer``, ``float`` or ``list``; ``None`` where the data set does not say."""
    precision: int | None = None
    """Decimal places of a float."""
    unit: str | None = None
    repeats: str = ""
    """Id of the question that this row asks again with its choices rotated; empty for the question itself."""

    @property
    def question_type(self) -> str:
        """MathVista's name: ``multi_choice`` or ``free_form``."""
        return "multi_choice" if self.choices else "free_form"


class Layout(ABC):
    """Reads the rows of one layout family.

    Args:
        id: Column, or columns joined by ``/``, that name a row; ``None`` takes the row's number in the file.
        image: Column of the image, or of a list of them; ``None`` if there are none.
    """

    def __init__(self, id: str | Sequence[str] | None, image: str | None) -> None:
        self.ids = () if id is None else (id,) if isinstance(id, str) else tuple(id)
        self.image = image

    @property
    @abstractmethod
    def columns(self) -> dict[str, str | None]:
        """Our name and the data set's name of every column that is read, but for ids and image; ``None``: not there."""

    @abstractmethod
    def read(self, row: Mapping[str, Any]) -> Question:
        """Understand a row.

        Raises:
            ValueError: If it is not laid out so; the message says what is wrong, the caller names the row.
        """

    def skip(self, row: Mapping[str, Any]) -> str:
        """Why a row is no question of its own; empty for all that are."""
        return ""

    def name(self, row: Mapping[str, Any], number: int) -> str:
        """The row's id."""
        return "/".join(str(row[column]) for column in self.ids) if self.ids else str(number)


def text_of(value: Any) -> str:
    """A cell as text; nothing for ``None`` and for the ``nan`` that pandas leaves in empty cells.

    >>> text_of(" so "), text_of(None), text_of("nan")
    ('so', '', '')
    """
    text = "" if value is None else str(value).strip()
    return "" if text == "nan" else text


def letter_answer(answer: str, choices: Sequence[str]) -> str:
    """The reference of a question whose answer is published as a letter.

    The letter, unless choices are letters themselves (labels in a diagram): then the text it stands for.

    Raises:
        ValueError: If no choice has the letter.

    >>> letter_answer("B", ["3", "7"]), letter_answer("B", ["Q", "A"])
    ('B', 'A')
    """
    letter = answer.strip().strip("()").upper()
    index = ascii_uppercase.find(letter) if len(letter) == 1 else -1
    if not 0 <= index < len(choices):
        raise ValueError(f"its answer {answer!r} is the letter of none of its {len(choices)} choices")
    lettered = any(len(choice.strip()) == 1 and choice.strip().isalpha() for choice in choices)
    return choices[index] if lettered else letter


def listed_choices(value: Any) -> tuple[str, ...]:
    """The choices of a cell that lists them; none for an empty one.

    Raises:
        ValueError: If it is no list.
    """
    if value is not None and not isinstance(value, list | tuple):
        raise ValueError(f"its choices are {value!r}, which is no list; InlineChoices reads choices from a text")
    return tuple(str(choice) for choice in value or ())
