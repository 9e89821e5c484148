"""Evaluate a function at many moved points: stacked along the batch axis where it allows that, in chunks, on any executor.

The chunks depend on the problem alone, so that the bits are the same with any executor or none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import TypeVar

import numpy as np

from ..backend import Array, quiet
from .subject import Subject

T = TypeVar("T")
R = TypeVar("R")

CHUNK_ELEMENTS = 1 << 18  # what one stacked evaluation holds of input or output, 2 MB in float64: it stays in the cache
CHUNKS = 32  # a loop of single evaluations is cut into so many pieces, to be shared out


def spread(executor: Executor | None, function: Callable[[T], R], tasks: Iterable[T]) -> list[R]:
    """``[function(task) for task in tasks]``, on the executor where there is one; results in the order of the tasks."""
    if executor is None:
        return [function(task) for task in tasks]
    futures = [executor.submit(function, task) for task in tasks]
    return [future.result() for future in futures]


def outputs(subject: Subject, position: int, variants: Sequence[Array], stack: tuple[int, ...]) -> list[Array]:
    """``forward`` with each of the variants of one argument; in one call, where that argument can be ``stack``ed."""
    if position not in stack or len(variants) < 2:
        return [subject.at(position, variant).y() for variant in variants]
    stacked = subject
    for k in stack:
        pieces = variants if k == position else [subject.arrays[k]] * len(variants)
        stacked = stacked.at(k, np.concatenate(pieces))
    return np.split(stacked.y(), len(variants))


def chunks(count: int, size: int, stacked: bool) -> Iterator[range]:
    """``range(count)`` in pieces: as many as one stacked evaluation should hold, or a share of a loop."""
    step = max(1, CHUNK_ELEMENTS // max(1, size)) if stacked else -(-count // CHUNKS)
    for start in range(0, count, max(1, step)):
        yield range(start, min(start + step, count))


def quietly(function: Callable[[T], R]) -> Callable[[T], R]:
    """Infinities and NaN of far away points are looked at, not warned about; said in each thread, as NumPy wants it."""

    @functools.wraps(function)
    def quiet_function(task: T) -> R:
        with quiet():
            return function(task)

    return quiet_function
