"""The formal two-level U-Net (seed 001): one downsampling, one upsampling, one skip connection."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

from ..errors import ShapeError
from .layers import Conv2d, ConvTranspose2d, Layer
from .model import Model, check_naturals
from .run import Backward, Forward
from .trace import Activation


@dataclass(frozen=True)
class UNet2Config:
    """The formal record ``UNet2Config``: kernel, stride and padding of each kind of layer, and the width."""

    pool_kernel: int = 2
    pool_stride: int = 2
    conv_kernel: int = 3
    conv_stride: int = 1
    conv_padding: int = 1
    up_kernel: int = 2
    up_stride: int = 2
    up_padding: int = 0
    head_kernel: int = 1
    head_stride: int = 1
    head_padding: int = 0
    base_channels: int = 64

    def __post_init__(self) -> None:
        """The well-formedness conditions: sizes and strides are not zero; paddings are natural numbers."""
        for field in dataclasses.fields(self):
            value, least = getattr(self, field.name), 0 if field.name.endswith("padding") else 1
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                condition = "must be a natural number" if least == 0 else "must be a natural number other than 0"
                raise ShapeError(f"UNet2Config: {field.name} ({value!r}) {condition}")


DEFAULT_CONFIG = UNet2Config()


def pooled_size(size: int) -> int:
    """The formal output size after ``MaxPool2d(2, 2)``: ``(size - 2) / 2 + 1``, for height and width alike."""
    return (size - 2) // 2 + 1


def upsampled_size(size: int) -> int:
    """The formal output size after ``MaxPool2d(2, 2)`` and ``ConvTranspose2d(2, 2)``: one less than odd sizes."""
    return (pooled_size(size) - 1) * 2 + 2


class UNet2(Model):
    """The two-level U-Net, as the formal document defines it."""

    def __init__(self, in_channels: int = 1, out_channels: int = 2, config: UNet2Config = DEFAULT_CONFIG) -> None:
        check_naturals("UNet2", in_channels=in_channels, out_channels=out_channels)
        self.config = config
        base, C, O = config.base_channels, in_channels, out_channels

        def conv(inside: int, outside: int) -> Conv2d:
            return Conv2d(inside, outside, config.conv_kernel, config.conv_stride, config.conv_padding)

        self.layers: dict[str, Layer] = {
            "down1_1": conv(C, base),
            "down1_2": conv(base, base),
            "down2_1": conv(base, 2 * base),
            "down2_2": conv(2 * base, 2 * base),
            "up_t": ConvTranspose2d(2 * base, base, config.up_kernel, config.up_stride, config.up_padding),
            "up1_1": conv(base + base, base),
            "up1_2": conv(base, base),
            "out1x1": Conv2d(base, O, config.head_kernel, config.head_stride, config.head_padding),
        }
        self.multiple = 2 if dataclasses.replace(config, base_channels=64) == DEFAULT_CONFIG else None

    @classmethod
    def create(cls, **options: int) -> Self:
        """The configuration's fields stand beside the other arguments."""
        fields = {field.name for field in dataclasses.fields(UNet2Config)} & options.keys()
        config = UNet2Config(**{name: options[name] for name in fields})
        return cls(**{name: value for name, value in options.items() if name not in fields}, config=config)

    def _forward(self, run: Forward, x: Activation) -> Activation:
        x = run.layer("down1_1", x)
        x = run.relu("down1_1.relu", x)
        x = run.layer("down1_2", x)
        skip = run.relu("down1_2.relu", x)

        x = run.max_pool2d("pool", skip, kernel_size=self.config.pool_kernel, stride=self.config.pool_stride)
        x = run.layer("down2_1", x)
        x = run.relu("down2_1.relu", x)
        x = run.layer("down2_2", x)
        x = run.relu("down2_2.relu", x)

        up = run.layer("up_t", x)
        x = run.concat("concat", skip, up, level=1, skip=0)
        x = run.layer("up1_1", x)
        x = run.relu("up1_1.relu", x)
        x = run.layer("up1_2", x)
        x = run.relu("up1_2.relu", x)
        return run.layer("out1x1", x)

    def _backward(self, run: Backward, grad: Any) -> dict[str, Any]:
        grad = run.layer("out1x1", grad)
        grad = run.relu("up1_2.relu", grad)
        grad = run.layer("up1_2", grad)
        grad = run.relu("up1_1.relu", grad)
        grad = run.layer("up1_1", grad)
        grad_skip, grad = run.concat("concat", grad)
        grad = run.layer("up_t", grad)

        grad = run.relu("down2_2.relu", grad)
        grad = run.layer("down2_2", grad)
        grad = run.relu("down2_1.relu", grad)
        grad = run.layer("down2_1", grad)
        grad = run.max_pool2d("pool", grad)

        grad = run.relu("down1_2.relu", grad + grad_skip)  # the skip was used twice: its gradients add
        grad = run.layer("down1_2", grad)
        grad = run.relu("down1_1.relu", grad)
        return {"x": run.layer("down1_1", grad)}
