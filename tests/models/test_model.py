"""What all networks share: passes, traces, what is kept and freed, dtypes, batches, and wrong use."""

import gc
import weakref
from collections.abc import Mapping

import numpy as np
import pytest
from models.twin_cases import CASES, build, random_inputs, random_state

from unet_ref import DTypeError, ShapeError
from unet_ref.models import MODELS, ContextUnet, Model, ResNet50, UNet, UNetFiLM
from unet_ref.models.run import Forward

FIRST = {case.name: case for case in reversed(CASES)}  # a small, batched case of each network
NETWORKS = pytest.mark.parametrize("name", sorted(MODELS))
MODES = pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])

FILM = UNetFiLM(in_channels=3, weather_channels=2, base_channels=2, film_hidden=3)


def drawn(name, rng, dtype="float64"):
    """A network, a state, and inputs in order."""
    model = build(FIRST[name])
    return model, random_state(model, rng, dtype), list(random_inputs(model, FIRST[name], rng, dtype).values())


def film(rng, dtype="float64"):
    x, weather = rng.standard_normal((2, 3, 16, 32)).astype(dtype), rng.standard_normal((2, 2)).astype(dtype)
    return random_state(FILM, rng, dtype), x, weather


def grad_like(trace, rng):
    return rng.standard_normal(trace.output.shape).astype(trace.output.dtype)


def same_bits(ours, theirs):
    assert list(ours) == list(theirs)
    for name, array in theirs.items():
        assert (array is None and ours[name] is None) or ours[name].tobytes() == array.tobytes(), name


# --- traces -----------------------------------------------------------------------------------------------------------


@NETWORKS
@MODES
def test_a_trace_is_a_mapping_in_the_order_of_the_pass(name, training, rng):
    model, state, inputs = drawn(name, rng)
    trace = model.trace(state, *inputs, training=training, record="all")
    assert isinstance(trace, Mapping)
    assert list(trace) == list(trace.steps)
    assert len(trace) == len(trace.steps)
    for step in trace.steps.values():
        assert trace[step.name].shape == step.output_shape, step.name
    last = list(trace)[-1]
    assert trace[last] is trace.output
    with pytest.raises(KeyError):
        trace["x"]  # no step made it
    assert "x" not in trace
    assert repr(trace) == f"<Trace of {len(trace)} steps, {len(trace)} activations held>"


@NETWORKS
@MODES
def test_what_is_recorded_changes_no_bit(name, training, rng):
    model, state, inputs = drawn(name, rng)
    every, some, none = (
        model.trace(state, *inputs, training=training, record=record) for record in ("all", "backward", "nothing")
    )
    assert every.output.tobytes() == some.output.tobytes() == none.output.tobytes()
    same_bits(some.buffers, every.buffers)
    same_bits(none.buffers, every.buffers)
    assert set(some) < set(every)
    same_bits(dict(some), {key: every[key] for key in some})  # nothing was overwritten that is still held
    assert list(none) == []
    assert list(none.steps) == list(every.steps)
    assert model.forward(state, *inputs, training=training).tobytes() == every.output.tobytes()
    grad_output = grad_like(every, rng)
    from_all, from_some = (model.backward(state, trace, grad_output) for trace in (every, some))
    same_bits(from_all.params, from_some.params)
    same_bits(from_all.inputs, from_some.inputs)


@NETWORKS
@MODES
def test_the_gradient_at_every_activation(name, training, rng):
    model, state, inputs = drawn(name, rng)
    trace = model.trace(state, *inputs, training=training, record="all")
    grad_output = grad_like(trace, rng)
    plain = model.backward(state, trace, grad_output)
    assert plain.activations == {}
    grads = model.backward(state, trace, grad_output, record=True)
    assert set(grads.activations) == set(trace.steps)
    for key, grad in grads.activations.items():
        assert grad.shape == trace[key].shape, key
    assert grads.activations[list(trace)[-1]] is grad_output
    same_bits(grads.params, plain.params)
    same_bits(grads.inputs, plain.inputs)
    parameters = [key for key in state if "running_" not in key and "num_batches" not in key]
    assert list(grads.params) == parameters
    assert all(grads.params[key].shape == state[key].shape for key in parameters)
    assert list(grads.inputs) == list(model.inputs)


