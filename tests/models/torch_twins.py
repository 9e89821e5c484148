"""The six networks as plain PyTorch modules, written from the seeds and from nothing else of this repository.

They are the other side of every comparison of networks: live (``test_torch_twins.py``), recorded (``record_vectors.py``)
and at full width (``benchmarks/full_width.py``). Attribute names give the state the names of the contract, so a state
of ours loads with ``strict=True``, and the other way round. Where a seed prints code, its layers stand here as printed,
in place ReLUs included, with two repairs that the seed needs to run at all: ``super().__init__()`` in 004's
``UpSampling``, and GELU for ``nn.GLU()`` in 003, whose input is 1 wide and has no halves.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional

# The formal document's typical values.
CLASSIC = SimpleNamespace(
    pool_kernel=2, pool_stride=2, conv_kernel=3, conv_stride=1, conv_padding=1, up_kernel=2, up_stride=2, up_padding=0,
    head_kernel=1, head_stride=1, head_padding=0, base_channels=64,
)  # fmt: skip


class UNet2(nn.Module):
    """Seed 001: one level down, one up; skip first, then upsampled."""

    def __init__(self, in_channels=1, out_channels=2, config=CLASSIC):
        super().__init__()
        base = config.base_channels
        conv = (config.conv_kernel, config.conv_stride, config.conv_padding)
        self.pool = nn.MaxPool2d(config.pool_kernel, config.pool_stride)
        self.down1_1 = nn.Conv2d(in_channels, base, *conv)
        self.down1_2 = nn.Conv2d(base, base, *conv)
        self.down2_1 = nn.Conv2d(base, 2 * base, *conv)
        self.down2_2 = nn.Conv2d(2 * base, 2 * base, *conv)
        self.up_t = nn.ConvTranspose2d(2 * base, base, config.up_kernel, config.up_stride, config.up_padding)
        self.up1_1 = nn.Conv2d(base + base, base, *conv)
        self.up1_2 = nn.Conv2d(base, base, *conv)
        self.out1x1 = nn.Conv2d(base, out_channels, config.head_kernel, config.head_stride, config.head_padding)

    def forward(self, x):
        skip = functional.relu(self.down1_2(functional.relu(self.down1_1(x))))
        bottom = functional.relu(self.down2_2(functional.relu(self.down2_1(self.pool(skip)))))
        both = torch.cat([skip, self.up_t(bottom)], dim=1)
        return self.out1x1(functional.relu(self.up1_2(functional.relu(self.up1_1(both)))))


class DoubleConv(nn.Module):
    """Seed 000: convolution without bias, batch norm, ReLU; twice."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class UNetFiLM(nn.Module):
    """Seed 000: four levels, and a weather vector that scales and shifts the bottleneck."""

    def __init__(self, in_channels=17, out_channels=1, weather_channels=6, base_channels=64, film_hidden=64):
        super().__init__()
        b = base_channels
        self.inc = DoubleConv(in_channels, b)
        self.down1 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(b, 2 * b))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(2 * b, 4 * b))
        self.down3 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(4 * b, 8 * b))
        self.down4 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(8 * b, 16 * b))
        self.film = nn.Sequential(
            nn.Linear(weather_channels, film_hidden), nn.ReLU(inplace=True), nn.Linear(film_hidden, 16 * b * 2)
        )
        self.up1_trans = nn.ConvTranspose2d(16 * b, 8 * b, kernel_size=2, stride=2)
        self.up1_conv = DoubleConv(16 * b, 8 * b)
        self.up2_trans = nn.ConvTranspose2d(8 * b, 4 * b, kernel_size=2, stride=2)
        self.up2_conv = DoubleConv(8 * b, 4 * b)
        self.up3_trans = nn.ConvTranspose2d(4 * b, 2 * b, kernel_size=2, stride=2)
        self.up3_conv = DoubleConv(4 * b, 2 * b)
        self.up4_trans = nn.ConvTranspose2d(2 * b, b, kernel_size=2, stride=2)
        self.up4_conv = DoubleConv(2 * b, b)
        self.outc = nn.Conv2d(b, out_channels, kernel_size=1)

    def forward(self, x, weather):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        bottleneck = self.down4(x4)
        gamma, beta = torch.chunk(self.film(weather), 2, dim=1)
        gamma = gamma.view(-1, bottleneck.shape[1], 1, 1)
        beta = beta.view(-1, bottleneck.shape[1], 1, 1)
        y = (1 + gamma) * bottleneck + beta
        y = self.up1_conv(torch.cat([x4, self.up1_trans(y)], dim=1))
        y = self.up2_conv(torch.cat([x3, self.up2_trans(y)], dim=1))
        y = self.up3_conv(torch.cat([x2, self.up3_trans(y)], dim=1))
        y = self.up4_conv(torch.cat([x1, self.up4_trans(y)], dim=1))
        return self.outc(y)


