"""The blocks that networks are made of: a table of layers, forward and backward, side by side.

``name`` is where the block sits in the network, as in PyTorch's ``state_dict``; numbers count the entries of a
``Sequential``, those without parameters too.
"""

from __future__ import annotations

from typing import Any

from .layers import BatchNorm2d, Conv2d, ConvTranspose2d, Layer, Linear
from .run import Backward, Forward
from .trace import Activation


class DoubleConv:
    """(convolution 3x3, batch norm, ReLU) twice."""

    def __init__(self, name: str, in_channels: int, out_channels: int, *, bias: bool = False) -> None:
        self.name = name
        self.layers: dict[str, Layer] = {
            f"{name}.0": Conv2d(in_channels, out_channels, 3, padding=1, bias=bias),
            f"{name}.1": BatchNorm2d(out_channels),
            f"{name}.3": Conv2d(out_channels, out_channels, 3, padding=1, bias=bias),
            f"{name}.4": BatchNorm2d(out_channels),
        }

    def forward(self, run: Forward, x: Activation) -> Activation:
        """The two convolutions in order."""
        x = run.layer(f"{self.name}.0", x)
        x = run.layer(f"{self.name}.1", x)
        x = run.relu(f"{self.name}.2", x)
        x = run.layer(f"{self.name}.3", x)
        x = run.layer(f"{self.name}.4", x)
        return run.relu(f"{self.name}.5", x)

    def backward(self, run: Backward, grad: Any) -> Any:
        """The same from the bottom up."""
        grad = run.relu(f"{self.name}.5", grad)
        grad = run.layer(f"{self.name}.4", grad)
        grad = run.layer(f"{self.name}.3", grad)
        grad = run.relu(f"{self.name}.2", grad)
        grad = run.layer(f"{self.name}.1", grad)
        return run.layer(f"{self.name}.0", grad)


class PlainDoubleConv:
    """(convolution 3x3, ReLU) twice, as in the U-Net paper; without padding each takes a pixel off every side."""

    def __init__(self, name: str, in_channels: int, out_channels: int, padding: int) -> None:
        self.name = name
        self.layers: dict[str, Layer] = {
            f"{name}.0": Conv2d(in_channels, out_channels, 3, padding=padding),
            f"{name}.2": Conv2d(out_channels, out_channels, 3, padding=padding),
        }

    def forward(self, run: Forward, x: Activation) -> Activation:
        """The two convolutions in order."""
        x = run.layer(f"{self.name}.0", x)
        x = run.relu(f"{self.name}.1", x)
        x = run.layer(f"{self.name}.2", x)
        return run.relu(f"{self.name}.3", x)

    def backward(self, run: Backward, grad: Any) -> Any:
        """The same from the bottom up."""
        grad = run.relu(f"{self.name}.3", grad)
        grad = run.layer(f"{self.name}.2", grad)
        grad = run.relu(f"{self.name}.1", grad)
        return run.layer(f"{self.name}.0", grad)


