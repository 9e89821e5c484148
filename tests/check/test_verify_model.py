"""Networks by complex step: right ones hold, and each mistake planted in a backward pass is named."""

from fractions import Fraction

import numpy as np
import pytest

from unet_ref import models, ops
from unet_ref.check.exact_model import exact_rows
from unet_ref.check.stacked import Stacked
from unet_ref.check.tasks import verify_state
from unet_ref.check.verify_model import Point, coordinates, instance, random_point, verify_model, verify_point
from unet_ref.models.blocks import Bottleneck, ResidualConv


@pytest.mark.parametrize("name", models.MODELS)
def test_every_network_holds_in_both_modes(name):
    rows = verify_model(name, every=False)
    assert [row.link for row in rows if not row.exact] == [5, 5]
    assert all(row.holds for row in rows), [row.detail for row in rows]


@pytest.mark.parametrize("name", ["unet2", "unet"])
def test_every_coordinate_holds(name):
    rows = verify_model(name)
    assert rows[-1].elements > 500
    assert all(row.holds for row in rows)


def _forget_the_skip(self, run, grad):
    grad = run.layer("out1x1", grad)
    for name in ("up1_2.relu", "up1_2", "up1_1.relu", "up1_1"):
        grad = (run.relu if name.endswith("relu") else run.layer)(name, grad)
    _, grad = run.concat("concat", grad)
    grad = run.layer("up_t", grad)
    for name in ("down2_2.relu", "down2_2", "down2_1.relu", "down2_1"):
        grad = (run.relu if name.endswith("relu") else run.layer)(name, grad)
    grad = run.max_pool2d("pool", grad)
    grad = run.relu("down1_2.relu", grad)
    grad = run.layer("down1_2", grad)
    return {"x": run.layer("down1_1", run.relu("down1_1.relu", grad))}


def test_a_forgotten_skip_is_found(monkeypatch):
    monkeypatch.setattr(models.UNet2, "_backward", _forget_the_skip)
    rows = {row.method: row for row in verify_model("unet2")}
    assert rows.pop("definition").holds  # it is the same backward pass, over the definitions
    assert not rows.pop("dual numbers").holds
    assert all("gradient of " in row.detail for row in rows.values())


def test_a_forgotten_shortcut_is_found(monkeypatch):
    right = Bottleneck.backward
    monkeypatch.setattr(Bottleneck, "backward", lambda self, run, grad: right(self, run, grad) * 1.0005)
    assert not any(row.holds for row in verify_model("resnet50", every=False))


def test_a_forgotten_division_is_found(monkeypatch):
    right = ResidualConv.backward
    monkeypatch.setattr(
        ResidualConv, "backward", lambda self, run, grad: right(self, run, grad * 1.414 if self.is_res else grad)
    )
    rows = verify_model("context_unet", every=False)
    assert not any(row.holds for row in rows)


def test_a_single_wrong_coordinate_is_found(rng):
    point = random_point("unet2", rng, training=False)
    wrong = point.grads["down2_1.weight"].copy()
    index = np.unravel_index(abs(wrong).argmax(), wrong.shape)
    wrong[index] *= 1.0005
    point.grads["down2_1.weight"] = wrong
    directions, every = verify_point("unet2", point, rng, every=True)
    assert not directions.holds
    assert every.holds  # it draws a cotangent of its own, and so gradients of its own
    values, _ = coordinates(point, "down2_1.weight")
    assert np.argwhere(abs(values - wrong) > 1e-9 * abs(wrong).max()).tolist() == [list(index)]


def test_nan_in_a_gradient_fails(rng):
    point = random_point("unet2", rng, training=False)
    point.grads["out1x1.bias"] = np.full(3, np.nan)
    (row,) = verify_point("unet2", point, rng, every=False)
    assert not row.holds
    assert "out1x1.bias" in row.detail


