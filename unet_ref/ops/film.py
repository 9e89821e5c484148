"""FiLM, feature-wise linear modulation: every channel scaled and shifted by numbers that come from elsewhere."""

from __future__ import annotations

from numbers import Real
from typing import Any

from ..arithmetic import constant
from ..backend import Array, namespace
from ..errors import ShapeError
from ..operation import operation
from ..passes import row_sums
from ..spec.film import FilmGrads
from ..threads import parallel
from .tiles import Tile, rows, tiles
from .window import check_grad_output, check_shape


@operation()
def film(x: Array, gamma: Array, beta: Array, *, offset: Any = 1) -> Array:
    """Feature-wise linear modulation: one factor and one summand for each channel of each sample.

    ``y[n,c,i,j] = (offset + gamma[n,c]) * x[n,c,i,j] + beta[n,c]``

    Shape law: the output has the shape of x.

    Arguments:
        x: ``(N, C, H, W)``, or ``(C, H, W)`` with ``(C,)`` for gamma; any number of axes may follow the channel.
        gamma, beta: ``(N, C)`` or ``(C,)``.
        offset: 1: gamma is how much the factor differs from 1, so that 0 changes nothing; 0: gamma is the factor.

    Raises
    ------
        ShapeError: sizes that do not fit, with the rule and the values.
        DTypeError: arrays of unlike dtype or device, integers, anything that is no array.

    Conventions: Perez et al. and seed 003 multiply by gamma itself (``offset=0``); seed 000, and many others, let gamma
    be the difference from 1 (``offset=1``): where it is 0, nothing is scaled.

    Source: Perez et al., *FiLM: Visual Reasoning with a General Conditioning Layer* (2018).

    >>> import numpy as np
    >>> film(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, -1.0]), np.array([0.5, 0.25]))
    array([[2.5 , 4.5 ],
           [0.25, 0.25]])
    """
    _check("film", x, gamma, beta, offset)
    xp, pixels = namespace(x), rows(x, gamma.ndim)
    scale, shift = _scale(gamma, offset).reshape(*pixels.shape[:2], 1, 1), beta.reshape(*pixels.shape[:2], 1, 1)
    y = xp.empty_like(pixels)

    def work(tile: Tile) -> None:
        part = xp.multiply(pixels[tile], scale[tile], out=y[tile])
        part += shift[tile]

    parallel(work, tiles(pixels))
    return y.reshape(x.shape)


@operation()
def film_backward(grad_output: Array, x: Array, gamma: Array, beta: Array, *, offset: Any = 1) -> FilmGrads:
    """The gradients of ``film``: with ``dy = grad_output``,

    ``dx = (offset + gamma[n,c]) * dy``, ``dgamma[n,c] = sum over i,j of dy * x``, ``dbeta[n,c] = sum over i,j of dy``.

    >>> import numpy as np
    >>> x, dy = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 1.0], [2.0, -1.0]])
    >>> film_backward(dy, x, np.array([1.0, -1.0]), np.array([0.5, 0.25])).gamma
    array([3., 2.])
    """
    name = "film_backward"
    _check(name, x, gamma, beta, offset)
    check_grad_output(name, grad_output, x.shape)
    xp, pixels, dy = namespace(x), rows(x, gamma.ndim), rows(grad_output, gamma.ndim)
    scale = _scale(gamma, offset).reshape(*pixels.shape[:2], 1, 1)
    dx = xp.empty_like(pixels)
    dgamma, dbeta = (xp.zeros(pixels.shape[:3], dtype=x.dtype) for _ in range(2))  # (N, C, 1)

    def work(tile: Tile) -> None:
        dgamma[tile] = row_sums(dy[tile], pixels[tile])[..., 0]
        dbeta[tile] = row_sums(dy[tile])[..., 0]
        xp.multiply(dy[tile], scale[tile], out=dx[tile])

    parallel(work, tiles(pixels))
    return FilmGrads(dx.reshape(x.shape), dgamma.reshape(gamma.shape), dbeta.reshape(beta.shape))


def _scale(gamma: Array, offset: Any) -> Array:
    return gamma + constant(offset, gamma)


def _check(name: str, x: Array, gamma: Array, beta: Array, offset: Any) -> None:
    if gamma.ndim not in (1, 2):
        raise ShapeError(f"{name}: gamma must be (N, C) or (C,), got shape {gamma.shape}")
    rule = "x.shape[:2] =" if gamma.ndim == 2 else "x.shape[:1] ="
    check_shape(name, "gamma", gamma.shape, x.shape[: gamma.ndim], rule)
    check_shape(name, "beta", beta.shape, gamma.shape, "gamma.shape =")
    if not isinstance(offset, Real):
        raise ShapeError(f"{name}: offset ({offset!r}) must be a number")
