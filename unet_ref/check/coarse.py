"""``ops`` whose every result is off by as much as rounding allows: what a network's gradient does then, rounding can do.

By how much each element of a result may be off, whatever the kernel, is the bound of link 4. Carried through all layers
it would say nothing, as roundings cancel: so each element is off by its bound up or down, at random.
"""

from __future__ import annotations

import collections
import functools
from dataclasses import replace
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array
from .bounds import FAMILIES, PROFILES
from .bounds.profiles import U64
from .error_bound import error_bound

# Two float64 results beside each other; of a coarser arithmetic than the reference's, which then needs no longdouble
TWO_FLOAT64 = replace(PROFILES["float64"], name="two float64", u_acc=2 * U64, u_out=2 * U64)


EXACT = ("relu", "concat", "center_crop2d", "batch_norm_running_stats")  # copies; and what no gradient depends on


class Coarse:
    """``ops`` of float64 arrays on the host, every result off by its bound, up or down at random."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def __getattr__(self, name: str) -> Any:
        operation = name.removesuffix("_backward")
        if operation in EXACT:
            return getattr(ops, name)
        if operation not in FAMILIES:  # a shorter way to the same results, such as relu_in_place
            raise AttributeError(name)
        return functools.partial(self._forward if operation == name else self._backward, operation)

    def add(self, a: Array, b: Array) -> Array:
        """One rounding."""
        total = a + b
        return self._off(total, 2 * U64 * abs(total))

    def _forward(self, operation: str, *arguments: Any, **options: Any) -> Array:
        bounds = error_bound(operation, arguments, options, profile=TWO_FLOAT64)
        return self._off(bounds.reference[0], bounds.output)

    def _backward(self, operation: str, grad_output: Array, *arguments: Any, **options: Any) -> Any:
        bounds = error_bound(operation, arguments, options, grad_output, TWO_FLOAT64)
        grads = bounds.reference[1]
        return _named(tuple(grads))(*(None if g is None else self._off(g, bounds.grads[n]) for n, g in grads.items()))

    def _off(self, value: Array, bound: Array) -> Array:
        """Equal values of a tensor go the same way: what is constant, or a tie, stays so, as it does in a right kernel.

        The way is the topmost of the value's own bits, once they are stirred by a multiplication.
        """
        factor = self.rng.integers(1 << 63, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        bits = np.ascontiguousarray(value).view(np.uint64)
        stirred = (bits ^ bits >> np.uint64(32)) * factor
        return np.where(stirred >> np.uint64(63) == 0, value - bound, value + bound)


@functools.cache
def _named(fields: tuple[str, ...]) -> Any:
    return collections.namedtuple("Grads", fields)  # noqa: PYI024 - the fields are known only now
