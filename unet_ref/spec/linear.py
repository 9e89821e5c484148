"""The fully connected layer, index by index."""

from __future__ import annotations

from typing import Any, NamedTuple

from .index import Tensor, definition, indices, tensor


class LinearGrads(NamedTuple):
    """Gradients of ``linear``, named like its arguments; ``bias`` is ``None`` where there was none."""

    x: Any
    weight: Any
    bias: Any


@definition
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y[n,o] = bias[o] + sum over i of weight[o,i] * x[n,i], where n stands for all the leading axes of x."""
    *lead, I = x.shape
    O = weight.shape[0]

    def y(*index: int) -> Any:
        *n, o = index
        total = 0 if bias is None else bias[o]
        for i in range(I):
            total = total + weight[o, i] * x[*n, i]
        return total

    return tensor((*lead, O), y)


@definition
def linear_backward(grad_output: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> LinearGrads:
    """With dy for ``grad_output``:

    dx[n,i]      = sum over o of weight[o,i] * dy[n,o]
    dweight[o,i] = sum over n of dy[n,o] * x[n,i]
    dbias[o]     = sum over n of dy[n,o]
    """
    *lead, I = x.shape
    O = weight.shape[0]

    def dx(*index: int) -> Any:
        *n, i = index
        return sum(weight[o, i] * grad_output[*n, o] for o in range(O))

    def dweight(o: int, i: int) -> Any:
        return sum(grad_output[*n, o] * x[*n, i] for n in indices(*lead))

    def dbias(o: int) -> Any:
        return sum(grad_output[*n, o] for n in indices(*lead))

    return LinearGrads(
        tensor((*lead, I), dx),
        tensor((O, I), dweight),
        None if bias is None else tensor((O,), dbias),
    )
