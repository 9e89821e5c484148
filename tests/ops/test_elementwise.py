"""Large arrays, which fall into pieces: every element has its turn once, and neither threads nor strides change a bit."""

import hypothesis.strategies as st
import numpy as np
import pytest
from every_operation import bits
from hypothesis import example, given

import unet_ref
from unet_ref import ops
from unet_ref.ops import elementwise
from unet_ref.ops.elementwise import FEW_PASSES, MANY_PASSES

LARGE = 2 * FEW_PASSES + 3


@given(st.lists(st.integers(0, 9), max_size=4), st.integers(1, 40))
@example([2, 3, 600, 7], 1)
@example([], 1)
def test_every_element_lies_in_one_piece(shape, most):
    seen = np.zeros(shape, dtype=int)
    for piece in elementwise.pieces(seen, most):
        assert seen[piece].size <= most
        seen[piece] += 1
    assert np.all(seen == 1)


@pytest.fixture
def threads(monkeypatch):
    monkeypatch.setattr(unet_ref.threads._threads, "said", None)

    def use(count):
        unet_ref.set_num_threads(count)

    return use


def arrays(*shapes, dtype="float32"):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def calls(x, y):
    """Every operation that goes over its elements in pieces, and its gradient."""
    scale = np.asarray(0.7, dtype=x.dtype)
    yield "relu", lambda: ops.relu(x)
    yield "relu_backward", lambda: ops.relu_backward(y, x)
    yield "sigmoid", lambda: ops.sigmoid(x)
    yield "sigmoid_backward", lambda: ops.sigmoid_backward(y, x)
    yield "gelu", lambda: ops.gelu(x)
    yield "gelu_backward", lambda: ops.gelu_backward(y, x, approximate="tanh")
    yield "glu", lambda: ops.glu(x, axis=0)
    yield "glu_backward", lambda: ops.glu_backward(y[: len(y) // 2], x, axis=0)
    yield "mse_loss", lambda: ops.mse_loss(x, y)
    yield "mse_loss_backward", lambda: ops.mse_loss_backward(scale, x, y)
    yield "binary_cross_entropy_with_logits", lambda: ops.binary_cross_entropy_with_logits(x, y)
    yield (
        "binary_cross_entropy_with_logits_backward",
        lambda: ops.binary_cross_entropy_with_logits_backward(scale, x, y),
    )


NAMES = [name for name, _ in calls(*arrays(2, 2))]


def flat(result):
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_threads_changes_no_bit(name, threads):
    call = dict(calls(*arrays(LARGE + 1, LARGE + 1)))[name]
    threads(1)
    alone = bits(flat(call()))
    threads(3)
    assert bits(flat(call())) == alone


@pytest.mark.parametrize("name", NAMES)
def test_neither_do_strides(name):
    """The same numbers as every second element of others, and column by column."""
    rows = 2 * MANY_PASSES // 300 + 3  # even, for glu
    x, y = arrays((rows, 301), (rows, 301))
    expected = flat(dict(calls(x, y))[name]())
    apart = [np.repeat(array, 2, axis=1)[:, ::2] for array in (x, y)]
    columns = [np.asfortranarray(array) for array in (x, y)]
    for strided in (apart, columns):
        assert bits(flat(dict(calls(*strided))[name]())) == bits(expected)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_found_in_pieces_is_what_is_found_at_once(name, monkeypatch):
    """Element by element the bits are those of one piece; a mean may have another order of its sum."""
    pair = arrays(2 * MANY_PASSES + 4, 2 * MANY_PASSES + 4, dtype="float64")
    found = flat(dict(calls(*pair))[name]())
    monkeypatch.setattr(elementwise, "pieces", lambda x, _: [...])
    at_once = flat(dict(calls(*pair))[name]())
    if found[0].ndim:
        assert bits(found) == bits(at_once)
    else:
        np.testing.assert_allclose(found, at_once, rtol=1e-14)


@pytest.mark.parametrize("shape", [(3, 70, 41, 43), (300, 1000), (5, 70)])
def test_cross_entropy_falls_into_tiles(shape, threads):
    """Samples and pixels at a time: against the formula of the whole, one thread and three."""
    x = arrays(shape, dtype="float64")[0]
    target = np.random.default_rng(1).integers(0, shape[1], (shape[0], *shape[2:]))
    power = np.exp(x)
    softmax = power / power.sum(axis=1, keepdims=True)
    chosen = np.arange(shape[1]).reshape(1, -1, *(1 for _ in shape[2:])) == target[:, None]
    threads(1)
    y, dx = ops.cross_entropy(x, target), ops.cross_entropy_backward(np.array(0.7), x, target).x
    np.testing.assert_allclose(y, -np.log(softmax[chosen]).mean(), rtol=1e-13)
    np.testing.assert_allclose(dx, 0.7 * (softmax - chosen) / target.size, atol=1e-15 / target.size)
    threads(3)
    assert bits([ops.cross_entropy(x, target), ops.cross_entropy_backward(np.array(0.7), x, target).x]) == bits([y, dx])
