"""Outputs and gradients recorded from PyTorch, compared without it; ``record.py`` beside this file made them."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from unet_ref import ops
from unet_ref.check.table import OPERATIONS

HERE = Path(__file__).parent
MANIFEST = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
RECORDED = sorted(Path(name).stem for name in MANIFEST["sha256"])
TOLERANCE = 1e-10


def cases(name):
    """``(entries, arguments, options)`` of each recorded case of an operation."""
    with np.load(HERE / f"{name}.npz") as file:
        recorded = dict(file)
    for k, case in enumerate(json.loads(str(recorded["cases"]))):
        entries = {key.split("/")[1]: value for key, value in recorded.items() if key.startswith(f"{k}/")}
        arguments = [entry(entries, argument) for argument in case["arguments"]]
        yield entries, arguments, {key: tuples(value) for key, value in case["options"].items()}


def entry(entries, name):
    """The array, the tuple of arrays, or None."""
    items = [entries[key] for key in sorted(entries) if key.startswith(f"{name}.") and key[len(name) + 1 :].isdigit()]
    return tuple(items) or entries.get(name)


def tuples(value):
    """JSON has no tuples."""
    return tuple(tuples(item) for item in value) if isinstance(value, list) else value


def assert_close(ours, theirs):
    if isinstance(theirs, tuple):
        for mine, other in zip(ours, theirs, strict=True):
            assert_close(mine, other)
    elif theirs is None:
        assert ours is None
    else:
        assert ours.shape == theirs.shape
        scale = np.max(np.abs(theirs), initial=1.0)
        np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE * scale)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_outputs_and_gradients(name):
    for entries, arguments, options in cases(name):
        assert_close(getattr(ops, name)(*arguments, **options), entry(entries, "y"))
        if "grad_output" in entries:
            grads = getattr(ops, f"{name}_backward")(entries["grad_output"], *arguments, **options)
            for argument in OPERATIONS[name].gradients:
                ours = getattr(grads, argument) if hasattr(grads, "_fields") else grads
                assert_close(ours, entry(entries, f"grad.{argument}"))


@pytest.mark.parametrize("name", RECORDED)
def test_the_files_are_the_recorded_ones(name):
    assert hashlib.sha256((HERE / f"{name}.npz").read_bytes()).hexdigest() == MANIFEST["sha256"][f"{name}.npz"]


def test_every_operation_is_recorded():
    assert set(RECORDED) == set(OPERATIONS)
    assert {path.stem for path in HERE.glob("*.npz")} == set(RECORDED)


@pytest.mark.parametrize("argument", ["x", "weight", "bias"])
def test_a_planted_mistake_is_caught(argument, monkeypatch):
    right = ops.conv2d_backward

    def wrong(*args, **options):
        grads = right(*args, **options)
        slope = getattr(grads, argument)
        return grads if slope is None else grads._replace(**{argument: slope * 1.0005})

    monkeypatch.setattr(ops, "conv2d_backward", wrong)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        test_recorded_outputs_and_gradients("conv2d")
