"""pad2d: shape law, NumPy's pad beside it, hand-worked cases, laws and errors."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import DTypeError, ShapeError, ops, spec

NUMPY = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
pad = st.integers(-7, 9)


@given(size=st.integers(1, 6), before=pad, after=pad, mode=st.sampled_from(sorted(NUMPY)))
def test_shape_law_and_values_line_by_line(size, before, after, mode):
    """A long padded line by NumPy, and the part of it that the pads ask for."""
    options = {"padding": ((before, after), (0, 0)), "mode": mode}
    x = np.random.default_rng(size).standard_normal((2, size, 3))
    rule = None
    if mode == "reflect" and max(before, after) >= size:
        rule = "mode 'reflect' needs pads"
    elif size + before + after < 1:
        rule = "the padded height"
    if rule:
        with pytest.raises(ShapeError, match="^pad2d: " + rule):
            ops.pad2d_shape(x.shape, **options)
        return
    assert ops.pad2d_shape(x.shape, **options) == (2, len(range(-before, size + after)), 3)
    line = np.pad(x, ((0, 0), (9, 9), (0, 0)), mode=NUMPY[mode])
    np.testing.assert_array_equal(ops.pad2d(x, **options), line[:, 9 - before : 9 + size + after])


@pytest.mark.parametrize("module", [spec, ops], ids=["spec", "ops"])
def test_hand_worked(module):
    x = np.array([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
    padding = ((1, 0), (1, 2))
    expected = {
        "constant": [[7, 7, 7, 7, 7, 7], [7, 1, 2, 3, 7, 7], [7, 4, 5, 6, 7, 7]],
        "reflect": [[5, 4, 5, 6, 5, 4], [2, 1, 2, 3, 2, 1], [5, 4, 5, 6, 5, 4]],
        "replicate": [[1, 1, 2, 3, 3, 3], [1, 1, 2, 3, 3, 3], [4, 4, 5, 6, 6, 6]],
    }
    dy = 2.0 ** np.arange(18).reshape(1, 3, 6)  # powers of two: a sum tells what it is made of
    bits = {
        "constant": [[[7], [8], [9]], [[13], [14], [15]]],
        "reflect": [[[7, 11], [6, 8, 10], [9]], [[1, 5, 13, 17], [0, 2, 4, 12, 14, 16], [3, 15]]],
        "replicate": [[[0, 1, 6, 7], [2, 8], [3, 4, 5, 9, 10, 11]], [[12, 13], [14], [15, 16, 17]]],
    }
    for mode, y in expected.items():
        options = {"padding": padding, "mode": mode} | ({"value": 7} if mode == "constant" else {})
        np.testing.assert_array_equal(module.pad2d(x, **options), [y])
        sums = [[[sum(2**b for b in pixel) for pixel in row] for row in bits[mode]]]
        np.testing.assert_array_equal(module.pad2d_backward(dy, x, **options).x, sums)


@pytest.mark.parametrize(("padding", "full"), [(2, ((2, 2), (2, 2))), ((2, 1), ((2, 2), (1, 1)))])
@pytest.mark.parametrize("mode", sorted(NUMPY))
def test_forms_of_padding(padding, full, mode, rng):
    x = rng.standard_normal((2, 3, 3, 4))
    y = ops.pad2d(x, padding=padding, mode=mode)
    np.testing.assert_array_equal(y, ops.pad2d(x, padding=full, mode=mode))
    np.testing.assert_array_equal(y, np.pad(x, ((0, 0), (0, 0), *full), mode=NUMPY[mode]))


@pytest.mark.parametrize("mode", sorted(NUMPY))
def test_what_a_pad_adds_a_negative_pad_takes_away(mode, rng):
    x = rng.standard_normal((2, 4, 5))
    there = ops.pad2d(x, padding=((1, 2), (3, 0)), mode=mode)
    np.testing.assert_array_equal(ops.pad2d(there, padding=((-1, -2), (-3, 0)), mode=mode), x)


@pytest.mark.parametrize("mode", sorted(NUMPY))
def test_no_padding_is_a_copy(mode, rng):
    x = rng.standard_normal((2, 4, 5))
    y = ops.pad2d(x, padding=0, mode=mode)
    np.testing.assert_array_equal(y, x)
    assert not np.shares_memory(y, x)


def test_the_value_takes_the_dtype_of_x(rng):
    for dtype in ("float16", "float32", "complex64"):
        y = ops.pad2d(rng.standard_normal((1, 2, 2)).astype(dtype), padding=1, value=0.1)
        assert y.dtype == dtype
        assert y[0, 0, 0] == np.dtype(dtype).type(0.1)


def test_a_reflection_does_not_repeat_the_border_and_can_read_what_is_cut_off():
    x = np.arange(5.0).reshape(1, 1, 5)
    y = ops.pad2d(x, padding=((0, 0), (-4, 3)), mode="reflect")
    np.testing.assert_array_equal(y, [[[4, 3, 2, 1]]])


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((5, 4), {"padding": 1}, "x must be (N, C, H, W) or (C, H, W), got shape (5, 4)"),
        ((1, 5, 4), {"padding": 1, "mode": "edge"}, "mode ('edge') must be 'constant', 'reflect' or 'replicate'"),
        (
            (1, 5, 4),
            {"padding": 1, "mode": "reflect", "value": 3},
            "value (3) needs mode 'constant', got mode 'reflect'",
        ),
        (
            (1, 5, 4),
            {"padding": (1, 4), "mode": "reflect"},
            "mode 'reflect' needs pads (4, 4) less than the width of x (4)",
        ),
        ((1, 0, 4), {"padding": 1, "mode": "replicate"}, "mode 'replicate' needs a height of x (0) of at least 1"),
        ((1, 5, 4), {"padding": (-2, -2)}, "the padded width (4 + -2 + -2 = 0) must be at least 1"),
        ((1, 5, 4), {"padding": 1.5}, "padding (1.5) must be an integer"),
        ((1, 5, 4), {"padding": (1, 2, 3, 4)}, "padding ((1, 2, 3, 4)) must be an int or a pair (h, w)"),
        ((1, 5, 4), {"padding": "same"}, "padding ('same') must be an int or a pair (h, w)"),
    ],
)
def test_errors_say_the_rule_and_the_values(shape, options, message):
    x = np.zeros(shape)
    with pytest.raises(ShapeError, match="^pad2d: " + re.escape(message)):
        ops.pad2d(x, **options)
    with pytest.raises(ShapeError, match="^pad2d: " + re.escape(message)):
        ops.pad2d_shape(shape, **options)
    with pytest.raises(ShapeError, match="^pad2d_backward: " + re.escape(message)):
        ops.pad2d_backward(x, x, **options)


def test_the_value_must_be_a_real_number():
    for value in ("0", None, 1j):
        with pytest.raises(DTypeError, match=r"^pad2d: value \(.*\) must be a real number"):
            ops.pad2d(np.zeros((1, 2, 2)), padding=1, value=value)


def test_grad_output_must_have_the_shape_of_the_output():
    message = r"^pad2d_backward: grad_output.shape \(1, 5, 4\) must be the output's shape \(1, 7, 6\)"
    with pytest.raises(ShapeError, match=message):
        ops.pad2d_backward(np.zeros((1, 5, 4)), np.zeros((1, 5, 4)), padding=1)
