"""relu: hand-worked case, laws, kink, NaN and infinity, complex numbers, and errors."""

from fractions import Fraction

import numpy as np
import pytest

from unet_ref import DTypeError, ShapeError, ops


def test_hand_worked():
    x, dy = np.array([[-1.5, 2.5], [0.25, -7.0]]), np.array([[3.0, -4.0], [5.0, 6.0]])
    np.testing.assert_array_equal(ops.relu(x), [[0.0, 2.5], [0.25, 0.0]])
    np.testing.assert_array_equal(ops.relu_backward(dy, x).x, [[0.0, -4.0], [5.0, 0.0]])


def test_the_two_halves_make_up_the_identity(rng):
    x = rng.standard_normal((3, 5, 7))
    np.testing.assert_array_equal(ops.relu(x) - ops.relu(-x), x)
    np.testing.assert_array_equal(ops.relu(ops.relu(x)), ops.relu(x))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", "complex64", "complex128"])
def test_the_gradient_can_be_had_from_the_output(rng, dtype):
    """A network need not keep the input: y is above 0 where x is, NaN where x is."""
    x, dy = rng.standard_normal((2, 3, 40, 5)).astype(dtype), rng.standard_normal((2, 3, 40, 5)).astype(dtype)
    x[0, 0, :6, 0] = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-7]
    from_output = ops.relu_backward(dy, ops.relu(x)).x
    np.testing.assert_array_equal(from_output, ops.relu_backward(dy, x).x)
    assert np.count_nonzero(from_output) not in (0, x.size)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_kink_nan_and_infinity_are_as_in_pytorch(dtype):
    x = np.array([0.0, -0.0, np.nan, np.inf, -np.inf], dtype=dtype)
    np.testing.assert_array_equal(ops.relu(x), [0, 0, np.nan, np.inf, 0])
    dy = np.array([5, 5, 5, 5, 5], dtype=dtype)
    np.testing.assert_array_equal(ops.relu_backward(dy, x).x, [0, 0, 5, 5, 0])


@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble", "complex128"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_does_not_pass_is_dropped_not_multiplied_by_zero(dtype, value):
    x, dy = np.array([-2.0, 3.0], dtype=dtype), np.array([value, value], dtype=dtype)
    np.testing.assert_array_equal(ops.relu_backward(dy, x).x, np.array([0, value], dtype=dtype))


def test_complex_numbers_go_by_their_real_part():
    x = np.array([1 - 2j, -1 + 5j, 0 + 3j, 2 + 0j])
    np.testing.assert_array_equal(ops.relu(x), [1 - 2j, 0, 0, 2])
    dy = np.array([1j, 2j, 3j, 4 + 1j])
    np.testing.assert_array_equal(ops.relu_backward(dy, x).x, [1j, 0, 0, 4 + 1j])


@pytest.mark.parametrize("dtype", ["float32", "complex64", "object"])
@pytest.mark.parametrize(("value", "expected"), [(-3, 0), (4, 4)])
def test_zero_axes(dtype, value, expected):
    x = np.asarray(Fraction(value) if dtype == "object" else value, dtype=dtype)
    for result in (ops.relu(x), ops.relu_backward(x, x).x):
        assert isinstance(result, np.ndarray)
        assert (result.shape, result.dtype) == ((), np.dtype(dtype))
        assert result == expected


def test_errors_say_the_rule_and_the_values():
    with pytest.raises(
        ShapeError, match=r"^relu_backward: grad_output.shape \(3, 2\) must be the output's shape \(2, 3\)"
    ):
        ops.relu_backward(np.zeros((3, 2)), np.zeros((2, 3)))
    with pytest.raises(DTypeError, match=r"^relu: x.dtype \(int64\) must be float16, float32, "):
        ops.relu(np.arange(3))
