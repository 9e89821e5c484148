"""Hypothesis strategies: valid calls of every operation, for tests of somebody's own implementation.

Every size, option and kind of number is a choice of Hypothesis, so that a call that fails is shrunk to a small one. It
is the draw of the table of operations, whose generator of random numbers is replaced by one that asks. Hypothesis is
not needed for anything else here: ``pip install hypothesis``.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ..backend import Array, quiet
from .operation import Operation
from .table import OPERATIONS

SIZES = (1.0, 1 / 64, 50.0)  # what the numbers of a call are multiplied by: weights are small, images large
TINY = st.floats(-8, 8, width=32)  # all that float32 holds
NUMBERS = st.just(0.0) | st.floats(2.0**-8, 8, width=16) | st.floats(-8, -(2.0**-8), width=16)
CHOSEN = 8  # of so many integers each is a choice; more (the classes of a batch) come from a seed that is one


class Call(NamedTuple):
    """``forward(**arrays, **options)`` and, after ``grad_output``, the same for backward; ``None``: there is none."""

    arrays: dict[str, Any]
    options: dict[str, Any]
    grad_output: Array | None


def calls(name: str, dtype: Any = "float32", *, tiny: bool = False) -> st.SearchStrategy[Call]:
    """Valid arguments of the operation ``name`` in a floating dtype, with an upstream gradient.

    ``tiny``: whether subnormal numbers are drawn too, of which rounding can leave nothing (a verdict is then "vacuous").

    >>> from hypothesis import given
    >>> from unet_ref import judge, ops
    >>> from unet_ref.check.strategies import calls
    >>> @given(calls("avg_pool2d"))
    ... def test_mine(call):
    ...     mine = ops.avg_pool2d(**call.arrays, **call.options)  # in place of this your own
    ...     judge.assert_agrees("avg_pool2d", call.arrays, call.options, mine)
    >>> test_mine()
    """
    return st.composite(_call)(OPERATIONS[name], np.dtype(dtype), TINY if tiny else NUMBERS)


def _call(draw: st.DrawFn, operation: Operation, dtype: np.dtype[Any], numbers: st.SearchStrategy[float]) -> Call:
    rng, size = Chosen(draw, numbers), draw(st.sampled_from(SIZES))
    case = operation.draw(rng).map(lambda array: (size * array).astype(dtype))  # type: ignore[arg-type]
    if operation.backward is None:
        return Call(*case, None)
    with quiet():
        shape = np.shape(operation.forward(**case.arrays, **case.options))
    return Call(*case, np.asarray(rng.standard_normal(shape)).astype(dtype))


class Chosen:
    """What the draws of the table use of ``numpy.random.Generator``, made of Hypothesis's choices.

    Arrays of numbers are of one of three kinds: normal ones from a seed; small whole ones, which are often equal or
    zero; any of ``numbers``.
    """

    def __init__(self, draw: st.DrawFn, numbers: st.SearchStrategy[float]) -> None:
        self.draw, self.numbers = draw, numbers

    def integers(self, low: int, high: int | None = None, size: Any = None) -> Any:
        """Each a choice, where they are few."""
        low, high = (0, low) if high is None else (low, high)
        if size is None:
            return self.draw(st.integers(low, high - 1))
        if math.prod(np.atleast_1d(size)) > CHOSEN:
            return self._seeded().integers(low, high, size)
        return self.draw(hnp.arrays(np.int64, size, elements=st.integers(low, high - 1), fill=st.nothing()))

    def choice(self, options: Any, p: Any = None) -> Any:  # noqa: ARG002  how likely each is Hypothesis knows better
        """One of the options, or of ``range(options)``."""
        return self.draw(st.sampled_from(range(options) if isinstance(options, int) else options))

    def permutation(self, count: int) -> Array:
        """``range(count)`` in another order."""
        return np.array(self.draw(st.permutations(range(count))))

    def standard_normal(self, size: Any = ()) -> Any:
        """Numbers of one of the three kinds, of either sign."""
        kind = self.draw(st.sampled_from(("normal", "whole", "any")))
        if kind == "normal":
            return self._seeded().standard_normal(size)
        if kind == "whole":
            return self._seeded().integers(-3, 4, size).astype(np.float64)
        return self.draw(hnp.arrays(np.float64, size, elements=self.numbers))

    def normal(self, loc: float = 0.0, scale: float = 1.0, size: Any = ()) -> Any:
        """``loc + scale * standard_normal``."""
        return loc + scale * self.standard_normal(size)

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = None) -> Any:
        """Numbers in between, from a seed."""
        return self._seeded().uniform(low, high, size)

    def random(self, size: Any = None) -> Any:
        """Numbers from 0 to 1, from a seed."""
        return self._seeded().random(size)

    def _seeded(self) -> np.random.Generator:
        return np.random.default_rng(self.draw(st.integers(0, 2**32 - 1)))
