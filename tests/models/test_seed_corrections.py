"""What the seeds print and what is right: each correction of docs/seed-corrections.md with the law that shows it."""

import re
from pathlib import Path

import numpy as np
import pytest

from unet_ref import ShapeError, models, ops
from unet_ref.models.resnet_unet import check_channel_rule
from unet_ref.models.unet2 import pooled_size, upsampled_size

PAGE = Path(__file__).parents[2] / "docs" / "seed-corrections.md"


def shapes(model, *inputs):
    """Every step's output shape, without computing one."""
    return {name: step.output_shape for name, step in model.shape_trace(*inputs).steps.items()}


def test_the_page_names_every_test_and_no_other():
    told = re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8"))
    here = [name for name in globals() if re.match(r"test_00\d_", name)]
    assert sorted(told) == sorted(here)


# --- 000: the U-Net with weather --------------------------------------------------------------------------------------


def test_000_the_convolution_keeps_the_size():
    printed = (16, 64, 128, 128)
    right = ops.conv2d_shape((16, 17, 256, 256), (64, 17, 3, 3), padding=1)
    assert right == (16, 64, 256, 256)
    assert ops.max_pool2d_shape(right, kernel_size=2) == printed
    found = shapes(models.UNetFiLM(), (16, 17, 256, 256), (16, 6))
    assert {found[f"inc.double_conv.{k}"] for k in range(6)} == {right}
    assert found["down1.0"] == printed


def test_000_no_pool_stands_before_the_first_convolution():
    """What the page pools has 64 channels; the convolution printed below it takes 17."""
    with pytest.raises(ShapeError, match=r"weight.shape\[1\] \(17\) must equal x.shape\[1\] / groups \(64 / 1 = 64\)"):
        ops.conv2d_shape((16, 64, 128, 128), (64, 17, 3, 3), padding=1)


def test_000_the_convolutions_sum(rng):
    """Over all 17 channels and a 3x3 window that moves by 1; the printed one is a 2x2 window over 2 channels that moves by 2."""
    x = rng.integers(-9, 9, (17, 6, 8)).astype(np.float64)
    K = rng.integers(-9, 9, (4, 17, 3, 3)).astype(np.float64)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    right = np.zeros((4, 6, 8))
    for o, i, j in np.ndindex(right.shape):
        right[o, i, j] = sum(
            padded[c, i + m, j + n] * K[o, c, m, n] for c in range(17) for m in range(3) for n in range(3)
        )
    np.testing.assert_array_equal(ops.conv2d(x, K, padding=1), right)
    printed = np.zeros((3, 4))
    for i, j in np.ndindex(printed.shape):
        printed[i, j] = sum(x[c, 2 * i + m, 2 * j + n] * K[0, c, m, n] for c in (0, 1) for m in (0, 1) for n in (0, 1))
    assert printed.shape != right.shape[1:]
    np.testing.assert_array_equal(ops.conv2d(x[:2], K[:1, :2, :2, :2], stride=2)[0], printed)


def test_000_the_line_under_relu_is_the_affine_part_of_the_norm(rng):
    x, gamma, beta = rng.standard_normal((3, 4, 5, 6)), rng.standard_normal(4), rng.standard_normal(4)
    mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
    normal = (x - mean) / np.sqrt(var + 1e-5)
    y = gamma[:, None, None] * normal + beta[:, None, None]
    np.testing.assert_allclose(ops.batch_norm(x, gamma, beta, training=True), y, rtol=1e-12)
    assert (y < 0).any()  # so it is no ReLU
    np.testing.assert_array_equal(ops.relu(y), np.maximum(y, 0))


def test_000_the_generator_ends_in_2048_numbers():
    """Gamma and beta for 1024 channels, not 2084."""
    layer = models.UNetFiLM().layers["film.2"]
    assert layer.parameters() == {"weight": (2048, 64), "bias": (2048,)}
    assert ops.linear_shape((16, 64), (2048, 64), (2048,)) == (16, 2 * 1024)


def test_000_the_convolutions_after_a_concatenation_do_not_pool():
    """The maximum printed for them would halve 32; the size printed behind it is that of convolutions."""
    assert ops.max_pool2d_shape((1024, 32, 32), kernel_size=2) == (1024, 16, 16)
    found = shapes(models.UNetFiLM(), (1, 17, 256, 256), (1, 6))
    assert found["cat1"] == (1, 1024, 32, 32)
    assert {found[f"up1_conv.double_conv.{k}"] for k in range(6)} == {(1, 512, 32, 32)}


# --- 001: the formal document: nothing to correct; what it says of odd sizes, as a law ----------------------------------


def test_001_odd_sizes_come_back_one_smaller():
    assert [upsampled_size(size) - size for size in range(2, 40)] == [0, -1] * 19
    for size in range(2, 40):
        assert pooled_size(size) == ops.max_pool2d_shape((1, size, size), kernel_size=2)[1]
    assert models.UNet2(base := 1).output_shape((1, base, 8, 6)) == (1, 2, 8, 6)
    with pytest.raises(ShapeError, match="skip of level 1 is 7 high, upsampled 6"):
        models.UNet2().output_shape((1, 1, 7, 6))


