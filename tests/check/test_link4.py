"""Link 4: every operation in float32 and float16 within its computed bound, and a wrong one not."""

from dataclasses import replace

import numpy as np
import pytest

from unet_ref.check import link4
from unet_ref.check.link4 import rounding_rows
from unet_ref.check.table import OPERATIONS


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_within_its_bounds(name):
    for seed in range(8):
        rows = rounding_rows(OPERATIONS[name], np.random.default_rng(seed))
        assert all(row.holds for row in rows)
        assert {row.method for row in rows} == {"float32", "float16"}
        assert all(row.link == 4 for row in rows)
        assert all(row.detail.endswith(" of the bound") for row in rows)
        gradients = OPERATIONS[name].gradients
        assert {row.argument.partition("[")[0] for row in rows} <= {"y", *gradients}
        assert all(row.elements for row in rows if name != "concat")


def test_a_wrong_gradient_fails(monkeypatch):
    """0.1 % off in float32; the row names the element."""
    right = link4.subject_of

    def wrong(operation, case, device):
        subject = right(operation, case, device)
        return replace(subject, backward=lambda *arrays: {k: 1.001 * g for k, g in subject.backward(*arrays).items()})

    monkeypatch.setattr(link4, "subject_of", wrong)
    y, x = rounding_rows(OPERATIONS["sigmoid"], np.random.default_rng(0), dtypes=("float32",))
    assert y.holds
    assert not x.holds
    assert x.error > x.bound
    assert "instead of" in x.detail
    assert x.detail.endswith(" of the bound")


def test_one_dtype_alone():
    rows = rounding_rows(OPERATIONS["batch_norm_running_stats"], np.random.default_rng(1), dtypes=("float16",))
    assert [(row.argument, row.method) for row in rows] == [("y", "float16")]
