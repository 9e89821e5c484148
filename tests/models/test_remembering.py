"""What the forward pass hands on to the backward pass changes no bit, and not more than it says is kept."""

import numpy as np
import pytest

from unet_ref import DTypeError, ShapeError, models, ops
from unet_ref.check.network import instance
from unet_ref.models.layers import Conv2d
from unet_ref.models.model import Model
from unet_ref.models.remembering import Remembering


@pytest.mark.parametrize("name", models.MODELS)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_as_the_plain_operations(name, training, dtype, rng):
    model, shapes = instance(name)
    state = model.init(rng, dtype)
    inputs = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    trace = model.trace(state, *inputs, training=training)
    plain = model._run(ops, state, inputs, training=training, record="backward")
    assert trace.output.tobytes() == plain.output.tobytes()
    for buffer, value in plain.buffers.items():
        assert trace.buffers[buffer].tobytes() == value.tobytes(), buffer
    v = rng.standard_normal(trace.output.shape).astype(dtype)
    grads = model.backward(state, trace, v)
    expected = model._run_backward(ops, plain, v, record=False, release=False)
    for parameter, gradient in expected.params.items():
        assert grads.params[parameter].tobytes() == gradient.tobytes(), parameter
    assert grads.inputs["x"].tobytes() == expected.inputs["x"].tobytes()


def test_all_activations_are_what_they_were(rng):
    model, shapes = instance("unet_film")
    state = model.init(rng, "float64")
    inputs = [rng.standard_normal(shape) for shape in shapes]
    trace = model.trace(state, *inputs, training=True, record="all")
    assert len(trace) == len(trace.steps)
    for name, step in trace.steps.items():
        if step.op == "relu":
            (before,) = step.inputs
            np.testing.assert_array_equal(trace[name], np.maximum(trace[before], 0))
            assert trace[before].min() < 0  # not overwritten


def test_half_precision_takes_the_plain_form(rng):
    model, shapes = instance("unet_film")
    state = model.init(rng, "float16")
    inputs = [rng.standard_normal(shape).astype("float16") for shape in shapes]
    trace = model.trace(state, *inputs, training=True)
    assert trace.output.dtype == np.float16
    assert all(step.backward is None for step in trace.steps.values())
    grads = model.backward(state, trace, trace.output)
    assert {gradient.dtype for gradient in grads.params.values()} == {np.dtype("float16")}


def test_inputs_stay_as_they_are(rng):
    model, shapes = instance("unet")
    state = model.init(rng, "float64")
    x = rng.standard_normal(shapes[0])
    before = x.copy(), {name: array.copy() for name, array in state.items()}
    trace = model.trace(state, x, training=True)
    v = rng.standard_normal(trace.output.shape)
    v_before = v.copy()
    first, second = model.backward(state, trace, v), model.backward(state, trace, v)
    assert x.tobytes() == before[0].tobytes()
    assert v.tobytes() == v_before.tobytes()
    for name, array in state.items():
        assert array.tobytes() == before[1][name].tobytes(), name
        assert first.params[name].tobytes() == second.params[name].tobytes(), name


def test_the_rules_of_batch_norm_still_hold(rng):
    run, x, vector = Remembering(), rng.standard_normal((2, 3, 4, 5)), np.ones(3)
    with pytest.raises(ShapeError, match=r"weight.shape \(4,\)"):
        run.remember_batch_norm(x, np.ones(4), vector, vector, vector, training=True)
    with pytest.raises(DTypeError, match=r"float32"):
        run.remember_batch_norm(x, np.ones(3, "float32"), vector, vector, vector, training=True)


def test_relu_of_complex_numbers_is_not_in_place(rng):
    x = rng.standard_normal((2, 3)) + 1j
    np.testing.assert_array_equal(Remembering().relu_in_place(x), ops.relu(x))


def test_relu_in_place_has_the_bits_of_relu_or_is_not_in_place(rng):
    """float16 is widened, and then minus zero is zero; half of an array's columns have no memory of their own."""
    run = Remembering()
    for x in (np.array([-0.0, 3, -2], "float16"), rng.standard_normal((3, 4))[:, :2]):
        before, y = x.copy(), run.relu_in_place(x)
        assert y.tobytes() == ops.relu(before).tobytes()
        assert x.tobytes() == before.tobytes()
        dy = rng.standard_normal(x.shape).astype(x.dtype) if x.ndim == 1 else rng.standard_normal((3, 4))[:, 1:3]
        kept, dx = dy.copy(), run.relu_backward_in_place(dy, before).x
        assert dx.tobytes() == ops.relu_backward(kept, before).x.tobytes()


