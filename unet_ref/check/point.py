"""Where and how gradients are checked: what is the same for all arguments of one check."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from ..backend import Array
from .rounding import EPS, largest_rounding, roughness, signed, step_noise, working_nudge
from .slopes import COMPLEX_STEP
from .stacking import stackable
from .subject import Subject

UNDERFLOW = 1e-300  # whatever is smaller has lost digits


@dataclass(frozen=True)
class Options:
    """The keyword arguments of ``gradcheck``, as they are explained there."""

    seed: int
    method: str = "auto"
    directions: int | None = None
    every: int = 10_000
    batch: str = "auto"
    affine: tuple[str, ...] = ()
    executor: Executor | None = None


@dataclass(frozen=True)
class Point:
    """The functions at a point in float64, a cotangent ``v`` there, and what rounding does to output and gradients.

    ``noise``: a bound for each element of ``y``. ``samples``: for each gradient, what it departs from smooth by.
    """

    subject: Subject
    y: Array
    v: Array
    gradients: dict[int, Array]
    noise: Array
    samples: dict[int, Array]
    nudge: float
    stack: tuple[int, ...]
    options: Options

    def generator(self, position: int) -> np.random.Generator:
        """Random numbers of one argument's own, so that arguments do not depend on each other's."""
        return np.random.default_rng([self.options.seed, position])

    def gradient_noise(self, position: int, direction: Array | None = None) -> Array:
        """How far rounding in the backward pass can carry each element of a gradient, or its product with a direction."""
        gradient, samples = self.gradients[position], self.samples[position]
        if direction is None:
            # a rounding error that stays the same nearby (1 - p where p rounds to 1) is seen by none of the samples
            return largest_rounding(samples) + 8 * EPS * np.max(np.abs(gradient), initial=0.0) + UNDERFLOW
        along = np.sum(samples * direction, axis=tuple(range(1, samples.ndim)))
        return largest_rounding(along) + 8 * EPS * np.sum(np.abs(gradient * direction)) + UNDERFLOW


def settle(subject: Subject, v: Array | None, options: Options) -> Point:
    """The point with everything about it that is measured once."""
    rng = np.random.default_rng(options.seed)
    y = subject.y()
    v = signed(rng, y.shape) if v is None else v
    gradients = {k: np.asarray(g) for k, g in subject.gradients(v).items() if g is not None and k in subject.varied}

    def results(there: Subject, cotangent: Array) -> list[Array]:
        found = there.gradients(cotangent)
        return [there.y(), *(found[k] for k in gradients)]

    nudge = working_nudge(subject, y, rng)
    rough, *samples = roughness(results, subject, v, nudge, rng)
    noise = largest_rounding(rough) + 4 * EPS * np.abs(y)
    stack = stackable(subject, y, noise, rng) if options.batch == "auto" else ()
    return Point(subject, y, v, gradients, noise, dict(zip(gradients, samples, strict=True)), nudge, stack, options)


def slope_noise(point: Point, position: int, *steps: float) -> Array:
    """Rounding in the output where differences of this step are taken; of several, where there is least.

    A kink within the larger step looks like rounding: not within the smaller.
    """
    rng, there = point.generator(position), np.full(point.y.shape, np.inf)
    for step in steps:
        there = np.fmin(there, step_noise(point.subject, position, step, point.stack, rng))
    return np.fmax(point.noise, np.where(np.isfinite(there), there, 0))


def complex_noise(point: Point, position: int) -> Array:
    """Rounding in the derivative of each output that a complex step gives."""
    u = signed(point.generator(position), point.subject.arrays[position].shape)

    def derivative(there: Subject, v: Array) -> list[Array]:
        del v
        tilted = there.cast(np.complex128).at(position, there.arrays[position] + COMPLEX_STEP * 1j * u)
        return [tilted.y().imag / COMPLEX_STEP]

    rng = point.generator(position)
    return largest_rounding(roughness(derivative, point.subject, point.v, point.nudge, rng)[0])