@NETWORKS
@MODES
def test_releasing_frees_everything_and_changes_no_bit(name, training, rng):
    model, state, inputs = drawn(name, rng)
    trace = model.trace(state, *inputs, training=training)
    kept = model.trace(state, *inputs, training=training)
    grad_output = grad_like(trace, rng)
    held = [weakref.ref(trace[key]) for key in trace if trace[key] is not trace.output]
    assert held
    grads = model.backward(state, trace, grad_output, release=True)
    gc.collect()
    assert [ref for ref in held if ref() is not None] == []
    assert len(trace) == 0
    expected = model.backward(state, kept, grad_output)
    same_bits(grads.params, expected.params)
    same_bits(grads.inputs, expected.inputs)
    same_bits(model.backward(state, kept, grad_output).params, expected.params)  # a trace that was kept serves again


# --- nothing mutated, nothing aliased ---------------------------------------------------------------------------------


@NETWORKS
@MODES
def test_nothing_is_written_to(name, training, rng):
    model, state, inputs = drawn(name, rng)
    for array in (*state.values(), *inputs):
        array.flags.writeable = False
    trace = model.trace(state, *inputs, training=training)
    grad_output = grad_like(trace, rng)
    grad_output.flags.writeable = False
    grads = model.backward(state, trace, grad_output, release=True)
    given = [*state.values(), *inputs, grad_output]
    made = [trace.output, *grads.params.values(), *grads.inputs.values()]
    made += trace.buffers.values() if training else []
    for k, array in enumerate(made):
        assert isinstance(array, np.ndarray)
        assert not any(np.shares_memory(array, other) for other in [*given, *made[:k]])


@NETWORKS
def test_evaluation_leaves_the_buffers_alone(name, rng):
    model, state, inputs = drawn(name, rng)
    buffers = {key: array for key, array in state.items() if "running_" in key or "num_batches" in key}
    assert model.buffer_names() == list(buffers)
    same_bits(model.trace(state, *inputs).buffers, buffers)
    trained = model.trace(state, *inputs, training=True).buffers
    assert list(trained) == list(buffers)
    for key, array in trained.items():
        assert array.dtype == buffers[key].dtype
        assert array.tobytes() != buffers[key].tobytes(), key
        if key.endswith("num_batches_tracked"):
            assert array == buffers[key] + 1


@NETWORKS
def test_views_give_the_same_bits(name, rng):
    model, state, inputs = drawn(name, rng)
    expected = model.trace(state, *inputs, training=True)
    grad_output = grad_like(expected, rng)
    reversed_state = {key: array[::-1].copy()[::-1] if array.ndim else array for key, array in state.items()}
    turned = [np.moveaxis(np.moveaxis(a, 0, -1).copy(), -1, 0) for a in inputs]
    assert not turned[0].flags.c_contiguous
    trace = model.trace(reversed_state, *turned, training=True)
    assert trace.output.tobytes() == expected.output.tobytes()
    same_bits(
        model.backward(reversed_state, trace, np.asfortranarray(grad_output)).params,
        model.backward(state, expected, grad_output).params,
    )


# --- batches ----------------------------------------------------------------------------------------------------------


@NETWORKS
def test_in_evaluation_an_image_alone_has_the_same_bits(name, rng):
    model, state, inputs = drawn(name, rng)
    trace = model.trace(state, *inputs)
    grad_output = grad_like(trace, rng)
    grads = model.backward(state, trace, grad_output)
    for n in range(len(inputs[0])):
        for pick in (n, slice(n, n + 1)):  # (C, H, W), and a batch of one
            alone = model.trace(state, *(a[pick] for a in inputs))
            assert alone.output.shape == trace.output[pick].shape
            assert alone.output.tobytes() == trace.output[n].tobytes()
            lone = model.backward(state, alone, grad_output[pick])
            for key, grad in lone.inputs.items():
                assert grad.shape == grads.inputs[key][pick].shape
                assert grad.tobytes() == grads.inputs[key][n].tobytes(), key


