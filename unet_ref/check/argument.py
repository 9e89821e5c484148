"""The gradient of one argument: all coordinates quickly, and then alone every one that looks wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..backend import Array
from .colouring import Coordinates
from .lone import complex_slope, examine
from .point import Point, slope_noise
from .report import BLIND, FAILS, HOLDS, KINK, Row
from .screen import NotAnalyticError, Screen, screen, sum_rounding
from .slopes import Measurement
from .steps import magnitude

RELATIVE = 5e-4  # a mistake of this size must be seen: where the bound is larger the check is blind
FLOOR = 1e-2  # of the argument's largest slope: the size below which a slope counts as small
NOTHING = 1e-7  # of output per input: slopes that are all smaller are measured by that (batch norm of two values)
LISTED = 4  # coordinates that a row names
ENOUGH = 8  # failures that are looked at one by one; one would do, a few show the pattern


def check_argument(point: Point, position: int) -> list[Row]:
    """The rows of one argument: coordinates that neither hold nor fail come in rows of their own."""
    name, x = point.subject.names[position], point.subject.arrays[position]
    try:
        found = screen(point, position)
    except NotAnalyticError as error:
        return [Row(name, "complex step", 0, None, None, FAILS, str(error))]
    scale = _scale(point, position, found)
    verdict = np.where(found.error <= found.bound, HOLDS, FAILS)
    verdict = np.where((verdict == HOLDS) & _is_blind(found, scale), BLIND, verdict)
    if isinstance(found.measurement.plan, Coordinates):
        _look_again(point, position, found, verdict, scale)
        labels = [f"{name}{list(map(int, index))}" if index else name for index in np.ndindex(x.shape)]
    else:
        verdict = np.where(found.bent & (verdict == FAILS), KINK, verdict)
        labels = [f"{name} along direction {k}" for k in range(len(verdict))]
    return list(_rows(name, labels, found, verdict, scale))


def _scale(point: Point, position: int, found: Screen) -> float:
    """What errors are measured by: the argument's largest slope."""
    per_input = float(np.max(np.abs(point.v * point.y), initial=0.0)) / max(
        1.0, magnitude(point.subject.arrays[position])
    )
    return max(float(np.max(found.size, initial=0.0)), NOTHING * per_input) or 1.0


def _is_blind(found: Screen, scale: float) -> Array:
    """Whether a coordinate's bound would hide a mistake of 0.05 %."""
    return np.asarray(found.bound > RELATIVE * np.maximum(found.size, FLOOR * scale))


def _look_again(point: Point, position: int, found: Screen, verdict: Array, scale: float) -> None:
    """Alone, at steps of all sizes, each coordinate that the quick look did not pass; what is found goes in its place."""
    doubtful = np.flatnonzero((verdict != HOLDS) | found.bent)
    if not doubtful.size:
        return
    step = found.measurement.step
    noise = slope_noise(point, position, step, step / 64, step / 4096)
    gradient_noise = point.gradient_noise(position).ravel()
    failures = 0
    for index in doubtful[np.argsort(-_ratio(found)[doubtful], kind="stable")]:
        if failures == ENOUGH:
            break
        gradient = found.expected[index]
        slope, bound, size, low, high = _alone(point, found.measurement, int(index), noise, gradient_noise[index])
        found.slope[index], found.bound[index], found.size[index] = slope, bound, size
        found.error[index] = max(low - gradient, gradient - high, 0.0)
        if found.error[index] <= bound:
            verdict[index] = KINK if low < high else HOLDS
        else:
            verdict[index] = FAILS
            failures += 1
    verdict[(verdict == HOLDS) & _is_blind(found, scale)] = BLIND


def _alone(point: Point, m: Measurement, index: int, noise: Array, gradient_noise: float) -> tuple[float, ...]:
    """Slope, bound, size, and the interval that the gradient may lie in: one number where there is a derivative."""
    lone = examine(point.subject, m.position, index, m.stack, m.v, m.y, noise)
    if lone.kink:
        return lone.slope, lone.bound, lone.size, lone.low, lone.high
    slope, bound = lone.slope, lone.bound
    if m.is_complex:
        stepped, rounding = complex_slope(m, index)
        if abs(stepped - slope) <= 8 * bound:  # else forward is not analytic here, and the differences judge
            slope, bound = stepped, rounding + float(sum_rounding(point, lone.size))
    return slope, bound + gradient_noise, lone.size, slope, slope


def _ratio(found: Screen) -> Array:
    """Error over bound; what is no number is worst."""
    return np.nan_to_num(found.error / np.maximum(found.bound, 1e-300), nan=np.inf)


def _rows(name: str, labels: list[str], found: Screen, verdict: Array, scale: float) -> Iterator[Row]:
    """One row for what was decided, and one each for the coordinates at a kink and for those that cannot be decided."""
    ratio = _ratio(found)

    def row(which: Array, kind: str) -> Row:
        worst = which[np.argmax(ratio[which])]
        error, bound = float(found.error[worst] / scale), float(found.bound[worst] / scale)
        return Row(
            name, found.method, len(which), error, bound, kind, _detail(kind, labels, which, int(worst), found, scale)
        )

    decided, failed = np.flatnonzero((verdict == HOLDS) | (verdict == FAILS)), np.flatnonzero(verdict == FAILS)
    if failed.size:
        yield replace(row(failed, FAILS), elements=len(decided))
    elif decided.size:
        yield row(decided, HOLDS)
    else:
        yield Row(
            name,
            found.method,
            0,
            None,
            None,
            BLIND if verdict.size else HOLDS,
            "nothing could be decided" * bool(verdict.size),
        )
    for kind in (KINK, BLIND):
        which = np.flatnonzero(verdict == kind)
        if which.size:
            yield row(which, kind)


def _detail(kind: str, labels: list[str], which: Array, worst: int, found: Screen, scale: float) -> str:
    if kind == HOLDS:
        nothing = bool(0 < np.max(found.size) < scale)
        return f"slopes are next to nothing here: error and bound are relative to {scale:.0e}" * nothing
    if kind == FAILS:
        more = f" ({len(which):,} fail)" if len(which) > 1 else ""
        gradient, slope = found.expected[worst], found.slope[worst]
        return f"{labels[worst]}: gradient {gradient:.6g}, slope {slope:.6g}, off by {gradient - slope:.2g}{more}"
    listed = ", ".join(labels[k] for k in which[:LISTED]) + (" ..." if len(which) > LISTED else "")
    if kind == KINK:
        return f"kink at {listed}: no derivative there, and the gradient lies between the slopes to both sides"
    return f"rounding in forward or backward hides a mistake of 0.05 % at {listed}"
