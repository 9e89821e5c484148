"""batch_norm_running_stats: hand-worked values, laws, edge cases and errors."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ShapeError, ops, spec
from unet_ref.check.exact import rational


def test_hand_worked():
    x = np.array([[[1.0, 5.0]], [[3.0, 7.0]]])  # mean 4, unbiased variance (9 + 1 + 1 + 9) / 3
    new = ops.batch_norm_running_stats(x, np.array([-4.0]), np.array([2.0]), momentum=0.25)
    np.testing.assert_allclose(new.mean, [-2.0], rtol=1e-15)
    np.testing.assert_allclose(new.var, [0.75 * 2 + 0.25 * 20 / 3], rtol=1e-15)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 4), min_size=2, max_size=4))
def test_momentum_one_takes_the_batch_and_zero_keeps_the_old(seed, shape):
    rng = np.random.default_rng(seed)
    x = rng.normal(3, 2, (shape[0] + 1, *shape[1:]))
    old = rng.standard_normal(shape[1]), rng.uniform(1, 2, shape[1])
    batch = ops.batch_norm_running_stats(x, *old, momentum=1)
    channels = np.moveaxis(x, 1, 0).reshape(shape[1], -1)
    np.testing.assert_allclose(batch.mean, channels.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(batch.var, channels.var(axis=1, ddof=1), rtol=1e-10)
    np.testing.assert_array_equal(ops.batch_norm_running_stats(x, *old, momentum=0), old)


def test_the_same_batch_again_and_again_draws_the_average_to_it(rng):
    """Exactly: after k batches the difference from the batch's own is (1 - momentum)^k times what it was."""
    x, m = rational(rng, (2, 3, 2)), Fraction(2, 7)
    old = new = ops.batch_norm_running_stats(x * 2 + 1, rational(rng, (3,)), rational(rng, (3,)), momentum=m)
    batch = ops.batch_norm_running_stats(x, *old, momentum=1)
    for _ in range(4):
        new = ops.batch_norm_running_stats(x, *new, momentum=m)
    np.testing.assert_array_equal(new.mean - batch.mean, (1 - m) ** 4 * (old.mean - batch.mean))
    np.testing.assert_array_equal(new.var - batch.var, (1 - m) ** 4 * (old.var - batch.var))


def test_default_momentum_is_a_tenth(rng):
    x = rng.standard_normal((4, 2))
    new = ops.batch_norm_running_stats(x, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    np.testing.assert_allclose(new.mean, 0.9 * np.array([1, 2]) + 0.1 * x.mean(axis=0), rtol=1e-14)


def test_far_from_zero_the_variance_keeps_its_digits_and_the_mean_is_rounded_once(rng):
    x = (1e5 + rng.standard_normal((4, 3, 999))).astype("float32")
    new = ops.batch_norm_running_stats(x, np.zeros(3, "f"), np.zeros(3, "f"), momentum=1)
    np.testing.assert_array_equal(new.mean, x.astype("float64").mean(axis=(0, 2)).astype("float32"))
    np.testing.assert_allclose(new.var, x.astype("float64").var(axis=(0, 2), ddof=1), rtol=2e-6)


@pytest.mark.parametrize("module", [ops, spec])
def test_an_empty_batch_changes_nothing(module):
    old = np.array([1.5, -2.0]), np.array([0.5, 3.0])
    new = module.batch_norm_running_stats(np.zeros((0, 2, 3)), *old)
    np.testing.assert_array_equal(new, old)
    assert not np.shares_memory(new.mean, old[0])
    assert not np.shares_memory(new.var, old[1])


def test_infinity_makes_the_mean_infinite_and_the_variance_undefined(rng):
    x = rng.standard_normal((3, 2))
    x[1, 0] = -np.inf
    new = ops.batch_norm_running_stats(x, np.zeros(2), np.ones(2))
    assert new.mean[0] == -np.inf
    assert np.isnan(new.var[0])
    assert np.isfinite([new.mean[1], new.var[1]]).all()


@pytest.mark.parametrize(
    ("x", "mean", "var", "momentum", "message"),
    [
        ((3,), (3,), (3,), 0.1, r"x must be \(N, C, ...\), got shape \(3,\)"),
        ((2, 3), (2,), (3,), 0.1, r"running_mean.shape \(2,\) must be \(x.shape\[1\],\) = \(3,\)"),
        ((2, 3), (3,), (1,), 0.1, r"running_var.shape \(1,\) must be \(x.shape\[1\],\) = \(3,\)"),
        ((1, 3), (3,), (3,), 0.1, r"the unbiased variance needs more than one value per channel, got x.shape \(1, 3\)"),
        ((2, 3), (3,), (3,), None, r"momentum \(None\) must be a number"),
    ],
)
def test_errors_say_the_rule_and_the_values(x, mean, var, momentum, message):
    with pytest.raises(ShapeError, match="^batch_norm_running_stats: " + message):
        ops.batch_norm_running_stats(np.zeros(x), np.zeros(mean), np.zeros(var), momentum=momentum)
