"""Rows of the table of operations: activations, gates and the joining of paths."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..operation import Case, Operation


def draw_shape(rng: np.random.Generator, least: int = 0) -> tuple[int, ...]:
    """Images with and without a batch most of the time, any rank from ``least`` to 4 at others; all sizes uneven."""
    rank = int(rng.choice([3, 4, 4, int(rng.integers(least, 5))]))
    return tuple(int(size) for size in rng.permutation(5)[:rank] + 1)


def draw_one(rng: np.random.Generator) -> Case:
    """The argument of an elementwise function, far enough out for its tails to matter."""
    return Case({"x": 4 * rng.standard_normal(draw_shape(rng))}, {})


def draw_gelu(rng: np.random.Generator) -> Case:
    """Both formulas, and the default."""
    options = [{}, {"approximate": "none"}, {"approximate": "tanh"}, {"approximate": "tanh"}]
    return Case(draw_one(rng).arrays, options[int(rng.integers(4))])


def draw_glu(rng: np.random.Generator) -> Case:
    """Any axis but the batch, from the front, the back or by default."""
    shape = list(draw_shape(rng, least=1))
    axis = draw_axis(rng, len(shape))
    shape[axis] *= 2
    options = {} if axis == -1 else {"axis": axis}
    return Case({"x": 2 * rng.standard_normal(shape)}, options)


def draw_concat(rng: np.random.Generator) -> Case:
    """One to four arrays, sometimes an empty one among them, along any axis but the batch."""
    shape = draw_shape(rng, least=1)
    axis = draw_axis(rng, len(shape))
    arrays = []
    for size in rng.integers(0, 4, int(rng.integers(1, 5))):
        sizes = list(shape)
        sizes[axis] = int(size)
        arrays.append(rng.standard_normal(sizes))
    return Case({"arrays": tuple(arrays)}, {} if axis == 1 else {"axis": axis})


def draw_axis(rng: np.random.Generator, rank: int) -> int:
    """An axis of an array of that rank, counted from either end; of ``(N, C, H, W)`` not the first."""
    axis = int(rng.integers(rank == 4, rank))
    return axis if rng.integers(2) else axis - rank


def _elementwise(name: str, draw: Callable[[np.random.Generator], Case], arithmetic: str) -> Operation:
    return Operation(name, ("x",), draw, arithmetic=arithmetic, analytic=arithmetic != "rational")


ACTIVATION = (
    _elementwise("relu", draw_one, "rational"),  # not analytic: it bends where the varied value passes 0
    _elementwise("sigmoid", draw_one, "transcendental"),
    _elementwise("gelu", draw_gelu, "transcendental"),
    _elementwise("glu", draw_glu, "transcendental"),
    Operation("concat", ("arrays",), draw_concat, linear=("arrays",)),
)
