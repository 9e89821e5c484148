"""conv_transpose2d: shape law, hand-worked cases, the adjoint of conv2d, laws and errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ShapeError, ops


@given(
    size=st.integers(1, 8), kernel=st.integers(1, 4), stride=st.integers(1, 4), dilation=st.integers(1, 4),
    before=st.integers(0, 4), after=st.integers(0, 4), more=st.integers(0, 4),
)  # fmt: skip
def test_shape_law_counts_what_the_kernel_reaches(size, kernel, stride, dilation, before, after, more):
    painted = {stride * i + dilation * k for i in range(size) for k in range(kernel)}
    rows = [row for row in range(before, max(painted) + more + 1) if row <= max(painted) + more - after]
    options = {"stride": (stride, 2), "dilation": (dilation, 1), "padding": ((before, after), (0, 1))}
    shapes = (3, size, 5), (3, 2, kernel, 1)
    if more >= stride and more >= dilation:
        with pytest.raises(ShapeError, match="output_padding of the height"):
            ops.conv_transpose2d_shape(*shapes, output_padding=(more, 1), **options)
    elif rows:
        assert ops.conv_transpose2d_shape(*shapes, output_padding=(more, 1), **options) == (2, len(rows), 9)
    else:
        with pytest.raises(ShapeError, match="the output's height"):
            ops.conv_transpose2d_shape(*shapes, output_padding=(more, 1), **options)


@given(
    size=st.integers(1, 20), kernel=st.integers(1, 4), stride=st.integers(1, 4), dilation=st.integers(1, 3),
    pad=st.integers(0, 3),
)  # fmt: skip
def test_some_output_padding_leads_back_to_every_size_that_a_convolution_came_from(size, kernel, stride, dilation, pad):
    options = {"stride": stride, "dilation": dilation, "padding": pad}
    span = dilation * (kernel - 1) + 1
    if size + 2 * pad < span:
        return
    _, small, _ = ops.conv2d_shape((1, size, size), (1, 1, kernel, kernel), **options)
    more = (size + 2 * pad - span) % stride  # the rows that the convolution never looked at
    back = ops.conv_transpose2d_shape((1, small, small), (1, 1, kernel, kernel), output_padding=more, **options)
    assert back == (1, size, size)


def test_hand_worked_from_the_lecture():
    """Ng's example: 2x2 to 4x4 with f=3, p=1, s=2. The arithmetic is in docs/ops/conv_transpose2d.md."""
    x = np.array([[[2.0, 1.0], [3.0, 2.0]]])
    weight = np.array([[[[1.0, 2.0, 1.0], [2.0, 0.0, 1.0], [0.0, 2.0, 1.0]]]])
    y = ops.conv_transpose2d(x, weight, stride=2, padding=1, output_padding=1)
    np.testing.assert_array_equal(y, [[[0, 4, 0, 1], [10, 7, 6, 3], [0, 7, 0, 2], [6, 3, 4, 2]]])
    # Without output padding the last row and column are cut off too: 3x3, not the 4x4 of the slide.
    np.testing.assert_array_equal(ops.conv_transpose2d(x, weight, stride=2, padding=1), y[:, :3, :3])


