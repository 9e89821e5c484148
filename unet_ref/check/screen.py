"""The quick look at one argument: every coordinate by the technique that fits, in as few evaluations as will do.

affine        <v, f(x + u) - f(x - u)> / 2        no truncation; both sides must agree
central       the same at h and h/2, extrapolated (Richardson); their difference bounds the truncation
complex       Im <v, f(x + ihu)> / h              no truncation and no cancellation; differences watch for kinks
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..backend import Array
from .colouring import Coordinates, Directions, colour, random_direction, slabs
from .evaluate import chunks, outputs, quietly, spread
from .point import Point, complex_noise, slope_noise
from .rounding import EPS
from .slopes import COMPLEX_STEP, Measurement, Slopes, measure
from .steps import affine_step, choose_step, is_affine, takes_complex

DIRECTIONS = 32  # how many, for an argument with more coordinates than are tried one by one


class Screen(NamedTuple):
    """What the quick look gives for each coordinate (or direction).

    The ``slope`` that was measured and the one that the gradient says (``expected``); their ``error`` beside its
    ``bound``; ``size`` of the slope's terms; ``bent``: the two sides differ as they do at a kink; ``measurement``: how
    it was measured, for whoever looks again; ``method``: in words.
    """

    slope: Array
    expected: Array
    error: Array
    bound: Array
    size: Array
    bent: Array
    measurement: Measurement
    method: str


class NotAnalyticError(ValueError):
    """A complex step was asked for, and the function does not take it."""


def screen(point: Point, position: int) -> Screen:
    """Choose the technique, group the coordinates, measure."""
    method, rng, subject = point.options.method, point.generator(position), point.subject
    name = subject.names[position]
    if method != "complex" and (name in point.options.affine or is_affine(subject, position, rng)):
        found = _affine(point, position)
        if found is not None:
            return found
    step, error = choose_step(subject, position, point.y, point.noise, rng)
    if method != "differences":
        if takes_complex(subject, position, point.y, step, error, rng):
            return _complex(point, position, step)
        if method == "complex":
            raise NotAnalyticError(
                f"gradcheck: forward gives no derivative by a complex step in {name}: it refuses complex arrays, or is "
                f"not analytic (abs, conj and real parts are not)"
            )
    return _central(point, position, step)


def _affine(point: Point, position: int) -> Screen | None:
    """A difference with a step of 1; ``None`` if the two sides disagree, so that it is not affine after all."""
    step = affine_step(point.subject.arrays[position])
    measurement = _measurement(point, position, step, (step,))
    s = measure(measurement, point.options.executor)
    if np.any(~(s.gap <= 4 * s.rounding + 1e-9 * s.size)):
        return None
    bound = s.rounding + sum_rounding(point, s.size) + _gradient_noise(point, position, measurement)
    return _found(s, bound, np.zeros(len(bound), dtype=bool), measurement, "affine: step 1")


def _central(point: Point, position: int, step: float) -> Screen:
    measurement = _measurement(point, position, step, (step, -step))
    wide = measure(measurement, point.options.executor)
    fine = measure(replace(measurement, step=step / 2), point.options.executor)
    value = (4 * fine.value - wide.value) / 3
    bound = np.abs(fine.value - wide.value) + 2 * fine.rounding + _gradient_noise(point, position, measurement)
    bent = (fine.gap > 0.75 * wide.gap) & (fine.gap > 8 * fine.rounding) | _bent(fine)
    return _found(fine._replace(value=value), bound, bent, measurement, f"differences: step {step:.0e}")


def _complex(point: Point, position: int, step: float) -> Screen:
    plain = _measurement(point, position, step, (step, -step, COMPLEX_STEP * 1j))
    tilted = replace(plain, subject=point.subject.cast(np.complex128), noise=complex_noise(point, position))
    c = measure(tilted, point.options.executor)
    bound = c.rounding + sum_rounding(point, c.size) + _gradient_noise(point, position, plain)
    bent = np.zeros(len(bound), dtype=bool)
    if isinstance(plain.plan, Coordinates):  # a random direction crosses some kink at almost any step
        s = measure(plain, point.options.executor)
        bent = _bent(s) | ~(np.abs(c.value - s.value) + s.stray <= 1e-6 * s.size + 2 * s.rounding)
    return _found(c, bound, bent, tilted, "complex step")


def _bent(s: Slopes) -> Array:
    """Two sides that differ by more than a smooth function's would at a small step."""
    return np.asarray(~(s.gap <= 0.01 * s.size + 4 * s.rounding))


