"""Networks by complex step: right ones hold, and each mistake planted in a backward pass is named."""

from fractions import Fraction

import numpy as np
import pytest

from unet_ref import models, ops
from unet_ref.check import verify_model as verifying
from unet_ref.check.coarse import Coarse
from unet_ref.check.exact_model import exact_rows
from unet_ref.check.network import Point, instance, random_point
from unet_ref.check.report import BLIND, FAILS, HOLDS, Row
from unet_ref.check.stacked import Stacked
from unet_ref.check.tasks import verify_state
from unet_ref.check.verify_model import Compared, coordinates, judged, slopes_of, verify_model, verify_point, visible
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
    values, _ = slopes_of(point, "down2_1.weight")
    assert np.argwhere(abs(values - wrong) > 1e-9 * abs(wrong).max()).tolist() == [list(index)]


def test_nan_in_a_gradient_fails(rng):
    point = random_point("unet2", rng, training=False)
    point.grads["out1x1.bias"] = np.full(3, np.nan)
    (row,) = verify_point("unet2", point, rng, every=False)
    assert not row.holds
    assert "out1x1.bias" in row.detail


@pytest.mark.parametrize("name", models.MODELS)
def test_a_coordinate_off_by_5e_4_fails_in_every_tensor_of_every_network(name, monkeypatch, rng):
    """The smallest that counts, of 1 % of its tensor's largest slope; below that nearly all are seen, too."""
    point = random_point(name, rng, training=True).of_one_sample(rng)
    smallest = {slot: _smallest(grad) for slot, grad in point.grads.items() if grad.any()}
    slopes = _slopes(point, smallest)
    monkeypatch.setattr(verifying, "slopes_of", lambda _, slot: (slopes[slot], abs(slopes[slot])))
    compared = list(coordinates(point, rng))
    assert judged(name, "coordinates", compared).verdict == HOLDS
    seen = total = 0
    for k, c in enumerate(compared):
        wrong = 5e-4 * abs(c.slope)
        if not c.vanishes:
            error, at = c.error.copy(), smallest[c.slot]
            error[at] = wrong[at] - error[at]
            row = judged(name, "coordinates", [*compared[:k], c._replace(error=error), *compared[k + 1 :]])
            assert (row.verdict, row.argument) == (FAILS, c.slot)
            assert f"gradient of {c.slot} at {tuple(map(int, at))}: off by" in row.detail
            seen, total = seen + np.count_nonzero(wrong > c.bound), total + np.count_nonzero(wrong)
    assert seen > 0.97 * total > 300


def _smallest(gradient):
    """Where the smallest element is that is at least 1 % of the largest."""
    size = abs(gradient)
    return np.unravel_index(np.where(size >= size.max() / 100, size, np.inf).argmin(), size.shape)


def _slopes(point, chosen):
    """The gradients, but at the chosen element of each the slope by complex step."""
    slopes, names = {slot: grad.copy() for slot, grad in point.grads.items()}, list(chosen)
    for part in (names[k : k + 32] for k in range(0, len(names), 32)):
        moved = {slot: np.zeros((len(part), *slopes[slot].shape)) for slot in part}
        for k, slot in enumerate(part):
            moved[slot][(k, *chosen[slot])] = 1
        for slot, slope in zip(part, point.derivatives(moved, len(part))[0], strict=True):
            slopes[slot][chosen[slot]] = slope
    return slopes


def test_a_mistake_in_the_gradient_does_not_widen_its_bound(rng):
    """What is judged has no say in how much rounding is allowed."""
    point = random_point("unet_film", rng, training=True)
    (right,) = verify_point("unet_film", point, np.random.default_rng(3), every=False)
    point.grads["up2_trans.bias"] = point.grads["up2_trans.bias"] * 1.0005
    (wrong,) = verify_point("unet_film", point, np.random.default_rng(3), every=False)
    assert (right.verdict, wrong.verdict) == (HOLDS, FAILS)
    assert wrong.argument == "up2_trans.bias"
    assert wrong.error > 1e3 * wrong.bound


def test_a_gradient_that_is_only_noise_is_not_believed(monkeypatch):
    """A backward pass that jumps about makes itself a wide bound: that it hides a mistake is said, at any point."""
    right, noise = ops.conv2d_backward, np.random.default_rng(5)
    monkeypatch.setattr(verifying, "exact_rows", lambda name, rng: [])

    def shaky(*arguments, **options):
        grads = right(*arguments, **options)
        return grads._replace(weight=grads.weight * (1 + 1e-4 * noise.standard_normal(grads.weight.shape)))

    monkeypatch.setattr(ops, "conv2d_backward", shaky)
    rows = verify_model("unet2", every=False)
    assert {row.verdict for row in rows} <= {BLIND, FAILS}
    assert BLIND in {row.verdict for row in rows}


def test_where_rounding_hides_a_mistake_another_point_is_tried(monkeypatch):
    verdicts = [BLIND, HOLDS, BLIND, BLIND, FAILS, HOLDS]
    monkeypatch.setattr(verifying, "random_point", lambda name, rng, **options: None)
    monkeypatch.setattr(
        verifying, "verify_point", lambda *_, **__: [Row("x", "how", 1, 0.0, 0.0, verdicts.pop(0), name="resnet50")]
    )
    assert [row.verdict for row in verify_model("resnet50")] == [HOLDS, FAILS]
    assert verdicts == [HOLDS]


