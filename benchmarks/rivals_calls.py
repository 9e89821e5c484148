"""The calls at which people check gradients: two or three for each operation, small, square, in float64."""

from __future__ import annotations

import numpy as np

from unet_ref.check.table import OPERATIONS
from unet_ref.judge.mistake import Arguments

IMAGE = (2, 3, 6, 6)
CALLS = {
    "conv2d": [
        ({"x": (2, 4, 5, 5), "weight": (3, 4, 3, 3), "bias": (3,)}, {"padding": 1}),
        ({"x": (2, 4, 7, 7), "weight": (4, 2, 3, 3), "bias": (4,)}, {"stride": 2, "padding": 1, "groups": 2}),
        ({"x": (1, 2, 7, 7), "weight": (3, 2, 3, 3), "bias": None}, {"dilation": 2}),
    ],
    "conv_transpose2d": [
        ({"x": (2, 3, 4, 4), "weight": (3, 2, 2, 2), "bias": (2,)}, {"stride": 2}),
        ({"x": (2, 4, 3, 3), "weight": (4, 2, 3, 3), "bias": (2,)}, {"stride": 2, "padding": 1, "output_padding": 1}),
        ({"x": (1, 4, 3, 3), "weight": (4, 2, 3, 3), "bias": None}, {"groups": 2, "dilation": 2}),
    ],
    "linear": [
        ({"x": (3, 5), "weight": (4, 5), "bias": (4,)}, {}),
        ({"x": (2, 3, 5), "weight": (4, 5), "bias": None}, {}),
    ],
    "max_pool2d": [
        ({"x": IMAGE}, {"kernel_size": 2}),
        ({"x": (1, 2, 7, 7)}, {"kernel_size": 3, "stride": 2, "padding": 1}),
    ],
    "avg_pool2d": [
        ({"x": IMAGE}, {"kernel_size": 2}),
        ({"x": (1, 2, 7, 7)}, {"kernel_size": 3, "stride": 2, "padding": 1}),
        ({"x": (1, 2, 6, 6)}, {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False, "ceil_mode": True}),
    ],
    "adaptive_avg_pool2d": [({"x": IMAGE}, {"output_size": 3}), ({"x": (1, 2, 7, 7)}, {"output_size": (3, 3)})],
    "batch_norm": [
        ({"x": (4, 3, 4, 4), "weight": (3,), "bias": (3,), "running_mean": None, "running_var": None}, {"training": True}),
        ({"x": (4, 3, 4, 4), "weight": (3,), "bias": (3,), "running_mean": (3,), "running_var": (3,)}, {"training": False}),
    ],
    "group_norm": [
        ({"x": (2, 6, 4, 4), "weight": (6,), "bias": (6,)}, {"num_groups": 3}),
        ({"x": (2, 4, 3, 3), "weight": None, "bias": None}, {"num_groups": 2}),
    ],
    "film": [({"x": (2, 3, 4, 4), "gamma": (2, 3), "beta": (2, 3)}, {})],
    "relu": [({"x": IMAGE}, {})],
    "sigmoid": [({"x": IMAGE}, {})],
    "gelu": [({"x": (2, 3, 4, 4)}, {}), ({"x": (2, 3, 4, 4)}, {"approximate": "tanh"})],
    "glu": [({"x": (2, 4, 6)}, {}), ({"x": (2, 4, 3, 3)}, {"axis": 1})],
    "concat": [({"arrays": [(2, 3, 4, 4), (2, 2, 4, 4)]}, {}), ({"arrays": [(2, 3), (2, 3)]}, {"axis": -1})],
    "upsample_nearest2d": [({"x": (2, 3, 4, 4)}, {"scale_factor": 2}), ({"x": (1, 2, 4, 4)}, {"size": (7, 7)})],
    "upsample_bilinear2d": [({"x": (2, 3, 4, 4)}, {"scale_factor": 2}), ({"x": (1, 2, 4, 4)}, {"size": (7, 7)})],
    "center_crop2d": [({"x": IMAGE}, {"size": 4}), ({"x": (1, 2, 7, 7)}, {"size": 4})],
    "pad2d": [({"x": (2, 3, 4, 4)}, {"padding": 1})] + [
        ({"x": (1, 2, 4, 4)}, {"padding": 2, "mode": mode}) for mode in ("reflect", "replicate")
    ],
    "mse_loss": [({"x": (4, 3), "target": (4, 3)}, {})],
    "binary_cross_entropy_with_logits": [({"x": (4, 3), "target": (4, 3)}, {})],
    "cross_entropy": [({"x": (5, 4), "target": (5,)}, {}), ({"x": (2, 4, 3, 3), "target": (2, 3, 3)}, {})],
}  # fmt: skip


def calls(name):
    """The calls with numbers in them, the upstream gradient too."""
    return [_filled(name, shapes, options, k) for k, (shapes, options) in enumerate(CALLS.get(name, ()))]


def _filled(name, shapes, options, seed):
    rng = np.random.default_rng(seed)

    def fill(key, shape):
        if shape is None or isinstance(shape, list):
            return None if shape is None else tuple(rng.standard_normal(one) for one in shape)
        if name == "cross_entropy" and key == "target":
            return rng.integers(0, shapes["x"][1], shape)
        if key in ("running_var", "target"):
            return rng.uniform(0.0 if key == "target" else 0.5, 1.0, shape)
        return rng.standard_normal(shape)

    call = Arguments(name, {key: fill(key, shape) for key, shape in shapes.items()}, options)
    y = OPERATIONS[name].forward(*call.arrays.values(), **options)
    return call._replace(grad_output=np.asarray(rng.standard_normal(y.shape)))
