"""Two-dimensional convolution (cross-correlation, as in every deep-learning library), index by index."""

from __future__ import annotations

from typing import Any, NamedTuple

from .index import Tensor, definition, indices, pads, pair, tensor


class Conv2dGrads(NamedTuple):
    """Gradients of ``conv2d``, named like its arguments; ``bias`` is ``None`` where there was none."""

    x: Any
    weight: Any
    bias: Any


@definition
def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *,
    stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """y[n,o,i,j] = bias[o] + sum over c,k,l of weight[o,c,k,l] * x[n, g*(C/G)+c, sh*i + dh*k - top, sw*j + dw*l - left]

    where ``g = o // (O/G)`` is the group of the output channel, and x is zero outside the image.
    """
    *lead, _, H, W = x.shape
    O, Cg, KH, KW = weight.shape
    (sh, sw), (dh, dw) = pair(stride), pair(dilation)
    (top, bottom), (left, right) = pads(padding, (KH, KW), dilation)
    H_out = (H + top + bottom - dh * (KH - 1) - 1) // sh + 1
    W_out = (W + left + right - dw * (KW - 1) - 1) // sw + 1

    def y(*index: int) -> Any:
        *n, o, i, j = index
        g = o // (O // groups)
        total = 0 if bias is None else bias[o]
        for c, k, l in indices(Cg, KH, KW):
            row, column = sh * i + dh * k - top, sw * j + dw * l - left
            if 0 <= row < H and 0 <= column < W:
                total = total + weight[o, c, k, l] * x[*n, g * Cg + c, row, column]
        return total

    return tensor((*lead, O, H_out, W_out), y)


@definition
def conv2d_backward(
    grad_output: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None = None, *,
    stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> Conv2dGrads:  # fmt: skip
    """With dy for ``grad_output``, each sum over the pixels that the forward pass multiplied:

    dx[n,c,r,q]      = sum of weight[o, c mod C/G, k, l] * dy[n,o,i,j] over the o of c's group and all (k,i), (l,j)
                       with  sh*i + dh*k - top == r  and  sw*j + dw*l - left == q
    dweight[o,c,k,l] = sum over n,i,j of dy[n,o,i,j] * x[n, g*(C/G)+c, sh*i + dh*k - top, sw*j + dw*l - left]
    dbias[o]         = sum over n,i,j of dy[n,o,i,j]
    """
    *lead, C, H, W = x.shape
    O, Cg, KH, KW = weight.shape
    H_out, W_out = grad_output.shape[-2:]
    (sh, sw), (dh, dw) = pair(stride), pair(dilation)
    (top, _), (left, _) = pads(padding, (KH, KW), dilation)

    def dx(*index: int) -> Any:
        *n, c, r, q = index
        g, c_in_group = divmod(c, Cg)
        total = 0
        for k, l in indices(KH, KW):
            i, i_rest = divmod(r + top - dh * k, sh)
            j, j_rest = divmod(q + left - dw * l, sw)
            if i_rest == 0 and j_rest == 0 and 0 <= i < H_out and 0 <= j < W_out:
                for o in range(g * (O // groups), (g + 1) * (O // groups)):
                    total = total + weight[o, c_in_group, k, l] * grad_output[*n, o, i, j]
        return total

    def dweight(o: int, c: int, k: int, l: int) -> Any:
        g = o // (O // groups)
        total = 0
        for *n, i, j in indices(*lead, H_out, W_out):
            row, column = sh * i + dh * k - top, sw * j + dw * l - left
            if 0 <= row < H and 0 <= column < W:
                total = total + grad_output[*n, o, i, j] * x[*n, g * Cg + c, row, column]
        return total

    def dbias(o: int) -> Any:
        return sum(grad_output[*n, o, i, j] for *n, i, j in indices(*lead, H_out, W_out))

    return Conv2dGrads(
        tensor((*lead, C, H, W), dx),
        tensor((O, Cg, KH, KW), dweight),
        None if bias is None else tensor((O,), dbias),
    )
