"""The number that a sentence says of its subject."""

from __future__ import annotations

import re

from mstar.answers.plain import plain
from mstar.answers.prose.sentences import asked, stem
from mstar.answers.prose.spoken import NUMBER, numbers, spoken

BECAUSE = re.compile(
    r"[,;(]?\s*\b(?:because|since|as (?:the|there|it)|where|while|whereas|with (?:a|an|the)|given that|when|if"
    r"|which(?! (?:gives?|equals?|is equal|makes|comes|results|leaves|would)\b)"
    r"|assuming|rounded|to the nearest|compared|out of)\b",
    re.IGNORECASE,
)
BOLD = re.compile(r"\*\*(.+?)\*\*")
STRONG = re.compile(
    r"(?P<verb>\b(?:is|are|was|were|be|equals?(?: to)?|has|have|had|shows?|represents?|costs?|needs?|get|gets|becomes?"
    r"|makes?|gives?|contains?|received?|remain(?:s|ing)?|left with|about|approximately|around|of)\b|[=≈:：是为])"
    r"(?:\s+(?:a|an|the|about|approximately|around|roughly|only|also|just|exactly|equal|to|at|of|total|recorded"
    r"|in|that|be|by|number|value|there|are|is|year|currently|now|therefore|still|less|more|than|score))*\s*$",
    re.IGNORECASE,
)
OPERAND = re.compile(r"\s*[%°]?\s*(?:[+*×÷/=^(±]|-(?![A-Za-z])|\bx\b|(?:plus|minus|times|divided)\b)")
ASKED_NOUN = re.compile(r"\b(?:which|what)\s+(?:is the\s+)?([a-z]{3,})", re.IGNORECASE)
COUNTED_NOUN = re.compile(
    r"\bhow many\s+(?:[\w'-]+\s+){0,3}?([\w'-]+s|people|children|men|women)\b",
    re.IGNORECASE,
)
PART_OF = re.compile(r"\b(?:of|among|between)\s+(?:the|these|those|all)\s+$", re.IGNORECASE)
TIME = re.compile(r"\b(?:which|what) year\b|^when\b|\bin which year", re.IGNORECASE)
YEAR = re.compile(r"(?:1[5-9]|20)\d\d")


def said_number(sentence: str, question: str = "") -> str | None:
    """The number a sentence says of its subject.

    Heard are, in this order: the number beside the noun that the question asks for or counts, the bold one, the one
    behind the last "=" or the verb, the only one, the only one that is not in the question.
    """
    if TIME.search(asked(question)):
        years = [number for number in numbers(sentence) if YEAR.fullmatch(number)]
        return years[0] if len(set(years)) == 1 else None
    if beside := _beside_noun(sentence, asked(question)):
        return beside
    for part in (*BOLD.findall(sentence)[-1:], _main(sentence)):
        found = _results(plain(part))
        if len(set(found)) == 1:
            return found[0]
        if said := _strong(plain(part)):
            return said
        if len(fresh := set(found) - set(numbers(question))) == 1:
            return fresh.pop()
    return None


def _beside_noun(sentence: str, question: str) -> str | None:
    clean = plain(sentence)
    if noun := COUNTED_NOUN.search(question):
        thing = stem(noun[1].casefold())
        found = {
            spoken(number)
            for number in NUMBER.finditer(clean)
            if any(stem(word) == thing for word in re.findall(r"[a-z'-]+", clean[number.end() :].casefold())[:4])
            and not OPERAND.match(clean[number.end() :])
            and not PART_OF.search(clean[: number.start()])
        }
        return found.pop() if len(found) == 1 else None
    known = numbers(question)
    if (noun := ASKED_NOUN.search(question)) and noun[1].casefold() not in ("number", "the"):
        found = {
            spoken(number)
            for number in NUMBER.finditer(clean)
            if clean[: number.start()].rstrip().casefold().endswith(noun[1].casefold()) and spoken(number) not in known
        }
        return found.pop() if len(found) == 1 else None
    return None


def _main(sentence: str) -> str:
    """The sentence without what explains it."""
    first = NUMBER.search(sentence)
    cut = BECAUSE.search(sentence, first.end()) if first else None
    return sentence[: cut.start()] if cut else sentence


def _results(sentence: str) -> list[str]:
    """The numbers that nothing is calculated with, and that are not what something is a part of."""
    return [
        spoken(number)
        for number in NUMBER.finditer(sentence)
        if not OPERAND.match(sentence[number.end() :]) and not PART_OF.search(sentence[: number.start()])
    ]


def _strong(sentence: str) -> str | None:
    """The one number that stands behind a verb, else behind the last equals sign."""
    verbs: list[str] = []
    equals: list[str] = []
    for number in NUMBER.finditer(sentence):
        said = STRONG.search(sentence[: number.start()])
        if said and not PART_OF.search(sentence[: number.start()]) and not OPERAND.match(sentence[number.end() :]):
            (equals if said["verb"] in "=≈" else verbs).append(spoken(number))
    if len(set(verbs)) == 1:
        return verbs[0]
    return equals[-1] if equals and not verbs else None
