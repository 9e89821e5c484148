"""Mistakes where paths join: concatenation, and FiLM, through which one path modulates another."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ...arithmetic import divide
from ...ops.axis import stretch
from ..mistake import Arguments, Base, Results, mistake
from .tools import batched, each_gradient, number, regraded, reread, zero

CONCAT, FILM = "concat", "film"


def _axis(arguments: Arguments) -> int:
    return int(arguments.options.get("axis", 1) % arguments.arrays["arrays"][0].ndim)


@mistake(CONCAT, mend="Join in the order in which the arrays are given; the weights behind depend on it.")
def order_reversed(arguments: Arguments, base: Base) -> Results | None:
    """The arrays are joined in reverse order: upsampled path first where the skip should be, or the reverse."""
    if len(arguments.arrays["arrays"]) < 2:
        return None
    return reread(arguments, base, "arrays", lambda a: a[::-1], lambda g: g[::-1])


@mistake(CONCAT, mend="Lay the arrays end to end: all of the first, then all of the second.")
def channels_interleaved(arguments: Arguments, base: Base) -> Results | None:
    """The arrays alternate: the first slice of each, then the second of each, as a stack and a reshape do."""
    axis, arrays = _axis(arguments), arguments.arrays["arrays"]
    places = sorted((k, a) for a, array in enumerate(arrays) for k in range(array.shape[axis]))
    starts = [0, *accumulate(array.shape[axis] for array in arrays)]
    order = [starts[a] + k for k, a in places]
    if order == sorted(order):
        return None
    dy = arguments.grad_output
    back = None if dy is None else np.take(dy, np.argsort(order), axis=axis)
    results = base(arguments._replace(grad_output=back))
    return results._replace(output=np.take(results.output, order, axis=axis))


@mistake(
    CONCAT, mend="The gradient of an array is the stretch of grad_output that it filled.", affects=("arrays",),
    seen=("tfjs-core#1267", "swift-apis#23649", "pytorch#1213", "jax#4599"),
)  # fmt: skip
def gradient_split_without_the_offset(arguments: Arguments, base: Base) -> Results | None:
    """Every array gets the first slices of the gradient, as if it had been the first."""
    axis, arrays, dy = _axis(arguments), arguments.arrays["arrays"], arguments.grad_output
    if len(arrays) < 2:
        return None
    pieces = tuple(dy[stretch(axis, 0, array.shape[axis])].copy() for array in arrays)
    return regraded(base(arguments), arrays=lambda _: pieces)


@mistake(CONCAT, mend="Split the gradient in the order of the arrays.", affects=("arrays",))
def gradient_split_from_the_back(arguments: Arguments, base: Base) -> Results | None:
    """The gradient is split in the reverse order: the last slices go to the first array."""
    axis, arrays, dy = _axis(arguments), arguments.arrays["arrays"], arguments.grad_output
    if len(arrays) < 2:
        return None
    stops = [0, *accumulate(array.shape[axis] for array in arrays[::-1])]
    pieces = tuple(dy[stretch(axis, start, stop)].copy() for start, stop in pairwise(stops))[::-1]
    return regraded(base(arguments), arrays=lambda _: pieces)


@mistake(CONCAT, mend="Every array gets a gradient.", affects=("arrays",))
def gradient_of_the_first_array_only(arguments: Arguments, base: Base) -> Results | None:
    """Only the first array gets its gradient; that of the others is zero (the skip connection is detached)."""
    if len(arguments.arrays["arrays"]) < 2:
        return None
    return regraded(base(arguments), arrays=lambda g: (g[0], *map(zero, g[1:])))


# --- FiLM ----------------------------------------------------------------------------------------------------------


def _offset(arguments: Arguments) -> Any:
    return arguments.options.get("offset", 1)


@mistake(FILM, mend="The factor is offset + gamma: gamma says how much it differs from 1.")
def offset_forgotten(arguments: Arguments, base: Base) -> Results | None:
    """The factor is gamma itself: gamma for 1 + gamma."""
    return None if _offset(arguments) == 0 else base(arguments.with_options(offset=0))


@mistake(FILM, mend="With offset=0 the factor is gamma itself.")
def one_added_to_gamma(arguments: Arguments, base: Base) -> Results | None:
    """The factor is 1 + gamma, whatever the offset."""
    return None if _offset(arguments) == 1 else base(arguments.with_options(offset=1))


@mistake(FILM, mend="gamma multiplies, beta is added: pass them in that order.")
def gamma_and_beta_swapped(arguments: Arguments, base: Base) -> Results:
    """beta multiplies and gamma is added."""
    gamma, beta = arguments.arrays["gamma"], arguments.arrays["beta"]
    results = base(arguments.with_arrays(gamma=beta, beta=gamma))
    grads = results.grads
    return results._replace(grads=grads and grads | {"gamma": grads["beta"], "beta": grads["gamma"]})


@mistake(FILM, mend="Add beta to every pixel of its channel.")
def beta_forgotten(arguments: Arguments, base: Base) -> Results:
    """beta is not added."""
    return reread(arguments, base, "beta", zero, zero)


@mistake(FILM, mend="Multiply first and add then: (offset + gamma) * x + beta.")
def beta_added_before_the_factor(arguments: Arguments, base: Base) -> Results:
    """The output is (offset + gamma) * (x + beta): beta is multiplied as well."""
    beta, gamma = arguments.arrays["beta"], arguments.arrays["gamma"]
    factor = gamma + number(_offset(arguments), gamma)
    results = base(arguments.with_arrays(beta=factor * beta))
    sums = results.grads.get("beta")
    return regraded(results, gamma=lambda g: g + beta * sums, beta=lambda g: g * factor)


@mistake(FILM, mend="gamma[n, c] and beta[n, c]: every sample has numbers of its own.")
def gamma_and_beta_of_the_first_sample_for_all(arguments: Arguments, base: Base) -> Results | None:
    """All samples are modulated with the first one's gamma and beta."""
    gamma = arguments.arrays["gamma"]
    if not batched(arguments) or len(gamma) < 2:
        return None

    def back(gradient: Any) -> Any:
        total = zero(gradient)
        total[0] = gradient.sum(axis=0)
        return total

    first = {n: np.broadcast_to(arguments.arrays[n][:1], gamma.shape).copy() for n in ("gamma", "beta")}
    return regraded(base(arguments.with_arrays(**first)), gamma=back, beta=back)


