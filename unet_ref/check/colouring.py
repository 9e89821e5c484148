"""Which coordinates of an argument can be moved at once: those that no output depends on together.

    T[a,k] = the outputs that change when slice k along axis a of the argument moves        (one evaluation each)
    S[i]   = the intersection over a of T[a, i_a]: coordinate i = (i_1, i_2, ..) moves no output outside of S[i]

Two indices of an axis get different colours where their T meet. Coordinates of one colour on every axis then have
disjoint S: they are moved in one evaluation, and each output is counted for the one coordinate it can belong to
(Curtis, Powell and Reid 1974). A 3x3 convolution needs 9 colours for all pixels of a channel, a ReLU one for everything.

Nothing here is trusted. Each coordinate moves by a random amount of its own, the cotangent is random, and outputs outside
of every S must not move: then a wrong S makes the comparison fail, for all but a vanishing share of the random numbers,
and a coordinate that fails is examined alone.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..backend import Array
from .rounding import signed

LIMIT = 1 << 26  # elements of an axis' table T: an axis that would need more keeps its indices apart
COLOURS = 64  # an index that fits none of the first 64 colours of its axis gets one of its own


class Probe(NamedTuple):
    """A direction to move an argument in, and whose derivative each output then shows.

    ``owner[o]`` is the position in ``coordinates`` of the one that output ``o`` belongs to, -1 for none of them.
    ``coordinates`` is ``None`` for a direction that mixes them all.
    """

    direction: Array
    owner: Array
    coordinates: Array | None


@dataclass(frozen=True)
class Axis:
    """One axis of an argument: the indices of each colour, and for each colour the owner of each output."""

    classes: tuple[Array, ...]
    owners: tuple[Array, ...]


@dataclass(frozen=True)
class Coordinates:
    """Every coordinate of an argument of this ``shape``, in groups whose outputs are disjoint."""

    shape: tuple[int, ...]
    outputs: int
    axes: tuple[Axis, ...]
    seed: int

    def __len__(self) -> int:
        return int(np.prod([len(axis.classes) for axis in self.axes], dtype=int)) if np.prod(self.shape) else 0

    def probe(self, k: int) -> Probe:
        """Group ``k``: a colour on each axis."""
        colours = np.unravel_index(k, [len(axis.classes) for axis in self.axes])
        chosen = [axis.classes[c] for axis, c in zip(self.axes, colours, strict=True)]
        coordinates = np.ravel_multi_index(np.ix_(*chosen), self.shape).ravel() if chosen else np.zeros(1, dtype=int)
        owner = np.zeros(self.outputs, dtype=np.int64)
        for axis, c in zip(self.axes, colours, strict=True):
            own = axis.owners[c]
            owner = np.where((owner < 0) | (own < 0), -1, owner * len(axis.classes[c]) + own)
        direction = np.zeros(self.shape)
        direction.flat[coordinates] = random_direction(self.shape, self.seed).flat[coordinates]
        return Probe(direction, owner, coordinates)


@dataclass(frozen=True)
class Directions:
    """Random directions, in each of which all coordinates move."""

    shape: tuple[int, ...]
    outputs: int
    count: int
    seed: int

    def __len__(self) -> int:
        return self.count

    def probe(self, k: int) -> Probe:
        """Direction ``k``."""
        return Probe(random_direction(self.shape, self.seed + k), np.zeros(self.outputs, dtype=np.int64), None)


@functools.lru_cache(maxsize=4)
def random_direction(shape: tuple[int, ...], seed: int) -> Array:
    """Both signs, sizes from 0.5 to 1.5; the same in every process."""
    direction = signed(np.random.default_rng(seed), shape)
    direction.setflags(write=False)
    return direction


def slabs(shape: Sequence[int], outputs: int) -> Iterator[tuple[int, int]]:
    """The slices ``(axis, k)`` to move one by one; none where the output is one number, which everything shares."""
    for axis, size in enumerate(shape):
        if outputs > 1 and size > 1 and size * outputs <= LIMIT:
            yield from ((axis, k) for k in range(size))


def colour(shape: tuple[int, ...], outputs: int, changed: dict[tuple[int, int], Array], seed: int) -> Coordinates:
    """``changed[axis, k]``: which outputs moved with that slice."""
    axes = []
    for axis, size in enumerate(shape):
        if (axis, 0) in changed:
            axes.append(_colour_axis(np.stack([changed[axis, k] for k in range(size)])))
        else:
            apart = tuple(np.array([k]) for k in range(size))
            axes.append(Axis(apart, (np.zeros(outputs, dtype=np.int64),) * size))
    return Coordinates(shape, outputs, tuple(axes), seed)


def _colour_axis(T: Array) -> Axis:
    """Greedily: each index gets the first colour none of whose outputs it changes, or a new one."""
    bits = np.packbits(T, axis=1)
    taken = np.zeros((min(COLOURS, len(T)), bits.shape[1]), dtype=np.uint8)  # the outputs of each colour so far
    classes: list[list[int]] = []
    for k, row in enumerate(bits):
        free = np.flatnonzero(~(taken[: len(classes)] & row).any(axis=1))
        c = int(free[0]) if free.size else len(classes)
        if c == len(classes):
            classes.append([])
        classes[c].append(k)
        if c < len(taken):
            taken[c] |= row
    # at most one index of a class owns an output; argmax finds it
    owners = tuple(np.where(T[own].any(axis=0), T[own].argmax(axis=0), -1) for own in classes)
    return Axis(tuple(np.array(own) for own in classes), owners)
