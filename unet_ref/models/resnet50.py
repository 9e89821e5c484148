"""ResNet-50 (seed 002): the encoder that the seed borrows, with torchvision's 320 names."""

from __future__ import annotations

from typing import Any

from .. import ops
from .blocks import Stage
from .layers import BatchNorm2d, Conv2d, Layer, Linear
from .model import Model, check_naturals, gather
from .run import Backward, Forward
from .state import State
from .trace import Activation

BLOCKS = (3, 4, 6, 3)  # bottleneck blocks of layer1 .. layer4: the 50 weighted layers are 1 + 3*16 + 1


class ResNet50(Model):
    """A 7x7 convolution, a max pool, four stages of bottleneck blocks, the mean of each channel, a linear layer."""

    def __init__(self, in_channels: int = 3, num_classes: int = 1000, base_channels: int = 64) -> None:
        check_naturals("ResNet50", in_channels=in_channels, num_classes=num_classes, base_channels=base_channels)
        base = base_channels
        self.stem: dict[str, Layer] = {
            "conv1": Conv2d(in_channels, base, 7, stride=2, padding=3, bias=False),
            "bn1": BatchNorm2d(base),
        }
        inside = (base, 4 * base, 8 * base, 16 * base)
        self.stages = [
            Stage(f"layer{k + 1}", inside[k], base * 2**k, BLOCKS[k], stride=1 if k == 0 else 2) for k in range(4)
        ]
        self.layers = gather(self.stem, *self.stages, {"fc": Linear(32 * base, num_classes)})

    def _forward(self, run: Forward, x: Activation) -> Activation:
        x = self._maps(run, x)[-1]
        x = run.adaptive_avg_pool2d("avgpool", x, output_size=1)
        x = run.reshape("flatten", x, *x.shape[:2])
        return run.layer("fc", x)

    def _backward(self, run: Backward, grad: Any) -> dict[str, Any]:
        grad = run.layer("fc", grad)
        grad = run.reshape("flatten", grad)
        grad = run.adaptive_avg_pool2d("avgpool", grad)
        for stage in reversed(self.stages):
            grad = stage.backward(run, grad)
        grad = run.max_pool2d("maxpool", grad)
        grad = run.relu("relu", grad)
        grad = run.layer("bn1", grad)
        return {"x": run.layer("conv1", grad)}

    def _maps(self, run: Forward, x: Activation) -> list[Activation]:
        """The five feature maps x1 .. x5: after the first pool, and after each stage."""
        x = run.layer("conv1", x)
        x = run.layer("bn1", x)
        x = run.relu("relu", x)
        maps = [run.max_pool2d("maxpool", x, kernel_size=3, stride=2, padding=1)]
        for stage in self.stages:
            maps.append(stage.forward(run, maps[-1]))
        return maps

    def features(self, state: State, x: Any, *, training: bool = False) -> tuple[Any, ...]:
        """The maps x1 .. x5 that a U-Net's decoder takes: strides 4, 4, 8, 16, 32.

        The seed says ``children()[:-4]`` gives ``[4, 64, 512, 512]`` from one channel; ``x1`` in truth has stride 4,
        and ``conv1`` takes three channels unless it is built with ``in_channels=1``.
        """
        self._check(state, [x], training=training)
        run = Forward(ops, self.layers, state, training=training, record="nothing")
        maps = self._maps(run, Activation("x", x if x.ndim == 4 else x[None]))
        return tuple(a.value if x.ndim == 4 else a.value[0] for a in maps)
