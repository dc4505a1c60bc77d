"""Find the final answer a response states; never guess one."""

from __future__ import annotations

import re

from mstar.answers.boxed import last_boxed

MARKER = re.compile(r"#+ ?Answer\b:?")
STATED = re.compile(
    r"(?<!\b[A-Z] is the )\b(?:answer|solution(?=\s+is\b)|final\s+(?:value|result)"
    r"|(?:correct|right|best)\s+(?:option|choice|response|statement|one)(?:\s+letter)?)(?:\*\*)?"
    r"(?:\s+(?:to|for|in|of|choice|option)\s(?:\"[^\"\n]{0,300}\"|[^.:\n\"]){0,200}?)?\s*"
    r"(\b(?:is|would\s+be|will\s+be|should\s+be|must\s+be)\b\s*:?|:)(?:\*\*)?\s*"
    r"|\bans\s*[:.]\s*|(?:(?:答案|选项)应?该?[是为:：]|故选|(?<!对)应选)[:：]?(?:选项)?\s*",
    re.IGNORECASE,
)
UNDECIDED = re.compile(
    r"\b(?:cannot|can't|can not|could not|couldn't|impossible to|not possible to|unable to|difficult to)\s+(?:be\s+)?"
    r"(?:\w+\s+)?(?:determined?|answer(?:ed)?|calculated?|provided?|found|find|known|solved?|tell)\b"
    r"|\b(?:not enough|insufficient|no) information\b|\binconclusive\b|无法确定",
    re.IGNORECASE,
)
"""A response that says this behind a statement takes it back: "…, the answer is (A). But that cannot be determined"."""
FILLER = re.compile(
    r"(?:(?:therefore|thus|then|hence|still|definitely|clearly|certainly|simply|indeed|also|most likely|likely|probably"
    r"|just|actually|approximately|about|around)\b,?\s+)+(?=\S)",
    re.IGNORECASE,
)
SENTENCE_END = re.compile(r"(?<!\bSt)(?<!\bMr)(?<!\bDr)\.\**\s+(?=[A-Z])|。")
READ = 100_000
"""Characters of a response that are read: its last ones. What is longer repeats itself."""
TAGS = (("<|begin_of_box|>", "<|end_of_box|>"), ("<answer>", "</answer>"))


def extract_answer(text: str) -> str | None:
    r"""Give the stated final answer, or ``None``.

    In this order: what follows the last ``# Answer`` (the paper's format), the last ``\boxed{…}`` with its braces
    matched, the last ``<answer>…</answer>``, the last "Answer: …" up to the end of its line or "the answer is …", "the
    correct option is …" up to the end of its sentence. A number that merely comes last is not an answer: for rewards,
    guessing makes false positives. Where the last statement breaks off, an earlier one does not count, and none does
    before "it cannot be determined".

    >>> extract_answer("4+0=4\n\n# Answer\n\n4")
    '4'
    >>> extract_answer(r"so \boxed{\frac{1}{2}}")
    '\\frac{1}{2}'
    >>> extract_answer("6+5=11\nAnswer: 4,11")
    '4,11'
    >>> extract_answer("it is 11") is None
    True
    """
    text = text[-READ:]
    marked = MARKER.split(text) if "# Answer" in text or "#Answer" in text else [text]
    boxed = last_boxed(marked[-1])
    if boxed is not None:
        return boxed.strip() or None
    if len(marked) > 1:
        return marked[-1].strip() or None
    tagged = _tagged(text) if "<" in text else None
    return _stated(text) if tagged is None else tagged or None


def _tagged(text: str) -> str | None:
    """What stands in the last pair of tags around an answer."""
    for opening, closing in TAGS:
        end = text.rfind(closing)
        start = text.rfind(opening, 0, max(end, 0))
        if start >= 0:
            return text[start + len(opening) : end].strip()
    return None


def stated(text: str) -> list[str]:
    """Everything that a text calls its answer and does not take back, in order; empty where a statement breaks off.

    >>> stated("The answer is 3. No, the correct option is therefore (B).")
    ['3', '(B)']
    """
    found = [*STATED.finditer(text)]
    starts = [*(later.start() for later in found[1:]), len(text)]
    phrases = (_phrase(text, one.end(), starts[i], one[1] == ":") for i, one in enumerate(found))
    doubt = max((doubted.start() for doubted in UNDECIDED.finditer(text)), default=-1)
    return [phrase for phrase, end in phrases if end > doubt]


def _stated(text: str) -> str | None:
    last = None
    for last in STATED.finditer(text):  # noqa: B007 (the last one is wanted)
        pass
    if last is None:
        return None
    phrase, end = _phrase(text, last.end(), len(text), last[1] == ":")
    return None if UNDECIDED.search(text, end) else phrase or None


def _phrase(text: str, start: int, end: int, line: bool) -> tuple[str, int]:
    """What is stated from ``start`` to the end of its line or sentence, and where that is."""
    newline = text.find("\n", start, end)
    end = newline if newline >= 0 else end
    if not line and (stop := SENTENCE_END.search(text, start, end)):
        end = stop.start()
    answer = text[start:end].strip()
    filler = FILLER.match(answer)
    return (answer[filler.end() :] if filler else answer).strip().removesuffix(".").strip(), end
