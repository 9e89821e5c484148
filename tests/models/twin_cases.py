"""What networks are compared on: options, shapes, states and cotangents; nothing here needs PyTorch."""

import math
from typing import NamedTuple

import numpy as np

from unet_ref import models
from unet_ref.models import UNet2Config


class Case(NamedTuple):
    """A network with its options, and the shapes of its inputs; ``None`` for one that is left out."""

    name: str
    options: dict
    shapes: tuple

    def __str__(self):
        options = ",".join(f"{k}={_short(v)}" for k, v in self.options.items())
        return f"{self.name}({options})-{'x'.join(map(str, self.shapes[0]))}"


def _short(value):
    if not isinstance(value, UNet2Config):
        return value
    plain = UNet2Config()
    return "/".join(f"{k}={v}" for k, v in vars(value).items() if v != getattr(plain, k))


def unet2(shape, **config):
    return Case(
        "unet2", {"in_channels": 3, "out_channels": 5, "config": UNet2Config(base_channels=4, **config)}, (shape,)
    )


FILM = {"in_channels": 5, "out_channels": 3, "weather_channels": 4, "base_channels": 3, "film_hidden": 7}

CASES = [
    unet2((2, 3, 6, 10)),
    unet2((3, 8, 4)),
    unet2((1, 3, 9, 13), pool_kernel=3, up_kernel=3),  # odd sizes fit: (H - 1) / 2 and back
    unet2((2, 3, 9, 8), conv_kernel=5, conv_padding=2, pool_kernel=3, pool_stride=1, up_kernel=3, up_stride=1),
    unet2((2, 3, 8, 6), conv_kernel=1, conv_padding=0, up_kernel=4, up_padding=1, head_kernel=3, head_stride=2,
          head_padding=2),  # the convolutions see one pixel, the head many
    unet2((2, 3, 64, 64), conv_stride=2, up_kernel=8, up_stride=8),  # down by 2 in every convolution
    unet2((3, 10, 8), conv_kernel=2, up_padding=2),  # convolutions grow their input: the upsampling cuts it
    unet2((2, 3, 12, 16), conv_padding=0, conv_kernel=3, pool_stride=1, pool_kernel=1, up_kernel=5, up_stride=1),
    Case("unet_film", FILM, ((2, 5, 32, 48), (2, 4))),
    Case("unet_film", FILM | {"base_channels": 5}, ((3, 5, 16, 32), (3, 4))),
    Case("unet_film", FILM, ((5, 48, 32), (4,))),
    Case("resnet50", {"in_channels": 3, "num_classes": 7, "base_channels": 3}, ((2, 3, 64, 96),)),
    Case("resnet50", {"in_channels": 1, "num_classes": 4, "base_channels": 2}, ((3, 1, 75, 61),)),
    Case("resnet50", {"in_channels": 2, "num_classes": 3, "base_channels": 2}, ((2, 97, 128),)),
    Case("resnet_unet", {"in_channels": 1, "out_channels": 2, "base_channels": 3}, ((2, 1, 48, 64),)),
    Case("resnet_unet", {"in_channels": 4, "out_channels": 3, "base_channels": 2}, ((3, 4, 32, 48),)),
    Case("resnet_unet", {"in_channels": 2, "out_channels": 1, "base_channels": 4}, ((2, 64, 48),)),
    Case("context_unet", {"in_channels": 3, "n_feat": 16, "n_cfeat": 5, "height": 16}, ((2, 3, 16, 16), (2, 1), (2, 5))),
    Case("context_unet", {"in_channels": 8, "n_feat": 8, "n_cfeat": 5, "height": 28}, ((2, 8, 28, 28), (2,), (2, 5))),
    Case("context_unet", {"in_channels": 1, "n_feat": 16, "n_cfeat": 3, "height": 20},
         ((3, 1, 20, 20), (3, 1, 1, 1), None)),
    Case("context_unet", {"in_channels": 3, "n_feat": 24, "n_cfeat": 5, "height": 24}, ((3, 24, 24), (1,), (5,))),
    Case("context_unet", {"in_channels": 2, "n_feat": 8, "n_cfeat": 6, "height": 28}, ((2, 28, 28), (1,), None)),
    Case("unet", {"in_channels": 3, "num_classes": 2, "base_channels": 3, "depth": 4}, ((2, 3, 32, 48),)),
    Case("unet", {"in_channels": 1, "num_classes": 4, "base_channels": 5, "depth": 1}, ((3, 1, 6, 10),)),
    Case("unet", {"in_channels": 2, "num_classes": 3, "base_channels": 3, "depth": 2}, ((2, 12, 8),)),
    Case("unet", {"in_channels": 2, "num_classes": 3, "base_channels": 3, "depth": 2, "padding": 0}, ((2, 2, 44, 52),)),
    Case("unet", {"in_channels": 1, "num_classes": 2, "base_channels": 4, "depth": 1, "padding": 0}, ((1, 19, 22),)),
    Case("unet", {"in_channels": 1, "num_classes": 2, "base_channels": 2, "depth": 4, "padding": 0}, ((1, 1, 188, 204),)),
]  # fmt: skip


