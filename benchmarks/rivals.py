"""What others see of the same mistakes: ONNX's node cases, torch.autograd.gradcheck (slow and fast), jax's check_grads.

    python benchmarks/rivals.py              # some minutes; writes docs/rivals.csv, from which docs/kills.md is made
    python benchmarks/rivals.py relu gelu    # prints only

Every mistake of the bank is planted in every operation that it may occur in, and handed to each of the four:

* ``onnx``: the node cases that the package ``onnx`` ships, those of the contract's operations in two dimensions which the
  reference passes. The planted forward pass runs on their inputs and is compared as ONNX's own runner compares (rtol 1e-3,
  atol 1e-7). They have no backward pass.
* ``gradcheck``, ``fast``: ``torch.autograd.gradcheck``, its defaults and ``fast_mode=True``, of an ``autograd.Function`` with
  the planted forward and backward pass, in float64, at the calls of ``rivals_calls.py``: small, square, the kind that people
  write. An exception counts as caught.
* ``jax``: ``jax.test_util.check_grads(order=1, modes=["rev"])`` of a ``custom_vjp`` of the same two, at the same calls.

A checker of gradients can see no more than that a backward pass is not that of its own forward pass.
"""

from __future__ import annotations

import argparse
import csv
import functools
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np
import torch
from jax.test_util import check_grads
from rivals_calls import calls
from rivals_onnx import node_cases

from unet_ref.backend import quiet
from unet_ref.check.table import OPERATIONS
from unet_ref.judge.bank import applying
from unet_ref.judge.mistake import right

TABLE = Path(__file__).parents[1] / "docs" / "rivals.csv"
COLUMNS = ("onnx", "gradcheck", "fast", "jax")


def ran(run, arguments):
    """The results with a mistake; the right ones where it does not show."""
    with quiet():
        found = run(arguments)
    return right(arguments) if found is None else found


class Subject:
    """One call as two functions of its differentiable arrays, with a mistake in them."""

    def __init__(self, run, call):
        self.run, self.call = run, call
        gradients = OPERATIONS[call.name].gradients
        self.names = [name for name in call.arrays if name in gradients and call.arrays[name] is not None]
        self.several = self.names == ["arrays"]

    @property
    def values(self):
        return list(self.call.arrays["arrays"]) if self.several else [self.call.arrays[name] for name in self.names]

    def _called(self, values):
        named = {"arrays": tuple(values)} if self.several else dict(zip(self.names, values, strict=True))
        return self.call.with_arrays(**named)

    def forward(self, *values):
        return np.asarray(ran(self.run, self._called(values)._replace(grad_output=None)).output)

    def backward(self, grad_output, *values):
        grads = ran(self.run, self._called(values)._replace(grad_output=grad_output)).grads
        found = grads["arrays"] if self.several else [grads[name] for name in self.names]
        return [np.ascontiguousarray(gradient) for gradient in found]

    def worth_asking(self):
        """Whether the mistake shows at this call, and in results that a backward pass belongs to.

        The bank has no gradients of an output of another shape: its backward pass would be the one that belongs to it,
        in which a checker of gradients sees nothing wrong.
        """
        with quiet():
            found = self.run(self.call)
        if found is None or not found.grads:
            return False
        fine = right(self.call).tensors()
        return any(not np.array_equal(value, fine[name], equal_nan=True) for name, value in found.tensors().items())


def torch_sees(subject, fast):
    """Whether gradcheck fails."""

    class Planted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            ctx.save_for_backward(*tensors)
            return torch.from_numpy(np.array(subject.forward(*(t.detach().numpy() for t in tensors))))

        @staticmethod
        def backward(ctx, grad_output):
            arrays = (t.detach().numpy() for t in ctx.saved_tensors)
            found = subject.backward(grad_output.detach().contiguous().numpy(), *arrays)
            return tuple(torch.from_numpy(np.array(gradient)) for gradient in found)

    tensors = [torch.from_numpy(np.array(value)).requires_grad_() for value in subject.values]
    try:
        return not torch.autograd.gradcheck(Planted.apply, tensors, fast_mode=fast, raise_exception=False)
    except Exception:  # noqa: BLE001  whatever it is, it is noticed
        return True


def jax_sees(subject):
    """Whether check_grads fails."""
    y = subject.forward(*subject.values)
    out = jax.ShapeDtypeStruct(y.shape, y.dtype)
    into = [jax.ShapeDtypeStruct(value.shape, value.dtype) for value in subject.values]
    planted = jax.custom_vjp(lambda *a: jax.pure_callback(lambda *v: subject.forward(*map(np.asarray, v)), out, *a))
    planted.defvjp(
        lambda *a: (planted(*a), a),
        lambda a, g: tuple(
            jax.pure_callback(lambda g, *v: subject.backward(np.asarray(g), *map(np.asarray, v)), into, g, *a)
        ),
    )
    try:
        check_grads(planted, [jax.numpy.asarray(value) for value in subject.values], order=1, modes=["rev"])
    except Exception:  # noqa: BLE001
        return True
    return False


def onnx_sees(run, case):
    """Whether ONNX's comparison fails."""
    try:
        outputs = [np.asarray(ran(run, call).tensors()[name]) for call, name in case.calls]
        for got, expected in zip(outputs, case.expected, strict=True):
            np.testing.assert_equal(got.shape, expected.shape)
            np.testing.assert_allclose(got, expected, rtol=case.rtol, atol=case.atol)
    except (AssertionError, KeyError, ValueError, IndexError):
        return True
    return False


def row(run, name):
    """Who sees one mistake: 1, 0, or nothing where it cannot be asked."""
    cases = node_cases(name)
    found = {"onnx": int(any(onnx_sees(run, case) for case in cases)) if cases else ""}
    if OPERATIONS[name].backward is None:
        return found | dict.fromkeys(COLUMNS[1:], "")
    subjects = [subject for call in calls(name) if (subject := Subject(run, call)).worth_asking()]
    checks = {"gradcheck": lambda s: torch_sees(s, False), "fast": lambda s: torch_sees(s, True), "jax": jax_sees}
    return found | {who: int(any(map(check, subjects))) for who, check in checks.items()}


def fair(name):
    """None of the four may find fault with the reference."""
    subjects = [Subject(right, call) for call in calls(name)]
    assert not any(onnx_sees(right, case) for case in node_cases(name))
    if OPERATIONS[name].backward is not None:
        for check in (jax_sees, functools.partial(torch_sees, fast=False), functools.partial(torch_sees, fast=True)):
            assert not any(map(check, subjects)), (name, check)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("operations", nargs="*", metavar="OPERATION")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    warnings.simplefilter("ignore")
    rows = []
    for name in options.operations or OPERATIONS:
        start = time.perf_counter()
        fair(name)
        found = [{"operation": name, "mistake": mistake.name, **row(mistake, name)} for mistake in applying(name)]
        rows += found
        jax.clear_caches()  # every check was compiled
        counts = {who: sum(each[who] or 0 for each in found) for who in COLUMNS}
        print(f"{name:34} {len(found):4} {counts} {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    if not options.operations:
        with TABLE.open("w", newline="", encoding="utf-8") as file:
            file.write(f"# {', '.join(f'{who} {version(who)}' for who in ('onnx', 'torch', 'jax'))}\n")
            writer = csv.DictWriter(file, ["operation", "mistake", *COLUMNS], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
