"""Mistakes of losses: what is averaged over what, and which gradient belongs to which."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from ...arithmetic import divide, exp, log, real, sqrt
from ...masks import keep
from ...ops.elementwise import each
from ...ops.loss import mean, share
from ...ops.sigmoid import sigma, sigma_slope
from ..mistake import Arguments, Base, Results, mistake
from .tools import each_gradient, number, regraded, times

MSE, BCE, CE = "mse_loss", "binary_cross_entropy_with_logits", "cross_entropy"
LOSSES = (MSE, BCE, CE)
PAIRED = (MSE, BCE)  # of two arrays of one shape


def _terms(arguments: Arguments) -> int:
    """How many numbers the mean is over."""
    return int(arguments.arrays["target"].size)


def _scaled(arguments: Arguments, base: Base, factor: Fraction) -> Results | None:
    """The loss and its gradients times a factor."""
    if factor == 1:
        return None
    results = base(arguments)
    return each_gradient(results._replace(output=times(factor)(results.output)), times(factor))


@mistake(*LOSSES, mend="Divide the sum by the number of terms.")
def sum_for_the_mean(arguments: Arguments, base: Base) -> Results | None:
    """The terms are summed, and the sum is not divided."""
    return _scaled(arguments, base, Fraction(_terms(arguments)))


@mistake(*LOSSES, mend="The mean is over samples and pixels: divide by the number of all terms.")
def averaged_over_the_batch_only(arguments: Arguments, base: Base) -> Results | None:
    """The sum is divided by the number of samples, not by that of all terms."""
    target = arguments.arrays["target"]
    return _scaled(arguments, base, Fraction(target.size, len(target))) if target.ndim and len(target) else None


@mistake(CE, mend="The mean is over samples and pixels, not over classes.")
def averaged_over_the_classes_too(arguments: Arguments, base: Base) -> Results | None:
    """The sum is divided by the number of logits instead of the number of targets."""
    return _scaled(arguments, base, Fraction(_terms(arguments), arguments.arrays["x"].size))


@mistake(MSE, mend="There is no factor 1/2 in the mean squared error.")
def half_in_front(arguments: Arguments, base: Base) -> Results | None:
    """The loss has a factor 1/2, which takes the 2 out of its gradient."""
    return _scaled(arguments, base, Fraction(1, 2))


@mistake(*LOSSES, mend="The gradient of a mean has its 1/n as well.", affects=("grads",))
def gradient_without_the_mean(arguments: Arguments, base: Base) -> Results | None:
    """The gradient is that of the sum: it is not divided by the number of terms."""
    n = _terms(arguments)
    return None if n == 1 else each_gradient(base(arguments), times(n))


@mistake(*LOSSES, mend="Divide the gradient by the number of all terms.", affects=("grads",))
def gradient_divided_by_the_batch_only(arguments: Arguments, base: Base) -> Results | None:
    """The gradient is divided by the number of samples, not by that of all terms."""
    target = arguments.arrays["target"]
    if target.ndim == 0 or target.size in (0, len(target)):
        return None
    return each_gradient(base(arguments), times(target.size // len(target)))


@mistake(MSE, mend="The derivative of a square is twice its root.", affects=("grads",))
def factor_two_missing(arguments: Arguments, base: Base) -> Results:
    """The gradient is (x - target) / n, without the factor 2 of the square."""
    return each_gradient(base(arguments), times(Fraction(1, 2)))


@mistake(MSE, mend="The gradient of x is x - target, not target - x (times 2/n).", affects=("grads",))
def difference_reversed(arguments: Arguments, base: Base) -> Results:
    """The gradients of x and of target have the wrong sign: target - x in place of x - target."""
    return each_gradient(base(arguments), lambda g: -g)


@mistake(*PAIRED, mend="The gradient of the target has a sign, and a formula, of its own.", affects=("target",))
def target_gets_the_gradient_of_x(arguments: Arguments, base: Base) -> Results:
    """The target gets the gradient of x."""
    results = base(arguments)
    return regraded(results, target=lambda _: results.grads["x"].copy())


@mistake(*PAIRED, mend="The target is an argument like x: it has a gradient.", affects=("target",))
def target_gets_no_gradient(arguments: Arguments, base: Base) -> Results:
    """The gradient of the target is zero."""
    return each_gradient(base(arguments), np.zeros_like, "target")


@mistake(MSE, mend="Square the differences.")
def absolute_error(arguments: Arguments, base: Base) -> Results:
    """The mean of absolute differences in place of squares."""
    d = arguments.arrays["x"] - arguments.arrays["target"]
    sign = np.where(real(d) > 0, number(1, d), np.where(real(d) < 0, number(-1, d), number(0, d))).astype(d.dtype)
    return _loss(arguments, d * sign, sign, -sign)


@mistake(MSE, mend="The mean squared error is the mean itself, not its root.")
def root_taken(arguments: Arguments, base: Base) -> Results:
    """The root of the mean squared error."""
    results = base(arguments)
    y = sqrt(results.output)
    return each_gradient(results._replace(output=np.asarray(y)), lambda g: divide(g, 2) / y)


def _loss(arguments: Arguments, terms: Any, *slopes: Any) -> Results:
    """The mean of terms; slopes by each argument, that will be divided by their number."""
    dy = arguments.grad_output
    output = mean(np.asarray(terms, dtype=arguments.arrays["x"].dtype))
    if dy is None:
        return Results(output, {})
    scale = share(dy, _terms(arguments))
    return Results(output, {n: np.asarray(slope * scale) for n, slope in zip(arguments.arrays, slopes, strict=False)})


# --- cross-entropies -----------------------------------------------------------------------------------------------


@mistake(BCE, mend="x is the logit already: the loss applies the sigmoid itself.")
def sigmoid_applied_before(arguments: Arguments, base: Base) -> Results:
    """The sigmoid is applied twice: once before the loss, and once in it."""
    x = arguments.arrays["x"]
    results = base(arguments.with_arrays(x=each(sigma, x)))
    return regraded(results, x=lambda g: g * each(sigma_slope, x))


@mistake(BCE, mend="x holds logits and target probabilities: pass them in that order.")
def logits_and_target_swapped(arguments: Arguments, base: Base) -> Results:
    """Targets are taken for logits, and logits for targets."""
    x, target = arguments.arrays["x"], arguments.arrays["target"]
    results = base(arguments.with_arrays(x=target, target=x))
    grads = results.grads
    return results._replace(grads=grads and {"x": grads["target"], "target": grads["x"]})


@mistake(BCE, mend="The loss has two terms: t log(s) + (1 - t) log(1 - s).")
def term_of_the_negatives_missing(arguments: Arguments, base: Base) -> Results:
    """The loss is -t log(s): the term (1 - t) log(1 - s) is forgotten."""
    x, t = arguments.arrays["x"], arguments.arrays["target"]
    softplus = _softplus(np.asarray(-x))  # -log(sigmoid(x))
    return _loss(arguments, t * softplus, t * (each(sigma, x) - 1), softplus)


def _softplus(x: Any) -> Any:
    """``log(1 + exp(x))``, without overflow."""
    far = keep(real(x) > 0, np.ascontiguousarray(x))
    return far + log(np.asarray(1 + exp(np.where(real(x) > 0, -x, x))))


@mistake(BCE, mend="Compute the loss from the logit, max(-x, 0) + ...: it has no upper end.")
def probability_clipped(arguments: Arguments, base: Base) -> Results | None:
    """The probability is held between 1e-7 and 1 - 1e-7 before the logarithm, as in Keras: far logits cost too little."""
    x = arguments.arrays["x"]
    most = number(16.118095550958319, x)  # log((1 - 1e-7) / 1e-7)
    over, under = real(x) > most.real, real(x) < -most.real
    if not (over | under).any():
        return None
    held = np.where(over, most, np.where(under, -most, x)).astype(x.dtype)
    return regraded(base(arguments.with_arrays(x=held)), x=lambda g: np.where(over | under, 0 * g, g).astype(g.dtype))


@mistake(
    BCE, mend="Compute log(1 + exp(-|x|)) in place of log(s): exp does not overflow and no logarithm meets zero.",
    affects=("output",), narrow=True,
)  # fmt: skip
def infinite_at_far_logits(arguments: Arguments, base: Base) -> Results | None:
    """log(s) and log(1 - s) are taken of probabilities that have rounded to 0 or 1: infinity, or zero times it."""
    x, t = arguments.arrays["x"], arguments.arrays["target"]
    if x.dtype.kind != "f":
        return None
    s = np.asarray(1 / (1 + np.exp(-x)))
    y = mean(np.asarray(-(t * np.log(s) + (1 - t) * np.log(1 - s)), dtype=x.dtype))
    return None if np.isfinite(y) else base(arguments)._replace(output=y)


@mistake(BCE, mend="The gradient of x is sigmoid(x) - target.", affects=("x",))
def sigmoid_missing_in_the_gradient(arguments: Arguments, base: Base) -> Results:
    """The gradient of x is x - target, without the sigmoid."""
    x, t = arguments.arrays["x"], arguments.arrays["target"]
    return regraded(base(arguments), x=lambda _: (x - t) * share(arguments.grad_output, _terms(arguments)))


@mistake(BCE, mend="The slope of the sigmoid cancels: the gradient is sigmoid(x) - target.", affects=("x",))
def slope_of_the_sigmoid_left_in(arguments: Arguments, base: Base) -> Results:
    """The gradient of x is multiplied by s (1 - s), which the logarithm's derivative should have cancelled."""
    slope = each(sigma_slope, arguments.arrays["x"])
    return regraded(base(arguments), x=lambda g: g * slope)


