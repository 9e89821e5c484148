"""Two-dimensional average pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..arithmetic import divide
from ..backend import Array, namespace
from ..errors import ShapeError
from ..operation import operation
from ..spec.avg_pool2d import AvgPool2dGrads
from .pooling import by_planes, pool_window, window_sums, window_sums_adjoint
from .window import Window, check_grad_output, integer


def avg_pool2d_shape(
    x_shape: Sequence[int], *,
    kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,  # noqa: ARG001 (any counting, one shape)
) -> tuple[int, ...]:  # fmt: skip
    """Shape law: ``H' = (H + top + bottom - KH) // sh + 1``, and the same for the width.

    Ceil mode rounds the division up, but drops a last window that would start behind the image.

    >>> avg_pool2d_shape((2, 3, 10, 9), kernel_size=2), avg_pool2d_shape((2, 3, 10, 9), kernel_size=2, ceil_mode=True)
    ((2, 3, 5, 4), (2, 3, 5, 5))
    """
    window, _ = _window("avg_pool2d", x_shape, kernel_size, stride, padding, ceil_mode, divisor_override)
    return (*x_shape[:-2], *window.output)


@operation()
def avg_pool2d(
    x: Array, *,
    kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Array:  # fmt: skip
    """Average pooling: every output pixel is the mean of the input pixels under a window.

    ``y[n,c,i,j] = (sum over k,l of x[n, c, sh*i + k - top, sw*j + l - left]) / divisor(i,j)``, x zero outside the image.

    Shape law: ``(N, C, H, W) -> (N, C, H', W')`` with ``H' = (H + top + bottom - KH) // sh + 1``; ``(C, H, W)`` gives
    ``(C, H', W')``. Ceil mode rounds up, but a last window must start on the image or before it.

    Arguments:
        x: ``(N, C, H, W)`` or ``(C, H, W)``.
        kernel_size: int or ``(h, w)``, at least 1.
        stride: the same; ``None`` means ``kernel_size``.
        padding: int, ``(h, w)`` or ``((top, bottom), (left, right))``; each at most half the kernel.
        ceil_mode: whether a last window may hang over the end.
        count_include_pad: whether the divisor counts the padding under the window, or the pixels of the image alone.
        divisor_override: the divisor, any integer but zero.

    Raises
    ------
        ShapeError: windows that do not fit, too much padding, a divisor of zero; with the rule and the values.
        DTypeError: integers, or anything that is no array.

    Conventions: what hangs over the padding in ceil mode never counts, so that the divisor of a last window may be
    less than ``KH*KW`` with ``count_include_pad`` too, as in PyTorch (several ONNX runtimes divided by ``KH*KW``).
    ONNX's ``count_include_pad`` is off by default, PyTorch's is on.

    Source: PyTorch's ``torch.nn.AvgPool2d``; LeCun et al., *Gradient-based learning applied to document recognition*
    (1998), where subsampling layers average.

    >>> import numpy as np
    >>> x = np.array([[[1.0, 5.0, 2.0], [3.0, 4.0, 9.0]]])
    >>> avg_pool2d(x, kernel_size=2, ceil_mode=True)
    array([[[3.25, 5.5 ]]])
    """
    window, override = _window("avg_pool2d", x.shape, kernel_size, stride, padding, ceil_mode, divisor_override)
    total = namespace(x).zeros((*x.shape[:-2], *window.output), dtype=x.dtype)
    by_planes(lambda x, total: window_sums(x, total, window), x, total)
    return divide(total, _divisor(x, window, count_include_pad, override))


@operation()
def avg_pool2d_backward(
    grad_output: Array, x: Array, *,
    kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> AvgPool2dGrads:  # fmt: skip
    """The gradient of ``avg_pool2d``: every output pixel gives each pixel under its window an equal share.

    ``dx[n,c,r,q] = sum of dy[n,c,i,j] / divisor(i,j) over the windows i,j that hold (r,q)``; of ``x`` only the shape
    matters.

    >>> import numpy as np
    >>> avg_pool2d_backward(np.array([[[4.0, 1.0]]]), np.zeros((1, 2, 3)), kernel_size=2, ceil_mode=True).x
    array([[[1. , 1. , 0.5],
            [1. , 1. , 0.5]]])
    """
    name = "avg_pool2d_backward"
    window, override = _window(name, x.shape, kernel_size, stride, padding, ceil_mode, divisor_override)
    check_grad_output(name, grad_output, (*x.shape[:-2], *window.output))
    share = divide(grad_output, _divisor(x, window, count_include_pad, override))
    dx = namespace(x).zeros(x.shape, dtype=x.dtype)
    by_planes(lambda dx, share: window_sums_adjoint(share, dx, window), dx, share)
    return AvgPool2dGrads(dx)


def _window(
    name: str, x_shape: Sequence[int], kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, override: Any
) -> tuple[Window, int | None]:
    window = pool_window(name, x_shape, kernel_size, stride, padding, 1, ceil_mode)
    if override is None:
        return window, None
    override = integer(name, "divisor_override", override, -(2**62))
    if override == 0:
        raise ShapeError(f"{name}: divisor_override (0) must not be zero")
    return window, override


def _divisor(x: Array, window: Window, count_include_pad: bool, override: int | None) -> Any:
    """``divisor(i,j)``, a product of one count for the rows and one for the columns: ``(H', W')``."""
    if override is not None:
        return override
    rows, columns = (_counts(window, axis, count_include_pad) for axis in (0, 1))
    xp = namespace(x)
    return xp.asarray(rows)[:, None] * xp.asarray(columns)


def _counts(window: Window, axis: int, count_include_pad: bool) -> list[int]:
    """How many pixels each window holds along one axis: with those of the padding, or without."""
    size, kernel, stride, (before, after) = (
        window.input[axis], window.kernel[axis], window.stride[axis], window.pads[axis],
    )  # fmt: skip
    lowest, highest = (-before, size + after) if count_include_pad else (0, size)
    starts = [stride * i - before for i in range(window.output[axis])]
    return [min(start + kernel, highest) - max(start, lowest) for start in starts]
