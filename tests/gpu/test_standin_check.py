"""The checker on device arrays: forward and backward run on the stand-in for CuPy, the host fetches the results."""

import numpy as np
import pytest
from gpu import standin
from gpu.standin import to_device

from unet_ref import ops
from unet_ref.check.gradcheck import gradcheck
from unet_ref.check.table import OPERATIONS
from unet_ref.check.tasks import verify_task


@pytest.fixture(autouse=True)
def _cupy(monkeypatch):
    standin.install(monkeypatch, transfers=True)


def arrays(rng):
    return [to_device(rng.standard_normal(shape)) for shape in ((2, 2, 4, 5), (3, 2, 2, 3), (3,))]


def test_gradcheck_on_the_device(rng):
    assert gradcheck(ops.conv2d, ops.conv2d_backward, *arrays(rng))


def test_gradcheck_sees_a_mistake_on_the_device(rng):
    def wrong(grad_output, x, weight, bias):
        grads = ops.conv2d_backward(grad_output, x, weight, bias)
        return grads._replace(weight=grads.weight * np.float64(1.0005))

    report = gradcheck(ops.conv2d, wrong, *arrays(rng))
    assert [row.argument for row in report.failures] == ["weight"]


@pytest.mark.parametrize("name", [*sorted(OPERATIONS), "unet2"])
def test_verify_on_the_device(name):
    rows = verify_task(name, device="gpu")
    assert rows
    assert all(row.holds for row in rows), [row for row in rows if not row.holds]
