"""linear: shape law, hand-worked case, laws, bits of a sample in any batch, and errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from unet_ref import ShapeError, ops


@given(lead=st.lists(st.integers(0, 5), max_size=3), inputs=st.integers(0, 6), outputs=st.integers(0, 6))
def test_shape_law_is_the_outer_index_of_a_contraction(lead, inputs, outputs):
    x, weight = np.zeros((*lead, inputs)), np.zeros((outputs, inputs))
    expected = np.tensordot(x, weight, axes=(-1, 1)).shape
    assert ops.linear_shape(x.shape, weight.shape) == ops.linear(x, weight).shape == expected


def test_hand_worked():
    x, weight, bias = np.array([[2.0, -3.0]]), np.array([[1.0, 4.0], [5.0, -1.0], [0.0, 7.0]]), np.array([0.5, 0, 1])
    # 2*1 - 3*4 + 0.5, 2*5 + 3*1, -3*7 + 1
    np.testing.assert_array_equal(ops.linear(x, weight, bias), [[-9.5, 13.0, -20.0]])
    grads = ops.linear_backward(np.array([[1.0, -2.0, 3.0]]), x, weight, bias)
    np.testing.assert_array_equal(grads.x, [[1 - 10, 4 + 2 + 21]])
    np.testing.assert_array_equal(grads.weight, [[2, -3], [-4, 6], [6, -9]])
    np.testing.assert_array_equal(grads.bias, [1, -2, 3])


def test_leading_axes_are_samples_side_by_side(rng):
    x, weight, bias = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((6, 5)), rng.standard_normal(6)
    grad_output = rng.standard_normal((2, 3, 4, 6))
    flat = x.reshape(24, 5)
    np.testing.assert_array_equal(ops.linear(x, weight, bias).reshape(24, 6), ops.linear(flat, weight, bias))
    np.testing.assert_array_equal(ops.linear(x, weight, bias)[1, 2, 3], ops.linear(x[1, 2, 3], weight, bias))
    nested = ops.linear_backward(grad_output, x, weight, bias)
    for got, expected in zip(nested, ops.linear_backward(grad_output.reshape(24, 6), flat, weight, bias), strict=True):
        np.testing.assert_array_equal(got.reshape(expected.shape), expected)


def test_it_is_a_convolution_of_one_pixel(rng):
    x, weight, bias = rng.standard_normal((4, 7)), rng.standard_normal((5, 7)), rng.standard_normal(5)
    pixel = ops.conv2d(x[:, :, None, None], weight[:, :, None, None], bias)
    np.testing.assert_allclose(ops.linear(x, weight, bias), pixel[:, :, 0, 0], rtol=1e-12)


def test_layers_compose_as_matrices_multiply(rng):
    x, first, second = (rng.standard_normal(shape) for shape in ((3, 4), (5, 4), (2, 5)))
    np.testing.assert_allclose(ops.linear(ops.linear(x, first), second), ops.linear(x, second @ first), rtol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 64), (10, 33), (63, 65), (256, 128), (700, 3), (3, 700)])
def test_a_sample_has_the_same_bits_in_every_batch(rng, dtype, inputs, outputs):
    """One product of all samples would not do: BLAS picks another kernel for another number of rows."""
    x, weight = rng.standard_normal((70, inputs)).astype(dtype), rng.standard_normal((outputs, inputs)).astype(dtype)
    grad_output = rng.standard_normal((70, outputs)).astype(dtype)
    y, dx = ops.linear(x, weight), ops.linear_backward(grad_output, x, weight).x
    for first, last in [(0, 1), (69, 70), (3, 5), (1, 4), (5, 12), (2, 18), (7, 40), (1, 66)]:
        part, part_dx = x[first:last], grad_output[first:last]
        assert ops.linear(part, weight).tobytes() == y[first:last].tobytes()
        assert ops.linear_backward(part_dx, part, weight).x.tobytes() == dx[first:last].tobytes()
    np.testing.assert_array_equal(ops.linear(x[11], weight), y[11])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("N", "I", "O"), [(41, 1000, 1003), (4, 511, 513)])
def test_bits_depend_neither_on_the_layout_nor_on_the_threads_of_blas(rng, N, I, O, dtype):
    """At sizes at which BLAS, left to itself, adds in another order."""
    shapes = {"grad_output": (N, O), "x": (N, I), "weight": (O, I), "bias": (O,)}
    arrays = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    turned = {name: array.T.copy().T for name, array in arrays.items()}
    flipped = {name: np.flip(np.flip(array).copy()) for name, array in arrays.items()}
    results = []
    for case, threads in ((arrays, 1), (arrays, 2), (turned, 1), (flipped, 2)):
        with threadpool_limits(threads, user_api="blas"):
            y = ops.linear(case["x"], case["weight"], case["bias"])
            results.append([array.tobytes() for array in (y, *ops.linear_backward(**case))])
    assert results[1:] == results[:1] * 3


def test_infinity_stays_in_its_sample_and_nan_in_its_output(rng):
    x, weight = rng.standard_normal((3, 4)), rng.standard_normal((5, 4))
    x[1, 2], weight[3, 0] = np.inf, np.nan
    y = ops.linear(x, weight)
    assert np.isnan(y[:, 3]).all()
    assert np.isinf(y[1, [0, 1, 2, 4]]).all()
    assert np.isfinite(y[[0, 2]][:, [0, 1, 2, 4]]).all()


@pytest.mark.parametrize(
    ("x", "weight", "bias", "message"),
    [
        ((), (3, 4), None, r"x must be \(\.\.\., in\), got shape \(\)"),
        ((2, 4), (4,), None, r"weight must be \(out, in\), got shape \(4,\)"),
        ((2, 3), (3, 4), None, r"x.shape\[-1\] \(3\) must equal weight.shape\[1\] \(4\)"),
        ((2, 4), (3, 4), (4,), r"bias.shape \(4,\) must be \(weight.shape\[0\],\) = \(3,\)"),
        ((2, 4), (3, 4), (1,), r"bias.shape \(1,\) must be \(weight.shape\[0\],\) = \(3,\)"),
    ],
)
def test_errors_say_the_rule_and_the_values(x, weight, bias, message):
    arrays = [None if shape is None else np.zeros(shape) for shape in (x, weight, bias)]
    with pytest.raises(ShapeError, match="^linear: " + message):
        ops.linear(*arrays)
    with pytest.raises(ShapeError, match="^linear: " + message):
        ops.linear_shape(x, weight, bias)
    with pytest.raises(ShapeError, match="^linear_backward: " + message):
        ops.linear_backward(np.zeros((2, 3)), *arrays)


def test_grad_output_must_have_the_shape_of_the_output():
    message = r"^linear_backward: grad_output.shape \(2, 4\) must be the output's shape \(2, 3\)"
    with pytest.raises(ShapeError, match=message):
        ops.linear_backward(np.zeros((2, 4)), np.zeros((2, 4)), np.zeros((3, 4)))