def _softmax(x: Any, axis: int) -> Any:
    power = exp(x - real(x).max(axis=axis, keepdims=True))
    return power / power.sum(axis=axis, keepdims=True)


def _class_axis(arguments: Arguments) -> int:
    return int(min(arguments.arrays["x"].ndim - 1, 1))


def _chosen(arguments: Arguments) -> Any:
    """Where x is the logit of its target."""
    x, axis = arguments.arrays["x"], _class_axis(arguments)
    classes = np.arange(x.shape[axis]).reshape([-1 if k == axis else 1 for k in range(x.ndim)])
    return classes == np.expand_dims(arguments.arrays["target"], axis)


def _ce_gradient(arguments: Arguments, base: Base, slope: Any) -> Results:
    scale = share(arguments.grad_output, _terms(arguments))
    return regraded(base(arguments), x=lambda g: np.asarray(slope * scale).astype(g.dtype))


@mistake(CE, mend="The gradient is softmax(x) - onehot(target).", affects=("x",))
def softmax_missing_in_the_gradient(arguments: Arguments, base: Base) -> Results:
    """The gradient is x - onehot(target), without the softmax."""
    return _ce_gradient(arguments, base, arguments.arrays["x"] - _chosen(arguments))


@mistake(CE, mend="Subtract 1 at the class of the target.", affects=("x",))
def target_missing_in_the_gradient(arguments: Arguments, base: Base) -> Results:
    """The gradient is softmax(x): the target is not subtracted."""
    return _ce_gradient(arguments, base, _softmax(arguments.arrays["x"], _class_axis(arguments)))


