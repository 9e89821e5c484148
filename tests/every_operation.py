"""What the tests that go over the whole table of operations share."""

import mpmath
import numpy as np
import pytest

from unet_ref.check.table import OPERATIONS

SEEDS = pytest.mark.parametrize("seed", range(4))
each_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
DIFFERENTIABLE = {name: operation for name, operation in OPERATIONS.items() if operation.backward is not None}
each_differentiable = pytest.mark.parametrize("operation", DIFFERENTIABLE.values(), ids=list(DIFFERENTIABLE))


def flat(*values):
    """The arrays in ``values``, those within tuples too, without the absent ones."""
    found = []
    for value in values:
        found += flat(*value) if isinstance(value, tuple | list) else [] if value is None else [value]
    return found


def inputs(case):
    """The arrays of a case."""
    return flat(*case.arrays.values())


def y_of(operation, case):
    """The output."""
    return operation.forward(**case.arrays, **case.options)


def gradients(operation, grad_output, case):
    """What the backward pass returns, laid flat; nothing where there is no backward pass."""
    if operation.backward is None:
        return []
    return flat(operation.backward(grad_output, **case.arrays, **case.options))


def upstream(operation, case, rng):
    """A random gradient of the output, in the output's dtype."""
    y = y_of(operation, case)
    if isinstance(y, tuple):
        return None
    return np.asarray(rng.standard_normal(y.shape)).astype(y.dtype)


def output_and_gradients(operation, case, grad_output):
    """All that an operation computes, laid flat."""
    return [*flat(y_of(operation, case)), *gradients(operation, grad_output, case)]


def drawn(operation, seed, dtype=np.float64):
    """A case, and a gradient for its output, with values that every floating dtype holds."""
    rng = np.random.default_rng(seed)
    case = cast(operation.draw(rng), np.float16)
    grad_output = upstream(operation, case, rng)
    return cast(case, dtype), grad_output if grad_output is None else grad_output.astype(dtype)


def cast(case, dtype):
    """The case in another dtype."""
    return case.map(lambda array: array.astype(dtype))


def bits(*values):
    """Shape, dtype and bytes of every array: equal exactly where the arrays are, sign of zero and NaN included."""
    return [(np.shape(array), array.dtype, array.tobytes()) for array in flat(*values)]


def mpf(array):
    """The same numbers in mpmath's arithmetic, exactly; of a longdouble both halves."""
    high = np.frompyfunc(lambda value: mpmath.mpf(float(value)), 1, 1)
    real = array.real
    rest = real - real.astype(np.float64).astype(real.dtype)
    return np.asarray(high(real) + high(rest), dtype=object)
