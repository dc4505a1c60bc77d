"""`mstar grade`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mstar.answers.mathvista import MathVista
from mstar.answers.verifier import Strict, Verifier
from mstar.answers.verify import verify
from mstar.files import write_atomically
from mstar.grading.files import GradeError
from mstar.grading.records import read_questions, read_responses
from mstar.grading.report import Graded, remarks, summary, table
from mstar.types import Prompt

PROTOCOLS: dict[str, Verifier] = {"strict": Strict(), "mathvista": MathVista(), "stated": verify}
DESCRIPTION = """\
Grade recorded responses, and measure the grader where verdicts are recorded too.

  mstar grade questions.jsonl responses.jsonl
  mstar grade questions.parquet responses.jsonl.gz --protocol mathvista --out graded.jsonl

QUESTIONS has a row a question (pid, question, answer; choices, question_type,
answer_type, precision, unit, task), RESPONSES a row a response (pid, response;
model, correct). Both are JSONL or Parquet files, gzip-compressed or not.

protocols:
  strict     what is stated, else what is concluded beyond doubt; never a guess
  mathvista  the official protocol, with rules for its language model and the
             nearest choice by edit distance
  stated     what is stated in so many words: the default of rewards

The last line printed is JSON. Counts of responses: n, false_positives (correct
here, wrong in the record), false_negatives, unscorable. Rates in [0, 1]:
accuracy (of n), agreement (of the responses with a recorded verdict). Null
where no verdict is recorded.
"""


def main(args: list[str]) -> None:
    """Grade as the command line says; end the program with a message, not a traceback, if the input is wrong."""
    asked = parser().parse_args(args)
    try:
        questions = read_questions(asked.questions)
        graded = grade(questions, asked.responses, PROTOCOLS[asked.protocol])
        if asked.out is not None:
            _write(asked.out, graded)
    except GradeError as error:
        sys.exit(f"mstar grade: {error}")
    print(table(graded))
    for remark in remarks(graded, len(questions)):
        print(remark)
    print(json.dumps(summary(graded)))


def grade(questions: Mapping[str, Prompt], responses: Path, verifier: Verifier) -> list[Graded]:
    """Judge every recorded response, in the order of the file.

    Raises:
        GradeError: With file and line, if the input is wrong or there is no response.
    """
    recorded = read_responses(responses, questions)
    graded = [Graded(one, verifier(one.text, one.prompt)) for one in recorded]
    if not graded:
        raise GradeError(f"{responses}: holds no responses")
    return graded


def _write(path: Path, graded: Sequence[Graded]) -> None:
    if not path.parent.is_dir():
        raise GradeError(f"--out {path}: there is no folder {path.parent}; make it first")
    write_atomically(path, "".join(json.dumps(_line(one), ensure_ascii=False) + "\n" for one in graded))


def _line(one: Graded) -> dict[str, object]:
    found: dict[str, object] = {"pid": one.recorded.prompt.id}
    if one.recorded.model is not None:
        found["model"] = one.recorded.model
    found |= {"verdict": one.judgement.verdict, "answer": one.judgement.answer, "reason": one.judgement.reason}
    if one.recorded.correct is not None:
        found["recorded"] = one.recorded.correct
    return found


def parser() -> argparse.ArgumentParser:
    """What may follow ``mstar grade``."""
    made = argparse.ArgumentParser(
        prog="mstar grade",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("questions", type=Path, metavar="QUESTIONS")
    made.add_argument("responses", type=Path, metavar="RESPONSES")
    made.add_argument("--protocol", choices=PROTOCOLS, default="strict", help="(default: strict)")
    made.add_argument("--out", type=Path, metavar="FILE", help="write a JSON line a response: verdict, answer, reason")
    return made