@NETWORKS
@MODES
def test_an_empty_batch(name, training, rng):
    model, state, inputs = drawn(name, rng)
    trace = model.trace(state, *(a[:0] for a in inputs), training=training)
    assert trace.output.shape == (0, *model.output_shape(*(a.shape for a in inputs))[1:])
    grads = model.backward(state, trace, trace.output)
    assert all(not np.any(grad) for grad in grads.params.values())
    assert all(grad.shape == a[:0].shape for grad, a in zip(grads.inputs.values(), inputs, strict=True))


# --- dtypes -----------------------------------------------------------------------------------------------------------


@NETWORKS
@pytest.mark.parametrize(("dtype", "near"), [("float16", 0.3), ("float32", 1e-3), ("longdouble", 1e-9)])
def test_dtypes(name, dtype, near, rng):
    """The dtype of all that goes in comes out; float64 says what it should be."""
    model, state, inputs = drawn(name, rng)
    exact = model.trace(state, *inputs)
    cast = {key: a if a.dtype.kind == "i" else a.astype(dtype) for key, a in state.items()}
    trace = model.trace(cast, *(a.astype(dtype) for a in inputs))
    grads = model.backward(cast, trace, trace.output)
    made = [trace.output, *grads.params.values(), *grads.inputs.values(), *trace.values()]
    assert {a.dtype for a in made} == {np.dtype(dtype)}
    error = np.abs(trace.output.astype("longdouble") - exact.output).max()
    assert error <= near * np.abs(exact.output).max()


@NETWORKS
def test_a_complex_step(name, rng):
    """``Im f(x + ih u) / h`` is the derivative along u: the whole network takes complex arrays."""
    model, state, inputs = drawn(name, rng)
    trace = model.trace(state, *inputs)
    grad_output = grad_like(trace, rng)
    grads = model.backward(state, trace, grad_output)
    directions = [rng.standard_normal(a.shape) for a in inputs]
    lifted = {key: a if a.dtype.kind == "i" else a.astype("complex128") for key, a in state.items()}
    stepped = model.forward(lifted, *(a + 1e-40j * u for a, u in zip(inputs, directions, strict=True)))
    slope = np.sum(grad_output * stepped.imag / 1e-40)
    expected = sum(np.sum(g * u) for g, u in zip(grads.inputs.values(), directions, strict=True))
    size = sum(np.sum(np.abs(g * u)) for g, u in zip(grads.inputs.values(), directions, strict=True))
    assert abs(slope - expected) < 1e-11 * size


# --- an input that is left out ----------------------------------------------------------------------------------------


def test_without_context_is_with_zeros(rng):
    model = ContextUnet(n_feat=8, n_cfeat=3, height=16)
    state, x, t = random_state(model, rng), rng.standard_normal((2, 3, 16, 16)), rng.standard_normal((2, 1))
    zeros = model.trace(state, x, t, np.zeros((2, 3)), training=True)
    grad_output = grad_like(zeros, rng)
    expected = model.backward(state, zeros, grad_output)
    for trace in (
        model.trace(state, x, t, training=True),
        model.trace(state, x, t, None, training=True),
        model.trace(state, x=x, t=t, c=None, training=True),
    ):
        assert trace.output.tobytes() == zeros.output.tobytes()
        grads = model.backward(state, trace, grad_output)
        same_bits(grads.params, expected.params)
        assert grads.inputs["c"] is None
        assert grads.inputs["x"].tobytes() == expected.inputs["x"].tobytes()
    assert expected.inputs["c"].shape == (2, 3)
    alone = model.trace(state, x[0], t[0])
    assert model.backward(state, alone, alone.output).inputs["c"] is None


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 1, 1, 1)])
def test_the_shape_of_the_times(shape, rng):
    model = ContextUnet(n_feat=8, n_cfeat=3, height=16)
    state, x, t = random_state(model, rng), rng.standard_normal((2, 3, 16, 16)), rng.standard_normal(2)
    trace = model.trace(state, x, t.reshape(shape))
    assert trace.output.tobytes() == model.forward(state, x, t).tobytes()
    assert model.backward(state, trace, trace.output).inputs["t"].shape == shape


