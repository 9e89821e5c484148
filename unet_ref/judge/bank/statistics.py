"""Mistakes in the backward pass of normalizations, and in running statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arithmetic import divide, sqrt
from ...spec.batch_norm_running_stats import BatchNormRunningStats
from ..mistake import Arguments, Base, Results, mistake
from .moments import backward, view
from .normalization import BATCH, GROUP, NORMS
from .tools import number, regraded

RUNNING = "batch_norm_running_stats"


def _dx(arguments: Arguments, base: Base, **terms: Any) -> Results | None:
    """The right results but for dx, whose two terms have other weights; ``None`` where there are no such terms."""
    v = view(arguments)
    return None if v.frozen else regraded(base(arguments), x=lambda g: backward(v, **terms).reshape(g.shape))


@mistake(*NORMS, affects=("x",), mend="The variance moves with x too: subtract xhat * mean(dxhat * xhat).")
def variance_term_dropped(arguments: Arguments, base: Base) -> Results | None:
    """The gradient of x lacks the term that comes from the variance."""
    return _dx(arguments, base, variance_term=0)


@mistake(*NORMS, affects=("x",), mend="The mean moves with x too: subtract mean(dxhat).")
def mean_term_dropped(arguments: Arguments, base: Base) -> Results | None:
    """The gradient of x lacks the term that comes from the mean."""
    return _dx(arguments, base, mean_term=0)


@mistake(*NORMS, affects=("x",), mend="In training mean and variance are functions of x: do not detach them.",
         seen=("pytorch#586",))  # fmt: skip
def statistics_taken_for_constants(arguments: Arguments, base: Base) -> Results | None:
    """The gradient of x takes mean and variance for constants, as is right in evaluation mode only."""
    return _dx(arguments, base, mean_term=0, variance_term=0)


@mistake(*NORMS, affects=("x",), mend="Both sums are divided by M, the number of values that share a mean.")
def sums_not_divided(arguments: Arguments, base: Base) -> Results | None:
    """In the gradient of x the two sums are not divided by M."""
    M = view(arguments).values
    return _dx(arguments, base, mean_term=M, variance_term=M)


@mistake(*NORMS, affects=("x",), mend="Both terms of the gradient of x are subtracted.")
def variance_term_added(arguments: Arguments, base: Base) -> Results | None:
    """In the gradient of x the term that comes from the variance has the wrong sign."""
    return _dx(arguments, base, variance_term=-1)


@mistake(
    *NORMS, affects=("x",), mend="Use the standard deviation of the forward pass, sqrt(var + eps), in the backward."
)
def eps_missing_in_the_backward(arguments: Arguments, base: Base) -> Results | None:
    """The gradient of x is computed with 1 / sqrt(var), without eps."""
    return _dx(arguments, base, root=view(arguments)._replace(eps=0 * view(arguments).eps).root)


@mistake(*NORMS, affects=("x",), mend="Multiply by the weight on the way back too.", seen=("oneDNN#3543",))
def weight_forgotten_in_the_gradient_of_x(arguments: Arguments, base: Base) -> Results | None:
    """The gradient of x is not multiplied by the weight."""
    weight = arguments.arrays.get("weight")
    if weight is None:
        return None
    ones = base(arguments.with_arrays(weight=weight * 0 + number(1, weight)))
    return regraded(base(arguments), x=lambda _: ones.grads["x"])


@mistake(GROUP, affects=("x",), mend="The weight differs within a group: multiply dy by it before the sums.",
         seen=("oneDNN#3543",))  # fmt: skip
def weight_taken_out_of_the_sums(arguments: Arguments, base: Base) -> Results | None:
    """The gradient of x multiplies by the weight after the sums over the group, as batch norm may."""
    v = view(arguments)
    if v.weight is None:
        return None
    dx = v.weight * backward(v._replace(weight=None))
    return regraded(base(arguments), x=lambda g: dx.reshape(g.shape))


@mistake(BATCH, affects=("x",), mend="In evaluation mean and variance are constants: dx = weight * dy / sqrt(var + eps).",
         seen=("pytorch/xla#913", "mxnet#9580", "pytorch#586"))  # fmt: skip
def backward_of_training_in_evaluation(arguments: Arguments, base: Base) -> Results | None:
    """In evaluation mode the gradient of x subtracts the two sums, as is right in training only."""
    v = view(arguments)
    return regraded(base(arguments), x=lambda g: backward(v).reshape(g.shape)) if v.frozen else None


def _weight_gradient(arguments: Arguments, base: Base, factor: Any) -> Results | None:
    """The gradient of the weight with something else in place of xhat."""
    v = view(arguments)
    if v.weight is None:
        return None
    return regraded(base(arguments), weight=lambda _: (v.dy * factor(v)).sum(axis=(0, 3)).reshape(-1))


@mistake(*NORMS, affects=("weight",), mend="The gradient of the weight is the sum of dy * xhat.")
def weight_gradient_with_x(arguments: Arguments, base: Base) -> Results | None:
    """The gradient of the weight sums dy * x: x as it came, not normalized."""
    return _weight_gradient(arguments, base, lambda v: v.x)


@mistake(
    *NORMS, affects=("weight",), mend="xhat is divided by the standard deviation: so is the gradient of the weight."
)
def weight_gradient_without_the_deviation(arguments: Arguments, base: Base) -> Results | None:
    """The gradient of the weight sums dy * (x - mean), not divided by the standard deviation."""
    return _weight_gradient(arguments, base, lambda v: v.x - v.mean)


@mistake(*NORMS, affects=("weight",), mend="The gradient of the weight is the sum of dy * xhat, not of dy * y.")
def weight_gradient_with_the_output(arguments: Arguments, base: Base) -> Results | None:
    """The gradient of the weight sums dy * y: the output in place of the normalized values."""
    y = base(arguments._replace(grad_output=None)).output
    return _weight_gradient(arguments, base, lambda v: y.reshape(v.x.shape))


@mistake(
    GROUP, affects=("weight",), mend="Take the mean and deviation of group c // (C/G) for channel c.",
    seen=("tt-metal#56202", "pytorch#140913"),
)  # fmt: skip
def weight_gradient_from_the_wrong_group(arguments: Arguments, base: Base) -> Results | None:
    """The gradient of the weight takes mean and deviation of group c % G for channel c."""
    v = view(arguments)
    N, G, D, L = v.x.shape
    if G == 1 or D == 1:
        return None
    wrong = np.arange(G * D) % G  # the group of each channel

    def factor(v: Any) -> Any:
        x = v.x.reshape(N, G * D, L)
        mean, root = (a[..., 0][:, wrong] for a in (v.mean, v.root))
        return ((x - mean) * root).reshape(v.x.shape)

    return _weight_gradient(arguments, base, factor)


# --- running statistics --------------------------------------------------------------------------------------------


def _changed(arguments: Arguments, base: Base, **changes: Any) -> Results:
    """The running statistics with a function of each."""
    output = base(arguments).output
    return Results(output._replace(**{name: change(getattr(output, name)) for name, change in changes.items()}), {})


def _old(arguments: Arguments) -> BatchNormRunningStats:
    return BatchNormRunningStats(arguments.arrays["running_mean"], arguments.arrays["running_var"])


def _momentum(arguments: Arguments) -> Any:
    return number(arguments.options.get("momentum", 0.1), arguments.arrays["x"])


@mistake(RUNNING, mend="momentum weighs the new value here (PyTorch); in Keras, Flax and ONNX it weighs the old one.")
def momentum_reversed(arguments: Arguments, base: Base) -> Results:
    """momentum weighs the old value and 1 - momentum the batch's."""
    return base(arguments.with_options(momentum=1 - arguments.options.get("momentum", 0.1)))


