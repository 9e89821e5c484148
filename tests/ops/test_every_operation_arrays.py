"""Every row of the table of operations on arrays of every dtype and layout.

That the numbers are right is in test_every_operation.py, without rounding; here it is read once over mpmath's ``mpf``.
"""

import mpmath
import numpy as np
import pytest
from every_operation import (
    SEEDS,
    bits,
    cast,
    drawn,
    each_differentiable,
    each_operation,
    flat,
    gradients,
    inputs,
    mpf,
    output_and_gradients,
    upstream,
    y_of,
)

from unet_ref.check.operation import Case

LONGDOUBLE = np.dtype(np.longdouble).name


@SEEDS
@each_operation
def test_every_dtype_is_kept_and_rounds_no_more_than_it_must(operation, seed):
    """Against the definition read over ``mpf`` with 40 digits, at the same values."""
    case, grad_output = drawn(operation, seed)
    with mpmath.workdps(40):
        exact = case.map(mpf)
        expected = flat(operation.definition(**exact.arrays, **exact.options))
        if grad_output is not None:
            grads = operation.definition_backward(mpf(grad_output), **exact.arrays, **exact.options)
            expected += flat(grads)
        for dtype in ("float16", "float32", "float64", LONGDOUBLE, "complex64", "complex128"):
            upstream_gradient = None if grad_output is None else grad_output.astype(dtype)
            results = output_and_gradients(operation, cast(case, dtype), upstream_gradient)
            assert [result.dtype.name for result in results] == [dtype] * len(expected)
            for result, exact_result in zip(results, expected, strict=True):
                assert_rounded(result, exact_result, dtype)


def assert_rounded(result, exact, dtype):
    """Within some hundred roundings of the largest number about; float16 rounds float32's numbers once."""
    eps = float(np.finfo("float32" if dtype == "float16" else dtype).eps)
    once = float(np.finfo("float16").eps) / 2 if dtype == "float16" else 0.0
    size = np.abs(exact)
    allowed = 200 * eps * max(1, np.max(size, initial=0)) + once * size + once * float(np.finfo("float16").tiny)
    assert np.all(np.abs(mpf(result) - exact) <= allowed), dtype
    if np.iscomplexobj(result):
        assert np.all(np.abs(result.imag) <= np.asarray(allowed, dtype=np.float64))


@SEEDS
@each_operation
def test_float16_is_the_float32_result_rounded_once(operation, seed):
    case, grad_output = drawn(operation, seed, np.float16)
    wide_gradient = None if grad_output is None else grad_output.astype(np.float32)
    wide = output_and_gradients(operation, cast(case, np.float32), wide_gradient)
    assert bits(output_and_gradients(operation, case, grad_output)) == bits(
        [array.astype(np.float16) for array in wide]
    )


@SEEDS
@each_differentiable
def test_complex_step_through_arrays_and_definition(operation, seed):
    """``Im f(x + ih u) / h`` is ``J u``: it meets the backward pass, and the definition over complex scalars has it too."""
    if not operation.analytic:
        pytest.skip("the complex step does not apply")
    rng, h = np.random.default_rng(seed), 1e-30
    case = operation.draw(rng)
    grad_output = upstream(operation, case, rng)
    directions = case.map(lambda array: rng.standard_normal(array.shape) if array.dtype.kind == "f" else array)
    for name in operation.gradients:
        moved = {
            other: stepped(array, directions.arrays[other], h if other == name else 0.0)
            for other, array in case.arrays.items()
        }
        step = y_of(operation, Case(moved, case.options))
        definition = operation.definition(**moved, **case.options)
        np.testing.assert_allclose(step.imag / h, definition.imag / h, rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(step.real, y_of(operation, case), rtol=1e-12, atol=1e-13)
        if case.arrays[name] is not None:
            grads = operation.backward(grad_output, **case.arrays, **case.options)
            slopes = flat(getattr(grads, name) if hasattr(grads, "_fields") else grads)
            backward = sum(np.sum(u * g) for u, g in zip(flat(directions.arrays[name]), slopes, strict=True))
            np.testing.assert_allclose(np.sum(grad_output * step.imag) / h, backward, rtol=1e-9, atol=1e-11)


def stepped(array, direction, h):
    """``array + i h direction``; integers and absent arrays as they are."""
    if isinstance(array, tuple):
        return tuple(stepped(piece, along, h) for piece, along in zip(array, direction, strict=True))
    return array if array is None or array.dtype.kind != "f" else array + 1j * h * direction


@SEEDS
@each_operation
def test_nothing_is_changed_and_nothing_shared(operation, seed):
    """Read-only inputs serve; they keep their bytes; every result has memory of its own that may be written to."""
    case, grad_output = drawn(operation, seed)
    given = flat(inputs(case), grad_output)
    before = bits(given)
    for array in given:
        array.setflags(write=False)
    results = output_and_gradients(operation, case, grad_output)
    assert bits(given) == before
    for k, result in enumerate(results):
        assert result.flags.writeable
        assert not any(np.shares_memory(result, other) for other in (*given, *results[:k]))
    assert bits(output_and_gradients(operation, case, grad_output)) == bits(results)  # and again, the same bits


def transposed(array):
    return array.T.copy().T


def reversed_(array):
    return np.flip(np.flip(array).copy())


def strided(array):
    big = np.full([2 * size for size in array.shape], np.nan if array.dtype.kind == "f" else -1, dtype=array.dtype)
    view = big[(slice(None, None, 2),) * array.ndim + (...,)]
    view[...] = array
    return view


@pytest.mark.parametrize("layout", [transposed, reversed_, strided])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@SEEDS
@each_operation
def test_layout_in_memory_does_not_reach_the_result(operation, seed, dtype, layout):
    """The same bits, since all operations copy into their own layout before anything is summed."""
    case, grad_output = drawn(operation, seed, dtype)
    views = Case({name: laid_out(array, layout) for name, array in case.arrays.items()}, case.options)
    view = laid_out(grad_output, layout)
    assert bits(output_and_gradients(operation, views, view)) == bits(
        output_and_gradients(operation, case, grad_output)
    )


def laid_out(array, layout):
    if isinstance(array, tuple):
        return tuple(layout(piece) for piece in array)
    return None if array is None else layout(array)


@SEEDS
@each_differentiable
def test_a_broadcast_upstream_gradient_is_a_gradient_like_any_other(operation, seed):
    """What a mean or a sum after the operation hands back: strides of zero, read-only."""
    case, _ = drawn(operation, seed, np.float32)
    shape = np.shape(y_of(operation, case))
    broadcast = np.broadcast_to(np.float32(-1.7), shape)
    assert bits(gradients(operation, broadcast, case)) == bits(gradients(operation, broadcast.copy(), case))
