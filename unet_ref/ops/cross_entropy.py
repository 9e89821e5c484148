"""The cross-entropy between classes and the softmax of logits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..arithmetic import exp, log, real
from ..backend import Array, namespace
from ..errors import DTypeError, ShapeError
from ..masks import first
from ..operation import operation
from ..spec.cross_entropy import CrossEntropyGrads
from .im2col import each, tiles
from .loss import mean, share
from .window import check_grad_output, check_shape

Some = tuple[slice, slice, slice]  # samples, classes, pixels
PASSES = 64  # what is done to an element, in multiplications


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
    rows, t, wrong = _prepare("cross_entropy", x, target)
    terms = namespace(x).empty(t.shape, dtype=x.dtype)  # (N, L)

    def work(some: Some) -> None:
        z = _below_largest(rows[some])
        terms[some[0], some[2]] = log(exp(z).sum(axis=1)) - z[_chosen(t, some)]  # (n, C, l) -> (n, l)

    _by_tiles(work, rows)
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
    rows, t, wrong = _prepare(name, x, target)
    scale = namespace(x).where(wrong, float("nan"), share(grad_output, target.size))[:, None]  # (N, 1, L)
    dx = namespace(x).empty_like(rows)

    def work(some: Some) -> None:
        power = exp(_below_largest(rows[some]))
        power /= power.sum(axis=1, keepdims=True)
        power[_chosen(t, some)] -= 1
        namespace(x).multiply(power, scale[some[0], :, some[2]], out=dx[some])

    _by_tiles(work, rows)
    return CrossEntropyGrads(dx.reshape(x.shape))


def _prepare(name: str, x: Array, target: Array) -> tuple[Array, Array, Array]:
    """``x (N, C, L)`` row-major, the target's classes ``(N, L)``, and where they are none: 0 stands there."""
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
    (N, C), L = x.shape[:2], math.prod(x.shape[2:])
    t = target.astype("int64")  # to meet any C: an int8 has no 300 to be compared with
    wrong = (t < 0) | (t >= C)
    index = first(wrong)
    if index is not None:
        place = "target" if single else f"target[{', '.join(map(str, index))}]"
        raise ShapeError(f"{name}: {place} ({target[index]}) must be a class from 0 to {C - 1}, as x has {C} classes")
    return xp.ascontiguousarray(x).reshape(N, C, L), xp.where(wrong, 0, t).reshape(N, L), wrong.reshape(N, L)


def _by_tiles(work: Callable[[Some], None], rows: Array) -> None:
    """``work`` on some samples and pixels of ``rows (N, C, L)`` at a time, with all their classes."""
    N, C, L = rows.shape
    cut = tiles(N, (1, L), rows.itemsize * C, rows) if rows.size else []
    each(lambda tile: work((tile.samples, slice(None), tile.columns)), cut, rows, PASSES * rows.size)


def _below_largest(x: Array) -> Array:
    """``x (n, C, l)`` minus its largest logit: nothing overflows."""
    return x - real(x).max(axis=1, keepdims=True)


def _chosen(t: Array, some: Some) -> tuple[Array, Array, Array]:
    """The index of the target's class in each place of ``(n, C, l)``."""
    xp, classes = namespace(t), t[some[0], some[2]]
    n, l = classes.shape
    return xp.arange(n)[:, None], classes, xp.arange(l)


def _check(name: str, x: Sequence[int], target: Sequence[int]) -> tuple[()]:
    """All the rules of the shapes."""
    if not x:
        raise ShapeError(f"{name}: x must be (N, C, ...) or (C,), got shape ()")
    classes = min(len(x) - 1, 1)
    if x[classes] < 1:
        raise ShapeError(f"{name}: x.shape[{classes}] ({x[classes]}) must be at least 1 class")
    check_shape(name, "target", target, (*x[:classes], *x[classes + 1 :]), "x.shape without its class axis =")
    return ()
