"""Counting and saying how far a phase is: pure."""

from __future__ import annotations

import pytest
import torch

from mstar.progress.tally import Tally, told
from tests.groups import make_group


def test_groups_are_counted_with_their_responses_tokens_and_verdicts() -> None:
    tally = Tally("judging", 3)
    tally.add_groups([make_group("a", "+-"), make_group("b", "n-")])
    assert (tally.done, tally.responses, tally.judged, tally.right) == (2, 4, 4, 1)
    assert int(tally.tokens) == sum(len(r.tokens) for g in (make_group("a", "+-"), make_group("b", "n-")) for r in g)
    assert not tally.complete


def test_what_an_earlier_run_did_is_not_taken_for_speed() -> None:
    tally = Tally("rollout", 100, done=90, seconds=10.0)
    assert tally.left is None and "left" not in told(tally)
    tally.add(1, responses=4)
    assert tally.left == pytest.approx(90.0)
    assert told(tally) == "rollout 91/100 groups (91 %), 0.4 responses/s, 1:30 left"


def test_a_loss_and_tokens_on_a_device_are_read_as_they_are_shown() -> None:
    tally = Tally("training", 4, unit="batches", seconds=2.0, loss=torch.tensor(1.23456))
    tally.add(1, tokens=torch.tensor(500))
    assert told(tally) == "training 1/4 batches (25 %), 250 tokens/s, loss 1.235, 0:06 left"


def test_a_name_cannot_command_the_terminal() -> None:
    assert "\x1b" not in told(Tally("mea\x1b[2Jsuring", 1))


def test_nothing_to_do_is_done() -> None:
    assert told(Tally("rollout", 0)) == "rollout 0/0 groups in 0:00"
