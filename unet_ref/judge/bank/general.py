"""Mistakes that any operation may have: parts left out, gradients not summed, wrong factors, memory misread."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ...check.table import OPERATIONS
from ..mistake import Arguments, Base, Mistake, Results, mistake
from .memory import channels_first, channels_last, misread
from .tools import (
    batched,
    channel_axis,
    each_gradient,
    each_output,
    first_array,
    number,
    regraded,
    reread,
    times,
    without,
    zero,
)

ALL = tuple(OPERATIONS)
DIFFERENTIABLE = tuple(name for name, row in OPERATIONS.items() if row.backward is not None)
LOSSES = ("mse_loss", "binary_cross_entropy_with_logits", "cross_entropy")
IMAGES = tuple(name for name in ALL if name not in (*LOSSES, "batch_norm_running_stats"))
MANY = tuple(name for name in ALL if name not in LOSSES)  # have more than one number in their output
PARAMETRIC = ("conv2d", "conv_transpose2d", "linear", "batch_norm", "group_norm")

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


# --- a factor, or an index, that one cannot know ---------------------------------------------------------------------


def _beyond(array: Any, start: int) -> Any:
    """Zero from a position on, counted in memory's order."""
    row = array.copy().reshape(-1)
    row[start:] = 0
    return row.reshape(array.shape)


def _written(array: Any) -> int:
    """How many elements come before the zeros at the end."""
    (places,) = np.nonzero(np.asarray(array).reshape(-1))
    return int(places[-1]) + 1 if len(places) else 0


def _fit_output_beyond(arguments: Arguments, base: Base, got: Results) -> Results:
    return each_output(base(arguments), lambda array: _beyond(array, _written(got.output)))