def test_training_and_eval_differ_where_there_is_batch_norm(rng):
    model, shapes = instance("unet_film")
    state = model.init(rng, "float64")
    inputs = [rng.standard_normal(shape) for shape in shapes]
    one, other = (Point(model, state, inputs, np.random.default_rng(1), training=mode) for mode in (True, False))
    assert abs(one.grads["inc.double_conv.0.weight"] - other.grads["inc.double_conv.0.weight"]).max() > 1e-3


@pytest.mark.parametrize("name", models.MODELS)
@pytest.mark.parametrize("training", [False, True])
def test_copies_give_what_each_network_gives_alone(name, training, rng):
    model, shapes = instance(name)
    states = [model.init(k, "complex128") for k in range(3)]
    inputs = [rng.standard_normal(shape).astype(complex) for shape in shapes]
    stacked = {n: np.stack([state[n] for state in states[: 1 if n.endswith("tracked") else 3]]) for n in states[0]}
    together = model._run(Stacked(3, shapes[0][0]), stacked, inputs, training=training, record="nothing").output
    for k, state in enumerate(states):
        alone = model.forward(state, *inputs, training=training)
        np.testing.assert_allclose(together.reshape(3, *alone.shape)[k], alone, rtol=1e-8, atol=1e-10)


def test_a_stepped_gelu_moves_by_its_slope(rng):
    x = rng.standard_normal((4, 3))
    y = Stacked(1, 4).gelu(x + 1e-30j)
    np.testing.assert_allclose(y.real, ops.gelu(x), rtol=1e-13)
    slope = ops.gelu_backward(np.full_like(x, 1.5), x).x
    np.testing.assert_allclose(y.imag * 1.5e30, slope, rtol=1e-12, atol=1e-15)


class TestAtTheUsersOwnPoint:
    @pytest.fixture
    def model(self):
        return models.UNetFiLM(2, 1, weather_channels=3, base_channels=1, film_hidden=2)

    def test_state_and_image(self, model, tmp_path, rng):
        model.save(tmp_path / "state.npz", model.init(rng, "float32"))
        np.save(tmp_path / "x.npy", rng.standard_normal((2, 32, 16)).astype("float32"))
        rows = verify_state("unet_film", model, tmp_path / "state.npz", [tmp_path / "x.npy"])
        assert [row.holds for row in rows] == [True, True]
        assert rows[0].elements == len(model.init(0)) - 3 * 18 + 2  # all but the buffers of 18 norms, and two inputs

    def test_all_inputs_given(self, model, tmp_path, rng):
        np.save(tmp_path / "x.npy", rng.standard_normal((2, 2, 16, 16)))
        np.save(tmp_path / "weather.npy", rng.standard_normal((2, 3)))
        rows = verify_state("unet_film", model, None, [tmp_path / "x.npy", tmp_path / "weather.npy"])
        assert all(row.holds for row in rows)

    def test_without_an_image(self, model):
        with pytest.raises(ValueError, match="--input is needed"):
            verify_state("unet_film", model, None, [])

    def test_text_is_no_image(self, model, tmp_path):
        np.save(tmp_path / "x.npy", np.array(["a", "b"]))
        with pytest.raises(ValueError, match="must be a real number type"):
            verify_state("unet_film", model, None, [tmp_path / "x.npy"])


@pytest.mark.parametrize("name", ["unet2", "unet"])
def test_rational_networks_are_exact(name, rng):
    rows = exact_rows(name, rng)
    assert [(row.link, row.exact, row.verdict) for row in rows] == [(2, True, "holds"), (3, True, "holds")]


def test_a_gradient_a_millionth_off_is_not_equal(monkeypatch, rng):
    right = ops.conv2d_backward

    def off(*arguments, **options):
        grads = right(*arguments, **options)
        return grads._replace(weight=grads.weight * Fraction(1_000_001, 1_000_000))

    monkeypatch.setattr(ops, "conv2d_backward", off)
    derivative, definition = exact_rows("unet2", rng)
    assert not derivative.holds
    assert not definition.holds
    assert "up1_2.weight" in definition.detail
    assert "up_t.weight" not in definition.detail
