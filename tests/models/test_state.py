"""States: PyTorch's names and shapes, how they are drawn, what does not fit, and files that hold them."""

import itertools
import json
import os
import stat
import sys

import numpy as np
import pytest

from unet_ref import DTypeError
from unet_ref.models import MODELS, ResNetUNet, StateError, UNet2, UNet2Config, UNetFiLM
from unet_ref.models import state as states
from unet_ref.models.layers import BatchNorm2d, GroupNorm, Layer

SMALL = {"base_channels": 2}
FILM = UNetFiLM(in_channels=3, weather_channels=2, base_channels=2, film_hidden=3)


@pytest.fixture
def state():
    return FILM.init(7, "float64")


# --- names ------------------------------------------------------------------------------------------------------------

NAMES = {
    "unet2": (16, ["down1_1.weight", "down1_1.bias", "up_t.weight", "out1x1.bias"]),
    "unet_film": (122, ["inc.double_conv.0.weight", "down4.1.double_conv.4.running_var", "film.2.bias", "outc.weight"]),
    "resnet50": (320, ["conv1.weight", "layer1.0.downsample.1.num_batches_tracked", "layer3.5.bn3.bias", "fc.bias"]),
    "resnet_unet": (299, ["encoder.layer1.0.bias", "encoder.layer4.3.conv2.weight", "encoder.layer5.0.downsample.0.weight",
                          "decoder.decoder_layers.0.Up.up.1.weight", "decoder.decoder_layers.3.Conv.conv.4.running_mean",
                          "decoder.decoder_layers.5.weight"]),
    "context_unet": (158, ["init_conv.conv1.0.weight", "init_conv.shortcut.weight", "down2.model.1.conv2.1.weight",
                           "timeembed1.model.2.bias", "contextembed2.model.0.weight", "up0.1.weight",
                           "up1.model.0.weight", "up2.model.2.conv1.0.bias", "out.3.bias"]),
    "unet": (46, ["down.0.conv.conv_block.0.weight", "bottleneck.conv_block.2.bias", "up.3.up.weight",
                  "up.0.conv.conv_block.2.weight", "out.weight"]),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MODELS))
def test_names_of_the_contract(name):
    count, examples = NAMES[name]
    found = states.tensors(MODELS[name]().layers)
    assert len(found) == count
    assert set(examples) <= set(found)


def parameters(name):
    return sum(int(np.prod(shape)) for shape in states.tensors(MODELS[name]().layers, buffers=False).values())


def test_resnet50_has_the_number_of_parameters_that_everybody_knows():
    assert parameters("resnet50") == 25_557_032


def test_parameters_summed_by_hand():
    def conv(i, o, k=3):
        return i * o * k * k + o

    def double(i, o):
        return conv(i, o) + conv(o, o)

    def normed(i, o):  # no bias in the convolutions, but two numbers a channel in each norm
        return 9 * i * o + 9 * o * o + 4 * o

    pairs = list(itertools.pairwise([64, 128, 256, 512, 1024]))
    ups = sum(conv(o, i, 2) for i, o in pairs)
    film = (6 * 64 + 64) + (64 * 2048 + 2048)
    assert parameters("unet2") == double(1, 64) + double(64, 128) + conv(128, 64, 2) + double(128, 64) + conv(64, 2, 1)
    assert parameters("unet") == double(3, 64) + sum(double(i, o) + double(o, i) for i, o in pairs) + ups + 130
    assert (
        parameters("unet_film") == normed(17, 64) + sum(normed(i, o) + normed(o, i) for i, o in pairs) + ups + film + 65
    )


# --- initialisation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["unet_film", "context_unet"])
def test_torch_scheme_fills_its_bounds(name):
    """Uniform within 1 / sqrt(fan-in), where PyTorch takes ``weight[0]`` for the fan-in, transposed or not."""
    model = MODELS[name](n_feat=16) if name == "context_unet" else MODELS[name](base_channels=6)
    drawn = model.init(3, "float64")
    weights = {n.removesuffix(".weight"): a for n, a in drawn.items() if n.endswith(".weight") and a.ndim > 1}
    for layer, weight in weights.items():
        bound = 1 / np.sqrt(weight[0].size)
        for array in (weight, drawn.get(f"{layer}.bias")):
            if array is not None:
                assert np.abs(array).max() < bound
            if array is not None and array.size > 1000:
                assert np.abs(array).max() > 0.99 * bound
                assert abs(array.mean()) < 5 * bound / np.sqrt(3 * array.size)  # five standard errors
                assert abs(array.std() / (bound / np.sqrt(3)) - 1) < 5 / np.sqrt(array.size)
    norms = [n for n, a in drawn.items() if n.endswith(".weight") and a.ndim == 1]
    assert norms
    for layer in (n.removesuffix(".weight") for n in norms):
        assert np.all(drawn[f"{layer}.weight"] == 1)
        assert np.all(drawn[f"{layer}.bias"] == 0)
        assert np.all(drawn.get(f"{layer}.running_mean", 0) == 0)
        assert np.all(drawn.get(f"{layer}.running_var", 1) == 1)
        assert drawn.get(f"{layer}.num_batches_tracked", 0) == 0


