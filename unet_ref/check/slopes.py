"""Slopes by moving inputs: differences to both sides and complex steps, for all coordinates of an argument.

For a probe with direction u, step h and cotangent v, each output o of a coordinate i adds

    differences   v[o] * (f(x + hu)[o] - f(x - hu)[o]) / 2hu[i]        complex step   v[o] * Im f(x + ihu)[o] / hu[i]

This is what a worker of an executor does; everything here pickles.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..backend import Array
from .colouring import Coordinates, Directions, Probe
from .evaluate import chunks, outputs, quietly, spread
from .rounding import EPS
from .subject import Subject

COMPLEX_STEP = 2.0**-100  # its square is nothing beside 1, and no subtraction loses it


class Slopes(NamedTuple):
    """For each coordinate (or direction): the slope of ``<v, f>`` along it, and what is known about its quality.

    Attributes
    ----------
        value: by the difference to both sides, or the complex step.
        expected: the same from the gradient under test.
        gap: ``sum of |v| * |forward difference - backward difference|``: vanishes with h, but not at a kink.
        size: ``sum of |v| * |slope|`` over the outputs: what the sum is made of before its terms cancel.
        rounding: what rounding in ``f`` can do to the value.
        stray: what moved outside of the outputs that the coordinates were thought to have.
    """

    value: Array
    expected: Array
    gap: Array
    size: Array
    rounding: Array
    stray: Array


@dataclass(frozen=True)
class Measurement:
    """Everything that a worker needs to measure the slopes of one argument."""

    subject: Subject  # in float64, or in complex128 for the complex step
    position: int
    stack: tuple[int, ...]
    v: Array
    y: Array
    noise: Array
    gradient: Array
    plan: Coordinates | Directions
    step: float
    part: range = range(0)

    @property
    def is_complex(self) -> bool:
        """Whether this is a complex step."""
        return bool(self.subject.arrays[self.position].dtype.kind == "c")

    @property
    def x(self) -> Array:
        """The argument at the point itself."""
        return self.subject.arrays[self.position].real


def measure(whole: Measurement, executor: Executor | None) -> Slopes:
    """The slopes of the whole plan, in the order of the coordinates (or directions)."""
    size = max(whole.y.size, whole.gradient.size)
    parts = chunks(len(whole.plan), size, whole.position in whole.stack)
    found = spread(executor, measure_part, [replace(whole, part=part) for part in parts])
    order = np.argsort(np.concatenate([[], *(coordinates for coordinates, _ in found)]), kind="stable")
    columns = zip(*(slopes for _, slopes in found), strict=True) if found else [[]] * len(Slopes._fields)
    return Slopes(*(np.concatenate([[], *column])[order] for column in columns))


@quietly
def measure_part(task: Measurement) -> tuple[Array, Slopes]:
    """The coordinates (or the numbers of the directions) of one part of the plan, and their slopes."""
    probes = [task.plan.probe(k) for k in task.part]
    if task.is_complex:
        variants = [task.x + COMPLEX_STEP * 1j * probe.direction for probe in probes]
        ups = outputs(task.subject, task.position, variants, task.stack)
        downs: list[Array | None] = [None] * len(ups)
    else:
        variants = [task.x + h * probe.direction for probe in probes for h in (task.step, -task.step)]
        ys = outputs(task.subject, task.position, variants, task.stack)
        ups, downs = ys[::2], [*ys[1::2]]
    found = [_slopes(task, *moved) for moved in zip(probes, ups, downs, strict=True)]
    which = [[k] if p.coordinates is None else p.coordinates for k, p in zip(task.part, probes, strict=True)]
    return np.concatenate(which), Slopes(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _slopes(task: Measurement, probe: Probe, y_up: Array, y_down: Array | None) -> Slopes:
    """One probe: add up, for each coordinate, the outputs that belong to it."""
    count = 1 if probe.coordinates is None else len(probe.coordinates)
    inside = probe.owner >= 0
    owner = probe.owner[inside]
    v, noise, y = task.v.ravel(), task.noise.ravel(), task.y.ravel()

    if y_down is None:  # complex step
        up = down = _steps(probe, probe.direction)
        rise = fall = y_up.imag.ravel() / COMPLEX_STEP
        rough = noise
        centre = probe.direction
    else:
        x = task.x
        x_up, x_down = x + task.step * probe.direction, x - task.step * probe.direction
        up, down = _steps(probe, x_up - x, task.step), _steps(probe, x - x_down, task.step)
        rise, fall = y_up.ravel() - y, y - y_down.ravel()
        rough = noise + 8 * EPS * (np.abs(y_up).ravel() + np.abs(y_down).ravel())
        centre = (x_up - x_down) / (2 * task.step)

    def total(terms: Array) -> Array:
        return np.bincount(owner, weights=(np.abs(v) * terms)[inside], minlength=count)

    slope_up, slope_down = rise / _each(up, probe), fall / _each(down, probe)
    value = np.bincount(owner, weights=(v * (rise + fall))[inside], minlength=count) / (up + down)
    excess = np.maximum(np.abs(v) * (np.maximum(np.abs(rise), np.abs(fall)) - rough), 0)
    if probe.coordinates is None:
        expected = np.array([np.sum(centre * task.gradient)])
    else:
        expected = task.gradient.ravel()[probe.coordinates]
    return Slopes(
        value,
        expected,
        gap=total(np.abs(slope_up - slope_down)),
        size=total((np.abs(slope_up) + np.abs(slope_down)) / 2),
        rounding=total(rough) / np.abs(up),
        stray=np.sum(excess[~inside]) / np.abs(up),
    )


def _steps(probe: Probe, moves: Array, step: float = 1.0) -> Array:
    """How far each coordinate really moved, after rounding; a direction moves by the step."""
    return np.array([step]) if probe.coordinates is None else moves.ravel()[probe.coordinates]


def _each(steps: Array, probe: Probe) -> Array:
    """The step of each output's owner; of any, where it has none."""
    return steps[np.maximum(probe.owner, 0)]
