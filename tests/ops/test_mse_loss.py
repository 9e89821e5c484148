"""mse_loss: shape law, hand-worked case, laws, the mean of nothing, and errors."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import DTypeError, ShapeError, ops


@given(shape=st.lists(st.integers(0, 5), max_size=5))
def test_shape_law_is_one_number(shape):
    y = ops.mse_loss(np.zeros(shape), np.zeros(shape))
    assert isinstance(y, np.ndarray)
    assert ops.mse_loss_shape(shape, shape) == y.shape == np.sum(np.zeros(shape)).shape


def test_hand_worked():
    x, target = np.array([[1.0, 5.0, -2.0]]), np.array([[4.0, 3.0, 2.0]])
    assert ops.mse_loss(x, target) == (9 + 4 + 16) / 3
    grads = ops.mse_loss_backward(np.array(6.0), x, target)
    np.testing.assert_array_equal(grads.x, [[-12, 8, -16]])
    np.testing.assert_array_equal(grads.target, [[12, -8, 16]])


def test_exact_scalars_stay_exact():
    x, target = np.array([Fraction(1, 3), Fraction(5)], object), np.array([Fraction(1, 2), Fraction(2)], object)
    y = ops.mse_loss(x, target)
    assert (y.shape, y.dtype) == ((), np.dtype(object))
    assert y == Fraction(1 + 9 * 36, 72)
    grads = ops.mse_loss_backward(y, x, target)
    assert grads.x[0] == Fraction(-1, 6) * Fraction(325, 72)


def test_it_is_the_variance_about_a_constant_target(rng):
    x = rng.standard_normal((3, 4, 5))
    np.testing.assert_allclose(ops.mse_loss(x, np.full_like(x, x.mean())), x.var(), rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", "complex64"])
def test_the_loss_and_numpys_scalars_can_be_fed_back(rng, dtype):
    x, target = rng.standard_normal((2, 7)).astype(dtype), rng.standard_normal((2, 7)).astype(dtype)
    y = ops.mse_loss(x, target)
    assert isinstance(y, np.ndarray)
    assert (y.shape, y.dtype) == ((), np.dtype(dtype))
    one = ops.mse_loss_backward(np.ones((), dtype), x, target).x
    np.testing.assert_array_equal(ops.mse_loss_backward(np.dtype(dtype).type(1), x, target).x, one)
    np.testing.assert_allclose(
        ops.mse_loss_backward(y, x, target).x, y * one, rtol=1e-2 if dtype == "float16" else 1e-6
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex128", "object"])
def test_the_mean_of_nothing_is_nan_as_in_pytorch(dtype):
    empty = np.zeros((0, 3), dtype)
    y = ops.mse_loss(empty, empty)
    assert (y.shape, y.dtype) == ((), np.dtype(dtype))
    assert y != y  # noqa: PLR0124
    grads = ops.mse_loss_backward(np.ones((), dtype), empty, empty)
    for grad in grads:
        assert (grad.shape, grad.dtype) == ((0, 3), np.dtype(dtype))


@pytest.mark.parametrize(
    ("x", "target", "message"),
    [
        ((2, 3), (3, 2), r"target.shape \(3, 2\) must be x.shape = \(2, 3\)$"),
        ((2, 3), (3,), r"target.shape \(3,\) must be x.shape = \(2, 3\)$"),
        ((2, 3), (2, 1), r"target.shape \(2, 1\) must be x.shape = \(2, 3\)$"),
    ],
)
def test_nothing_is_broadcast(x, target, message):
    with pytest.raises(ShapeError, match="^mse_loss: " + message):
        ops.mse_loss(np.zeros(x), np.zeros(target))
    with pytest.raises(ShapeError, match="^mse_loss: " + message):
        ops.mse_loss_shape(x, target)
    with pytest.raises(ShapeError, match="^mse_loss_backward: " + message):
        ops.mse_loss_backward(np.ones(()), np.zeros(x), np.zeros(target))


def test_the_gradient_of_a_loss_is_a_0_d_array():
    x = np.zeros((2, 3))
    with pytest.raises(
        ShapeError, match=r"^mse_loss_backward: grad_output.shape \(1,\) must be the output's shape \(\)$"
    ):
        ops.mse_loss_backward(np.ones(1), x, x)
    with pytest.raises(DTypeError, match=r"^mse_loss_backward: grad_output must be a NumPy or CuPy array, got float$"):
        ops.mse_loss_backward(1.0, x, x)
    with pytest.raises(DTypeError, match=r"^mse_loss_backward: grad_output.dtype is float32, x.dtype is float64"):
        ops.mse_loss_backward(np.float32(1), x, x)
