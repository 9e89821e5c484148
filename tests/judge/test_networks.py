"""A wrong layer anywhere in a network is the first one named, forward and backward, whatever it does to the rest."""

import json

import numpy as np
import pytest

from unet_ref import models
from unet_ref.errors import DTypeError, ShapeError
from unet_ref.judge.network_report import Compared
from unet_ref.judge.networks import compare
from unet_ref.models import run
from unet_ref.models.export import export, read, record

OPTIONS = {"in_channels": 3, "weather_channels": 4, "base_channels": 2, "film_hidden": 5}
SHAPE = (2, 3, 16, 32)
MODEL = models.UNetFiLM(**OPTIONS)
INPUTS_OF = {name: step.inputs for name, step in MODEL.shape_trace(SHAPE).steps.items()}
STEPS = list(INPUTS_OF)
SPREAD = 5  # every fifth step is planted here, of each kind some; at 1 all of them are, which takes minutes


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "film.npz"
    export(path, "unet_film", OPTIONS, MODEL, SHAPE, dtype="float32", seed=3)
    return path


def rerun(reference):
    """What an implementation with the same state, inputs and upstream gradient gets."""
    tensors, metadata = read(reference)
    part = {kind: {n.removeprefix(f"{kind}."): a for n, a in tensors.items() if n.startswith(f"{kind}.")}
            for kind in ("state", "input")}  # fmt: skip
    found, _ = record(MODEL, part["state"], part["input"], tensors["grad_output"], training=True)
    return tensors, metadata, found


def test_a_right_run_holds(reference):
    tensors, metadata, found = rerun(reference)
    report = compare(tensors, metadata, found)
    assert report, report.verdict()
    assert len(report.rows) > 200
    assert "All" in report.verdict()
    assert compare(tensors, metadata, found, forced=False)


METHODS = ["layer", "relu", "max_pool2d", "concat", "film", "chunk"]  # all that this network does


def plant(monkeypatch, reader, name, change):
    """What the step of that name gives is changed, whichever method of ``Forward`` or ``Backward`` does it."""

    def planted(right):
        def method(self, step, *arguments, **options):
            found = right(self, step, *arguments, **options)
            return change(self, found) if step == name else found

        return method

    for method in METHODS:
        monkeypatch.setattr(reader, method, planted(getattr(reader, method)))


@pytest.mark.parametrize("name", [name for name in STEPS[::SPREAD] if name != "film.chunk"])
def test_a_wrong_layer_is_the_first_guilty_one_forward(reference, monkeypatch, name):
    def change(forward, y):
        y = y._replace(value=y.value * y.value.dtype.type(1.001)) if hasattr(y.value, "tobytes") else y
        forward.trace.activations[y.name] = y.value
        return y

    plant(monkeypatch, run.Forward, name, change)
    tensors, metadata, found = rerun(reference)
    monkeypatch.undo()
    first = compare(tensors, metadata, found).first()
    assert first is not None
    assert first.tensor == f"activation.{name}"


@pytest.mark.parametrize("name", STEPS[::-SPREAD])
def test_a_wrong_layer_is_the_first_guilty_one_backward(reference, monkeypatch, name):
    def change(_, grad):
        parts = [part * part.dtype.type(1.001) for part in (grad if isinstance(grad, tuple) else (grad,))]
        return tuple(parts) if isinstance(grad, tuple) else parts[0]

    plant(monkeypatch, run.Backward, name, change)
    tensors, metadata, found = rerun(reference)
    monkeypatch.undo()
    report = compare(tensors, metadata, found)
    assert report.first() is None
    first = report.first(backward=True)
    assert first is not None
    makers = {f"grad.{'input' if maker in MODEL.inputs else 'activation'}.{maker}" for maker in INPUTS_OF[name]}
    assert first.tensor in makers


@pytest.mark.parametrize(
    "name", ["inc.double_conv.0.weight", "film.2.bias", "up2_conv.double_conv.4.weight", "outc.bias"]
)
def test_a_wrong_gradient_of_a_parameter_is_named(reference, name):
    tensors, metadata, found = rerun(reference)
    found[f"grad.param.{name}"] = found[f"grad.param.{name}"] * np.float32(1.5)
    assert [row.tensor for row in compare(tensors, metadata, found).rows if not row.ok] == [f"grad.param.{name}"]


def test_gaps_are_filled_from_what_there_is(reference):
    tensors, metadata, found = rerun(reference)
    kept = {n: a for n, a in found.items() if not n.endswith((".1", ".4", "cat2", "film", "film.chunk"))}
    report = compare(tensors, metadata, kept)
    assert report, report.verdict()
    assert report.missing


def test_halves_the_wrong_way_round(reference, monkeypatch):
    chunk = run.Forward.chunk
    monkeypatch.setattr(run.Forward, "chunk", lambda self, *arguments: chunk(self, *arguments)[::-1])
    tensors, metadata, found = rerun(reference)
    monkeypatch.undo()
    assert compare(tensors, metadata, found).first().tensor == "activation.film"


