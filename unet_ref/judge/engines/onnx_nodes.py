"""The operations as ONNX models of one node: what ONNX Runtime and ``onnx.reference`` are asked to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .arguments import named, pads, pair

OPSET, IR = 21, 10


class Node(NamedTuple):
    """One operator with its attributes, and its inputs by name; ``lone``: an image that was given a batch."""

    op: str
    inputs: dict[str, Any]
    attributes: dict[str, Any]
    lone: bool = False


def node(name: str, arrays: tuple[Any, ...], options: Mapping[str, Any]) -> Node:
    """The operation's call as a node."""
    given = {key: value for key, value in named(name, arrays).items() if value is not None}
    made = NODES[name](given, dict(options))
    inputs = {
        key: np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value) for key, value in made.inputs.items()
    }
    return made._replace(inputs=inputs)


def model(made: Node) -> Any:
    """The ``onnx.ModelProto``."""
    from onnx import helper  # noqa: PLC0415

    kinds = {key: helper.np_dtype_to_tensor_dtype(value.dtype) for key, value in made.inputs.items()}
    given = [
        helper.make_tensor_value_info(key, kinds[key], value.shape)
        for key, value in made.inputs.items()
        if not key.startswith("absent")
    ]
    out = helper.make_tensor_value_info("y", next(iter(kinds.values())), None)
    names = ["" if key.startswith("absent") else key for key in made.inputs]
    one = helper.make_node(made.op, _with_gaps(made, names), ["y"], **made.attributes)
    graph = helper.make_graph([one], "one", given, [out])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def _with_gaps(made: Node, names: list[str]) -> list[str]:
    return [names[0], "", *names[1:]] if made.op == "Resize" else names  # an absent region of interest


def _batched(given: dict[str, Any], rank: int = 4) -> tuple[dict[str, Any], bool]:
    lone = given["x"].ndim == rank - 1
    return (given | {"x": given["x"][None]} if lone else given), lone


def _flat(padding: Any) -> list[int]:
    (top, bottom), (left, right) = pads(padding)
    return [top, left, bottom, right]


def _conv(given: dict[str, Any], options: dict[str, Any]) -> Node:
    given, lone = _batched(given)
    padding = options.get("padding", 0)
    where: dict[str, Any] = {"pads": _flat(padding)} if not isinstance(padding, str) else {}
    if padding == "same":  # the odd pixel of an even kernel lies behind
        where = {"auto_pad": "SAME_UPPER"}
    attributes = {"strides": pair(options.get("stride", 1)), "dilations": pair(options.get("dilation", 1)),
                  "group": options.get("groups", 1), **where}  # fmt: skip
    return Node("Conv", given, attributes, lone)


def _conv_transpose(given: dict[str, Any], options: dict[str, Any]) -> Node:
    made = _conv(given, options)
    return made._replace(op="ConvTranspose",
                         attributes=made.attributes | {"output_padding": pair(options.get("output_padding", 0))})  # fmt: skip


def _window(options: dict[str, Any]) -> dict[str, Any]:
    kernel, stride = options["kernel_size"], options.get("stride")
    return {"kernel_shape": pair(kernel), "strides": pair(kernel if stride is None else stride),
            "pads": _flat(options.get("padding", 0)), "ceil_mode": int(options.get("ceil_mode", False))}  # fmt: skip


def _max_pool(given: dict[str, Any], options: dict[str, Any]) -> Node:
    if np.isnan(given["x"]).any():
        raise NotImplementedError("ONNX does not say what MaxPool makes of NaN")
    given, lone = _batched(given)
    return Node("MaxPool", given, _window(options) | {"dilations": pair(options.get("dilation", 1))}, lone)


def _average_pool(given: dict[str, Any], options: dict[str, Any]) -> Node:
    if options.get("divisor_override") is not None:
        raise NotImplementedError("divisor_override")
    given, lone = _batched(given)
    return Node("AveragePool", given,
                _window(options) | {"count_include_pad": int(options.get("count_include_pad", True))}, lone)  # fmt: skip


def _global_average_pool(given: dict[str, Any], options: dict[str, Any]) -> Node:
    if pair(options["output_size"]) != (1, 1):
        raise NotImplementedError("GlobalAveragePool gives one pixel")
    given, lone = _batched(given)
    return Node("GlobalAveragePool", given, {}, lone)


