"""film: shapes, hand-worked values, offsets, batches, edge cases and errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ShapeError, ops, passes


def arguments(rng, lead, size, dtype="float64"):
    return [rng.standard_normal(shape).astype(dtype) for shape in ((*lead, *size), lead, lead)]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=2), st.lists(st.integers(0, 3), max_size=3))
def test_every_shape_stays(lead, size):
    x, gamma, beta = arguments(np.random.default_rng(0), lead, size)
    assert ops.film(x, gamma, beta).shape == x.shape
    grads = ops.film_backward(x, x, gamma, beta)
    assert (grads.x.shape, grads.gamma.shape, grads.beta.shape) == (x.shape, gamma.shape, beta.shape)


def test_hand_worked():
    x = np.array([[[[1.0, 2.0]], [[3.0, -4.0]]]])
    gamma, beta = np.array([[0.5, -3.0]]), np.array([[10.0, 20.0]])
    # 1.5 * 1 + 10, 1.5 * 2 + 10 and -2 * 3 + 20, -2 * -4 + 20
    np.testing.assert_array_equal(ops.film(x, gamma, beta), [[[[11.5, 13.0]], [[14.0, 28.0]]]])
    np.testing.assert_array_equal(ops.film(x, gamma, beta, offset=0), [[[[10.5, 11.0]], [[11.0, 32.0]]]])
    grads = ops.film_backward(np.array([[[[1.0, 10.0]], [[2.0, 5.0]]]]), x, gamma, beta)
    np.testing.assert_array_equal(grads.x, [[[[1.5, 15.0]], [[-4.0, -10.0]]]])
    np.testing.assert_array_equal(grads.gamma, [[21.0, -14.0]])  # 1*1 + 10*2 and 2*3 + 5*(-4)
    np.testing.assert_array_equal(grads.beta, [[11.0, 7.0]])


def test_gamma_zero_changes_nothing_with_offset_one_and_erases_with_offset_zero(rng):
    x, gamma, beta = arguments(rng, (2, 3), (4, 5))
    np.testing.assert_array_equal(ops.film(x, 0 * gamma, 0 * beta), x)
    np.testing.assert_array_equal(
        ops.film(x, 0 * gamma, beta, offset=0), np.broadcast_to(beta[..., None, None], x.shape)
    )


def test_the_offset_is_added_to_gamma_and_has_no_gradient_of_its_own(rng):
    x, gamma, beta = arguments(rng, (2, 3), (4, 5))
    dy = rng.standard_normal(x.shape)
    np.testing.assert_array_equal(ops.film(x, gamma, beta), ops.film(x, gamma + 1, beta, offset=0))
    one, zero = ops.film_backward(dy, x, gamma, beta), ops.film_backward(dy, x, gamma, beta, offset=0)
    np.testing.assert_allclose(one.x - zero.x, dy, rtol=1e-9, atol=1e-14)
    np.testing.assert_array_equal(one.gamma, zero.gamma)


@pytest.mark.parametrize("size", [(4, 5), (1 << 16,), (1 << 18,)])  # less and more than the cache holds
def test_each_sample_has_its_own_numbers_and_the_bits_that_it_has_alone(rng, size):
    assert passes.BLOCK_ELEMENTS < 5 * (1 << 16)
    x, gamma, beta = arguments(rng, (5, 3), size, "float32")
    dy = rng.standard_normal(x.shape).astype("float32")
    y, grads = ops.film(x, gamma, beta), ops.film_backward(dy, x, gamma, beta)
    scale, shift = (a.reshape(5, 3, *(1 for _ in size)) for a in (1 + gamma, beta))
    np.testing.assert_array_equal(y, scale * x + shift)
    np.testing.assert_array_equal(grads.x, scale * dy)
    for n in range(5):
        np.testing.assert_array_equal(ops.film(x[n], gamma[n], beta[n]), y[n])
        for gradient, alone in zip(grads, ops.film_backward(dy[n], x[n], gamma[n], beta[n]), strict=True):
            np.testing.assert_array_equal(gradient[n], alone)


def test_infinity_and_nan_stay_in_their_pixel(rng):
    x, gamma, beta = arguments(rng, (2, 3), (4,))
    x[0, 1, 2], x[1, 2, 3] = np.inf, np.nan
    y = ops.film(x, gamma, beta)
    assert y[0, 1, 2] == np.inf * np.sign(1 + gamma[0, 1])
    assert np.flatnonzero(~np.isfinite(y)).tolist() == [6, 23]


@pytest.mark.parametrize(
    ("x", "gamma", "beta", "offset", "message"),
    [
        ((2, 3, 4), (2, 3, 4), (2, 3, 4), 1, r"gamma must be \(N, C\) or \(C,\), got shape \(2, 3, 4\)"),
        ((2, 3, 4), (2, 4), (2, 4), 1, r"gamma.shape \(2, 4\) must be x.shape\[:2\] = \(2, 3\)"),
        ((2, 3, 4), (3,), (3,), 1, r"gamma.shape \(3,\) must be x.shape\[:1\] = \(2,\)"),
        ((3,), (2, 3), (2, 3), 1, r"gamma.shape \(2, 3\) must be x.shape\[:2\] = \(3,\)"),
        ((2, 3, 4), (2, 3), (3,), 1, r"beta.shape \(3,\) must be gamma.shape = \(2, 3\)"),
        ((2, 3, 4), (2, 3), (2, 3), "1", r"offset \('1'\) must be a number"),
    ],
)
def test_errors_say_the_rule_and_the_values(x, gamma, beta, offset, message):
    arrays = [np.zeros(shape) for shape in (x, gamma, beta)]
    with pytest.raises(ShapeError, match="^film: " + message):
        ops.film(*arrays, offset=offset)
    with pytest.raises(ShapeError, match="^film_backward: " + message):
        ops.film_backward(arrays[0], *arrays, offset=offset)


def test_grad_output_must_have_the_shape_of_the_output():
    with pytest.raises(ShapeError, match=r"^film_backward: grad_output.shape \(2, 3\) must be the output's shape"):
        ops.film_backward(np.zeros((2, 3)), np.zeros((2, 3, 4)), np.zeros((2, 3)), np.zeros((2, 3)))
