"""The binary cross-entropy between targets and the sigmoid of logits."""

from __future__ import annotations

from collections.abc import Sequence

from ..arithmetic import log
from ..backend import Array, namespace
from ..operation import operation
from ..passes import negative_part
from ..spec.binary_cross_entropy_with_logits import BinaryCrossEntropyWithLogitsGrads
from .elementwise import each_of
from .loss import check_same_shape, mean_of, share
from .sigmoid import decay, sigma
from .window import check_grad_output


def binary_cross_entropy_with_logits_shape(x_shape: Sequence[int], target_shape: Sequence[int]) -> tuple[()]:
    """Shape law: equal shapes in, one number out.

    >>> binary_cross_entropy_with_logits_shape((2, 1, 4, 4), (2, 1, 4, 4))
    ()
    """
    return check_same_shape("binary_cross_entropy_with_logits", x_shape, target_shape)


@operation()
def binary_cross_entropy_with_logits(x: Array, target: Array) -> Array:
    """Binary cross-entropy: ``y = mean over i of -(t log(s) + (1 - t) log(1 - s))`` with ``s = sigmoid(x[i])``.

    Computed as ``(1 - t) x + max(-x, 0) + log(1 + exp(-|x|))``, the same without overflow and without ``log(0)``.

    Shape law: equal shapes in, ``()`` out.

    Arguments:
        x: logits, any shape.
        target: t, the shape of x and a floating dtype; from 0 to 1 in use, though any number works.

    Raises
    ------
        ShapeError: shapes that differ.
        DTypeError: arrays of unlike dtype or device, integers, anything that is no array.

    Conventions: the mean over all elements. x is the logit; libraries also have a loss that takes ``s`` itself. Neither
    weights nor ``pos_weight``. The mean of nothing is NaN.

    Source: Good, *Rational decisions* (1952), for the logarithmic score.

    >>> import numpy as np
    >>> binary_cross_entropy_with_logits(np.array([0.0, 1000.0]), np.array([1.0, 0.0])).round(6)
    np.float64(500.346574)
    """
    check_same_shape("binary_cross_entropy_with_logits", x.shape, target.shape)
    return mean_of(lambda x, t: (_entropy(x, t),), x, target)


@operation()
def binary_cross_entropy_with_logits_backward(
    grad_output: Array, x: Array, target: Array
) -> BinaryCrossEntropyWithLogitsGrads:
    """The gradients: ``dx = dy * (sigmoid(x) - target) / M`` with M elements, and ``dtarget = -dy * x / M``.

    >>> import numpy as np
    >>> grads = binary_cross_entropy_with_logits_backward(np.array(2.0), np.array([0.0, 3.0]), np.array([1.0, 1.0]))
    >>> grads.x.round(6), grads.target
    (array([-0.5     , -0.047426]), array([-0., -3.]))
    """
    name = "binary_cross_entropy_with_logits_backward"
    check_grad_output(name, grad_output, check_same_shape(name, x.shape, target.shape))
    scale = share(grad_output, x.size)
    return BinaryCrossEntropyWithLogitsGrads(*each_of(2, lambda x, t: ((sigma(x) - t) * scale, -x * scale), x, target))


def _entropy(x: Array, t: Array) -> Array:
    """``(1 - t) x + max(-x, 0) + log(1 + e)`` with ``e = exp(-|x|)``."""
    e = decay(x)
    # log1p keeps what 1 + e would round away; CuPy has none for complex numbers, and exact scalars need none.
    softplus = namespace(x).log1p(e) if x.dtype.kind == "f" else log(1 + e)
    return (1 - t) * x + negative_part(x) + softplus
