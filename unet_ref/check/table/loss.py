"""Rows of the table of operations: losses."""

from __future__ import annotations

import numpy as np

from ..operation import Case, Operation
from .activation import draw_shape


def draw_mse_loss(rng: np.random.Generator) -> Case:
    """Two arrays of one shape, of any rank."""
    shape = draw_shape(rng)
    return Case({"x": rng.standard_normal(shape), "target": rng.standard_normal(shape)}, {})


def draw_binary_cross_entropy_with_logits(rng: np.random.Generator) -> Case:
    """Logits to both sides; targets from 0 to 1, soft ones and hard ones."""
    shape = draw_shape(rng)
    target = rng.random(shape) if rng.integers(2) else rng.integers(0, 2, shape).astype("float64")
    return Case({"x": 4 * rng.standard_normal(shape), "target": np.asarray(target)}, {})


def draw_cross_entropy(rng: np.random.Generator) -> Case:
    """Classes of samples, of sequences and of images, and of one sample without a batch."""
    shape = draw_shape(rng, least=1)
    classes = min(len(shape) - 1, 1)
    target = rng.integers(0, shape[classes], (*shape[:classes], *shape[classes + 1 :]))
    return Case({"x": 4 * rng.standard_normal(shape), "target": np.asarray(target)}, {})


LOSS = (
    Operation("mse_loss", ("x", "target"), draw_mse_loss, separable=False),
    Operation(
        "binary_cross_entropy_with_logits", ("x", "target"), draw_binary_cross_entropy_with_logits,
        arithmetic="transcendental", linear=("target",), separable=False,
    ),
    Operation("cross_entropy", ("x",), draw_cross_entropy, arithmetic="transcendental", separable=False),
)  # fmt: skip