# --- features ---------------------------------------------------------------------------------------------------------


def test_features_of_resnet50(rng):
    model = ResNet50(in_channels=1, base_channels=2)
    state, x = random_state(model, rng), rng.standard_normal((2, 1, 40, 64))
    trace = model.trace(state, x, training=True, record="all")
    names = ("maxpool", "layer1.2.relu", "layer2.3.relu", "layer3.5.relu", "layer4.2.relu")
    for found, name in zip(model.features(state, x, training=True), names, strict=True):
        assert found.tobytes() == trace[name].tobytes()
    for found, whole in zip(model.features(state, x[0]), model.features(state, x), strict=True):
        assert found.tobytes() == whole[0].tobytes()
    with pytest.raises(ShapeError, match=r"ResNet50: conv1: conv2d: weight\.shape\[1\] \(1\)"):
        model.features(state, np.zeros((2, 3, 40, 64)))
    with pytest.raises(DTypeError, match=r"ResNet50: x\.dtype is float32, state\.dtype is float64"):
        model.features(state, x.astype("float32"))
    with pytest.raises(DTypeError, match="ResNet50: x must be a NumPy or CuPy array, got list"):
        model.features(state, x.tolist())


# --- wrong use --------------------------------------------------------------------------------------------------------


ONE_DTYPE = ": all arrays must have one dtype"
INTEGERS = (
    "UNetFiLM: x.dtype (int64) must be float16, float32, float64, longdouble, complex64, complex128 or object, "
    "in native byte order"
)


def test_wrong_inputs(rng):
    state, x, weather = film(rng)
    for call, error, message in [
        (lambda: FILM.forward(state, x), TypeError, "UNetFiLM needs the inputs x, weather: weather is absent"),
        (lambda: FILM.forward(state), TypeError, "UNetFiLM needs the inputs x, weather: x, weather is absent"),
        (lambda: FILM.forward(state, x, weather, x), TypeError, "UNetFiLM takes the inputs x, weather, got 3"),
        (lambda: FILM.forward(state, x, weather, x=x), TypeError, "UNetFiLM takes the inputs x, weather, got 2 and x"),
        (lambda: FILM.forward(state, x, y=x), TypeError, "UNetFiLM takes the inputs x, weather, got 1 and y"),
        (lambda: FILM.forward(state, x.tolist(), weather), DTypeError,
         "UNetFiLM: x must be a NumPy or CuPy array, got list"),
        (lambda: FILM.forward(state, x, weather.astype("float32")), DTypeError,
         f"UNetFiLM: x.dtype is float64, weather.dtype is float32, state.dtype is float64{ONE_DTYPE}"),
        (lambda: FILM.forward(state, x.astype("float32"), weather.astype("float32")), DTypeError,
         f"UNetFiLM: x.dtype is float32, weather.dtype is float32, state.dtype is float64{ONE_DTYPE}"),
        (lambda: FILM.forward(state, x.astype(int), weather), DTypeError,
         INTEGERS),
        (lambda: FILM.forward(state, x[0, 0], weather), ShapeError,
         "UNetFiLM: x must be (N, C, H, W) or (C, H, W), got shape (16, 32)"),
        (lambda: FILM.forward(state, x, weather[:1]), ShapeError,
         "UNetFiLM: weather.shape (1, 2) must be (2, 2), a vector for each image"),
        (lambda: FILM.forward(state, x[0], weather[:1]), ShapeError,
         "UNetFiLM: weather.shape (1, 1, 2) must be (1, 2), a vector for each image"),
        (lambda: FILM.trace(state, x, weather, record="some"), ValueError,
         "trace: record ('some') must be 'backward', 'all' or 'nothing'"),
    ]:  # fmt: skip
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == message