@mistake(CE, mend="Classes lie along axis 1: (N, C, H, W).", affects=("x",))
def softmax_over_the_wrong_axis_in_the_gradient(arguments: Arguments, base: Base) -> Results | None:
    """In the gradient the softmax is taken over the last axis instead of the classes."""
    x = arguments.arrays["x"]
    return None if x.ndim < 3 else _ce_gradient(arguments, base, _softmax(x, -1) - _chosen(arguments))


@mistake(CE, mend="Classes lie along axis 1: (N, C, H, W).")
def softmax_over_the_wrong_axis(arguments: Arguments, base: Base) -> Results | None:
    """The softmax is taken over the last axis instead of the classes, forward and backward."""
    x, chosen = arguments.arrays["x"], _chosen(arguments)
    if x.ndim < 3:
        return None
    softmax = _softmax(x, -1)
    terms = -(log(softmax) * chosen).sum(axis=1)
    return _loss(arguments, terms, softmax * chosen.sum(axis=-1, keepdims=True).astype(x.dtype) - chosen)


@mistake(CE, mend="x is the logit already: the loss applies the softmax itself.")
def softmax_applied_before(arguments: Arguments, base: Base) -> Results:
    """The softmax is applied twice: once before the loss, and once in it."""
    axis = _class_axis(arguments)
    p = _softmax(arguments.arrays["x"], axis)
    results = base(arguments.with_arrays(x=p))
    return regraded(results, x=lambda g: p * (g - (p * g).sum(axis=axis, keepdims=True)))


@mistake(CE, mend="Classes count from 0.")
def classes_counted_from_one(arguments: Arguments, base: Base) -> Results | None:
    """Target t chooses class t - 1 (and 0 the last), as if classes counted from 1."""
    C = arguments.arrays["x"].shape[_class_axis(arguments)]
    target = arguments.arrays["target"]
    return None if C < 2 else base(arguments.with_arrays(target=(target.astype("int64") - 1) % C))


@mistake(CE, mend="The natural logarithm, not that to base 2.")
def logarithm_to_base_two(arguments: Arguments, base: Base) -> Results | None:
    """The loss is in bits: the logarithm is to base 2."""
    return _scaled(arguments, base, Fraction(1 / np.log(2)))


@mistake(
    CE, mend="Subtract the largest logit first: exp overflows beyond 88 in float32, 709 in float64.",
    affects=("output",), narrow=True,
)  # fmt: skip
def overflow_without_the_largest_logit(arguments: Arguments, base: Base) -> Results | None:
    """The largest logit is not subtracted before the exponential, which overflows: infinity or NaN."""
    x, axis = arguments.arrays["x"], _class_axis(arguments)
    if x.dtype.kind != "f" or np.isfinite(total := exp(x).sum(axis=axis)).all():
        return None
    logit = (x * _chosen(arguments)).sum(axis=axis)
    return base(arguments)._replace(output=mean(np.asarray(log(total) - logit, dtype=x.dtype)))