def test_he_scheme_has_he_s_spread():
    """Normal with variance 2 / N, N the incoming nodes of one neuron; biases 0: Ronneberger et al. (2015), section 3."""
    model = MODELS["unet"](base_channels=8)
    drawn = model.init(5, "float64", scheme="he")
    for name, array in drawn.items():
        if name.endswith(".bias"):
            assert np.all(array == 0)
            continue
        incoming = array.shape[0] if ".up.weight" in name else array[0].size  # a pixel that comes up sees one pixel
        spread = np.sqrt(2 / incoming)
        assert abs(array.std() / spread - 1) < 5 / np.sqrt(2 * array.size), name
        assert abs(array.mean()) < 5 * spread / np.sqrt(array.size), name
        if array.size > 3000:
            assert np.abs(array).max() > 3 * spread, name  # a uniform one would end at 1.7


def test_he_keeps_the_size_of_the_signal_through_the_network():
    """What the scheme is for: activations neither vanish nor explode on the way down."""
    model = MODELS["unet"](base_channels=16, depth=3)
    x = np.random.default_rng(0).standard_normal((2, 3, 32, 32))
    for scheme, low, high in (("he", 0.3, 3.0), ("torch", 0.0, 0.2)):
        trace = model.trace(model.init(1, "float64", scheme), x)
        assert low < trace["bottleneck.conv_block.3"].std() < high, scheme


def test_norms_are_not_drawn():
    """No bound and no incoming nodes: they start as the identity."""
    for layer in (BatchNorm2d(3), GroupNorm(8, 16)):
        assert layer.bound() == layer.incoming() == 0
    with pytest.raises(NotImplementedError):
        Layer().parameters()


def test_the_same_seed_gives_the_same_bits():
    first, again, other = FILM.init(1), FILM.init(np.random.default_rng(1)), FILM.init(2)
    assert all(first[n].tobytes() == again[n].tobytes() for n in first)
    assert first["outc.weight"].tobytes() != other["outc.weight"].tobytes()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", "complex128", "object"])
def test_dtypes(dtype):
    drawn = FILM.init(0, dtype)
    counts = {n for n in drawn if n.endswith("num_batches_tracked")}
    assert {str(drawn[n].dtype) for n in counts} == {"int64"}
    assert {drawn[n].dtype for n in drawn if n not in counts} == {np.dtype(dtype)}
    assert FILM.check_state(drawn) == []


def test_wrong_requests():
    with pytest.raises(ValueError, match=r"init: scheme \('xavier'\) must be 'torch' or 'he'"):
        FILM.init(0, scheme="xavier")
    with pytest.raises(DTypeError, match=r"init: dtype \(int32\) must be float16, float32, float64"):
        FILM.init(0, dtype="int32")  # weights within 1 / sqrt(fan-in) would all be 0


# --- what does not fit ------------------------------------------------------------------------------------------------


def test_everything_that_does_not_fit_is_in_one_message(state):
    broken = dict(state)
    del broken["inc.double_conv.0.weight"], broken["outc.bias"]
    broken |= {"head.weight": np.zeros(1), "film.0.bias": np.zeros(5), "film.2.bias": [0.0] * 64}
    broken |= {"inc.double_conv.1.weight": np.ones(2, "float32"), "inc.double_conv.1.num_batches_tracked": np.zeros(())}
    broken["inc.double_conv.4.weight"] = np.ones(2, int)
    with pytest.raises(StateError) as caught:
        FILM.check_state(broken)
    assert str(caught.value) == (
        "UNetFiLM: the state does not fit: 2 missing: inc.double_conv.0.weight, outc.bias; 1 unexpected: head.weight; "
        "1 no array: film.2.bias is a list; 1 of the wrong shape: film.0.bias is (5,) and must be (3,); "
        "2 of the wrong dtype: inc.double_conv.1.num_batches_tracked is float64 and must be an integer, "
        "inc.double_conv.4.weight is int64 and must be floating; 3 of several dtypes: float32, float64, int64"
    )


