"""Mistakes of batch and group normalization, output and gradients: eps, variance, weight and bias, groups."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from ...arithmetic import divide, sqrt
from ..mistake import Arguments, Base, Results, mistake
from .moments import normalized, view
from .tools import number, regraded, reread, zero

NORMS = ("batch_norm", "group_norm")
BATCH, GROUP = NORMS


@mistake(*NORMS, mend="eps belongs under the root: sqrt(var + eps).", seen=("CRADLE: CNTK under Keras",))
def eps_outside_the_root(arguments: Arguments, base: Base) -> Results:
    """The standard deviation is sqrt(var) + eps instead of sqrt(var + eps)."""

    def scale(v: Any, eps: Any) -> tuple[Any, Any]:
        s = sqrt(v)
        f = 1 / (s + eps)
        return f, divide(-f * f, 2) / s

    return normalized(arguments, scale)


@mistake(*NORMS, mend="Add eps to the variance before the root, in evaluation mode too.", seen=("chainer#2214",))
def eps_missing(arguments: Arguments, base: Base) -> Results:
    """Nothing is added to the variance."""
    return base(arguments.with_options(eps=0 * arguments.options.get("eps", 1e-5)))


@mistake(*NORMS, mend="Add eps once: either where the variance is kept or under the root.",
         seen=("chainer#4505", "chainer#7506"))  # fmt: skip
def eps_added_twice(arguments: Arguments, base: Base) -> Results:
    """eps is added to the variance twice."""
    return base(arguments.with_options(eps=2 * arguments.options.get("eps", 1e-5)))


DEFAULTS = (1e-3, 1e-5, 1e-6, 1e-8, 1e-12)  # TensorFlow's and Flax's, PyTorch's, timm's, Adam's, BERT's


def _fit_eps(arguments: Arguments, base: Base, got: Results) -> Results | None:
    """The default that comes nearest."""
    if np.shape(got.output) != arguments.arrays["x"].shape:
        return None
    tried = [base(arguments.with_options(eps=eps)) for eps in DEFAULTS]
    return min(tried, key=lambda results: np.nanmax(abs(results.output - got.output), initial=0))


@mistake(*NORMS, mend="Pass eps on; it is 1e-5 by default in PyTorch and 1e-3 in TensorFlow.", fit=_fit_eps)
def eps_of_another_default(arguments: Arguments, base: Base) -> Results:
    """eps is not passed on, or another library's default is taken for it."""
    own = arguments.options.get("eps", 1e-5)
    return base(arguments.with_options(eps=DEFAULTS[1 if own == DEFAULTS[0] else 0]))


@mistake(*NORMS, mend="Divide by the standard deviation: the root of var + eps.")
def root_forgotten(arguments: Arguments, base: Base) -> Results:
    """The values are divided by var + eps instead of its root."""

    def scale(v: Any, eps: Any) -> tuple[Any, Any]:
        f = 1 / (v + eps)
        return f, -f * f

    return normalized(arguments, scale)


@mistake(*NORMS, mend="The variance under the root is biased: divide by M, not M - 1.")
def variance_unbiased(arguments: Arguments, base: Base) -> Results | None:
    """The variance is divided by M - 1 instead of M."""
    v = view(arguments)
    return None if v.frozen or v.values < 2 else normalized(arguments, count=Fraction(v.values, v.values - 1))


@mistake(*NORMS, mend="Subtract the mean from the values before they are scaled.")
def mean_not_subtracted(arguments: Arguments, base: Base) -> Results:
    """The values are divided by their standard deviation, but the mean stays in."""
    return normalized(arguments, subtract=False)


@mistake(*NORMS, mend="The variance is the mean square of x - mean.")
def variance_about_zero(arguments: Arguments, base: Base) -> Results | None:
    """The variance is the mean of x^2: the mean is not subtracted first."""
    return None if view(arguments).frozen else normalized(arguments, centre=False)


