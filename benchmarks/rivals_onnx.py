"""ONNX's node cases as calls of the contract."""

from __future__ import annotations

import functools
import warnings
from typing import Any, NamedTuple

import numpy as np
from onnx import helper
from onnx.backend.test.case.node import collect_testcases

from unet_ref.judge.mistake import Arguments, right


class Node(NamedTuple):
    """One operator of ONNX, its inputs (``None`` for absent ones) and what it must return."""

    attributes: dict[str, Any]
    given: list[Any]
    outputs: list[Any]


class NodeCase(NamedTuple):
    """What each output of a node is computed by (a call, and the name of the tensor), and what it must be."""

    label: str
    calls: list[tuple[Arguments, str]]
    expected: list[Any]
    rtol: float
    atol: float


@functools.cache
def _all():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = []
        for case in collect_testcases(None):
            nodes = case.model.graph.node
            for inputs, outputs in case.data_sets if len(nodes) == 1 else []:
                (node,) = nodes
                attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
                names = iter(inputs)
                given = [next(names) if name else None for name in node.input]
                found.append((node.op_type, Node(attributes, given, list(outputs)), case))
        return found


@functools.cache
def node_cases(name):
    """Those of one operation that the reference passes; a node that is read wrongly here is not counted against ONNX."""
    found = []
    for op, node, case in _all():
        if (name, op) not in READERS or any(np.asarray(a).dtype.kind not in "fi" for a in node.given if a is not None):
            continue
        try:
            read = READERS[name, op](node)
            made = [(Arguments(name, dict(arrays), options), tensor) for arrays, options, tensor, _ in read]
            expected = [node.outputs[k] for *_, k in read]
            for (call, tensor), wanted in zip(made, expected, strict=True):
                np.testing.assert_allclose(right(call).tensors()[tensor], wanted, rtol=case.rtol, atol=case.atol)
        except (AssertionError, KeyError, ValueError, TypeError, IndexError):
            continue
        found.append(NodeCase(case.name, made, expected, case.rtol, case.atol))
    return found


def _planar(x):
    if x.ndim != 4:
        raise ValueError("not of two dimensions")


