"""max_pool2d: shape law, hand-worked cases, which pixel is chosen, laws and errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ShapeError, ops, passes, spec

nan, inf = np.nan, np.inf


@given(
    size=st.integers(3, 12), kernel=st.integers(1, 5), stride=st.integers(1, 4), dilation=st.integers(1, 3),
    before=st.integers(0, 2), after=st.integers(0, 2), ceil_mode=st.booleans(),
)  # fmt: skip
def test_shape_law_counts_the_windows(size, kernel, stride, dilation, before, after, ceil_mode):
    before, after = min(before, kernel // 2), min(after, kernel // 2)
    end, span = size + before + after, dilation * (kernel - 1) + 1
    if ceil_mode:  # a window for whatever its predecessor left over, if it starts on the image or before it
        windows = [i for i in range(20) if stride * (i - 1) + span < end and stride * i < before + size]
    else:
        windows = [i for i in range(20) if stride * i + span <= end]
    options = {
        "kernel_size": (kernel, 1), "stride": (stride, 1), "dilation": (dilation, 1),
        "padding": ((before, after), (0, 0)), "ceil_mode": ceil_mode,
    }  # fmt: skip
    if windows:
        assert ops.max_pool2d_shape((3, size, 5), **options) == (3, len(windows), 5)
        assert spec.max_pool2d(np.zeros((1, size, 1)), **options).shape == (1, len(windows), 1)
    else:
        with pytest.raises(ShapeError, match="must hold the dilated kernel"):
            ops.max_pool2d_shape((3, size, 5), **options)


def test_hand_worked_with_windows_that_overlap():
    x = np.array([[[1.0, 7.0, 2.0, 5.0], [3.0, 0.0, 4.0, 6.0]]])
    options = {"kernel_size": (2, 3), "stride": 1}
    np.testing.assert_array_equal(ops.max_pool2d(x, **options), [[[7.0, 7.0]]])
    # both windows chose the 7: it gets both gradients
    dx = ops.max_pool2d_backward(np.array([[[0.25, -3.0]]]), x, **options).x
    np.testing.assert_array_equal(dx, [[[0.0, -2.75, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]])


def test_padding_is_never_chosen():
    x = np.array([[[-4.0, -2.0], [-3.0, -5.0]]])
    np.testing.assert_array_equal(ops.max_pool2d(x, kernel_size=2, padding=1), x)
    y = ops.max_pool2d(x, kernel_size=2, stride=1, padding=((0, 1), (1, 0)))
    np.testing.assert_array_equal(y, [[[-3.0, -2.0], [-3.0, -3.0]]])


def choice(pixels, kernel_size, functions):
    """Which pixel of one window the gradient goes to."""
    x = np.array(pixels).reshape(1, *kernel_size)
    dx = functions.max_pool2d_backward(np.array([[[3.0]]], x.dtype), x, kernel_size=kernel_size).x
    (found,) = np.flatnonzero(dx)
    assert dx.flat[found] == 3.0
    return found


@pytest.mark.parametrize("functions", [spec, ops])
@pytest.mark.parametrize(
    ("pixels", "chosen"),
    [
        ([2.0, 5.0, 5.0, 5.0, 1.0, 5.0], 1),  # a tie: the first, row by row
        ([0.0, 5.0, 1.0, 5.0, 2.0, 0.0], 1),  # the first of the rows before the first of the columns
        ([-0.0, 0.0, -1.0, 0.0, -0.0, -2.0], 0),
        ([-inf] * 6, 0),
        ([1.0, nan, inf, 2.0, nan, 3.0], 4),  # NaN wins; of several the last
        ([nan, 1.0, 2.0, 3.0, 4.0, 5.0], 0),
        ([5 + 1j, 5 + 9j, 1 + 99j, 0j, 1j, 2j], 0),  # by the real part
    ],
)
def test_which_pixel_is_chosen(pixels, chosen, functions):
    assert choice(pixels, (2, 3), functions) == chosen
    y = functions.max_pool2d(np.array(pixels).reshape(1, 2, 3), kernel_size=(2, 3))
    assert y.tobytes() == np.array(pixels)[chosen].tobytes()  # the sign of a zero and the imaginary part too


def test_pooling_in_two_steps_is_pooling_in_one(rng):
    x = rng.standard_normal((2, 3, 8, 12))
    twice = ops.max_pool2d(ops.max_pool2d(x, kernel_size=(2, 3)), kernel_size=(4, 2))
    np.testing.assert_array_equal(twice, ops.max_pool2d(x, kernel_size=(8, 6)))


def test_pool_after_upsampling_gives_the_image_back(rng):
    x = rng.standard_normal((2, 3, 5, 4))
    up = x.repeat(2, axis=2).repeat(3, axis=3)
    np.testing.assert_array_equal(ops.max_pool2d(up, kernel_size=(2, 3)), x)


def test_nothing_of_the_gradient_is_lost(rng):
    x, options = (
        rng.standard_normal((2, 3, 9, 7)),
        {"kernel_size": 3, "stride": (1, 2), "padding": 1, "dilation": (2, 1)},
    )
    dy = rng.integers(-9, 10, ops.max_pool2d_shape(x.shape, **options)).astype(float)
    dx = ops.max_pool2d_backward(dy, x, **options).x
    np.testing.assert_array_equal(dx.sum(axis=(2, 3)), dy.sum(axis=(2, 3)))


def test_an_infinite_gradient_stays_with_its_pixel():
    x, dy = np.array([[[1.0, 5.0, 2.0, 9.0, 0.0]]]), np.array([[[inf, nan]]])
    dx = ops.max_pool2d_backward(dy, x, kernel_size=(1, 2)).x
    np.testing.assert_array_equal(dx, [[[0.0, inf, 0.0, nan, 0.0]]])


def test_a_window_of_more_taps_than_a_byte_counts(rng):
    x = rng.permutation(143).reshape(1, 13, 11).astype(float)
    dx = ops.max_pool2d_backward(np.array([[[2.0]]]), x, kernel_size=(13, 11)).x
    np.testing.assert_array_equal(dx, 2.0 * (x == 142))


@pytest.mark.parametrize("block", [1, 300, 1 << 20])
def test_any_number_of_planes_at_a_time_gives_the_same(block, rng, monkeypatch):
    x, options = rng.standard_normal((3, 5, 10, 12)).astype("float32"), {"kernel_size": 3, "stride": 2, "padding": 1}
    y = ops.max_pool2d(x, **options)
    dx = ops.max_pool2d_backward(y, x, **options).x
    monkeypatch.setattr(passes, "BLOCK_ELEMENTS", block)
    np.testing.assert_array_equal(ops.max_pool2d(x, **options), y, strict=True)
    np.testing.assert_array_equal(ops.max_pool2d_backward(y, x, **options).x, dx, strict=True)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        ((5, 5), {}, r"x must be \(N, C, H, W\) or \(C, H, W\), got shape \(5, 5\)"),
        ((3, 5, 5), {"kernel_size": 0}, r"kernel_size \(0\) must be an integer of at least 1"),
        ((3, 5, 5), {"kernel_size": (2, 2, 2)}, r"kernel_size \(\(2, 2, 2\)\) must be an int or a pair"),
        ((3, 5, 5), {"stride": 0}, r"stride \(0\) must be an integer of at least 1"),
        ((3, 5, 5), {"dilation": 1.5}, r"dilation \(1.5\) must be an integer"),
        ((3, 5, 5), {"padding": -1}, r"padding \(-1\) must be an integer of at least 0"),
        (
            (3, 5, 5),
            {"kernel_size": (4, 3), "padding": ((2, 1), (0, 2))},
            r"padding of the width \(0, 2\) must be at most kernel_size // 2 \(3 // 2\)",
        ),
        (
            (3, 5, 2),
            {"kernel_size": (2, 3), "dilation": 2},
            r"the padded width \(2 \+ 0 \+ 0 = 2\) must hold the dilated kernel \(2 \* \(3 - 1\) \+ 1 = 5\)",
        ),
        (
            (3, 2, 5),
            {"kernel_size": 5, "stride": 2, "ceil_mode": True},
            r"the padded height \(2 \+ 0 \+ 0, and 1 over the end = 3\) must hold the dilated kernel \(1 \* \(5 - 1\)",
        ),
        ((3, 0, 5), {"kernel_size": 2, "padding": 1}, r"x must have pixels, got height and width \(0, 5\)"),
        (
            (3, 5, 3),
            {"dilation": (1, 4), "padding": (0, 1)},
            r"every window must hold a pixel, but with dilation 4 the one that starts at -1 jumps over the width \(3\)",
        ),
    ],
)
def test_errors_say_the_rule_and_the_values(x, options, message):
    options = {"kernel_size": 2, **options}
    with pytest.raises(ShapeError, match="^max_pool2d: " + message):
        ops.max_pool2d(np.zeros(x), **options)
    with pytest.raises(ShapeError, match="^max_pool2d: " + message):
        ops.max_pool2d_shape(x, **options)
    with pytest.raises(ShapeError, match="^max_pool2d_backward: " + message):
        ops.max_pool2d_backward(np.zeros(x), np.zeros(x), **options)


def test_grad_output_must_have_the_shape_of_the_output():
    with pytest.raises(
        ShapeError, match=r"^max_pool2d_backward: grad_output.shape \(4, 3, 2\) must be the output's shape \(4, 3, 3\)"
    ):
        ops.max_pool2d_backward(np.zeros((4, 3, 2)), np.zeros((4, 6, 7)), kernel_size=2)
