"""PyTorch agrees with every network, in both modes, in float64 to 1e-9: output, every gradient, running statistics."""

import numpy as np
import pytest
from models.twin_cases import CASES, Case, build, random_inputs, random_state, relative_errors, run_ours

from unet_ref.models import MODELS, StateError

torch = pytest.importorskip("torch", reason="the twins of the networks need PyTorch: pip install torch")
from models import record_vectors, torch_twins

pytestmark = pytest.mark.torch

TOLERANCE = 1e-9
MODES = pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])


def compare(case, *, training, seed=0, scale=1.0):
    """Every tensor of both sides; on failure those that differ, the worst first."""
    rng = np.random.default_rng(seed)
    model = build(case)
    state, inputs = random_state(model, rng), random_inputs(model, case, rng)
    grad_output = scale * rng.standard_normal(model.output_shape(*case.shapes))
    theirs = torch_twins.run(torch_twins.build(case.name, case.options), state, inputs, grad_output, training=training)
    ours = run_ours(model, state, inputs, grad_output, training=training)
    assert set(ours) == set(theirs)
    errors = relative_errors(ours, theirs)
    wrong = sorted((name for name, error in errors.items() if not error < TOLERANCE), key=lambda name: -errors[name])
    assert not wrong, f"{case}: " + ", ".join(f"{name} is off by {errors[name]:.1e}" for name in wrong)
    return errors


@MODES
@pytest.mark.parametrize("case", CASES, ids=str)
def test_everything_agrees(case, training):
    compare(case, training=training)


@MODES
@pytest.mark.parametrize("case", CASES[::4], ids=str)
def test_other_draws_agree(case, training):
    for seed in (1, 2, 3):
        compare(case, training=training, seed=seed, scale=10.0**-seed)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_states_load_strictly_both_ways(case):
    model, twin = build(case), torch_twins.build(case.name, case.options)
    ours = random_state(model, np.random.default_rng(3))
    torch_twins.load(twin, ours)
    theirs = {name: tensor.numpy() for name, tensor in twin.state_dict().items()}
    assert list(theirs) == list(ours)  # the order too
    assert model.check_state(theirs) == []
    for name, array in ours.items():
        np.testing.assert_array_equal(theirs[name], array, strict=True)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_full_sized_states_have_the_same_names_and_shapes(name):
    """With no option given, as in the seed: every name, shape and dtype, in order."""
    with torch.device("meta"):
        theirs = torch_twins.build(name, {}).state_dict()
    ours = MODELS[name]().init(0)
    assert {key: tuple(tensor.shape) for key, tensor in theirs.items()} == {k: a.shape for k, a in ours.items()}
    assert list(theirs) == list(ours)
    assert [str(t.dtype).removeprefix("torch.") for t in theirs.values()] == [str(a.dtype) for a in ours.values()]


@MODES
def test_the_running_statistics_go_back_into_the_state(training):
    """Several passes in a row; after each, the buffers are put into the state and load strictly again."""
    rng = np.random.default_rng(8)
    case = CASES[[c.name for c in CASES].index("unet_film")]
    model, twin = build(case), torch_twins.build(case.name, case.options).double().train(training)
    state = random_state(model, rng)
    torch_twins.load(twin, state)
    for _ in range(4):
        inputs = random_inputs(model, case, rng)
        state = state | model.trace(state, *inputs.values(), training=training).buffers
        twin(*map(torch.from_numpy, inputs.values()))
    expected = {name: tensor.numpy() for name, tensor in twin.state_dict().items()}
    assert max(relative_errors(state, expected).values()) < TOLERANCE
    assert all(state[name].dtype == array.dtype for name, array in expected.items())
    torch_twins.load(twin, state)  # all of it arrays, num_batches_tracked too


def test_the_unused_decoder_entry_of_the_seed():
    """The seed builds ``decoder_layers.4`` and never calls it: we take its state and say so."""
    options = {"in_channels": 1, "out_channels": 2, "base_channels": 2}
    model = MODELS["resnet_unet"](**options)
    twin = torch_twins.ResNetUNet(**options, entry4=True).double().train()
    theirs = {name: tensor.numpy().copy() for name, tensor in twin.state_dict().items()}
    unused = [name for name in theirs if name.startswith("decoder.decoder_layers.4.")]
    assert len(unused) == 21  # three convolutions with bias, three batch norms with five tensors each
    assert model.check_state(theirs) == unused

    rng = np.random.default_rng(4)
    x = rng.standard_normal((2, 1, 32, 32))
    grad_output = rng.standard_normal((2, 2, 32, 32))
    tensor = torch.from_numpy(x).requires_grad_()
    twin(tensor).backward(torch.from_numpy(grad_output))
    assert {n for n, p in twin.named_parameters() if p.grad is None} <= set(unused)
    trace = model.trace(theirs, x, training=True)
    np.testing.assert_allclose(
        model.backward(theirs, trace, grad_output).inputs["x"], tensor.grad.numpy(), rtol=0,
        atol=TOLERANCE * float(tensor.grad.abs().max()),
    )  # fmt: skip
    with pytest.raises(StateError, match=r"unexpected: decoder\.decoder_layers\.6\.weight"):
        model.check_state(theirs | {"decoder.decoder_layers.6.weight": x})


