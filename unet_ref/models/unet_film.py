"""U-Net with a weather vector (seed 000): a FiLM generator scales and shifts the bottleneck."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..errors import ShapeError
from .blocks import DoubleConv
from .layers import Conv2d, ConvTranspose2d, Linear
from .model import Model, check_naturals, gather
from .run import Backward, Forward
from .trace import Activation

LEVELS = (1, 2, 3, 4)


class UNetFiLM(Model):
    """Four levels of double convolutions with batch norm; ``(1 + gamma) * x + beta`` at the bottleneck."""

    inputs: ClassVar[tuple[str, ...]] = ("x", "weather")
    multiple = 16

    def __init__(
        self, in_channels: int = 17, out_channels: int = 1, weather_channels: int = 6, base_channels: int = 64,
        film_hidden: int = 64,
    ) -> None:  # fmt: skip
        check_naturals(
            "UNetFiLM", in_channels=in_channels, out_channels=out_channels, weather_channels=weather_channels,
            base_channels=base_channels, film_hidden=film_hidden,
        )  # fmt: skip
        self.weather_channels = weather_channels
        widths = [base_channels * 2**level for level in range(5)]
        self.inc = DoubleConv("inc.double_conv", in_channels, widths[0])
        self.down = [DoubleConv(f"down{k}.1.double_conv", widths[k - 1], widths[k]) for k in LEVELS]
        self.up = [DoubleConv(f"up{k}_conv.double_conv", widths[5 - k], widths[4 - k]) for k in LEVELS]
        film = {
            "film.0": Linear(weather_channels, film_hidden),
            "film.2": Linear(film_hidden, 2 * widths[4]),
        }
        decoder = [
            part
            for k, block in zip(LEVELS, self.up, strict=True)
            for part in ({f"up{k}_trans": ConvTranspose2d(widths[5 - k], widths[4 - k], 2, stride=2)}, block)
        ]
        self.layers = gather(self.inc, *self.down, film, *decoder, {"outc": Conv2d(widths[0], out_channels, 1)})

    def input_shapes(self, x: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """One weather vector for each image."""
        return tuple(x), (x[0], self.weather_channels)

    def _forward(self, run: Forward, x: Activation, weather: Activation) -> Activation:
        if weather.shape != (x.shape[0], self.weather_channels):
            raise ShapeError(
                f"weather.shape {weather.shape} must be {(x.shape[0], self.weather_channels)}, a vector for each image"
            )
        x = self.inc.forward(run, x)
        skips = []
        for k, block in zip(LEVELS, self.down, strict=True):
            skips.append(x)
            x = run.max_pool2d(f"down{k}.0", x, kernel_size=2)
            x = block.forward(run, x)

        gamma, beta = self._generate(run, weather)
        x = run.film("film", x, gamma, beta, offset=1)

        for k, block in zip(LEVELS, self.up, strict=True):
            x = run.layer(f"up{k}_trans", x)
            x = run.concat(f"cat{k}", skips.pop(), x, level=5 - k, skip=0)
            x = block.forward(run, x)
        return run.layer("outc", x)

    def _backward(self, run: Backward, grad: Any) -> dict[str, Any]:
        grad = run.layer("outc", grad)
        grad_skips = []
        for k, block in zip(reversed(LEVELS), reversed(self.up), strict=True):
            grad = block.backward(run, grad)
            grad_skip, grad = run.concat(f"cat{k}", grad)
            grad_skips.append(grad_skip)
            grad = run.layer(f"up{k}_trans", grad)

        grad, grad_gamma, grad_beta = run.film("film", grad)
        grad_weather = self._generate_backward(run, grad_gamma, grad_beta)

        for k, block in zip(reversed(LEVELS), reversed(self.down), strict=True):
            grad = block.backward(run, grad)
            grad = run.max_pool2d(f"down{k}.0", grad) + grad_skips.pop()
        return {"x": self.inc.backward(run, grad), "weather": grad_weather}

    def _generate(self, run: Forward, weather: Activation) -> tuple[Activation, Activation]:
        """The FiLM generator: linear, ReLU, linear; the first half is gamma, the second beta."""
        z = run.layer("film.0", weather)
        z = run.relu("film.1", z)
        z = run.layer("film.2", z)
        return run.chunk("film.chunk", z)

    def _generate_backward(self, run: Backward, grad_gamma: Any, grad_beta: Any) -> Any:
        grad = run.chunk("film.chunk", grad_gamma, grad_beta)
        grad = run.layer("film.2", grad)
        grad = run.relu("film.1", grad)
        return run.layer("film.0", grad)
