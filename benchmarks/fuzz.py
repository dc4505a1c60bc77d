"""Random and adversarial responses through graders, step splitter and terminal: no crash, no hang, nothing paid.

``python -m benchmarks.fuzz --minutes 5``. Responses are made of deep nesting, megabytes, towers of powers, controls,
text that runs the other way, emoji, halves of characters and honest statements of random answers, mixed and cut at
random. Each is graded against random references of every type that it knows nothing of, so that "correct" is false;
where a response may hit by chance, as among four choices, it must not be correct for two of them. The last line is
JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable

from mstar.answers import MathVista, Strict, Verifier, verify
from mstar.answers.symbolic import expression
from mstar.answers.symbolic.pool import WorkerPool
from mstar.answers.verify import canonical
from mstar.demo.tiny import build_processor
from mstar.modules.renderer import Renderer
from mstar.steps import step_ends
from mstar.terminal import OBEYED, printable
from mstar.types import Prompt

LIMIT = 30.0  # wall seconds a grading may take: reading a megabyte, a comparison's limit, starting a new worker
MEGABYTE = 1_000_000
VERIFIERS: dict[str, Verifier] = {"strict": Strict(), "stated": verify, "mathvista": MathVista()}

PAIRS = [
    *(("(", ")"), ("[", "]"), ("{", "}"), ("$", "$"), ("**", "**"), ("^{", "}"), ("_{", "}"), ("# Answer\n", "")),
    *((r"\boxed{", "}"), (r"\frac{", "}{2}"), (r"\sqrt{", "}"), (r"\text{", "}"), (r"\left(", r"\right)")),
    ("<answer>", "</answer>"),
]
BOMBS = [
    *("10^{10^{10}}", "9^{9^{9^9}}", r"2^{2^{2^{2^{2^2}}}}", "1e999999999", "0x" + "f" * 500, "9" * 5_000),
    *(r"\sum_{i=1}^{10^{9}} i", r"\prod_{k=1}^{99999} k", r"\int_0^{\infty} e^{x^{x^x}} dx", r"\sqrt[10^9]{2}"),
    *(r"\binom{10^6}{5\cdot 10^5}", "x^" * 300 + "1", "!" * 300, "((1+2)^3)^4!" * 20, "1/" * 400 + "1", "1000000!"),
    r"\frac{1}{0}",
]
STRANGE = [
    *("\x00", "\x1b[2J", "\x07", "\x08", "\u202e", "\u2066", "\u200b", "\ufeff", "\ud800", "\udfff", "\u2028"),
    *("\U000e0041", "\uffff", "🟦", "👨‍👩‍👧‍👦", "e\u0301", "ﷺ", "Ⅶ", "٧", "²", "Ｃ", "А", "⑦", "½", "∞", "−"),
    *("שלום", "مرحبا", "漢字"),
]
WORDS = [
    "because",
    "so",
    "and",
    "or",
    "not",
    "yes",
    "no",
    "is",
    "therefore",
    "Answer:",
    "the_answer_is",
    "cannot_be_determined",
    "A",
    "B",
    "C",
    "D",
    "E",
    "F",
]
FRAMES = [
    "{}",
    "Answer: {}",
    "The answer is {}.",
    r"\boxed{{{}}}",
    "# Answer\n\n{}",
    "<answer>{}</answer>",
    "({})",
    "${}$",
]
NUMBERS = ["{}", "-{}", "{}%", "{},000", "{}.5", "{}/3", "{} cm", "1e{}"]
LETTERS = "bcdfghjklmnpqrstvwxz"


class Maker:
    """Makes responses and references from one source of random numbers.

    Args:
        seed: Of everything made.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def response(self) -> str:
        """A response of one to five pieces, now and then a megabyte."""
        pieces = [self._piece() for _ in range(self.random.randint(1, 5))]
        if self.random.random() < 0.01:
            pieces.append(self._long())
        text = self.random.choice(["", " ", "\n", "\n\n"]).join(pieces)
        framed = self.random.choice(FRAMES).format(text) if self.random.random() < 0.5 else text
        return framed[: self.random.randint(0, len(framed))] if self.random.random() < 0.2 else framed

    def _piece(self) -> str:
        makers: list[Callable[[], str]] = [
            self._nested,
            self._bomb,
            self._noise,
            self._prose,
            self._statement,
            self._characters,
        ]
        return self.random.choice(makers)()

    def _nested(self) -> str:
        depth = self.random.choice([1, 3, 20, 200, 2_000])
        few = [self.random.choice(PAIRS) for _ in range(self.random.choice([1, 1, 2, depth]))]
        order = [few[i % len(few)] for i in range(depth)]
        closed = self.random.choice([depth, depth, depth - 1, 0])
        return "".join(a for a, _ in order) + self._number() + "".join(b for _, b in order[::-1][:closed])

    def _bomb(self) -> str:
        return self.random.choice(["", "+", "x="]) + self.random.choice(BOMBS)

    def _noise(self) -> str:
        return "".join(self.random.choice(STRANGE) for _ in range(self.random.choice([1, 5, 50])))

    def _prose(self) -> str:
        words = (self.random.choice([*WORDS, *"0123456789"]) for _ in range(self.random.randint(1, 60)))
        return " ".join(words).replace("_", " ")

    def _statement(self) -> str:
        return self.random.choice(FRAMES).format(
            self.random.choice([self._number(), self.random.choice("ABCDEF"), "yes"])
        )

    def _characters(self) -> str:
        return "".join(chr(self.random.randrange(0x3000)) for _ in range(self.random.choice([1, 20, 300])))

    def _long(self) -> str:
        opening = [one for pair in PAIRS for one in pair if one]
        piece = self.random.choice([*opening, *STRANGE, "7 or 8 ", "B or C ", " ", ".", "9^{", "because "])
        return piece * (MEGABYTE // len(piece))

    def _number(self) -> str:
        return self.random.choice(["{}", "-{}", "{}%", "{},000", "{}.5", "{}/3", "{} cm", "1e{}"]).format(
            self.random.randrange(1000)
        )

    def references(self) -> list[Prompt]:
        """One prompt of each type whose answer no response can know, and four that share their choices."""
        whole = str(self.random.randrange(10**11, 10**12))
        word = "".join(self.random.choices(LETTERS, k=14))
        labels = ["".join(self.random.choices(LETTERS, k=9)) for _ in range(4)]
        a, b, c = (self.random.randrange(10**5, 10**6) for _ in range(3))
        secret = {
            "integer": whole,
            "float": f"{whole[:6]}.{whole[6:]}",
            "text": word,
            "expression": rf"\frac{{{a}x^{{3}}+{b}}}{{{c}y}}",
            "list": f"[{whole}, {word}]",
            "set": f"{word}, {labels[0]}",
            "interval": f"({a},{a + b})",
            "edit": word,
        }
        made = [Prompt(kind, "?", answer=answer, meta={"answer_type": kind}) for kind, answer in secret.items()]
        return [
            *made,
            *(Prompt(f"choice {i}", "?", answer=label, meta={"choices": labels}) for i, label in enumerate(labels)),
        ]


class Findings:
    """What was wrong, counted, with the first few of each kind shown."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0

    def add(self, kind: str, what: str) -> None:
        """One more of a kind."""
        self.counts[kind] += 1
        if self.counts[kind] <= 5:
            print(f"{kind}: {printable(what[:400])!s}", flush=True)

    def timed(self, name: str, text: str, work: Callable[[], object]) -> object:
        """Do it; a crash or an excess of time is a finding."""
        began = time.monotonic()
        try:
            return work()
        except Exception:
            self.add("crash", f"{name} of {text[:200]!a}\n{traceback.format_exc()[-600:]}")
            return None
        finally:
            seconds = time.monotonic() - began
            self.slowest = max(self.slowest, seconds)
            if seconds > LIMIT:
                self.add("late", f"{name} took {seconds:.1f} s for {len(text):,} characters: {text[:200]!a}")


def grade(text: str, prompts: list[Prompt], findings: Findings) -> Counter[str]:
    """Grade a response against every reference; none may be met, and no two of the choices."""
    verdicts: Counter[str] = Counter()
    for name, verifier in VERIFIERS.items():
        hits = []
        for prompt in prompts:
            judged = findings.timed(f"{name}/{prompt.id}", text, lambda v=verifier, p=prompt: v(text, p).verdict)  # type: ignore[misc]
            verdicts[str(judged)] += 1
            hits += [prompt.id] * (judged == "correct")
        if any(not hit.startswith("choice") for hit in hits) or len(hits) > 1:
            findings.add("false correct", f"{name} calls {text[:200]!a} correct for {hits}")
    for prompt in prompts[:3]:
        findings.timed("canonical", text, lambda p=prompt: canonical(text[:2_000], p))  # type: ignore[misc]
    return verdicts


def split(text: str, renderer: Renderer, findings: Findings) -> None:
    """Split a response into steps: ends rise, end where text does, and each has a token."""
    for separator in ("\n\n", "\n", " "):
        ends = findings.timed("steps", text, lambda s=separator: step_ends(text, s))  # type: ignore[misc]
        if not isinstance(ends, list) or ends != sorted(set(ends)) or (ends and ends[-1] != len(text.rstrip())):
            findings.add("wrong steps", f"{separator!r}: {str(ends)[:100]} of {len(text):,} characters {text[:100]!a}")
        elif len(text) < 20_000 and not any("\ud800" <= c <= "\udfff" for c in text):  # no tokenizer takes halves
            found = findings.timed("step tokens", text, lambda e=ends: renderer.step_ends(text, e))  # type: ignore[misc]
            if found is not None and len(found[1]) != len(ends):  # type: ignore[index]
                findings.add("wrong steps", f"{len(ends)} steps, {len(found[1])} tokens: {text[:100]!a}")  # type: ignore[index]


def show(text: str, findings: Findings) -> None:
    """Make a response printable: nothing is left that a terminal obeys."""
    import unicodedata

    shown = findings.timed("printable", text, lambda: printable(text, keep=""))
    if isinstance(shown, str) and any(unicodedata.category(c) in OBEYED for c in shown[:20_000]):
        findings.add("obeyed", f"{shown[:200]!a}")


def main() -> int:
    """Fuzz for some minutes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    maker, findings, renderer = Maker(asked.seed), Findings(), Renderer(build_processor())
    expression.POOL = WorkerPool(seconds=1.0)  # the mechanism of the usual 5 s, more often
    verdicts: Counter[str] = Counter()
    responses = longest = 0
    end = time.monotonic() + 60 * asked.minutes
    while time.monotonic() < end:
        text = maker.response()
        verdicts += grade(text, maker.references(), findings)
        split(text, renderer, findings)
        show(text, findings)
        responses, longest = responses + 1, max(longest, len(text))
    expression.POOL.close()
    result = {
        "responses": responses,
        "gradings": sum(verdicts.values()),
        "longest": longest,
        "crashes": findings.counts["crash"],
        "over_the_limit": findings.counts["late"],
        "slowest_seconds": round(findings.slowest, 2),
        "limit_seconds": LIMIT,
        "false_correct": findings.counts["false correct"],
        "wrong_steps": findings.counts["wrong steps"],
        "obeyed": findings.counts["obeyed"],
        "verdicts": dict(verdicts),
    }
    print(json.dumps(result))
    return int(sum(findings.counts.values()) > 0)


if __name__ == "__main__":
    sys.exit(main())
