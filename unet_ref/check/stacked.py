"""Many copies of a network at once, each with its own parameters: ``ops`` with a leading axis on every weight.

To check a network's gradient coordinate by coordinate one needs its output at thousands of slightly different
parameters. ``Stacked(P)`` runs P copies in one pass: activations lie as ``(P*N, C, H, W)``, so that everything without
parameters is simply a larger batch; a layer with parameters moves the copies into the channels and computes them as
groups, each with its own weight.
"""

from __future__ import annotations

from typing import Any

from .. import ops
from ..backend import Array


class Stacked:
    """``ops`` for ``copies`` networks: weights are ``(P, ...)``, activations ``(P*N, ...)``."""

    def __init__(self, copies: int) -> None:
        self.copies = copies

    def __getattr__(self, name: str) -> Any:
        return getattr(ops, name)  # without parameters: a larger batch

    def conv2d(self, x: Array, weight: Array, bias: Array | None, **options: Any) -> Array:
        """A group for each copy: ``(N, P·C, H, W)`` with ``(P·O, C, KH, KW)``."""
        y = ops.conv2d(self._inside(x), _merge(weight), _merge(bias), groups=self.copies, **options)
        return self._outside(y)

    def conv_transpose2d(self, x: Array, weight: Array, bias: Array | None, **options: Any) -> Array:
        """A group for each copy: ``(N, P·C, H, W)`` with ``(P·C, O, KH, KW)``."""
        y = ops.conv_transpose2d(self._inside(x), _merge(weight), _merge(bias), groups=self.copies, **options)
        return self._outside(y)

    def linear(self, x: Array, weight: Array, bias: Array | None) -> Array:
        """A convolution of 1x1 pixels."""
        y = self.conv2d(x[:, :, None, None], weight[..., None, None], bias)
        return y[:, :, 0, 0]

    def batch_norm(self, x: Array, *tensors: Array, training: bool) -> Array:
        """Channels are normalised apart, so the copies' channels may stand side by side."""
        return self._outside(ops.batch_norm(self._inside(x), *map(_merge, tensors), training=training))

    def batch_norm_running_stats(self, x: Array, running_mean: Array, running_var: Array) -> tuple[Array, Array]:
        """Not needed for gradients: passed through."""
        del x
        return running_mean, running_var

    def group_norm(self, x: Array, weight: Array, bias: Array, *, num_groups: int) -> Array:
        """So may the copies' groups."""
        y = ops.group_norm(self._inside(x), _merge(weight), _merge(bias), num_groups=num_groups * self.copies)
        return self._outside(y)

    def _inside(self, x: Array) -> Array:
        """``(P·N, C, ...) -> (N, P·C, ...)``."""
        split = x.reshape(self.copies, -1, *x.shape[1:]).swapaxes(0, 1)
        return split.reshape(split.shape[0], -1, *x.shape[2:])

    def _outside(self, y: Array) -> Array:
        """``(N, P·O, ...) -> (P·N, O, ...)``."""
        split = y.reshape(y.shape[0], self.copies, -1, *y.shape[2:]).swapaxes(0, 1)
        return split.reshape(-1, *split.shape[2:])


def _merge(tensor: Array | None) -> Array | None:
    """``(P, O, ...) -> (P·O, ...)``."""
    return None if tensor is None else tensor.reshape(-1, *tensor.shape[2:])