class TestJudged:
    @staticmethod
    def slot(name, slope, error, bound):
        slope = np.asarray(slope, dtype=float)
        return Compared(
            name, slope, np.broadcast_to(error, slope.shape), np.broadcast_to(bound, slope.shape), abs(slope)
        )

    def test_the_nearest_to_its_bound_is_shown(self):
        a, b = self.slot("a", [2.0, -4.0], [1e-13, 3e-13], 1e-12), self.slot("b", [5.0], 1e-13, 1e-12)
        row = judged("net", "how", [b, a])
        assert (row.argument, row.verdict, row.elements, row.detail) == ("a", HOLDS, 3, "")
        assert (row.error, row.bound) == (3e-13 / 4, 1e-12 / 4)

    def test_where_rounding_hides_a_mistake(self):
        small = self.slot("small", [1e-3, 1e-6], 0.0, [1e-12, 1e-8])
        row = judged("net", "how", [self.slot("large", [3.0], 0.0, 1e-12), small])
        assert (row.argument, row.verdict) == ("small", BLIND)
        assert row.detail == "gradient of small at (1,): rounding, of up to 1.00e-08 here, hides a mistake of 0.05 %"
        assert not row.holds

    def test_what_vanishes_is_measured_by_the_network(self):
        nothing, large = self.slot("nothing", [1e-12, -3e-13], 1e-12, 2e-12), self.slot("large", [-3.0], 0.0, 1e-12)
        assert judged("net", "how", [nothing, large]).holds
        assert judged("net", "how", [nothing, large]).error == 1e-12 / 3
        too_much = self.slot("nothing", [1e-7, 1e-8], 0.0, 4e-7)
        assert judged("net", "how", [too_much, large]).verdict == BLIND
        assert visible(too_much, 8.0).tolist() == [8e-7, 8e-7]

    @pytest.mark.parametrize("bound", [1e-12, np.inf, np.nan])
    def test_no_number_is_no_gradient(self, bound):
        assert judged("net", "how", [self.slot("a", [1.0, 2.0], [0.0, np.inf], bound)]).verdict == FAILS

    @pytest.mark.parametrize("bound", [np.inf, np.nan])
    def test_a_bound_that_is_no_number_decides_nothing(self, bound):
        assert not judged("net", "how", [self.slot("a", [1.0, 2.0], 0.0, bound)]).holds

    def test_a_network_of_zeros(self):
        assert judged("net", "how", [self.slot("a", [0.0, 0.0], 0.0, 0.0)]).holds


class TestCoarse:
    """Every operation as rounded as a right kernel may be."""

    @pytest.fixture
    def coarse(self, rng):
        return Coarse(rng)

    def test_sums_are_off_by_their_bound(self, coarse, rng):
        x, weight = rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((4, 3, 3, 2))
        v = rng.standard_normal((2, 4, 4, 4))
        away = abs(coarse.conv2d(x, weight, None) - ops.conv2d(x, weight))
        most = 18 * 3 * 2.0**-53 * ops.conv2d(abs(x), abs(weight))  # eighteen products, rounded 2u and u
        assert (away <= 1.01 * most).all()
        assert (away >= 0.9 * most - 2.0**-53 * abs(ops.conv2d(x, weight))).all()
        grads, right = coarse.conv2d_backward(v, x, weight, None), ops.conv2d_backward(v, x, weight)
        assert grads._fields == right._fields
        assert grads.bias is None
        assert 1e-17 < abs(grads.weight - right.weight).max() < 1e-12

    def test_up_and_down_and_not_always_the_same_way(self, coarse, rng):
        x, gamma, beta = rng.standard_normal((3, 2, 8, 9)), rng.standard_normal((3, 2)), rng.standard_normal((3, 2))
        one, other = (coarse.film(x, gamma, beta, offset=1) - ops.film(x, gamma, beta) > 0 for _ in "ab")
        assert 0.3 < one.mean() < 0.7
        assert 0.2 < (one ^ other).mean() < 0.8

    def test_ties_stay_ties(self, coarse, rng):
        x = rng.choice([-1.75, 0.3, 2.0], (2, 2, 9, 8))
        y = coarse.film(x, np.full((2, 2), 0.7), np.full((2, 2), 0.1), offset=0)
        assert len(np.unique(y)) == 3
        assert (y != ops.film(x, np.full((2, 2), 0.7), np.full((2, 2), 0.1), offset=0)).any()

    def test_copies_are_exact(self, coarse, rng):
        x, y, v = rng.standard_normal((3, 2, 3, 4, 5))
        np.testing.assert_array_equal(coarse.relu(x), ops.relu(x))
        np.testing.assert_array_equal(coarse.concat((x, y), axis=1), np.concatenate((x, y), 1))
        np.testing.assert_array_equal(coarse.relu_backward(v, x).x, ops.relu_backward(v, x).x)

    def test_a_sum_of_two_rounds_once(self, coarse, rng):
        a, b = rng.standard_normal((2, 40, 30))
        away = abs(coarse.add(a, b) - (a + b))
        assert 0 < away.max() <= 2.0**-51 * abs(a + b).max()

    def test_no_shorter_ways(self, coarse):
        assert not hasattr(coarse, "relu_in_place")
        assert not hasattr(coarse, "remember_batch_norm")


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
