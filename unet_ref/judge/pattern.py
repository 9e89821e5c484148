"""How errors lie: the pattern that a person would look for in a tensor of differences."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from ..backend import Array, quiet
from .mistake import Arguments
from .words import number

CLOSE = 1e-3  # relative: what counts as one factor, or as the same numbers, in the presence of rounding
PERIODS = {2: "second", 3: "third", 4: "fourth"}


def pattern(tensor: str, got: Array, expected: Array, wrong: Array, arguments: Arguments) -> tuple[str, ...]:
    """Sentences, the most telling first: what the wrong elements have in common, and where they are."""
    if not wrong.any() or got.shape != expected.shape:
        return ()
    with quiet():
        facts = [_values(got, expected, wrong, arguments), _rearranged(got, expected, wrong)]
        facts += _places(tensor, wrong, arguments)
    return tuple(fact for fact in facts if fact)


# --- values -------------------------------------------------------------------------------------------------------


def _values(got: Array, expected: Array, wrong: Array, arguments: Arguments) -> str:
    bad, good = got[wrong], expected[wrong]
    if np.isnan(bad).all():
        return "Every wrong element is NaN."
    if not np.isfinite(good).all():
        return "" if np.isfinite(good).any() else "Only where NaN or infinity belongs."
    if (bad == 0).all():
        return "Every wrong element is 0."
    if (good == 0).all():
        return "Only where 0 belongs."
    factor = constant_factor(got, expected, wrong)
    if factor is not None:
        return f"Every wrong element is {_named_factor(factor, arguments)} times what it should be."
    if len(bad) > 2 and _alike(bad - good, np.median(bad - good)):
        return f"Every wrong element is off by the same {number(float(np.median(bad - good)))}."
    return ""


def constant_factor(got: Array, expected: Array, wrong: Array, close: float = CLOSE) -> float | None:
    """The c with ``got == c * expected`` for all the wrong elements, if these are at least three."""
    bad, good = got[wrong].astype(np.float64), expected[wrong].astype(np.float64)
    if len(bad) < 3 or (good == 0).any() or len(np.unique(abs(good))) == 1:
        return None
    factors = bad / good
    factor = float(np.median(factors))
    same = np.isfinite(factors).all() and (abs(factors - factor) <= close * min(abs(factor), abs(factor - 1))).all()
    return factor if same and factor not in (0, 1) else None


def _named_factor(factor: float, arguments: Arguments) -> str:
    """The factor as a short fraction, and what has that size."""
    short = Fraction(factor).limit_denominator(4096)
    simple = 1 in (abs(short.numerator), short.denominator) or max(abs(short.numerator), short.denominator) < 64
    if not simple or abs(float(short) - factor) > CLOSE * min(abs(factor), abs(factor - 1)):
        return f"{factor:.9g}"
    meaning = ""
    if 1 in (abs(short.numerator), short.denominator):
        meaning = _meaning(max(abs(short.numerator), short.denominator), arguments)
    return f"{short}{meaning}"


def _meaning(number: int, arguments: Arguments) -> str:
    x = next(iter(arguments.arrays.values()))
    if number < 3 or isinstance(x, tuple | list):
        return ""
    sizes: dict[str, int] = {"elements of x": x.size}
    if x.ndim == 4:
        N, C, H, W = x.shape
        sizes |= {"samples": N, "channels": C, "pixels": H * W, "samples and pixels": N * H * W}
    if arguments.grad_output is not None and arguments.grad_output.ndim == 4:
        N, _, H, W = arguments.grad_output.shape
        sizes |= {"output pixels": H * W, "samples and output pixels": N * H * W}
    found = [name for name, size in sizes.items() if size == number]
    return f" (the number of {found[0]})" if found else ""


def _alike(values: Array, value: Any) -> bool:
    return bool((abs(values - value) <= CLOSE * abs(value)).all())


# --- order --------------------------------------------------------------------------------------------------------


def _rearranged(got: Array, expected: Array, wrong: Array) -> str:
    """Whether the right numbers stand in other places."""
    if wrong.sum() < 3:
        return ""
    distance = abs(got[wrong].astype(np.float64) - expected[wrong])
    room = CLOSE * float(
        np.max(distance, initial=0.0, where=np.isfinite(distance))
    )  # another order must explain the errors
    for name, other in _arrangements(expected):
        if other.shape == got.shape and _same(got, other, room):
            return name
    if _same(np.sort(got, axis=None), np.sort(expected, axis=None), room):
        return "The right numbers, in the wrong order."
    return ""


def _arrangements(expected: Array) -> Iterator[tuple[str, Array]]:
    axes = range(expected.ndim)
    for size in range(1, expected.ndim + 1):
        for flipped in itertools.combinations(axes, size):
            name = " and ".join(f"axis {axis}" for axis in flipped)
            yield f"The right numbers, turned round along {name}.", np.flip(expected, flipped)
    for a, b in itertools.combinations(axes, 2):
        swapped = expected.swapaxes(a, b)
        yield f"The right numbers, with axes {a} and {b} exchanged.", swapped
        yield f"The right numbers in the memory order of axes {a} and {b} exchanged.", swapped.reshape(expected.shape)
    for axis in axes:
        for by in (1, -1):
            direction = "on" if by == 1 else "back"
            yield f"The right numbers, one place further {direction} along axis {axis}.", np.roll(expected, by, axis)


def _same(a: Array, b: Array, room: float) -> bool:
    return bool(((a == b) | (abs(a - b) <= room) | (np.isnan(a) & np.isnan(b))).all())


# --- places -------------------------------------------------------------------------------------------------------


def _places(tensor: str, wrong: Array, arguments: Arguments) -> Iterator[str]:
    """On each axis, where the wrong elements are, if they are not everywhere."""
    if wrong.all():
        if wrong.size > 1:
            yield "Every element is wrong."
        return
    names = axis_names(tensor, wrong.ndim, arguments)
    if wrong.sum() == 1:
        return
    if wrong.ndim >= 2 and min(wrong.shape[-2:]) > 2 and _around(wrong):
        yield "Only at the border, inside nothing is wrong."
    for axis, name in enumerate(names):
        where = wrong.any(axis=tuple(other for other in range(wrong.ndim) if other != axis))
        if not where.all():
            groups = _groups(name, where, arguments)
            yield groups or f"Only {_indices(name, where)}."


def _around(wrong: Array) -> bool:
    """Whether all four sides are touched, and nothing else."""
    sides = (wrong[..., 0, :], wrong[..., -1, :], wrong[..., 0], wrong[..., -1])
    return all(side.any() for side in sides) and not wrong[..., 1:-1, 1:-1].any()


def _groups(name: str, where: Array, arguments: Arguments) -> str:
    """Whole groups of channels, if there are any."""
    G = arguments.options.get("num_groups", arguments.options.get("groups", 1))
    if "channel" not in name or G < 2 or len(where) % G or len(where) == G:
        return ""
    by_group = where.reshape(G, -1)
    if (by_group.any(axis=1) != by_group.all(axis=1)).any():
        return ""
    listed = ", ".join(str(g) for g in np.flatnonzero(by_group.all(axis=1)))
    return f"Only group{'' if len(listed) == 1 else 's'} {listed} of {G}."


def _indices(name: str, where: Array) -> str:
    """``row 3``, ``the last row``, ``every second row from row 1``, ``columns 4 to 6``, ``rows 0, 2 and 5``."""
    if name.startswith("axis"):
        return f"{_indices('place', where)} along {name}"
    indices, size = np.flatnonzero(where), len(where)
    first, last = int(indices[0]), int(indices[-1])
    if len(indices) == 1:
        return f"the last {name} ({first})" if first == size - 1 else f"{name} {first}"
    for period, ordinal in PERIODS.items():
        if len(indices) > 2 and list(indices) == list(range(first, size, period)) and first < period:
            return f"every {ordinal} {name}, from {name} {first}"
    if len(indices) == last - first + 1:
        return f"{name}s {first} to {last} of {size}"
    if len(indices) > 8:
        return f"{len(indices)} of {size} {name}s"
    return f"{name}s {', '.join(map(str, indices[:-1]))} and {last}"


def axis_names(tensor: str, rank: int, arguments: Arguments) -> list[str]:
    """What the axes of a tensor are called."""
    name = arguments.name
    if tensor == "weight" and rank == 4:
        outer = ["output channel", "input channel"]
        return [*(outer if name == "conv2d" else outer[::-1]), "kernel row", "kernel column"]
    if tensor == "weight" and rank == 2:
        return ["output", "input"]
    if rank == 1 and tensor not in ("output", "x"):
        return ["channel"]
    if name in ("linear", "mse_loss", "binary_cross_entropy_with_logits", "cross_entropy"):
        return [f"axis {axis}" for axis in range(rank)]
    images = {4: ["sample", "channel", "row", "column"], 3: ["channel", "row", "column"], 2: ["sample", "channel"]}
    if rank == 3 and name in ("batch_norm", "group_norm", "batch_norm_running_stats"):
        return ["sample", "channel", "position"]
    return images.get(rank, [f"axis {axis}" for axis in range(rank)])
