"""docs/formal-spec.md maps the formal document to Python names, both ways: this keeps the table true."""

import dataclasses
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import unet_ref.models.unet2
from unet_ref import models, ops, spec
from unet_ref.models import state as states

PAGE = Path(__file__).parents[2] / "docs" / "formal-spec.md"
ROWS = [line.strip("| ").split(" | ") for line in PAGE.read_text("utf-8").splitlines() if re.match(r"\| `", line)]
NAMES = [row[-1].strip("`") for row in ROWS]


@pytest.fixture(scope="module")
def scope():
    model = models.UNet2(config=models.UNet2Config(base_channels=2))
    state = model.init(0, "float64")
    x = np.random.default_rng(1).standard_normal((1, 6, 4))
    trace = model.trace(state, x)
    grads = model.backward(state, trace, np.random.default_rng(2).standard_normal(trace.output.shape))
    return {"models": models, "spec": spec, "ops": ops, "model": model, "state": state, "grads": grads}


@pytest.mark.parametrize("name", sorted(set(NAMES)))
def test_every_python_name_exists(name, scope):
    assert eval(name, scope) is not None  # our own page


def test_every_formal_definition_stands_once():
    formal = [row[0] for row in ROWS]
    assert len(formal) == len(set(formal))
    assert len(formal) >= 79  # a row that gets lost is noticed


def test_every_public_name_of_the_module_is_in_the_table():
    module = unet_ref.models.unet2
    public = [
        n for n, v in vars(module).items() if not n.startswith("_") and getattr(v, "__module__", "") == module.__name__
    ]
    for name in [*public, "DEFAULT_CONFIG"]:
        assert any(re.search(rf"\b{name}\b", python) for python in NAMES), name
    for field in dataclasses.fields(models.UNet2Config):
        assert f"models.UNet2Config().{field.name}" in NAMES
    for method in ("forward", "backward", "trace", "output_shape"):
        assert f"models.UNet2.{method}" in NAMES
        assert inspect.isfunction(getattr(models.UNet2, method))


def test_every_tensor_and_its_gradient_is_in_the_table(scope):
    for name in states.tensors(scope["model"].layers):
        assert f'state["{name}"]' in NAMES
        assert f'grads.params["{name}"]' in NAMES
    assert set(scope["grads"].params) == set(scope["state"])