def test_a_long_list_is_cut():
    with pytest.raises(StateError, match=r"122 missing: inc\.double_conv\.0\.weight, .* and 110 more$"):
        FILM.check_state({})


def test_none_is_no_array(state):
    with pytest.raises(StateError, match=r"1 no array: outc\.bias is a NoneType"):
        FILM.check_state(state | {"outc.bias": None})


def test_a_numpy_scalar_is_an_array(state):
    name = "inc.double_conv.1.num_batches_tracked"
    assert FILM.check_state(state | {name: state[name] + 1}) == []


def test_every_pass_checks_the_state(state, rng):
    x, weather = rng.standard_normal((1, 3, 16, 16)), rng.standard_normal((1, 2))
    del state["outc.bias"]
    for method in (FILM.forward, FILM.trace):
        with pytest.raises(StateError, match=r"1 missing: outc\.bias"):
            method(state, x, weather)


def test_names_under_the_unused_entry_are_reported_and_left_out(tmp_path):
    model = ResNetUNet(**SMALL)
    state = model.init(0)
    entry = {f"decoder.decoder_layers.4.{n}": np.ones(2, "float32") for n in ("Up.up.1.weight", "Conv.conv.4.bias")}
    assert model.check_state(state | entry) == list(entry)
    path = tmp_path / "seed.npz"
    states.save(path, state | entry)
    assert list(model.load(path)) == list(state)
    with pytest.raises(StateError, match=r"1 unexpected: decoder\.decoder_layers\.40\.weight$"):
        model.check_state(state | {"decoder.decoder_layers.40.weight": np.ones(1)})
    with pytest.raises(StateError, match="2 unexpected"):
        FILM.check_state(FILM.init(0) | entry)


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[".npz", ".safetensors"])
def suffix(request):
    if request.param == ".safetensors":
        pytest.importorskip("safetensors", reason="pip install safetensors")
    return request.param


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_round_trip(suffix, dtype, tmp_path):
    model = UNet2(config=UNet2Config(base_channels=3))
    state = model.init(2, dtype)
    path = tmp_path / f"state{suffix}"
    model.save(path, state)
    loaded = model.load(os.fspath(path))
    assert set(loaded) == set(state)
    for name, array in state.items():
        np.testing.assert_array_equal(loaded[name], array, strict=True)
    assert states.load(path)[1] == {"model": "UNet2"}


def test_round_trip_of_buffers_and_counts(suffix, tmp_path, state, rng):
    x, weather = rng.standard_normal((2, 3, 16, 32)), rng.standard_normal((2, 2))
    state |= FILM.trace(state, x, weather, training=True).buffers
    FILM.save(tmp_path / f"trained{suffix}", state)
    loaded = FILM.load(tmp_path / f"trained{suffix}")
    for name, array in state.items():
        np.testing.assert_array_equal(loaded[name], array, strict=True)
    assert loaded["inc.double_conv.1.num_batches_tracked"] == 1


def test_round_trip_of_views(suffix, tmp_path):
    """Transposed, reversed, strided and broadcast: what lies in memory is not what the array is."""
    whole = np.arange(2 * 3 * 4 * 5, dtype="float32").reshape(2, 3, 4, 5)
    views = {
        "transposed": whole.transpose(3, 2, 0, 1), "reversed": whole[::-1, :, ::-1], "strided": whole[:, ::2, 1::2],
        "broadcast": np.broadcast_to(whole[0, 0, 0], (6, 5)), "fortran": np.asfortranarray(whole[0, 0]),
        "zero": np.zeros((), "int64"), "empty": whole[:0], "swapped": whole.astype(">f4"),
    }  # fmt: skip
    path = tmp_path / f"views{suffix}"
    states.save(path, views)
    loaded, metadata = states.load(path)
    assert metadata == {}
    for name, array in views.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].shape == array.shape


def test_metadata(suffix, tmp_path):
    path = tmp_path / f"m{suffix}"
    states.save(path, {"a": np.ones(2)}, {"text": "plain", "list": [1, {"two": 2}]})
    _, metadata = states.load(path)
    assert metadata["text"] == "plain"
    assert json.loads(metadata["list"]) == [1, {"two": 2}]


