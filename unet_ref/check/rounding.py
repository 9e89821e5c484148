"""How much rounding moves a result: measured, by moving the inputs a little to both sides.

A smooth function is straight on a small enough scale: what a computed one departs from straight by is rounding, its own,
whatever its algorithm. At the point itself the second difference ``f(x + d) - 2 f(x) + f(x - d)`` sees it; over the
length of a step, where values cross many rounding steps, the fourth difference (Hamming 1962, More and Wild 2011). And no
algorithm is better than its data: what a rounding of the inputs does, ``f(x + d) - f(x - d)`` scaled down, counts too.
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
SAFETY = 8.0  # a bound is this times the largest sample: all six below an eighth of sigma has chance 3e-7
NUDGE = 2.0**-36  # relative: its square is below rounding, unless x is 10^4 times f's natural length or more


def roughness(
    results: Callable[[Subject, Array], list[Array]], subject: Subject, v: Array, rng: np.random.Generator
) -> list[Array]:  # fmt: skip
    """For each array of ``results(subject, v)`` its departures from straight, sample by sample: ``(2 SAMPLES, *shape)``."""
    here = results(subject, v)
    samples: list[list[Array]] = [[] for _ in here]
    for _ in range(SAMPLES):
        directions = tuple(rng.uniform(-1, 1, np.shape(array)) for array in (v, *subject.arrays))
        up, down = (results(*_nudged(subject, v, directions, sign * NUDGE)) for sign in (1, -1))
        for rows, centre, above, below in zip(samples, here, up, down, strict=True):
            rows += [(above - 2 * centre + below) / 2, (above - below) / 2 * (EPS / NUDGE)]
    return [np.stack(rows) for rows in samples]


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
        ys = outputs(subject, position, [x + k / 4 * step * u for k in range(-4, 5)], stack)
        fourth = np.diff(np.stack(ys), n=4, axis=0)
        total.append(np.mean(fourth**2, axis=0) / 70)  # 70 = 1 + 16 + 36 + 16 + 1: the variance of one value
    return np.asarray(SAFETY * np.sqrt(sum(total) / 2))


def signed(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Random numbers of both signs, none small, none alike: directions and cotangents."""
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))
