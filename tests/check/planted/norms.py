"""Wrong normalizations and FiLM."""

from fractions import Fraction

import numpy as np

from unet_ref import ops
from unet_ref.arithmetic import divide, sqrt

from .mistake import after, plant, spoil


def per_channel(values, x):
    return values.reshape(1, -1, *(1,) * (x.ndim - 2))


def moments(x, axes, correction=0):
    count = int(np.prod([x.shape[axis] for axis in axes]))
    mean = divide(x.sum(axis=axes, keepdims=True), count)
    return mean, divide(((x - mean) ** 2).sum(axis=axes, keepdims=True), max(count - correction, 1))


def eps_of(options, x):
    return options["eps"] if x.dtype == object else x.dtype.type(float(options["eps"]))


def batch_norm(scale, correction=0):
    """Batch norm with ``scale(variance, eps)`` in place of the reciprocal root."""

    def forward(x, weight=None, bias=None, running_mean=None, running_var=None, *, training, **options):
        axes = (0, *range(2, x.ndim))
        mean, variance = moments(x, axes, correction)
        if not training:
            mean, variance = per_channel(running_mean, x), per_channel(running_var, x)
        y = (x - mean) * scale(variance, eps_of(options, x))
        y = y if weight is None else y * per_channel(weight, x)
        return y if bias is None else y + per_channel(bias, x)

    return forward


def right_scale(variance, eps):
    return 1 / sqrt(variance + eps)


def eps_outside(variance, eps):
    """1 / (sqrt(variance) + eps), to first order in eps where the root is irrational."""
    if variance.dtype == object:
        root = sqrt(variance + eps)  # the draw makes this one rational
        return 1 / (root + eps)
    return 1 / (sqrt(variance) + eps)


def other_mode(grad_output, x, weight=None, bias=None, running_mean=None, running_var=None, *, training, eps):
    """Training's backward pass in eval mode and the other way round, at the statistics that forward used."""
    if training:
        axes = (0, *range(2, x.ndim))
        mean, variance = moments(x, axes)
        return ops.batch_norm_backward(
            grad_output, x, weight, bias, mean.ravel(), variance.ravel(), training=False, eps=eps
        )  # fmt: skip
    grads = ops.batch_norm_backward(grad_output, x, weight, bias, running_mean, running_var, training=False, eps=eps)
    axes = (0, *range(2, x.ndim))
    return grads._replace(x=grads.x - moments(grads.x, axes)[0])


def without_the_variance_term(grads, grad_output, x, weight=None, bias=None, running_mean=None, running_var=None, **o):
    """dx = weight/root * (dy - mean(dy)): what x does to the variance is forgotten."""
    if not o["training"]:
        return grads
    axes = (0, *range(2, x.ndim))
    mean, variance = moments(x, axes)
    frozen = ops.batch_norm_backward(
        grad_output, x, weight, bias, mean.ravel(), variance.ravel(), training=False, eps=o["eps"]
    )  # fmt: skip
    return grads._replace(x=frozen.x - moments(frozen.x, axes)[0])


def gamma_from_x(grads, grad_output, x, weight=None, *rest, **options):
    """dweight from x in place of the normalized x."""
    if weight is None:
        return grads
    return grads._replace(weight=(grad_output * x).sum(axis=(0, *range(2, x.ndim))))


def groups_modulo(x, weight=None, bias=None, *, num_groups, eps):
    """Channel c in group c % G (tt-metal#56202)."""
    C = x.shape[1]
    order = np.arange(C).reshape(-1, num_groups).T.ravel()
    back = np.argsort(order)
    y = ops.group_norm(x[:, order], num_groups=num_groups, eps=eps)[:, back]
    y = y if weight is None else y * per_channel(weight, x)
    return y if bias is None else y + per_channel(bias, x)


def weight_of_the_group(grads, grad_output, x, weight=None, bias=None, *, num_groups, eps):
    """Every channel of a group gets the mean of their weight gradients."""
    if weight is None:
        return grads
    by_group = grads.weight.reshape(num_groups, -1)
    mean = divide(by_group.sum(axis=1, keepdims=True), by_group.shape[1])
    return grads._replace(weight=(mean + 0 * by_group).ravel())


def biased(x, running_mean, running_var, *, momentum=0.1):
    """The running variance from the biased one (mxnet#21111)."""
    count = x.size // x.shape[1]
    mean, variance = ops.batch_norm_running_stats(x, running_mean, running_var, momentum=momentum)
    new = variance - running_var * _exact(1 - Fraction(momentum), x)
    return mean, variance - divide(new, count)


def _exact(value, x):
    return value if x.dtype == object else x.dtype.type(float(value))


def film_without_one(x, gamma, beta, *, offset=1):
    return ops.film(x, gamma, beta, offset=0)


def film_without_one_backward(grad_output, x, gamma, beta, *, offset=1):
    return ops.film_backward(grad_output, x, gamma, beta, offset=0)


def dbeta_of_the_first_row(grads, grad_output, x, gamma, beta, **options):
    if x.ndim < gamma.ndim + 2:
        return grads
    first = grad_output[..., :1, :]
    return grads._replace(beta=first.reshape(*gamma.shape, -1).sum(axis=-1))


MISTAKES = [
    plant("batch_norm", "variance over M - 1", "y", forward=batch_norm(right_scale, correction=1)),
    plant("batch_norm", "eps outside the root", "y", forward=batch_norm(eps_outside)),
    plant("batch_norm", "eval's formula in training and training's in eval", backward=other_mode),
    plant("batch_norm", "the variance's term missing from dx", backward=after("batch_norm", without_the_variance_term)),
    plant("batch_norm", "dweight from x, not normalized", "weight", backward=after("batch_norm", gamma_from_x)),
    plant(
        "batch_norm", "dbias doubled", "bias", backward=after("batch_norm", spoil("bias", lambda dbias: dbias + dbias))
    ),
    plant("batch_norm_running_stats", "biased running variance", "y", forward=biased),
    plant("group_norm", "channel c in group c % G", "y", forward=groups_modulo),
    plant("group_norm", "one dweight for a whole group", "weight", backward=after("group_norm", weight_of_the_group)),
    plant("film", "gamma for 1 + gamma", "y", forward=film_without_one, backward=film_without_one_backward),
    plant("film", "gamma for 1 + gamma in the backward", "x", backward=film_without_one_backward),
    plant("film", "dbeta of the first row only", "beta", backward=after("film", dbeta_of_the_first_row)),
    plant(
        "film",
        "dgamma 0.05 % off",
        "gamma",
        backward=after("film", spoil("gamma", lambda g: g * (2001 + 0 * g) / (2000 + 0 * g))),
    ),
]