def test_the_size_is_checked_before_any_work(rng, monkeypatch):
    """In training too: one value a channel has no variance."""
    state, x, weather = film(rng)
    monkeypatch.setattr("unet_ref.ops.conv2d", None)  # whoever gets to work, fails otherwise
    with pytest.raises(ShapeError, match=r"cat1: skip of level 4 is 3 wide.*nearest that fit: 16 x 16, 16 x 32"):
        FILM.forward(state, x[..., 1:], weather)
    with pytest.raises(ShapeError) as caught:
        FILM.forward(state, x[:1, :, :, :16], weather[:1], training=True)
    assert str(caught.value) == (
        "UNetFiLM: down4.1.double_conv.1: batch_norm_running_stats: the unbiased variance needs more than one value "
        "per channel, got x.shape (1, 32, 1, 1)"
    )


def test_one_value_per_channel_is_enough_in_evaluation(rng):
    state, x, weather = film(rng)
    assert FILM.forward(state, x[:1, :, :, :16], weather[:1]).shape == (1, 1, 16, 16)


def test_wrong_traces_and_gradients(rng):
    state, x, weather = film(rng)
    trace = FILM.trace(state, x, weather)
    grad_output = grad_like(trace, rng)
    nothing = FILM.trace(state, x, weather, record="nothing")
    released = FILM.trace(state, x, weather)
    FILM.backward(state, released, grad_output, release=True)
    plain = UNet(base_channels=1)
    for call, error, message in [
        (lambda: FILM.backward(state, nothing, grad_output), ValueError,
         "UNetFiLM.backward: the trace was made with record='nothing': it holds nothing to go back through"),
        (lambda: FILM.backward(state, released, grad_output), ValueError,
         "UNetFiLM.backward: the trace was released by an earlier backward pass: it holds nothing to go back through"),
        (lambda: plain.backward(state, trace, grad_output), ValueError,
         "UNet.backward: the trace is another network's"),
        (lambda: FILM.backward(state, trace, grad_output.tolist()), DTypeError,
         "UNetFiLM.backward: grad_output must be a NumPy or CuPy array, got list"),
        (lambda: FILM.backward(state, trace, grad_output.astype("float32")), DTypeError,
         f"UNetFiLM.backward: grad_output.dtype is float32, trace.output.dtype is float64{ONE_DTYPE}"),
        (lambda: FILM.backward(state, trace, grad_output[:1]), ShapeError,
         "UNetFiLM.backward: grad_output.shape (1, 1, 16, 32) must be the output's shape (2, 1, 16, 32)"),
    ]:  # fmt: skip
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == message
    FILM.backward(state, trace, grad_output)  # none of it spoilt the trace


def test_operations_say_where_they_stand():
    """An operation that refuses its arguments in the middle of a network names its step."""
    model = UNet(base_channels=1, depth=1)
    run = Forward(None, model.layers, {}, training=False, record="nothing")
    run.ops = type("Ops", (), {"refuse": staticmethod(refuse)})
    with pytest.raises(ShapeError, match=r"^bottleneck\.conv_block\.0: refuse: 1 must be 2$"):
        run._call("bottleneck.conv_block.0", "refuse", 1, must=2)


def refuse(value, *, must):
    raise ShapeError(f"refuse: {value} must be {must}")


def test_a_model_without_passes():
    """The base class has none: a subclass writes them one below the other."""
    with pytest.raises(NotImplementedError):
        Model()._forward(None, None)
    with pytest.raises(NotImplementedError):
        Model()._backward(None, None)
