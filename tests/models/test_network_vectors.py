"""Outputs, gradients and running statistics of whole networks, recorded from PyTorch and compared without it.

``record_vectors.py`` made them. The tensors of a state, and those of its gradients, lie one after another in one array.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from models.twin_cases import relative_errors, thin

from unet_ref.models import MODELS, UNet2Config

HERE = Path(__file__).parent / "vectors"
MANIFEST = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
RECORDED = sorted(Path(name).stem for name in MANIFEST["sha256"])
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
TOLERANCE = 1e-9


def cases(name):
    """``(description, entries)`` of each recorded case of a network."""
    with np.load(HERE / f"{name}.npz") as file:
        recorded = dict(file)
    for k, case in enumerate(json.loads(str(recorded["cases"]))):
        yield case, {key.removeprefix(f"{k}/"): array for key, array in recorded.items() if key.startswith(f"{k}/")}


def unpack(packed, shapes):
    """The tensors, by name; counts are integers."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    parts = np.split(packed, ends)
    assert parts.pop().size == 0
    found = {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
    return {name: a.astype("int64") if name.endswith(BUFFERS[2]) else a for name, a in found.items()}


def built(case, name):
    options = {k: UNet2Config(**v) if k == "config" else v for k, v in case["options"].items()}
    return MODELS[name](**options)


def compare(case, recorded, name):
    """Every tensor of a case; returns the errors."""
    model = built(case, name)
    state = unpack(recorded["state"], case["state"])
    assert model.check_state(state) == []
    assert list(model.init(0)) == list(state)
    inputs = {key.removeprefix("input."): array for key, array in recorded.items() if key.startswith("input.")}
    trace = model.trace(state, **inputs, training=case["training"])
    grads = model.backward(state, trace, recorded["grad_output"])

    shapes = {n: shape for n, shape in case["state"].items() if not n.endswith(BUFFERS)}
    kept = unpack(recorded["param"], {n: thin(np.empty(shape)).shape for n, shape in shapes.items()})
    buffers = unpack(recorded["buffer"], {n: s for n, s in case["state"].items() if n not in shapes})
    theirs = {"output": recorded["output"]} | {f"param.{n}": array for n, array in kept.items()}
    theirs |= {f"buffer.{n}": array for n, array in buffers.items()}
    theirs |= {key: array for key, array in recorded.items() if key.startswith("grad.")}
    ours = {"output": trace.output} | {f"buffer.{n}": array for n, array in trace.buffers.items()}
    ours |= {f"param.{n}": thin(array) for n, array in grads.params.items()}
    ours |= {f"grad.{n}": thin(array) for n, array in grads.inputs.items() if array is not None}
    assert set(ours) == set(theirs)
    return relative_errors(ours, theirs)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_outputs_gradients_and_statistics(name):
    modes = set()
    for case, recorded in cases(name):
        modes.add(case["training"])
        errors = compare(case, recorded, name)
        assert {key: error for key, error in errors.items() if not error < TOLERANCE} == {}
    assert modes == {True, False}


@pytest.mark.parametrize("name", RECORDED)
def test_the_files_are_the_recorded_ones(name):
    assert hashlib.sha256((HERE / f"{name}.npz").read_bytes()).hexdigest() == MANIFEST["sha256"][f"{name}.npz"]


def test_every_network_is_recorded():
    assert set(RECORDED) == set(MODELS) == {path.stem for path in HERE.glob("*.npz")}


@pytest.mark.parametrize("kind", ["output", "param", "buffer", "grad.x"])
def test_a_planted_mistake_is_caught(kind):
    """One recorded number in each kind of tensor moved by 0.05 %; none of the counts, which are whole."""
    case, recorded = next(cases("unet_film"))
    moved = recorded[kind].copy()
    moved.flat[np.argmax(np.where(moved % 1 == 0, 0, np.abs(moved)))] *= 1.0005
    errors = compare(case, recorded | {kind: moved}, "unet_film")
    assert max(errors.values()) > 1e-5


def test_thinning_meets_every_index():
    for shape in ((16, 16, 3, 3), (64, 32, 4, 4), (1000,), (7, 5)):
        met = np.unravel_index(thin(np.arange(np.prod(shape))), shape)
        assert [len(set(axis)) for axis in met] == [min(size, len(met[0])) for size in shape]
