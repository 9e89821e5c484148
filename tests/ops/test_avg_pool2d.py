"""avg_pool2d: shape law, hand-worked divisors, laws and errors."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ShapeError, ops, spec


@given(
    size=st.integers(1, 12), kernel=st.integers(1, 5), stride=st.integers(1, 4),
    before=st.integers(0, 2), after=st.integers(0, 2), ceil_mode=st.booleans(),
)  # fmt: skip
def test_shape_law_counts_the_windows(size, kernel, stride, before, after, ceil_mode):
    before, after = min(before, kernel // 2), min(after, kernel // 2)
    end = size + before + after
    if ceil_mode:  # a window for whatever its predecessor left over, if it starts on the image or before it
        windows = [i for i in range(20) if stride * (i - 1) + kernel < end and stride * i < before + size]
    else:
        windows = [i for i in range(20) if stride * i + kernel <= end]
    options = {
        "kernel_size": (1, kernel), "stride": (1, stride), "padding": (0, (before, after)), "ceil_mode": ceil_mode
    }  # fmt: skip
    if windows:
        assert ops.avg_pool2d_shape((2, 3, 5, size), **options) == (2, 3, 5, len(windows))
        assert spec.avg_pool2d(np.zeros((1, 1, size)), **options).shape == (1, 1, len(windows))
    else:
        with pytest.raises(ShapeError, match="must hold the dilated kernel"):
            ops.avg_pool2d_shape((2, 3, 5, size), **options)


# One row of 4 pixels, kernel 3, stride 2, one pixel of padding on both sides, ceil mode: the windows hold
# (pad, 12, 24), (24, 36, 48) and (48, pad, nothing), which is no pixel, not even of the padding.
@pytest.mark.parametrize(
    ("options", "divisors"),
    [
        ({}, [3, 3, 2]),
        ({"count_include_pad": False}, [2, 3, 1]),
        ({"divisor_override": 7}, [7, 7, 7]),
        ({"divisor_override": -2, "count_include_pad": False}, [-2, -2, -2]),
    ],
)
@pytest.mark.parametrize("functions", [spec, ops])
def test_hand_worked_divisors(options, divisors, functions):
    x = np.array([[[Fraction(12), Fraction(24), Fraction(36), Fraction(48)]]])
    dy = np.array([[[Fraction(5), Fraction(-7), Fraction(11)]]])
    first, second, third = (Fraction(1, divisor) for divisor in divisors)
    y = np.array([[[36 * first, 108 * second, 48 * third]]])
    dx = np.array([[[5 * first, 5 * first - 7 * second, -7 * second, -7 * second + 11 * third]]])

    row = {"kernel_size": (1, 3), "stride": (1, 2), "padding": (0, 1), "ceil_mode": True, **options}
    assert functions.avg_pool2d(x, **row).tolist() == y.tolist()
    assert functions.avg_pool2d_backward(dy, x, **row).x.tolist() == dx.tolist()
    column = {**row, "kernel_size": (3, 1), "stride": (2, 1), "padding": (1, 0)}
    assert functions.avg_pool2d(x.mT, **column).mT.tolist() == y.tolist()
    assert functions.avg_pool2d_backward(dy.mT, x.mT, **column).x.mT.tolist() == dx.tolist()


def test_the_divisor_is_a_product_of_rows_and_columns():
    x = np.full((1, 3, 3), 90.0)  # ceil mode: the last windows hold 2x1, 1x2 and 1x1 pixels
    np.testing.assert_array_equal(ops.avg_pool2d(x, kernel_size=2, ceil_mode=True), np.full((1, 2, 2), 90.0))
    y = ops.avg_pool2d(x, kernel_size=2, padding=1)  # corners hold one pixel, edges two, of four
    np.testing.assert_array_equal(y, [[[22.5, 45.0], [45.0, 90.0]]])


def test_pool_after_upsampling_gives_the_image_back(rng):
    x = rng.integers(-99, 99, (2, 3, 5, 4)).astype(float)
    up = x.repeat(2, axis=2).repeat(3, axis=3)
    np.testing.assert_array_equal(ops.avg_pool2d(up, kernel_size=(2, 3)), x)


def test_it_is_the_convolution_with_a_window_of_equal_weights(rng):
    x, options = rng.standard_normal((2, 3, 9, 8)), {"stride": (2, 1), "padding": ((1, 0), (1, 2))}
    weight = np.full((3, 1, 3, 4), 1 / 12)
    y = ops.avg_pool2d(x, kernel_size=(3, 4), **options)
    np.testing.assert_allclose(y, ops.conv2d(x, weight, groups=3, **options), rtol=0, atol=1e-15)


def test_infinity_and_nan_stay_under_their_windows():
    x = np.array([[[1.0, np.inf, 2.0, 6.0, -np.inf, np.inf, 3.0, np.nan]]])
    y = ops.avg_pool2d(x, kernel_size=(1, 2))
    np.testing.assert_array_equal(y, [[[np.inf, 4.0, np.nan, np.nan]]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 3, "padding": 2}, r"padding of the height \(2, 2\) must be at most kernel_size // 2 \(3 // 2"),
        ({"kernel_size": (2, 8)}, r"the padded width \(6 \+ 0 \+ 0 = 6\) must hold the dilated kernel"),
        ({"kernel_size": 2.0}, r"kernel_size \(2.0\) must be an integer"),
        ({"stride": (1, 0)}, r"stride \(0\) must be an integer of at least 1"),
        ({"divisor_override": 0}, r"divisor_override \(0\) must not be zero"),
        ({"divisor_override": 2.5}, r"divisor_override \(2.5\) must be an integer"),
    ],
)
def test_errors_say_the_rule_and_the_values(options, message):
    x, options = np.zeros((3, 5, 6)), {"kernel_size": 2, **options}
    with pytest.raises(ShapeError, match="^avg_pool2d: " + message):
        ops.avg_pool2d(x, **options)
    with pytest.raises(ShapeError, match="^avg_pool2d: " + message):
        ops.avg_pool2d_shape(x.shape, **options)
    with pytest.raises(ShapeError, match="^avg_pool2d_backward: " + message):
        ops.avg_pool2d_backward(x, x, **options)


def test_images_and_gradients_must_have_their_shapes():
    with pytest.raises(ShapeError, match=r"^avg_pool2d: x must be \(N, C, H, W\) or \(C, H, W\), got shape \(5, 6\)"):
        ops.avg_pool2d(np.zeros((5, 6)), kernel_size=2)
    with pytest.raises(
        ShapeError, match=r"^avg_pool2d_backward: grad_output.shape \(3, 5, 3\) must be the output's shape \(3, 2, 3\)"
    ):
        ops.avg_pool2d_backward(np.zeros((3, 5, 3)), np.zeros((3, 5, 6)), kernel_size=2)