def _fit_one_pass(arguments: Arguments, base: Base, got: Results) -> Results | None:
    """The variance that each group must have had, from the slope of ``got`` on the right output."""
    v = view(arguments)
    if v.frozen or getattr(got.output, "shape", None) != arguments.arrays["x"].shape:
        return None
    y = got.output.astype(v.x.dtype).reshape(v.x.shape)
    y = y if v.bias is None else y - v.bias
    d = (v.x - v.mean) if v.weight is None else (v.x - v.mean) * v.weight
    f = v.sum(y * d) / v.sum(d * d)
    variance = 1 / (f * f) - v.eps
    known = np.finfo(got.output.dtype).eps * v.values * (v.mean * v.mean + v.variance)
    if not (np.isnan(f) | (abs(variance - v.variance) <= known)).all():
        return None
    return normalized(arguments, variance=variance)


@mistake(
    *NORMS, mend="Subtract the mean first and square then: E[x^2] - mean^2 cancels where the mean is large.",
    fit=_fit_one_pass, narrow=True,
    seen=("pytorch#54293", "tt-metal#45968", "dlib#3113", "openvino#36587", "tensorflow#25115"),
)  # fmt: skip
def variance_in_one_pass(arguments: Arguments, base: Base) -> Results | None:
    """The variance is E[x^2] - mean^2: where the mean is large, rounding is all that is left of it."""
    v = view(arguments)
    if v.frozen or v.x.dtype.kind != "f":
        return None
    return normalized(arguments, variance=v.average(v.x * v.x) - v.mean * v.mean)


# --- weight and bias -----------------------------------------------------------------------------------------------


def _has(arguments: Arguments, *names: str) -> bool:
    return all(arguments.arrays.get(name) is not None for name in names)


@mistake(*NORMS, mend="Add the bias.")
def bias_forgotten(arguments: Arguments, base: Base) -> Results | None:
    """The bias is not added."""
    return reread(arguments, base, "bias", zero, zero) if _has(arguments, "bias") else None


@mistake(*NORMS, mend="Multiply by the weight.")
def weight_forgotten(arguments: Arguments, base: Base) -> Results | None:
    """The normalized values are not multiplied by the weight."""
    if not _has(arguments, "weight"):
        return None
    return reread(arguments, base, "weight", lambda w: zero(w) + number(1, w), zero)


@mistake(*NORMS, mend="The weight is the factor itself; it is not how much the factor differs from 1.")
def one_plus_weight(arguments: Arguments, base: Base) -> Results | None:
    """The factor is 1 + weight, as where the weight starts at zero."""
    if not _has(arguments, "weight"):
        return None
    return reread(arguments, base, "weight", lambda w: w + number(1, w), lambda g: g)


@mistake(*NORMS, mend="weight multiplies, bias is added: pass them in that order.")
def weight_and_bias_swapped(arguments: Arguments, base: Base) -> Results | None:
    """The bias multiplies and the weight is added."""
    if not _has(arguments, "weight", "bias"):
        return None
    weight, bias = arguments.arrays["weight"], arguments.arrays["bias"]
    results = base(arguments.with_arrays(weight=bias, bias=weight))
    return results._replace(grads=_exchanged(results.grads, "weight", "bias"))


def _exchanged(grads: dict[str, Any], one: str, other: str) -> dict[str, Any]:
    return {**grads, one: grads[other], other: grads[one]} if one in grads else grads


@mistake(*NORMS, mend="Multiply first and add then: weight * xhat + bias.")
def bias_added_before_the_weight(arguments: Arguments, base: Base) -> Results | None:
    """The output is weight * (xhat + bias) instead of weight * xhat + bias."""
    if not _has(arguments, "weight", "bias"):
        return None
    weight, bias = arguments.arrays["weight"], arguments.arrays["bias"]
    results = base(arguments.with_arrays(bias=weight * bias))
    sums = results.grads.get("bias")
    return regraded(results, weight=lambda g: g + bias * sums, bias=lambda g: g * weight)


def channels_of_groups(C: int, groups: int) -> Any:
    """Where ``c % G`` is taken for ``c // (C/G)``: group by group, the channels that are put together."""
    return np.arange(C).reshape(-1, groups).T.reshape(-1)


