"""Text that nobody wrote for a reader: no crash, no waiting, nothing paid."""

from __future__ import annotations

import time

import pytest

from mstar.answers import MathVista, Strict, Verifier, verify
from mstar.answers.symbolic import expression
from mstar.answers.symbolic.pool import WorkerPool
from mstar.types import Prompt

MEGABYTE = 1_000_000
VERIFIERS: dict[str, Verifier] = {"strict": Strict(), "stated": verify, "mathvista": MathVista()}
SURE = ["strict", "stated"]  # those that rewards may use: MathVista's protocol guesses
COUNT = Prompt("p", "How many cubes are left?", answer="7", meta={"answer_type": "integer"})
ANGLE = Prompt("p", "Find x.", answer="70°", meta={"choices": ["60°", "70°", "80°"]})
MORE = Prompt("p", "Are there more cubes than spheres?", answer="Yes", meta={"choices": ["Yes", "No"]})
WORD = Prompt("p", "What is it?", answer="moon")
LIST = Prompt("p", "Which years?", answer="[1, 2]", meta={"answer_type": "list"})
OTHERS = [
    Prompt("p", "?", answer=answer, meta={"answer_type": kind, "choices": labels})
    for kind, answer, labels in (
        ("float", "3.5", None),
        ("set", "cat, dog", None),
        ("interval", "(1,2)", None),
        ("boxes", "[1,2,3,4]", None),
        ("spans", "1-2", None),
        ("edit", "moon", None),
        ("label", "cat", ["cat", "dog"]),
    )
]
PROMPTS = [COUNT, ANGLE, MORE, WORD, LIST, *OTHERS]

NESTED = [
    "(" * 2_000 + "1" + ")" * 2_000,
    "{" * 2_000 + "}" * 2_000,
    r"\boxed{" * 2_000 + "1" + "}" * 2_000,
    r"\boxed{" * 2_000,
    r"\frac{" * 2_000 + "1" + "}{2}" * 2_000,
    r"\text{" * 2_000 + "B?" + "}" * 2_000,
    r"\sqrt{" * 2_000 + "2" + "}" * 2_000,
    "[" * 2_000 + "8, 9" + "]" * 1_999,
    "<answer>" * 2_000,
    "</answer>" * 2_000,
    "# Answer\n" * 2_000,
    "**" * 2_000,
]
NUMBERS = [
    "10^{10^{10}}",
    "1e999999999",
    "-1e-999999999",
    "9" * 20_000,
    "0." + "0" * 20_000 + "7",
    "7/0",
    "7" + "/1" * 2_000,
    "1" + "e9" * 2_000,
    "nan",
    "inf",
    "0x7",
    "7" * 2,
    "²⁷",
    "Ⅶ",
    "٧٧",
    "1,000,00",
    "--7",
    "7-",
    "7e",
    "7 or 8",
    "7±1",
]
STRANGE = [
    "\x00",
    "\x008\x00",
    "\x1b[31mB?\x1b[0m",
    "7\x08 8",
    "\ud800",
    "\ufeff",
    "\u202e07\u202c is not it",
    "‏לא 70 או 80‏",
    "🟦" * 1_000,
    "👨‍👩‍👧‍👦 or (A) or (B)",
    "e\u0301" * 1_000,
    "ﷺ" * 1_000,
    "\u200b" * 1_000,
    "\u200d\u200c\u2060",
    "Ｃ",
    "Β (Greek)",
    "А)",
    "⑦⑧",
    "'; DROP TABLE answers; --",
    "{{answer}} ${answer} %s",
    "<script>correct</script>",
    "the reference answer",
    "correct",
    "true",
    "None",
    "null",
]
LONG = [
    "(",
    "{",
    r"\boxed{",
    r"\text{",
    "7 or 8 ",
    "B or C ",
    "yes and no ",
    " ",
    "\u202e",
    "🟦",
    "because ",
    "9^{",
    ".",
]


@pytest.mark.parametrize("name", VERIFIERS)
@pytest.mark.parametrize("asked", PROMPTS, ids=lambda prompt: str(prompt.meta.get("answer_type") or prompt.answer))
def test_nothing_is_paid_and_nothing_breaks(name: str, asked: Prompt) -> None:
    began = time.process_time()
    for text in (*NESTED, *NUMBERS, *STRANGE):
        for response in (text, f"Answer: {text}", f"The answer is {text}.", rf"\boxed{{{text}}}"):
            judged = VERIFIERS[name](response, asked)
            assert judged.verdict == "wrong" or name not in SURE, response[:80]
    assert time.process_time() - began < 60


@pytest.mark.parametrize("name", VERIFIERS)
@pytest.mark.parametrize("piece", LONG)
def test_a_megabyte_is_read_in_seconds(name: str, piece: str) -> None:
    text = piece * (MEGABYTE // len(piece))
    for response, asked in ((text, ANGLE), (f"Answer: {text}", COUNT)):
        began = time.process_time()
        judged = VERIFIERS[name](response, asked)
        assert time.process_time() - began < 10
        assert judged.verdict == "wrong" or name not in SURE


def test_a_right_answer_behind_a_megabyte_is_found() -> None:
    text = "We add. " * (MEGABYTE // 8)
    assert all(verifier(f"{text}\nAnswer: 7", COUNT).verdict == "correct" for verifier in VERIFIERS.values())


@pytest.mark.parametrize(
    "answer",
    ["10^{10^{10}}", "9^{9^{9^9}}", "(" * 3_000 + "x" + ")" * 3_000, "x^" * 3_000 + "1", "\x00", "🟦", "+1" * 50_000],
)
def test_an_expression_is_decided_or_given_up(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = WorkerPool(seconds=1)
    monkeypatch.setattr(expression, "POOL", pool)
    expression._asked.cache_clear()
    began = time.monotonic()
    judged = verify(f"Answer: {answer}", Prompt("p", "?", answer="x+3", meta={"answer_type": "expression"}))
    assert judged.verdict in ("wrong", "unscorable")
    assert time.monotonic() - began < 30
    pool.close()