def _epsilon(options: dict[str, Any], dtype: Any) -> float:
    """ONNX's attributes are float32: another eps in float64 would be another operation."""
    eps = float(options.get("eps", 1e-5))
    if dtype == np.float64 and float(np.float32(eps)) != eps:
        raise NotImplementedError("an eps that is no float32")
    return eps


def _batch_norm(given: dict[str, Any], options: dict[str, Any]) -> Node:
    if options["training"]:
        raise NotImplementedError("training")
    x = given["x"]
    ones, zeros = np.ones(x.shape[1], x.dtype), np.zeros(x.shape[1], x.dtype)
    inputs = {"x": x, "weight": given.get("weight", ones), "bias": given.get("bias", zeros),
              "mean": given["running_mean"], "var": given["running_var"]}  # fmt: skip
    return Node("BatchNormalization", inputs, {"epsilon": _epsilon(options, x.dtype)})


def _group_norm(given: dict[str, Any], options: dict[str, Any]) -> Node:
    x = given["x"]
    if x.ndim < 3:
        raise NotImplementedError("GroupNormalization wants pixels")
    inputs = {"x": x, "weight": given.get("weight", np.ones(x.shape[1], x.dtype)),
              "bias": given.get("bias", np.zeros(x.shape[1], x.dtype))}  # fmt: skip
    double = {"stash_type": 11} if x.dtype == np.float64 else {}  # by default the statistics are float32
    attributes = {"epsilon": _epsilon(options, x.dtype), "num_groups": options["num_groups"]}
    return Node("GroupNormalization", inputs, attributes | double)


def _linear(given: dict[str, Any], options: dict[str, Any]) -> Node:  # noqa: ARG001
    if given["x"].ndim != 2:
        raise NotImplementedError("Gemm is for matrices")
    return Node("Gemm", given, {"transB": 1})


def _concat(given: dict[str, Any], options: dict[str, Any]) -> Node:
    return Node("Concat", {f"x{k}": array for k, array in enumerate(given["arrays"])}, {"axis": options.get("axis", 1)})


def _resize(mode: str) -> Callable[[dict[str, Any], dict[str, Any]], Node]:
    rule = {"nearest": {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"},
            "linear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}}[mode]  # fmt: skip

    def make(given: dict[str, Any], options: dict[str, Any]) -> Node:
        given, lone = _batched(given)
        x = given["x"]
        if options.get("scale_factor") is not None:
            scales = np.array([1, 1, *pair(options["scale_factor"])], np.float32)
            if (scales[2:].astype(float) != np.array(pair(options["scale_factor"]), float)).any():
                raise NotImplementedError("ONNX's scales are float32")
            return Node("Resize", {"x": x, "scales": scales}, rule, lone)
        sizes = np.array([*x.shape[:2], *pair(options["size"])], np.int64)
        return Node("Resize", {"x": x, "absent_scales": np.zeros(0, np.float32), "sizes": sizes}, rule, lone)

    return make


def _pad(given: dict[str, Any], options: dict[str, Any]) -> Node:
    x, (vertical, horizontal) = given["x"], pads(options["padding"])
    lead = [0] * (x.ndim - 2)
    widths = np.array([*lead, vertical[0], horizontal[0], *lead, vertical[1], horizontal[1]], np.int64)
    mode = {"replicate": "edge"}.get(options.get("mode", "constant"), options.get("mode", "constant"))
    if mode != "constant" and (widths < 0).any() and (widths > 0).any():
        raise NotImplementedError("ONNX does not say which comes first, the reflection or the cut")
    return Node("Pad", {"x": x, "pads": widths, "value": np.asarray(options.get("value", 0), x.dtype)}, {"mode": mode})


def _plain(op: str) -> Callable[[dict[str, Any], dict[str, Any]], Node]:
    return lambda given, options: Node(op, given, options)


NODES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Node]] = {
    "conv2d": _conv,
    "conv_transpose2d": _conv_transpose,
    "max_pool2d": _max_pool,
    "avg_pool2d": _average_pool,
    "adaptive_avg_pool2d": _global_average_pool,
    "batch_norm": _batch_norm,
    "group_norm": _group_norm,
    "linear": _linear,
    "relu": _plain("Relu"),
    "sigmoid": _plain("Sigmoid"),
    "gelu": _plain("Gelu"),
    "concat": _concat,
    "upsample_nearest2d": _resize("nearest"),
    "upsample_bilinear2d": _resize("linear"),
    "pad2d": _pad,
}
