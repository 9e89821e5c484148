"""How far to move: 1 where the output is affine in the argument, else where truncation and rounding are least together.

For a direction u and a step h the error of ``(f(x + hu) - f(x - hu)) / 2h`` has two parts. Truncation falls with h^2: it
shows in how far the quotient is from those of smaller steps. Rounding grows with 1/h: it is measured
(``rounding.py``) and divided by h. No natural length of f is assumed, only found.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..backend import Array
from .rounding import EPS, signed
from .subject import Subject

RATIO = 8.0  # from one step of the ladder to the next
RUNGS = 24
GOOD = 1e-9  # relative error of a difference quotient that is good enough


def magnitude(array: Array) -> float:
    """The size of an argument's entries; 1 where there is nothing to go by."""
    largest = float(np.max(np.abs(array), initial=0.0))
    return largest if 0 < largest < np.inf else 1.0


def affine_step(array: Array) -> float:
    """The step for an affine argument: 1, or more for larger entries, so that no rounding of x + h enters."""
    return max(1.0, magnitude(array))


def is_affine(subject: Subject, position: int, rng: np.random.Generator) -> bool:
    """Whether the output is affine in an argument, to rounding, around three random points near and far."""
    x = subject.arrays[position]
    for reach in (0.0, 1.0, 7.0):
        p, u = x + reach * affine_step(x) * signed(rng, x.shape), affine_step(x) * signed(rng, x.shape)
        here, up, down, far = (subject.at(position, np.asarray(p + t * u)).y() for t in (0, 1, -1, 3))
        size = np.sum(np.abs(here)) + np.sum(np.abs(up)) + np.sum(np.abs(down)) + np.sum(np.abs(far))
        bent = np.sum(np.abs(up + down - 2 * here)) + np.sum(np.abs(far - here - 3 * (up - here)))
        if not bent <= 1000 * EPS * size:
            return False
    return True


def ladder(top: float) -> list[float]:
    """Steps from ``top`` down, powers of two apart so that ``x + h`` rounds alike."""
    return [float(2.0 ** np.floor(np.log2(top))) / RATIO**k for k in range(RUNGS)]


def choose_step(
    subject: Subject, position: int, y: Array, noise: Array, rng: np.random.Generator
) -> tuple[float, float]:  # fmt: skip
    """The step, and its estimated error along a random direction, summed over all outputs.

    The smallest step that is good enough, or else the best: smaller steps meet fewer kinks.
    """
    x = subject.arrays[position]
    u = signed(rng, x.shape)
    steps, quotients, rounding = ladder(max(1.0, magnitude(x))), [], []
    for h in steps:
        quotient = (subject.at(position, x + h * u).y() - subject.at(position, x - h * u).y()) / (2 * h)
        quotients.append(quotient.ravel())
        rounding.append(float(np.sum(noise + 8 * EPS * np.abs(y))) / h)
        if rounding[-1] > 1e-3 * np.sum(np.abs(quotient)):
            break
    errors = rung_errors(np.array(quotients), np.array(rounding))
    best = int(np.argmin(errors))
    good = np.flatnonzero(errors <= GOOD * np.sum(np.abs(quotients[best])))
    rung = int(good[-1]) if good.size else best
    return steps[rung], float(errors[rung])


def rung_errors(quotients: Array, rounding: Array) -> Array:
    """The estimated error of each row of ``quotients (rungs, outputs)``, whose steps go from large to small.

    The truncation of a row is at most what it differs by from the next, and the rounding of both. It is also what it
    disagrees by with any other row of a smaller step beyond that row's rounding (Lepski 1990): a large step at which f
    happens to be flat does not pass for a good one.
    """
    errors = np.full(len(rounding), np.inf)
    for k in range(len(rounding) - 1):
        distance = 2 * np.sum(np.abs(quotients[k + 1 :] - quotients[k]), axis=1)  # twice: 64/63 would be the least
        truncation = max(distance[0] + rounding[k + 1], *(distance - 2 * rounding[k + 1 :]))
        errors[k] = rounding[k] + truncation
    return np.where(np.isfinite(errors), errors, np.inf)


def takes_complex(
    subject: Subject, position: int, y: Array, step: float, error: float, rng: np.random.Generator
) -> bool:  # fmt: skip
    """Whether a complex step gives what differences give, along a random direction: then ``forward`` is analytic there.

    ``error``: that of the differences. Outputs with a kink within the step may differ, nearly all others may not.
    """
    u = signed(rng, subject.arrays[position].shape)
    x = subject.arrays[position]
    try:
        tilted = complex_output(subject, position, x + 2.0**-100 * 1j * u)
    except Exception:  # noqa: BLE001 - whatever it does not like about complex numbers
        return False
    if tilted.dtype.kind != "c" or not np.allclose(tilted.real, y, rtol=1e-6):
        return False
    quotient = (subject.at(position, x + step * u).y() - subject.at(position, x - step * u).y()) / (2 * step)
    slope = tilted.imag * 2.0**100
    size = np.abs(slope) + np.abs(quotient)
    return float(np.sum(np.abs(slope - quotient))) <= 0.05 * float(np.sum(size)) + 10 * error


def complex_output(subject: Subject, position: int, array: Array) -> Any:
    """``forward`` with every argument complex; what NumPy would warn about (a part thrown away) is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        return subject.cast(np.complex128).at(position, array).y()
