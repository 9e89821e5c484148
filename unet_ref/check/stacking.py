"""Whether samples can be stacked: one call of the function for many moved points."""

from __future__ import annotations

import itertools

import numpy as np

from ..backend import Array
from .evaluate import outputs
from .rounding import signed
from .subject import Subject


def stackable(subject: Subject, y: Array, noise: Array, rng: np.random.Generator) -> tuple[int, ...]:
    """The arguments that share the batch axis with the output: ``f`` of stacked samples is the stacked ``f``.

    Found by trying, with all the arguments as long as the output, then with fewer. Nothing but agreement counts.
    """
    if y.ndim == 0 or not y.size:
        return ()
    long = [k for k, a in enumerate(subject.arrays) if getattr(a, "ndim", 0) and len(a) == len(y)]
    for count in range(min(len(long), 4), 0, -1):
        for stack in itertools.combinations(long, count):
            position = next((k for k in stack if k in subject.varied), None)
            if position is not None and _stacks(subject, position, stack, y, noise, rng):
                return stack
    return ()


def _stacks(
    subject: Subject, position: int, stack: tuple[int, ...], y: Array, noise: Array, rng: np.random.Generator
) -> bool:  # fmt: skip
    x = subject.arrays[position]
    other = np.asarray(x * (1 + signed(rng, x.shape) / 8))
    try:
        stacked = outputs(subject, position, [x, other, x], stack)
        alone = [y, subject.at(position, other).y(), y]
    except Exception:  # noqa: BLE001 - whatever it does not like about the longer batch
        return False
    return all(
        a.shape == b.shape and bool((np.abs(a - b) <= 4 * noise + 1e-12 * np.abs(b)).all())
        for a, b in zip(stacked, alone, strict=True)
    )
