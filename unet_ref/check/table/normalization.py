"""Rows of the table of operations: normalizations and FiLM."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from ..operation import Case, Operation


def draw_batch_norm(rng: np.random.Generator) -> Case:
    """Ranks 2 to 5, both modes, with and without weight, bias and (in training) running statistics."""
    training = bool(rng.integers(2))
    N, C, *size = _sizes(rng, least=2)
    arrays = {
        "x": _spread(rng, (N, C, *size)),
        "weight": _optional(rng, rng.standard_normal(C)),
        "bias": _optional(rng, rng.standard_normal(C)),
        "running_mean": rng.standard_normal(C),
        "running_var": rng.uniform(0.5, 2.0, C),
    }
    if training and rng.integers(2):
        arrays["running_mean"] = arrays["running_var"] = None
    return Case(arrays, {"training": training, "eps": _eps(rng)})


def draw_batch_norm_exact(rng: np.random.Generator) -> Case:
    """Rationals with a rational root of ``var + eps`` in every channel, in either mode."""
    arrays, options = draw_batch_norm(rng)
    N, C, *size = arrays["x"].shape
    channels, root, eps = _equal_variances(rng, (C, N * math.prod(size)))
    exact = {name: array if array is None else _rationals(rng, array.shape) for name, array in arrays.items()}
    exact["x"] = np.moveaxis(channels.reshape(C, N, *size), 0, 1)
    if not options["training"]:
        exact["running_var"] = (root + abs(_rationals(rng, (C,)))) ** 2 - eps
    return Case(exact, options | {"eps": eps})


def draw_batch_norm_running_stats(rng: np.random.Generator) -> Case:
    """Ranks 2 to 5, any momentum."""
    N, C, *size = _sizes(rng, least=2)
    arrays = {
        "x": _spread(rng, (N, C, *size)),
        "running_mean": rng.standard_normal(C),
        "running_var": rng.uniform(0.5, 2.0, C),
    }
    return Case(arrays, {"momentum": [0.1, 0.0, 1.0, float(rng.uniform())][int(rng.integers(4))]})


def draw_group_norm(rng: np.random.Generator) -> Case:
    """Ranks 2 to 5, one group, several, and as many as channels."""
    groups, D = (int(v) for v in rng.integers(1, 4, 2))
    N, _, *size = _sizes(rng, least=1 if D > 1 else 2)
    if D * math.prod(size) == 1:
        D = 2  # a group of one value is 0 whatever it holds
    arrays = {
        "x": _spread(rng, (N, groups * D, *size)),
        "weight": _optional(rng, rng.standard_normal(groups * D)),
        "bias": _optional(rng, rng.standard_normal(groups * D)),
    }
    return Case(arrays, {"num_groups": groups, "eps": _eps(rng)})


def draw_group_norm_exact(rng: np.random.Generator) -> Case:
    """Rationals with a rational root of ``var + eps`` in every group."""
    arrays, options = draw_group_norm(rng)
    shape, groups = arrays["x"].shape, options["num_groups"]
    rows, _, eps = _equal_variances(rng, (shape[0] * groups, math.prod(shape[1:]) // groups))
    exact = {name: array if array is None else _rationals(rng, array.shape) for name, array in arrays.items()}
    return Case(exact | {"x": rows.reshape(shape)}, options | {"eps": eps})


def draw_film(rng: np.random.Generator) -> Case:
    """With and without a batch, none to three axes of pixels, the usual offsets and an odd one."""
    N, C, *size = _sizes(rng, least=1)
    lead = (N, C) if rng.integers(3) else (C,)
    arrays = {
        "x": rng.standard_normal((*lead, *size)),
        "gamma": rng.standard_normal(lead),
        "beta": rng.standard_normal(lead),
    }
    return Case(arrays, {"offset": [1, 0, 0.75][int(rng.integers(3))]})


def _sizes(rng: np.random.Generator, least: int) -> list[int]:
    """``(N, C, ...)`` with at least ``least`` samples, uneven."""
    rank = int(rng.integers(2, 6))
    sizes = [int(v) for v in rng.integers(1, 4, rank)]
    return [max(least, sizes[0]), *sizes[1:]]


def _spread(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Every channel with a mean and a spread of its own."""
    channel = (1, shape[1], *(1 for _ in shape[2:]))
    return rng.normal(0, 2, channel) + rng.uniform(0.5, 2, channel) * rng.standard_normal(shape)


def _optional(rng: np.random.Generator, array: Any) -> Any:
    return array if rng.integers(4) else None


def _eps(rng: np.random.Generator) -> float:
    """From the default to one that nobody can overlook."""
    return [1e-5, 1e-3, 0.5][int(rng.integers(3))]


def _rationals(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    numerators = rng.integers(1, 20, shape) * rng.choice([-1, 1], shape)
    fractions = np.frompyfunc(lambda p, q: Fraction(int(p), int(q)), 2, 1)(numerators, rng.choice([1, 2, 3], shape))
    return np.asarray(fractions, dtype=object)


def _equal_variances(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Any, Fraction, Fraction]:
    """Rows of rationals, a root, and the eps > 0 that makes ``variance + eps`` the root's square in every row.

    Every row holds the same numbers, in its own order, with its own sign and shift: the variance stays.
    """
    rows, M = shape
    values = _rationals(rng, (M,))
    mean = sum(values) / M
    variance = sum((value - mean) ** 2 for value in values) / M
    root = Fraction(math.isqrt(int(9 * variance)) + 1, 3)  # the next third above the root of the variance
    table = np.stack([rng.permutation(values) for _ in range(rows)])
    return table * rng.choice([-1, 1], (rows, 1)) + _rationals(rng, (rows, 1)), root, root * root - variance


_AFFINE = ("weight", "bias")

NORMALIZATION = (
    Operation(
        "batch_norm", ("x", *_AFFINE), draw_batch_norm, "root", draw_batch_norm_exact, linear=_AFFINE, separable=False
    ),
    Operation("batch_norm_running_stats", (), draw_batch_norm_running_stats, separable=False),
    Operation("group_norm", ("x", *_AFFINE), draw_group_norm, "root", draw_group_norm_exact, linear=_AFFINE),
    # not separable: sample n needs gamma[n] and beta[n] too
    Operation("film", ("x", "gamma", "beta"), draw_film, linear=("x", "gamma", "beta"), separable=False),
)
