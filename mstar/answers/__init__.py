"""Is a response right? Extraction of the final answer, and equality that knows the answer's type."""

from mstar.answers.compare import equal
from mstar.answers.extract import extract_answer
from mstar.answers.mathvista import MathVista
from mstar.answers.verifier import Strict, Verifier
from mstar.answers.verify import Judgement, canonical, verify

__all__ = ["Judgement", "MathVista", "Strict", "Verifier", "canonical", "equal", "extract_answer", "verify"]
