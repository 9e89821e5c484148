"""group_norm: shapes, hand-worked values, what the groups are, digits, edge cases and errors."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ShapeError, ops, passes
from unet_ref.check.table.normalization import draw_group_norm_exact


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(1, 4), max_size=3))
def test_every_rank_keeps_its_shape(N, groups, D, size):
    shape = (N, groups * D, *size)
    rng = np.random.default_rng(0)
    x, weight, bias = rng.standard_normal(shape), rng.standard_normal(groups * D), rng.standard_normal(groups * D)
    assert ops.group_norm(x, weight, bias, num_groups=groups).shape == shape
    grads = ops.group_norm_backward(x, x, weight, bias, num_groups=groups)
    assert (grads.x.shape, grads.weight.shape, grads.bias.shape) == (shape, weight.shape, bias.shape)


def test_hand_worked():
    x = np.array([[0.0, 0.0, 0.0, 4.0, 7.0, 7.0, 7.0, 11.0]]).reshape(1, 4, 2)  # two groups of two channels
    weight, bias = np.array([4.0, 2.0, -2.0, 6.0]), np.array([0.0, 1.0, 10.0, 20.0])
    # in both groups: variance 3, root of 3 + 1: 2, so xhat is -1/2, -1/2, -1/2, 3/2
    y = ops.group_norm(x, weight, bias, num_groups=2, eps=1)
    np.testing.assert_array_equal(y, [[[-2, -2], [0, 4], [11, 11], [17, 29]]])
    dy = np.array([[[1.0, 0.0], [0.0, 3.0], [0.0, 0.0], [0.0, 0.0]]])
    grads = ops.group_norm_backward(dy, x, weight, bias, num_groups=2, eps=1)
    np.testing.assert_array_equal(grads.weight, [-0.5, 4.5, 0, 0])
    np.testing.assert_array_equal(grads.bias, [1, 3, 0, 0])
    # weight * dy is 4, 0, 0, 6: S1/4 = 10/4, S2/4 = (-2 + 9)/4; each (weight*dy - 2.5 - xhat * 1.75) / 2
    np.testing.assert_array_equal(grads.x, [[[1.1875, -0.8125], [-0.8125, 0.4375], [0, 0], [0, 0]]])


def test_one_group_per_channel_is_instance_norm(rng):
    x, dy, weight = rng.normal(3, 2, (3, 4, 5, 2)), rng.standard_normal((3, 4, 5, 2)), rng.standard_normal(4)
    y, grads = ops.group_norm(x, weight, num_groups=4), ops.group_norm_backward(dy, x, weight, num_groups=4)
    alone = [ops.batch_norm_backward(dy[n : n + 1], x[n : n + 1], weight, training=True) for n in range(3)]
    for n in range(3):
        np.testing.assert_allclose(y[n : n + 1], ops.batch_norm(x[n : n + 1], weight, training=True), rtol=1e-12)
        np.testing.assert_allclose(grads.x[n : n + 1], alone[n].x, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(grads.weight, sum(grad.weight for grad in alone), rtol=1e-10)


def test_one_group_is_layer_norm(rng):
    x = rng.normal(3, 2, (3, 4, 5))
    y = ops.group_norm(x, num_groups=1, eps=0.5)
    for n in range(3):
        np.testing.assert_allclose(y[n], (x[n] - x[n].mean()) / np.sqrt(x[n].var() + 0.5), rtol=1e-12)


def test_groups_are_neighbours(rng):
    x = rng.standard_normal((2, 6, 4))
    changed = x.copy()
    changed[1, 2] *= 5  # group 1 of sample 1: channels 2 and 3
    same = ops.group_norm(x, num_groups=3) == ops.group_norm(changed, num_groups=3)
    assert same[0].all()
    assert same[1, [0, 1, 4, 5]].all()
    assert not same[1, [2, 3]].any()


@pytest.mark.parametrize("seed", range(10))
def test_affine_changes_of_x_leave_only_a_sign(seed):
    """Exactly, once eps is scaled like the variance."""
    (x, *_), options = (case := draw_group_norm_exact(np.random.default_rng(seed))).arrays.values(), case.options
    a, s, (groups, eps) = Fraction(-5, 2), Fraction(1, 3), options.values()
    moved = ops.group_norm(a * x + s, num_groups=groups, eps=a * a * eps)
    np.testing.assert_array_equal(moved, -ops.group_norm(x, num_groups=groups, eps=eps))


def test_gradient_of_x_has_no_mean_and_no_part_along_xhat(rng):
    x, dy, weight = rng.normal(3, 2, (2, 6, 5)), rng.standard_normal((2, 6, 5)) + 1, rng.standard_normal(6)
    dx = ops.group_norm_backward(dy, x, weight, num_groups=2, eps=0).x.reshape(2, 2, -1)
    xhat = ops.group_norm(x, num_groups=2, eps=0).reshape(2, 2, -1)
    np.testing.assert_allclose(dx.sum(axis=2), 0, atol=1e-12)
    np.testing.assert_allclose((dx * xhat).sum(axis=2), 0, atol=1e-12)


def test_a_group_of_one_value_is_its_bias(rng):
    x, weight, bias = rng.standard_normal((1, 3)), rng.standard_normal(3), rng.standard_normal(3)
    np.testing.assert_array_equal(ops.group_norm(x, weight, bias, num_groups=3), bias[None])
    grads = ops.group_norm_backward(x + 1, x, weight, bias, num_groups=3)
    np.testing.assert_allclose(grads.x, np.zeros((1, 3)), atol=1e-12)
    np.testing.assert_array_equal(grads.weight, np.zeros(3))


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_mean_far_from_zero_costs_no_digits(rng, order):
    x = np.asarray(1e5 + rng.standard_normal((2, 6, 30, 20)), dtype="float32", order=order)
    exact = ops.group_norm(x.astype("longdouble"), num_groups=2)
    np.testing.assert_allclose(ops.group_norm(x, num_groups=2), exact, atol=2e-6)


def test_nan_stays_in_its_group(rng):
    x = rng.standard_normal((2, 4, 3))
    x[1, 3, 0] = np.nan
    broken = np.isnan(ops.group_norm(x, num_groups=2))
    assert broken[1, 2:].all()
    assert broken.sum() == 6


@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 4, 0), (2, 0, 3)])
def test_nothing_in_nothing_out(shape):
    x, channels = np.zeros(shape), np.ones(shape[1])
    assert ops.group_norm(x, channels, channels, num_groups=2).shape == shape
    grads = ops.group_norm_backward(x, x, channels, channels, num_groups=2)
    assert grads.x.shape == shape
    np.testing.assert_array_equal([grads.weight, grads.bias], np.zeros((2, shape[1])))


@pytest.mark.parametrize("shape", [(7, 6, 1 << 13), (2, 6, 1 << 16)])  # several samples at a time; one in parts
def test_more_than_the_cache_holds(rng, shape):
    assert np.prod(shape[1:]) != passes.BLOCK_ELEMENTS
    x, dy = rng.normal(1, 2, shape).astype("f"), rng.standard_normal(shape).astype("f")
    weight = rng.standard_normal(6).astype("f")
    y, grads = ops.group_norm(x, weight, num_groups=3), ops.group_norm_backward(dy, x, weight, num_groups=3)
    for n in range(shape[0]):
        one = slice(n, n + 1)
        np.testing.assert_array_equal(ops.group_norm(x[one], weight, num_groups=3), y[one])
        alone = ops.group_norm_backward(dy[one], x[one], weight, num_groups=3)
        np.testing.assert_array_equal(alone.x, grads.x[one])
    grouped = x.reshape(shape[0], 3, -1).astype("d")
    xhat = (grouped - grouped.mean(axis=2, keepdims=True)) / np.sqrt(grouped.var(axis=2, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, weight[:, None] * xhat.reshape(shape), atol=1e-5)
    np.testing.assert_allclose(grads.weight, (dy * xhat.reshape(shape)).sum(axis=(0, 2)), rtol=1e-3)


@pytest.mark.parametrize(
    ("x", "weight", "bias", "options", "message"),
    [
        ((4,), None, None, {}, r"x must be \(N, C, ...\), got shape \(4,\)"),
        ((2, 4), (2,), None, {}, r"weight.shape \(2,\) must be \(x.shape\[1\],\) = \(4,\)"),
        ((2, 4), None, (4, 1), {}, r"bias.shape \(4, 1\) must be \(x.shape\[1\],\) = \(4,\)"),
        ((2, 5, 3), None, None, {}, r"x.shape\[1\] \(5\) must be divisible by num_groups \(2\)"),
        ((2, 4, 3), None, None, {"num_groups": 0}, r"num_groups \(0\) must be an integer of at least 1"),
        ((2, 4, 3), None, None, {"num_groups": 2.0}, r"num_groups \(2.0\) must be an integer"),
        ((2, 4, 3), None, None, {"eps": -1}, r"eps \(-1\) must be a number of at least 0"),
    ],
)
def test_errors_say_the_rule_and_the_values(x, weight, bias, options, message):
    arrays = [None if shape is None else np.zeros(shape) for shape in (x, weight, bias)]
    options = {"num_groups": 2} | options
    with pytest.raises(ShapeError, match="^group_norm: " + message):
        ops.group_norm(*arrays, **options)
    with pytest.raises(ShapeError, match="^group_norm_backward: " + message):
        ops.group_norm_backward(arrays[0], *arrays, **options)


def test_grad_output_must_have_the_shape_of_the_output():
    with pytest.raises(
        ShapeError, match=r"^group_norm_backward: grad_output.shape \(2, 4\) must be the output's shape"
    ):
        ops.group_norm_backward(np.zeros((2, 4)), np.zeros((2, 4, 3)), num_groups=2)
