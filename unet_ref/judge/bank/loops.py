"""Loops that stop one short, and indices that lack a part or count in another order, in any operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..mistake import Arguments, Base, Mistake, Results, mistake
from .memory import channels_last
from .scope import DIFFERENTIABLE, IMAGES, MANY
from .tools import batched, channel_axis, each_gradient, each_output, without

Change = Callable[[Arguments, Any], Any]  # of one array; None where it cannot be


def _both(
    what: str, explanation: str, mend: str, change: Change, seen: tuple[str, ...] = (), outputs: tuple[str, ...] = IMAGES
) -> tuple[Mistake, Mistake]:  # fmt: skip
    """The same mistake in the output, and in the gradient of the first argument."""

    def changed(arguments: Arguments) -> Callable[[Any], Any]:
        return lambda array: array if (new := change(arguments, array)) is None else new

    def in_output(arguments: Arguments, base: Base) -> Results:
        return each_output(base(arguments), changed(arguments))

    def in_gradient(arguments: Arguments, base: Base) -> Results:
        return each_gradient(base(arguments), changed(arguments), next(iter(arguments.arrays)))

    places = ("output", "gradient of x")
    in_output.__doc__, in_gradient.__doc__ = (explanation.format(place) for place in places)
    name, other = (f"{what} of the {place}" for place in places)
    of_output = mistake(*outputs, mend=mend, affects=("output",), seen=seen, name=name)(in_output)
    of_gradient = mistake(*DIFFERENTIABLE, mend=mend, affects=("x", "arrays"), seen=seen, name=other)(in_gradient)
    return of_output, of_gradient


def _last(axis: int) -> Change:
    def change(arguments: Arguments, array: Any) -> Any:
        return without(axis, -1)(array) if array.ndim >= 3 and array.shape[axis] > 1 else None

    return change


def _last_channel(arguments: Arguments, array: Any) -> Any:
    axis = channel_axis(arguments, array.ndim)
    return without(axis, -1)(array) if axis is not None and array.shape[axis] > 1 else None


def _samples(arguments: Arguments, array: Any) -> bool:
    """Whether the array has several samples along its first axis."""
    return batched(arguments) and array.ndim >= 2 and len(array) > 1


def _last_sample(arguments: Arguments, array: Any) -> Any:
    return without(0, -1)(array) if _samples(arguments, array) else None


def _first_for_all(arguments: Arguments, array: Any) -> Any:
    return np.broadcast_to(array[:1], array.shape).copy() if _samples(arguments, array) else None


def _columns_first(arguments: Arguments, array: Any) -> Any:
    return array.swapaxes(-1, -2).reshape(array.shape) if array.ndim >= 3 else None


def _written_channels_last(arguments: Arguments, array: Any) -> Any:
    return channels_last(array) if array.ndim in (3, 4) else None


LEFT_OUT: tuple[Mistake, ...] = (
    *_both("last row", "The last row of the {} is zero: a loop stops one short.",
          "Let the loop over the rows run to the last one; mind the remainder of stride and tile.", _last(-2)),
    *_both("last column", "The last column of the {} is zero: a loop stops one short.",
          "Let the loop over the columns run to the last one; mind the remainder of stride and tile.", _last(-1)),
    *_both("last channel", "The last channel of the {} is zero: a loop stops one short.",
          "Let the loop over the channels run to the last one; mind the remainder of the vector's width.",
          _last_channel, ("pytorch#140913",), MANY),
    *_both("last sample", "The last sample of the {} is zero: a loop stops one short.",
          "Let the loop over the batch run to the last sample.", _last_sample),
    *_both("first sample for all", "All samples of the {} are those of the first one: the batch is left out of an index.",
          "Add n times the size of a sample to the index.", _first_for_all,
          ("tensorflow#22025",)),
    *_both("columns before rows", "The {} is written column by column where row by row is asked for.",
          "The column is the fastest index in memory: i * W + j.", _columns_first),
    *_both("channels written last", "The {} is written in the order (N, H, W, C) where (N, C, H, W) is asked for.",
          "Give channels-last memory the strides that go with it, or copy it into row-major order.",
          _written_channels_last),
)  # fmt: skip
