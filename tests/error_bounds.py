"""What the tests of the error bounds share."""

import numpy as np
from every_operation import flat
from rounding_scalars import Tape, floats, worst

from unet_ref.check import error_bound, ratio
from unet_ref.check.calls import named
from unet_ref.check.table import OPERATIONS

AFFECTED = [
    name for name in OPERATIONS if name not in ("relu", "concat", "center_crop2d")
]  # the others only move numbers


def drawn(name, seed, dtype="float32"):
    """A case of the table and an upstream gradient, in that dtype."""
    rng, operation = np.random.default_rng(seed), OPERATIONS[name]
    case = operation.draw(rng).map(lambda array: array.astype(dtype))
    y = operation.forward(**case.arrays, **case.options)
    dy = None if operation.backward is None else np.asarray(rng.standard_normal(np.shape(y))).astype(dtype)
    return case, dy


def tensors(output, grads):
    """Output and gradients by name: ``y``, ``y[0]`` and ``y[1]`` of a pair, ``arrays[0]``; without absent ones."""
    everything = {"y": output, **(grads if isinstance(grads, dict) else {})}
    return {name: array for name, array in named(tuple(everything), everything.values()) if array is not None}


def by_name(grads):
    """What a backward pass returns, as a dict."""
    return dict(grads._asdict()) if hasattr(grads, "_fields") else {"arrays": grads}


def defined(name, case, dy, make):
    """The definition's results over other scalars: ``make`` turns arrays of floats into arrays of them."""
    operation, arrays = OPERATIONS[name], case.map(make).arrays
    y = operation.definition(**arrays, **case.options)
    if dy is None:
        return tensors(y, {})
    return tensors(y, by_name(operation.definition_backward(make(dy), **arrays, **case.options)))


def computed(name, case, dy):
    """The results of ``unet_ref.ops``."""
    operation = OPERATIONS[name]
    y = operation.forward(**case.arrays, **case.options)
    return tensors(y, {} if dy is None else by_name(operation.backward(dy, **case.arrays, **case.options)))


def shares(name, case, dy, found, profile="float32"):
    """By tensor: the largest share of its bound that an element of ``found`` is off."""
    bounds = error_bound(name, case.arrays, case.options, dy, profile)
    expected, limits = tensors(*bounds.reference), tensors(bounds.output, bounds.grads)
    assert set(found) == set(limits)
    return {key: float(ratio(value, expected[key], limits[key]).max(initial=0.0)) for key, value in found.items()}


def first_order(name, case, dy, formula=None, profile="float32", largest=2500):
    """By tensor: the largest share of its bound that rounding can be off at worst, to first order.

    ``formula``: another way to compute some of the results, ``formula(make) -> {tensor: array of scalars}``; else the
    definition's. None where there are more roundings than ``largest``.
    """
    formula = formula or (lambda make: defined(name, case, dy, make))
    counting = Tape()
    formula(counting.array)
    if counting.count > largest:
        return None
    tape = Tape(max(counting.count, 1))
    found = formula(tape.array)
    bounds = error_bound(name, case.arrays, case.options, dy, profile)
    expected, limits = tensors(*bounds.reference), tensors(bounds.output, bounds.grads)
    result = {}
    for key, scalars in found.items():
        np.testing.assert_allclose(floats(scalars), np.float64(expected[key]), rtol=1e-8, atol=1e-8)
        off = worst(scalars, bounds.profile.u_acc)
        result[key] = float(
            np.max(np.where(off > 0, off / np.where(limits[key] > 0, limits[key], 1e-300), 0), initial=0.0)
        )
    return result


def flat_bounds(bounds):
    """All bounds of a ``Bounds``."""
    return flat(bounds.output, *bounds.grads.values())
