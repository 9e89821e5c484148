"""conv2d: shape law, values against the definition, laws, hand-worked cases and errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ShapeError, ops, spec
from unet_ref.check.exact import rational


@given(
    size=st.integers(1, 12), kernel=st.integers(1, 4), stride=st.integers(1, 4), dilation=st.integers(1, 4),
    before=st.integers(0, 3), after=st.integers(0, 3),
)  # fmt: skip
def test_shape_law_counts_the_positions_of_the_window(size, kernel, stride, dilation, before, after):
    span = dilation * (kernel - 1)
    positions = [i for i in range(0, size + before + after, stride) if i + span < size + before + after]
    options = {"stride": (stride, 1), "dilation": (dilation, 1), "padding": ((before, after), (0, 0))}
    shapes = (3, size, 5), (2, 3, kernel, 1)
    if positions:
        assert ops.conv2d_shape(*shapes, **options) == (2, len(positions), 5)
    else:
        with pytest.raises(ShapeError, match="must hold the dilated kernel"):
            ops.conv2d_shape(*shapes, **options)


def test_hand_worked():
    x = np.array([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
    weight = np.array([[[[1.0, -1.0], [10.0, 2.0]]]])
    # 1*1 - 1*2 + 10*4 + 2*5 = 49 and 1*2 - 1*3 + 10*5 + 2*6 = 61, plus the bias
    np.testing.assert_array_equal(ops.conv2d(x, weight, np.array([0.5])), [[[49.5, 61.5]]])


def test_translation_moves_the_output_along(rng):
    x, weight = rng.standard_normal((2, 3, 9, 11)), rng.standard_normal((4, 3, 3, 2))
    moved = np.roll(x, (2, 1), axis=(2, 3))
    y, y_moved = ops.conv2d(x, weight), ops.conv2d(moved, weight)
    np.testing.assert_allclose(y_moved[:, :, 2:, 1:], y[:, :, :-2, :-1], rtol=1e-12)


def test_same_padding_keeps_the_size_and_pads_more_below_and_right(rng):
    x, weight = rng.standard_normal((1, 2, 5, 7)), rng.standard_normal((3, 2, 2, 4))
    y = ops.conv2d(x, weight, padding="same")
    np.testing.assert_array_equal(y, ops.conv2d(x, weight, padding=((0, 1), (1, 2))))
    assert y.shape == (1, 3, 5, 7)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("dilation", [1, (2, 1)])
def test_padding_by_name_beside_the_definition(padding, dilation, rng):
    """With an even and an odd kernel, forward and backward, exactly."""
    x, weight, bias = rational(rng, (2, 5, 6)), rational(rng, (3, 2, 2, 3)), rational(rng, (3,))
    options = {"padding": padding, "dilation": dilation}
    y = ops.conv2d(x, weight, bias, **options)
    v = rational(rng, y.shape)
    assert (y == spec.conv2d(x, weight, bias, **options)).all()
    grads, defined = (f(v, x, weight, bias, **options) for f in (ops.conv2d_backward, spec.conv2d_backward))
    assert all((a == b).all() for a, b in zip(grads, defined, strict=True))


@pytest.mark.parametrize(
    ("x", "weight", "bias", "options", "message"),
    [
        (
            (2, 8, 5, 5),
            (4, 3, 3, 3),
            None,
            {"groups": 2},
            r"weight.shape\[1\] \(3\) must equal x.shape\[1\] / groups \(8 / 2 = 4\)",
        ),
        ((2, 8, 5, 5), (4, 8, 3, 3), (5,), {}, r"bias.shape \(5,\) must be \(weight.shape\[0\],\) = \(4,\)"),
        ((8, 5), (4, 8, 3, 3), None, {}, r"x must be \(N, C, H, W\) or \(C, H, W\), got shape \(8, 5\)"),
        ((8, 5, 5), (8, 3, 3), None, {}, r"weight must be \(O, C/G, KH, KW\), got shape \(8, 3, 3\)"),
        ((8, 5, 5), (4, 8, 3, 3), None, {"groups": 3}, r"x.shape\[1\] \(8\) must be divisible by groups \(3\)"),
        ((8, 5, 5), (3, 4, 3, 3), None, {"groups": 2}, r"weight.shape\[0\] \(3\) must be divisible by groups \(2\)"),
        ((8, 5, 2), (4, 8, 3, 3), None, {}, r"the padded width \(2 \+ 0 \+ 0 = 2\) must hold the dilated kernel"),
        ((8, 5, 5), (4, 8, 3, 3), None, {"stride": 0}, r"stride \(0\) must be an integer of at least 1"),
        ((8, 5, 5), (4, 8, 3, 3), None, {"stride": (1, 2, 3)}, r"stride \(\(1, 2, 3\)\) must be an int or a pair"),
        ((8, 5, 5), (4, 8, 3, 3), None, {"padding": -1}, r"padding \(-1\) must be an integer of at least 0"),
        ((8, 5, 5), (4, 8, 3, 3), None, {"padding": "full"}, r"padding \('full'\) must be 'same', 'valid'"),
        (
            (8, 5, 5),
            (4, 8, 3, 3),
            None,
            {"padding": "same", "stride": 2},
            r"padding 'same' needs stride 1, got stride \(2, 2\)",
        ),
        ((8, 5, 5), (4, 8, 3, 3), None, {"dilation": 1.5}, r"dilation \(1.5\) must be an integer"),
    ],
)
def test_errors_say_the_rule_and_the_values(x, weight, bias, options, message):
    arrays = [None if shape is None else np.zeros(shape) for shape in (x, weight, bias)]
    with pytest.raises(ShapeError, match="^conv2d: " + message):
        ops.conv2d(*arrays, **options)
    with pytest.raises(ShapeError, match="^conv2d: " + message):
        ops.conv2d_shape(x, weight, bias, **options)


def test_grad_output_must_have_the_shape_of_the_output():
    with pytest.raises(
        ShapeError, match=r"^conv2d_backward: grad_output.shape \(4, 3, 4\) must be the output's shape \(4, 3, 3\)"
    ):
        ops.conv2d_backward(np.zeros((4, 3, 4)), np.zeros((8, 5, 5)), np.zeros((4, 8, 3, 3)))