class Careless(models.UNet2):
    """A network whose first step is a ReLU of its input."""

    def _forward(self, run, x):
        return super()._forward(run, run.relu("first", x))

    def _backward(self, run, grad):
        return {"x": run.relu("first", super()._backward(run, grad)["x"])}


def test_relu_of_an_input_leaves_it_alone(rng):
    model = Careless(config=models.UNet2Config(base_channels=2))
    state, x = model.init(rng, "float64"), rng.standard_normal((1, 1, 4, 6))
    before = x.copy()
    trace = model.trace(state, x)
    assert x.tobytes() == before.tobytes()
    v = rng.standard_normal(trace.output.shape)
    kept = v.copy()
    model.backward(state, trace, v)
    assert v.tobytes() == kept.tobytes()


def test_add_in_place_has_the_bits_of_a_sum_or_is_not_in_place(rng):
    a, b = (rng.standard_normal((3, 4)) for _ in "ab")
    total = a + b
    assert Remembering().add_in_place(a, b) is a
    assert a.tobytes() == total.tobytes()
    for left, right in ((a[:1], b), (a.T, b.T), (a.astype("float16"), b.astype("float16")), (a + 1j, b + 1j)):
        before, expected = left.copy(), left + right
        assert Remembering().add_in_place(left, right).tobytes() == expected.tobytes()
        assert left.tobytes() == before.tobytes()


class Branches(Model):
    """A step that a ReLU and a later sum read, one that two sums read, and sums whose terms nobody else reads."""

    def __init__(self):
        self.layers = {name: Conv2d(3, 3, 3, padding=1) for name in "abcd"}

    def _forward(self, run, x):
        a = run.layer("a", x)
        b = run.layer("b", run.relu("r", a))
        s = run.add("s", b, a)
        c = run.add("cs", run.layer("c", s), s)
        d = run.relu("q", run.layer("d", c))
        return run.add("out", run.add("dd", d, c), c, divisor=1.414)

    def _backward(self, run, grad):
        grad_out = run.add("out", grad)
        grad_dd = run.add("dd", grad_out)
        grad_c = run.join(run.layer("d", run.relu("q", grad_dd)), run.join(grad_dd, grad_out))
        grad_s = run.add("cs", grad_c)
        grad_s = run.join(run.layer("c", grad_s), grad_s)
        grad = run.add("s", grad_s)
        grad_a = run.join(run.relu("r", run.layer("b", grad)), grad)
        return {"x": run.layer("a", grad_a)}


@pytest.mark.parametrize("record", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_has_another_reader_is_not_overwritten(rng, record, dtype):
    model = Branches()
    state, x = model.init(rng, dtype), rng.standard_normal((2, 3, 5, 6)).astype(dtype)
    plain = model._run(ops, state, [x], training=True, record="backward")
    trace = model.trace(state, x, training=True, record="all" if record else "backward")
    assert trace.output.tobytes() == plain.output.tobytes() == model.forward(state, x).tobytes()
    v = rng.standard_normal(trace.output.shape).astype(dtype)
    expected = model._run_backward(ops, plain, v, record=record, release=False)
    for _ in range(2):
        grads = model.backward(state, trace, v, record=record)
        for found, wanted in ((grads.params, expected.params), (grads.inputs, expected.inputs)):
            assert {n: a.tobytes() for n, a in found.items()} == {n: a.tobytes() for n, a in wanted.items()}
        for name, gradient in grads.activations.items():
            np.testing.assert_allclose(gradient, expected.activations[name], rtol=1e-5, atol=1e-6)


def test_the_output_is_not_overwritten_by_who_reads_it_too(rng):
    class Watched(Branches):
        def _forward(self, run, x):
            y = super()._forward(run, x)
            run.relu("watched", y)
            return y

    model = Watched()
    state, x = model.init(rng, "float64"), rng.standard_normal((2, 3, 5, 6))
    assert model.trace(state, x).output.tobytes() == Branches().trace(state, x).output.tobytes()


def test_a_view_of_what_somebody_reads_is_not_overwritten(rng):
    class Viewed(Model):
        layers = {"a": Conv2d(3, 3, 3, padding=1)}  # noqa: RUF012

        def _forward(self, run, x):
            a = run.layer("a", x)
            rows = run.relu("r", run.reshape("rows", a, 2, 90))
            return run.add("s", run.reshape("image", rows, 2, 3, 5, 6), a)

    model = Viewed()
    state, x = model.init(rng, "float64"), rng.standard_normal((2, 3, 5, 6))
    plain = model._run(ops, state, [x], training=True, record="backward")
    assert model.forward(state, x).tobytes() == plain.output.tobytes()
