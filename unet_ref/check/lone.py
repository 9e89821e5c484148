"""One coordinate alone, at steps of all sizes: the judge of every coordinate that the quick look found fault with.

A kink (ReLU at 0, a tie under a max pool) shows in the gap between the slopes to the right and to the left: where f is
smooth it falls with h, at a kink it stays. Where the gap closes at some small step the kink is only near, and the slope
is taken from there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..backend import Array, quiet
from .evaluate import outputs
from .rounding import EPS
from .slopes import COMPLEX_STEP, Measurement
from .steps import ladder, magnitude, rung_errors
from .subject import Subject


class Lone(NamedTuple):
    """One coordinate's slope of ``<v, f>``, to within ``bound``; ``size`` as in ``Slopes``.

    At a kink there is none: any value from ``low`` to ``high`` is a generalised gradient, and ``slope`` their middle.
    """

    kink: bool
    slope: float
    bound: float
    size: float
    low: float
    high: float


def examine(
    subject: Subject, position: int, index: int, stack: tuple[int, ...], v: Array, y: Array, noise: Array
) -> Lone:
    """Difference quotients at every rung of the ladder, each output on its own."""
    x = subject.arrays[position]
    here = x.flat[index]
    steps = [h for h in ladder(max(1.0, magnitude(x))) if here + h != here != here - h]
    up, down = ([_moved(x, index, sign * h) for h in steps] for sign in (1, -1))
    with quiet():
        ys = outputs(subject, position, up + down, stack)
        rises = np.stack([(moved - y).ravel() for moved in ys[: len(steps)]])
        falls = np.stack([(y - moved).ravel() for moved in ys[len(steps) :]])
        h_up, h_down = (np.array([abs(moved.flat[index] - here) for moved in side])[:, None] for side in (up, down))
        answers = ((rises != 0) | (falls != 0)).any(axis=0)
        # an output that never moves has no rounding to speak of: at most an ulp over the largest step
        unseen = float(np.sum(np.abs(v * y).ravel()[~answers])) * EPS / h_up[0, 0]
        weight, size_of_y = np.abs(v).ravel() * answers, np.abs(np.stack(ys)).reshape(2, len(steps), -1).sum(axis=0)
        slope_up, slope_down = v.ravel() * rises / h_up, v.ravel() * falls / h_down
        middle = v.ravel() * (rises + falls) / (h_up + h_down)
        rounding = np.sum(weight * (noise.ravel() + 8 * EPS * size_of_y), axis=1) / h_up[:, 0]
        gap = np.sum(np.abs(slope_up - slope_down), axis=1)
        size = np.sum(np.abs(slope_up) + np.abs(slope_down), axis=1) / 2
        errors = rung_errors(middle, rounding)
        rung = int(np.argmin(errors))
        at, slack = _kink(gap, rounding)
        if at is None:
            slope = float(np.sum(middle[rung]))
            return Lone(False, slope, float(errors[rung]) + unseen, float(size[rung]), slope, slope)
        low, high = (float(np.sum(pick(slope_up[at], slope_down[at]))) for pick in (np.minimum, np.maximum))
    return Lone(True, (low + high) / 2, slack, float(size[at]), low, high)


def _moved(x: Array, index: int, by: float) -> Array:
    moved = x.copy()
    moved.flat[index] += by
    return moved


def _kink(gap: Array, rounding: Array) -> tuple[int | None, float]:
    """Whether a gap neither closes at smaller steps nor grows with them; the best step to see it at, and its error there.

    The smallest step at which the gap stands out of the rounding decides, with its neighbours.
    """
    clear = np.flatnonzero((rounding <= 0.01 * gap) & (gap > 0))
    last = int(clear[-1]) if clear.size else 0
    around = gap[max(last - 1, 0) : last + 2]
    if not clear.size or around.size < 2 or around.max() > 2 * around.min():
        return None, 0.0
    known = clear[
        (clear + 1 < len(gap)) & (gap[clear] < 2 * gap[last])
    ]  # the next step says how much curvature is left
    errors = rounding[known] + rounding[known + 1] + 2 * np.abs(gap[known + 1] - gap[known])
    return int(known[np.argmin(errors)]), float(np.min(errors))


def complex_slope(m: Measurement, index: int) -> tuple[float, float]:
    """The slope of ``<v, f>`` along one coordinate by a complex step, and what rounding can do to it."""
    x = m.subject.arrays[m.position].copy()
    x.flat[index] += COMPLEX_STEP * 1j
    slopes = m.subject.at(m.position, x).y().imag / COMPLEX_STEP
    return float(np.sum(m.v * slopes)), float(np.sum(np.abs(m.v) * m.noise * (slopes != 0)))
