"""binary_cross_entropy_with_logits: shape law, hand-worked case, laws, far logits, the mean of nothing, and errors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ShapeError, ops

bce, bce_backward = ops.binary_cross_entropy_with_logits, ops.binary_cross_entropy_with_logits_backward


@given(shape=st.lists(st.integers(0, 5), max_size=5))
def test_shape_law_is_one_number(shape):
    y = bce(np.zeros(shape), np.zeros(shape))
    assert isinstance(y, np.ndarray)
    assert ops.binary_cross_entropy_with_logits_shape(shape, shape) == y.shape == np.sum(np.zeros(shape)).shape


def test_hand_worked():
    # s = 3/4: -log(3/4) where it is so, -log(1/4) where it is not, and half of each where it is half so
    x, target = np.full((3, 1), math.log(3)), np.array([[1.0], [0.0], [0.5]])
    np.testing.assert_allclose(bce(x, target), (1.5 * math.log(4 / 3) + 1.5 * math.log(4)) / 3, rtol=1e-15)
    grads = bce_backward(np.array(12.0), x, target)
    np.testing.assert_allclose(grads.x, [[-1.0], [3.0], [1.0]], rtol=1e-14)
    np.testing.assert_allclose(grads.target, np.full((3, 1), -4 * math.log(3)), rtol=1e-15)


@given(st.floats(-30, 30), st.floats(0, 1))
def test_it_is_the_entropy_formula_and_alike_from_both_sides(x, t):
    s = 1 / (1 + math.exp(-x))
    y = bce(np.array([x]), np.array([t]))
    assert math.isclose(y, -(t * math.log(s) + (1 - t) * (-x + math.log(s))), rel_tol=1e-12, abs_tol=1e-13)
    assert math.isclose(y, bce(np.array([-x]), np.array([1 - t])), rel_tol=1e-12, abs_tol=1e-14)


def test_it_is_the_cross_entropy_of_two_classes(rng):
    x, target = rng.standard_normal((5, 7)), rng.integers(0, 2, (5, 7))
    two = np.stack([np.zeros_like(x), x], axis=1)
    np.testing.assert_allclose(bce(x, target.astype(float)), ops.cross_entropy(two, target), rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble", "complex128"])
def test_far_logits_neither_overflow_nor_lose_the_loss(dtype):
    x, target = np.array([1e4, -1e4, 80.0, -80.0]).astype(dtype), np.array([0, 1, 1, 0]).astype(dtype)
    each = [bce(x[k : k + 1], target[k : k + 1]) for k in range(4)]
    small = math.exp(-80) if dtype != "complex128" else 0  # log(1 + e) keeps it only where there is a log1p
    np.testing.assert_allclose(each, [1e4, 1e4, small, small], rtol=1e-5)
    np.testing.assert_allclose(bce_backward(np.ones((), dtype), x, target).x, [0.25, -0.25, 0, 0], atol=1e-15)


def test_nan_and_infinity_are_as_in_pytorch():
    x = np.array([np.inf, np.inf, -np.inf, -np.inf, np.nan, np.inf, -np.inf])
    target = np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.5, 0.5])
    each = [bce(x[k : k + 1], target[k : k + 1]) for k in range(7)]
    np.testing.assert_array_equal(each, [np.inf, *[np.nan] * 4, np.inf, np.nan])
    grads = bce_backward(np.array(7.0), x, target)
    np.testing.assert_array_equal(grads.x, [1, 0, 0, -1, np.nan, 0.5, -0.5])
    np.testing.assert_array_equal(grads.target, -x)


def test_the_mean_of_nothing_is_nan_as_in_pytorch():
    empty = np.zeros((0, 1, 4), "float32")
    assert np.isnan(bce(empty, empty))
    assert [grad.shape for grad in bce_backward(np.float32(1), empty, empty)] == [(0, 1, 4)] * 2


def test_errors_say_the_rule_and_the_values():
    x, target = np.zeros((2, 1, 4)), np.zeros((2, 4))
    rule = r"target.shape \(2, 4\) must be x.shape = \(2, 1, 4\)$"
    with pytest.raises(ShapeError, match="^binary_cross_entropy_with_logits: " + rule):
        bce(x, target)
    with pytest.raises(ShapeError, match="^binary_cross_entropy_with_logits: " + rule):
        ops.binary_cross_entropy_with_logits_shape(x.shape, target.shape)
    with pytest.raises(ShapeError, match="^binary_cross_entropy_with_logits_backward: " + rule):
        bce_backward(np.ones(()), x, target)
    rule = r"grad_output.shape \(2, 4\) must be the output's shape \(\)$"
    with pytest.raises(ShapeError, match="^binary_cross_entropy_with_logits_backward: " + rule):
        bce_backward(np.ones((2, 4)), target, target)
