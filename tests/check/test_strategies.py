"""The Hypothesis strategies of every operation's calls."""

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from unet_ref import judge, ops
from unet_ref.check.strategies import NUMBERS, Chosen, calls
from unet_ref.check.table import OPERATIONS


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_calls_are_valid_in_every_dtype(name, dtype):
    @settings(max_examples=5)
    @given(calls(name, dtype))
    def each(call):
        row = OPERATIONS[name]
        output = row.forward(**call.arrays, **call.options)
        if row.backward is None:
            assert call.grad_output is None
            assert output.mean.dtype == dtype
            return
        assert (call.grad_output.shape, call.grad_output.dtype) == (output.shape, output.dtype)
        assert output.dtype == dtype
        row.backward(call.grad_output, **call.arrays, **call.options)

    each()


@pytest.mark.parametrize("tiny", [False, True])
@pytest.mark.parametrize("name", ["conv2d", "batch_norm", "max_pool2d", "cross_entropy", "upsample_nearest2d"])
def test_what_is_right_is_never_called_a_bug(name, tiny):
    @settings(max_examples=25)
    @given(calls(name, tiny=tiny))
    def each(call):
        row = OPERATIONS[name]
        y = row.forward(**call.arrays, **call.options)
        grads = row.backward(call.grad_output, **call.arrays, **call.options)
        verdict = judge.judge(name, call.arrays, call.options, y, call.grad_output, grads).verdict
        assert verdict in ("exact", "within rounding", "vacuous")  # the last where numbers cancel or vanish

    each()


def test_subnormal_numbers_come_where_they_are_asked_for():
    def has_some(call):
        return bool(np.any((call.arrays["x"] != 0) & (np.abs(call.arrays["x"]) < 1e-37)))

    find(calls("relu", tiny=True), has_some, settings=settings(max_examples=10_000))
    with pytest.raises(NoSuchExample):
        find(calls("relu"), has_some, settings=settings(max_examples=200))


def test_a_mistake_is_found_and_shrunk():
    """A kernel that ignores its groups' order, at the smallest call where that shows."""

    def shows(call):
        y = ops.conv2d(**call.arrays, **call.options)
        G = call.options["groups"]
        wrong = y.reshape(*y.shape[:-3], G, -1, *y.shape[-2:]).swapaxes(-4, -3).reshape(y.shape)
        return not judge.judge("conv2d", call.arrays, call.options, wrong).ok

    call = find(calls("conv2d"), shows, settings=settings(max_examples=2000))
    assert call.options["groups"] == 2
    assert call.options["stride"] == (1, 1)
    assert call.arrays["weight"].shape == (4, 1, 1, 1)


@given(st.data())
def test_the_generator_is_like_numpys(data):
    rng = Chosen(data.draw, NUMBERS)
    assert rng.integers(3) in range(3)
    assert rng.integers(2, 4) in (2, 3)
    assert set(rng.integers(2, 4, (2, 3)).ravel()) <= {2, 3}
    assert rng.integers(2, 4, (3, 4)).shape == (3, 4)  # too many to be chosen one by one
    assert rng.choice(["a", "b"]) in ("a", "b")
    assert rng.choice(2, p=[0.1, 0.9]) in (0, 1)
    assert sorted(rng.permutation(4)) == [0, 1, 2, 3]
    assert np.all(np.abs(rng.standard_normal((2, 3))) <= 8)
    assert np.isfinite(rng.normal(1, 2, (2,))).all()
    assert 0.5 <= rng.uniform(0.5, 2) <= 2
    assert rng.random((2, 3)).shape == (2, 3)
