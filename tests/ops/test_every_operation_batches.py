"""Every row of the table of operations in batches: a sample alone, among others, and no sample at all."""

import numpy as np
import pytest
from every_operation import bits, cast, each_differentiable, flat, gradients, inputs, upstream, y_of

from unet_ref.check.operation import Case

RANK_OF_A_SAMPLE = {"linear": 1, "group_norm": 1, "batch_norm": 1, "relu": 0, "sigmoid": 0, "gelu": 0}  # images: 3
ALONG_THE_BATCH = {"film": ("x", "gamma", "beta"), "concat": ("arrays",)}  # others: x alone
# separable, though not in the table's narrow sense, which is about x alone; batch_norm in evaluation mode
TOO = ("film", "concat", "batch_norm")


def in_batches(operation):
    """Drawn cases that have a batch axis, with the names of the arguments that lie along it."""
    if not operation.separable and operation.name not in TOO:
        pytest.skip("its samples depend on each other")
    found = []
    for seed in range(60):
        case = operation.draw(np.random.default_rng(seed))
        rank = inputs(case)[0].ndim
        is_batch = rank > RANK_OF_A_SAMPLE.get(operation.name, 3) and case.options.get("axis", 1) % rank != 0
        if operation.name == "film":
            is_batch = case.arrays["gamma"].ndim == 2
        if is_batch and not case.options.get("training", False):
            found.append((case, ALONG_THE_BATCH.get(operation.name, ("x",))))
    assert len(found) >= 10
    return found


def with_batch(case, names, take):
    """The case with ``take`` of every array along the batch."""
    arrays = {
        name: array if name not in names else tuple(map(take, array)) if isinstance(array, tuple) else take(array)
        for name, array in case.arrays.items()
    }
    return Case(arrays, case.options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each_differentiable
def test_a_sample_has_the_same_bits_alone_and_in_a_batch(operation, dtype):
    rng = np.random.default_rng(7)
    for case, names in in_batches(operation):
        batch = with_batch(cast(case, dtype), names, lambda a: rng.standard_normal((7, *a.shape[1:])).astype(dtype))
        grad_output = upstream(operation, batch, rng)
        y, grads = y_of(operation, batch), of_samples(operation, grad_output, batch, names)
        for part in (slice(0, 1), slice(6, 7), slice(2, 5)):
            alone = with_batch(batch, names, lambda a, part=part: a[part].copy())
            assert bits(y_of(operation, alone)) == bits(y[part])
            part_grads = of_samples(operation, grad_output[part].copy(), alone, names)
            assert bits(part_grads) == bits([gradient[part] for gradient in grads])


def of_samples(operation, grad_output, case, names):
    """The gradients of the arguments that lie along the batch axis."""
    grads = operation.backward(grad_output, **case.arrays, **case.options)
    return flat([getattr(grads, name) for name in names] if hasattr(grads, "_fields") else grads)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "object"])
@each_differentiable
def test_an_empty_batch_is_a_batch(operation, dtype):
    """Empty outputs and gradients of the right shape; the gradients of parameters are sums of nothing."""
    if dtype == "object" and operation.arithmetic == "transcendental":
        pytest.skip("an empty array does not say in which arithmetic e and pi are wanted")
    for case, names in in_batches(operation):
        batch = cast(case, dtype)
        empty = with_batch(batch, names, lambda a: a[:0])
        y = y_of(operation, empty)
        assert (y.shape, y.dtype) == ((0, *y_of(operation, batch).shape[1:]), np.dtype(dtype))
        arrays = [array for name in operation.gradients for array in flat(empty.arrays[name])]
        for gradient, array in zip(gradients(operation, y.copy(), empty), arrays, strict=True):
            assert (gradient.shape, gradient.dtype) == (array.shape, array.dtype)
            assert not gradient.any()
