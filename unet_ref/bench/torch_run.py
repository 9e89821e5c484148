"""A network's own definition on PyTorch's tensors: autograd goes back where ours goes back by hand.

A network is written once, over a ``run`` with a method for each kind of step. ``Forward`` runs the steps on ``ops``;
``TorchRun`` has the same methods and calls ``torch.nn.functional``, as a user's modules would: batch norm writes into its
running statistics, ReLU and the sum of a residual block go over their input.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..judge.engines.torch import OPERATIONS
from ..models import Model
from ..models.layers import BatchNorm2d, Layer
from ..models.remembering import EPS, MOMENTUM
from ..models.trace import Activation


class Held(NamedTuple):
    """A tensor where the networks expect an array, whose ``size`` is a number."""

    tensor: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return tuple(self.tensor.shape)

    @property
    def size(self) -> int:
        """How many elements."""
        return math.prod(self.shape)


def _step(op: str) -> Callable[..., Activation]:
    def method(_: TorchRun, name: str, x: Activation, **options: Any) -> Activation:
        return _made(name, OPERATIONS[op](x.value.tensor, **options))

    return method


def _made(name: str, tensor: Any) -> Activation:
    return Activation(name, Held(tensor))


class TorchRun:
    """The steps of ``models.run.Forward``, on tensors."""

    def __init__(self, layers: dict[str, Layer], state: dict[str, Any], *, training: bool) -> None:
        self.layers, self.state, self.training = layers, state, training

    def layer(self, name: str, x: Activation) -> Activation:
        """A convolution, linear layer or norm of the network's table of layers."""
        layer, tensor = self.layers[name], x.value.tensor
        weight, bias = (self.state.get(f"{name}.{part}") for part in ("weight", "bias"))
        if not isinstance(layer, BatchNorm2d):
            return _made(name, OPERATIONS[layer.op](tensor, weight, bias, **layer.options))
        if self.training:
            self.state[f"{name}.num_batches_tracked"] += 1
        mean, var = (self.state[f"{name}.running_{part}"] for part in ("mean", "var"))
        batch_norm = importlib.import_module("torch").nn.functional.batch_norm
        return _made(name, batch_norm(tensor, mean, var, weight, bias, self.training, MOMENTUM, EPS))

    def relu(self, name: str, x: Activation) -> Activation:
        """In place."""
        return _made(name, x.value.tensor.relu_())

    gelu, max_pool2d, avg_pool2d = _step("gelu"), _step("max_pool2d"), _step("avg_pool2d")
    adaptive_avg_pool2d, upsample_nearest2d = _step("adaptive_avg_pool2d"), _step("upsample_nearest2d")
    center_crop2d = _step("center_crop2d")

    def concat(self, name: str, first: Activation, second: Activation, **_: int) -> Activation:
        """Channels of the first, then of the second."""
        return _made(name, OPERATIONS["concat"]((first.value.tensor, second.value.tensor), axis=1))

    def film(self, name: str, x: Activation, gamma: Activation, beta: Activation, *, offset: int) -> Activation:
        """(offset + gamma) * x + beta, channel by channel."""
        return _made(name, OPERATIONS["film"](*(a.value.tensor for a in (x, gamma, beta)), offset=offset))

    def zeros(self, name: str, like: Activation, *shape: int) -> Activation:
        """Zeros where an input was left out."""
        return _made(name, like.value.tensor.new_zeros(shape))

    def chunk(self, name: str, x: Activation) -> tuple[Activation, Activation]:
        """The two halves of the channels."""
        first, second = x.value.tensor.chunk(2, 1)
        return _made(name, first), _made(name, second)

    def reshape(self, name: str, x: Activation, *shape: int) -> Activation:
        """The same numbers in another shape."""
        return _made(name, x.value.tensor.reshape(shape))

    def add(self, name: str, a: Activation, b: Activation, *, divisor: float | None = None) -> Activation:
        """``a += b``, or ``(a + b) / divisor``."""
        if divisor is None:
            a.value.tensor.add_(b.value.tensor)
            return a._replace(name=name)
        return _made(name, (a.value.tensor + b.value.tensor) / divisor)


class TorchNetwork:
    """A network of ``models`` with its state in tensors; ``device`` is PyTorch's name for one."""

    def __init__(self, model: Model, state: dict[str, Any], *, device: str = "cpu") -> None:
        self.model, self.torch, self.device = model, importlib.import_module("torch"), device
        buffers = model.buffer_names()
        self.state = {name: self.tensor(array, leaf=name not in buffers) for name, array in state.items()}
        self.parameters = [tensor for name, tensor in self.state.items() if name not in buffers]

    def tensor(self, array: Any, *, leaf: bool = False) -> Any:
        """A copy: batch norm writes into its statistics."""
        tensor = self.torch.from_numpy(array.copy()).to(self.device)
        return tensor.requires_grad_() if leaf else tensor

    def output(self, inputs: Sequence[Any], *, training: bool) -> Any:
        """The forward pass; ``None`` for an input that is left out."""
        run: Any = TorchRun(self.model.layers, self.state, training=training)
        named = zip(self.model.inputs, inputs, strict=True)
        given = [None if tensor is None else _made(name, tensor) for name, tensor in named]
        return self.model._forward(run, *given).value.tensor

    def forward(self, inputs: Sequence[Any]) -> Any:
        """Evaluation, where no gradient will be wanted."""
        with self.torch.no_grad():
            return self.output(inputs, training=False)

    def both(self, inputs: Sequence[Any], grad_output: Any) -> Any:
        """Training: the output, and the gradients of all parameters, then of the inputs."""
        y = self.output(inputs, training=True)
        return y, self.torch.autograd.grad(y, [*self.parameters, *inputs], grad_output)
