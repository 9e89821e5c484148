"""The cross-entropy between classes and the softmax of logits."""

from __future__ import annotations

from collections.abc import Sequence

from ..backend import Array, exp, first, keep, log, namespace, operation, real
from ..errors import DTypeError, ShapeError
from ..spec.cross_entropy import CrossEntropyGrads
from .loss import mean, share
from .window import check_grad_output, check_shape


def cross_entropy_shape(x_shape: Sequence[int], target_shape: Sequence[int]) -> tuple[()]:
    """Shape law: ``(N, C, ...)`` and ``(N, ...)``, or ``(C,)`` and ``()``, give one number.

    >>> cross_entropy_shape((2, 5, 8, 9), (2, 8, 9))
    ()
    """
    return _check("cross_entropy", x_shape, target_shape)


@operation(indices=("target",))
def cross_entropy(x: Array, target: Array) -> Array:
    """Cross-entropy: ``y = mean over n,i of log(sum over c of exp(x[n,c,i])) - x[n,t,i]`` with ``t = target[n,i]``.

    That is ``-log(softmax(x[n,:,i])[t])``, computed from ``x - max`` over the classes: nothing overflows.

    Shape law: ``(N, C, ...), (N, ...) -> ()``; ``(C,), () -> ()``.

    Arguments:
        x: logits, ``(N, C, ...)``, or ``(C,)`` for one sample; ``(C, H, W)`` would be C samples of H classes.
        target: the class of each sample and position, from 0 to C - 1, in any integer dtype.

    Raises
    ------
        ShapeError: shapes that do not fit, no class, or (on the CPU) a target that is no class, with index and value.
        DTypeError: a target that is no array of integers; arrays of unlike device, anything that is no array.

    Conventions: the mean is over samples and positions, not over classes. PyTorch leaves out targets of -100
    (``ignore_index``); here they are an error. On a GPU, where to look at the targets would be to wait for them, one that
    is no class makes the loss and its gradient NaN. The mean of nothing is NaN.

    Source: Bridle, *Probabilistic interpretation of feedforward classification network outputs* (1990).

    >>> import numpy as np
    >>> cross_entropy(np.log([[1.0, 2.0, 5.0], [3.0, 1.0, 4.0]]), np.array([2, 0])).round(6)
    np.float64(0.725416)
    """
    chosen, wrong, z = _prepare("cross_entropy", x, target)
    terms = log(exp(z).sum(axis=1)) - keep(chosen, z).sum(axis=1)  # (N, C, ...) -> (N, ...)
    return mean(namespace(x).where(wrong, float("nan"), terms))


@operation(indices=("target",))
def cross_entropy_backward(grad_output: Array, x: Array, target: Array) -> CrossEntropyGrads:
    """The gradient: ``dx[n,c,i] = dy * (softmax(x[n,:,i])[c] - (1 if c == t else 0)) / M`` with M targets.

    >>> import numpy as np
    >>> cross_entropy_backward(np.array(4.0), np.log([[1.0, 2.0, 5.0], [3.0, 1.0, 4.0]]), np.array([2, 0])).x
    array([[ 0.25,  0.5 , -0.75],
           [-1.25,  0.25,  1.  ]])
    """
    name = "cross_entropy_backward"
    check_grad_output(name, grad_output, ())
    chosen, wrong, z = _prepare(name, x, target)
    scale = namespace(x).where(wrong, float("nan"), share(grad_output, target.size))  # (N, ...)
    power = exp(z)
    softmax = power / power.sum(axis=1, keepdims=True)
    return CrossEntropyGrads(((softmax - chosen) * scale[:, None]).reshape(x.shape))


def _prepare(name: str, x: Array, target: Array) -> tuple[Array, Array, Array]:
    """Where x is the logit of the target's class, where the target is no class, and x minus its largest logit."""
    if getattr(getattr(target, "dtype", None), "kind", "") not in ("i", "u"):
        what = getattr(target, "dtype", type(target).__name__)
        raise DTypeError(f"{name}: target must be a NumPy or CuPy array of integers, got {what}")
    try:
        xp = namespace(x, target)
    except DTypeError as error:
        raise DTypeError(f"{name}: x and target: {error}") from None
    _check(name, x.shape, target.shape)
    single = x.ndim == 1
    if single:
        x, target = x[None], target[None]
    C = x.shape[1]
    t = target.astype("int64")  # to meet any C: an int8 has no 300 to be compared with
    wrong = (t < 0) | (t >= C)
    index = first(wrong)
    if index is not None:
        place = "target" if single else f"target[{', '.join(map(str, index))}]"
        raise ShapeError(f"{name}: {place} ({target[index]}) must be a class from 0 to {C - 1}, as x has {C} classes")
    row_major = xp.ascontiguousarray(x)
    classes = xp.arange(C).reshape(1, C, *(1 for _ in x.shape[2:]))
    return classes == t[:, None], wrong, row_major - real(row_major).max(axis=1, keepdims=True)


def _check(name: str, x: Sequence[int], target: Sequence[int]) -> tuple[()]:
    """All the rules of the shapes."""
    if not x:
        raise ShapeError(f"{name}: x must be (N, C, ...) or (C,), got shape ()")
    classes = min(len(x) - 1, 1)
    if x[classes] < 1:
        raise ShapeError(f"{name}: x.shape[{classes}] ({x[classes]}) must be at least 1 class")
    check_shape(name, "target", target, (*x[:classes], *x[classes + 1 :]), "x.shape without its class axis =")
    return ()
