"""How much rounding moves a result: measured, by moving the inputs a little to both sides.

A smooth function is straight on a small enough scale: what a computed one departs from straight by is rounding, its own,
whatever its algorithm. At the point itself the distance of ``f(x)`` from the chord between two neighbours shows it; over
the length of a step, where values cross many rounding steps, the fourth difference (Hamming 1962, More and Wild 2011).
And no algorithm is better than its data: what a rounding of the inputs does, the chord's slope times an ulp, counts too.
A few samples are taken; what is left of chance (a sample that happens to be small) the factor is for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..backend import Array
from .evaluate import outputs
from .subject import Subject, is_varied

EPS = float(np.finfo(np.float64).eps)
SAMPLES = 6
ASYMMETRY = 0.618  # how far to nudge to the other side: at equal distances the errors of a rounded 1 + small cancel
SAFETY = 8.0  # a bound is this times the largest sample: all six below an eighth of sigma has chance 3e-7
# By how much, relatively, inputs are nudged in float64, float32 and float16: the square is below that one's rounding.
NUDGES = (2.0**-36, 2.0**-14, 2.0**-6)


def roughness(
    results: Callable[[Subject, Array], list[Array]], subject: Subject, v: Array, nudge: float, rng: np.random.Generator
) -> list[Array]:  # fmt: skip
    """For each array of ``results(subject, v)`` its departures from straight, sample by sample: ``(2 SAMPLES, *shape)``."""
    here = results(subject, v)
    samples: list[list[Array]] = [[] for _ in here]
    for _ in range(SAMPLES):
        directions = tuple(rng.uniform(-1, 1, np.shape(array)) for array in (v, *subject.arrays))
        up, down = (results(*_nudged(subject, v, directions, by * nudge)) for by in (1, -ASYMMETRY))
        for rows, centre, above, below in zip(samples, here, up, down, strict=True):
            straight = (ASYMMETRY * above + below) / (1 + ASYMMETRY)
            rows += [straight - centre, (above - below) / (1 + ASYMMETRY) * (EPS / nudge)]
    return [np.stack(rows) for rows in samples]


def working_nudge(subject: Subject, y: Array, rng: np.random.Generator) -> float:
    """The nudge for the precision that ``forward`` works in, whatever its dtype.

    Where most outputs do not answer to a nudge in float64, as they do to larger ones, either they hardly depend on the
    inputs, and change by little; or they are rounded coarsely, and change by that rounding at least.
    """
    directions = tuple(rng.uniform(-1, 1, np.shape(array)) for array in (y, *subject.arrays))
    changes = [np.abs(_nudged(subject, y, directions, nudge)[0].y() - y) for nudge in NUDGES]
    answering = [np.count_nonzero(change) for change in changes]
    relative = np.concatenate([(change[change > 0] / np.abs(y[change > 0])).ravel() for change in changes])
    least = np.min(relative, initial=np.inf)
    if 2 * answering[0] >= answering[-1] or least < 2.0**-30:
        return NUDGES[0]
    return NUDGES[1] if least < 2.0**-17 else NUDGES[2]


def _nudged(subject: Subject, v: Array, directions: tuple[Array, ...], by: float) -> tuple[Subject, Array]:
    """Every input multiplied by ``1 + by * direction``."""
    moved = tuple(
        np.asarray(array * (1 + by * direction)) if is_varied(array) else array
        for array, direction in zip((v, *subject.arrays), directions, strict=True)
    )
    return replace(subject, arrays=moved[1:]), moved[0]


def largest_rounding(samples: Array) -> Array:
    """The bound on each element's rounding that its samples give."""
    return np.asarray(SAFETY * np.max(np.abs(samples), axis=0))


def step_noise(
    subject: Subject, position: int, step: float, stack: tuple[int, ...], rng: np.random.Generator
) -> Array:  # fmt: skip
    """Rounding in each element of the output over the length of a step of one argument; NaN where f leaves its domain."""
    x = subject.arrays[position]
    total = []
    for _ in range(2):
        u = signed(rng, x.shape)
        ys = outputs(subject, position, [x + k / 6 * step * u for k in range(-6, 7)], stack)
        fourth = np.diff(np.stack(ys), n=4, axis=0)
        fourth = fourth[[0, 1, 2, 6, 7, 8]]  # all on one side: a kink at the point itself is no rounding
        total.append(np.mean(fourth**2, axis=0) / 70)  # 70 = 1 + 16 + 36 + 16 + 1: the variance of one value
    return np.asarray(SAFETY * np.sqrt(sum(total) / 2))


def signed(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Random numbers of both signs, none small, none alike: directions and cotangents."""
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))
