"""glu: shape law, hand-worked case, laws and errors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ShapeError, ops


@given(shape=st.lists(st.integers(0, 7), min_size=1, max_size=4), data=st.data())
def test_shape_law_is_that_of_a_split_in_two(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    if shape[axis] % 2 == 0:
        first, second = np.split(np.zeros(shape), 2, axis=axis)
        assert (
            ops.glu_shape(shape, axis=axis) == first.shape == second.shape == ops.glu(np.zeros(shape), axis=axis).shape
        )
    else:
        with pytest.raises(ShapeError, match="must be even"):
            ops.glu_shape(shape, axis=axis)


def test_hand_worked():
    # gates of ln 3 and 0 let 3/4 and 1/2 through; the slope of the first is 3/16
    x = np.array([[8.0, -6.0, math.log(3), 0.0]])
    np.testing.assert_allclose(ops.glu(x), [[6.0, -3.0]], rtol=1e-15)
    grad = ops.glu_backward(np.array([[4.0, 10.0]]), x).x
    np.testing.assert_allclose(grad, [[3.0, 5.0, 4 * 8 * 3 / 16, 10 * -6 / 4]], rtol=1e-15)


def test_the_first_half_is_the_value_and_the_second_the_gate(rng):
    x = rng.standard_normal((2, 6, 5))
    np.testing.assert_array_equal(ops.glu(x, axis=1), x[:, :3] * ops.sigmoid(x[:, 3:]))


def test_an_open_gate_lets_the_value_pass_and_a_shut_one_nothing(rng):
    value, dy = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 3, 4))
    for gate, share in ((1000.0, 1.0), (-1000.0, 0.0)):
        x = ops.concat([value, np.full_like(value, gate)], axis=0)
        np.testing.assert_array_equal(ops.glu(x, axis=0), share * value)
        np.testing.assert_array_equal(ops.glu_backward(dy, x, axis=0).x, [*(share * dy), *np.zeros((2, 3, 4))])


def test_the_default_axis_is_the_last_and_any_axis_can_be_counted_from_either_end(rng):
    x = rng.standard_normal((2, 4, 6))
    np.testing.assert_array_equal(ops.glu(x), ops.glu(x, axis=2))
    np.testing.assert_array_equal(ops.glu(x, axis=-2), ops.glu(x.swapaxes(1, 2)).swapaxes(1, 2))
    dy = rng.standard_normal((2, 2, 6))
    turned = ops.glu_backward(dy.swapaxes(1, 2), x.swapaxes(1, 2)).x.swapaxes(1, 2)
    np.testing.assert_array_equal(ops.glu_backward(dy, x, axis=-2).x, turned)


@pytest.mark.parametrize(
    ("shape", "axis", "message"),
    [
        ((2, 5, 4), 1, r"x.shape\[1\] \(5\) must be even, to be halved along axis 1$"),
        ((2, 4, 3), -1, r"x.shape\[2\] \(3\) must be even, to be halved along axis -1$"),
        ((2, 4), 2, r"axis \(2\) must be from -2 to 1, as x.shape \(2, 4\) has 2 axes$"),
        ((2, 4), -3, r"axis \(-3\) must be from -2 to 1"),
        ((), -1, r"axis \(-1\) must be from 0 to -1, as x.shape \(\) has 0 axes$"),
        ((2, 4), 1.0, r"axis \(1.0\) must be an integer$"),
    ],
)
def test_errors_say_the_rule_and_the_values(shape, axis, message):
    with pytest.raises(ShapeError, match="^glu: " + message):
        ops.glu(np.zeros(shape), axis=axis)
    with pytest.raises(ShapeError, match="^glu: " + message):
        ops.glu_shape(shape, axis=axis)
    with pytest.raises(ShapeError, match="^glu_backward: " + message):
        ops.glu_backward(np.zeros(shape), np.zeros(shape), axis=axis)


def test_grad_output_must_have_the_shape_of_the_output():
    with pytest.raises(
        ShapeError, match=r"^glu_backward: grad_output.shape \(2, 4\) must be the output's shape \(2, 2\)$"
    ):
        ops.glu_backward(np.zeros((2, 4)), np.zeros((2, 4)))
