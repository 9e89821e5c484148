"""As much of ONNX and ONNX Runtime as the judge's engines call: models of one node, run as the standard says."""

import pickle
import sys
import types

import numpy as np

from unet_ref import ops

TYPES = {np.dtype(name): code for code, name in ((1, "float32"), (7, "int64"), (10, "float16"), (11, "float64"))}


class Fail(Exception):
    """Something is wrong at run time."""


class NotImplemented(Exception):
    """There is no such kernel."""


def pads_of(attributes):
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    return (top, bottom), (left, right)


def conv(x, weight, bias=None, **a):
    padding = {"SAME_UPPER": "same", "NOTSET": pads_of(a)}[a.get("auto_pad", "NOTSET")]
    return ops.conv2d(x, weight, bias, stride=a["strides"], dilation=a["dilations"], groups=a["group"], padding=padding)


def conv_transpose(x, weight, bias=None, **a):
    options = {"stride": a["strides"], "dilation": a["dilations"], "groups": a["group"], "padding": pads_of(a)}
    return ops.conv_transpose2d(x, weight, bias, output_padding=a["output_padding"], **options)


def window(a):
    return {
        "kernel_size": a["kernel_shape"],
        "stride": a["strides"],
        "padding": pads_of(a),
        "ceil_mode": bool(a["ceil_mode"]),
    }


def group_norm(x, weight, bias, *, num_groups, epsilon, stash_type=1):
    statistics = {1: np.float32, 11: np.float64}[stash_type]
    assert np.promote_types(x.dtype, statistics) == statistics, "statistics in fewer digits than x has"
    return ops.group_norm(x, weight, bias, num_groups=num_groups, eps=np.float32(epsilon).item())


def resize(x, roi, scales, sizes=None, *, mode, **a):
    assert roi is None
    nearest = {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    assert a == {"nearest": nearest, "linear": {"coordinate_transformation_mode": "half_pixel"}}[mode]
    operation = {"nearest": ops.upsample_nearest2d, "linear": ops.upsample_bilinear2d}[mode]
    if sizes is None:
        assert scales.dtype == np.float32
        return operation(x, scale_factor=tuple(float(s) for s in scales[2:]))
    assert scales is None
    assert tuple(sizes[:2]) == x.shape[:2]
    return operation(x, size=tuple(int(n) for n in sizes[2:]))


def pad(x, pads, value, *, mode):
    before, after = np.split(pads, 2)
    assert not before[:-2].any()
    assert not after[:-2].any()
    sides = tuple((int(b), int(a)) for b, a in zip(before[-2:], after[-2:], strict=True))
    fill = {"value": float(value)} if mode == "constant" else {}
    return ops.pad2d(x, padding=sides, mode={"edge": "replicate"}.get(mode, mode), **fill)


KERNELS = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": lambda x, **a: ops.max_pool2d(x, dilation=a["dilations"], **window(a)),
    "AveragePool": lambda x, **a: ops.avg_pool2d(x, count_include_pad=bool(a["count_include_pad"]), **window(a)),
    "GlobalAveragePool": lambda x: ops.adaptive_avg_pool2d(x, output_size=1),
    "BatchNormalization": lambda x, weight, bias, mean, var, *, epsilon: ops.batch_norm(
        x, weight, bias, mean, var, training=False, eps=np.float32(epsilon).item()
    ),
    "GroupNormalization": group_norm,
    "Gemm": lambda x, weight, bias=None, *, transB: ops.linear(x, weight if transB else weight.T, bias),
    "Relu": ops.relu,
    "Sigmoid": ops.sigmoid,
    "Gelu": lambda x, *, approximate="none": ops.gelu(x, approximate=approximate),
    "Concat": lambda *arrays, axis: ops.concat(arrays, axis=axis),
    "Resize": resize,
    "Pad": pad,
}


class Model(dict):
    """A model, as its own bytes."""

    def SerializeToString(self):
        return pickle.dumps(dict(self))


def run(model, given):
    """The one output; inputs are those that were declared, contiguous and of the declared types."""
    (node,) = model["graph"]["nodes"]
    declared = {name: (code, tuple(shape)) for name, code, shape in model["graph"]["inputs"]}
    assert declared == {name: (TYPES[array.dtype], array.shape) for name, array in given.items()}
    assert all(array.flags.c_contiguous for array in given.values())
    ((_, code, _),) = model["graph"]["outputs"]
    assert code == declared[node["inputs"][0]][0]
    y = KERNELS[node["op"]](*(given[name] if name else None for name in node["inputs"]), **node["attributes"])
    return [np.asarray(y)]


class Session:
    """``onnxruntime.InferenceSession``."""

    def __init__(self, serialized, options, providers):
        assert options.log_severity_level == 4
        assert providers == ["CPUExecutionProvider"]
        self.model = pickle.loads(serialized)

    def run(self, names, given):
        assert names is None
        return run(self.model, given)


def install(monkeypatch):
    """In the place of both libraries."""
    onnx, reference, runtime = (types.ModuleType(name) for name in ("onnx", "onnx.reference", "onnxruntime"))
    onnx.__version__ = runtime.__version__ = "0.0 (stand-in)"
    onnx.helper = types.SimpleNamespace(
        np_dtype_to_tensor_dtype=TYPES.__getitem__,
        make_tensor_value_info=lambda name, code, shape: (name, code, shape),
        make_node=lambda op, inputs, outputs, **attributes: {
            "op": op,
            "inputs": inputs,
            "outputs": outputs,
            "attributes": attributes,
        },
        make_graph=lambda nodes, name, inputs, outputs: {"nodes": nodes, "inputs": inputs, "outputs": outputs},
        make_opsetid=lambda domain, version: (domain, version),
        make_model=lambda graph, *, opset_imports, ir_version: Model(graph=graph, opset=opset_imports, ir=ir_version),
    )
    reference.ReferenceEvaluator = lambda model: types.SimpleNamespace(run=lambda names, given: run(model, given))
    runtime.InferenceSession = Session
    runtime.SessionOptions = types.SimpleNamespace
    onnx.reference = reference
    for module in (onnx, reference, runtime):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return runtime
