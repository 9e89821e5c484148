"""upsample_bilinear2d: hand-worked cases, laws and conventions (shape law and errors: test_upsample_nearest2d)."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ops, spec
from unet_ref.check.exact import rational


@pytest.mark.parametrize("module", [spec, ops], ids=["spec", "ops"])
def test_hand_worked(module):
    x = np.array([[[0.0, 4.0], [8.0, 28.0]]])
    # centres at -1/4 (held at 0), 1/4, 3/4, 5/4 (held at 1): weights 1 and 0, 3/4 and 1/4, 1/4 and 3/4, 0 and 1
    expected = [[0, 1, 3, 4], [2, 4, 8, 10], [6, 10, 18, 22], [8, 13, 23, 28]]
    np.testing.assert_array_equal(module.upsample_bilinear2d(x, scale_factor=2), [expected])
    dy = np.zeros((1, 4, 4))
    dy[0, 1, 1], dy[0, 3, 2] = 16, 4
    # 16 * (3/4, 1/4) x (3/4, 1/4) = (9, 3; 3, 1), and 4 * (0, 1) x (1/4, 3/4) = (0, 0; 1, 3)
    np.testing.assert_array_equal(module.upsample_bilinear2d_backward(dy, x, scale_factor=2).x, [[[9, 3], [4, 4]]])


def test_halving_averages_the_pairs_and_thirds_take_the_middle(rng):
    x = rng.integers(-99, 99, (2, 3, 6, 12)).astype(float)
    blocks = x.reshape(2, 3, 3, 2, 6, 2)
    np.testing.assert_array_equal(ops.upsample_bilinear2d(x, scale_factor=0.5), blocks.mean((3, 5)))
    np.testing.assert_array_equal(ops.upsample_bilinear2d(x, scale_factor=1 / 3), x[..., 1::3, 1::3])
    np.testing.assert_array_equal(ops.upsample_bilinear2d(x, size=1), x[..., 2:4, 5:7].mean((2, 3), keepdims=True))


sizes = st.tuples(st.integers(1, 6), st.integers(1, 6))
options = st.one_of(
    st.builds(lambda h, w: {"size": (h, w)}, st.integers(1, 13), st.integers(1, 13)),
    st.builds(lambda h, w: {"scale_factor": (h, w)}, st.floats(1, 3), st.sampled_from([1, 2, 1.3, 5 / 3, 1.0239])),
)


@given(size=sizes, options=options)
def test_a_constant_stays_and_the_gradient_keeps_the_sum(size, options):
    x = np.full((2, *size), Fraction(-7, 3))
    y = ops.upsample_bilinear2d(x, **options)
    assert (y == Fraction(-7, 3)).all()
    dy = rational(np.random.default_rng(size[0]), y.shape)
    dx = ops.upsample_bilinear2d_backward(dy, x, **options).x
    assert (dx.sum((1, 2)) == dy.sum((1, 2))).all()


@given(size=sizes, target=st.tuples(st.integers(1, 13), st.integers(1, 13)))
def test_a_ramp_gives_the_centre_of_each_pixel(size, target):
    p, q = np.indices(size)
    ramp = (Fraction(3) * p - Fraction(5, 7) * q)[None]
    y = ops.upsample_bilinear2d(ramp, size=target)
    for i, j in np.ndindex(*target):
        s, t = (
            min(max((index + Fraction(1, 2)) * n / m - Fraction(1, 2), 0), n - 1)
            for index, n, m in zip((i, j), size, target, strict=True)
        )
        assert y[0, i, j] == 3 * s - Fraction(5, 7) * t


@given(size=sizes, target=st.tuples(st.integers(1, 13), st.integers(1, 13)))
def test_flips_and_the_transpose_commute_with_a_resize(size, target):
    x = rational(np.random.default_rng(target[1]), (2, *size))
    y = ops.upsample_bilinear2d(x, size=target)
    assert (ops.upsample_bilinear2d(x[:, ::-1], size=target) == y[:, ::-1]).all()
    assert (ops.upsample_bilinear2d(x[..., ::-1], size=target) == y[..., ::-1]).all()
    assert (ops.upsample_bilinear2d(x.swapaxes(1, 2), size=target[::-1]) == y.swapaxes(1, 2)).all()


def test_a_scale_factor_counts_as_given_not_as_the_quotient_of_the_sizes():
    x = np.array([[[0.0, 8.0, 24.0]]])
    # the second centre lies at 3/2 / 1.5 - 1/2 = 1/2 with the scale given, at 3/2 * 3/4 - 1/2 = 5/8 by the sizes
    assert ops.upsample_bilinear2d(x, scale_factor=(1, 1.5))[0, 0, 1] == 4
    assert ops.upsample_bilinear2d(x, size=(1, 4))[0, 0, 1] == 5


@pytest.mark.parametrize(("scale", "meant"), [(1.23456, Fraction(3858, 3125)), (1.2345678901, Fraction(1.2345678901))])
def test_a_float_means_its_short_fraction_or_if_it_has_none_its_value(scale, meant):
    ramp = np.array([[[Fraction(p) for p in range(5)]]])
    y = ops.upsample_bilinear2d(ramp, scale_factor=(1, scale))[0, 0]
    assert y.tolist() == [min(max((j + Fraction(1, 2)) / meant - Fraction(1, 2), 0), 4) for j in range(6)]


def test_where_the_size_stays_the_scale_factor_does_not_count(rng):
    x = rng.standard_normal((2, 4, 7))
    y = ops.upsample_bilinear2d(x, scale_factor=1.0239041660002521)
    np.testing.assert_array_equal(y, x)
    assert not np.shares_memory(y, x)
    doubled = ops.upsample_bilinear2d(x, scale_factor=(1, 2.05))
    assert doubled.shape == (2, 4, 14)  # here the scale does count
    assert np.abs(doubled - ops.upsample_bilinear2d(x, size=(4, 14))).max() > 1e-3


def test_an_infinite_pixel_reaches_the_outputs_that_weigh_it_and_no_other():
    x = np.zeros((1, 1, 5))
    x[0, 0, 2] = np.inf
    y = ops.upsample_bilinear2d(x, scale_factor=(1, 3))[0, 0]  # centres (j - 1) / 3: 4/3, 5/3, 2, 7/3, 8/3
    np.testing.assert_array_equal(np.isinf(y), (np.arange(15) >= 5) & (np.arange(15) <= 9))
    assert not np.isnan(y).any()


def test_weights_are_as_exact_as_the_dtype(rng):
    if np.finfo("longdouble").eps == np.finfo("float64").eps:
        pytest.skip("longdouble is float64 here")
    x = rng.integers(-99, 99, (1, 4, 5)).astype("longdouble")
    exact = ops.upsample_bilinear2d(x.astype(int).astype(object), size=(7, 9))
    error = ops.upsample_bilinear2d(x, size=(7, 9)) - (exact * 63).astype("longdouble") / 63  # weights: k / 14, l / 18
    assert np.abs(error).max() < 400 * np.finfo("longdouble").eps