@pytest.mark.parametrize(("height", "width"), [(64, 64), (97, 75)])
@MODES
def test_the_features_of_resnet50(training, height, width):
    case = Case("resnet50", {"in_channels": 1, "base_channels": 2}, ((2, 1, height, width),))
    model, twin = build(case), torch_twins.build(case.name, case.options)
    rng = np.random.default_rng(5)
    state, x = random_state(model, rng), rng.standard_normal(case.shapes[0])
    torch_twins.load(twin, state)
    with torch.no_grad():
        theirs = twin.train(training).features(torch.from_numpy(x))
    ours = model.features(state, x, training=training)
    assert len(ours) == 5
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other.numpy(), rtol=0, atol=TOLERANCE * float(other.abs().max()))


def test_a_planted_mistake_is_caught(monkeypatch):
    """A gradient that is 0.05 % off is named."""
    case = next(case for case in CASES if case.name == "unet")
    right = run_ours

    def wrong(*args, **options):
        found = right(*args, **options)
        name = "param.down.1.conv.conv_block.0.weight"
        return found | {name: 1.0005 * found[name]}

    monkeypatch.setitem(globals(), "run_ours", wrong)
    with pytest.raises(AssertionError, match=r"down\.1\.conv\.conv_block\.0\.weight is off by 5.0e-04"):
        compare(case, training=True)


@pytest.mark.parametrize("name", sorted(record_vectors.CASES))
def test_recording_again_gives_the_recorded_numbers(name):
    with np.load(record_vectors.VECTORS / f"{name}.npz") as recorded:
        again = record_vectors.record(name)
        assert set(again) == set(recorded)
        assert str(again["cases"]) == str(recorded["cases"])
        for key in set(again) - {"cases"}:
            np.testing.assert_allclose(again[key], recorded[key], rtol=1e-9, atol=1e-9, err_msg=key)


@MODES
@pytest.mark.parametrize("name", sorted(set(MODELS) - {"unet2"}))  # unet2's steps are no modules
def test_every_activation_and_its_gradient(name, training):
    """Where a step of ours is a module of the twin, both have the same output there, and the same gradient."""
    case = next(case for case in CASES if case.name == name)
    rng = np.random.default_rng(11)
    model, twin = build(case), torch_twins.build(case.name, case.options)
    state, inputs = random_state(model, rng), random_inputs(model, case, rng)
    grad_output = rng.standard_normal(model.output_shape(*case.shapes))
    trace = model.trace(state, *inputs.values(), training=training, record="all")
    grads = model.backward(state, trace, grad_output, record=True)

    outputs, called = {}, []

    def keep(step):
        def hook(module, arguments, output):
            called.append(step)
            output.retain_grad()
            outputs[step] = output

        return hook

    for step, module in twin.named_modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False  # or it would overwrite what is compared
        if (
            step in trace.steps and not list(module.children()) and not step.endswith("bn3")
        ):  # += goes over bn3's output
            module.register_forward_hook(keep(step))
    torch_twins.run(twin, state, inputs, grad_output, training=training)
    once = [step for step in outputs if called.count(step) == 1]  # a bottleneck calls its one ReLU three times
    assert len(once) > 0.5 * len(trace)
    for step in once:
        for ours, tensor in ((trace[step], outputs[step]), (grads.activations[step], outputs[step].grad)):
            theirs = tensor.detach().numpy()
            np.testing.assert_allclose(
                ours.reshape(theirs.shape), theirs, rtol=0, atol=TOLERANCE * np.abs(theirs).max(), err_msg=step
            )


@pytest.mark.parametrize("name", ["unet_film", "context_unet", "resnet_unet"])
def test_a_fresh_state_is_drawn_as_pytorch_draws_it(name):
    """Same range and same spread, tensor by tensor, biases too; what is not drawn is equal."""
    options = {"n_feat": 16} if name == "context_unet" else {"base_channels": 8}
    torch.manual_seed(0)
    theirs = {key: tensor.numpy() for key, tensor in torch_twins.build(name, options).state_dict().items()}
    ours = MODELS[name](**options).init(0)
    for key, array in theirs.items():
        if array.size > 1 and array.std() == 0:
            np.testing.assert_array_equal(ours[key], array, strict=True, err_msg=key)
        elif array.size >= 64:  # the largest of so many is near the bound
            near = 5e-3 if array.size > 2000 else 0.15
            assert np.abs(ours[key]).max() == pytest.approx(np.abs(array).max(), rel=near), key
            assert ours[key].std() == pytest.approx(array.std(), rel=5 / np.sqrt(array.size)), key
