"""Every row of the table of operations, without rounding: the links of the chain from definition to array form.

A new operation is tested here by its row alone. What arrays may look like is in test_every_operation_arrays.py.
"""

import inspect
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from every_operation import each_differentiable, each_operation, flat, gradients, upstream, y_of

import unet_ref
from unet_ref import spec
from unet_ref.check.exact import decimal_case, derivative_defect, rational, rational_case
from unet_ref.check.operation import Case

ROOT = Path(__file__).parents[2]
SHAPES = {"arrays": "shapes"}  # concat's list of arrays


@each_operation
def test_one_name_in_four_places(operation):
    name = operation.name
    for place in (f"unet_ref/spec/{name}.py", f"unet_ref/ops/{name}.py", f"tests/ops/test_{name}.py"):
        assert (ROOT / place).is_file(), place
    assert (ROOT / f"docs/ops/{name}.md").read_text(encoding="utf-8").startswith(f"# {name}\n")
    for room in (unet_ref.ops, spec):
        assert inspect.getmodule(getattr(room, name)).__name__ == f"{room.__name__}.{name}"
        assert name in room.__all__
    assert inspect.getdoc(operation.forward)
    assert inspect.getdoc(operation.definition)


def parameters(function, *, without=0):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()][without:]


@each_operation
def test_signatures_agree(operation):
    """``spec.f``, ``ops.f``; their ``f_backward`` with ``grad_output`` in front; ``f_shape`` with shapes for arrays."""
    assert parameters(operation.definition) == parameters(operation.forward)
    assert (operation.backward is None) == (operation.definition_backward is None)
    if operation.backward is not None:
        for backward in (operation.backward, operation.definition_backward):
            assert parameters(backward)[0][0] == "grad_output"
            assert parameters(backward, without=1) == parameters(operation.forward)
    if operation.shape is not None:
        shapes = [
            (name if kind is inspect.Parameter.KEYWORD_ONLY else SHAPES.get(name, f"{name}_shape"), kind, default)
            for name, kind, default in parameters(operation.forward)
        ]
        assert shapes == parameters(operation.shape)


def exact(operation):
    """Fractions throughout; with e, pi or tanh in it Decimals of 50 digits instead."""
    return operation.arithmetic in ("rational", "root")


def point(operation, rng):
    """A case in the exact scalars of its arithmetic."""
    case = rational_case(operation, rng)
    return case if exact(operation) else decimal_case(case)


def same_numbers(ours, theirs, operation):
    """Equal shapes and, element by element, equal numbers; and none of them a float."""
    assert len(flat(ours)) == len(flat(theirs))
    for mine, other in zip(flat(ours), flat(theirs), strict=True):
        assert np.shape(mine) == np.shape(other)
        pairs = list(zip(mine.ravel(), other.ravel(), strict=True))
        assert not any(isinstance(value, float) for value, _ in pairs)
        if exact(operation):
            assert all(value == expected for value, expected in pairs)
        else:
            largest = max((abs(expected) for _, expected in pairs), default=0)
            assert all(abs(value - expected) <= Decimal("1e-44") * max(1, largest) for value, expected in pairs)


@pytest.mark.parametrize("seed", range(10))
@each_operation
def test_array_form_is_the_definition(operation, seed):
    with localcontext(prec=50):
        case = point(operation, np.random.default_rng(seed))
        same_numbers(y_of(operation, case), operation.definition(**case.arrays, **case.options), operation)


@pytest.mark.parametrize("seed", range(10))
@each_differentiable
def test_array_gradients_are_the_definitions(operation, seed):
    rng = np.random.default_rng(seed)
    with localcontext(prec=50):
        case = point(operation, rng)
        grad_output = like(operation, operation.definition(**case.arrays, **case.options), rng)
        theirs = operation.definition_backward(grad_output, **case.arrays, **case.options)
        same_numbers(gradients(operation, grad_output, case), theirs, operation)


def like(operation, y, rng):
    """A random gradient for ``y`` in the exact scalars of the operation's arithmetic."""
    values = Case({"y": np.asarray(rational(rng, np.shape(y)), dtype=object)}, {})
    return (values if exact(operation) else decimal_case(values)).arrays["y"]


@pytest.mark.parametrize("seed", range(6))
@each_differentiable
def test_derivative_is_that_of_the_definition(operation, seed):
    """``<J u, v> == <u, J' v>`` with J u from dual numbers: exactly, or to 40 of 50 digits where e and pi come in."""
    rng = np.random.default_rng(seed)
    with localcontext(prec=50):
        case = point(operation, rng)
        for argument, (forward, backward) in derivative_defect(operation, case, rng).items():
            if exact(operation):
                assert isinstance(forward, Fraction | int), argument
                assert forward == backward, argument
            else:
                assert abs(forward - backward) <= max(abs(forward), abs(backward)) * Decimal("1e-40"), argument


@pytest.mark.parametrize("seed", range(6))
@each_operation
def test_the_case_of_a_row_has_all_arrays_in_the_order_of_the_signature(operation, seed):
    """What everyone who draws from the table relies on."""
    for draw in filter(None, (operation.draw, operation.draw_exact)):
        case = draw(np.random.default_rng(seed))
        arrays = [name for name, kind, _ in parameters(operation.forward) if kind is not inspect.Parameter.KEYWORD_ONLY]
        assert list(case.arrays) == arrays
        assert set(case.options) <= {name for name, *_ in parameters(operation.forward)} - set(arrays)
    assert {array.dtype.char for array in flat(*operation.draw(np.random.default_rng(seed)).arrays.values())} <= set(
        "dlq"
    )


@pytest.mark.parametrize("seed", range(6))
@each_differentiable
def test_gradients_are_named_like_the_arguments(operation, seed):
    rng = np.random.default_rng(seed)
    case = operation.draw(rng)
    grads = operation.backward(upstream(operation, case, rng), **case.arrays, **case.options)
    if operation.gradients == ("arrays",):  # concat: one gradient for each array
        named = {"arrays": grads}
    else:
        assert type(grads)._fields == operation.gradients
        assert type(grads) is getattr(spec, type(grads).__name__) is getattr(unet_ref.ops, type(grads).__name__)
        named = grads._asdict()
    for name, gradient in named.items():
        assert (gradient is None) == (case.arrays[name] is None)
        for mine, array in zip(flat(gradient), flat(case.arrays[name]), strict=True):
            assert (mine.shape, mine.dtype) == (array.shape, array.dtype), name
