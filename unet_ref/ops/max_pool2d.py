"""Two-dimensional max pooling."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from ..arithmetic import real
from ..backend import Array, namespace
from ..masks import keep
from ..operation import operation
from ..passes import may_be_nan
from ..spec.max_pool2d import MaxPool2dGrads
from .pooling import by_planes, pool_window
from .window import Window, check_grad_output


def max_pool2d_shape(
    x_shape: Sequence[int], *,
    kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
) -> tuple[int, ...]:  # fmt: skip
    """Shape law: ``H' = (H + top + bottom - dh*(KH - 1) - 1) // sh + 1``, and the same for the width.

    Ceil mode rounds the division up, but drops a last window that would start behind the image.

    >>> max_pool2d_shape((2, 3, 10, 9), kernel_size=2), max_pool2d_shape((2, 3, 10, 9), kernel_size=2, ceil_mode=True)
    ((2, 3, 5, 4), (2, 3, 5, 5))
    """
    window = pool_window("max_pool2d", x_shape, kernel_size, stride, padding, dilation, ceil_mode)
    return (*x_shape[:-2], *window.output)


@operation()
def max_pool2d(
    x: Array, *,
    kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
) -> Array:  # fmt: skip
    """Max pooling: every output pixel is the largest input pixel under a window.

    ``y[n,c,i,j] = max over k,l of x[n, c, sh*i + dh*k - top, sw*j + dw*l - left]``, over the pixels of the image only.

    Shape law: ``(N, C, H, W) -> (N, C, H', W')`` with ``H' = (H + top + bottom - dh*(KH - 1) - 1) // sh + 1``;
    ``(C, H, W)`` gives ``(C, H', W')``. Ceil mode rounds up, but a last window must start on the image or before it.

    Arguments:
        x: ``(N, C, H, W)`` or ``(C, H, W)``.
        kernel_size, dilation: int or ``(h, w)``, at least 1.
        stride: the same; ``None`` means ``kernel_size``.
        padding: int, ``(h, w)`` or ``((top, bottom), (left, right))``; each at most half the kernel.
        ceil_mode: whether a last window may hang over the end.

    Raises
    ------
        ShapeError: windows that do not fit or hold no pixel, too much padding; with the rule and the values.
        DTypeError: integers, or anything that is no array.

    Conventions: padding is never chosen, whatever the values. Of equal pixels the first, row by row, is chosen and
    gets the whole gradient, as in PyTorch and TensorFlow; Theano gave it to all of them, cuDNN does not say to which.
    A NaN is larger than everything; of several the last is chosen, as in PyTorch.
    Complex numbers compare by their real parts.

    Source: PyTorch's ``torch.nn.MaxPool2d``; Goodfellow, Bengio and Courville, *Deep Learning* (2016), section 9.3.

    >>> import numpy as np
    >>> x = np.array([[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 9.0, 7.0]]])
    >>> max_pool2d(x, kernel_size=2)
    array([[[5., 9.]]])
    """
    window = pool_window("max_pool2d", x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    return choose(x, window)[0]


@operation()
def max_pool2d_backward(
    grad_output: Array, x: Array, *,
    kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
) -> MaxPool2dGrads:  # fmt: skip
    """The gradient of ``max_pool2d``: every output pixel gives its gradient to the one pixel that it was.

    ``dx[n,c,r,q] = sum of dy[n,c,i,j] over the windows i,j that chose (r,q)``; the choice is made again from ``x``.

    >>> import numpy as np
    >>> x = np.array([[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 9.0, 7.0]]])
    >>> max_pool2d_backward(np.array([[[0.5, 2.0]]]), x, kernel_size=2).x
    array([[[0. , 0.5, 0. , 0. ],
            [0. , 0. , 2. , 0. ]]])
    """
    name = "max_pool2d_backward"
    window = pool_window(name, x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    check_grad_output(name, grad_output, (*x.shape[:-2], *window.output))
    return MaxPool2dGrads(give_back(grad_output, choose(x, window)[1], window))


def choose(x: Array, window: Window) -> tuple[Array, Array]:
    """The pooled image, and which tap of its window each pixel is: ``1 + k*KW + l``, in bytes where they suffice.

    A network that keeps the taps need not keep ``x``.
    """
    xp, KH, KW = namespace(x), *window.kernel
    shape = (*x.shape[:-2], *window.output)
    y, taps = xp.empty(shape, dtype=x.dtype), xp.empty(shape, dtype="int8" if KH * KW < 128 else "int32")
    number = taps.dtype.type
    (k, rows), (l, columns) = (_first(window, axis, x) for axis in (0, 1))
    first, rows = 1 + k[:, None] * KW + l, rows[:, None]

    def choose_planes(x: Array, y: Array, taps: Array) -> None:
        y[...], taps[...] = x[:, rows, columns], first
        for n, (i, j), (r, q) in _taps(window):
            candidate = x[:, r, q].copy()  # (n, h, w) from every stride-th pixel: the passes below run over neighbours
            best, chosen = y[:, i, j], taps[:, i, j]
            better = real(candidate) > real(best)
            if candidate.dtype.kind == "f":
                xp.maximum(best, candidate, out=best)  # NaN stays
            else:
                best[...] = xp.where(better | _nan(candidate), candidate, best)
            xp.maximum(chosen, better * number(n), out=chosen)  # the numbers rise
        if may_be_nan(y):
            for n, (i, j), (r, q) in _taps(window):
                taps[:, i, j] = xp.where(_nan(x[:, r, q]), number(n), taps[:, i, j])

    by_planes(choose_planes, x, y, taps)
    return y, taps


def _first(window: Window, axis: int, like: Array) -> tuple[Array, Array]:
    """For each output of an axis the first tap that lies on the image, and the pixel that it reads."""
    xp, d, s, before = namespace(like), window.dilation[axis], window.stride[axis], window.pads[axis][0]
    starts = s * xp.arange(window.output[axis]) - before
    taps = -xp.minimum(starts // d, 0)
    return taps, starts + d * taps


def _nan(x: Array) -> Array:
    """NaN alone is not itself."""
    return real(x) != real(x)


def give_back(dy: Array, taps: Array, window: Window) -> Array:
    """The gradient of ``x`` from the taps that ``choose`` chose: one tap after another, where windows overlap too."""
    xp = namespace(dy)
    dx = (xp.empty if window.tiles else xp.zeros)((*dy.shape[:-2], *window.input), dtype=dy.dtype)

    def give_back_planes(dx: Array, dy: Array, taps: Array) -> None:
        for number, (i, j), (r, q) in _taps(window):
            given = keep(taps[:, i, j] == number, dy[:, i, j])
            if window.disjoint:
                dx[:, r, q] = given
            else:
                dx[:, r, q] += given

    by_planes(give_back_planes, dx, dy, taps)
    return dx


def _taps(window: Window) -> Iterator[tuple[int, tuple[slice, slice], tuple[slice, slice]]]:
    """Each tap's number, the outputs at which it lies on the image, and the pixels that it reads there; row-major."""
    for (k, i, r), (l, j, q) in itertools.product(window.on_image(0), window.on_image(1)):
        yield 1 + k * window.kernel[1] + l, (i, j), (r, q)
