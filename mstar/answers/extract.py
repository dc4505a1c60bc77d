"""Find the final answer a response states; never guess one."""

from __future__ import annotations

import re

from mstar.answers.boxed import last_boxed

MARKER = re.compile(r"#+ ?Answer\b:?")
STATED = re.compile(
    r"\b(?:answer|(?:correct|right|best)\s+(?:option|choice|response|statement)|(?:correct|right)\s+one)(?:\*\*)?"
    r"(?:\s+(?:to|for|in|of|choice|option)\s(?:\"[^\"\n]{0,300}\"|[^.:\n\"]){0,200}?)?\s*"
    r"((?:is|would\s+be|will\s+be|should\s+be|must\s+be)\b\s*:?|:)(?:\*\*)?\s*"
    r"|\bans\s*[:.]\s*|(?:答案应?[是为:：]|故选|应选)[:：]?\s*",
    re.IGNORECASE,
)
FILLER = re.compile(
    r"(?:(?:therefore|thus|then|hence|still|definitely|clearly|certainly|simply|indeed|also|most likely|likely|probably"
    r"|just|actually|approximately|about|around)\b,?\s+)+(?=\S)",
    re.IGNORECASE,
)
SENTENCE_END = re.compile(r"(?<!\bSt)(?<!\bMr)(?<!\bDr)\.\**\s+(?=[A-Z])")
BOX_TAG = re.compile(r"<\|begin_of_box\|>(.*?)<\|end_of_box\|>|<answer>(.*?)</answer>", re.DOTALL)


def extract_answer(text: str) -> str | None:
    r"""Give the stated final answer, or ``None``.

    In this order: what follows the last ``# Answer`` (the paper's format), the last ``\boxed{…}`` with its braces
    matched, the last ``<answer>…</answer>``, the last "Answer: …" up to the end of its line or "the answer is …", "the
    correct option is …" up to the end of its sentence. A number that merely comes last is not an answer: for rewards,
    guessing makes false positives. Where the last statement breaks off, an earlier one does not count.

    >>> extract_answer("4+0=4\n\n# Answer\n\n4")
    '4'
    >>> extract_answer(r"so \boxed{\frac{1}{2}}")
    '\\frac{1}{2}'
    >>> extract_answer("6+5=11\nAnswer: 4,11")
    '4,11'
    >>> extract_answer("it is 11") is None
    True
    """
    marked = MARKER.split(text) if "# Answer" in text or "#Answer" in text else [text]
    boxed = last_boxed(marked[-1])
    if boxed is not None:
        return boxed.strip() or None
    if len(marked) > 1:
        return marked[-1].strip() or None
    return _tagged(text) if "<" in text and BOX_TAG.search(text) else _stated(text)


def _tagged(text: str) -> str | None:
    *_, last = BOX_TAG.finditer(text)
    return (last[1] or last[2] or "").strip() or None


def stated(text: str) -> list[str]:
    """Everything that a text calls its answer, in order; empty where a statement breaks off.

    >>> stated("The answer is 3. No, the correct option is therefore (B).")
    ['3', '(B)']
    """
    found = [*STATED.finditer(text)]
    starts = [*(later.start() for later in found[1:]), len(text)]
    return [_phrase(one[1], text[one.end() : starts[i]]) for i, one in enumerate(found)]


def _stated(text: str) -> str | None:
    last = None
    for last in STATED.finditer(text):  # noqa: B007 (the last one is wanted)
        pass
    return None if last is None else _phrase(last[1], text[last.end() :]) or None


def _phrase(verb: str | None, rest: str) -> str:
    line = rest.split("\n", 1)[0]
    answer = line if verb == ":" else SENTENCE_END.split(line)[0].split("。")[0]
    answer = answer.strip()
    filler = FILLER.match(answer)
    return (answer[filler.end() :] if filler else answer).strip().removesuffix(".").strip()
