"""The same gradients from other memory, from a sum of cotangents, and in the precision that was asked about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..backend import Array
from .point import Point
from .report import FAILS, HOLDS, Row
from .rounding import EPS, signed
from .subject import Subject

Pair = tuple[str, Array, Array, Array]  # name, found, expected, bound


def read_only(array: Array) -> Array:
    """A copy that nobody can write to."""
    copy = array.copy()
    copy.setflags(write=False)
    return copy


def strided(array: Array) -> Array:
    """A copy in column-major order, in every second element of its memory."""
    sizes = array.shape[::-1]
    memory = np.zeros((*sizes[:-1], 2 * sizes[-1]) if sizes else (), dtype=array.dtype)
    view = (memory[..., ::2] if sizes else memory).transpose()
    view[...] = array
    return view


def same_elsewhere(point: Point) -> Iterator[Row]:
    """Memory must not matter, beyond the rounding of another order of summation."""
    for label, copy in (("read-only inputs", read_only), ("strided inputs", strided)):
        arrays = tuple(copy(a) if isinstance(a, np.ndarray) else a for a in point.subject.arrays)
        other = replace(point.subject, arrays=arrays)
        try:
            y, found = other.y(), other.gradients(copy(point.v))
        except ValueError as error:  # "assignment destination is read-only" is one
            yield Row("all", label, 0, None, None, FAILS, f"ValueError: {error}")
        else:
            pairs = [("y", y, point.y, point.noise)]
            pairs += [(n, found[k], g, _bound(point, k)) for n, k, g in _gradients(point)]
            yield compared(label, pairs)


def linear(point: Point, rng: np.random.Generator) -> Row:
    """``backward(v + 2w) == backward(v) + 2 backward(w)``."""
    w = signed(rng, point.v.shape)
    of_w, of_sum = point.subject.gradients(w), point.subject.gradients(np.asarray(point.v + 2 * w))
    pairs = [(n, of_sum[k], g + 2 * of_w[k], 8 * _bound(point, k)) for n, k, g in _gradients(point)]
    return compared("linear in grad_output", pairs)


def narrow(point: Point, subject: Subject) -> Row:
    """Output and gradients in float32 or float16 beside those in float64 at the same point and cotangent.

    The bound is the rounding that was measured in float64, times the ratio of the two precisions.
    """
    dtype = subject.arrays[subject.varied[0]].dtype
    found = subject.gradients(np.asarray(point.v.astype(dtype)))
    info = np.finfo(dtype)
    pairs = []
    for name, ours, theirs, bound in [
        ("y", subject.y(), point.y, point.noise),
        *((name, found[k], gradient, _bound(point, k)) for name, k, gradient in _gradients(point)),
    ]:
        fits = np.abs(theirs) < 0.99 * float(info.max)  # beyond, infinity is right
        limit = bound * max(float(info.eps), EPS) / EPS + 8 * float(info.smallest_subnormal)
        pairs.append((name, np.where(fits, ours, 0), np.where(fits, theirs, 0), limit))
    return compared(f"{dtype} beside float64", pairs)


def _gradients(point: Point) -> Iterator[tuple[str, int, Array]]:
    return ((point.subject.names[k], k, gradient) for k, gradient in point.gradients.items())


def _bound(point: Point, position: int) -> Array:
    return point.gradient_noise(position)


def compared(method: str, pairs: list[Pair]) -> Row:
    """The element that is furthest out, or nearest to its bound, of all arrays."""
    rows = [worst(name, method, found, expected, bound) for name, found, expected, bound in pairs]
    failed = [row for row in rows if not row.holds]
    shown = (failed or sorted(rows, key=lambda row: -(row.error or 0) / (row.bound or 1)))[0]
    return replace(shown, argument="all", elements=sum(row.elements for row in rows))


def worst(name: str, method: str, found: Array, expected: Array, bound: Array) -> Row:
    """Two arrays element by element: the row of the element that is furthest out, or nearest to its bound."""
    scale = float(np.max(np.abs(expected), initial=0.0)) or 1.0
    error = np.abs(found - expected)
    if not error.size:
        return Row(name, method, 0, 0.0, 0.0, HOLDS)
    ratio = np.where(error <= bound, error / np.maximum(bound, 1e-300), np.inf)
    k = int(np.argmax(ratio))
    fails = bool(np.isinf(ratio.flat[k]))
    index = list(map(int, np.unravel_index(k, error.shape)))
    detail = f"{name}{index or ''}: {found.flat[k]:.6g} instead of {expected.flat[k]:.6g}" if fails else ""
    limit = np.broadcast_to(bound, error.shape).flat[k]
    return Row(
        name, method, error.size, float(error.flat[k]) / scale, float(limit) / scale, FAILS if fails else HOLDS, detail
    )