def _found(s: Slopes, bound: Array, bent: Array, measurement: Measurement, method: str) -> Screen:
    if isinstance(measurement.plan, Directions):
        method += ", random" if len(method) < 18 else ""
    return Screen(s.value, s.expected, np.abs(s.value - s.expected) + s.stray, bound, s.size, bent, measurement, method)


def sum_rounding(point: Point, size: Array | float) -> Array:
    """Rounding of the slopes' terms and of their sum over the outputs."""
    return np.asarray((64 + 8 * np.sqrt(point.y.size)) * EPS * size)


def _gradient_noise(point: Point, position: int, measurement: Measurement) -> Array:
    plan = measurement.plan
    if isinstance(plan, Coordinates):
        return point.gradient_noise(position).ravel()
    directions = (plan.probe(k).direction for k in range(len(plan)))
    return np.array([point.gradient_noise(position, direction) for direction in directions])


def _measurement(point: Point, position: int, step: float, moves: tuple[complex, ...]) -> Measurement:
    """How to measure at this step; ``moves``: by what to find out which outputs answer to which coordinates."""
    options, x = point.options, point.subject.arrays[position]
    seed = int(point.generator(position).integers(1 << 62))
    plan = Directions(x.shape, point.y.size, options.directions or DIRECTIONS, seed)
    noise, gradient = slope_noise(point, position, step), point.gradients[position]
    m = Measurement(point.subject, position, point.stack, point.v, point.y, noise, gradient, plan, step)
    if options.directions is not None or x.size > options.every:
        return m
    return replace(m, plan=group(m, moves, options.executor))


def group(m: Measurement, moves: tuple[complex, ...], executor: Executor | None) -> Coordinates:
    """Move each slice of the argument and see which outputs answer.

    Beside a kink one side may be flat, and a complex step sees what rounding swallows: so there are several ``moves``.
    """
    shape, seed = m.x.shape, m.plan.seed
    wanted = list(slabs(shape, m.y.size))
    parts = list(chunks(len(wanted), max(m.y.size, m.gradient.size), m.position in m.stack))
    tasks = [(m, wanted[part.start : part.stop], move) for part in parts for move in moves]
    changed: dict[tuple[int, int], Array] = {}
    for (_, some, _), answers in zip(tasks, spread(executor, _answers, tasks), strict=True):
        changed |= {slab: answer | changed.get(slab, False) for slab, answer in zip(some, answers, strict=True)}
    return colour(shape, m.y.size, changed, seed)


@quietly
def _answers(task: tuple[Measurement, list[tuple[int, int]], complex]) -> list[Array]:
    """Which outputs change when a slice moves by so much."""
    m, wanted, by = task
    direction = random_direction(m.x.shape, m.plan.seed)
    variants = []
    for axis, k in wanted:
        move = np.zeros(m.x.shape)
        slab = (slice(None),) * axis + (k,)
        move[slab] = direction[slab]
        variants.append(m.x + by * move)
    if np.iscomplexobj(by):
        return [y.imag.ravel() != 0 for y in outputs(m.subject.cast(np.complex128), m.position, variants, m.stack)]
    return [y.ravel() != m.y.ravel() for y in outputs(m.subject, m.position, variants, m.stack)]
