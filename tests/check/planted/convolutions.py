"""Wrong convolutions and linear layers."""

import numpy as np

from unet_ref import ops

from .mistake import after, plant, spoil, with_options


def flip(weight):
    return weight[..., ::-1, ::-1]


def flipped_forward(x, weight, bias=None, **options):
    return ops.conv2d(x, flip(weight), bias, **options)


def flipped_backward(grad_output, x, weight, bias=None, **options):
    grads = ops.conv2d_backward(grad_output, x, flip(weight), bias, **options)
    return grads._replace(weight=flip(grads.weight).copy())


def dx_with_the_kernel_flipped(grads, grad_output, x, weight, bias=None, **options):
    return grads._replace(x=ops.conv2d_backward(grad_output, x, flip(weight), bias, **options).x)


def one_side(options):
    (top, bottom), (left, right) = options["padding"]
    return (top + bottom, 0), (left + right, 0)


def dx_without_stride(grads, grad_output, x, weight, bias=None, **options):
    """Every output's gradient goes to the pixels around (i, j), not around (sh*i, sw*j)."""
    (top, _), (left, _) = options["padding"]
    dilated = ops.conv_transpose2d(
        grad_output, weight, dilation=options["dilation"], groups=options["groups"], stride=1
    )  # fmt: skip
    dx = 0 * x
    part = dilated[..., top : top + x.shape[-2], left : left + x.shape[-1]]
    dx[..., : part.shape[-2], : part.shape[-1]] += part
    return grads._replace(x=dx)


def dx_zero_in_the_last_row(dx):
    dx = dx.copy()
    dx[..., -1, :] *= 0
    return dx


def off_in_one_coordinate(gradient):
    """0.05 % in the largest coordinate, all others right."""
    gradient = gradient.copy()
    if gradient.size:
        gradient.flat[np.argmax(np.abs(gradient))] *= gradient.flat[0] * 0 + 2001
        gradient.flat[np.argmax(np.abs(gradient))] /= gradient.flat[0] * 0 + 2000
    return gradient


