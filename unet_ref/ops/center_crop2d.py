"""The middle of an image: how the paper's U-Net fits a skip connection to the smaller map that it joins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backend import Array, namespace
from ..errors import ShapeError
from ..operation import operation
from ..spec.center_crop2d import CenterCrop2dGrads
from .window import check_grad_output, check_image, pair


def center_crop2d_shape(x_shape: Sequence[int], *, size: Any) -> tuple[int, ...]:
    """Shape law: ``(H', W') = size``, at most ``(H, W)``.

    >>> center_crop2d_shape((2, 64, 568, 568), size=392)
    (2, 64, 392, 392)
    """
    rows, columns = _crop("center_crop2d", x_shape, size)
    return (*x_shape[:-2], rows.stop - rows.start, columns.stop - columns.start)


@operation()
def center_crop2d(x: Array, *, size: Any) -> Array:
    """The middle ``size`` of an image: ``y[n,c,i,j] = x[n, c, i + top, j + left]``.

    ``top = (H - h) // 2`` and ``left = (W - w) // 2`` for ``size = (h, w)``: of an odd difference the larger part is
    cut off below and at the right.

    Shape law: ``(N, C, H, W) -> (N, C, h, w)``; ``(C, H, W)`` gives ``(C, h, w)``.

    Arguments:
        x: ``(N, C, H, W)`` or ``(C, H, W)``.
        size: int or ``(h, w)``, in pixels, at least 1 and at most the image's own.

    Raises
    ------
        ShapeError: sizes that do not fit, with the rule and the values.
        DTypeError: integers, anything that is no array.

    Conventions: torchvision rounds half the difference to the even number, so that its crop starts one pixel later
    where the difference is 3, 7, 11, ...; and it pads with zeros where the crop is larger than the image.

    Source: Ronneberger, Fischer and Brox, *U-Net: Convolutional Networks for Biomedical Image Segmentation* (2015),
    figure 1, "copy and crop".

    >>> import numpy as np
    >>> center_crop2d(np.arange(20.0).reshape(1, 4, 5), size=(2, 2))
    array([[[ 6.,  7.],
            [11., 12.]]])
    """
    rows, columns = _crop("center_crop2d", x.shape, size)
    return x[..., rows, columns].copy()


@operation()
def center_crop2d_backward(grad_output: Array, x: Array, *, size: Any) -> CenterCrop2dGrads:
    """The gradient of ``center_crop2d``: ``grad_output`` in the middle, and zero where pixels were cut off.

    >>> import numpy as np
    >>> center_crop2d_backward(np.array([[[7.0]]]), np.ones((1, 1, 4)), size=1).x
    array([[[0., 7., 0., 0.]]])
    """
    name = "center_crop2d_backward"
    rows, columns = _crop(name, x.shape, size)
    check_grad_output(name, grad_output, (*x.shape[:-2], rows.stop - rows.start, columns.stop - columns.start))
    dx = namespace(x).zeros(x.shape, dtype=x.dtype)
    dx[..., rows, columns] = grad_output
    return CenterCrop2dGrads(dx)


def _crop(name: str, x_shape: Sequence[int], size: Any) -> tuple[slice, slice]:
    """The rows and the columns that stay."""
    check_image(name, x_shape)
    kept = []
    for label, whole, part in zip(("height", "width"), x_shape[-2:], pair(name, "size", size), strict=True):
        if part > whole:
            raise ShapeError(f"{name}: the {label} of size ({part}) must be at most the {label} of x ({whole})")
        start = (whole - part) // 2
        kept.append(slice(start, start + part))
    return kept[0], kept[1]
