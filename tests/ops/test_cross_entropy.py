"""cross_entropy: shape law, hand-worked case, laws, far logits, targets of every kind, and errors."""

import math

import numpy as np
import pytest
from gpu import standin
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import DTypeError, ShapeError, ops


@given(N=st.integers(0, 3), C=st.integers(1, 5), rest=st.lists(st.integers(0, 4), max_size=3))
def test_shape_law_is_one_number_for_a_class_at_every_position(N, C, rest):
    x = np.zeros((N, C, *rest))
    target = x.argmax(axis=1)  # one axis less: the classes'
    assert ops.cross_entropy_shape(x.shape, target.shape) == ops.cross_entropy(x, target).shape == ()
    assert ops.cross_entropy_shape((C,), ()) == ops.cross_entropy(np.zeros(C), np.asarray(C - 1)).shape == ()


def test_hand_worked():
    # softmax of the logs of 1, 2, 5 is 1/8, 2/8, 5/8; of 3, 1, 4 it is 3/8, 1/8, 4/8
    x, target = np.log([[1.0, 2.0, 5.0], [3.0, 1.0, 4.0]]), np.array([2, 0])
    np.testing.assert_allclose(ops.cross_entropy(x, target), (math.log(8 / 5) + math.log(8 / 3)) / 2, rtol=1e-15)
    grad = ops.cross_entropy_backward(np.array(16.0), x, target).x
    np.testing.assert_allclose(grad, [[1, 2, -3], [-5, 1, 4]], rtol=1e-14)


def test_equal_logits_cost_the_logarithm_of_the_number_of_classes(rng):
    target = rng.integers(0, 7, (2, 3, 5))
    np.testing.assert_allclose(ops.cross_entropy(np.full((2, 7, 3, 5), -3.7), target), math.log(7), rtol=1e-14)


def test_a_shift_of_all_logits_changes_nothing_and_the_gradient_adds_up_to_zero(rng):
    x, target = rng.standard_normal((3, 5, 4)), rng.integers(0, 5, (3, 4))
    shift = 100 * rng.standard_normal((3, 1, 4))
    np.testing.assert_allclose(ops.cross_entropy(x + shift, target), ops.cross_entropy(x, target), rtol=1e-12)
    grad = ops.cross_entropy_backward(np.array(3.0), x, target).x
    np.testing.assert_allclose(grad.sum(axis=1), 0, atol=1e-15)
    assert np.all((grad < 0) == (np.arange(5)[:, None] == target[:, None]))


