"""Wrong poolings, upsamplings, crops and pads."""

import numpy as np

from unet_ref import ops
from unet_ref.ops.max_pool2d import MaxPool2dGrads

from .mistake import after, plant, spoil, with_options


def windows(x, options):
    """``(i, j, pixels)``: which pixels of the image each output looks at."""
    shape = ops.max_pool2d_shape(x.shape, **options)
    positions = np.arange(x.shape[-2] * x.shape[-1]).reshape(x.shape[-2:])
    for i, j in np.ndindex(*shape[-2:]):
        yield i, j, positions[_reads(x, i, j, options)]


def _reads(x, i, j, options):
    """Which pixels output (i, j) looks at: written out again, pixel by pixel."""
    kernel, stride = options["kernel_size"], options.get("stride") or options["kernel_size"]
    padding, dilation = options.get("padding", 0), options.get("dilation", 1)
    (kh, kw), (sh, sw), (dh, dw) = (v if isinstance(v, tuple) else (v, v) for v in (kernel, stride, dilation))
    vertical, horizontal = padding if isinstance(padding, tuple) else (padding, padding)
    top, left = (v[0] if isinstance(v, tuple) else v for v in (vertical, horizontal))
    mask = np.zeros(x.shape[-2:], dtype=bool)
    rows = [r for r in (sh * i - top + dh * k for k in range(kh)) if 0 <= r < x.shape[-2]]
    columns = [q for q in (sw * j - left + dw * l for l in range(kw)) if 0 <= q < x.shape[-1]]
    mask[np.ix_(rows, columns)] = True
    return mask


def max_pool_backward(choose, *, overwrite=False):
    """Max pool's backward pass with its own choice among the window's values."""

    def backward(grad_output, x, **options):
        dx = np.zeros(x.shape, dtype=x.dtype)
        for i, j, pixels in windows(x, options):
            values = x.reshape(*x.shape[:-2], -1)
            flat = dx.reshape(*x.shape[:-2], -1)
            for lead in np.ndindex(*x.shape[:-2]):
                for pixel in choose(values[lead], pixels):
                    before = 0 * flat[lead][pixel] if overwrite else flat[lead][pixel]
                    flat[lead][pixel] = before + grad_output[lead][i, j]
        return MaxPool2dGrads(dx)

    return backward


def first(values, pixels):
    return [max(pixels, key=lambda p: (values[p].real if values.dtype != object else values[p], -p))]


def last(values, pixels):
    return [max(pixels, key=lambda p: (values[p].real if values.dtype != object else values[p], p))]


def all_of(values, pixels):
    top = values[first(values, pixels)[0]]
    return [p for p in pixels if values[p] == top]


def zero_padded(x, **options):
    """Padding with 0 where nothing should count: negative windows at the border become 0."""
    y = ops.max_pool2d(x, **options)
    ones = ops.avg_pool2d(0 * x + 1, **{k: v for k, v in options.items() if k != "dilation"}, divisor_override=1)
    full = ones.flat[0] * 0 + np.prod(options["kernel_size"])
    return np.where((ones < full) & (y < 0), 0 * y, y)


def draw_undilated(draw):
    def drawn(rng):
        case = draw(rng)
        case.options["dilation"] = 1
        return case

    return drawn


def transposed_sizes(dx):
    return dx[..., ::-1, :].copy()


def halves(dx):
    return dx / (dx.flat[0] * 0 + 2) if dx.size else dx


def crop_rounded_up(x, *, size):
    """The odd pixel cut off at the other side."""
    return ops.center_crop2d(x[..., ::-1, ::-1], size=size)[..., ::-1, ::-1].copy()


def replicate_for_reflect(grads, grad_output, x, **options):
    if options.get("mode") != "reflect":
        return grads
    return ops.pad2d_backward(grad_output, x, **options | {"mode": "replicate"})


def border_dropped(grads, grad_output, x, **options):
    """What the border showed of the image is not given back (only the centre is)."""
    if options.get("mode", "constant") == "constant":
        return grads
    return ops.pad2d_backward(grad_output, x, padding=options["padding"])


counts_forward, counts_backward = with_options("avg_pool2d", count_include_pad=lambda o: not o["count_include_pad"])
_, without_divisor = with_options("avg_pool2d", divisor_override=lambda options: None)


def nearest_for_bilinear(grad_output, x, **options):
    grads = ops.upsample_bilinear2d_backward(grad_output, x, **options)
    return grads._replace(x=ops.upsample_nearest2d_backward(grad_output, x, **options).x)


def pool(what, backward):
    return plant("max_pool2d", what, backward=backward)


MISTAKES = [
    pool("the last tie gets the gradient", max_pool_backward(last)),
    pool("every tie gets the gradient", max_pool_backward(all_of)),
    pool("overlapping windows overwrite", max_pool_backward(first, overwrite=True)),
    pool("dx upside down", after("max_pool2d", spoil("x", transposed_sizes))),
    plant(
        "max_pool2d", "padding counts as 0", "y", forward=zero_padded, draw=draw_undilated(plant("max_pool2d", "").draw)
    ),
    plant("avg_pool2d", "mean over the wrong count", "y", forward=counts_forward, backward=counts_backward),
    plant("avg_pool2d", "the wrong count in the backward", backward=counts_backward),
    plant("avg_pool2d", "divisor_override ignored in the backward", backward=without_divisor),
    plant("adaptive_avg_pool2d", "half the gradient", backward=after("adaptive_avg_pool2d", spoil("x", halves))),
    plant("upsample_nearest2d", "dx upside down", backward=after("upsample_nearest2d", spoil("x", transposed_sizes))),
    plant("upsample_bilinear2d", "nearest in the backward", backward=nearest_for_bilinear),
    plant("center_crop2d", "odd pixel cut off at the other side", "y", forward=crop_rounded_up),
    plant("pad2d", "reflect given back as replicate", backward=after("pad2d", replicate_for_reflect)),
    plant("pad2d", "what the border shows not given back", backward=after("pad2d", border_dropped)),
]