def test_output_padding_is_no_zero_padding():
    """The kernel reaches into the padded row where a side is cut off, and the bias goes everywhere."""
    x, weight, bias = np.array([[[3.0, -2.0]]]), np.array([[[[5.0, 7.0, 11.0]]]]), np.array([0.5])
    # painted: 15 21 33-10 -14 -22, then one more; the pads cut off one on either side
    y = ops.conv_transpose2d(x, weight, bias, stride=2, padding=(0, 1), output_padding=(0, 1))
    np.testing.assert_array_equal(y, [[[21.5, 23.5, -13.5, -21.5]]])
    y = ops.conv_transpose2d(x, weight, bias, stride=2, padding=((0, 0), (1, 0)), output_padding=(0, 1))
    np.testing.assert_array_equal(y, [[[21.5, 23.5, -13.5, -21.5, 0.5]]])


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
def test_it_is_the_adjoint_of_convolution(rng, groups, stride):
    """``<conv2d(y), x> == <y, conv_transpose2d(x)>`` with one weight: the definition of a transpose."""
    options = {"stride": stride, "padding": ((1, 0), (2, 1)), "dilation": (1, 2), "groups": groups}
    weight = rng.standard_normal((6, 4 // groups, 3, 2))
    y = rng.standard_normal((2, 4, 8, 9))
    conv = ops.conv2d(y, weight, **options)
    x = rng.standard_normal(conv.shape)
    *_, H, W = ops.conv_transpose2d_shape(x.shape, weight.shape, **options)
    more = 8 - H, 9 - W  # what the stride leaves over
    transposed = ops.conv_transpose2d(x, weight, output_padding=more, **options)
    assert transposed.shape == y.shape
    np.testing.assert_allclose(np.vdot(conv, x), np.vdot(y, transposed), rtol=1e-12)
    # ... so that each is the gradient of the other
    np.testing.assert_array_equal(ops.conv2d_backward(x, y, weight, **options).x, transposed)
    np.testing.assert_array_equal(ops.conv_transpose2d_backward(y, x, weight, output_padding=more, **options).x, conv)


def test_at_stride_one_it_is_convolution_with_the_flipped_kernel(rng):
    x, weight = rng.standard_normal((2, 3, 5, 7)), rng.standard_normal((3, 4, 3, 2))
    flipped = weight.swapaxes(0, 1)[:, :, ::-1, ::-1]
    np.testing.assert_allclose(
        ops.conv_transpose2d(x, weight, padding=(1, 0)), ops.conv2d(x, flipped, padding=(1, 1)), rtol=1e-12, atol=1e-13
    )


def test_where_kernel_and_stride_agree_every_pixel_becomes_a_block(rng):
    """The up-sampling of the U-Nets: kernel 2, stride 2, nothing overlaps."""
    x, weight = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((3, 6, 2, 2))
    blocks = np.einsum("ncij,cokl->noikjl", x, weight)
    np.testing.assert_allclose(ops.conv_transpose2d(x, weight, stride=2), blocks.reshape(2, 6, 8, 10), rtol=1e-12)


@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_bits_do_not_depend_on_the_layout(rng, kernel):
    """At a size that the matrix product treats as it treats real images."""
    shapes = {"x": (2, 40, 19, 23), "weight": (40, 36, kernel, kernel), "bias": (36,)}
    options = {"stride": 2, "padding": kernel // 2}
    shapes["grad_output"] = ops.conv_transpose2d_shape(*shapes.values(), **options)
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    layouts = [
        arrays,
        {name: array.T.copy().T for name, array in arrays.items()},
        {name: np.flip(np.flip(array).copy()) for name, array in arrays.items()},
    ]
    results = []
    for case in layouts:
        forward = {name: array for name, array in case.items() if name != "grad_output"}
        grads = ops.conv_transpose2d_backward(**case, **options)
        results.append([array.tobytes() for array in (ops.conv_transpose2d(**forward, **options), *grads)])
    assert results[1:] == results[:1] * 2


def test_pixels_that_no_tap_reaches_hold_the_bias_alone(rng):
    x, weight, bias = rng.standard_normal((1, 2, 3, 3)), rng.standard_normal((2, 3, 2, 2)), rng.standard_normal(3)
    y = ops.conv_transpose2d(x, weight, bias, stride=4)
    for untouched in (y[:, :, 2::4], y[:, :, 3::4], y[..., 2::4], y[..., 3::4]):
        np.testing.assert_array_equal(untouched, np.broadcast_to(bias[:, None, None], untouched.shape))
    # and their gradient reaches the bias, nothing else
    grad_output = rng.standard_normal(y.shape)
    silent = grad_output.copy()
    silent[:, :, 2::4] = 0
    full, rest = (ops.conv_transpose2d_backward(g, x, weight, bias, stride=4) for g in (grad_output, silent))
    np.testing.assert_array_equal(full.x, rest.x)
    np.testing.assert_array_equal(full.weight, rest.weight)
    np.testing.assert_allclose(full.bias, grad_output.sum(axis=(0, 2, 3)), rtol=1e-12)


def test_infinity_spreads_only_as_far_as_the_kernel(rng):
    x = rng.standard_normal((1, 1, 4, 4))
    x[0, 0, 1, 2] = np.inf
    y = ops.conv_transpose2d(x, np.abs(rng.standard_normal((1, 1, 2, 2))), stride=2)
    assert np.isposinf(y[0, 0, 2:4, 4:6]).all()
    assert np.isfinite(y).sum() == 60


@pytest.mark.parametrize(
    ("x", "weight", "bias", "options", "message"),
    [
        ((8, 5), (8, 4, 3, 3), None, {}, r"x must be \(N, C, H, W\) or \(C, H, W\), got shape \(8, 5\)"),
        ((8, 5, 5), (8, 3, 3), None, {}, r"weight must be \(C, O/G, KH, KW\), got shape \(8, 3, 3\)"),
        ((8, 5, 5), (8, 4, 3, 3), None, {"groups": 3}, r"x.shape\[1\] \(8\) must be divisible by groups \(3\)"),
        ((2, 8, 5, 5), (4, 8, 3, 3), None, {}, r"weight.shape\[0\] \(4\) must equal x.shape\[1\] \(8\)"),
        (
            (8, 5, 5),
            (8, 4, 3, 3),
            (4,),
            {"groups": 2},
            r"bias.shape \(4,\) must be \(weight.shape\[1\] \* groups,\) = \(8,\)",
        ),
        ((8, 5, 5), (8, 4, 3, 3), None, {"groups": 0}, r"groups \(0\) must be an integer of at least 1"),
        ((8, 5, 5), (8, 4, 3, 3), None, {"stride": (2, 0)}, r"stride \(0\) must be an integer of at least 1"),
        ((8, 5, 5), (8, 4, 3, 3), None, {"dilation": 1.5}, r"dilation \(1.5\) must be an integer"),
        ((8, 5, 5), (8, 4, 3, 3), None, {"padding": -1}, r"padding \(-1\) must be an integer of at least 0"),
        ((8, 5, 5), (8, 4, 3, 3), None, {"padding": "same"}, r"padding \('same'\) must be an int or a pair"),
        (
            (8, 5, 5),
            (8, 4, 3, 3),
            None,
            {"output_padding": -1},
            r"output_padding \(-1\) must be an integer of at least 0",
        ),
        (
            (8, 5, 5),
            (8, 4, 3, 3),
            None,
            {"output_padding": (0, 2), "stride": 2, "dilation": (3, 1)},
            r"output_padding of the width \(2\) must be smaller than its stride \(2\) or its dilation \(1\)",
        ),
        (
            (8, 1, 5),
            (8, 4, 2, 3),
            None,
            {"padding": ((2, 1), (0, 0)), "stride": 2, "output_padding": 1},
            r"the output's height \(2 \* \(1 - 1\) \+ 1 \* \(2 - 1\) \+ 1 \+ 1 - 2 - 1 = 0\) must be at least 1",
        ),
        ((8, 5, 0), (8, 4, 3, 3), None, {}, r"the width of x \(0\) and of weight \(3\) must be at least 1"),
        ((8, 5, 5), (8, 4, 0, 3), None, {}, r"the height of x \(5\) and of weight \(0\) must be at least 1"),
    ],
)
def test_errors_say_the_rule_and_the_values(x, weight, bias, options, message):
    arrays = [None if shape is None else np.zeros(shape) for shape in (x, weight, bias)]
    with pytest.raises(ShapeError, match="^conv_transpose2d: " + message):
        ops.conv_transpose2d(*arrays, **options)
    with pytest.raises(ShapeError, match="^conv_transpose2d: " + message):
        ops.conv_transpose2d_shape(x, weight, bias, **options)
    with pytest.raises(ShapeError, match="^conv_transpose2d_backward: " + message):
        ops.conv_transpose2d_backward(np.zeros((4, 3, 3)), *arrays, **options)


def test_grad_output_must_have_the_shape_of_the_output():
    with pytest.raises(
        ShapeError,
        match=r"^conv_transpose2d_backward: grad_output.shape \(4, 7, 7\) must be the output's shape \(4, 7, 8\)",
    ):
        ops.conv_transpose2d_backward(
            np.zeros((4, 7, 7)), np.zeros((8, 3, 3)), np.zeros((8, 4, 3, 3)), stride=2, output_padding=(0, 1)
        )
