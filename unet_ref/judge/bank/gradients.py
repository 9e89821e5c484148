"""Gradients with the wrong sign, left out, not multiplied by grad_output, or not summed over the batch."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ..mistake import Arguments, Base, Results, mistake
from .scope import DIFFERENTIABLE, PARAMETRIC
from .tools import batched, each_gradient, number, regraded, times, zero


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
