"""Wrong activations, gates, concat and losses."""

import numpy as np

from unet_ref import ops
from unet_ref.arithmetic import divide

from .mistake import after, plant, spoil


def guided(grads, grad_output, x):
    """Only positive gradients pass (guided backpropagation)."""
    return grads._replace(x=np.where(grad_output > 0, grads.x, 0 * x))


def leaky(grads, grad_output, x):
    return grads._replace(x=np.where(x > 0, grads.x, divide(grad_output, 100)))


def at_zero(grads, grad_output, x):
    """The gradient passes at x == 0."""
    return grads._replace(x=np.where(x == 0, grad_output, grads.x))


def one_plus(grads, grad_output, x):
    s = ops.sigmoid(x)
    return grads._replace(x=grad_output * s * (1 + s))


def other_gelu(grads, grad_output, x, **options):
    other = {"none": "tanh", "tanh": "none"}[options.get("approximate", "none")]
    return ops.gelu_backward(grad_output, x, approximate=other)


def gelu_without_its_slope(grads, grad_output, x, **options):
    """Phi(x) alone: the term x phi(x) is forgotten."""
    safe = np.where(x == 0, x + 1, x)
    return grads._replace(x=grad_output * ops.gelu(safe, **options) / safe)


def glu_swapped(x, *, axis=-1):
    half = x.shape[axis] // 2
    return ops.glu(np.roll(x, half, axis=axis), axis=axis)


def reversed_pieces(grads, grad_output, arrays, **options):
    """Pieces handed out from the other end."""
    axis = options.get("axis", 1)
    backwards = ops.concat_backward(grad_output, tuple(arrays[::-1]), axis=axis)
    return tuple(backwards[::-1])


def negative_axis(grads, grad_output, arrays, **options):
    """A negative axis counted from the wrong end (tfjs-core#1267)."""
    axis = options.get("axis", 1)
    return grads if axis >= 0 else tuple(g[::-1].copy() for g in grads)


def sums(x, target):
    count = max(x.size, 1)
    return ops.mse_loss(x, target) * (count + 0 * x.flat[0])


def over_classes(grads, grad_output, x, target):
    """The mean over the classes too."""
    classes = x.shape[min(x.ndim - 1, 1)]
    return grads._replace(x=divide(grads.x, classes))


def target_for_x(grads, *rest):
    return grads._replace(target=grads.x.copy())


def act(name, what, change, shows="x"):
    return plant(name, what, shows, backward=after(name, change))


MISTAKES = [
    act("relu", "masks the gradient, not x", guided),
    act("relu", "lets 1 % through", leaky),
    act("relu", "lets the gradient through at 0", at_zero),
    act("sigmoid", "s (1 + s)", one_plus),
    act("sigmoid", "0.05 % off", spoil("x", lambda dx: dx * (2001 + 0 * dx) / (2000 + 0 * dx))),
    act("gelu", "the other formula's gradient", other_gelu),
    act("gelu", "the term x phi(x) missing", gelu_without_its_slope),
    plant("glu", "halves swapped", "y", forward=glu_swapped),
    act("glu", "sign of the gate's gradient", lambda g, dy, x, axis=-1: g._replace(x=np.roll(g.x, 1, axis=axis))),
    act("concat", "pieces from the other end", reversed_pieces, "arrays"),
    act("concat", "negative axis from the wrong end", negative_axis, "arrays"),
    plant("mse_loss", "sum for mean", "y", forward=sums),
    act("mse_loss", "the factor 2 missing", spoil("x", lambda dx: divide(dx, 2))),
    act("mse_loss", "sign of the target's gradient", target_for_x, "target"),
    act("binary_cross_entropy_with_logits", "sign of the target's gradient", spoil("target", lambda g: -g), "target"),
    act("cross_entropy", "mean over the classes too", over_classes),
]
