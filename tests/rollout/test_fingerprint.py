"""Fingerprints tell weights apart, whatever their shape."""

from __future__ import annotations

import torch

from mstar.rollout.fingerprint import fingerprint


def test_weights_without_axes_count() -> None:
    model = torch.nn.BatchNorm1d(3)  # counts its batches in a tensor without axes
    before = fingerprint(model)
    assert before == fingerprint(model)
    assert model.num_batches_tracked is not None
    model.num_batches_tracked += 1
    assert fingerprint(model) != before
