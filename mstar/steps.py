"""Where the reasoning steps of a response end."""

from __future__ import annotations

ANSWER_MARKER = "# Answer"


def step_ends(text: str, separator: str = "\n\n") -> list[int]:
    """Positions behind each step's last character.

    Steps are what the separator separates; empty ones do not count. The answer marker and what follows are one step,
    as in B-STaR's scoring (the paper does not state it).

    >>> text = "Read 4 and 0.\\n\\n4+0=4\\n\\n# Answer\\n\\n4"
    >>> [text[:end][-2:] for end in step_ends(text)]
    ['0.', '=4', '\\n4']
    """
    marker = text.rfind(ANSWER_MARKER)
    body, tail = (text, "") if marker < 0 else (text[:marker], text[marker:])
    ends, position = [], 0
    for piece in body.split(separator):
        stripped = piece.rstrip()
        if stripped:
            ends.append(position + len(stripped))
        position += len(piece) + len(separator)
    return [*ends, len(text.rstrip())] if tail.strip() else ends
