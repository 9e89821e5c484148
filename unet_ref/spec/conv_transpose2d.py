"""Two-dimensional transposed convolution (the adjoint of convolution, not its inverse), index by index."""

from __future__ import annotations

from typing import Any, NamedTuple

from .index import Tensor, definition, indices, pads, pair, tensor


class ConvTranspose2dGrads(NamedTuple):
    """Gradients of ``conv_transpose2d``, named like its arguments; ``bias`` is ``None`` where there was none."""

    x: Any
    weight: Any
    bias: Any


@definition
def conv_transpose2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *,
    stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """y[n,o,r,q] = bias[o] + sum of weight[c, o mod O/G, k, l] * x[n,c,i,j] over the c of o's group and all (k,i), (l,j)
                    with  sh*i + dh*k - top == r  and  sw*j + dw*l - left == q

    Every input pixel paints the kernel, times its value, onto the output at ``stride`` times its place; the pads cut
    the picture off at its sides, and ``output_padding`` keeps more rows below and more columns to the right of it.
    """
    *lead, C, H, W = x.shape
    Og, KH, KW = weight.shape[1:]
    (sh, sw), (dh, dw), (row_more, column_more) = pair(stride), pair(dilation), pair(output_padding)
    (top, bottom), (left, right) = pads(padding)
    H_out = sh * (H - 1) + dh * (KH - 1) + 1 + row_more - top - bottom
    W_out = sw * (W - 1) + dw * (KW - 1) + 1 + column_more - left - right

    def y(*index: int) -> Any:
        *n, o, r, q = index
        g, o_in_group = divmod(o, Og)
        total = 0 if bias is None else bias[o]
        for k, l in indices(KH, KW):
            i, i_rest = divmod(r + top - dh * k, sh)
            j, j_rest = divmod(q + left - dw * l, sw)
            if i_rest == 0 and j_rest == 0 and 0 <= i < H and 0 <= j < W:
                for c in range(g * (C // groups), (g + 1) * (C // groups)):
                    total = total + weight[c, o_in_group, k, l] * x[*n, c, i, j]
        return total

    return tensor((*lead, Og * groups, H_out, W_out), y)


@definition
def conv_transpose2d_backward(
    grad_output: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None = None, *,
    stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> ConvTranspose2dGrads:  # fmt: skip
    """With dy for ``grad_output``, zero outside the image, and g = c // (C/G), the group of the input channel:

    dx[n,c,i,j]      = sum over o,k,l of weight[c,o,k,l] * dy[n, g*(O/G)+o, sh*i + dh*k - top, sw*j + dw*l - left]
    dweight[c,o,k,l] = sum over n,i,j of x[n,c,i,j] * dy[n, g*(O/G)+o, sh*i + dh*k - top, sw*j + dw*l - left]
    dbias[o]         = sum over n,r,q of dy[n,o,r,q], the rows and columns of the output padding too

    ``output_padding`` is not read: it is in the shape of dy.
    """
    del output_padding
    *lead, C, H, W = x.shape
    Og, KH, KW = weight.shape[1:]
    H_out, W_out = grad_output.shape[-2:]
    (sh, sw), (dh, dw) = pair(stride), pair(dilation)
    (top, _), (left, _) = pads(padding)

    def painted(n: list[int], c: int, o: int, i: int, j: int, k: int, l: int) -> Any:
        """The gradient at the output pixel that tap (k, l) of the input pixel (i, j) was painted on."""
        row, column = sh * i + dh * k - top, sw * j + dw * l - left
        g = c // (C // groups)
        return grad_output[*n, g * Og + o, row, column] if 0 <= row < H_out and 0 <= column < W_out else 0

    def dx(*index: int) -> Any:
        *n, c, i, j = index
        return sum(weight[c, o, k, l] * painted(n, c, o, i, j, k, l) for o, k, l in indices(Og, KH, KW))

    def dweight(c: int, o: int, k: int, l: int) -> Any:
        return sum(x[*n, c, i, j] * painted(n, c, o, i, j, k, l) for *n, i, j in indices(*lead, H, W))

    def dbias(o: int) -> Any:
        return sum(grad_output[*n, o, r, q] for *n, r, q in indices(*lead, H_out, W_out))

    return ConvTranspose2dGrads(
        tensor((*lead, C, H, W), dx),
        tensor((C, Og, KH, KW), dweight),
        None if bias is None else tensor((Og * groups,), dbias),
    )
