"""U-Net on ResNet-50's middle (seed 002): three plain encoder layers, ResNet's layer2 and layer3, four decoder layers."""

from __future__ import annotations

from typing import Any

from ..errors import ShapeError
from .blocks import DoubleConv, Stage
from .layers import BatchNorm2d, Conv2d, Layer
from .model import Model, check_naturals, gather
from .run import Backward, Forward
from .trace import Activation

UNUSED = "decoder.decoder_layers.4."  # the seed prints this entry, but its shapes fit nowhere on the path


class EncoderLayer:
    """Convolution 3x3 with bias, batch norm, max pool 3x3; no ReLU, as the seed has it."""

    def __init__(self, name: str, in_channels: int, out_channels: int, pool_stride: int) -> None:
        self.name, self.pool_stride = name, pool_stride
        self.layers: dict[str, Layer] = {
            f"{name}.0": Conv2d(in_channels, out_channels, 3, padding=1),
            f"{name}.1": BatchNorm2d(out_channels),
        }

    def forward(self, run: Forward, x: Activation) -> Activation:
        """Convolve, normalise, pool."""
        x = run.layer(f"{self.name}.0", x)
        x = run.layer(f"{self.name}.1", x)
        return run.max_pool2d(f"{self.name}.2", x, kernel_size=3, stride=self.pool_stride, padding=1)

    def backward(self, run: Backward, grad: Any) -> Any:
        """The same from the bottom up."""
        grad = run.max_pool2d(f"{self.name}.2", grad)
        grad = run.layer(f"{self.name}.1", grad)
        return run.layer(f"{self.name}.0", grad)


class DecoderLayer:
    """Double the size and halve the channels, join the skip, convolve twice."""

    def __init__(self, name: str, level: int, previous: int, skip: int, conv_in: int, out_channels: int) -> None:
        check_channel_rule(name, previous, skip, conv_in)
        self.name, self.level = name, level
        self.layers: dict[str, Layer] = {
            f"{name}.Up.up.1": Conv2d(previous, previous // 2, 3, padding=1),
            f"{name}.Up.up.2": BatchNorm2d(previous // 2),
        }
        self.conv = DoubleConv(f"{name}.Conv.conv", conv_in, out_channels, bias=True)
        self.layers |= self.conv.layers

    def forward(self, run: Forward, x: Activation, skip: Activation) -> Activation:
        """Up, concatenate (skip first), convolve."""
        x = run.upsample_nearest2d(f"{self.name}.Up.up.0", x, scale_factor=2)
        x = run.layer(f"{self.name}.Up.up.1", x)
        x = run.layer(f"{self.name}.Up.up.2", x)
        x = run.relu(f"{self.name}.Up.up.3", x)
        x = run.concat(f"{self.name}.concat", skip, x, level=self.level, skip=0)
        return self.conv.forward(run, x)

    def backward(self, run: Backward, grad: Any) -> tuple[Any, Any]:
        """The gradients of x and of the skip."""
        grad = self.conv.backward(run, grad)
        grad_skip, grad = run.concat(f"{self.name}.concat", grad)
        grad = run.relu(f"{self.name}.Up.up.3", grad)
        grad = run.layer(f"{self.name}.Up.up.2", grad)
        grad = run.layer(f"{self.name}.Up.up.1", grad)
        return run.upsample_nearest2d(f"{self.name}.Up.up.0", grad), grad_skip


def check_channel_rule(name: str, previous: int, skip: int, conv_in: int) -> None:
    """The seed's rule ``C_in = C_out of the layer before // 2 + C of the skip``.

    >>> check_channel_rule("decoder.decoder_layers.1", 512, 256, 512)
    """
    if conv_in != previous // 2 + skip:
        raise ShapeError(
            f"{name}: the convolution's input channels ({conv_in}) must be the previous layer's output // 2 + the "
            f"skip's channels ({previous} // 2 + {skip} = {previous // 2 + skip})"
        )


class ResNetUNet(Model):
    """Encoder maps x1 .. x5 (strides 1, 2, 4, 8, 16), decoded back to full resolution."""

    multiple = 16

    def __init__(self, in_channels: int = 1, out_channels: int = 2, base_channels: int = 64) -> None:
        check_naturals("ResNetUNet", in_channels=in_channels, out_channels=out_channels, base_channels=base_channels)
        widths = [base_channels * 2**k for k in range(5)]
        self.encoder: list[EncoderLayer | Stage] = [
            EncoderLayer("encoder.layer1", in_channels, widths[0], pool_stride=1),
            EncoderLayer("encoder.layer2", widths[0], widths[1], pool_stride=2),
            EncoderLayer("encoder.layer3", widths[1], widths[2], pool_stride=2),
            Stage("encoder.layer4", widths[2], widths[1], blocks=4, stride=2),
            Stage("encoder.layer5", widths[3], widths[2], blocks=6, stride=2),
        ]
        self.decoder = [
            DecoderLayer(
                f"decoder.decoder_layers.{k}", 4 - k, widths[4 - k], widths[3 - k], widths[4 - k], widths[3 - k]
            )
            for k in range(4)
        ]
        head = {"decoder.decoder_layers.5": Conv2d(widths[0], out_channels, 1)}
        self.layers = gather(*self.encoder, *self.decoder, head)

    def _unused(self, name: str) -> bool:
        return name.startswith(UNUSED)

    def _forward(self, run: Forward, x: Activation) -> Activation:
        maps = []
        for stage in self.encoder:
            x = stage.forward(run, x)
            maps.append(x)
        maps.pop()  # x5 goes straight up; x4 .. x1 are the skips
        for layer in self.decoder:
            x = layer.forward(run, x, maps.pop())
        return run.layer("decoder.decoder_layers.5", x)

    def _backward(self, run: Backward, grad: Any) -> dict[str, Any]:
        grad = run.layer("decoder.decoder_layers.5", grad)
        grad_skips = []
        for layer in reversed(self.decoder):
            grad, grad_skip = layer.backward(run, grad)
            grad_skips.append(grad_skip)
        grad = self.encoder[-1].backward(run, grad)
        for stage in reversed(self.encoder[:-1]):
            grad = stage.backward(run, grad + grad_skips.pop())
        return {"x": grad}
