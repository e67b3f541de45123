"""Widths of batches."""

from __future__ import annotations

import pytest

from lepton_lab.work.data.collator import PaddedBatch
from lepton_lab.work.training.precision import Precision


@pytest.mark.parametrize(("device", "width"), [("cpu", 11), ("cuda", 16)])
def test_a_batch_is_as_wide_as_the_device_needs(device: str, width: int) -> None:
    batch = PaddedBatch(0, multiple=Precision("fp32", device, "").width_multiple)
    made = batch([{"input_ids": [1] * length, "attention_mask": [1] * length, "labels": 0} for length in (3, 11)])
    assert made["input_ids"].shape == (2, width)
    assert made["attention_mask"].sum() == 14