@pytest.mark.parametrize("forced", [True, False])
def test_shapes_and_nan_are_findings_not_crashes(reference, forced):
    tensors, metadata, found = rerun(reference)
    found["activation.down4.1.double_conv.0"] = found["activation.down4.1.double_conv.0"][:, :, 1:]
    found["grad.activation.up1_trans"] = found["grad.activation.up1_trans"].swapaxes(2, 3)
    found["grad.param.outc.bias"] = np.full_like(found["grad.param.outc.bias"], np.nan)
    report = compare(tensors, metadata, found, forced=forced)
    wrong = {row.tensor: row for row in report.rows if not row.ok}
    assert set(wrong) == {"activation.down4.1.double_conv.0", "grad.activation.up1_trans", "grad.param.outc.bias"}
    assert wrong["activation.down4.1.double_conv.0"].detail == "shape (2, 32, 0, 2), expected (2, 32, 1, 2)"
    assert "shape" in report.first().detail
    assert (len(report.unjudged) > 0) == forced  # what comes after those of the wrong shape
    assert "cannot be judged" in report.verdict() or not forced
    json.dumps(report.to_json(), allow_nan=False)


def test_one_that_cannot_be_judged_is_counted_in_the_singular(reference):
    tensors, metadata, found = rerun(reference)
    report = compare(tensors, metadata, {"activation.outc": found["activation.outc"]})
    assert report.verdict() == "1 of the candidate's tensors cannot be judged: what went into it is not there."


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("output", "output"),
        ("buffer.inc.double_conv.1.running_mean", None),
        ("buffer.up1_conv.double_conv.4.running_var", None),
        ("buffer.down1.1.double_conv.1.num_batches_tracked", None),
        ("state.film.0.weight", None),
        ("grad_output", None),
        ("grad.activation.outc", None),
        ("grad.input.weather", None),
        ("activation.film.chunk", None),
        ("grad.activation.film.chunk", None),
    ],
)
def test_what_is_no_layer_is_looked_at_too(reference, name, first):
    tensors, metadata, found = rerun(reference)
    found[name] = found[name] * 2 + 1
    report = compare(tensors, metadata, found)
    assert next(row.tensor for row in report.rows if not row.ok) == name


def test_an_output_whose_layer_is_not_shown(reference):
    tensors, metadata, found = rerun(reference)
    del found["activation.outc"]
    assert compare(tensors, metadata, found)
    found["output"] = found["output"] + np.float32(0.01)
    assert [row.tensor for row in compare(tensors, metadata, found).rows if not row.ok] == ["output"]


def test_inputs_of_ones_own_are_used_and_must_fit(reference):
    tensors, metadata, found = rerun(reference)
    found["input.x"] = tensors["input.x"] * np.float32(2)
    assert compare(tensors, metadata, found).first().tensor == "activation.inc.double_conv.0"
    found["input.x"] = tensors["input.x"][:1]
    with pytest.raises(ShapeError, match=r"input.x is \(1, 3, 16, 32\), and the reference's \(2, 3, 16, 32\)"):
        compare(tensors, metadata, found)


@pytest.mark.parametrize("kind", ["U", "complex64", "M8[s]"])
@pytest.mark.parametrize("forced", [True, False])
def test_words_and_dates_are_no_numbers(reference, kind, forced):
    tensors, metadata, found = rerun(reference)
    whole = found["activation.outc"].astype("int64") if kind == "M8[s]" else found["activation.outc"]
    found["activation.outc"] = whole.astype(kind)
    with pytest.raises(DTypeError, match=r"other\['activation.outc'\] has dtype .*, and must hold real numbers"):
        compare(tensors, metadata, found, forced=forced)


@pytest.mark.parametrize(
    "recipe", [{"model": "unet9"}, {"options": {"wings": 2}}, {"input": "wide"}, {"dtype": "int8"}, {"training": 0}]
)
def test_a_recipe_that_fits_nothing(reference, recipe):
    tensors, metadata, found = rerun(reference)
    metadata = metadata | {"recipe": metadata["recipe"] | recipe}
    if "training" in recipe:  # another mode of the same network: no error, but the norms differ
        assert compare(tensors, metadata, found).first().op == "batch_norm"
        return
    with pytest.raises(ValueError, match="no network fits the reference's recipe"):
        compare(tensors, metadata, found)


def test_empty_tensors_hold():
    row = Compared.of("x", "relu", np.zeros((2, 0)), np.zeros((2, 0)), 0.0)
    assert (row.ok, row.elements, row.ratio) == (True, 0, 0.0)


def test_nothing_in_common(reference):
    tensors, metadata, _ = rerun(reference)
    report = compare(tensors, metadata, {"something": np.zeros(3)})
    assert not report
    assert "Nothing to compare" in report.verdict()


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("unet", {"base_channels": 2, "depth": 2, "padding": 0}, (1, 3, 44, 48)),
        ("unet2", {"base_channels": 2}, (2, 1, 8, 6)),
        ("resnet50", {"base_channels": 1, "num_classes": 5}, (2, 3, 32, 64)),
        ("resnet_unet", {"base_channels": 1}, (2, 1, 16, 32)),
        ("context_unet", {"n_feat": 8, "height": 16}, (2, 3, 16, 16)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_network_holds_against_itself(tmp_path, name, options, shape, dtype):
    model = models.MODELS[name].create(**options)
    export(tmp_path / "run.npz", name, options, model, shape, dtype=dtype, training=dtype == "float32")
    tensors, metadata = read(tmp_path / "run.npz")
    report = compare(tensors, metadata, tensors)
    assert report, report.verdict()