@mistake(FILM, mend="gamma and beta are (N, C), the channel last.")
def gamma_and_beta_read_as_channel_by_sample(arguments: Arguments, base: Base) -> Results | None:
    """gamma and beta are read as (C, N) though they are (N, C)."""
    N, C = shape = arguments.arrays["gamma"].shape if batched(arguments) else (1, 1)
    if min(N, C) == 1:
        return None
    read = {n: arguments.arrays[n].reshape(C, N).T for n in ("gamma", "beta")}
    results = base(arguments.with_arrays(**read))
    return each_gradient(results, lambda g: g.T.reshape(shape), *(n for n in ("gamma", "beta") if results.grads))


@mistake(FILM, mend="The gradients of gamma and beta are sums over the pixels, not means.", affects=("gamma", "beta"))
def gradients_averaged_over_the_pixels(arguments: Arguments, base: Base) -> Results | None:
    """The gradients of gamma and beta are means over the pixels instead of sums."""
    count = arguments.arrays["x"].size // max(1, arguments.arrays["gamma"].size)
    return None if count < 2 else each_gradient(base(arguments), lambda g: divide(g, count), "gamma", "beta")


@mistake(FILM, mend="The factor on the way back is offset + gamma too.", affects=("x",))
def offset_forgotten_in_the_backward(arguments: Arguments, base: Base) -> Results | None:
    """The gradient of x is multiplied by gamma instead of 1 + gamma: a forgotten residual path."""
    if _offset(arguments) == 0:
        return None
    wrong = base(arguments.with_options(offset=0))
    return regraded(base(arguments), x=lambda _: wrong.grads["x"])


@mistake(FILM, mend="The gradient of gamma is the sum of dy * x, not of dy * y.", affects=("gamma",))
def gradient_of_gamma_with_the_output(arguments: Arguments, base: Base) -> Results:
    """The gradient of gamma sums dy * y: the output in place of the input."""
    y = base(arguments._replace(grad_output=None)).output
    wrong = base(arguments.with_arrays(x=y))
    return regraded(base(arguments), gamma=lambda _: wrong.grads["gamma"])