def build(case):
    return models.MODELS[case.name](**case.options)


def random_state(model, rng, dtype="float64"):
    """A state of which nothing is at its starting value: signed weights of norms, running statistics that have run."""
    state = {}
    for name, array in model.init(rng, dtype).items():
        tensor = name.rsplit(".", 1)[-1]
        if tensor == "num_batches_tracked":
            state[name] = np.array(rng.integers(1, 1000))
        elif tensor == "running_var":
            state[name] = rng.uniform(0.5, 2.0, array.shape).astype(dtype)
        elif array.ndim == 1 and tensor == "weight":
            state[name] = (rng.choice([-1, 1], array.shape) * rng.uniform(0.5, 1.5, array.shape)).astype(dtype)
        elif array.ndim == 1:
            state[name] = (0.3 * rng.standard_normal(array.shape)).astype(dtype)
        else:
            fan_in = array.size // array.shape[0]
            state[name] = (rng.standard_normal(array.shape) * np.sqrt(2 / fan_in)).astype(dtype)
    return state


def random_inputs(model, case, rng, dtype="float64"):
    """Inputs by name, in the order of the network's arguments."""
    drawn = (None if shape is None else rng.standard_normal(shape).astype(dtype) for shape in case.shapes)
    return dict(zip(model.inputs, drawn, strict=True))


def run_ours(model, state, inputs, grad_output, *, training, **options):
    """Like ``torch_twins.run``, from our network."""
    trace = model.trace(state, *inputs.values(), training=training)
    output = trace.output
    grads = model.backward(state, trace, grad_output, **options)
    found = {"output": output}
    found |= {f"param.{name}": array for name, array in grads.params.items()}
    found |= {f"input.{name}": array for name, array in grads.inputs.items() if array is not None}
    return found | {f"buffer.{name}": array for name, array in trace.buffers.items()}


def relative_errors(ours, theirs):
    """The largest error of each tensor, relative to the largest element of it.

    A bias in front of a norm only moves what the norm subtracts again: its gradient is 0, and what both sides have in
    its place is rounding. Such a bias is measured against its layer's weight.
    """
    errors = {}
    for name, expected in theirs.items():
        assert np.shape(ours[name]) == expected.shape, f"{name}: {np.shape(ours[name])} is not {expected.shape}"
        scale = np.max(np.abs(expected), initial=0.0)
        if name.startswith("param.") and name.endswith(".bias"):
            weight = np.max(np.abs(theirs[name.removesuffix("bias") + "weight"]))
            scale = weight if scale < 1e-10 * weight else scale
        error = np.max(np.abs(ours[name] - expected), initial=0.0)
        errors[name] = float(error / scale) if scale else float(error)
    return errors


def thin(array, most=200):
    """About ``most`` elements of a large array, in a stride that shares no factor with its axes: all indices occur."""
    step = 1 + (array.size - 1) // most
    while math.gcd(step, array.size) > 1:
        step += 1
    return np.ravel(array)[::step]
