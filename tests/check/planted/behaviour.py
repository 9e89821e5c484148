"""Functions that misbehave, whatever their values: found by ``conduct`` and ``layouts``, on any operation."""

import itertools

import numpy as np

from unet_ref import ops

_calls = itertools.count()
_buffer = {}


def right(grad_output, x, weight, bias):
    return ops.conv2d_backward(grad_output, x, weight, bias)


def float32_weight(grad_output, *arrays):
    grads = right(grad_output, *arrays)
    return grads._replace(weight=grads.weight.astype(np.float32))


def bias_as_a_row(grad_output, *arrays):
    grads = right(grad_output, *arrays)
    return grads._replace(bias=grads.bias[None])


def a_list_for_bias(grad_output, *arrays):
    grads = right(grad_output, *arrays)
    return grads._replace(bias=grads.bias.tolist())


def two_gradients(grad_output, *arrays):
    return tuple(right(grad_output, *arrays))[:2]


def unknown_name(grad_output, *arrays):
    grads = right(grad_output, *arrays)
    return {"x": grads.x, "kernel": grads.weight}


def noisy(grad_output, *arrays):
    grads = right(grad_output, *arrays)
    return grads._replace(x=grads.x * (1 + 1e-15 * (next(_calls) % 7)))


def accumulating(grad_output, *arrays):
    """Adds to what the last call left behind (executorch#21686)."""
    grads = right(grad_output, *arrays)
    key = grads.x.shape
    _buffer[key] = _buffer.get(key, 0) + grads.x
    return grads._replace(x=_buffer[key].copy())


def changes_grad_output(grad_output, *arrays):
    grads = right(grad_output, *arrays)
    grad_output *= 2
    return grads


def changes_x(grad_output, x, weight, bias):
    grads = right(grad_output, x, weight, bias)
    x += 1
    return grads


def writes_and_restores(grad_output, x, weight, bias):
    """Leaves x as it was, but cannot work on memory that is read-only."""
    before = x.copy()
    x += 1
    x[...] = before
    return right(grad_output, x, weight, bias)


def returns_its_input(grad_output, x, weight, bias):
    grads = right(grad_output, x, weight, bias)
    return grads._replace(bias=bias)


def one_memory_for_two(grad_output, x, weight, bias):
    grads = right(grad_output, x, weight, bias)
    memory = np.concatenate([grads.weight.ravel(), grads.bias])
    return grads._replace(weight=memory[: weight.size].reshape(weight.shape), bias=memory[-bias.size - 1 : -1])


def not_a_number(grad_output, *arrays):
    grads = right(grad_output, *arrays)
    grads.x.flat[3] = np.nan
    return grads


def clips(grad_output, *arrays):
    """Gradient clipping inside the backward pass: not linear in grad_output."""
    return right(np.clip(grad_output, -1.55, 1.55), *arrays)


def memory_order(grad_output, x, weight, bias):
    """Reads grad_output in the order of its memory (cunn#68)."""
    return right(np.asarray(grad_output).ravel(order="K").reshape(grad_output.shape), x, weight, bias)


MISBEHAVING = {
    "wrong dtype": (float32_weight, "dtype, shape, finite"),
    "wrong shape": (bias_as_a_row, "dtype, shape, finite"),
    "no array": (a_list_for_bias, "dtype, shape, finite"),
    "too few gradients": (two_gradients, "one gradient each"),
    "a gradient of nothing": (unknown_name, "one gradient each"),
    "other bits each time": (noisy, "same bits again"),
    "adds to the last call's": (accumulating, "same bits again"),
    "changes grad_output": (changes_grad_output, "inputs unchanged"),
    "changes x": (changes_x, "inputs unchanged"),
    "needs writable inputs": (writes_and_restores, "read-only inputs"),
    "returns an input": (returns_its_input, "no shared memory"),
    "two gradients in one memory": (one_memory_for_two, "no shared memory"),
    "not a number": (not_a_number, "dtype, shape, finite"),
    "not linear": (clips, "linear in grad_output"),
    "memory order": (memory_order, "strided inputs"),
}
