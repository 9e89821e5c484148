"""Every row of the table of operations with arguments that it must refuse: before any work, and saying which and why."""

import inspect
import re

import numpy as np
import pytest
from every_operation import SEEDS, drawn, each_differentiable, each_operation, flat, inputs

from unet_ref import DTypeError, ShapeError


def spoiled(operation, case, grad_output, spoil):
    """Each floating argument spoiled in turn: ``(its name, the function's name, a call)``."""
    for name, array in case.arrays.items():
        for k, piece in enumerate(flat(array)):
            if piece.dtype.kind != "f":
                continue
            label, bad = name, spoil(piece)
            if isinstance(array, tuple):
                label, bad = f"{name}[{k}]", (*array[:k], bad, *array[k + 1 :])
            arrays = case.arrays | {name: bad}
            yield label, operation.name, lambda a=arrays: operation.forward(**a, **case.options)
            if grad_output is not None:
                yield (
                    label,
                    f"{operation.name}_backward",
                    lambda a=arrays: operation.backward(grad_output, **a, **case.options),
                )
    if grad_output is not None:
        yield (
            "grad_output",
            f"{operation.name}_backward",
            lambda: operation.backward(spoil(grad_output), **case.arrays, **case.options),
        )


@SEEDS
@each_operation
def test_arrays_of_unlike_dtype_are_refused(operation, seed):
    case, grad_output = drawn(operation, seed)
    for label, function, call in spoiled(operation, case, grad_output, lambda a: a.astype(np.float32)):
        if function == operation.name and sum(a.dtype.kind == "f" for a in inputs(case)) == 1:
            continue  # a lone array has no other to differ from
        rule = f"{re.escape(label)}.dtype is float32.*: all arrays must have one dtype$"
        with pytest.raises(DTypeError, match=f"^{function}: .*{rule}"):
            call()


@SEEDS
@each_operation
def test_integers_booleans_and_foreign_byte_order_are_refused(operation, seed):
    case, grad_output = drawn(operation, seed)
    for dtype in ("int64", "bool", ">f8"):
        for label, function, call in spoiled(operation, case, grad_output, lambda a, d=dtype: a.astype(d)):
            rule = rf"{re.escape(label)}.dtype \({re.escape(str(np.dtype(dtype)))}\) must be float16, "
            with pytest.raises(DTypeError, match=f"^{function}: {rule}"):
                call()


@SEEDS
@each_operation
def test_what_is_no_array_is_refused(operation, seed):
    case, grad_output = drawn(operation, seed)
    for spoil in (np.ndarray.tolist, lambda a: float(a.sum()), str):
        for label, function, call in spoiled(operation, case, grad_output, spoil):
            rule = rf"{re.escape(label)}(\[0\])? must be a NumPy or CuPy array, got (list|float|str)"
            with pytest.raises(DTypeError, match=f"^{function}: {rule}"):
                call()


@each_operation
def test_an_absent_array_is_refused_where_one_is_needed(operation):
    case, grad_output = drawn(operation, 0)
    needed = [name for name, p in inspect.signature(operation.forward).parameters.items() if p.default is p.empty]
    for label, function, call in spoiled(operation, case, grad_output, lambda _: None):
        if label.split("[")[0] in (*needed, "grad_output"):
            rule = f"{re.escape(label)} must be a NumPy or CuPy array, got NoneType"
            with pytest.raises(DTypeError, match=f"^{function}: {rule}"):
                call()


@SEEDS
@each_differentiable
def test_an_upstream_gradient_of_another_shape_is_refused(operation, seed):
    case, grad_output = drawn(operation, seed)
    shape = grad_output.shape
    longer = [(*shape[:k], size + 1, *shape[k + 1 :]) for k, size in enumerate(shape)]
    for wrong in [*longer, (*shape, 1), (1, *shape)]:
        rule = re.escape(f"grad_output.shape {wrong} must be the output's shape {shape}")
        with pytest.raises(ShapeError, match=f"^{operation.name}_backward: {rule}"):
            operation.backward(np.zeros(wrong), **case.arrays, **case.options)
