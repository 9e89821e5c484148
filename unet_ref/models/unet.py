"""The plain U-Net (seed 004), and with ``padding=0`` the original paper's: 572 x 572 -> 388 x 388."""

from __future__ import annotations

from typing import Any

from ..errors import ShapeError
from .blocks import PlainDoubleConv
from .layers import Conv2d, ConvTranspose2d
from .model import Model, check_naturals, gather
from .run import Backward, Forward
from .trace import Activation


class UNet(Model):
    """Double convolutions with ReLU, ``depth`` times down and up again; the upsampled map comes first in each join."""

    def __init__(
        self, in_channels: int = 3, num_classes: int = 2, base_channels: int = 64, depth: int = 4, padding: int = 1
    ) -> None:
        check_naturals(
            "UNet", in_channels=in_channels, num_classes=num_classes, base_channels=base_channels, depth=depth
        )  # fmt: skip
        if padding not in (0, 1):
            raise ShapeError(f"UNet: padding ({padding}) must be 1 (same size) or 0 (the original paper)")
        self.depth, self.padding = depth, padding
        self.multiple = 2**depth if padding else None
        widths = [base_channels * 2**level for level in range(depth + 1)]
        inside = [in_channels, *widths]
        self.down = [PlainDoubleConv(f"down.{i}.conv.conv_block", inside[i], widths[i], padding) for i in range(depth)]
        self.bottleneck = PlainDoubleConv("bottleneck.conv_block", widths[depth - 1], widths[depth], padding)
        self.up = [
            PlainDoubleConv(f"up.{i}.conv.conv_block", widths[depth - i], widths[depth - i - 1], padding)
            for i in range(depth)
        ]
        decoder = [
            part
            for i, block in enumerate(self.up)
            for part in ({f"up.{i}.up": ConvTranspose2d(widths[depth - i], widths[depth - i - 1], 2, stride=2)}, block)
        ]
        self.layers = gather(*self.down, self.bottleneck, *decoder, {"out": Conv2d(widths[0], num_classes, 1)})

    def _forward(self, run: Forward, x: Activation) -> Activation:
        skips = []
        for i, block in enumerate(self.down):
            x = block.forward(run, x)
            skips.append(x)
            x = run.max_pool2d(f"down.{i}.pool", x, kernel_size=2, stride=2)
        x = self.bottleneck.forward(run, x)
        for i, block in enumerate(self.up):
            x = run.layer(f"up.{i}.up", x)
            skip = skips.pop()
            if not self.padding:  # unpadded convolutions left the skip larger than what comes up
                skip = run.center_crop2d(f"up.{i}.crop", skip, size=x.shape[2:])
            x = run.concat(f"up.{i}.concat", x, skip, level=self.depth - i, skip=1)
            x = block.forward(run, x)
        return run.layer("out", x)

    def _backward(self, run: Backward, grad: Any) -> dict[str, Any]:
        grad = run.layer("out", grad)
        grad_skips = []
        for i, block in reversed(list(enumerate(self.up))):
            grad = block.backward(run, grad)
            grad, grad_skip = run.concat(f"up.{i}.concat", grad)
            if not self.padding:
                grad_skip = run.center_crop2d(f"up.{i}.crop", grad_skip)
            grad_skips.append(grad_skip)
            grad = run.layer(f"up.{i}.up", grad)
        grad = self.bottleneck.backward(run, grad)
        for i, block in reversed(list(enumerate(self.down))):
            grad = run.max_pool2d(f"down.{i}.pool", grad) + grad_skips.pop()
            grad = block.backward(run, grad)
        return {"x": grad}
