"""Exports: everything that a run made is in one file, under its name, and a changed byte is noticed."""

import json

import numpy as np
import pytest
from models.twin_cases import CASES, build, random_inputs, random_state

import unet_ref
from unet_ref.models import MODELS, ContextUnet, UNetFiLM
from unet_ref.models import state as states
from unet_ref.models.export import FORMAT, checksum, export, read, read_other, record

OPTIONS = {"in_channels": 3, "weather_channels": 2, "base_channels": 2, "film_hidden": 3}
FILM = UNetFiLM(**OPTIONS)
SHAPE = (2, 3, 16, 32)
FIRST = {case.name: case for case in reversed(CASES)}


def test_everything_is_there(tmp_path):
    path = tmp_path / "film.npz"
    made = export(path, "unet_film", OPTIONS, FILM, SHAPE, dtype="float64", seed=3)
    tensors, metadata = read(path)
    assert set(tensors) == set(made)
    for name, array in made.items():
        np.testing.assert_array_equal(tensors[name], array, strict=True)
    recipe = metadata["recipe"]
    assert {k: recipe[k] for k in ("model", "options", "input", "seed", "dtype", "training", "scheme")} == {
        "model": "unet_film", "options": OPTIONS, "input": list(SHAPE), "seed": 3, "dtype": "float64",
        "training": True, "scheme": "torch",
    }  # fmt: skip
    assert recipe["versions"] == {"unet_ref": unet_ref.__version__, "numpy": np.__version__}
    assert metadata["format"] == FORMAT

    state = FILM.init(np.random.default_rng(3), "float64")  # the first that the seed draws
    for name, array in state.items():
        np.testing.assert_array_equal(tensors[f"state.{name}"], array, strict=True)
    inputs = {name: tensors[f"input.{name}"] for name in ("x", "weather")}
    assert {name: a.shape for name, a in inputs.items()} == {"x": SHAPE, "weather": (2, 2)}
    trace = FILM.trace(state, **inputs, training=True, record="all")
    assert metadata["steps"] == list(trace.steps)
    grads = FILM.backward(state, trace, tensors["grad_output"], record=True)
    expected = {"output": trace.output, "grad_output": tensors["grad_output"]}
    for part, arrays in {
        "state": state, "input": inputs, "activation": trace, "buffer": trace.buffers, "grad.param": grads.params,
        "grad.input": grads.inputs, "grad.activation": grads.activations,
    }.items():  # fmt: skip
        expected |= {f"{part}.{name}": array for name, array in arrays.items()}
    assert set(tensors) == set(expected)
    for name, array in expected.items():
        assert tensors[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("name", sorted(MODELS))
def test_names_and_shapes_of_every_network(name, rng):
    model, case = build(FIRST[name]), FIRST[name]
    state, inputs = random_state(model, rng), random_inputs(model, case, rng)
    grad_output = rng.standard_normal(model.output_shape(*case.shapes))
    tensors, steps = record(model, state, inputs, grad_output, training=False)
    assert not any(key.startswith("buffer.") for key in tensors)  # nothing new in evaluation
    for step in steps:
        assert tensors[f"activation.{step}"].shape == tensors[f"grad.activation.{step}"].shape
    for key, array in tensors.items():
        for part in ("param", "input"):
            if key.startswith(f"grad.{part}."):
                source = key.removeprefix(f"grad.{part}.")
                assert array.shape == tensors[f"{'state' if part == 'param' else part}.{source}"].shape


def test_an_input_that_was_left_out(rng):
    model = ContextUnet(n_feat=8, n_cfeat=3, height=16)
    inputs = {"x": rng.standard_normal((2, 3, 16, 16)), "t": rng.standard_normal((2, 1)), "c": None}
    tensors, _ = record(model, model.init(0, "float64"), inputs, rng.standard_normal((2, 3, 16, 16)), training=True)
    assert "input.t" in tensors
    assert "grad.input.t" in tensors
    assert not {"input.c", "grad.input.c", "activation.c"} & set(tensors)


def test_the_same_recipe_gives_the_same_bits(tmp_path):
    for file in ("a.npz", "b.npz"):
        export(tmp_path / file, "unet_film", OPTIONS, FILM, SHAPE, seed=5, training=False, scheme="he")
    first, second = (read(tmp_path / file)[1] for file in ("a.npz", "b.npz"))
    assert first == second
    assert first["recipe"]["scheme"] == "he"
    assert first["recipe"]["training"] is False
    export(tmp_path / "c.npz", "unet_film", OPTIONS, FILM, SHAPE, seed=6)
    assert read(tmp_path / "c.npz")[1]["sha256"] != first["sha256"]


def test_an_image_alone(tmp_path):
    export(tmp_path / "a.npz", "unet_film", OPTIONS, FILM, SHAPE[1:])
    tensors, _ = read(tmp_path / "a.npz")
    assert tensors["input.weather"].shape == (2,)
    assert tensors["output"].shape == tensors["grad_output"].shape == (1, 16, 32)
    assert tensors["activation.outc"].shape == (1, 1, 16, 32)  # it runs as a batch of one
    assert tensors["grad.input.x"].shape == SHAPE[1:]


def test_a_state_of_ones_own(tmp_path):
    state = random_state(FILM, np.random.default_rng(1), "float32")
    export(tmp_path / "a.npz", "unet_film", OPTIONS, FILM, SHAPE, state=state)
    tensors, metadata = read(tmp_path / "a.npz")
    assert metadata["recipe"]["scheme"] is None  # no seed makes this state
    for name, array in state.items():
        np.testing.assert_array_equal(tensors[f"state.{name}"], array, strict=True)


def test_safetensors_too(tmp_path):
    pytest.importorskip("safetensors", reason="pip install safetensors")
    made = export(tmp_path / "film.safetensors", "unet_film", OPTIONS, FILM, SHAPE)
    tensors, metadata = read(tmp_path / "film.safetensors")
    assert checksum(made) == checksum(tensors) == metadata["sha256"]


def test_a_changed_number_is_noticed(tmp_path):
    path = tmp_path / "film.npz"
    export(path, "unet_film", OPTIONS, FILM, SHAPE)
    tensors, text = states.load(path)
    for change in ("output", "state.outc.bias"):
        changed = tensors | {change: tensors[change] + np.float32(1e-6)}
        states.save(path, changed, text)
        with pytest.raises(ValueError, match="the checksum does not fit its contents: the file was changed or damaged"):
            read(path)
    states.save(path, tensors, text)
    assert read(path)[1]["sha256"] == json.loads(json.dumps(text["sha256"]))


@pytest.mark.parametrize("change", ["name", "dtype", "shape", "byte"])
def test_the_checksum_sees(change):
    plain = {"a": np.arange(6.0).reshape(2, 3), "b": np.zeros((), "int64")}
    other = {
        "name": {"c": plain["a"], "b": plain["b"]},
        "dtype": {"a": plain["a"].view("int64"), "b": plain["b"]},
        "shape": {"a": plain["a"].reshape(3, 2), "b": plain["b"]},
        "byte": {"a": plain["a"], "b": np.ones((), "int64")},
    }[change]
    assert checksum(plain) != checksum(other)
    assert checksum(plain) == checksum({"b": plain["b"], "a": np.asfortranarray(plain["a"])})


def test_a_file_that_is_no_export(tmp_path):
    path = tmp_path / "state.npz"
    FILM.save(path, FILM.init(0))
    with pytest.raises(ValueError, match=r"state\.npz is no export of unet_ref \(its metadata lacks format="):
        read(path)


def test_other_implementations_files(tmp_path):
    arrays = {"output": np.ones(2), "activation.inc.double_conv.0": np.arange(3.0)}
    states.save(tmp_path / "other.npz", arrays)
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"folder: the folder holds no \.npy files"):
        read_other(folder)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    for source in (tmp_path / "other.npz", folder, str(folder)):
        found = read_other(source)
        assert set(found) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array, strict=True)
    np.save(folder / "pickle.npy", np.array([{}]))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        read_other(folder)
