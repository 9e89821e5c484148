"""Layers with parameters: which operation they are, with which options, and which tensors they own.

A network is a dictionary ``name -> layer``. The names and tensors are those of PyTorch's ``state_dict``, in its order;
the constructors read like PyTorch's. A layer holds no values: those live in the state that the caller passes in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """What all layers have: an operation of ``ops``, its options, and named tensors with their shapes."""

    op: ClassVar[str]

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of the operation."""
        return {}

    def parameters(self) -> dict[str, Shape]:
        """The trained tensors, in PyTorch's order."""
        raise NotImplementedError

    def buffers(self) -> dict[str, Shape]:
        """Tensors of the state that no gradient reaches."""
        return {}

    def bound(self) -> float:
        """PyTorch's default initialisation draws uniformly from ``-bound .. bound``; 0: weight 1, bias 0."""
        return 0.0

    def incoming(self) -> float:
        """How many inputs one output neuron sums: He's initialisation has variance ``2 / incoming``."""
        return 0.0


@dataclass(frozen=True)
class Conv2d(Layer):
    """``weight (O, C, k, k)``, ``bias (O,)``."""

    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    bias: bool = True
    op: ClassVar[str] = "conv2d"

    @property
    def options(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding}

    def parameters(self) -> dict[str, Shape]:
        weight = (self.out_channels, self.in_channels, self.kernel_size, self.kernel_size)
        return {"weight": weight} | ({"bias": (self.out_channels,)} if self.bias else {})

    def bound(self) -> float:
        return 1 / math.sqrt(self.incoming())

    def incoming(self) -> float:
        return self.in_channels * self.kernel_size**2


@dataclass(frozen=True)
class ConvTranspose2d(Layer):
    """``weight (C, O, k, k)``, ``bias (O,)``."""

    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    op: ClassVar[str] = "conv_transpose2d"

    @property
    def options(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding}

    def parameters(self) -> dict[str, Shape]:
        weight = (self.in_channels, self.out_channels, self.kernel_size, self.kernel_size)
        return {"weight": weight, "bias": (self.out_channels,)}

    def bound(self) -> float:  # PyTorch takes weight.shape[1] for the fan-in, whichever way the layer runs
        return 1 / math.sqrt(self.out_channels * self.kernel_size**2)

    def incoming(self) -> float:
        return self.in_channels * (self.kernel_size / self.stride) ** 2


@dataclass(frozen=True)
class Linear(Layer):
    """``weight (out, in)``, ``bias (out,)``."""

    in_features: int
    out_features: int
    op: ClassVar[str] = "linear"

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.out_features, self.in_features), "bias": (self.out_features,)}

    def bound(self) -> float:
        return 1 / math.sqrt(self.in_features)

    def incoming(self) -> float:
        return self.in_features


@dataclass(frozen=True)
class BatchNorm2d(Layer):
    """``weight (C,)``, ``bias (C,)``; running mean and variance, and how many batches they have seen."""

    channels: int
    op: ClassVar[str] = "batch_norm"

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.channels,), "bias": (self.channels,)}

    def buffers(self) -> dict[str, Shape]:
        return {"running_mean": (self.channels,), "running_var": (self.channels,), "num_batches_tracked": ()}


@dataclass(frozen=True)
class GroupNorm(Layer):
    """``weight (C,)``, ``bias (C,)``."""

    num_groups: int
    channels: int
    op: ClassVar[str] = "group_norm"

    @property
    def options(self) -> dict[str, Any]:
        return {"num_groups": self.num_groups}

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.channels,), "bias": (self.channels,)}