def test_nothing_else_is_in_an_npz(tmp_path):
    states.save(tmp_path / "a.npz", {"a": np.ones(2)})
    with np.load(tmp_path / "a.npz") as file:
        assert file.files == ["a"]


def test_no_pickles(tmp_path):
    states.save(tmp_path / "a.npz", {"a": np.ones(2)})
    before = (tmp_path / "a.npz").read_bytes()
    with pytest.raises(ValueError, match=r"^b: arrays of Python objects would be pickles, and are not written"):
        states.save(tmp_path / "a.npz", {"a": np.zeros(2), "b": np.array([{}])})
    assert (tmp_path / "a.npz").read_bytes() == before
    np.savez(tmp_path / "b.npz", b=np.array([{}]))
    with pytest.raises(ValueError, match=r"b\.npz cannot be read: Object arrays cannot be loaded"):
        states.load(tmp_path / "b.npz")


def test_a_file_of_another_network_does_not_fit(suffix, tmp_path, state):
    FILM.save(tmp_path / f"film{suffix}", state)
    with pytest.raises(StateError, match=r"UNet2: the state does not fit: 16 missing: .*; 122 unexpected: "):
        UNet2().load(tmp_path / f"film{suffix}")


def test_a_state_that_does_not_fit_is_not_saved(tmp_path, state):
    del state["outc.bias"]
    with pytest.raises(StateError, match="1 missing"):
        FILM.save(tmp_path / "film.npz", state)
    assert list(tmp_path.iterdir()) == []


def test_damaged_files(suffix, tmp_path, state):
    path = tmp_path / f"film{suffix}"
    FILM.save(path, state)
    whole = path.read_bytes()
    for damaged in (b"", b"junk", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"film\{suffix} cannot be read: "):
            FILM.load(path)


def test_absent_files_and_other_endings(suffix, tmp_path, state):
    with pytest.raises(FileNotFoundError):
        FILM.load(tmp_path / f"none{suffix}")
    for use in (FILM.load, lambda path: FILM.save(path, state)):
        with pytest.raises(ValueError, match=r"film\.pt: the name must end in \.safetensors or \.npz"):
            use(tmp_path / "film.pt")
    assert list(tmp_path.iterdir()) == []


def test_without_safetensors(tmp_path, state, monkeypatch):
    for module in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, module, None)
    for use in (FILM.load, lambda path: FILM.save(path, state)):
        with pytest.raises(
            ImportError, match=r"need the package safetensors \(pip install 'unet-ref\[safetensors\]'\)"
        ):
            use(tmp_path / "film.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_halfway_leaves_the_old_file(suffix, tmp_path, state, monkeypatch):
    path = tmp_path / f"film{suffix}"
    FILM.save(path, state)
    before = path.read_bytes()

    def fails(name, host, text):
        with open(name, "wb") as file:
            file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(states, "_writer", lambda target: fails)
    with pytest.raises(OSError, match="No space left"):
        FILM.save(path, FILM.init(8, "float64"))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_where_nothing_can_be_written(tmp_path, state):
    with pytest.raises(FileNotFoundError):
        FILM.save(tmp_path / "no" / "film.npz", state)
    (tmp_path / "film.npz").mkdir()
    with pytest.raises(OSError, match="film"):  # a folder is in the way
        FILM.save(tmp_path / "film.npz", state)
    assert list(tmp_path.iterdir()) == [tmp_path / "film.npz"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_new_file_is_as_readable_as_any(tmp_path, state):
    (tmp_path / "plain").touch()
    FILM.save(tmp_path / "film.npz", state)
    assert stat.S_IMODE((tmp_path / "film.npz").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_bytes_are_written_whole_or_not(tmp_path):
    path = tmp_path / "picture.svg"
    states.write_beside(path, b"first")
    states.write_beside(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_device_arrays_are_fetched(tmp_path):
    """CuPy's have a ``get``; any other array is written as it is."""

    class OnDevice:
        def __init__(self, array):
            self.array, self.shape = array, array.shape

        def get(self):
            return self.array

    states.save(tmp_path / "a.npz", {"a": OnDevice(np.arange(3.0))})
    np.testing.assert_array_equal(states.load(tmp_path / "a.npz")[0]["a"], np.arange(3.0))
