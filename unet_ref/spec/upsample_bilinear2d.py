"""Bilinear upsampling with pixels as squares (``align_corners=False``), index by index."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

from . import scalar
from .index import Tensor, definition, indices, tensor
from .resize import resized


class UpsampleBilinear2dGrads(NamedTuple):
    """The gradient of ``upsample_bilinear2d``, named like its argument."""

    x: Any


@definition
def upsample_bilinear2d(x: Tensor, *, size: Any = None, scale_factor: Any = None) -> Tensor:
    """y[n,c,i,j] = sum over p,q of R[i,p] * S[j,q] * x[n,c,p,q]

    where ``R[i,p] = max(0, 1 - |s - p|)`` is a tent: it falls from 1 to 0 over one input pixel, around the point
    ``s = (i + 1/2) * rh - 1/2`` (held within ``0 .. H - 1``) on which the centre of output row i lies; S for columns.
    """
    *lead, C, H, W = x.shape
    (H_out, W_out), (rh, rw) = resized(x.shape, size, scale_factor, multiples=(1,))
    R, S = tents(H_out, rh, H), tents(W_out, rw, W)

    def y(*index: int) -> Any:
        *n, i, j = index
        total = 0
        for p, q in indices(H, W):
            if R[i][p] and S[j][q]:
                total = total + scalar.constant(R[i][p] * S[j][q], x[*n, p, q]) * x[*n, p, q]
        return total

    return tensor((*lead, C, H_out, W_out), y)


@definition
def upsample_bilinear2d_backward(
    grad_output: Tensor, x: Tensor, *, size: Any = None, scale_factor: Any = None
) -> UpsampleBilinear2dGrads:
    """dx[n,c,p,q] = sum over i,j of R[i,p] * S[j,q] * dy[n,c,i,j]"""
    H, W = x.shape[-2:]
    (H_out, W_out), (rh, rw) = resized(x.shape, size, scale_factor, multiples=(1,))
    R, S = tents(H_out, rh, H), tents(W_out, rw, W)

    def dx(*index: int) -> Any:
        *n, p, q = index
        total = 0
        for i, j in indices(H_out, W_out):
            if R[i][p] and S[j][q]:
                total = total + scalar.constant(R[i][p] * S[j][q], grad_output[*n, i, j]) * grad_output[*n, i, j]
        return total

    return UpsampleBilinear2dGrads(tensor(x.shape, dx))


def tents(output: int, ratio: Fraction, size: int) -> list[list[Fraction]]:
    """``R[i][p]``: the weight that input pixel ``p`` has in output pixel ``i``, along one axis."""
    rows = []
    for i in range(output):
        s = (i + Fraction(1, 2)) * ratio - Fraction(1, 2)
        s = min(max(s, Fraction(0)), Fraction(size - 1))
        rows.append([max(Fraction(0), 1 - abs(s - p)) for p in range(size)])
    return rows
