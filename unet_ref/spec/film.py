"""FiLM, feature-wise linear modulation: every channel scaled and shifted by numbers from elsewhere, index by index."""

from __future__ import annotations

from typing import Any, NamedTuple

from .index import Tensor, definition, indices, tensor
from .scalar import constant


class FilmGrads(NamedTuple):
    """Gradients of ``film``, named like its arguments."""

    x: Any
    gamma: Any
    beta: Any


@definition
def film(x: Tensor, gamma: Tensor, beta: Tensor, *, offset: Any = 1) -> Tensor:
    """y[n,c,i,j] = (offset + gamma[n,c]) * x[n,c,i,j] + beta[n,c]

    In the code ``nc`` is ``(n, c)``, or ``(c,)`` without a batch, and ``i`` stands for all further indices.
    """

    def y(*index: int) -> Any:
        nc = index[: gamma.ndim]
        return (constant(offset, gamma[nc]) + gamma[nc]) * x[index] + beta[nc]

    return tensor(x.shape, y)


@definition
def film_backward(grad_output: Tensor, x: Tensor, gamma: Tensor, beta: Tensor, *, offset: Any = 1) -> FilmGrads:
    """With dy for ``grad_output``:

    dx[n,c,i,j] = (offset + gamma[n,c]) * dy[n,c,i,j]
    dgamma[n,c] = sum over i,j of dy[n,c,i,j] * x[n,c,i,j]
    dbeta[n,c]  = sum over i,j of dy[n,c,i,j]
    """
    pixels = list(indices(*x.shape[gamma.ndim :]))

    def dx(*index: int) -> Any:
        nc = index[: gamma.ndim]
        return (constant(offset, gamma[nc]) + gamma[nc]) * grad_output[index]

    def dgamma(*nc: int) -> Any:
        return sum(grad_output[*nc, *i] * x[*nc, *i] for i in pixels)

    def dbeta(*nc: int) -> Any:
        return sum(grad_output[*nc, *i] for i in pixels)

    return FilmGrads(tensor(x.shape, dx), tensor(gamma.shape, dgamma), tensor(beta.shape, dbeta))
