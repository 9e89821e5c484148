"""Right gradients are never rejected: every operation, at sizes from 1e-8 to 1e8, in every dtype, by every method."""

import numpy as np
import pytest
from every_operation import each_differentiable

from unet_ref import gradcheck
from unet_ref.check.calls import subject_of
from unet_ref.check.report import FAILS


def check(operation, case, seed, **options):
    subject = subject_of(operation, case)
    return gradcheck(subject.forward, subject.backward, *subject.arrays, names=subject.names, rng=seed, **options)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
@each_differentiable
def test_sizes(operation, size, seed):
    case = operation.draw(np.random.default_rng(seed)).map(lambda array: array * size)
    report = check(operation, case, seed)
    assert report, report


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
@each_differentiable
def test_differences_alone_may_be_blind_but_never_fail(operation, size):
    """A bias of 1e8 leaves of a normalized value only eight digits: differences then say so."""
    case = operation.draw(np.random.default_rng(5)).map(lambda array: array * size)
    report = check(operation, case, 5, method="differences")
    assert not any(row.verdict == FAILS for row in report.rows), report
    assert report or size == 1e8, report


@pytest.mark.parametrize("dtype", ["float16", "float32", "longdouble"])
@each_differentiable
def test_dtypes(operation, dtype):
    case = operation.draw(np.random.default_rng(4)).map(lambda array: array.astype(dtype))
    report = check(operation, case, 4)
    assert report, report
    assert f"{np.dtype(dtype)} beside float64" in {row.method for row in report.rows}


@pytest.mark.parametrize("method", ["complex", "differences"])
@each_differentiable
def test_random_directions(operation, method):
    case = operation.draw(np.random.default_rng(2))
    report = check(operation, case, 2, method=method, directions=5)
    assert report, report
    assert {row.elements for row in report.rows if "random" in row.method} <= {5}