def test_the_mean_is_over_samples_and_positions(rng):
    x, target = rng.standard_normal((2, 5, 3, 4)), rng.integers(0, 5, (2, 3, 4))
    each = [ops.cross_entropy(x[n, :, i, j], target[n, i, j]) for n in range(2) for i in range(3) for j in range(4)]
    np.testing.assert_allclose(ops.cross_entropy(x, target), np.mean(each), rtol=1e-14)
    grad = ops.cross_entropy_backward(np.array(24.0), x, target).x
    alone = ops.cross_entropy_backward(np.array(1.0), x[1, :, 2, 3], target[1, 2, 3]).x
    np.testing.assert_allclose(grad[1, :, 2, 3], alone, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble", "complex128"])
def test_far_logits_do_not_overflow(dtype):
    x = np.array([[1e5, -1e5, 0.0]]).astype(dtype)
    np.testing.assert_array_equal([ops.cross_entropy(x, np.array([t])) for t in range(3)], [0, 2e5, 1e5])
    np.testing.assert_array_equal(ops.cross_entropy_backward(np.ones((), dtype), x, np.array([1])).x, [[1, -1, 0]])


@pytest.mark.parametrize(
    ("logits", "value", "slopes"),
    [
        ([-np.inf, 0, 0], np.inf, [-1, 0.5, 0.5]),
        ([0, -np.inf, 0], math.log(2), [-0.5, 0, 0.5]),
        ([np.inf, 0, 1], np.nan, [np.nan] * 3),
        ([-np.inf] * 3, np.nan, [np.nan] * 3),
        ([0, np.nan, 1], np.nan, [np.nan] * 3),
    ],
)
def test_nan_and_infinity_are_as_in_pytorch(logits, value, slopes):
    x, target = np.array([logits]), np.array([0])
    np.testing.assert_allclose(ops.cross_entropy(x, target), value, rtol=1e-15)
    np.testing.assert_allclose(ops.cross_entropy_backward(np.ones(()), x, target).x, [slopes], rtol=1e-15)


@pytest.mark.parametrize("integer", ["int8", "uint8", "int16", "int32", "int64", "uint64"])
def test_targets_of_any_integer_type(rng, integer):
    x, target = rng.standard_normal((4, 300)), np.array([0, 99, 100, 120])
    grad_output = np.array(2.0)
    assert ops.cross_entropy(x, target.astype(integer)) == ops.cross_entropy(x, target)
    grad = ops.cross_entropy_backward(grad_output, x, target.astype(integer)).x
    np.testing.assert_array_equal(grad, ops.cross_entropy_backward(grad_output, x, target).x)


def test_one_sample_without_a_batch(rng):
    x = rng.standard_normal(5)
    for target in (np.asarray(3), np.int64(3)):
        assert ops.cross_entropy(x, target) == ops.cross_entropy(x[None], np.array([3]))
        grad = ops.cross_entropy_backward(np.float64(2), x, target).x
        np.testing.assert_array_equal(grad, ops.cross_entropy_backward(np.float64(2), x[None], np.array([3])).x[0])


@pytest.mark.parametrize("shapes", [((0, 3), (0,)), ((2, 3, 0, 5), (2, 0, 5))])
def test_the_mean_of_nothing_is_nan_as_in_pytorch(shapes):
    x, target = np.zeros(shapes[0], "float32"), np.zeros(shapes[1], "int64")
    y = ops.cross_entropy(x, target)
    assert y.dtype == np.float32
    assert np.isnan(y)
    assert ops.cross_entropy_backward(np.float32(1), x, target).x.shape == shapes[0]


@pytest.mark.parametrize(
    ("x", "target", "message"),
    [
        ((2, 5, 8, 9), (2, 9, 8), r"target.shape \(2, 9, 8\) must be x.shape without its class axis = \(2, 8, 9\)$"),
        ((2, 5, 8), (2, 1, 8), r"target.shape \(2, 1, 8\) must be x.shape without its class axis = \(2, 8\)$"),
        ((5,), (1,), r"target.shape \(1,\) must be x.shape without its class axis = \(\)$"),
        ((), (), r"x must be \(N, C, ...\) or \(C,\), got shape \(\)$"),
        ((0, 0), (0,), r"x.shape\[1\] \(0\) must be at least 1 class$"),
        ((0,), (), r"x.shape\[0\] \(0\) must be at least 1 class$"),
    ],
)
def test_errors_say_the_rule_and_the_values(x, target, message):
    arrays = np.zeros(x), np.zeros(target, int)
    with pytest.raises(ShapeError, match="^cross_entropy: " + message):
        ops.cross_entropy(*arrays)
    with pytest.raises(ShapeError, match="^cross_entropy: " + message):
        ops.cross_entropy_shape(x, target)
    with pytest.raises(ShapeError, match="^cross_entropy_backward: " + message):
        ops.cross_entropy_backward(np.ones(()), *arrays)


@pytest.mark.parametrize(
    ("shape", "index", "wrong", "message"),
    [
        ((2, 5, 4), (1, 2), 5, r"target\[1, 2\] \(5\)"),
        ((2, 5, 4), (0, 3), -100, r"target\[0, 3\] \(-100\)"),
        ((3, 5), (2,), -1, r"target\[2\] \(-1\)"),
        ((5,), (), 7, r"target \(7\)"),
    ],
)
def test_a_target_that_is_no_class_is_named(rng, shape, index, wrong, message):
    x = rng.standard_normal(shape)
    target = np.zeros(x.argmax(axis=min(x.ndim - 1, 1)).shape, int)
    target[index] = wrong
    rule = message + r" must be a class from 0 to 4, as x has 5 classes$"
    with pytest.raises(ShapeError, match="^cross_entropy: " + rule):
        ops.cross_entropy(x, target)
    with pytest.raises(ShapeError, match="^cross_entropy_backward: " + rule):
        ops.cross_entropy_backward(np.ones(()), x, target)


def test_of_several_wrong_targets_the_first_is_named_whatever_its_type():
    target = np.array([1, 2**63 + 5, 0, 9], dtype="uint64")
    with pytest.raises(ShapeError, match=rf"^cross_entropy: target\[1\] \({2**63 + 5}\) must be a class from 0 to 2"):
        ops.cross_entropy(np.zeros((4, 3)), target)


def test_on_a_device_a_target_that_is_no_class_makes_nan(rng, monkeypatch):
    """To look at the targets there would be to wait for them."""
    standin.install(monkeypatch)
    x, target = rng.standard_normal((3, 5)), np.array([1, 5, 2])
    on_device = standin.to_device(x), standin.to_device(target)
    assert np.isnan(standin.to_host(ops.cross_entropy(*on_device)))
    grad = ops.cross_entropy_backward(standin.to_device(np.ones(())), *on_device).x
    np.testing.assert_array_equal(np.isnan(standin.to_host(grad)).all(axis=1), [False, True, False])
    with pytest.raises(DTypeError, match=r"^cross_entropy: x and target: all arrays must be on one device"):
        ops.cross_entropy(x, on_device[1])


@pytest.mark.parametrize(
    ("target", "what"),
    [
        (np.zeros(3), "float64"),
        (np.zeros(3, bool), "bool"),
        ([0, 1, 2], "list"),
        (None, "NoneType"),
        (2, "int"),
        (np.zeros(3, object), "object"),
    ],
)
def test_a_target_that_is_no_array_of_integers_is_refused(target, what):
    rule = f"target must be a NumPy or CuPy array of integers, got {what}$"
    with pytest.raises(DTypeError, match="^cross_entropy: " + rule):
        ops.cross_entropy(np.zeros((3, 5)), target)
    with pytest.raises(DTypeError, match="^cross_entropy_backward: " + rule):
        ops.cross_entropy_backward(np.ones(()), np.zeros((3, 5)), target)


def test_the_gradient_of_a_loss_is_a_0_d_array():
    with pytest.raises(
        ShapeError, match=r"^cross_entropy_backward: grad_output.shape \(3,\) must be the output's shape \(\)$"
    ):
        ops.cross_entropy_backward(np.ones(3), np.zeros((3, 5)), np.zeros(3, int))
