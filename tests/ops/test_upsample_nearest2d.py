"""upsample_nearest2d: shape law, hand-worked cases, laws, conventions and errors."""

import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ShapeError, ops, spec


@given(height=st.integers(1, 40), width=st.integers(1, 40), scale=st.floats(0.03, 5))
def test_shape_law_counts_whole_pixels_in_the_scaled_size(height, width, scale):
    def whole(size):
        return sum(m <= size * scale for m in range(1, 5 * size + 1))

    if min(whole(height), whole(width)):
        expected = (3, whole(height), whole(width))
        assert ops.upsample_nearest2d_shape((3, height, width), scale_factor=scale) == expected
        assert ops.upsample_bilinear2d_shape((3, height, width), scale_factor=scale) == expected
    else:
        with pytest.raises(ShapeError, match=r"output \(0\) must be at least 1"):
            ops.upsample_nearest2d_shape((3, height, width), scale_factor=scale)


def test_the_shape_law_rounds_as_a_float64_product_does():
    assert ops.upsample_nearest2d_shape((1, 3, 3), scale_factor=1 / 3) == (1, 1, 1)
    assert ops.upsample_nearest2d_shape((1, 199, 1), scale_factor=800 / 199) == (1, 799, 4)  # 799.9999999999999


@pytest.mark.parametrize("module", [spec, ops], ids=["spec", "ops"])
def test_hand_worked(module):
    x = np.array([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
    # rows 0, 0, 1 (i / 1.5 = 0, 0.67, 1.33); columns 0, 2 (j * 3 / 2 = 0, 1.5) by size
    np.testing.assert_array_equal(module.upsample_nearest2d(x, size=(3, 2)), [[[1, 2], [1, 2], [4, 5]]])
    dy = np.array([[[1.0, 2.0], [4.0, 8.0], [16.0, 32.0]]])
    dx = module.upsample_nearest2d_backward(dy, x, size=(3, 2)).x
    np.testing.assert_array_equal(dx, [[[5, 10, 0], [16, 32, 0]]])


@pytest.mark.parametrize("scale", [1, 2, 3, (2, 3), (4, 1)])
def test_whole_scales_repeat_and_their_gradient_sums_blocks(scale, rng):
    h, w = scale if isinstance(scale, tuple) else (scale, scale)
    x = rng.standard_normal((2, 3, 4, 5))
    y = ops.upsample_nearest2d(x, scale_factor=scale)
    np.testing.assert_array_equal(y, x.repeat(h, axis=2).repeat(w, axis=3))
    np.testing.assert_array_equal(y, ops.upsample_nearest2d(x, size=(4 * h, 5 * w)))
    dy = rng.integers(-99, 99, y.shape).astype(float)
    blocks = dy.reshape(2, 3, 4, h, 5, w)
    np.testing.assert_array_equal(ops.upsample_nearest2d_backward(dy, x, scale_factor=scale).x, blocks.sum((3, 5)))


def test_averaging_the_copies_gives_the_image_back(rng):
    x = rng.standard_normal((2, 3, 5, 4))
    y = ops.upsample_nearest2d(x, scale_factor=(2, 4))
    np.testing.assert_array_equal(y.reshape(2, 3, 5, 2, 4, 4).mean((3, 5)), x)


@given(height=st.integers(1, 9), width=st.integers(1, 9), h=st.integers(1, 20), w=st.integers(1, 20))
def test_the_gradient_keeps_the_sum(height, width, h, w):
    dy = np.random.default_rng(height * width).integers(-99, 99, (2, h, w)).astype(float)
    dx = ops.upsample_nearest2d_backward(dy, np.zeros((2, height, width)), size=(h, w)).x
    np.testing.assert_array_equal(dx.sum((1, 2)), dy.sum((1, 2)))


def sources(pixels, **options):
    """Which pixel of a row of so many each output copies."""
    return ops.upsample_nearest2d(np.arange(float(pixels)).reshape(1, 1, -1), **options)[0, 0].astype(int).tolist()


def test_a_scale_factor_counts_as_given_not_as_the_quotient_of_the_sizes():
    assert sources(5, scale_factor=(1, 1.3)) == [0, 0, 1, 2, 3, 3]  # floor(j / 1.3)
    assert sources(5, size=(1, 6)) == [0, 0, 1, 2, 3, 4]  # floor(j * 5 / 6)


def test_where_the_size_stays_or_doubles_the_scale_factor_does_not_count():
    assert sources(5, scale_factor=(1, 1.19)) == [0, 1, 2, 3, 4]  # floor(j / 1.19) would begin 0, 0, 1
    assert sources(3, scale_factor=(1, 2.3)) == [0, 0, 1, 1, 2, 2]  # floor(j / 2.3) would begin 0, 0, 0, 1
    assert sources(2, scale_factor=(1, 3.3)) == [0, 0, 0, 0, 1, 1]  # three times: here it does count


def test_coordinates_are_exact():
    assert sources(11, scale_factor=(1, 1.3))[13] == 10  # 13 / (13/10); the float 1.3 is a little more than 13/10
    assert sources(6, scale_factor=(1, 5 / 3))[5] == 3
    assert sources(2, size=(1, 82))[41] == 1  # float32(2 / 82) * 41 < 1: PyTorch still copies pixel 0


def test_scales_of_numpy_and_exact_fractions():
    assert sources(4, scale_factor=np.float32(1.5)) == sources(4, scale_factor=Fraction(3, 2)) == [0, 0, 1, 2, 2, 3]


@pytest.mark.parametrize("name", ["upsample_nearest2d", "upsample_bilinear2d"])
@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((5, 4), {"size": 3}, "x must be (N, C, H, W) or (C, H, W), got shape (5, 4)"),
        ((1, 5, 4), {}, "exactly one of size (None) and scale_factor (None) must be given"),
        ((1, 5, 4), {"size": 3, "scale_factor": 2}, "exactly one of size (3) and scale_factor (2) must be given"),
        ((1, 5, 4), {"size": (1, 2, 3)}, "size ((1, 2, 3)) must be an int or a pair (h, w)"),
        ((1, 5, 4), {"size": 2.5}, "size (2.5) must be an integer"),
        ((1, 5, 4), {"size": (3, 0)}, "size (0) must be an integer of at least 1"),
        ((1, 5, 4), {"scale_factor": "2"}, "scale_factor ('2') must be a number or a pair (h, w) of numbers"),
        ((1, 5, 4), {"scale_factor": (2,)}, "scale_factor ((2,)) must be a number or a pair (h, w) of numbers"),
        ((1, 5, 4), {"scale_factor": True}, "scale_factor (True) must be a number or a pair (h, w) of numbers"),
        ((1, 5, 4), {"scale_factor": (2, -1)}, "scale_factor ((2, -1)) must be positive and finite"),
        ((1, 5, 4), {"scale_factor": float("inf")}, "scale_factor (inf) must be positive and finite"),
        ((1, 5, 4), {"scale_factor": float("nan")}, "scale_factor (nan) must be positive and finite"),
        ((1, 5, 4), {"scale_factor": 0.2}, "the width of input (4) and output (0) must be at least 1"),
        ((1, 0, 4), {"size": 3}, "the height of input (0) and output (3) must be at least 1"),
    ],
)
def test_errors_say_the_rule_and_the_values(name, shape, options, message):
    x = np.zeros(shape)
    calls = [
        (name, lambda: getattr(ops, name)(x, **options)),
        (name, lambda: getattr(ops, f"{name}_shape")(shape, **options)),
        (f"{name}_backward", lambda: getattr(ops, f"{name}_backward")(x, x, **options)),
    ]
    for prefix, call in calls:
        with pytest.raises(ShapeError, match=f"^{prefix}: " + re.escape(message)):
            call()


@pytest.mark.parametrize("name", ["upsample_nearest2d", "upsample_bilinear2d"])
def test_grad_output_must_have_the_shape_of_the_output(name):
    message = rf"^{name}_backward: grad_output.shape \(2, 5, 4\) must be the output's shape \(2, 7, 6\)"
    with pytest.raises(ShapeError, match=message):
        getattr(ops, f"{name}_backward")(np.zeros((2, 5, 4)), np.zeros((2, 5, 4)), scale_factor=1.5)