class Bottleneck(nn.Module):
    """Seed 002's printed tree: 1x1, 3x3 (it strides), 1x1 to four times the width; ReLU after the sum."""

    def __init__(self, in_channels, width, stride, downsample):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if downsample:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, 4 * width, kernel_size=1, stride=stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += identity
        return self.relu(y)


def stage(in_channels, width, blocks, stride):
    """A ``layer{i}`` of ResNet-50: only the first block strides and projects."""
    first = Bottleneck(in_channels, width, stride, downsample=True)
    return nn.Sequential(first, *(Bottleneck(4 * width, width, 1, downsample=False) for _ in range(blocks - 1)))


class ResNet50(nn.Module):
    """Seed 002's printed tree, with torchvision's names."""

    def __init__(self, in_channels=3, num_classes=1000, base_channels=64):
        super().__init__()
        b = base_channels
        self.conv1 = nn.Conv2d(in_channels, b, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(b)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = stage(b, b, 3, 1)
        self.layer2 = stage(4 * b, 2 * b, 4, 2)
        self.layer3 = stage(8 * b, 4 * b, 6, 2)
        self.layer4 = stage(16 * b, 8 * b, 3, 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(32 * b, num_classes)

    def features(self, x):
        """The seed's first encoder table: x1..x5."""
        x1 = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x2 = self.layer1(x1)
        x3 = self.layer2(x2)
        x4 = self.layer3(x3)
        return x1, x2, x3, x4, self.layer4(x4)

    def forward(self, x):
        return self.fc(torch.flatten(self.avgpool(self.features(x)[-1]), 1))


class Encoder(nn.Module):
    """Seed 002's five layers: three learnable ones without ReLU, and ResNet-50's layer2 and layer3."""

    def __init__(self, in_channels, b):
        super().__init__()
        self.layer1 = self.learnable(in_channels, b, 1)
        self.layer2 = self.learnable(b, 2 * b, 2)
        self.layer3 = self.learnable(2 * b, 4 * b, 2)
        self.layer4 = stage(4 * b, 2 * b, 4, 2)
        self.layer5 = stage(8 * b, 4 * b, 6, 2)

    @staticmethod
    def learnable(in_channels, out_channels, pool_stride):
        return nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=1, padding=1, bias=True),
            nn.BatchNorm2d(out_channels, eps=1e-05, momentum=0.1),
            nn.MaxPool2d(kernel_size=3, stride=pool_stride, padding=1, dilation=1, ceil_mode=False),
        )

    def forward(self, x):
        x1 = self.layer1(x)
        x2 = self.layer2(x1)
        x3 = self.layer3(x2)
        x4 = self.layer4(x3)
        return x1, x2, x3, x4, self.layer5(x4)


class up_conv(nn.Module):  # noqa: N801 (the seed's name)
    """Seed 002: nearest neighbours twice as large, convolution, batch norm, ReLU."""

    def __init__(self, ch_in, ch_out):
        super().__init__()
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2.0, mode="nearest"),
            nn.Conv2d(ch_in, ch_out, kernel_size=3, stride=1, padding=1),
            nn.BatchNorm2d(ch_out),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.up(x)


