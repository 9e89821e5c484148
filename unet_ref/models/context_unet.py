"""Context U-Net (seed 003): the noise predictor of a small diffusion model, told the time step and a context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..errors import ShapeError
from .blocks import EmbedFC, ResidualConv, UnetDown, UnetUp
from .layers import Conv2d, ConvTranspose2d, GroupNorm, Layer
from .model import Model, check_naturals, gather
from .run import Backward, Forward
from .trace import Activation


class ContextUnet(Model):
    """Two levels; at each, an embedding of the context scales the map and an embedding of the time shifts it."""

    inputs: ClassVar[tuple[str, ...]] = ("x", "t", "c")
    optional: ClassVar[tuple[str, ...]] = ("c",)

    def __init__(self, in_channels: int = 3, n_feat: int = 256, n_cfeat: int = 10, height: int = 28) -> None:
        check_naturals("ContextUnet", in_channels=in_channels, n_feat=n_feat, n_cfeat=n_cfeat, height=height)
        if height % 4 or not 16 <= height < 32:
            raise ShapeError(
                f"ContextUnet: height ({height}) must be 16, 20, 24 or 28: divisible by 4, and pooled to a single pixel "
                f"by the 4x4 average of its quarter"
            )
        if n_feat % 8:
            raise ShapeError(f"ContextUnet: n_feat ({n_feat}) must be divisible by the 8 groups of its GroupNorm")
        n, self.height, self.n_cfeat = n_feat, height, n_cfeat
        self.init_conv = ResidualConv("init_conv", in_channels, n, is_res=True)
        self.down1 = UnetDown("down1", n, n)
        self.down2 = UnetDown("down2", n, 2 * n)
        self.timeembed1 = EmbedFC("timeembed1", 1, 2 * n)
        self.timeembed2 = EmbedFC("timeembed2", 1, n)
        self.contextembed1 = EmbedFC("contextembed1", n_cfeat, 2 * n)
        self.contextembed2 = EmbedFC("contextembed2", n_cfeat, n)
        up0: dict[str, Layer] = {
            "up0.0": ConvTranspose2d(2 * n, 2 * n, height // 4, stride=height // 4),
            "up0.1": GroupNorm(8, 2 * n),
        }
        self.up1 = UnetUp("up1", 4 * n, n, level=3)
        self.up2 = UnetUp("up2", 2 * n, n, level=2)
        out: dict[str, Layer] = {
            "out.0": Conv2d(2 * n, n, 3, padding=1),
            "out.1": GroupNorm(8, n),
            "out.3": Conv2d(n, in_channels, 3, padding=1),
        }
        embeddings = (self.timeembed1, self.timeembed2, self.contextembed1, self.contextembed2)
        self.layers = gather(self.init_conv, self.down1, self.down2, *embeddings, up0, self.up1, self.up2, out)

    def input_shapes(self, x: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """One time and one context vector for each image."""
        return tuple(x), (x[0], 1), (x[0], self.n_cfeat)

    def _forward(self, run: Forward, x: Activation, t: Activation, c: Activation | None) -> Activation:
        if x.shape[2:] != (self.height, self.height):
            raise ShapeError(
                f"x is {x.shape[2]} x {x.shape[3]}, but the model was built for height {self.height}, square"
            )
        N = x.shape[0]
        if t.value.size != N:
            raise ShapeError(f"t.shape {t.shape} must hold one time for each of the {N} images")
        if c is None:
            c = run.zeros("c", x, N, self.n_cfeat)
        elif c.value.size != N * self.n_cfeat:
            raise ShapeError(f"c.shape {c.shape} must hold {self.n_cfeat} features for each of the {N} images")

        x = self.init_conv.forward(run, x)
        down1 = self.down1.forward(run, x)
        down2 = self.down2.forward(run, down1)
        hidden = run.avg_pool2d("to_vec.0", down2, kernel_size=4)
        hidden = run.gelu("to_vec.1", hidden)  # the seed prints GLU, which would halve an axis of size 1

        context1 = self.contextembed1.forward(run, c)
        time1 = self.timeembed1.forward(run, t)
        context2 = self.contextembed2.forward(run, c)
        time2 = self.timeembed2.forward(run, t)

        up = run.layer("up0.0", hidden)
        up = run.layer("up0.1", up)
        up = run.relu("up0.2", up)
        up = run.film("film1", up, context1, time1, offset=0)
        up = self.up1.forward(run, up, down2)
        up = run.film("film2", up, context2, time2, offset=0)
        up = self.up2.forward(run, up, down1)

        y = run.concat("concat", up, x, level=1, skip=1)
        y = run.layer("out.0", y)
        y = run.layer("out.1", y)
        y = run.relu("out.2", y)
        return run.layer("out.3", y)

    def _backward(self, run: Backward, grad: Any) -> dict[str, Any]:
        grad = run.layer("out.3", grad)
        grad = run.relu("out.2", grad)
        grad = run.layer("out.1", grad)
        grad = run.layer("out.0", grad)
        grad, grad_x = run.concat("concat", grad)

        grad, grad_down1 = self.up2.backward(run, grad)
        grad, grad_context2, grad_time2 = run.film("film2", grad)
        grad, grad_down2 = self.up1.backward(run, grad)
        grad, grad_context1, grad_time1 = run.film("film1", grad)
        grad = run.relu("up0.2", grad)
        grad = run.layer("up0.1", grad)
        grad = run.layer("up0.0", grad)

        grad_t = self.timeembed2.backward(run, grad_time2) + self.timeembed1.backward(run, grad_time1)
        grad_c = self.contextembed2.backward(run, grad_context2) + self.contextembed1.backward(run, grad_context1)

        grad = run.gelu("to_vec.1", grad)
        grad = run.avg_pool2d("to_vec.0", grad) + grad_down2
        grad = run.join(self.down2.backward(run, grad), grad_down1)
        grad = run.join(self.down1.backward(run, grad), grad_x)
        return {"x": self.init_conv.backward(run, grad), "t": grad_t, "c": grad_c}
