"""A broken rule, of any operation: ``unet-ref verify`` exits with 1 and names the operation and the argument."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from unet_ref import ops
from unet_ref.check import OPERATIONS, verify_operation
from unet_ref.cli import main
from unet_ref.cli import verify as command

GRADIENTS = [(name, argument) for name, row in OPERATIONS.items() for argument in row.gradients]


@pytest.fixture
def verify(monkeypatch, capsys):
    """The command in this process, so that what a test plants is seen; with one case for each row instead of six."""

    @contextlib.contextmanager
    def threads(_):
        with ThreadPoolExecutor(1) as pool:
            yield pool

    def task(name, seed, device):
        return verify_operation(OPERATIONS[name], seed, cases=1, device=device)

    def run(*arguments):
        code = main(["verify", *arguments])
        return code, capsys.readouterr().out

    monkeypatch.setattr(command, "executor", threads)
    monkeypatch.setattr(command, "verify_task", task)
    return run


def off(value):
    """The largest element 0.05 % off."""
    if not value.size:
        return value
    value = value.copy()
    at = np.unravel_index(np.argmax(abs(value).astype(float)), value.shape)
    value[at] = value[at] + value[at] / 2000
    return value


@pytest.mark.parametrize(("name", "argument"), GRADIENTS, ids=[".".join(pair) for pair in GRADIENTS])
def test_one_number_of_a_gradient_off_by_a_two_thousandth(verify, monkeypatch, name, argument):
    right = getattr(ops, f"{name}_backward")

    def broken(*arguments, **options):
        grads = right(*arguments, **options)
        if not hasattr(grads, "_fields"):  # concat's tuple
            return (off(grads[0]), *grads[1:])
        value = getattr(grads, argument)
        return grads if value is None else grads._replace(**{argument: off(value)})

    monkeypatch.setattr(ops, f"{name}_backward", broken)
    code, out = verify(name, "relu" if name != "relu" else "gelu")
    assert code == 1
    assert f"\n{name}: {argument}" in out
    assert "1 of 2 hold" in out


@pytest.mark.parametrize("name", OPERATIONS)
def test_one_number_of_the_output_off_by_a_two_thousandth(verify, monkeypatch, name):
    right = getattr(ops, name)

    def broken(*arguments, **options):
        y = right(*arguments, **options)
        return type(y)(off(y[0]), *y[1:]) if isinstance(y, tuple) else off(y)

    monkeypatch.setattr(ops, name, broken)
    code, out = verify(name)
    assert code == 1
    assert f"\n{name}: y" in out
    assert "0 of 1 hold" in out