class conv_block(nn.Module):  # noqa: N801 (the seed's name)
    """Seed 002: convolution with bias, batch norm, ReLU; twice."""

    def __init__(self, ch_in, ch_out):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(ch_in, ch_out, kernel_size=3, stride=1, padding=1, bias=True),
            nn.BatchNorm2d(ch_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(ch_out, ch_out, kernel_size=3, stride=1, padding=1, bias=True),
            nn.BatchNorm2d(ch_out),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.conv(x)


class UNetDecoderLayer(nn.Module):
    """Seed 002: up, concatenate (skip first), convolve."""

    def __init__(self, ch_in, ch_out):
        super().__init__()
        self.Up = up_conv(ch_in, ch_out)
        self.Conv = conv_block(ch_in, ch_out)

    def forward(self, x, skip):
        return self.Conv(torch.cat((skip, self.Up(x)), dim=1))


class UNetDecoder(nn.Module):
    """Seed 002's printed list. Entry 4 is never called; without it its place stays empty."""

    def __init__(self, b, out_channels, *, entry4):
        super().__init__()
        layers = [UNetDecoderLayer(2 * c, c) for c in (8 * b, 4 * b, 2 * b, b)]
        layers.append(UNetDecoderLayer(b, out_channels) if entry4 else nn.Identity())
        self.decoder_layers = nn.ModuleList([*layers, nn.Conv2d(b, out_channels, kernel_size=1)])

    def forward(self, x1, x2, x3, x4, x5):
        d5 = self.decoder_layers[0](x5, x4)
        d4 = self.decoder_layers[1](d5, x3)
        d3 = self.decoder_layers[2](d4, x2)
        d2 = self.decoder_layers[3](d3, x1)
        return self.decoder_layers[5](d2)


class ResNetUNet(nn.Module):
    """Seed 002: the encoder's five maps, and the decoder over them."""

    def __init__(self, in_channels=1, out_channels=2, base_channels=64, *, entry4=False):
        super().__init__()
        self.encoder = Encoder(in_channels, base_channels)
        self.decoder = UNetDecoder(base_channels, out_channels, entry4=entry4)

    def forward(self, x):
        return self.decoder(*self.encoder(x))


class ResidualConvBlock(nn.Module):
    """Seed 003 uses it without printing it: (convolution, batch norm, GELU) twice, perhaps plus the input, over 1.414.

    The course's block makes a new random 1x1 convolution in every call where channels differ; here it is one layer.
    """

    def __init__(self, in_channels, out_channels, *, is_res=False):
        super().__init__()
        self.is_res = is_res
        self.conv1 = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, 1, 1), nn.BatchNorm2d(out_channels), nn.GELU()
        )
        self.conv2 = nn.Sequential(
            nn.Conv2d(out_channels, out_channels, 3, 1, 1), nn.BatchNorm2d(out_channels), nn.GELU()
        )
        if is_res and in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x):
        y = self.conv2(self.conv1(x))
        if not self.is_res:
            return y
        return ((self.shortcut(x) if hasattr(self, "shortcut") else x) + y) / 1.414


class UnetDown(nn.Module):
    """Two blocks, then half the size."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.model = nn.Sequential(
            ResidualConvBlock(in_channels, out_channels), ResidualConvBlock(out_channels, out_channels), nn.MaxPool2d(2)
        )

    def forward(self, x):
        return self.model(x)


class UnetUp(nn.Module):
    """Concatenate, double the size, two blocks."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.model = nn.Sequential(
            nn.ConvTranspose2d(in_channels, out_channels, 2, 2),
            ResidualConvBlock(out_channels, out_channels),
            ResidualConvBlock(out_channels, out_channels),
        )

    def forward(self, x, skip):
        return self.model(torch.cat((x, skip), 1))


class EmbedFC(nn.Module):
    """Linear, GELU, linear."""

    def __init__(self, input_dim, emb_dim):
        super().__init__()
        self.input_dim = input_dim
        self.model = nn.Sequential(nn.Linear(input_dim, emb_dim), nn.GELU(), nn.Linear(emb_dim, emb_dim))

    def forward(self, x):
        return self.model(x.view(-1, self.input_dim))


class ContextUnet(nn.Module):
    """Seed 003: predicts noise, told the time step and perhaps a context."""

    def __init__(self, in_channels=3, n_feat=256, n_cfeat=10, height=28):
        super().__init__()
        self.n_feat = n_feat
        self.n_cfeat = n_cfeat
        self.h = height
        self.init_conv = ResidualConvBlock(in_channels, n_feat, is_res=True)
        self.down1 = UnetDown(n_feat, n_feat)
        self.down2 = UnetDown(n_feat, 2 * n_feat)
        self.to_vec = nn.Sequential(nn.AvgPool2d(4), nn.GELU())
        self.timeembed1 = EmbedFC(1, 2 * n_feat)
        self.timeembed2 = EmbedFC(1, 1 * n_feat)
        self.contextembed1 = EmbedFC(n_cfeat, 2 * n_feat)
        self.contextembed2 = EmbedFC(n_cfeat, 1 * n_feat)
        self.up0 = nn.Sequential(
            nn.ConvTranspose2d(2 * n_feat, 2 * n_feat, self.h // 4, self.h // 4),
            nn.GroupNorm(8, 2 * n_feat),
            nn.ReLU(),
        )
        self.up1 = UnetUp(4 * n_feat, n_feat)
        self.up2 = UnetUp(2 * n_feat, n_feat)
        self.out = nn.Sequential(
            nn.Conv2d(2 * n_feat, n_feat, 3, 1, 1),
            nn.GroupNorm(8, n_feat),
            nn.ReLU(),
            nn.Conv2d(n_feat, in_channels, 3, 1, 1),
        )

    def forward(self, x, t, c=None):
        x = self.init_conv(x)
        down1 = self.down1(x)
        down2 = self.down2(down1)
        hiddenvec = self.to_vec(down2)
        if c is None:
            c = torch.zeros(x.shape[0], self.n_cfeat).to(x)
        cemb1 = self.contextembed1(c).view(-1, self.n_feat * 2, 1, 1)
        temb1 = self.timeembed1(t).view(-1, self.n_feat * 2, 1, 1)
        cemb2 = self.contextembed2(c).view(-1, self.n_feat, 1, 1)
        temb2 = self.timeembed2(t).view(-1, self.n_feat, 1, 1)
        up1 = self.up0(hiddenvec)
        up2 = self.up1(cemb1 * up1 + temb1, down2)
        up3 = self.up2(cemb2 * up2 + temb2, down1)
        return self.out(torch.cat((up3, x), 1))


class DoubleConvolution(nn.Module):
    """Seed 004; the original paper's has ``padding=0``."""

    def __init__(self, in_channels, out_channels, padding):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=padding),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=padding),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.conv_block(x)


