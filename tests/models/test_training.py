"""Training as proof: the losses fall, the same seed gives the same bits, and PyTorch takes the very same steps."""

import functools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref.models import MODELS, UNet, UNet2, UNet2Config
from unet_ref.models.data import FIGURES, TASKS, figure
from unet_ref.models.training import OPTIMISERS, Moments, adam, sgd, start, train

STEPS = 20


def setting(name, seed=0, steps=STEPS, dtype="float64"):
    """Network, state and batches, all from one seed."""
    task = TASKS[name]
    model, rng = MODELS[name].create(**task.options), np.random.default_rng(seed)
    state = start(model, rng, dtype)
    return task, model, state, [task.batch(rng, model, task.shape, dtype) for _ in range(steps)]


def losses(name, optimiser, lr, **options):
    task, model, state, batches = setting(name, **options)
    step = functools.partial(OPTIMISERS[optimiser], lr=lr)
    return [value for value, _ in train(model, state, batches, loss=task.loss, optimiser=step)]


# --- one step ---------------------------------------------------------------------------------------------------------


def test_sgd_by_hand():
    moved, memory = sgd({"a": np.array([1.0, -2.0])}, {"a": np.array([0.5, 4.0])}, lr=0.25)
    np.testing.assert_array_equal(moved["a"], [0.875, -3.0])
    assert memory is None


def test_adam_by_hand():
    """Two steps with betas of 1/2 and 3/4: every number has few digits."""
    step = functools.partial(adam, lr=0.5, betas=(0.5, 0.75), eps=1.0)
    moved, memory = step({"a": np.array([1.0])}, {"a": np.array([2.0])})
    # m = 2/2 = 1, v = 4/4 = 1; corrected 1 / (1 - 1/2) = 2, 1 / (1 - 3/4) = 4; 1 - 0.5 * 2 / (sqrt(4) + 1)
    np.testing.assert_allclose(moved["a"], 1 - 1 / 3, rtol=1e-15)
    moved, memory = step({"a": np.array([1.0])}, {"a": np.array([-4.0])}, memory)
    # m = 1/2 - 4/2 = -3/2, v = 3/4 + 16/4 = 19/4; corrected -3/2 / (3/4) = -2, 19/4 / (7/16) = 76/7
    np.testing.assert_allclose(moved["a"], 1 + 0.5 * 2 / (math.sqrt(76 / 7) + 1), rtol=1e-15)
    assert memory == Moments(2, {"a": -1.5}, {"a": 4.75})


@given(scale=st.floats(1e-3, 1e3), lr=st.floats(1e-4, 1.0))
def test_adams_first_step_is_the_rate_against_the_sign(scale, lr):
    gradient = scale * np.array([1.0, -3.0, 0.2])
    moved, _ = adam({"a": np.zeros(3)}, {"a": gradient}, lr=lr, eps=0.0)
    np.testing.assert_allclose(moved["a"], -lr * np.sign(gradient), rtol=1e-12)


@pytest.mark.parametrize("optimiser", [sgd, adam])
@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble"])
def test_steps_are_pure_and_keep_the_dtype(optimiser, dtype, rng):
    parameters, gradients = ({"w": rng.standard_normal((3, 2)).astype(dtype)} for _ in range(2))
    for arrays in (parameters, gradients):
        arrays["w"].flags.writeable = False
    memory = None
    for _ in range(2):
        before = None if memory is None else {key: array.copy() for key, array in memory.first.items()}
        moved, after = optimiser(parameters, gradients, memory)
        assert moved["w"].dtype == np.dtype(dtype)
        assert not np.shares_memory(moved["w"], parameters["w"])
        if before is not None:
            np.testing.assert_array_equal(memory.first["w"], before["w"])
        memory = after
    assert memory is None or (memory.steps, memory.first["w"].dtype) == (2, np.dtype(dtype))


def test_a_step_trains_parameters_and_carries_buffers_and_leaves_the_state_alone():
    task, model, state, batches = setting("unet_film", steps=2)
    kept = {name: array.copy() for name, array in state.items()}
    (_, first), (_, second) = train(model, state, batches, loss=task.loss, optimiser=adam)
    for name, array in state.items():
        np.testing.assert_array_equal(array, kept[name])
        assert first[name].shape == array.shape
        assert first[name].dtype == array.dtype
    assert list(first) == list(state)
    assert [int(s["inc.double_conv.1.num_batches_tracked"]) for s in (state, first, second)] == [0, 1, 2]
    trace = model.trace(state, *batches[0][0], training=True)
    name = "down2.1.double_conv.4.running_var"
    np.testing.assert_array_equal(first[name], trace.buffers[name])
    assert model.check_state(second) == []


