"""concat: shape law, hand-worked case, concat and split inverse, negative axes, and errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import DTypeError, ShapeError, ops


@given(
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    data=st.data(),
)
def test_shape_law_and_split_is_the_inverse(shape, sizes, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    rng = np.random.default_rng(len(sizes))
    shapes = [(*shape[:axis], size, *shape[axis:][1:]) for size in sizes]
    arrays = [rng.standard_normal(part) for part in shapes]
    y = ops.concat(arrays, axis=axis)
    whole = np.array(shape)
    whole[axis] = sum(sizes)
    assert ops.concat_shape(shapes, axis=axis) == y.shape == tuple(whole)
    pieces = ops.concat_backward(y, arrays, axis=axis)
    assert isinstance(pieces, tuple)
    for piece, array in zip(pieces, arrays, strict=True):
        np.testing.assert_array_equal(piece, array)
        assert piece.flags.c_contiguous
        assert not np.shares_memory(piece, y)


def test_hand_worked():
    first, second = np.array([[[1.0, 2.0]]]), np.array([[[3.0, 4.0], [5.0, 6.0]]])
    np.testing.assert_array_equal(ops.concat([first, second]), [[[1, 2], [3, 4], [5, 6]]])
    grads = ops.concat_backward(np.array([[[7.0, 8.0], [9.0, 10.0], [11.0, 12.0]]]), [first, second])
    np.testing.assert_array_equal(grads[0], [[[7, 8]]])
    np.testing.assert_array_equal(grads[1], [[[9, 10], [11, 12]]])


def test_channels_of_an_image_without_a_batch_are_axis_0(rng):
    skip, path = rng.standard_normal((3, 4, 5)), rng.standard_normal((2, 4, 5))
    np.testing.assert_array_equal(ops.concat([skip, path], axis=0), ops.concat([skip[None], path[None]])[0])


def test_one_array_is_copied(rng):
    x = rng.standard_normal((2, 3))
    y, (dx,) = ops.concat([x]), ops.concat_backward(x, [x])
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(dx, x)
    assert not np.shares_memory(y, x)
    assert not np.shares_memory(dx, x)


def test_float16_keeps_its_bits(rng):
    """It passes through float32 like every operation, and that loses nothing."""
    arrays = [rng.integers(0, 2**16, 500).astype("uint16").view("float16") for _ in range(2)]
    kept = np.concatenate(arrays)
    np.testing.assert_array_equal(ops.concat(arrays, axis=0), kept)


@pytest.mark.parametrize(
    ("shapes", "axis", "message"),
    [
        ([], 1, r"arrays must hold at least one array, got none$"),
        ([(2, 3, 4), (2, 5, 4), (2, 3, 5)], 1, r"arrays\[2\].shape \(2, 3, 5\) must equal arrays\[0\].shape \(2, 3, 4\) except on axis 1$"),
        ([(2, 3, 4), (3, 3, 4)], -1, r"arrays\[1\].shape \(3, 3, 4\) must equal arrays\[0\].shape \(2, 3, 4\) except on axis 2$"),
        ([(2, 3, 4), (2, 3)], 2, r"arrays\[1\].shape \(2, 3\) must equal arrays\[0\].shape \(2, 3, 4\) except on axis 2$"),
        ([(2, 3), (2, 3)], 2, r"axis \(2\) must be from -2 to 1, as arrays\[0\].shape \(2, 3\) has 2 axes$"),
        ([(2, 3), (2, 3)], -3, r"axis \(-3\) must be from -2 to 1"),
        ([(2, 3), (2, 3)], "channels", r"axis \('channels'\) must be an integer$"),
    ],
)  # fmt: skip
def test_errors_say_the_rule_and_the_values(shapes, axis, message):
    arrays = [np.zeros(shape) for shape in shapes]
    with pytest.raises(ShapeError, match="^concat: " + message):
        ops.concat(arrays, axis=axis)
    with pytest.raises(ShapeError, match="^concat: " + message):
        ops.concat_shape(shapes, axis=axis)
    with pytest.raises(ShapeError, match="^concat_backward: " + message):
        ops.concat_backward(np.zeros((2, 6)), arrays, axis=axis)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (np.zeros((2, 3)), r"arrays must be a list or tuple of arrays, got ndarray$"),
        (None, r"arrays must be a NumPy or CuPy array, got NoneType$"),
        ([np.zeros((2, 3)), None], r"arrays\[1\] must be a NumPy or CuPy array, got NoneType$"),
        ([np.zeros((2, 3)), [1.0]], r"arrays\[1\] must be a NumPy or CuPy array, got list$"),
        ([np.zeros((2, 3)), np.zeros((2, 3), "f")], r"arrays\[0\].dtype is float64, arrays\[1\].dtype is float32: "),
    ],
)
def test_what_is_no_list_of_arrays_of_one_dtype_is_refused(arrays, message):
    with pytest.raises(DTypeError, match="^concat: " + message):
        ops.concat(arrays)
    with pytest.raises(DTypeError, match="^concat_backward: .*" + message):
        ops.concat_backward(np.zeros((2, 6)), arrays)


def test_grad_output_must_have_the_shape_of_the_output():
    with pytest.raises(
        ShapeError, match=r"^concat_backward: grad_output.shape \(2, 5\) must be the output's shape \(2, 6\)$"
    ):
        ops.concat_backward(np.zeros((2, 5)), [np.zeros((2, 3)), np.zeros((2, 3))])
