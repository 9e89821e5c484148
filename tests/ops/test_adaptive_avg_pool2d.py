"""adaptive_avg_pool2d: spans, hand-worked cases, laws and errors."""

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ShapeError, ops


@given(size=st.integers(1, 14), outputs=st.integers(0, 16))
def test_windows_by_what_a_single_pixel_reaches(size, outputs):
    pixels = np.eye(size)[:, :, None]  # image r: pixel r alone is 1
    assert ops.adaptive_avg_pool2d_shape(pixels.shape, output_size=(outputs, None)) == (size, outputs, 1)
    y = ops.adaptive_avg_pool2d(pixels, output_size=(outputs, None))
    for i in range(outputs):
        window = range(floor(Fraction(i * size, outputs)), ceil(Fraction((i + 1) * size, outputs)))
        expected = [(r in window) / len(window) for r in range(size)]
        assert y[:, i, 0].tolist() == expected


def test_hand_worked_with_windows_that_overlap():
    x = np.array([[[3.0, 6.0, 12.0, -6.0, 30.0]]])
    # spans of 5 pixels for 3 outputs: (0, 1), (1, 2, 3), (3, 4)
    np.testing.assert_array_equal(ops.adaptive_avg_pool2d(x, output_size=(1, 3)), [[[4.5, 4.0, 12.0]]])
    dx = ops.adaptive_avg_pool2d_backward(np.array([[[2.0, 9.0, -4.0]]]), x, output_size=(1, 3)).x
    np.testing.assert_array_equal(dx, [[[1.0, 4.0, 3.0, 1.0, -2.0]]])


def test_more_outputs_than_pixels_repeat_them():
    x = np.array([[[2.0, 10.0]]])
    # spans of 2 pixels for 5 outputs: (0), (0), (0, 1), (1), (1)
    np.testing.assert_array_equal(ops.adaptive_avg_pool2d(x, output_size=(1, 5)), [[[2.0, 2.0, 6.0, 10.0, 10.0]]])
    dx = ops.adaptive_avg_pool2d_backward(np.array([[[1.0, 20.0, 3.0, 4.0, 500.0]]]), x, output_size=(1, 5)).x
    np.testing.assert_array_equal(dx, [[[22.5, 505.5]]])


def test_where_the_sizes_divide_it_is_avg_pool2d(rng):
    x = rng.integers(-99, 99, (2, 3, 12, 10)).astype(float)
    dy = rng.integers(-99, 99, (2, 3, 4, 5)).astype(float)
    np.testing.assert_array_equal(ops.adaptive_avg_pool2d(x, output_size=(4, 5)), ops.avg_pool2d(x, kernel_size=(3, 2)))
    np.testing.assert_array_equal(
        ops.adaptive_avg_pool2d_backward(dy, x, output_size=(4, 5)).x,
        ops.avg_pool2d_backward(dy, x, kernel_size=(3, 2)).x,
    )


def test_one_output_is_the_mean_of_the_image(rng):
    x = rng.standard_normal((2, 3, 7, 5))
    y = ops.adaptive_avg_pool2d(x, output_size=1)
    np.testing.assert_allclose(y[:, :, 0, 0], x.mean(axis=(2, 3)), rtol=1e-13)


def test_rounding_does_not_come_from_the_whole_row():
    x = np.full((1, 1, 4096), 1e-3, dtype="float32")
    x[0, 0, :8] = 1e7  # prefix sums would leave nothing of the small ones
    y = ops.adaptive_avg_pool2d(x, output_size=(1, 512))
    np.testing.assert_array_equal(y[0, 0, 1:], np.float32(1e-3))


def test_infinity_stays_under_its_window():
    x = np.array([[[1.0, np.inf, 2.0, 6.0]]])
    np.testing.assert_array_equal(ops.adaptive_avg_pool2d(x, output_size=(1, 2)), [[[np.inf, 4.0]]])


def test_no_outputs_give_no_gradient():
    x = np.ones((2, 3, 4, 5))
    y = ops.adaptive_avg_pool2d(x, output_size=(0, 2))
    assert y.shape == (2, 3, 0, 2)
    np.testing.assert_array_equal(ops.adaptive_avg_pool2d_backward(y, x, output_size=(0, 2)).x, 0 * x)


@pytest.mark.parametrize(
    ("x", "output_size", "message"),
    [
        ((5,), 2, r"x must be \(N, C, H, W\) or \(C, H, W\), got shape \(5,\)"),
        ((5, 6), 2, r"x must be \(N, C, H, W\) or \(C, H, W\), got shape \(5, 6\)"),
        ((3, 5, 6), -1, r"output_size \(-1\) must be an integer of at least 0"),
        ((3, 5, 6), (2, 2.0), r"output_size \(2.0\) must be an integer"),
        ((3, 5, 6), (2, 3, 4), r"output_size \(\(2, 3, 4\)\) must be an int or a pair"),
        ((3, 5, 6), None, r"output_size \(None\) must be an integer"),
        ((3, 0, 6), 2, r"x must have pixels, got height and width \(0, 6\)"),
    ],
)
def test_errors_say_the_rule_and_the_values(x, output_size, message):
    with pytest.raises(ShapeError, match="^adaptive_avg_pool2d: " + message):
        ops.adaptive_avg_pool2d(np.zeros(x), output_size=output_size)
    with pytest.raises(ShapeError, match="^adaptive_avg_pool2d: " + message):
        ops.adaptive_avg_pool2d_shape(x, output_size=output_size)
    with pytest.raises(ShapeError, match="^adaptive_avg_pool2d_backward: " + message):
        ops.adaptive_avg_pool2d_backward(np.zeros(x), np.zeros(x), output_size=output_size)


def test_grad_output_must_have_the_shape_of_the_output():
    with pytest.raises(ShapeError, match=r"grad_output.shape \(3, 2, 3\) must be the output's shape \(3, 2, 2\)"):
        ops.adaptive_avg_pool2d_backward(np.zeros((3, 2, 3)), np.zeros((3, 5, 6)), output_size=2)


@pytest.mark.parametrize("size", [1, (1, 3), (4, 1), (8, 6), (64, 48)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_over_long_windows_do_not_depend_on_the_layout(rng, size, dtype):
    """Windows that share no pixel are summed at once, and pixels in one window each are filled in at once."""
    x = rng.standard_normal((2, 3, 32, 48)).astype(dtype)
    y = ops.adaptive_avg_pool2d(x, output_size=size)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx = ops.adaptive_avg_pool2d_backward(dy, x, output_size=size).x
    assert dx.flags.writeable
    assert 0 not in dx.strides
    for layout in (
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=3)[..., ::2],
        lambda a: np.flip(np.flip(a).copy()),
    ):
        assert ops.adaptive_avg_pool2d(layout(x), output_size=size).tobytes() == y.tobytes()
        assert ops.adaptive_avg_pool2d_backward(layout(dy), x, output_size=size).x.tobytes() == dx.tobytes()