@mistake(
    *IMAGES, affects=("output",), fit=_fit_output_beyond,
    mend="Count elements in 64 bits, and let one thread do several where the grid has a limit (65,535 blocks).",
    seen=("tensorflow#9870", "pytorch#117011", "pytorch#141831", "pytorch#59515", "MIOpen#1109", "pytorch#163539"),
)  # fmt: skip
def output_ends_early(arguments: Arguments, base: Base) -> Results:
    """The output is zero from some element on: a batch, a grid or an index beyond its limit is ignored."""
    return each_output(base(arguments), lambda array: _beyond(array, -(-array.size // 2)))


def _fit_gradient_beyond(arguments: Arguments, base: Base, got: Results) -> Results:
    """The arrays of ``got``, one by one, say how far each was written."""
    return _beside(base(arguments), got, lambda right, found: _beyond(right, _written(found)))


def _beside(right: Results, got: Results, change: Callable[[Any, Any], Any]) -> Results:
    """Every gradient changed by what ``got`` has in its place, where that has its shape."""

    def each(right: Any, found: Any) -> Any:
        if isinstance(right, tuple):
            return tuple(map(each, right, found if isinstance(found, tuple) else (None,) * len(right)))
        return change(right, found) if found is not None and np.shape(found) == right.shape else right

    return right._replace(grads={name: each(grad, got.grads.get(name)) for name, grad in right.grads.items()})


@mistake(
    *DIFFERENTIABLE, affects=("grads",), fit=_fit_gradient_beyond,
    mend="Count elements in 64 bits, and let one thread do several where the grid has a limit (65,535 blocks).",
    seen=("pytorch#96225", "MIOpen#1109"),
)  # fmt: skip
def gradient_ends_early(arguments: Arguments, base: Base) -> Results:
    """A gradient is zero from some element on: a batch, a grid or an index beyond its limit is ignored."""
    name = next(iter(arguments.arrays))
    return each_gradient(base(arguments), lambda array: _beyond(array, -(-array.size // 2)), name)


def _factor(right: Any, got: Any) -> Any:
    """The number that ``right`` has to be multiplied with to come nearest to ``got``."""
    power = (right * right).sum()
    return (right * got).sum() / power if power else 1


def _fit_output_factor(arguments: Arguments, base: Base, got: Results) -> Results | None:
    right = base(arguments)
    if np.shape(got.output) != right.output.shape:
        return None
    factor = _factor(right.output, got.output)
    return each_gradient(right._replace(output=np.asarray(right.output * factor)), lambda g: g * factor)


@mistake(
    *IMAGES, *LOSSES, mend="Look for a scale, a mean or a sum that is taken once too often.", fit=_fit_output_factor
)
def output_off_by_a_factor(arguments: Arguments, base: Base) -> Results:
    """The output is the right one times a constant, and the gradients follow."""
    results = each_output(base(arguments), times(Fraction(5, 7)))
    return each_gradient(results, times(Fraction(5, 7)))


def _fit_gradient_factor(arguments: Arguments, base: Base, got: Results) -> Results:
    return _beside(base(arguments), got, lambda right, found: np.asarray(right * _factor(right, found)))


@mistake(
    *DIFFERENTIABLE, mend="Look for a scale, a mean or a sum that is taken once too often.", affects=("grads",),
    fit=_fit_gradient_factor,
)  # fmt: skip
def gradient_off_by_a_factor(arguments: Arguments, base: Base) -> Results:
    """A gradient is the right one times a constant."""
    return each_gradient(base(arguments), times(Fraction(5, 7)))


# --- gradients -----------------------------------------------------------------------------------------------------


@mistake(*DIFFERENTIABLE, mend="Turn the sign of the gradients.", affects=("grads",))
def sign_of_the_gradients(arguments: Arguments, base: Base) -> Results:
    """All gradients have the wrong sign."""
    return each_gradient(base(arguments), lambda g: -g)


@mistake(
    *DIFFERENTIABLE, mend="Multiply by grad_output: a loss far down the network is scaled too.", affects=("grads",)
)
def grad_output_ignored(arguments: Arguments, base: Base) -> Results:
    """The upstream gradient is taken to be one everywhere."""
    dy = arguments.grad_output
    ones = np.asarray(zero(dy) + number(1, dy), dtype=dy.dtype)
    return base(arguments)._replace(grads=base(arguments._replace(grad_output=ones)).grads)


@mistake(
    *DIFFERENTIABLE, mend="Set the buffer to zero before gradients are added to it.", affects=("grads",),
    seen=("executorch#21686", "executorch#21878"),
)  # fmt: skip
def gradient_added_to_what_the_buffer_held(arguments: Arguments, base: Base) -> Results:
    """The gradients are added to a buffer that is not zero: here it holds those of an earlier call, and they double."""
    return each_gradient(base(arguments), times(2))


@mistake(*DIFFERENTIABLE, mend="The input is an argument like the others: it has a gradient.", affects=("x", "arrays"))
def input_gets_no_gradient(arguments: Arguments, base: Base) -> Results:
    """The gradient of the input is zero: it is detached, or its buffer is never written."""
    return each_gradient(base(arguments), zero, next(iter(arguments.arrays)))


def _parameters(arguments: Arguments, base: Base, change: Callable[[Any], Any]) -> Results:
    """The gradients of weight and bias changed."""
    return regraded(base(arguments), weight=change, bias=change)


@mistake(*PARAMETRIC, mend="Weight and bias have gradients too.", affects=("weight", "bias"))
def parameters_get_no_gradient(arguments: Arguments, base: Base) -> Results:
    """The gradients of weight and bias are zero: they are detached, or their buffers never written."""
    return _parameters(arguments, base, zero)


def _count(arguments: Arguments) -> int:
    return len(arguments.arrays["x"]) if batched(arguments) else 1


@mistake(
    *PARAMETRIC, mend="The gradient of a parameter is a sum over the batch; only a loss averages.",
    affects=("weight", "bias"), seen=("cTensor#3",),
)  # fmt: skip
def gradient_averaged_over_the_batch(arguments: Arguments, base: Base) -> Results | None:
    """The gradients of weight and bias are divided by the number of samples."""
    N = _count(arguments)
    return None if N < 2 else _parameters(arguments, base, times(Fraction(1, N)))


def _of_one_sample(arguments: Arguments, base: Base, n: int) -> Results | None:
    """The gradients of weight and bias from one sample's upstream gradient alone."""
    if _count(arguments) < 2:
        return None
    dy = zero(arguments.grad_output)
    dy[n] = arguments.grad_output[n]
    wrong = base(arguments._replace(grad_output=dy))
    return regraded(base(arguments), **{n: lambda _, n=n: wrong.grads[n] for n in ("weight", "bias")})


@mistake(*PARAMETRIC, mend="Sum the gradients of a parameter over the batch.", affects=("weight", "bias"))
def gradient_of_the_first_sample_only(arguments: Arguments, base: Base) -> Results | None:
    """The gradients of weight and bias are those of the first sample alone."""
    return _of_one_sample(arguments, base, 0)


@mistake(*PARAMETRIC, mend="Add each sample's gradient of a parameter to the sum.", affects=("weight", "bias"))
def gradient_of_the_last_sample_only(arguments: Arguments, base: Base) -> Results | None:
    """The gradients of weight and bias are those of the last sample: each overwrites the one before."""
    return _of_one_sample(arguments, base, -1)


# --- memory --------------------------------------------------------------------------------------------------------


def _reread(arguments: Arguments, base: Base, name: str) -> Results | None:
    array = arguments.arrays[name]
    found = [(item, misread(item)) for item in (array if isinstance(array, tuple) else (array,))]
    if all(wrong is None for _, wrong in found):
        return None
    read = tuple(item if wrong is None else wrong for item, wrong in found)
    return base(arguments.with_arrays(**{name: read if isinstance(array, tuple) else read[0]}))


@mistake(
    *ALL, mend="Go by the strides of x, or make a contiguous copy first.", seen=("pytorch#175189", "pytorch#140913")
)
def input_read_as_contiguous(arguments: Arguments, base: Base) -> Results | None:
    """x is read in memory's order although its strides say otherwise (channels-last, a slice, a transpose)."""
    return _reread(arguments, base, next(iter(arguments.arrays)))


@mistake(
    "conv2d", "conv_transpose2d", "linear", mend="Go by the strides of the weight, or make a contiguous copy first."
)
def weight_read_as_contiguous(arguments: Arguments, base: Base) -> Results | None:
    """The weight is read in memory's order although its strides say otherwise (channels-last, a transpose)."""
    return _reread(arguments, base, "weight")


@mistake(
    *(name for name in DIFFERENTIABLE if name not in LOSSES), mend="Go by the strides of grad_output, or make a contiguous copy first.", affects=("grads",),
    seen=("cunn#68", "cunn#199", "mlx#4444"),
)  # fmt: skip
def grad_output_read_as_contiguous(arguments: Arguments, base: Base) -> Results | None:
    """grad_output is read in memory's order although its strides say otherwise."""
    wrong = misread(arguments.grad_output)
    return None if wrong is None else base(arguments)._replace(grads=base(arguments._replace(grad_output=wrong)).grads)


@mistake(
    *(name for name in ALL if name != "concat"),
    mend="Images are (N, C, H, W) here: move the axes of one that is (N, H, W, C).",
)
def input_read_as_channels_last(arguments: Arguments, base: Base) -> Results | None:
    """x is read as (N, H, W, C), as TensorFlow stores it, though it is (N, C, H, W)."""
    x = first_array(arguments)
    if x.ndim not in (3, 4) or x.size == 0:
        return None
    return reread(arguments, base, "x", channels_first, channels_last)
