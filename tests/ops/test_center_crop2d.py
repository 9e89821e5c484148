"""center_crop2d: shape law, hand-worked cases, laws, conventions and errors."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ShapeError, ops, spec


@given(top=st.integers(0, 5), left=st.integers(0, 5), odd=st.tuples(*[st.integers(0, 1)] * 2), size=st.integers(1, 6))
def test_shape_law_and_place_by_cutting_one_line_at_a_time(top, left, odd, size):
    x = np.random.default_rng(size).standard_normal((2, size + 2 * top + odd[0], size + 1 + 2 * left + odd[1]))
    middle = x
    while middle.shape[1] > size:  # below, above, below, ...: of an odd difference the last cut is below
        middle = middle[:, :-1] if (middle.shape[1] - size) % 2 else middle[:, 1:]
    while middle.shape[2] > size + 1:
        middle = middle[..., :-1] if (middle.shape[2] - size - 1) % 2 else middle[..., 1:]
    np.testing.assert_array_equal(ops.center_crop2d(x, size=(size, size + 1)), middle)
    assert ops.center_crop2d_shape(x.shape, size=(size, size + 1)) == middle.shape


@pytest.mark.parametrize("module", [spec, ops], ids=["spec", "ops"])
def test_hand_worked(module):
    x = np.arange(30.0).reshape(1, 5, 6)
    np.testing.assert_array_equal(module.center_crop2d(x, size=(2, 3)), [[[7, 8, 9], [13, 14, 15]]])  # 3 // 2 = 1, both
    dx = module.center_crop2d_backward(np.array([[[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]]]), x, size=(2, 3)).x
    expected = np.zeros((1, 5, 6))
    expected[0, 1, 1:4], expected[0, 2, 1:4] = (1, -2, 3), (-4, 5, -6)
    np.testing.assert_array_equal(dx, expected)


def test_the_skips_of_the_original_network():
    sizes = [(64, 56), (136, 104), (280, 200), (568, 392)]
    crops = [ops.center_crop2d_shape((1, 2, skip, skip), size=target) for skip, target in sizes]
    assert [crop[2] for crop in crops] == [56, 104, 200, 392]


def test_cropping_a_padded_image_gives_it_back(rng):
    x = rng.standard_normal((2, 3, 4, 5))
    for pad in ((2, 2), (1, 2)):  # the larger part below, as the crop cuts it off
        padded = ops.pad2d(x, padding=(pad, (3, 3)), value=9.5)
        np.testing.assert_array_equal(ops.center_crop2d(padded, size=(4, 5)), x)


def test_the_whole_image_is_a_copy(rng):
    x = rng.standard_normal((3, 4, 5))
    y = ops.center_crop2d(x, size=(4, 5))
    np.testing.assert_array_equal(y, x)
    assert not np.shares_memory(y, x)


@pytest.mark.parametrize(
    ("shape", "size", "message"),
    [
        ((5, 4), 3, "x must be (N, C, H, W) or (C, H, W), got shape (5, 4)"),
        ((1, 5, 4), 5, "the width of size (5) must be at most the width of x (4)"),
        ((1, 5, 4), (6, 1), "the height of size (6) must be at most the height of x (5)"),
        ((1, 5, 4), 0, "size (0) must be an integer of at least 1"),
        ((1, 5, 4), (1, 2, 3), "size ((1, 2, 3)) must be an int or a pair (h, w)"),
        ((1, 5, 4), None, "size (None) must be an integer"),
    ],
)
def test_errors_say_the_rule_and_the_values(shape, size, message):
    x = np.zeros(shape)
    with pytest.raises(ShapeError, match="^center_crop2d: " + re.escape(message)):
        ops.center_crop2d(x, size=size)
    with pytest.raises(ShapeError, match="^center_crop2d: " + re.escape(message)):
        ops.center_crop2d_shape(shape, size=size)
    with pytest.raises(ShapeError, match="^center_crop2d_backward: " + re.escape(message)):
        ops.center_crop2d_backward(x, x, size=size)


def test_grad_output_must_have_the_shape_of_the_output():
    message = r"^center_crop2d_backward: grad_output.shape \(1, 5, 4\) must be the output's shape \(1, 3, 3\)"
    with pytest.raises(ShapeError, match=message):
        ops.center_crop2d_backward(np.zeros((1, 5, 4)), np.zeros((1, 5, 4)), size=3)
