"""sigmoid: hand-worked case, laws, far tails, infinity, and errors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import DTypeError, ShapeError, ops


def test_hand_worked():
    # 1 / (1 + e^-ln 3) = 1 / (1 + 1/3) = 3/4, with the slope 3/4 * 1/4
    x = np.array([math.log(3), -math.log(3), 0.0])
    np.testing.assert_allclose(ops.sigmoid(x), [0.75, 0.25, 0.5], rtol=1e-15)
    np.testing.assert_allclose(ops.sigmoid_backward(np.array([16.0, -16, 2]), x).x, [3.0, -3.0, 0.5], rtol=1e-15)


@given(st.floats(-700, 700))
def test_it_is_tanh_of_half_of_x_and_keeps_its_digits_in_the_tails(value):
    x = np.array([value])
    np.testing.assert_allclose(ops.sigmoid(x), 0.5 + 0.5 * np.tanh(x / 2), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(ops.sigmoid(x) + ops.sigmoid(-x), 1.0, rtol=1e-15)
    if abs(value) > 40:  # there e^-|x| is all that is left
        np.testing.assert_allclose(ops.sigmoid(-abs(x)), math.exp(-abs(value)), rtol=1e-14)
        np.testing.assert_allclose(ops.sigmoid_backward(np.ones(1), x).x, math.exp(-abs(value)), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_nan_and_infinity_are_as_in_pytorch(dtype):
    x = np.array([np.inf, -np.inf, np.nan, 6e4, -6e4], dtype=dtype)
    np.testing.assert_array_equal(ops.sigmoid(x), [1, 0, np.nan, 1, 0])
    np.testing.assert_array_equal(ops.sigmoid_backward(np.full_like(x, 3), x).x, [0, 0, np.nan, 0, 0])


def test_complex_numbers_do_not_overflow_either():
    x = np.array([800 + 1j, -800 + 1j, 1 + 2j])
    np.testing.assert_allclose(ops.sigmoid(x), [1, 0, 1 / (1 + np.exp(-1 - 2j))], rtol=1e-15, atol=1e-300)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_element_has_the_same_bits_wherever_it_sits(rng, dtype):
    """Kernels take several elements at once, and the rest one by one: all must round alike, in every block."""
    x = (8 * rng.standard_normal(300_001)).astype(dtype)
    y, slopes = ops.sigmoid(x), ops.sigmoid_backward(x, x).x
    for part in (slice(0, 1), slice(7, 20), slice(131_070, 131_079), slice(2, 300_001, 3), slice(299_999, None)):
        assert ops.sigmoid(x[part]).tobytes() == y[part].tobytes()
        assert ops.sigmoid_backward(x[part], x[part]).x.tobytes() == slopes[part].tobytes()


def test_errors_say_the_rule_and_the_values():
    with pytest.raises(
        ShapeError, match=r"^sigmoid_backward: grad_output.shape \(3,\) must be the output's shape \(2, 3\)"
    ):
        ops.sigmoid_backward(np.zeros(3), np.zeros((2, 3)))
    with pytest.raises(DTypeError, match=r"^sigmoid: x must be a NumPy or CuPy array, got float"):
        ops.sigmoid(0.5)