# --- 002: ResNet-50 and the U-Net on it -------------------------------------------------------------------------------


def test_002_children_up_to_minus_4_end_with_layer2():
    """Not with layer1, and not at 64 channels of 512 x 512."""
    found = shapes(models.ResNet50(), (4, 3, 512, 512))
    children = [name for name in dict.fromkeys(name.split(".")[0] for name in found) if name != "flatten"]
    assert len(children) == 10
    assert children[:-4][-1] == "layer2"
    assert found["layer2.3.relu"] == (4, 512, 64, 64)
    assert children[:-5][-1] == "layer1"
    assert found["layer1.2.relu"] == (4, 256, 128, 128)
    assert (4, 64, 512, 512) not in found.values()


def test_002_conv1_takes_three_channels():
    """The claim's input has one; and ``conv1: 64 -> 64`` stands above a layer from 3 to 64."""
    assert models.ResNet50().layers["conv1"].parameters() == {"weight": (64, 3, 7, 7)}
    with pytest.raises(
        ShapeError, match=r"conv2d: weight.shape\[1\] \(3\) must equal x.shape\[1\] / groups \(1 / 1 = 1\)"
    ):
        models.ResNet50().output_shape((4, 1, 512, 512))
    found = shapes(models.ResNet50(in_channels=1), (4, 1, 512, 512))
    maps = [found[name] for name in ("maxpool", "layer1.2.relu", "layer2.3.relu", "layer3.5.relu", "layer4.2.relu")]
    assert maps == [(4, 64, 128, 128), (4, 256, 128, 128), (4, 512, 64, 64), (4, 1024, 32, 32), (4, 2048, 16, 16)]


def test_002_a_pool_of_stride_1_keeps_512():
    assert ops.max_pool2d_shape((4, 64, 512, 512), kernel_size=3, stride=1, padding=1) == (4, 64, 512, 512)
    assert shapes(models.ResNetUNet(), (4, 1, 512, 512))["encoder.layer1.2"] == (4, 64, 512, 512)


def test_002_x3_does_not_come_from_resnets_layer1():
    """The comment says so; the code makes it of a convolution, a norm and a pool, and layer1 would refuse 128 channels."""
    names = {name for name in models.ResNetUNet().layers if name.startswith("encoder.layer3")}
    assert names == {"encoder.layer3.0", "encoder.layer3.1"}
    weight = models.ResNet50().layers["layer1.0.conv1"].parameters()["weight"]
    with pytest.raises(
        ShapeError, match=r"weight.shape\[1\] \(64\) must equal x.shape\[1\] / groups \(128 / 1 = 128\)"
    ):
        ops.conv2d_shape((4, 128, 256, 256), weight)