def one_group_for_all(grads, grad_output, x, weight, bias=None, **options):
    """Each group's weight gradient taken from the first group's inputs."""
    groups = options["groups"]
    first = x[..., : x.shape[-3] // groups, :, :]
    shown = np.concatenate([first] * groups, axis=-3)
    return grads._replace(weight=ops.conv2d_backward(grad_output, shown, weight, bias, **options).weight)


def interleaved(x, groups):
    """Channels dealt out to the groups like cards: c goes to group c % G."""
    C = x.shape[-3]
    return x[..., np.arange(C).reshape(-1, groups).T.ravel(), :, :]


def interleaved_groups(x, weight, bias=None, **options):
    return ops.conv2d(interleaved(x, options["groups"]), weight, bias, **options)


def dweight_without_the_last_row(grads, grad_output, x, weight, bias=None, **options):
    """The last kernel row misses the last output row (pytorch#50042)."""
    short = grad_output.copy()
    short[..., -1, :] *= 0
    less = ops.conv2d_backward(short, x, weight, bias, **options).weight
    dweight = grads.weight.copy()
    dweight[..., -1, :] = less[..., -1, :]
    return grads._replace(weight=dweight)


def bias_of_the_first_sample(grads, grad_output, x, weight, bias=None, **options):
    if bias is None or x.ndim == 3:
        return grads
    return grads._replace(bias=grad_output[0].sum(axis=(1, 2)))


def bias_over_the_wrong_axes(grads, grad_output, *arrays, **options):
    """Summed over all but the width, and cut to length."""
    if grads.bias is None:
        return grads
    sums = grad_output.reshape(-1, grad_output.shape[-1]).sum(axis=0)
    return grads._replace(bias=np.resize(sums, grads.bias.shape))


def mean_over_the_batch(grads, grad_output, x, *arrays, **options):
    """dW divided by the number of samples and pixels, as if the loss were a mean."""
    count = grad_output[..., 0, :, :].size
    return grads._replace(weight=grads.weight / (grads.weight.flat[0] * 0 + count))


def transposed_kernel(weight):
    return (
        np.ascontiguousarray(weight.swapaxes(-1, -2))
        if weight.shape[-1] == weight.shape[-2]
        else weight[..., ::-1, :].copy()
    )


def output_padding_as_zeros(x, weight, bias=None, **options):
    """The rows and columns that output padding adds are left 0 (tvm#5758)."""
    y = ops.conv_transpose2d(x, weight, bias, **options)
    bottom, right = options["output_padding"]
    y[..., y.shape[-2] - bottom :, :] *= 0
    y[..., y.shape[-1] - right :] *= 0
    return y


def linear_reshaped(dweight):
    return np.ascontiguousarray(dweight.T).reshape(dweight.shape)


def linear_bias_last(grads, grad_output, x, *arrays, **options):
    return (
        grads if grads.bias is None else grads._replace(bias=grad_output.reshape(-1, grad_output.shape[-1])[-1].copy())
    )


pads_forward, pads_backward = with_options("conv2d", padding=one_side)
_, undilated = with_options("conv2d", dilation=lambda options: 1)


def dweight_without_dilation(grads, grad_output, x, weight, bias=None, **options):
    """Taps read next to each other, as if the kernel were not dilated (jax#567)."""
    cut = options | {"dilation": 1, "padding": 0, "stride": 1}
    (top, bottom), (left, right) = options["padding"]
    padded = ops.pad2d(x, padding=((top, bottom), (left, right)))
    height, width = (n + k - 1 for n, k in zip(grad_output.shape[-2:], weight.shape[-2:], strict=True))
    seen = padded[..., :: options["stride"][0], :: options["stride"][1]][..., :height, :width]
    room = ops.pad2d(seen, padding=((0, height - seen.shape[-2]), (0, width - seen.shape[-1])))
    return grads._replace(weight=ops.conv2d_backward(grad_output, room, weight, bias, **cut).weight)


def conv(what, shows, change):
    return plant("conv2d", what, shows, backward=after("conv2d", change))


MISTAKES = [
    plant("conv2d", "kernel flipped in both passes", "y", forward=flipped_forward, backward=flipped_backward),
    conv("kernel flipped in dx alone", "x", dx_with_the_kernel_flipped),
    plant("conv2d", "padding all on one side", "y", forward=pads_forward, backward=pads_backward),
    conv("stride ignored in dx", "x", dx_without_stride),
    conv("last row of dx zeroed", "x", spoil("x", dx_zero_in_the_last_row)),
    conv("one coordinate of dx 0.05 % off", "x", spoil("x", off_in_one_coordinate)),
    conv("one coordinate of dweight 0.05 % off", "weight", spoil("weight", off_in_one_coordinate)),
    conv("dweight of each group from the first group's input", "weight", one_group_for_all),
    plant("conv2d", "groups interleaved", "y", forward=interleaved_groups),
    conv("last kernel row of dweight misses a row", "weight", dweight_without_the_last_row),
    conv("dweight ignores dilation", "weight", dweight_without_dilation),
    conv("dweight divided by the number of pixels", "weight", mean_over_the_batch),
    conv("dweight transposed", "weight", spoil("weight", transposed_kernel)),
    conv("dbias of the first sample only", "bias", bias_of_the_first_sample),
    conv("dbias summed over the wrong axes", "bias", bias_over_the_wrong_axes),
    conv("sign of dbias", "bias", spoil("bias", lambda dbias: -dbias)),
    plant("conv_transpose2d", "output padding left zero", "y", forward=output_padding_as_zeros),
    plant(
        "conv_transpose2d",
        "dx flipped",
        backward=after("conv_transpose2d", spoil("x", lambda dx: dx[..., ::-1].copy())),
    ),
    plant("linear", "dweight transposed", "weight", backward=after("linear", spoil("weight", linear_reshaped))),
    plant("linear", "dbias of the last row only", "bias", backward=after("linear", linear_bias_last)),
]