def _padding(attributes, size, kernel, stride, dilation):
    auto = attributes.get("auto_pad", b"NOTSET")
    if auto in (b"NOTSET", b"VALID"):
        top, left, bottom, right_ = attributes.get("pads", [0, 0, 0, 0])
        return (top, bottom), (left, right_)
    sides = []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        sides.append((total // 2, total - total // 2) if auto == b"SAME_UPPER" else (total - total // 2, total // 2))
    return tuple(sides)


def _window(attributes, x, kernel):
    _planar(x)
    stride, dilation = (tuple(attributes.get(key, (1, 1))) for key in ("strides", "dilations"))
    padding = _padding(attributes, x.shape[2:], kernel, stride, dilation)
    return {"stride": stride, "padding": padding, "dilation": dilation}


def _conv(node):
    x, weight, *bias = node.given
    options = _window(node.attributes, x, weight.shape[2:]) | {"groups": node.attributes.get("group", 1)}
    return [({"x": x, "weight": weight, "bias": bias[0] if bias else None}, options, "output", 0)]


def _conv_transpose(node):
    x, weight, *bias = node.given
    if "auto_pad" in node.attributes or ("output_shape" in node.attributes and "output_padding" not in node.attributes):
        size = node.outputs[0].shape[2:]
        stride = tuple(node.attributes.get("strides", (1, 1)))
        spans = [s * (n - 1) + k for s, n, k in zip(stride, x.shape[2:], weight.shape[2:], strict=True)]
        more = [max(n - span, 0) for n, span in zip(size, spans, strict=True)]
        less = [max(span - n, 0) for n, span in zip(size, spans, strict=True)]  # SAME_UPPER: the odd one behind
        options = {
            "stride": stride,
            "padding": tuple((p // 2, p - p // 2) for p in less),
            "output_padding": tuple(more),
        }
    else:
        options = _window(node.attributes, x, weight.shape[2:])
        options |= {"output_padding": tuple(node.attributes.get("output_padding", (0, 0)))}
    options |= {"groups": node.attributes.get("group", 1)}
    return [({"x": x, "weight": weight, "bias": bias[0] if bias else None}, options, "output", 0)]


def _max_pool(node):
    kernel = tuple(node.attributes["kernel_shape"])
    options = _window(node.attributes, node.given[0], kernel) | {"kernel_size": kernel}
    return [({"x": node.given[0]}, options | {"ceil_mode": bool(node.attributes.get("ceil_mode", 0))}, "output", 0)]


def _average_pool(node):
    ((arrays, options, *rest),) = _max_pool(node)
    if options.pop("dilation") != (1, 1):
        raise ValueError("dilated")
    return [(arrays, options | {"count_include_pad": bool(node.attributes.get("count_include_pad", 0))}, *rest)]


def _global(node):
    _planar(node.given[0])
    return [({"x": node.given[0]}, {"output_size": 1}, "output", 0)]


def _batch_norm(node):
    x, weight, bias, mean, var = node.given
    training = bool(node.attributes.get("training_mode", 0))
    arrays = {"x": x, "weight": weight, "bias": bias, "running_mean": mean, "running_var": var}
    return [(arrays, {"training": training, "eps": node.attributes.get("epsilon", 1e-5)}, "output", 0)]


def _running(node):
    if not node.attributes.get("training_mode", 0):
        raise ValueError("not in training")
    x, _, _, mean, var = node.given  # ONNX's variance is the biased one: the mean alone agrees
    options = {"momentum": 1 - node.attributes.get("momentum", 0.9)}
    return [({"x": x, "running_mean": mean, "running_var": var}, options, "output.mean", 1)]


def _group_norm(node):
    x, weight, bias = node.given
    options = {"num_groups": node.attributes.get("num_groups", x.shape[1]), "eps": node.attributes.get("epsilon", 1e-5)}
    return [({"x": x, "weight": weight, "bias": bias}, options, "output", 0)]


def _plain(node):
    return [({"x": node.given[0]}, {}, "output", 0)]


def _gelu(node):
    return [({"x": node.given[0]}, {"approximate": node.attributes.get("approximate", b"none").decode()}, "output", 0)]


def _gemm(node):
    a, b, *c = node.given
    a = a.T if node.attributes.get("transA") else a
    b = b if node.attributes.get("transB") else b.T
    alpha, beta = (np.float32(node.attributes.get(key, 1.0)) for key in ("alpha", "beta"))
    if alpha != 1 or beta != 1:
        raise ValueError("scaled")
    bias = np.broadcast_to(c[0].reshape(-1), (len(b),)).copy() if c else None
    return [({"x": np.ascontiguousarray(a), "weight": np.ascontiguousarray(b), "bias": bias}, {}, "output", 0)]


def _concat(node):
    return [({"arrays": tuple(node.given)}, {"axis": node.attributes["axis"]}, "output", 0)]


def _resize(mode):
    def read(node):
        x = node.given[0]
        _planar(x)
        if node.attributes.get("mode", b"nearest").decode() != mode or node.attributes.get("antialias"):
            raise ValueError("another mode")
        scales = node.given[2] if len(node.given) == 3 else node.given[1] if len(node.given) == 2 else None
        if scales is None:
            return [({"x": x}, {"size": tuple(node.outputs[0].shape[2:])}, "output", 0)]
        by_axis = dict(zip(node.attributes.get("axes", range(4)), np.asarray(scales, float), strict=True))
        return [({"x": x}, {"scale_factor": (by_axis[2], by_axis[3])}, "output", 0)]

    return read


def _pad(node):
    x, widths, value, axes = (*node.given, None, None)[:4]
    x = x.astype(np.float32) if x.dtype.kind == "i" else x  # small whole numbers, copied
    _planar(x)
    axes = list(range(4)) if axes is None else [int(a) % 4 for a in axes]
    before, after = (dict(zip(axes, part.tolist(), strict=True)) for part in np.split(widths, 2))
    if any(side.get(axis, 0) for side in (before, after) for axis in (0, 1)):
        raise ValueError("channels padded")
    mode = node.attributes.get("mode", b"constant").decode()
    options = {"padding": tuple((before.get(axis, 0), after.get(axis, 0)) for axis in (2, 3)),
               "mode": {"edge": "replicate"}.get(mode, mode)}  # fmt: skip
    return [({"x": x}, options | ({"value": float(value)} if value is not None else {}), "output", 0)]


def _cross_entropy(node):
    if node.attributes.get("reduction", b"mean") != b"mean" or len(node.given) > 2 or "ignore_index" in node.attributes:
        raise ValueError("another reduction")
    return [({"x": node.given[0], "target": node.given[1]}, {}, "output", 0)]


READERS = {
    ("conv2d", "Conv"): _conv, ("conv_transpose2d", "ConvTranspose"): _conv_transpose,
    ("max_pool2d", "MaxPool"): _max_pool, ("avg_pool2d", "AveragePool"): _average_pool,
    ("adaptive_avg_pool2d", "GlobalAveragePool"): _global, ("batch_norm", "BatchNormalization"): _batch_norm,
    ("batch_norm_running_stats", "BatchNormalization"): _running,
    ("group_norm", "GroupNormalization"): _group_norm, ("group_norm", "InstanceNormalization"): _group_norm,
    ("relu", "Relu"): _plain, ("sigmoid", "Sigmoid"): _plain, ("gelu", "Gelu"): _gelu, ("linear", "Gemm"): _gemm,
    ("concat", "Concat"): _concat, ("upsample_nearest2d", "Resize"): _resize("nearest"),
    ("upsample_nearest2d", "Upsample"): _resize("nearest"), ("upsample_bilinear2d", "Resize"): _resize("linear"),
    ("pad2d", "Pad"): _pad, ("cross_entropy", "SoftmaxCrossEntropyLoss"): _cross_entropy,
}  # fmt: skip
