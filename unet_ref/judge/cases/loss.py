"""Designed cases of the losses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .design import Draft, Drafts, Fill

SHAPES = {
    "image": (2, 3, 4, 5),
    "16 numbers": (2, 8),
    "row": (7,),
    "one number": (),
    "two numbers": (2, 1),
    "column": (5, 1, 3),
}
UPSTREAM = np.array(-2.0)  # not 1, which hides that it was forgotten


def mse_loss() -> Iterator[Draft]:
    """Any shape; the target's gradient too."""
    for label, shape in SHAPES.items():
        fill = Fill("mse_loss", label)
        arrays = {"x": np.asarray(fill.whole(shape, 20)), "target": np.asarray(fill.whole(shape, 20)) / 2}
        yield Draft(label, arrays, {}, grad_output=UPSTREAM)
        if label == "image":
            yield from (Draft(f"{label}; {m}", arrays, {}, m, UPSTREAM) for m in ("channels last", "strided"))


def binary_cross_entropy_with_logits() -> Iterator[Draft]:
    """Soft and hard targets; logits that overflow a naive formula."""
    for label, shape in SHAPES.items():
        fill = Fill("bce", label)
        soft = np.asarray(fill.rng.uniform(0, 1, shape))
        arrays = {"x": np.asarray(fill.real(shape, 4.0)), "target": soft}
        yield Draft(label, arrays, {}, grad_output=UPSTREAM)
        hard = np.round(soft)
        yield Draft(f"{label}, targets 0 and 1", arrays | {"target": hard}, {}, grad_output=UPSTREAM)
        if label == "image":
            yield from (Draft(f"{label}; {m}", arrays, {}, m, UPSTREAM) for m in ("channels last", "strided"))
    x = np.array([[-1000.0, -90, -20, -15, 0], [0.0, 15, 20, 90, 1000]])
    target = np.array([[0.25, 1, 0, 0.5, 0], [1.0, 0.5, 1, 0, 0.75]])
    yield Draft("far out: nothing overflows", {"x": x, "target": target}, {}, grad_output=UPSTREAM)


def cross_entropy() -> Iterator[Draft]:
    """Classes of samples, sequences and images; logits that overflow a naive softmax; every integer type."""
    for label, shape, integer in [
        ("samples", (5, 3), "int64"),
        ("images", (2, 4, 3, 5), "int64"),
        ("sequences", (2, 5, 7), "int32"),
        ("one sample without a batch", (6,), "int64"),
        ("as many classes as samples", (4, 4), "int64"),
        ("as many classes as rows and columns", (2, 3, 3, 3), "int64"),
        ("one class", (3, 1), "int64"),
        ("300 classes, bytes", (3, 300), "uint8"),
    ]:
        fill = Fill("cross_entropy", label)
        classes = min(len(shape) - 1, 1)
        sizes = (*shape[:classes], *shape[classes + 1 :])
        target = np.asarray(fill.rng.integers(0, min(shape[classes], 256), sizes)).astype(integer)
        arrays = {"x": fill.real(shape, 3.0), "target": target}
        yield Draft(label, arrays, {}, grad_output=UPSTREAM)
        if label == "images":
            yield from (Draft(f"{label}; {m}", arrays, {}, m, UPSTREAM) for m in ("channels last", "strided"))
    x = np.array([[1000.0, -1000, 0], [-500.0, -501, -502], [90.0, 89, 0]])
    yield Draft("far out: nothing overflows", {"x": x, "target": np.array([1, 2, 0])}, {}, grad_output=UPSTREAM)


LOSS: dict[str, Drafts] = {
    "mse_loss": mse_loss,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "cross_entropy": cross_entropy,
}
