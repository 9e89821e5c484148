"""Shape laws of whole networks: the seeds' own tables row by row, and what is said where an image does not fit."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ShapeError
from unet_ref.models import MODELS, ContextUnet, ResNet50, ResNetUNet, UNet, UNet2, UNet2Config, UNetFiLM
from unet_ref.models.resnet_unet import DecoderLayer, check_channel_rule
from unet_ref.models.unet2 import pooled_size, upsampled_size


def shapes(model, *inputs):
    """Step -> shape of its output, without a number being touched."""
    trace = model.shape_trace(*inputs)
    assert trace.output.shape == model.output_shape(*inputs)
    return {name: step.output_shape for name, step in trace.steps.items()}


# --- the seeds' tables ------------------------------------------------------------------------------------------------


def test_seed_000():
    """The slides' shapes. They print (16, 64, 128, 128) for the first convolution too: that is after the pooling."""
    model = UNetFiLM()
    found = shapes(model, (16, 17, 256, 256))
    assert {found[f"inc.double_conv.{k}"] for k in range(6)} == {(16, 64, 256, 256)}
    assert found["down1.0"] == (16, 64, 128, 128)
    assert found["down1.1.double_conv.5"] == (16, 128, 128, 128)
    assert found["down4.1.double_conv.5"] == (16, 1024, 16, 16)
    assert found["film.0"] == found["film.1"] == (16, 64)
    assert found["film.2"] == (16, 2048)
    assert found["film"] == (16, 1024, 16, 16)
    assert found["up1_trans"] == (16, 512, 32, 32)
    assert found["cat1"] == (16, 1024, 32, 32)
    assert found["up1_conv.double_conv.5"] == (16, 512, 32, 32)
    assert found["up4_conv.double_conv.5"] == (16, 64, 256, 256)
    assert found["outc"] == (16, 1, 256, 256)


RESNET_MAPS = ("maxpool", "layer1.2.relu", "layer2.3.relu", "layer3.5.relu", "layer4.2.relu")


def test_seed_002_resnet50_as_an_encoder():
    """"U net encoder architecture": x1 .. x5."""  # fmt: skip
    found = shapes(ResNet50(in_channels=1), (4, 1, 512, 512))
    assert [found[name] for name in RESNET_MAPS] == [
        (4, 64, 128, 128), (4, 256, 128, 128), (4, 512, 64, 64), (4, 1024, 32, 32), (4, 2048, 16, 16),
    ]  # fmt: skip


def test_seed_002_resnet50_on_imagenet():
    found = shapes(ResNet50(), (1, 3, 224, 224))
    assert found["conv1"] == (1, 64, 112, 112)
    assert found["layer4.2.relu"] == (1, 2048, 7, 7)
    assert found["avgpool"] == (1, 2048, 1, 1)
    assert found["fc"] == (1, 1000)
    for layer, width, blocks in (("layer1", 64, 3), ("layer2", 128, 4), ("layer3", 256, 6), ("layer4", 512, 3)):
        assert {found[f"{layer}.{k}.conv2"][1] for k in range(blocks)} == {width}
        assert {found[f"{layer}.{k}.conv3"][1] for k in range(blocks)} == {4 * width}
        assert f"{layer}.{blocks}.conv1" not in found
        assert [f"{layer}.{k}.downsample.0" in found for k in range(blocks)] == [True] + [False] * (blocks - 1)


def test_seed_002_children_without_the_last_four():
    """The seed claims [4, 64, 512, 512] for it. It is conv1 .. layer1, which ends at a quarter, 256 channels wide."""
    model = ResNet50(in_channels=1)
    assert shapes(model, (4, 1, 512, 512))["layer1.2.relu"] == (4, 256, 128, 128)
    with pytest.raises(ShapeError, match=r"ResNet50: conv1: .*weight\.shape\[1\] \(3\)"):  # and it wants three channels
        ResNet50().output_shape((4, 1, 512, 512))


