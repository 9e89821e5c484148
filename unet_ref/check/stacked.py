"""Many copies of a network at once, each with its own parameters: ``ops`` with a leading axis on every weight.

To check a network's gradient coordinate by coordinate one needs its output at thousands of slightly different
parameters. ``Stacked(P, N)`` runs P copies in one pass. Whatever no copy has changed yet is computed once: activations
stay ``(N, C, H, W)`` up to the first changed parameter, and lie as ``(P·N, C, H, W)`` from there on, a larger batch for
every layer whose parameters are the same in all copies. A layer whose parameters differ computes the copies side by
side, as channels.
"""

from __future__ import annotations

import operator
from typing import Any

from .. import ops
from ..backend import Array, namespace
from ..ops.normal import density, distribution


class Stacked:
    """``ops`` for ``copies`` networks on ``batch`` samples: weights are ``(P, ...)``, or ``(1, ...)`` where all agree."""

    def __init__(self, copies: int, batch: int) -> None:
        self.copies, self.batch = copies, batch

    def __getattr__(self, name: str) -> Any:
        return getattr(ops, name)  # without parameters: a larger batch

    def conv2d(self, x: Array, weight: Array, bias: Array | None, **options: Any) -> Array:
        """Of one x: P·O output channels. Of one weight: a larger batch. Else a group for each copy."""
        return self._layer(ops.conv2d, x, weight, bias, options)

    def conv_transpose2d(self, x: Array, weight: Array, bias: Array | None, **options: Any) -> Array:
        """Always in groups where weights differ: its weight has the output channels second."""
        return self._layer(ops.conv_transpose2d, x, weight, bias, options, share_x=False)

    def linear(self, x: Array, weight: Array, bias: Array | None) -> Array:
        """A convolution of 1x1 pixels."""
        return self.conv2d(x[:, :, None, None], weight[..., None, None], bias)[:, :, 0, 0]

    def _layer(
        self, function: Any, x: Array, weight: Array, bias: Array | None, options: Any, *, share_x: bool = True
    ) -> Array:
        if not _differ(weight, bias):
            return function(x, weight[0], None if bias is None else bias[0], **options)
        weight, bias = self._merge(weight), self._merge(bias)
        if share_x and not self._stacked(x):
            return self._outside(function(x, weight, bias, **options))
        return self._outside(function(self._inside(x), weight, bias, groups=self.copies, **options))

    def batch_norm(self, x: Array, *tensors: Array, training: bool) -> Array:
        """Channels are normalised apart, so the copies' channels may stand side by side."""
        if not _differ(*tensors) and not (training and self._stacked(x)):
            return ops.batch_norm(x, *(tensor[0] for tensor in tensors), training=training)
        y = ops.batch_norm(self._inside(x), *map(self._merge, tensors), training=training)
        return self._outside(y)

    def batch_norm_running_stats(self, x: Array, running_mean: Array, running_var: Array) -> tuple[Array, Array]:
        """Not needed for gradients: passed through."""
        del x
        return running_mean, running_var

    def group_norm(self, x: Array, weight: Array, bias: Array, *, num_groups: int) -> Array:
        """So may the copies' groups."""
        if not _differ(weight, bias):
            return ops.group_norm(x, weight[0], bias[0], num_groups=num_groups)
        y = ops.group_norm(self._inside(x), self._merge(weight), self._merge(bias), num_groups=num_groups * self.copies)
        return self._outside(y)

    def gelu(self, x: Array) -> Array:
        """``x Phi(x)`` a tiny imaginary step away, to first order: the second would be 1e-30 of it.

        Phi of complex numbers takes fifty times as long. That the derivative of GELU is this one is verified where the
        operation is; here it is about the place of GELU in a network.
        """
        a = namespace(x).ascontiguousarray(x.real)
        below = distribution(a)
        return a * below + 1j * x.imag * (below + a * density(a))

    def film(self, x: Array, gamma: Array, beta: Array, *, offset: int) -> Array:
        """Some of the three may be the same for all copies."""
        return ops.film(*self._together(x, gamma, beta), offset=offset)

    def concat(self, arrays: tuple[Array, ...], *, axis: int) -> Array:
        """A skip connection may come from before the first difference."""
        return ops.concat(self._together(*arrays), axis=axis)

    def add(self, a: Array, b: Array) -> Array:
        """So may one term of a sum."""
        return operator.add(*self._together(a, b))

    def _stacked(self, x: Array) -> bool:
        return bool(x.shape[0] != self.batch)

    def _together(self, *arrays: Array) -> tuple[Array, ...]:
        """All as ``(P·N, ...)`` where one of them is."""
        if not any(map(self._stacked, arrays)):
            return arrays
        return tuple(x if self._stacked(x) else self._spread(x) for x in arrays)

    def _spread(self, x: Array) -> Array:
        """``(N, ...) -> (P·N, ...)``."""
        return namespace(x).broadcast_to(x, (self.copies, *x.shape)).reshape(-1, *x.shape[1:])

    def _inside(self, x: Array) -> Array:
        """``(P·N, C, ...) -> (N, P·C, ...)``."""
        x = x if self._stacked(x) else self._spread(x)
        split = x.reshape(self.copies, self.batch, *x.shape[1:]).swapaxes(0, 1)
        return split.reshape(self.batch, -1, *x.shape[2:])

    def _outside(self, y: Array) -> Array:
        """``(N, P·O, ...) -> (P·N, O, ...)``."""
        split = y.reshape(self.batch, self.copies, -1, *y.shape[2:]).swapaxes(0, 1)
        return split.reshape(-1, *split.shape[2:])

    def _merge(self, tensor: Array | None) -> Array | None:
        """``(P, O, ...) -> (P·O, ...)``; what all copies share is repeated."""
        if tensor is None:
            return None
        whole = namespace(tensor).broadcast_to(tensor, (self.copies, *tensor.shape[1:]))
        return whole.reshape(-1, *tensor.shape[2:])


def _differ(*tensors: Array | None) -> bool:
    return any(tensor is not None and tensor.shape[0] != 1 for tensor in tensors)
