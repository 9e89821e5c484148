"""batch_norm: shapes, hand-worked values, laws of the two modes, digits, edge cases and errors."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ShapeError, ops, passes, threads
from unet_ref.check.table.normalization import draw_batch_norm_exact
from unet_ref.ops import normalize
from unet_ref.ops.tiles import rows


def arguments(rng, shape, dtype="float64"):
    """x, weight and bias, every channel with its own mean and spread."""
    C = shape[1]
    x = rng.normal(2, 3, (1, C, *(1 for _ in shape[2:]))) + rng.uniform(0.3, 3) * rng.standard_normal(shape)
    return x.astype(dtype), rng.standard_normal(C).astype(dtype), rng.standard_normal(C).astype(dtype)


def channels_first(x):
    """``(N, C, ...)`` as a table: one row for each channel."""
    return np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.booleans())
def test_every_rank_keeps_its_shape(shape, training):
    shape = (shape[0] + 1, *shape[1:])
    rng = np.random.default_rng(0)
    x, weight, bias = arguments(rng, shape)
    running = rng.standard_normal(shape[1]), rng.uniform(1, 2, shape[1])
    assert ops.batch_norm(x, weight, bias, *running, training=training).shape == shape
    grads = ops.batch_norm_backward(x, x, weight, bias, *running, training=training)
    assert (grads.x.shape, grads.weight.shape, grads.bias.shape) == (shape, weight.shape, bias.shape)
    assert grads._fields == ("x", "weight", "bias")  # running statistics are constants


def test_hand_worked_in_training():
    x, dy = np.array([[0.0], [0.0], [0.0], [4.0]]), np.array([[1.0], [0.0], [0.0], [0.0]])
    options = {"training": True, "eps": 1}
    # mean 1, variance (1 + 1 + 1 + 9) / 4 = 3, root of 3 + 1: 2
    y = ops.batch_norm(x, np.array([4.0]), np.array([10.0]), **options)
    np.testing.assert_array_equal(y, [[8.0], [8.0], [8.0], [16.0]])
    grads = ops.batch_norm_backward(dy, x, np.array([4.0]), np.array([10.0]), **options)
    assert (grads.weight, grads.bias) == (-0.5, 1.0)
    # 4/2 * (dy - 1/4 - xhat * (-0.5)/4) with xhat -1/2 and 3/2
    np.testing.assert_array_equal(grads.x, [[1.375], [-0.625], [-0.625], [-0.125]])


def test_hand_worked_with_running_statistics():
    arrays = np.array([[7.0], [-3.0]]), np.array([-6.0]), np.array([0.5]), np.array([1.0]), np.array([3.0])
    options = {"training": False, "eps": 1}
    np.testing.assert_array_equal(ops.batch_norm(*arrays, **options), [[-17.5], [12.5]])  # (7 - 1)/2 * -6 + 0.5
    grads = ops.batch_norm_backward(np.array([[1.0], [10.0]]), *arrays, **options)
    np.testing.assert_array_equal(grads.x, [[-3.0], [-30.0]])
    assert (grads.weight, grads.bias) == (3 - 20, 11)


@given(st.integers(0, 2**32 - 1), st.integers(2, 8))
def test_training_standardises_every_channel(seed, M):
    rng = np.random.default_rng(seed)
    x, weight, bias = arguments(rng, (M, 3))
    eps = 1e-3
    y = ops.batch_norm(x, weight, bias, training=True, eps=eps)
    np.testing.assert_allclose(y.mean(axis=0), bias, rtol=1e-9, atol=1e-9)
    variance = ((x - x.mean(axis=0)) ** 2).sum(axis=0) / M
    np.testing.assert_allclose(y.var(axis=0), weight**2 * variance / (variance + eps), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_affine_changes_of_x_leave_only_a_sign(seed):
    """Exactly, once eps is scaled like the variance: y(a*x + s, a^2*eps) = sign(a) * y(x, eps)."""
    arrays, options = draw_batch_norm_exact(np.random.default_rng(seed))
    x, a, s, eps = arrays["x"], Fraction(-7, 3), Fraction(11, 2), options["eps"]
    y = ops.batch_norm(x, training=True, eps=eps)
    np.testing.assert_array_equal(ops.batch_norm(a * x + s, training=True, eps=a * a * eps), -y)


@pytest.mark.parametrize("weight_sign", [1, -1])
def test_training_gradient_of_x_has_no_mean_and_no_part_along_xhat(rng, weight_sign):
    x, weight, bias = arguments(rng, (3, 4, 5, 2))
    dy = rng.standard_normal(x.shape) + 1
    dx = ops.batch_norm_backward(dy, x, weight_sign * abs(weight), bias, training=True, eps=0).x
    xhat = ops.batch_norm(x, training=True, eps=0)
    np.testing.assert_allclose(channels_first(dx).sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(channels_first(dx * xhat).sum(axis=1), 0, atol=1e-12)


def test_running_statistics_make_it_affine_in_x_and_its_gradient_local(rng):
    x, weight, bias = arguments(rng, (2, 3, 4))
    running = rng.standard_normal(3), rng.uniform(0.5, 2, 3)

    def f(x):
        return ops.batch_norm(x, weight, bias, *running, training=False)

    z = rng.standard_normal(x.shape)
    np.testing.assert_allclose(f(x + z) - f(x), f(z) - f(0 * z), rtol=1e-9, atol=1e-12)
    dy = np.zeros(x.shape)
    dy[1, 2, 3] = 2.5
    dx = ops.batch_norm_backward(dy, x, weight, bias, *running, training=False).x
    assert np.flatnonzero(dx).tolist() == [np.ravel_multi_index((1, 2, 3), x.shape)]


def test_running_statistics_do_not_enter_in_training(rng):
    x, weight, _ = arguments(rng, (3, 4, 5))
    running = np.full(4, np.nan), np.full(4, -1.0)
    y, dx = ops.batch_norm(x, weight, training=True), ops.batch_norm_backward(x**2, x, weight, training=True).x
    np.testing.assert_array_equal(ops.batch_norm(x, weight, None, *running, training=True), y)
    grads = ops.batch_norm_backward(x**2, x, weight, None, *running, training=True)
    np.testing.assert_array_equal(grads.x, dx)
    assert grads.bias is None


def test_the_second_axis_is_the_channel_at_rank_three_too(rng):
    x = rng.standard_normal((4, 3, 5))
    y = ops.batch_norm(x, training=True)
    np.testing.assert_allclose(y.mean(axis=(0, 2)), 0, atol=1e-14)
    np.testing.assert_array_equal(ops.batch_norm(x[:, :, None], training=True)[:, :, 0], y)


@pytest.mark.parametrize("mean", [1e2, 1e5])
def test_a_mean_far_from_zero_costs_no_digits(rng, mean):
    x = (mean + rng.standard_normal((3, 2, 50, 40))).astype("float32")
    dy = rng.standard_normal(x.shape).astype("float32")
    y, grads = ops.batch_norm(x, training=True), ops.batch_norm_backward(dy, x, np.ones(2, "f"), training=True)
    wide = x.astype("longdouble"), dy.astype("longdouble")
    exact = ops.batch_norm_backward(wide[1], wide[0], np.ones(2, "longdouble"), training=True)
    np.testing.assert_allclose(y, ops.batch_norm(wide[0], training=True), atol=2e-6)
    np.testing.assert_allclose(grads.x, exact.x, atol=3e-6)
    np.testing.assert_allclose(grads.weight, exact.weight, atol=2e-4)  # a sum of 6,000 products


def test_a_constant_channel_becomes_its_bias(rng):
    x = np.full((3, 2, 7), 1e9 / 3, dtype="float32")
    y = ops.batch_norm(x, np.array([2, -3], "float32"), np.array([0.5, 4], "float32"), training=True)
    np.testing.assert_array_equal(y, np.broadcast_to(np.array([[[0.5], [4]]]), x.shape))
    assert np.isfinite(ops.batch_norm_backward(rng.standard_normal(x.shape).astype("f"), x, training=True).x).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_stay_in_their_channel_or_their_pixel(rng, bad):
    x, weight, bias = arguments(rng, (2, 3, 4))
    x[1, 2, 0] = bad
    y = ops.batch_norm(x, weight, bias, training=True)
    assert np.isnan(y[:, 2]).all()
    assert np.isfinite(y[:, :2]).all()
    y = ops.batch_norm(x, weight, bias, np.zeros(3), np.ones(3), training=False)
    assert (~np.isfinite(y)).sum() == 1
    np.testing.assert_array_equal(y[1, 2, 0], bad * np.sign(weight[2]))


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 3, 0), (0, 3), (2, 0, 4)])
@pytest.mark.parametrize("training", [True, False])
def test_nothing_in_nothing_out(shape, training):
    C = shape[1]
    arrays = np.zeros(shape), np.ones(C), np.ones(C), np.zeros(C), np.ones(C)
    assert ops.batch_norm(*arrays, training=training).shape == shape
    grads = ops.batch_norm_backward(np.zeros(shape), *arrays, training=training)
    assert grads.x.shape == shape
    np.testing.assert_array_equal([grads.weight, grads.bias], np.zeros((2, C)))


def test_more_than_the_cache_holds(rng):
    size = passes.BLOCK_ELEMENTS // 5
    x, weight, bias = arguments(rng, (2, 5, size))  # 2 channels at a time
    dy = rng.standard_normal(x.shape)
    mean, var = x.mean(axis=(0, 2), keepdims=True), x.var(axis=(0, 2), keepdims=True)
    xhat, root = (x - mean) / np.sqrt(var + 1e-5), np.sqrt(var + 1e-5)
    y = weight[:, None] * xhat + bias[:, None]
    np.testing.assert_allclose(ops.batch_norm(x, weight, bias, training=True), y, atol=1e-12)
    grads = ops.batch_norm_backward(dy, x, weight, bias, training=True)
    means = [(dy * factor).mean(axis=(0, 2), keepdims=True) for factor in (1, xhat)]
    np.testing.assert_allclose(grads.x, weight[:, None] / root * (dy - means[0] - xhat * means[1]), atol=1e-12)
    np.testing.assert_allclose(grads.weight, (dy * xhat).sum(axis=(0, 2)), rtol=1e-10)


@pytest.mark.parametrize("count", [2, 5])
def test_the_number_of_threads_changes_no_bit(rng, monkeypatch, count):
    x, weight, bias = arguments(rng, (2, 6, passes.BLOCK_ELEMENTS // 4), "float32")
    dy = rng.standard_normal(x.shape).astype("float32")

    def run(count):
        monkeypatch.setattr(threads._threads, "said", count)
        y = ops.batch_norm(x, weight, bias, training=True)
        new = ops.batch_norm_running_stats(x, weight, bias)
        return y, *ops.batch_norm_backward(dy, x, weight, bias, training=True), *new

    for one, several in zip(run(1), run(count), strict=True):
        np.testing.assert_array_equal(one, several)


def test_moments_kept_from_the_forward_pass_give_the_same_bits(rng):
    x, weight, _ = arguments(rng, (3, 4, 6, 5), "float32")
    dy = rng.standard_normal(x.shape).astype("float32")
    _, moments = normalize.forward(rows(x, 2), weight, None, 1e-5, normalize.BATCH)
    kept = normalize.backward(rows(dy, 2), rows(x, 2), weight, 1e-5, normalize.BATCH, moments)
    grads = ops.batch_norm_backward(dy, x, weight, training=True)
    np.testing.assert_array_equal(kept[0].reshape(x.shape), grads.x)
    np.testing.assert_array_equal(kept[1], grads.weight)


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        ({"x": (3,)}, {}, r"x must be \(N, C, ...\), got shape \(3,\)"),
        ({"weight": (4,)}, {}, r"weight.shape \(4,\) must be \(x.shape\[1\],\) = \(3,\)"),
        ({"bias": (1, 3)}, {}, r"bias.shape \(1, 3\) must be \(x.shape\[1\],\) = \(3,\)"),
        ({"running_mean": (2,)}, {}, r"running_mean.shape \(2,\) must be \(x.shape\[1\],\) = \(3,\)"),
        ({"running_var": ()}, {}, r"running_var.shape \(\) must be \(x.shape\[1\],\) = \(3,\)"),
        ({"running_var": None}, {}, "running_mean was given without running_var: both or neither"),
        ({"running_mean": None}, {"training": False}, "running_var was given without running_mean: both or neither"),
        ({"running_mean": None, "running_var": None}, {"training": False}, "training=False needs running_mean and"),
        ({"x": (1, 3, 1)}, {}, r"training needs more than one value per channel, got x.shape \(1, 3, 1\)"),
        ({}, {"eps": -1e-5}, r"eps \(-1e-05\) must be a number of at least 0"),
        ({}, {"eps": float("nan")}, r"eps \(nan\) must be a number of at least 0"),
        ({}, {"eps": "0"}, r"eps \('0'\) must be a number of at least 0"),
    ],
)
def test_errors_say_the_rule_and_the_values(shapes, options, message):
    valid = {"x": (2, 3, 4), "weight": (3,), "bias": (3,), "running_mean": (3,), "running_var": (3,)}
    arrays = [None if shape is None else np.zeros(shape) for shape in (valid | shapes).values()]
    options = {"training": True} | options
    with pytest.raises(ShapeError, match="^batch_norm: " + message):
        ops.batch_norm(*arrays, **options)
    with pytest.raises(ShapeError, match="^batch_norm_backward: " + message):
        ops.batch_norm_backward(arrays[0], *arrays, **options)


def test_one_value_per_channel_is_enough_for_running_statistics():
    y = ops.batch_norm(np.array([[3.0]]), None, None, np.array([1.0]), np.array([4.0]), training=False, eps=0)
    np.testing.assert_array_equal(y, [[1.0]])


def test_grad_output_must_have_the_shape_of_the_output():
    with pytest.raises(
        ShapeError, match=r"^batch_norm_backward: grad_output.shape \(2, 3\) must be the output's shape"
    ):
        ops.batch_norm_backward(np.zeros((2, 3)), np.zeros((2, 3, 4)), training=True)