class Bottleneck:
    """ResNet's block: 1x1, 3x3 (with the stride), 1x1 convolutions, each with batch norm, plus the shortcut."""

    def __init__(self, name: str, in_channels: int, width: int, stride: int) -> None:
        self.name = name
        self.out_channels = 4 * width
        self.projects = stride != 1 or in_channels != self.out_channels
        self.layers: dict[str, Layer] = {
            f"{name}.conv1": Conv2d(in_channels, width, 1, bias=False),
            f"{name}.bn1": BatchNorm2d(width),
            f"{name}.conv2": Conv2d(width, width, 3, stride=stride, padding=1, bias=False),
            f"{name}.bn2": BatchNorm2d(width),
            f"{name}.conv3": Conv2d(width, self.out_channels, 1, bias=False),
            f"{name}.bn3": BatchNorm2d(self.out_channels),
        }
        if self.projects:
            self.layers |= {
                f"{name}.downsample.0": Conv2d(in_channels, self.out_channels, 1, stride=stride, bias=False),
                f"{name}.downsample.1": BatchNorm2d(self.out_channels),
            }

    def forward(self, run: Forward, x: Activation) -> Activation:
        """The three convolutions, the shortcut, their sum."""
        y = run.layer(f"{self.name}.conv1", x)
        y = run.layer(f"{self.name}.bn1", y)
        y = run.relu(f"{self.name}.relu1", y)
        y = run.layer(f"{self.name}.conv2", y)
        y = run.layer(f"{self.name}.bn2", y)
        y = run.relu(f"{self.name}.relu2", y)
        y = run.layer(f"{self.name}.conv3", y)
        y = run.layer(f"{self.name}.bn3", y)
        if self.projects:
            x = run.layer(f"{self.name}.downsample.0", x)
            x = run.layer(f"{self.name}.downsample.1", x)
        y = run.add(f"{self.name}.add", y, x)
        return run.relu(f"{self.name}.relu", y)

    def backward(self, run: Backward, grad: Any) -> Any:
        """Both terms of the sum get the gradient; x gets the gradients of both ways."""
        grad = run.relu(f"{self.name}.relu", grad)
        grad = grad_x = run.add(f"{self.name}.add", grad)
        if self.projects:
            grad_x = run.layer(f"{self.name}.downsample.1", grad_x)
            grad_x = run.layer(f"{self.name}.downsample.0", grad_x)
        grad = run.layer(f"{self.name}.bn3", grad)
        grad = run.layer(f"{self.name}.conv3", grad)
        grad = run.relu(f"{self.name}.relu2", grad)
        grad = run.layer(f"{self.name}.bn2", grad)
        grad = run.layer(f"{self.name}.conv2", grad)
        grad = run.relu(f"{self.name}.relu1", grad)
        grad = run.layer(f"{self.name}.bn1", grad)
        grad = run.layer(f"{self.name}.conv1", grad)
        return run.join(grad, grad_x)


class Stage:
    """Blocks one after another: ``name.0``, ``name.1``, ..."""

    def __init__(self, name: str, in_channels: int, width: int, blocks: int, stride: int) -> None:
        widths = [in_channels] + [4 * width] * (blocks - 1)
        strides = [stride] + [1] * (blocks - 1)
        self.blocks = [
            Bottleneck(f"{name}.{k}", channels, width, s)
            for k, (channels, s) in enumerate(zip(widths, strides, strict=True))
        ]
        self.layers: dict[str, Layer] = {n: layer for block in self.blocks for n, layer in block.layers.items()}

    def forward(self, run: Forward, x: Activation) -> Activation:
        """First to last."""
        for block in self.blocks:
            x = block.forward(run, x)
        return x

    def backward(self, run: Backward, grad: Any) -> Any:
        """Last to first."""
        for block in reversed(self.blocks):
            grad = block.backward(run, grad)
        return grad


class ResidualConv:
    """(convolution 3x3, batch norm, GELU) twice; with ``is_res`` the sum with the (projected) input, over 1.414."""

    def __init__(self, name: str, in_channels: int, out_channels: int, *, is_res: bool = False) -> None:
        self.name, self.is_res, self.projects = name, is_res, is_res and in_channels != out_channels
        self.layers: dict[str, Layer] = {
            f"{name}.conv1.0": Conv2d(in_channels, out_channels, 3, padding=1),
            f"{name}.conv1.1": BatchNorm2d(out_channels),
            f"{name}.conv2.0": Conv2d(out_channels, out_channels, 3, padding=1),
            f"{name}.conv2.1": BatchNorm2d(out_channels),
        }
        if self.projects:
            self.layers[f"{name}.shortcut"] = Conv2d(in_channels, out_channels, 1)

    def forward(self, run: Forward, x: Activation) -> Activation:
        """The two convolutions, and the sum."""
        y = run.layer(f"{self.name}.conv1.0", x)
        y = run.layer(f"{self.name}.conv1.1", y)
        y = run.gelu(f"{self.name}.conv1.2", y)
        y = run.layer(f"{self.name}.conv2.0", y)
        y = run.layer(f"{self.name}.conv2.1", y)
        y = run.gelu(f"{self.name}.conv2.2", y)
        if not self.is_res:
            return y
        if self.projects:
            x = run.layer(f"{self.name}.shortcut", x)
        return run.add(f"{self.name}.add", x, y, divisor=1.414)

    def backward(self, run: Backward, grad: Any) -> Any:
        """The same from the bottom up."""
        grad_x = None
        if self.is_res:
            grad = grad_x = run.add(f"{self.name}.add", grad)
        if self.projects:
            grad_x = run.layer(f"{self.name}.shortcut", grad_x)
        grad = run.gelu(f"{self.name}.conv2.2", grad)
        grad = run.layer(f"{self.name}.conv2.1", grad)
        grad = run.layer(f"{self.name}.conv2.0", grad)
        grad = run.gelu(f"{self.name}.conv1.2", grad)
        grad = run.layer(f"{self.name}.conv1.1", grad)
        grad = run.layer(f"{self.name}.conv1.0", grad)
        return grad if grad_x is None else run.join(grad, grad_x)


