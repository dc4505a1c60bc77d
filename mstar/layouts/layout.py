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
    cot: str | None = None
    """A worked response to it."""
    others: Mapping[str, Any] | None = None
    """What verifiers are to read, where it is in columns that the data set names as they do."""

    @property
    def question_type(self) -> str:
        """MathVista's name: ``multi_choice`` or ``free_form``."""
        return "multi_choice" if self.choices else "free_form"

    @property
    def meta(self) -> dict[str, Any]:
        """What verifiers read, under MathVista's names."""
        if self.others is not None:
            return dict(self.others)
        return {
            "choices": list(self.choices) or None,
            "answer_type": self.answer_type,
            "precision": self.precision,
            "unit": self.unit,
            "question_type": self.question_type,
            **({"repeats": self.repeats} if self.repeats else {}),
        }


@dataclass(frozen=True)
class Clip:
    """A video, of which a row shows some frames."""

    stored: Any
    """A folder of frames, a file that moves, or its bytes; as a cell holds it."""
    num_frames: int


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

    @property
    def needs(self) -> tuple[str, ...]:
        """The data set's names of all columns that are read."""
        named = (column for column in (*self.ids, self.image, *self.columns.values()) if column is not None)
        return tuple(dict.fromkeys(named))

    @property
    def naming(self) -> tuple[str, ...]:
        """The data set's names of the columns that ids are made of."""
        return self.ids

    def name(self, row: Mapping[str, Any], number: int) -> str:
        """The row's id."""
        return "/".join(str(row[column]) for column in self.ids) if self.ids else str(number)

    def shown(self, row: Mapping[str, Any]) -> Sequence[Any]:
        """What the row shows, in order: images as they are stored, or their paths, or a `Clip`."""
        return () if self.image is None else listed(row[self.image] or None)


def listed(value: Any) -> Sequence[Any]:
    """The images of a cell that holds none, one or several.

    >>> listed(None), listed("a.png"), listed(["a.png", "b.png"])
    ((), ('a.png',), ['a.png', 'b.png'])
    """
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def unmarked(text: str, num_images: int, mark: str = "<image>") -> str:
    """A text without the marks of its images, which are shown before it; inside a sentence they become words.

    Raises:
        ValueError: If it has marks, but not one for each image.

    >>> unmarked("<image>\\n<image>\\nWhich is larger?", 2)
    'Which is larger?'
    >>> unmarked("Is <image> larger than <image>?", 2)
    'Is image 1 larger than image 2?'
    """
    pieces = text.split(mark)
    if len(pieces) - 1 not in (0, num_images):
        raise ValueError(
            f"its text has {len(pieces) - 1} {mark} marks, but there are {num_images} images; each needs one, or none"
        )
    said = [number for number, piece in enumerate(pieces) if piece.strip()] or [0]
    words = [pieces[said[0]]]
    for number in range(said[0] + 1, said[-1] + 1):
        words += [f"image {number}" if num_images > 1 else "the image", pieces[number]]
    return "".join(words).strip()


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