@mistake(GROUP, mend="A group is a run of neighbouring channels: channel c is in group c // (C/G).")
def groups_interleaved(arguments: Arguments, base: Base) -> Results | None:
    """Channel c is taken to be in group c % G: groups are every G-th channel."""
    C, G = arguments.arrays["x"].shape[1], arguments.options["num_groups"]
    if G in (1, C):
        return None
    order = channels_of_groups(C, G)
    back = np.argsort(order)
    dy, own = arguments.grad_output, {n: arguments.arrays.get(n) for n in ("weight", "bias")}
    put = {n: None if v is None else v[order] for n, v in own.items()}
    wrong = arguments.with_arrays(x=arguments.arrays["x"][:, order], **put)
    results = base(wrong._replace(grad_output=None if dy is None else dy[:, order]))
    results = regraded(results, x=lambda g: g[:, back], weight=lambda g: g[back], bias=lambda g: g[back])
    return results._replace(output=results.output[:, back])


@mistake(GROUP, mend="weight and bias have one number for each channel, not for each group.")
def weight_of_the_group_in_place_of_the_channel(arguments: Arguments, base: Base) -> Results | None:
    """Weight and bias are indexed by the group: all channels of group g get numbers g."""
    C, G = arguments.arrays["x"].shape[1], arguments.options["num_groups"]
    present = [n for n in ("weight", "bias") if arguments.arrays.get(n) is not None]
    if G == C or not present:
        return None
    group = np.arange(C) // (C // G)

    def back(gradient: Any) -> Any:
        total = zero(gradient)
        np.add.at(total, group, gradient)
        return total

    results = base(arguments.with_arrays(**{n: arguments.arrays[n][group] for n in present}))
    return regraded(results, **dict.fromkeys(present, back))


def _grouped(arguments: Arguments, base: Base, groups: int) -> Results | None:
    return None if groups == arguments.options["num_groups"] else base(arguments.with_options(num_groups=groups))


@mistake(GROUP, mend="Each group has its own mean and variance; one for all channels is layer norm.")
def one_group_for_all_channels(arguments: Arguments, base: Base) -> Results | None:
    """num_groups is ignored: all channels of a sample share one mean and variance, as in layer norm."""
    return _grouped(arguments, base, 1)


@mistake(GROUP, mend="The channels of a group share a mean and a variance; one for each channel is instance norm.")
def one_group_for_each_channel(arguments: Arguments, base: Base) -> Results | None:
    """num_groups is ignored: every channel has its own mean and variance, as in instance norm."""
    return _grouped(arguments, base, arguments.arrays["x"].shape[1])


@mistake(GROUP, mend="num_groups is the number of groups; each has C / num_groups channels.")
def number_of_groups_taken_for_their_size(arguments: Arguments, base: Base) -> Results | None:
    """num_groups is taken for the number of channels in a group."""
    return _grouped(arguments, base, arguments.arrays["x"].shape[1] // arguments.options["num_groups"])


@mistake(BATCH, mend="A channel's mean and variance are over samples and pixels.")
def statistics_of_each_sample(arguments: Arguments, base: Base) -> Results | None:
    """Every sample has its own mean and variance, as in instance norm, instead of sharing the batch's."""
    x, options = arguments.arrays["x"], arguments.options
    if not options["training"] or len(x) < 2:
        return None
    arrays = {name: arguments.arrays.get(name) for name in ("x", "weight", "bias")}
    own = Arguments("group_norm", arrays, {"num_groups": x.shape[1], "eps": options.get("eps", 1e-5)})
    return normalized(own._replace(grad_output=arguments.grad_output))


@mistake(BATCH, mend="In training the batch's own mean and variance normalize it.")
def running_statistics_in_training(arguments: Arguments, base: Base) -> Results | None:
    """The running statistics normalize, though this is training."""
    if not arguments.options["training"] or not _has(arguments, "running_mean"):
        return None
    return base(arguments.with_options(training=False))


@mistake(BATCH, mend="In evaluation the running mean and variance normalize, not the batch's.")
def batch_statistics_in_evaluation(arguments: Arguments, base: Base) -> Results | None:
    """The batch's own mean and variance normalize, though this is evaluation."""
    x = arguments.arrays["x"]
    if arguments.options["training"] or math.prod(x.shape) == x.shape[1]:
        return None
    return base(arguments.with_options(training=True))


@mistake(BATCH, mend="running_var is a variance: take the root of running_var + eps.")
def running_variance_taken_for_the_deviation(arguments: Arguments, base: Base) -> Results | None:
    """The running variance is squared, as if it held standard deviations."""
    if arguments.options["training"]:
        return None
    return base(arguments.with_arrays(running_var=arguments.arrays["running_var"] ** 2))