class UnetDown:
    """Two residual-conv blocks (without the sum), then a 2x2 max pool."""

    def __init__(self, name: str, in_channels: int, out_channels: int) -> None:
        self.name = name
        self.first = ResidualConv(f"{name}.model.0", in_channels, out_channels)
        self.second = ResidualConv(f"{name}.model.1", out_channels, out_channels)
        self.layers = self.first.layers | self.second.layers

    def forward(self, run: Forward, x: Activation) -> Activation:
        """Convolve, then halve."""
        x = self.first.forward(run, x)
        x = self.second.forward(run, x)
        return run.max_pool2d(f"{self.name}.model.2", x, kernel_size=2)

    def backward(self, run: Backward, grad: Any) -> Any:
        """The same from the bottom up."""
        grad = run.max_pool2d(f"{self.name}.model.2", grad)
        grad = self.second.backward(run, grad)
        return self.first.backward(run, grad)


class UnetUp:
    """Concatenate (x, skip), double by a transposed convolution, two residual-conv blocks (without the sum)."""

    def __init__(self, name: str, in_channels: int, out_channels: int, level: int) -> None:
        self.name, self.level = name, level
        self.first = ResidualConv(f"{name}.model.1", out_channels, out_channels)
        self.second = ResidualConv(f"{name}.model.2", out_channels, out_channels)
        up: dict[str, Layer] = {f"{name}.model.0": ConvTranspose2d(in_channels, out_channels, 2, stride=2)}
        self.layers = up | self.first.layers | self.second.layers

    def forward(self, run: Forward, x: Activation, skip: Activation) -> Activation:
        """Join, double, convolve."""
        x = run.concat(f"{self.name}.concat", x, skip, level=self.level, skip=1)
        x = run.layer(f"{self.name}.model.0", x)
        x = self.first.forward(run, x)
        return self.second.forward(run, x)

    def backward(self, run: Backward, grad: Any) -> tuple[Any, Any]:
        """The gradients of x and of the skip."""
        grad = self.second.backward(run, grad)
        grad = self.first.backward(run, grad)
        grad = run.layer(f"{self.name}.model.0", grad)
        return run.concat(f"{self.name}.concat", grad)


class EmbedFC:
    """Linear, GELU, linear: a vector from a number or a label."""

    def __init__(self, name: str, in_features: int, out_features: int) -> None:
        self.name, self.in_features = name, in_features
        self.layers: dict[str, Layer] = {
            f"{name}.model.0": Linear(in_features, out_features),
            f"{name}.model.2": Linear(out_features, out_features),
        }

    def forward(self, run: Forward, x: Activation) -> Activation:
        """``(N, ...) -> (N, out_features)``."""
        x = run.reshape(f"{self.name}.view", x, x.shape[0], self.in_features)
        x = run.layer(f"{self.name}.model.0", x)
        x = run.gelu(f"{self.name}.model.1", x)
        return run.layer(f"{self.name}.model.2", x)

    def backward(self, run: Backward, grad: Any) -> Any:
        """The same from the bottom up."""
        grad = run.layer(f"{self.name}.model.2", grad)
        grad = run.gelu(f"{self.name}.model.1", grad)
        grad = run.layer(f"{self.name}.model.0", grad)
        return run.reshape(f"{self.name}.view", grad)