class DownSampling(nn.Module):
    """Seed 004."""

    def __init__(self, in_channels, out_channels, padding):
        super().__init__()
        self.conv = DoubleConvolution(in_channels, out_channels, padding)
        self.pool = nn.MaxPool2d(kernel_size=2, stride=2)

    def forward(self, x):
        down = self.conv(x)
        return down, self.pool(down)


class UpSampling(nn.Module):
    """Seed 004, upsampled first; without padding the skip is cropped to its middle, as in the paper."""

    def __init__(self, in_channels, out_channels, padding):
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, in_channels // 2, kernel_size=2, stride=2)
        self.conv = DoubleConvolution(in_channels, out_channels, padding)
        self.crops = padding == 0

    def forward(self, x1, x2):
        x1 = self.up(x1)
        if self.crops:
            height, width = x1.shape[-2:]
            top, left = (x2.shape[-2] - height) // 2, (x2.shape[-1] - width) // 2
            x2 = x2[:, :, top : top + height, left : left + width]
        return self.conv(torch.cat((x1, x2), dim=1))


class UNet(nn.Module):
    """Seed 004's pieces in the order of its figure."""

    def __init__(self, in_channels=3, num_classes=2, base_channels=64, depth=4, padding=1):
        super().__init__()
        widths = [base_channels * 2**level for level in range(depth + 1)]
        sources = [in_channels, *widths]
        self.down = nn.ModuleList(DownSampling(sources[i], widths[i], padding) for i in range(depth))
        self.bottleneck = DoubleConvolution(sources[depth], widths[depth], padding)
        self.up = nn.ModuleList(UpSampling(widths[i + 1], widths[i], padding) for i in reversed(range(depth)))
        self.out = nn.Conv2d(base_channels, num_classes, kernel_size=1)

    def forward(self, x):
        skips = []
        for down in self.down:
            skip, x = down(x)
            skips.append(skip)
        x = self.bottleneck(x)
        for up in self.up:
            x = up(x, skips.pop())
        return self.out(x)


TWINS = {
    "unet2": UNet2,
    "unet_film": UNetFiLM,
    "resnet50": ResNet50,
    "resnet_unet": ResNetUNet,
    "context_unet": ContextUnet,
    "unet": UNet,
}


def build(name, options):
    """The twin with our model's options (a ``config`` of ours has the fields that the twin reads)."""
    return TWINS[name](**options)


def run(twin, state, inputs, grad_output, *, training):
    """What PyTorch makes of the same state and inputs, as NumPy arrays: output, gradients, buffers.

    Names: ``output``, ``param.NAME``, ``input.NAME``, ``buffer.NAME``. ``inputs`` maps names to arrays, or None where
    one is left out. An unbatched image, ``(C, H, W)``, and all that goes with it get a batch axis first.
    """
    load(twin, state)
    twin.train(training)
    twin.zero_grad()
    tensors = {name: None if a is None else torch.from_numpy(a).requires_grad_() for name, a in inputs.items()}
    lone = tensors["x"].ndim == 3
    output = twin(*(None if t is None else t[None] if lone else t for t in tensors.values()))
    output = output[0] if lone else output
    output.backward(torch.from_numpy(grad_output))
    found = {"output": output.detach()}
    found |= {f"param.{name}": parameter.grad for name, parameter in twin.named_parameters()}
    found |= {f"input.{name}": tensor.grad for name, tensor in tensors.items() if tensor is not None}
    found |= {f"buffer.{name}": buffer for name, buffer in twin.named_buffers()}
    return {name: tensor.numpy() for name, tensor in found.items()}


def load(twin, state):
    """Our state into the twin; strictly."""
    twin.to(next(torch.from_numpy(array) for array in state.values()).dtype)
    twin.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=True)
