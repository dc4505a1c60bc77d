"""The sentences of a response that may say something about the answer."""

from __future__ import annotations

import re

END = re.compile(
    r"(?<!\bSt)(?<!\bMr)(?<!\bDr)(?<!\bNo)(?<!\bvs)(?<!\bi\.e)(?<!\be\.g)(?<=[.!?。])[\"')*]*\s+(?=\S)|\n+|(?<=。)"
)
POLITE = re.compile(
    r"\W*(?:sure\b|certainly|of course|i hope|i see the image|i understand|let me know|is there anything|do you have"
    r"|would you like|please let|feel free|if you have|thank|great question|here is|here's|here are"
    r"|(?:this is )?the end\b|note:?\b|explanation\s*:?\W*$|solution\s*:?\W*$)",
    re.IGNORECASE,
)
COLON = re.compile(r":\**[^\S\n]*\n\s*")  # what follows a colon belongs to its sentence
DRAWN = re.compile(r"\[asy\](?s:.*?)(?:\[/asy\]|\Z)|^[^\n]*\|[^\n]*$|^[^\S\n]*```[^\n]*$", re.MULTILINE)
WORD = re.compile(r"[^\W\d_]{2,}|\b[a-z]\b")
THEREFORE = re.compile(
    r"\b(?:therefore|thus|hence|so|in conclusion|in summary|finally|in total|we get|(?:the )?answer)\b|^=|∴|所以|因此",
    re.IGNORECASE,
)
LONGEST = 2_000
"""Characters of a sentence; a longer one is a degenerate response, and reading it would take its length squared."""
MOST = 200
"""Sentences that are read of one response: the first quarter of them, and the last ones."""
SAYING = re.compile(r"[^\W_]|_{2}|[=≈]")
TURN = re.compile(r"(?<=\S)\n\s*(?:#+\s*)?(?:Human|User|Question|Q|Instruction)\s*:")
ASIDE = re.compile(r"\(unit[^)]*\)", re.IGNORECASE)
# fmt: off
COMMON = frozenset([
    "a", "an", "and", "answer", "are", "as", "at", "be", "between", "by", "can", "did", "do", "does", "figure",
    "find", "following", "for", "from", "given", "had", "has", "have", "how", "if", "image", "in", "is", "it", "its",
    "m", "many", "may", "much", "number", "of", "on", "or", "picture", "please", "question", "s", "shown", "shows", "t",
    "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "value", "was", "were",
    "what", "which", "will", "with", "would", "you",
])
# fmt: on


def sentences(text: str) -> list[str]:
    """Split a response into sentences and lines; courtesies, tables, drawings and endless ones are left out.

    >>> sentences("Sure, I can help. There are 3 dots. So 3 remain.\\nI hope this helps!")
    ['There are 3 dots.', 'So 3 remain.']
    """
    if "|" in text or "```" in text or "[asy]" in text:
        text = DRAWN.sub("\n", text)
    text = COLON.sub(": ", text)
    parts = [part for part in END.split(text) if SAYING.search(part)]
    kept = parts if len(parts) <= MOST else parts[: MOST // 4] + parts[-3 * MOST // 4 :]
    return [said.strip() for said in kept if len(said) <= LONGEST and not POLITE.match(said)]


def first_turn(text: str) -> str:
    """A response up to where it starts to write the other side of the conversation too.

    >>> first_turn("B\\nHuman: What is next?")
    'B'
    """
    return TURN.split(text, maxsplit=1)[0] if ":" in text else text


def content(text: str) -> frozenset[str]:
    """The words of a text that carry it, in lower case and without their endings.

    >>> sorted(content("How many objects are left?"))
    ['left', 'object']
    """
    return frozenset(stem(word) for word in WORD.findall(text.casefold()) if word not in COMMON)


def stem(word: str) -> str:
    """A word without the ending of a plural or a tense, roughly."""
    for ending in ("ing", "ies", "es", "ed", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def asked(question: str) -> str:
    """The last sentence of a question: what it asks for.

    >>> asked("Subtract all cubes. How many objects are left?")
    'How many objects are left?'
    """
    bare = ASIDE.sub("", question)
    said = [part for part in re.split(r"(?<=[.!?])\s+|\n+", bare) if content(part)]
    return said[-1] if said else question