def test_002_half_of_an_odd_size_is_rounded_up():
    """``H/2`` of the layers is ``ceil(H/2)``, as the page itself derives for the pool."""
    H, W = 101, 75
    for name in ("conv1", "maxpool", "layer1.2.relu", "layer2.3.relu", "layer3.5.relu", "layer4.2.relu"):
        H, W = (H, W) if name.startswith("layer1") else (-(-H // 2), -(-W // 2))
        assert shapes(models.ResNet50(), (1, 3, 101, 75))[name][2:] == (H, W)


def test_002_the_skip_meets_half_of_the_layer_below():
    """``C4'/2 + C3`` and ``C3'/2 + C2``; the table's third column has ``C4' + C3`` and ``C3' + C2``."""
    found = shapes(models.ResNetUNet(), (4, 1, 512, 512))
    widths = {0: (1024, 512, 512), 1: (512, 256, 256), 2: (256, 128, 128), 3: (128, 64, 64)}  # below, skip, out
    for k, (below, skip, out) in widths.items():
        assert found[f"decoder.decoder_layers.{k}.concat"][1] == below // 2 + skip
        assert found[f"decoder.decoder_layers.{k}.Conv.conv.5"][1] == out
        check_channel_rule("here", below, skip, below // 2 + skip)
        with pytest.raises(ShapeError, match=rf"\({below + skip}\) must be .* \({below} // 2 \+ {skip} = "):
            check_channel_rule("here", below, skip, below + skip)


def test_002_the_last_printed_decoder_layer_fits_nowhere():
    """It takes 64 channels and gives 2: with no encoder map does the page's own rule ``64 // 2 + skip = 64`` hold."""
    for skip in (1, 64, 128, 256, 512, 1024):
        with pytest.raises(ShapeError, match="must be the previous layer's output // 2"):
            check_channel_rule("decoder.decoder_layers.4", 64, skip, 64)
    assert ops.upsample_nearest2d_shape((4, 64, 512, 512), scale_factor=2)[2:] == (1024, 1024)  # larger than the image


def test_002_eval_mode_does_not_keep_a_network_from_being_trained():
    """``model.eval()`` under "don't train" only makes norms use their running statistics: gradients reach everything."""
    model = models.ResNetUNet(base_channels=4)
    rng = np.random.default_rng(0)
    state = model.init(rng, "float64", scheme="he")
    x = rng.standard_normal((2, 1, 32, 32))
    trace = model.trace(state, x, training=False)
    grads = model.backward(state, trace, rng.standard_normal(trace.output.shape))
    untouched = [name for name, array in grads.params.items() if not np.any(array)]
    assert untouched == []


# --- 003: transposed convolution, and the U-Net that is told a time and a context -----------------------------------------


def test_003_the_transposed_convolution_needs_output_padding(rng):
    sizes = {"stride": 2, "padding": 1}
    assert ops.conv_transpose2d_shape((1, 2, 2), (1, 1, 3, 3), **sizes) == (1, 3, 3)
    assert ops.conv_transpose2d_shape((1, 2, 2), (1, 1, 3, 3), **sizes, output_padding=1) == (1, 4, 4)
    x, weight = np.array([[[2.0, 1.0], [3.0, 2.0]]]), np.array([[[[1.0, 2.0, 1.0], [2.0, 0.0, 1.0], [0.0, 2.0, 1.0]]]])
    slide = [[0, 4, 0, 1], [10, 7, 6, 3], [0, 7, 0, 2], [6, 3, 4, 2]]
    np.testing.assert_array_equal(ops.conv_transpose2d(x, weight, **sizes, output_padding=1)[0], slide)


def test_003_a_glu_has_nothing_to_halve():
    pooled = shapes(models.ContextUnet(height=16), (10, 3, 16, 16))["to_vec.0"]
    assert pooled == (10, 512, 1, 1)
    with pytest.raises(ShapeError, match=r"glu: x.shape\[3\] \(1\) must be even"):
        ops.glu_shape(pooled)
    halved = ops.glu_shape(pooled, axis=1)  # the one axis that could be: but up0 takes all 512 channels
    with pytest.raises(ShapeError, match=r"weight.shape\[0\] \(512\) must equal x.shape\[1\] \(256\)"):
        ops.conv_transpose2d_shape(halved, (512, 512, 4, 4), stride=4)


def test_003_down2_has_twice_the_channels():
    """The comments give it 256."""
    found = shapes(models.ContextUnet(height=16), (10, 3, 16, 16))
    assert found["down1.model.2"] == (10, 256, 8, 8)
    assert found["down2.model.2"] == (10, 512, 4, 4)


def test_003_four_heights_will_do():
    """ "Divisible by 4, so 28, 24, 20, 16..." ends at 16, and does not begin above 28."""
    for height in (16, 20, 24, 28):
        assert models.ContextUnet(height=height).output_shape((1, 3, height, height)) == (1, 3, height, height)
    for height in (12, 18, 32, 36):
        with pytest.raises(ShapeError, match=rf"height \({height}\) must be 16, 20, 24 or 28"):
            models.ContextUnet(height=height)
    with pytest.raises(ShapeError, match="must hold"):  # 12: three pixels are less than the window of four
        ops.avg_pool2d_shape((1, 512, 3, 3), kernel_size=4)
    vector = ops.avg_pool2d_shape((1, 512, 8, 8), kernel_size=4)  # 32: no single pixel, and twice the skip's 8
    assert ops.conv_transpose2d_shape(vector, (512, 512, 8, 8), stride=8)[2:] == (16, 16)


def test_003_at_height_28_the_average_leaves_out_33_of_49_pixels():
    """``AvgPool2d(4)`` in place of the original's 7 fits height 16; at 28 it sees a corner, and says nothing."""
    grad = ops.avg_pool2d_backward(np.ones((1, 1, 1)), np.zeros((1, 7, 7)), kernel_size=4).x[0]
    assert (grad[:4, :4] == 1 / 16).all()
    assert np.count_nonzero(grad == 0) == 33


def test_003_the_docstring_of_forward_does_not_end():
    """As printed, all of ``forward`` is one text that no quotes close."""
    printed = 'def forward(self, x, t, c=None):\n    """\n    x is the input image\n\n    x = self.init_conv(x)\n    return x\n'
    with pytest.raises(SyntaxError, match="unterminated triple-quoted string"):
        compile(printed, "forward", "exec")


# --- 004: the plain U-Net ---------------------------------------------------------------------------------------------


@pytest.mark.torch
def test_004_upsampling_needs_its_super():
    from torch import nn

    class UpSampling(nn.Module):
        def __init__(self, in_channels):
            self.up = nn.ConvTranspose2d(in_channels, in_channels // 2, kernel_size=2, stride=2)

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        UpSampling(4)


def test_004_572_is_for_the_network_without_padding():
    """The figure's input; with the code's padding it is no multiple of 16."""
    assert models.UNet(in_channels=1, padding=0).output_shape((1, 1, 572, 572)) == (1, 2, 388, 388)
    with pytest.raises(ShapeError, match=r"skip of level 4 is 71 high, upsampled 70: .* multiples of 16"):
        models.UNet(in_channels=1, padding=1).output_shape((1, 1, 572, 572))
    assert models.UNet(in_channels=1, padding=1).output_shape((1, 1, 576, 576)) == (1, 2, 576, 576)