def test_a_small_step_lowers_the_loss_by_the_squared_gradient():
    """``L(p - h g) = L(p) - h |g|^2 + O(h^2)``: the whole gradient, in one number."""
    task, model, state, (batch,) = setting("unet", steps=1)

    def run(lr):
        return list(train(model, state, [batch, batch], loss=task.loss, optimiser=functools.partial(sgd, lr=lr)))

    h = 1e-6
    (before, _), (after, _) = run(h)
    (_, moved), _ = run(1.0)
    squares = sum(float(((state[name] - moved[name]) ** 2).sum()) for name in state)
    assert before - after == pytest.approx(h * squares, rel=1e-3)


def test_the_start_adds_nothing_in_any_bottleneck():
    model = MODELS["resnet50"](base_channels=2, num_classes=3)
    state, plain = start(model, 7, "float32"), model.init(7, "float32")
    changed = {name for name in state if (state[name] != plain[name]).any()}
    assert changed == {name for name in state if name.endswith("bn3.weight")}
    assert len(changed) == 16
    assert not any(state[name].any() for name in changed)
    assert {state[name].dtype for name in changed} == {np.dtype("float32")}


# --- data -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(TASKS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batches_fit_their_network_and_come_from_the_seed(name, dtype):
    task = TASKS[name]
    model = MODELS[name].create(**task.options)
    inputs, target = task.batch(np.random.default_rng(3), model, task.shape, dtype)
    assert tuple(a.shape for a in inputs) == model.input_shapes(task.shape)
    assert {a.dtype for a in inputs} == {np.dtype(dtype)}
    output = model.output_shape(*model.input_shapes(task.shape))
    assert target.shape in (output, (output[0], *output[2:]))
    assert target.dtype == np.dtype("int64" if task.loss == "cross_entropy" else dtype)
    again = task.batch(np.random.default_rng(3), model, task.shape, dtype)
    other = task.batch(np.random.default_rng(4), model, task.shape, dtype)
    for a, b, c in zip((*inputs, target), (*again[0], again[1]), (*other[0], other[1]), strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()


def test_tasks_are_there_for_every_network():
    assert set(TASKS) == set(MODELS)


def test_blobs_are_brighter_than_what_is_around_them():
    task = TASKS["unet2"]
    (x,), target = task.draw(np.random.default_rng(0), UNet2(), (16, 1, 32, 48))
    assert set(np.unique(target)) == {0, 1}
    assert 0.05 < target.mean() < 0.6
    brighter = [x[n, 0][target[n] == 1].mean() - x[n, 0][target[n] == 0].mean() for n in range(16)]
    assert np.mean(brighter) > 1.5


def test_without_padding_the_target_is_the_middle():
    model = UNet(in_channels=1, depth=1, base_channels=2, padding=0)
    _, whole = TASKS["unet"].draw(
        np.random.default_rng(0), UNet(in_channels=1, depth=1, base_channels=2), (2, 1, 28, 32)
    )
    (x,), target = TASKS["unet"].draw(np.random.default_rng(0), model, (2, 1, 28, 32))
    assert target.shape == (2, *model.output_shape(x.shape)[2:]) == (2, 12, 16)
    np.testing.assert_array_equal(target, whole[:, 8:20, 8:24])


def test_the_weather_alone_decides():
    task = TASKS["unet_film"]
    model = MODELS["unet_film"](base_channels=2)
    (x, vector), target = task.draw(np.random.default_rng(0), model, (8, 17, 16, 32))
    assert (x == x[:1]).all()  # no image differs from another
    assert target.shape == (8, 1, 16, 32)
    np.testing.assert_array_equal(target[:, 0, 3, 5], vector[:, 0] > 0)
    assert (target == target[:, :, :1, :1]).all()
    assert target.mean() == 0.5


def test_sprites_are_noise_at_time_1_and_sprites_at_time_0():
    task = TASKS["context_unet"]
    model = MODELS["context_unet"](n_feat=8, height=16)
    (x, t, c), noise = task.draw(np.random.default_rng(0), model, (64, 3, 16, 16))
    assert ((t >= 0) & (t < 1)).all()
    np.testing.assert_array_equal(c.sum(axis=1), 1)
    clean = (x - np.sin(t * np.pi / 2)[..., None, None] * noise) / np.cos(t * np.pi / 2)[..., None, None]
    for picture, kind in zip(clean[:, 0], c.argmax(axis=1), strict=True):
        values = np.unique(picture.round(6))
        assert len(values) == 2  # a figure in one colour on nothing
        assert 0.0 in values
        assert kind < 10
    np.testing.assert_allclose(np.var(noise), 1, atol=0.05)


@given(kind=st.integers(0, 9), size=st.tuples(st.integers(12, 40), st.integers(12, 40)), seed=st.integers(0, 2**32))
def test_figures_lie_wholly_inside_and_are_not_everywhere(kind, size, seed):
    drawn = figure(np.random.default_rng(seed), kind, *size)
    assert drawn.shape == size
    assert set(np.unique(drawn)) == {0.0, 1.0}
    assert 0.02 < drawn.mean() < 0.8


def test_no_two_figures_are_alike():
    drawn = [figure(np.random.default_rng(0), kind, 33, 33) for kind in range(len(FIGURES))]
    for a in range(10):
        for b in range(a):
            assert abs(drawn[a] - drawn[b]).sum() > 20, (a, b)


def test_classes_are_as_many_as_the_network_tells():
    task = TASKS["resnet50"]
    for classes in (3, 10, 1000):
        model = MODELS["resnet50"](base_channels=2, num_classes=classes)
        _, target = task.draw(np.random.default_rng(0), model, (200, 3, 32, 32))
        assert set(np.unique(target)) == set(range(min(classes, 10)))


# --- runs -------------------------------------------------------------------------------------------------------------

FALLS = {"unet2": 0.6, "unet_film": 0.75, "resnet50": 0.9, "resnet_unet": 0.6, "context_unet": 0.6, "unet": 0.85}


@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_loss_falls(name):
    steps = {"unet_film": 40}.get(name, 25)
    curve = losses(name, "adam", 0.01, steps=steps, dtype="float32")
    first, last = np.mean(curve[:5]), np.mean(curve[-5:])
    assert last < FALLS[name] * first, (first, last)


def test_without_the_weather_the_loss_stays_at_log_2():
    """The same run with the weather hidden: it is the FiLM path that learns."""
    task, model, state, batches = setting("unet_film", steps=40, dtype="float32")
    hidden = [((x, 0 * vector), target) for (x, vector), target in batches]
    step = functools.partial(adam, lr=0.01)
    seen, blind = (
        [value for value, _ in train(model, state, part, loss=task.loss, optimiser=step)] for part in (batches, hidden)
    )
    assert np.mean(seen[-5:]) < 0.75 * math.log(2)
    assert min(blind) > math.log(2) - 1e-3


@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_same_seed_gives_the_same_bits(name):
    curves = [losses(name, "adam", 0.01, seed=seed, steps=3, dtype="float32") for seed in (1, 1, 2)]
    assert curves[0] == curves[1] != curves[2]


# --- PyTorch ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    """PyTorch on one thread: its own and ours would wait for each other."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)


@pytest.mark.torch
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("name", sorted(TASKS))
def test_pytorch_takes_the_same_steps(name, optimiser, torch):
    """20 steps in float64 from one state on the same batches: every loss to 1e-8, and what was learnt to 1e-6."""
    from models import torch_twins

    task, model, state, batches = setting(name)
    lr = {"sgd": 0.05, "adam": 0.01}[optimiser]
    step = functools.partial(OPTIMISERS[optimiser], lr=lr)
    *_, (_, trained) = ran = list(train(model, state, batches, loss=task.loss, optimiser=step))

    options = {"config": UNet2Config(**task.options)} if name == "unet2" else dict(task.options)
    twin = torch_twins.TWINS[name](**options).double().train()
    twin.load_state_dict({key: torch.from_numpy(array.copy()) for key, array in state.items()}, strict=True)
    theirs = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimiser](twin.parameters(), lr=lr)
    loss_of = getattr(torch.nn.functional, task.loss)
    for k, ((inputs, target), (ours, _)) in enumerate(zip(batches, ran, strict=True)):
        loss = loss_of(twin(*map(torch.from_numpy, inputs)), torch.from_numpy(target))
        assert abs(loss.item() - ours) < 1e-8, f"step {k}: {loss.item()} and {ours}"
        theirs.zero_grad()
        loss.backward()
        theirs.step()
    for key, tensor in twin.state_dict().items():
        np.testing.assert_allclose(trained[key], tensor.numpy(), rtol=0, atol=1e-6, err_msg=key)