@mistake(
    RUNNING, mend="The running variance is unbiased: multiply the batch's by M / (M - 1).",
    seen=("mxnet#21111", "keras#8982", "tt-metal#55438"),
)  # fmt: skip
def running_variance_biased(arguments: Arguments, base: Base) -> Results:
    """The batch's variance is divided by M instead of M - 1."""
    x = arguments.arrays["x"]
    M, m, old = x.size // max(1, x.shape[1]), _momentum(arguments), _old(arguments).var
    one = number(1, x)
    return _changed(arguments, base, var=lambda new: (one - m) * old + divide((new - (one - m) * old) * (M - 1), M))


@mistake(RUNNING, mend="Return the new statistics, and keep them.")
def running_statistics_not_updated(arguments: Arguments, base: Base) -> Results:
    """The running statistics stay what they were."""
    old = _old(arguments)
    return _changed(arguments, base, mean=lambda _: old.mean.copy(), var=lambda _: old.var.copy())


@mistake(RUNNING, mend="Update the variance as well as the mean.")
def running_variance_not_updated(arguments: Arguments, base: Base) -> Results:
    """The running mean is updated, the running variance is not."""
    return _changed(arguments, base, var=lambda _: _old(arguments).var.copy())


@mistake(RUNNING, mend="Weigh the batch's statistics with momentum, and the old ones with the rest.")
def running_statistics_replaced(arguments: Arguments, base: Base) -> Results:
    """The batch's statistics replace the running ones."""
    return base(arguments.with_options(momentum=1))


@mistake(RUNNING, mend="Multiply the old statistics by 1 - momentum.")
def old_statistics_not_decayed(arguments: Arguments, base: Base) -> Results:
    """momentum times the batch's statistics is added, but the old ones keep all their weight."""
    m, old = _momentum(arguments), _old(arguments)
    return _changed(arguments, base, mean=lambda new: new + m * old.mean, var=lambda new: new + m * old.var)


@mistake(RUNNING, mend="The running variance is a variance, not a standard deviation.")
def running_deviation_in_place_of_the_variance(arguments: Arguments, base: Base) -> Results:
    """The batch's standard deviation is averaged in place of its variance."""
    x, m, old = arguments.arrays["x"], _momentum(arguments), _old(arguments).var
    one = number(1, x)
    return _changed(
        arguments, base, var=lambda _: (one - m) * old + m * sqrt(base(arguments.with_options(momentum=1)).output.var)
    )