ENCODER = ("encoder.layer1.2", "encoder.layer2.2", "encoder.layer3.2", "encoder.layer4.3.relu", "encoder.layer5.5.relu")


def test_seed_002_encoder():
    found = shapes(ResNetUNet(), (4, 1, 512, 512))
    assert [found[name] for name in ENCODER] == [
        (4, 64, 512, 512), (4, 128, 256, 256), (4, 256, 128, 128), (4, 512, 64, 64), (4, 1024, 32, 32),
    ]  # fmt: skip


def test_seed_002_decoder():
    """"U net decoder shape": d5 .. d1."""  # fmt: skip
    found = shapes(ResNetUNet(), (4, 1, 512, 512))
    assert [found[f"decoder.decoder_layers.{k}.Conv.conv.5"] for k in range(4)] == [
        (4, 512, 64, 64), (4, 256, 128, 128), (4, 128, 256, 256), (4, 64, 512, 512),
    ]  # fmt: skip
    assert found["decoder.decoder_layers.5"] == (4, 2, 512, 512)


@pytest.mark.parametrize(("N", "H5", "W5", "base"), [(4, 32, 32, 64), (1, 1, 3, 2), (3, 5, 2, 7)])
def test_seed_002_every_row_of_the_decoder_table(N, H5, W5, base):
    """In the table's letters. Its row "d4 = cat" says C4'+C3; the row above and the rule below it say C4'/2+C3."""
    found = shapes(ResNetUNet(base_channels=base), (N, 1, 16 * H5, 16 * W5))
    C1, C2, C3, C4, C5 = (found[name][1] for name in ENCODER)
    assert [found[name][2:] for name in ENCODER] == [(s * H5, s * W5) for s in (16, 8, 4, 2, 1)]
    C4_, C3_, C2_, C1_ = (found[f"decoder.decoder_layers.{k}.Conv.conv.5"][1] for k in range(4))
    for k, (inside, skip, outside) in enumerate([(C5, C4, C4_), (C4_, C3, C3_), (C3_, C2, C2_), (C2_, C1, C1_)]):
        layer, size = f"decoder.decoder_layers.{k}", (2 ** (k + 1) * H5, 2 ** (k + 1) * W5)
        assert found[f"{layer}.Up.up.0"] == (N, inside, *size)
        assert found[f"{layer}.Up.up.3"] == (N, inside // 2, *size)
        assert found[f"{layer}.concat"] == (N, inside // 2 + skip, *size)
        assert found[f"{layer}.Conv.conv.5"] == (N, outside, *size)
    assert found["decoder.decoder_layers.5"] == (N, 2, 16 * H5, 16 * W5)


@pytest.mark.parametrize("height", [16, 20, 24, 28])
def test_seed_003(height):
    """Heights divisible by 4 whose quarter is pooled to one pixel; the seed names 28, 24, 20 and 16."""
    n = 16
    found = shapes(ContextUnet(n_feat=n, height=height), (5, 3, height, height))
    half, quarter = height // 2, height // 4
    assert found["init_conv.add"] == (5, n, height, height)
    assert found["down1.model.2"] == (5, n, half, half)
    assert found["down2.model.2"] == (5, 2 * n, quarter, quarter)
    assert found["to_vec.0"] == found["to_vec.1"] == (5, 2 * n, 1, 1)
    assert found["contextembed1.model.2"] == found["timeembed1.model.2"] == (5, 2 * n)
    assert found["contextembed2.model.2"] == found["timeembed2.model.2"] == (5, n)
    assert found["up0.2"] == found["film1"] == (5, 2 * n, quarter, quarter)
    assert found["up1.concat"] == (5, 4 * n, quarter, quarter)
    assert found["up1.model.2.conv2.2"] == found["film2"] == (5, n, half, half)
    assert found["up2.concat"] == (5, 2 * n, half, half)
    assert found["up2.model.2.conv2.2"] == (5, n, height, height)
    assert found["concat"] == (5, 2 * n, height, height)
    assert found["out.3"] == (5, 3, height, height)


def test_seed_003_as_its_comments_have_it():
    """The comments' shapes, [10, 256, 8, 8] and [10, 256, 4, 4] for 16 pixels; down2 has twice the channels, though."""
    found = shapes(ContextUnet(height=16), (10, 3, 16, 16))
    assert found["down1.model.2"] == (10, 256, 8, 8)
    assert found["down2.model.2"] == (10, 512, 4, 4)


def test_seed_004_the_original_paper():
    """Figure 1 of Ronneberger et al. (2015): every size from 572 to 388."""
    found = shapes(UNet(in_channels=1, padding=0), (1, 1, 572, 572))
    down = [(570, 568, 284), (282, 280, 140), (138, 136, 68), (66, 64, 32)]
    up = [(56, 54, 52), (104, 102, 100), (200, 198, 196), (392, 390, 388)]
    widths = [64, 128, 256, 512, 1024]
    for i, (first, second, pooled) in enumerate(down):
        assert found[f"down.{i}.conv.conv_block.0"] == (1, widths[i], first, first)
        assert found[f"down.{i}.conv.conv_block.3"] == (1, widths[i], second, second)
        assert found[f"down.{i}.pool"] == (1, widths[i], pooled, pooled)
    assert found["bottleneck.conv_block.0"] == (1, 1024, 30, 30)
    assert found["bottleneck.conv_block.3"] == (1, 1024, 28, 28)
    for i, (upsampled, first, second) in enumerate(up):
        width = widths[3 - i]
        assert found[f"up.{i}.up"] == found[f"up.{i}.crop"] == (1, width, upsampled, upsampled)
        assert found[f"up.{i}.concat"] == (1, 2 * width, upsampled, upsampled)
        assert found[f"up.{i}.conv.conv_block.0"] == (1, width, first, first)
        assert found[f"up.{i}.conv.conv_block.3"] == (1, width, second, second)
    assert found["out"] == (1, 2, 388, 388)


def test_seed_004_with_its_padding():
    found = shapes(UNet(), (2, 3, 160, 96))
    assert found["bottleneck.conv_block.3"] == (2, 1024, 10, 6)
    assert found["out"] == (2, 2, 160, 96)
    assert not any("crop" in name for name in found)


@given(H=st.integers(2, 40), W=st.integers(2, 40))
def test_seed_001_sizes_of_the_formal_document(H, W):
    """Pool, then upsample: an odd size comes back one smaller, and is refused."""
    model = UNet2(config=UNet2Config(base_channels=1))
    assert (pooled_size(H), upsampled_size(H)) == (H // 2, 2 * (H // 2))
    if H % 2 == W % 2 == 0:
        found = shapes(model, (1, H, W))
        assert found["pool"] == (1, 1, pooled_size(H), pooled_size(W))
        assert found["up_t"] == (1, 1, upsampled_size(H), upsampled_size(W))
    else:
        with pytest.raises(ShapeError, match="must be multiples of 2"):
            model.output_shape((1, H, W))


# --- laws -------------------------------------------------------------------------------------------------------------

SIDES = st.integers(1, 5)


@given(name=st.sampled_from(["unet_film", "resnet_unet", "unet"]), N=st.integers(0, 3), h=SIDES, w=SIDES)
def test_segmentation_keeps_the_size(name, N, h, w):
    model = MODELS[name](base_channels=1)
    channels = {"unet_film": (17, 1), "resnet_unet": (1, 2), "unet": (3, 2)}[name]
    assert model.output_shape((N, channels[0], 16 * h, 16 * w)) == (N, channels[1], 16 * h, 16 * w)
    assert model.output_shape((channels[0], 16 * h, 16 * w)) == (channels[1], 16 * h, 16 * w)


@given(H=st.integers(1, 130), W=st.integers(1, 130))
def test_resnet50_takes_any_size(H, W):
    model = ResNet50(base_channels=1, num_classes=3)

    def halved(size, times):
        return halved(-(-size // 2), times - 1) if times else size

    found = shapes(model, (2, 3, H, W))
    for name, times in zip(RESNET_MAPS, (2, 2, 3, 4, 5), strict=True):
        assert found[name][2:] == (halved(H, times), halved(W, times))
    assert found["fc"] == (2, 3)


@given(depth=st.integers(1, 4), H=st.integers(1, 260), W=st.integers(1, 260))
def test_without_padding(depth, H, W):
    """Every level takes 4 pixels and halves, the way up doubles and takes 4 again; an error where nothing is left."""
    model = UNet(base_channels=1, depth=depth, padding=0)

    def law(size):
        for _ in range(depth):
            if size < 6:  # two convolutions, and a pooling that needs two pixels
                return 0
            size = (size - 4) // 2
        for _ in range(depth):
            if size < 5:
                return 0
            size = 2 * (size - 4)
        return max(0, size - 4)

    expected = law(H), law(W)
    if all(expected):
        assert model.output_shape((1, 3, H, W)) == (1, 2, *expected)
    else:
        with pytest.raises(ShapeError):
            model.output_shape((1, 3, H, W))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_input_shapes_go_with_an_image(name):
    model = MODELS[name]()
    x = (2, {"unet2": 1, "unet_film": 17, "resnet_unet": 1}.get(name, 3), *(28, 28) * (name == "context_unet"))
    x = x if len(x) == 4 else (*x, 32, 32)
    whole = model.input_shapes(x)
    assert len(whole) == len(model.inputs)
    assert model.output_shape(x) == model.output_shape(*whole)
    assert model.output_shape(x[1:]) == model.output_shape(*(shape[1:] for shape in whole)) == model.output_shape(x)[1:]


# --- errors that name the level and the nearest sizes -----------------------------------------------------------------

FILM = UNetFiLM(base_channels=1)
CONTEXT = ContextUnet(n_feat=8)
PLAIN = UNet(base_channels=1)
TWO = UNet2(config=UNet2Config(base_channels=1))

MISFITS = [
    (
        PLAIN,
        [(1, 3, 33, 48)],
        (
            "UNet: up.3.concat: skip of level 1 is 33 high, upsampled 32: the input height and width must be "
            "multiples of 16; nearest that fit: 32 x 48, 48 x 48"
        ),
    ),
    (
        PLAIN,
        [(3, 48, 66)],
        (
            "UNet: up.2.concat: skip of level 2 is 33 wide, upsampled 32: the input height and width must be "
            "multiples of 16; nearest that fit: 48 x 64, 48 x 80"
        ),
    ),
    (
        FILM,
        [(2, 17, 40, 56)],
        (
            "UNetFiLM: cat1: skip of level 4 is 5 high, upsampled 4: the input height and width must be "
            "multiples of 16; nearest that fit: 32 x 48, 32 x 64, 48 x 48, 48 x 64"
        ),
    ),
    (
        FILM,
        [(1, 17, 8, 16)],
        (
            "UNetFiLM: down4.0: max_pool2d: the padded height (1 + 0 + 0 = 1) must hold the dilated kernel "
            "(1 * (2 - 1) + 1 = 2): the input height and width must be multiples of 16; nearest that fit: 16 x "
            "16, 32 x 16"
        ),
    ),
    (
        ResNetUNet(base_channels=1),
        [(1, 1, 500, 512)],
        (
            "ResNetUNet: decoder.decoder_layers.0.concat: skip of level 4 is 63 high, upsampled 64: the input "
            "height and width must be multiples of 16; nearest that fit: 496 x 512, 512 x 512"
        ),
    ),
    (
        TWO,
        [(1, 1, 1, 4)],
        (
            "UNet2: pool: max_pool2d: the padded height (1 + 0 + 0 = 1) must hold the dilated kernel (1 * (2 - "
            "1) + 1 = 2): the input height and width must be multiples of 2; nearest that fit: 2 x 4, 4 x 4"
        ),
    ),
    (
        UNet2(config=UNet2Config(base_channels=1, pool_kernel=3, up_kernel=3)),
        [(1, 8, 9)],
        "UNet2: concat: skip of level 1 is 8 high, upsampled 7; nearest that fit: 7 x 9, 9 x 9",
    ),
    (
        UNet2(config=UNet2Config(base_channels=1, pool_kernel=7, pool_stride=5)),
        [(1, 1, 50, 50)],
        "UNet2: concat: skip of level 1 is 50 high, upsampled 18",
    ),  # no size fits
    (
        UNet(base_channels=1, padding=0),
        [(1, 3, 100, 188)],
        (
            "UNet: bottleneck.conv_block.0: conv2d: the padded height (2 + 0 + 0 = 2) must hold the dilated kernel "
            "(1 * (3 - 1) + 1 = 3); nearest that fit: 188 x 188, 189 x 188"
        ),
    ),
    (
        CONTEXT,
        [(1, 3, 32, 28)],
        "ContextUnet: x is 32 x 28, but the model was built for height 28, square; nearest that fits: 28 x 28",
    ),
]


@pytest.mark.parametrize(("model", "sizes", "message"), MISFITS)
def test_an_image_that_does_not_fit(model, sizes, message):
    with pytest.raises(ShapeError) as caught:
        model.output_shape(*sizes)
    assert str(caught.value) == message


NOT_THE_SIZE = [
    (
        FILM,
        [(2, 3, 32, 32)],
        "UNetFiLM: inc.double_conv.0: conv2d: weight.shape[1] (17) must equal x.shape[1] / groups (3 / 1 = 3)",
    ),
    (FILM, [(2, 17, 32, 32), (2, 5)], "UNetFiLM: weather.shape (2, 5) must be (2, 6), a vector for each image"),
    (FILM, [(2, 17, 32, 32), (3, 6)], "UNetFiLM: weather.shape (3, 6) must be (2, 6), a vector for each image"),
    (FILM, [(2, 17, 32, 32), (6,)], "UNetFiLM: weather.shape (6,) must be (2, 6), a vector for each image"),
    (CONTEXT, [(2, 3, 28, 28), (3,), None], "ContextUnet: t.shape (3,) must hold one time for each of the 2 images"),
    (
        CONTEXT,
        [(2, 3, 28, 28), (2, 1), (2, 11)],
        "ContextUnet: c.shape (2, 11) must hold 10 features for each of the 2 images",
    ),
    (PLAIN, [(16, 16)], "UNet: x must be (N, C, H, W) or (C, H, W), got shape (16, 16)"),
    (PLAIN, [(1, 1, 3, 16, 16)], "UNet: x must be (N, C, H, W) or (C, H, W), got shape (1, 1, 3, 16, 16)"),
]


@pytest.mark.parametrize(("model", "sizes", "message"), NOT_THE_SIZE)
def test_where_another_size_would_not_help_none_is_offered(model, sizes, message):
    with pytest.raises(ShapeError) as caught:
        model.output_shape(*sizes)
    assert str(caught.value) == message


def test_both_the_channels_and_the_size_are_wrong():
    with pytest.raises(ShapeError, match=r"\(3 / 1 = 3\): the input .* multiples of 16; nearest that fit: 32 x 32"):
        FILM.output_shape((2, 3, 33, 32))


def test_the_sizes_that_are_offered_fit():
    for model, sizes, message in MISFITS:
        for height, width in re.findall(r"(\d+) x (\d+)", message.partition("nearest that fit")[2]):
            model.output_shape((*sizes[0][:-2], int(height), int(width)))


def test_how_many_shapes():
    assert CONTEXT.output_shape((2, 3, 28, 28), (2, 1)) == (2, 3, 28, 28)  # without c
    for model, sizes, message in [
        (FILM, [], "UNetFiLM needs the inputs x, weather: x, weather is absent"),
        (FILM, [(2, 17, 32, 32), None], "UNetFiLM needs the inputs x, weather: weather is absent"),
        (FILM, [None], "UNetFiLM needs the inputs x, weather: x, weather is absent"),
        (PLAIN, [(1, 3, 16, 16), (2, 2)], "UNet takes the inputs x, got 2 shapes"),
    ]:
        with pytest.raises(TypeError) as caught:
            model.output_shape(*sizes)
        assert str(caught.value) == message
    with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
        PLAIN.output_shape((1, 3, 16.0, 16))


# --- options ----------------------------------------------------------------------------------------------------------

OPTIONS = [
    (UNet2, {"in_channels": 0}, "UNet2: in_channels (0) must be a natural number other than 0"),
    (UNet2, {"out_channels": 1.5}, "UNet2: out_channels (1.5) must be a natural number other than 0"),
    (UNetFiLM, {"film_hidden": -1}, "UNetFiLM: film_hidden (-1) must be a natural number other than 0"),
    (ResNet50, {"num_classes": 0}, "ResNet50: num_classes (0) must be a natural number other than 0"),
    (ResNetUNet, {"base_channels": True}, "ResNetUNet: base_channels (True) must be a natural number other than 0"),
    (ContextUnet, {"n_cfeat": 0}, "ContextUnet: n_cfeat (0) must be a natural number other than 0"),
    (ContextUnet, {"n_feat": 12}, "ContextUnet: n_feat (12) must be divisible by the 8 groups of its GroupNorm"),
    *(
        (
            ContextUnet,
            {"height": height},
            (
                f"ContextUnet: height ({height}) must be 16, 20, 24 or 28: divisible by 4, and pooled to a "
                f"single pixel by the 4x4 average of its quarter"
            ),
        )
        for height in (12, 18, 32)
    ),
    (UNet, {"depth": 0}, "UNet: depth (0) must be a natural number other than 0"),
    (UNet, {"padding": 2}, "UNet: padding (2) must be 1 (same size) or 0 (the original paper)"),
    *(
        (UNet2Config, {f"{kind}_{size}": 0}, f"UNet2Config: {kind}_{size} (0) must be a natural number other than 0")
        for kind in ("pool", "conv", "up", "head")
        for size in ("kernel", "stride")
    ),
    (UNet2Config, {"base_channels": True}, "UNet2Config: base_channels (True) must be a natural number other than 0"),
    *(
        (UNet2Config, {f"{kind}_padding": -1}, f"UNet2Config: {kind}_padding (-1) must be a natural number")
        for kind in ("conv", "up", "head")
    ),
]


@pytest.mark.parametrize(("build", "options", "message"), OPTIONS)
def test_options_that_make_no_network(build, options, message):
    with pytest.raises(ShapeError) as caught:
        build(**options)
    assert str(caught.value) == message


def test_options_from_numbers_alone():
    """As a command line has them: the formal record's fields beside the rest."""
    model = UNet2.create(in_channels=3, base_channels=5, up_kernel=4, up_padding=1)
    assert model.config == UNet2Config(base_channels=5, up_kernel=4, up_padding=1)
    assert model.output_shape((3, 6, 8)) == (2, 6, 8)
    assert UNet.create(base_channels=2, depth=1).output_shape((3, 6, 8)) == (2, 6, 8)


def test_the_channel_rule_of_seed_002():
    """The decoder's convolution takes half of what comes from below plus the skip."""
    check_channel_rule("decoder", 1024, 512, 1024)
    DecoderLayer("decoder", level=4, previous=8, skip=5, conv_in=9, out_channels=3)
    with pytest.raises(ShapeError) as caught:
        DecoderLayer("decoder", level=4, previous=8, skip=5, conv_in=10, out_channels=3)
    assert str(caught.value) == (
        "decoder: the convolution's input channels (10) must be the previous layer's output // 2 + the skip's channels "
        "(8 // 2 + 5 = 9)"
    )
