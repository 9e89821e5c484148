"""Mistakes of the bank beside loops that are written with the same mistake, index by index, and beside worked numbers."""

import itertools

import numpy as np
import pytest
from scipy.special import erf

from unet_ref import ops
from unet_ref.judge.bank import BANK
from unet_ref.judge.bank.memory import cast, misread, spanned
from unet_ref.judge.bank.window import window_of
from unet_ref.judge.mistake import Arguments, Results, right
from unet_ref.judge.plant import drawn, plain

ENTRIES = {entry.name: entry for entry in BANK}

# Where the windows lie: (stride, dilation, padding before) of each axis, by what they should be.
LAID = {
    "stride ignored": lambda w: [(1, d, b) for s, d, b in w],
    "stride swapped": lambda w: [(w[1 - a][0], w[a][1], w[a][2]) for a in (0, 1)],
    "dilation ignored": lambda w: [(s, 1, b) for s, d, b in w],
    "dilation swapped": lambda w: [(w[a][0], w[1 - a][1], w[a][2]) for a in (0, 1)],
    "stride and dilation exchanged": lambda w: [(d, s, b) for s, d, b in w],
    "padding axes swapped": lambda w: [(w[a][0], w[a][1], w[1 - a][2]) for a in (0, 1)],
    "padding ignored": lambda w: [(s, d, 0) for s, d, b in w],
}


def axes(arguments):
    window = window_of(arguments)
    return [(window.stride[a], window.dilation[a], window.pads[a][0]) for a in (0, 1)]


def read(axis, i, k):
    """The pixel that tap k of window i reads."""
    stride, dilation, before = axis
    return stride * i + dilation * k - before


def convolved(x, weight, groups, laid, shape):
    """Sums of products by the index formula, zero outside the image."""
    (O, I, KH, KW), (H, W) = weight.shape, x.shape[-2:]
    y = np.zeros((len(x), O, *shape))
    for n, o, i, j, c, k, l in itertools.product(*map(range, (len(x), O, *shape, I, KH, KW))):
        r, q = read(laid[0], i, k), read(laid[1], j, l)
        if 0 <= r < H and 0 <= q < W:
            y[n, o, i, j] += weight[o, c, k, l] * x[n, o // (O // groups) * I + c, r, q]
    return y


def painted(x, weight, groups, laid, shape):
    """Every input pixel paints its kernel."""
    (C, I, KH, KW), (H, W) = weight.shape, x.shape[-2:]
    y = np.zeros((len(x), I * groups, *shape))
    for n, c, i, j, o, k, l in itertools.product(*map(range, (len(x), C, H, W, I, KH, KW))):
        r, q = read(laid[0], i, k), read(laid[1], j, l)
        if 0 <= r < shape[0] and 0 <= q < shape[1]:
            y[n, c // (C // groups) * I + o, r, q] += weight[c, o, k, l] * x[n, c, i, j]
    return y


def pooled(x, kernel, laid, shape, reduce):
    """What the pixels of each window that lie on the image are reduced to."""
    y = np.zeros((*x.shape[:-2], *shape))
    for i, j in np.ndindex(*shape):
        rows = [r for k in range(kernel[0]) if 0 <= (r := read(laid[0], i, k)) < x.shape[-2]]
        columns = [q for l in range(kernel[1]) if 0 <= (q := read(laid[1], j, l)) < x.shape[-1]]
        y[..., i, j] = reduce(x[..., rows, :][..., columns])
    return y


def looped(arguments, laid):
    """The operation with its windows laid otherwise, without bias, for a batch."""
    name, arrays, options, _ = arguments
    x, shape = arrays["x"], getattr(ops, name)(*arrays.values(), **options).shape[-2:]
    if name in ("conv2d", "conv_transpose2d"):
        function = convolved if name == "conv2d" else painted
        return function(x, arrays["weight"], options["groups"], laid, shape)
    if name == "max_pool2d":
        return pooled(x, window_of(arguments).kernel, laid, shape, lambda v: v.max(axis=(-2, -1), initial=-np.inf))
    return pooled(x, window_of(arguments).kernel, laid, shape, lambda v: v.sum(axis=(-2, -1)))


@pytest.mark.parametrize("operation", ["conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize("name", LAID)
def test_windows_laid_by_a_wrong_formula(name, operation):
    if operation not in ENTRIES[name].operations:
        pytest.skip("an average pooling has no dilation")
    shown, rng = 0, np.random.default_rng(3)
    while shown < 6:
        arguments = drawn(operation, rng, "float64", plain)
        if "bias" in arguments.arrays:
            arguments = arguments.with_arrays(bias=None)
        if arguments.arrays["x"].ndim == 3:
            continue
        if operation == "avg_pool2d":  # sums: the divisors are another matter
            arguments = arguments.with_options(divisor_override=1)
        found = ENTRIES[name](arguments)
        laid = LAID[name](axes(arguments))
        if found is None:
            assert laid == axes(arguments) or name == "padding ignored"
            continue
        shown += 1
        np.testing.assert_allclose(found.output, looped(arguments, laid), atol=1e-12)


def test_all_padding_in_front_and_sides_swapped():
    x = np.arange(1.0, 5.0).reshape(1, 1, 4)
    call = Arguments("conv2d", {"x": x, "weight": np.ones((1, 1, 1, 2)), "bias": None}, {"padding": ((0, 0), (1, 2))})
    assert right(call).output.ravel().tolist() == [1, 3, 5, 7, 4, 0]
    assert ENTRIES["padding in front"](call).output.ravel().tolist() == [0, 0, 1, 3, 5, 7]
    assert ENTRIES["padding sides swapped"](call).output.ravel().tolist() == [0, 1, 3, 5, 7, 4]
    assert ENTRIES["padding ignored"](call).output.ravel().tolist() == [3, 5, 7, 4, 0, 0]
    assert ENTRIES["padding repeats the border"](call).output.ravel().tolist() == [2, 3, 5, 7, 8, 8]
    assert ENTRIES["padding mirrors the image"](call).output.ravel().tolist() == [3, 3, 5, 7, 7, 5]


def test_padding_in_words():
    x = np.random.default_rng(0).standard_normal((2, 5, 6))
    weight = np.random.default_rng(1).standard_normal((1, 2, 2, 4))
    same = Arguments("conv2d", {"x": x, "weight": weight, "bias": None}, {"padding": "same"})
    assert window_of(same).pads == ((0, 1), (1, 2))
    lower = ENTRIES["padding sides swapped"](same).output  # SAME_LOWER
    np.testing.assert_array_equal(lower, ops.conv2d(x, weight, padding=((1, 0), (2, 1))))
    assert ENTRIES["padding sides swapped"](same.with_options(padding="valid")) is None
    assert ENTRIES["padding mirrors the image"](same.with_options(padding=((0, 5), (0, 0)))) is None  # too wide


def test_the_weight_read_in_other_orders():
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((1, 3, 5, 6)), rng.standard_normal((3, 3, 3, 3))
    call = Arguments("conv2d", {"x": x, "weight": weight, "bias": None}, {})
    for name, wrong in {
        "kernel flipped": weight[:, :, ::-1, ::-1],
        "kernel transposed": weight.swapaxes(2, 3),
        "weight read with inputs and outputs exchanged": weight.swapaxes(0, 1),
        "weight read as kernel first": weight.transpose(3, 2, 0, 1),
        "weight read as channels last": weight.transpose(0, 3, 1, 2),
    }.items():
        np.testing.assert_allclose(ENTRIES[name](call).output, ops.conv2d(x, np.ascontiguousarray(wrong)), atol=1e-12)
    flat = call.with_arrays(weight=weight[:, :, :1, :1])
    for name in ("kernel flipped", "kernel not flipped in the backward", "kernel transposed"):
        assert ENTRIES[name](flat._replace(grad_output=np.ones((1, 3, 5, 6)))) is None
    column = call.with_arrays(weight=weight[:1])  # (1, I, KH, KW): read as (I, 1, KH, KW) it is the same
    assert ENTRIES["weight read with inputs and outputs exchanged"](column) is None


def test_the_last_window_overwrites():
    """``dx[window] = w * dy`` in place of ``+=``, and the same for what a transposed convolution paints."""
    rng = np.random.default_rng(4)
    for _ in range(8):
        call = drawn("conv2d", rng, "float64", plain)
        if call.arrays["x"].ndim == 3:
            continue
        x, weight, dy, laid, G = (
            call.arrays["x"],
            call.arrays["weight"],
            call.grad_output,
            axes(call),
            call.options["groups"],
        )
        dx, size = np.zeros_like(x), weight.shape[0] // G
        for i, j, k, l in np.ndindex(*dy.shape[-2:], *weight.shape[-2:]):
            r, q = read(laid[0], i, k), read(laid[1], j, l)
            if 0 <= r < x.shape[-2] and 0 <= q < x.shape[-1]:
                for g, o in itertools.product(range(G), [slice(0, size)]):
                    outputs = slice(g * size + o.start, g * size + o.stop)
                    inputs = slice(g * weight.shape[1], (g + 1) * weight.shape[1])
                    dx[:, inputs, r, q] = dy[:, outputs, i, j] @ weight[outputs, :, k, l]
        found = ENTRIES["gradient not accumulated over overlaps"](call)
        np.testing.assert_allclose(found.grads["x"], dx, atol=1e-12)


def test_groups():
    x = np.array([[[[1.0]], [[10.0]], [[100.0]], [[1000.0]]]])
    weight = np.array([1.0, 2.0, 3.0, 4.0]).reshape(4, 1, 1, 1) * np.ones((4, 2, 1, 1))
    call = Arguments("conv2d", {"x": x, "weight": weight, "bias": np.zeros(4)}, {"groups": 2}, np.ones((1, 4, 1, 1)))
    assert right(call).output.ravel().tolist() == [11, 22, 3300, 4400]
    assert ENTRIES["every group reads the first"](call).output.ravel().tolist() == [11, 22, 33, 44]
    assert ENTRIES["every group reads the first"](call).grads["x"].ravel().tolist() == [10, 10, 0, 0]
    assert ENTRIES["groups of inputs interleaved"](call).output.ravel().tolist() == [101, 202, 3030, 4040]
    assert ENTRIES["groups of outputs interleaved"](call).output.ravel().tolist() == [11, 3300, 22, 4400]
    mixed = ENTRIES["weight gradient pairs the wrong groups"](call).grads["weight"]
    assert mixed[:, :, 0, 0].tolist() == [[100, 1000], [100, 1000], [1, 10], [1, 10]]


def test_groups_passed_for_the_dilation():
    x, weight = np.ones((1, 4, 3, 3)), np.ones((4, 2, 2, 2))
    call = Arguments("conv_transpose2d", {"x": x, "weight": weight, "bias": None}, {"groups": 2})
    found = ENTRIES["groups and dilation exchanged"](call)
    np.testing.assert_array_equal(found.output, ops.conv_transpose2d(x, weight, dilation=2))
    for options in ({"groups": 2, "dilation": 2}, {"groups": 1, "dilation": 3},
                    {"groups": 2, "dilation": (1, 2)}, {"groups": 1, "dilation": 4, "output_padding": 3}):  # fmt: skip
        assert ENTRIES["groups and dilation exchanged"](call.with_options(**options)) is None


def test_output_padding():
    call = Arguments(
        "conv_transpose2d", {"x": np.array([[[1.0, 2.0]]]), "weight": np.array([[[[1.0, 10.0, 100.0]]]]),
                             "bias": np.array([5.0])},
        {"stride": 2, "padding": (0, 1), "output_padding": (0, 1)},
    )  # fmt: skip
    assert right(call).output.ravel().tolist() == [15, 107, 25, 205]
    assert ENTRIES["output padding filled with zeros"](call).output.ravel().tolist() == [15, 107, 25, 0]
    assert ENTRIES["output padding in front"](call).output.ravel().tolist() == [6, 15, 107, 25]
    assert ENTRIES["output padding left out"](call).output.ravel().tolist() == [15, 107, 25]


def test_max_pooling_with_ties_and_without_numbers():
    x = np.array([[[3.0, 3.0, 1.0, np.nan, -1.0, -2.0]]])
    call = Arguments("max_pool2d", {"x": x}, {"kernel_size": (1, 2)}, np.array([[[1.0, 2.0, 4.0]]]))
    grads = {name: ENTRIES[name](call).grads["x"].ravel().tolist() for name in (
        "last of ties gets the gradient", "ties share the gradient", "every tie gets the gradient",
        "whole window gets the gradient", "no gradient where the largest is nan",
    )}  # fmt: skip
    assert grads == {
        "last of ties gets the gradient": [0, 1, 0, 2, 4, 0],
        "ties share the gradient": [0.5, 0.5, 0, 0, 4, 0],
        "every tie gets the gradient": [1, 1, 0, 0, 4, 0],
        "whole window gets the gradient": [1, 1, 2, 2, 4, 4],
        "no gradient where the largest is nan": [1, 0, 0, 0, 4, 0],
    }
    assert ENTRIES["nan lost"](call).output.ravel().tolist() == [3, 1, -1]
    started = ENTRIES["maximum starts from zero"](call)
    assert started.output[0, 0, [0, 2]].tolist() == [3, 0]
    assert started.grads["x"].ravel().tolist() == [1, 0, 0, 2, 0, 0]


def test_max_pooling_overlapping_and_at_the_border():
    x = np.array([[[-1.0, -5.0, -2.0, -3.0]]])
    call = Arguments("max_pool2d", {"x": x}, {"kernel_size": (1, 2), "stride": 1}, np.array([[[1.0, 2.0, 4.0]]]))
    assert right(call).grads["x"].ravel().tolist() == [1, 0, 6, 0]
    assert ENTRIES["gradient not accumulated over windows"](call).grads["x"].ravel().tolist() == [1, 0, 4, 0]
    padded = call.with_options(padding=(0, 1))._replace(grad_output=np.ones((1, 1, 5)))
    assert ENTRIES["padding of zeros takes part"](padded).output.ravel().tolist() == [0, -1, -2, -2, 0]
    assert ENTRIES["padding of zeros takes part"](padded).grads["x"].ravel().tolist() == [1, 0, 2, 0]
    assert ENTRIES["padding of zeros takes part"](call) is None
    infinite = Arguments("max_pool2d", {"x": x * np.inf}, {"kernel_size": (1, 2)}, np.array([[[1.0, 2.0]]]))
    assert ENTRIES["no gradient where all are minus infinity"](infinite).grads["x"].tolist() == [[[0, 0, 0, 0]]]


def test_the_first_samples_choice():
    x = np.array([[[[1.0, 2.0]]], [[[4.0, 3.0]]]])
    call = Arguments("max_pool2d", {"x": x}, {"kernel_size": (1, 2)}, np.array([[[[5.0]]], [[[7.0]]]]))
    assert ENTRIES["choice of the first sample for all"](call).grads["x"].ravel().tolist() == [0, 5, 0, 7]
    single = call.with_arrays(x=x[0])._replace(grad_output=np.ones((1, 1, 1)))
    assert ENTRIES["choice of the first sample for all"](single) is None


def test_ceil_mode():
    x = np.arange(1.0, 5.0).reshape(1, 1, 4)
    call = Arguments("max_pool2d", {"x": x}, {"kernel_size": (1, 2), "stride": (1, 5), "padding": ((0, 0), (0, 1)),
                                              "ceil_mode": True})  # fmt: skip
    assert right(call).output.ravel().tolist() == [2]
    found = ENTRIES["ceil mode window outside the image"](call).output
    assert found.ravel().tolist() == [2, -np.inf]
    average = call._replace(name="avg_pool2d")
    assert np.isnan(ENTRIES["ceil mode window outside the image"](average).output.ravel()[1])
    assert ENTRIES["ceil mode window outside the image"](call.with_options(ceil_mode=False)) is None
    hanging = Arguments("avg_pool2d", {"x": x}, {"kernel_size": (1, 3), "ceil_mode": True})
    assert right(hanging).output.ravel().tolist() == [2, 4]
    assert ENTRIES["divided by the whole window"](hanging).output.ravel().tolist() == [2, 4 / 3]
    assert ENTRIES["ceil mode ignored"](hanging).output.ravel().tolist() == [2]


def test_averages():
    x = np.array([[[2.0, 4.0, 6.0]]])
    call = Arguments("avg_pool2d", {"x": x}, {"kernel_size": (1, 2), "stride": 1, "padding": ((0, 0), (1, 0))},
                     np.array([[[1.0, 10.0, 100.0]]]))  # fmt: skip
    assert right(call).output.ravel().tolist() == [1, 3, 5]
    assert ENTRIES["padding not counted"](call).output.ravel().tolist() == [2, 3, 5]
    assert ENTRIES["padding counted"](call.with_options(count_include_pad=False)).output.ravel().tolist() == [1, 3, 5]
    assert ENTRIES["sum in place of the mean"](call).output.ravel().tolist() == [2, 6, 10]
    last = "gradient of overlapping windows not accumulated"
    assert ENTRIES[last](call).grads["x"].ravel().tolist() == [5, 50, 50]
    assert ENTRIES[last](call.with_options(divisor_override=4)).grads["x"].ravel().tolist() == [2.5, 25, 25]
    adaptive = Arguments("adaptive_avg_pool2d", {"x": np.arange(1.0, 6.0).reshape(1, 1, 5)}, {"output_size": (1, 2)},
                         np.array([[[6.0, 12.0]]]))  # fmt: skip
    assert right(adaptive).output.ravel().tolist() == [2, 4]
    np.testing.assert_allclose(ENTRIES["window end rounded down"](adaptive).output.ravel(), [1.5, 4])
    np.testing.assert_allclose(ENTRIES["window start rounded up"](adaptive).output.ravel(), [2, 4.5])
    np.testing.assert_allclose(ENTRIES["windows of one size"](adaptive).output.ravel(), [2, 4])
    np.testing.assert_allclose(ENTRIES["divided by the average window"](adaptive).output.ravel(), [2.4, 4.8])
    last = ENTRIES["gradient of overlaps not accumulated"](adaptive).grads["x"].ravel()
    np.testing.assert_allclose(last, [2, 2, 4, 4, 4])


def norm(x, weight, bias, axes, scale, mean=None):
    mean = x.mean(axis=axes, keepdims=True) if mean is None else mean
    return weight[:, None, None] * (x - mean) * scale + bias[:, None, None]


def test_norms():
    rng = np.random.default_rng(0)
    x, weight, bias = 3 + rng.standard_normal((4, 6, 2, 3)), rng.standard_normal(6), rng.standard_normal(6)
    arrays, eps, axes = {"x": x, "weight": weight, "bias": bias}, 0.5, (0, 2, 3)
    call = Arguments(
        "batch_norm", {**arrays, "running_mean": None, "running_var": None}, {"training": True, "eps": eps}
    )
    var = x.var(axis=axes, keepdims=True)
    for name, scale in {
        "eps outside the root": 1 / (np.sqrt(var) + eps),
        "eps missing": 1 / np.sqrt(var),
        "eps added twice": 1 / np.sqrt(var + 2 * eps),
        "root forgotten": 1 / (var + eps),
        "variance unbiased": 1 / np.sqrt(x.var(axis=axes, keepdims=True, ddof=1) + eps),
        "variance about zero": 1 / np.sqrt((x**2).mean(axis=axes, keepdims=True) + eps),
    }.items():
        np.testing.assert_allclose(ENTRIES[name](call).output, norm(x, weight, bias, axes, scale), err_msg=name)
    right_scale = 1 / np.sqrt(var + eps)
    np.testing.assert_allclose(
        ENTRIES["mean not subtracted"](call).output, norm(x, weight, bias, axes, right_scale, mean=0)
    )
    swapped = norm(x, bias, weight, axes, right_scale)
    np.testing.assert_allclose(ENTRIES["weight and bias swapped"](call).output, swapped)
    grouped = Arguments("group_norm", arrays, {"num_groups": 2, "eps": eps})
    mixed = x.reshape(4, 3, 2, 2, 3)  # channel c in group c % 2
    mean, var = (getattr(mixed, what)(axis=(1, 3, 4), keepdims=True) for what in ("mean", "var"))
    wanted = ((mixed - mean) / np.sqrt(var + eps)).reshape(x.shape) * weight[:, None, None] + bias[:, None, None]
    np.testing.assert_allclose(ENTRIES["groups interleaved"](grouped).output, wanted)
    three = ENTRIES["number of groups taken for their size"](grouped).output
    np.testing.assert_allclose(three, ops.group_norm(x, weight, bias, num_groups=3, eps=eps))
    assert (
        ENTRIES["number of groups taken for their size"](grouped.with_arrays(x=x[:, :4], weight=None, bias=None))
        is None
    )


def test_running_statistics():
    x = np.array([[1.0], [5.0]])
    call = Arguments("batch_norm_running_stats", {"x": x, "running_mean": np.array([10.0]), "running_var": np.array([2.0])},
                     {"momentum": 0.25})  # fmt: skip
    found = {name: [float(part[0]) for part in ENTRIES[name](call).output] for name in (
        "momentum reversed", "running variance biased", "running statistics not updated", "running variance not updated",
        "running statistics replaced", "old statistics not decayed", "running deviation in place of the variance",
    )}  # fmt: skip
    assert [float(part[0]) for part in right(call).output] == [8.25, 3.5]
    assert found == {
        "momentum reversed": [4.75, 6.5],
        "running variance biased": [8.25, 2.5],
        "running statistics not updated": [10, 2],
        "running variance not updated": [8.25, 2],
        "running statistics replaced": [3, 8],
        "old statistics not decayed": [10.75, 4],
        "running deviation in place of the variance": [8.25, 1.5 + 8**0.5 / 4],
    }


def test_activations():
    x = np.array([-7.0, -2.0, -0.5, 0.0, 0.5, 2.0, 7.0])
    gelu, tanh = (Arguments("gelu", {"x": x}, {"approximate": kind}, np.ones(7)) for kind in ("none", "tanh"))
    np.testing.assert_allclose(ENTRIES["root of two forgotten"](gelu).output, x * (1 + erf(x)) / 2, atol=1e-12)
    np.testing.assert_allclose(ENTRIES["silu in place of gelu"](gelu).output, x / (1 + np.exp(-x)))
    inner = np.sqrt(2 / np.pi) * x
    np.testing.assert_allclose(ENTRIES["cubic term forgotten"](tanh).output, x * (1 + np.tanh(inner)) / 2, atol=1e-12)
    np.testing.assert_allclose(
        ENTRIES["slope without the density"](gelu).grads["x"], (1 + erf(x / np.sqrt(2))) / 2, atol=1e-12
    )
    relu = Arguments("relu", {"x": x}, {}, np.array([1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0]))
    assert ENTRIES["leaky"](relu).output.tolist() == [-0.07, -0.02, -0.005, 0, 0.5, 2, 7]
    assert ENTRIES["capped at six"](relu).output.tolist() == [0, 0, 0, 0, 0.5, 2, 6]
    assert ENTRIES["capped at six"](relu.with_arrays(x=x / 2)) is None
    assert ENTRIES["gradient passes at zero"](relu).grads["x"].tolist() == [0, 0, 0, 1, -1, 1, -1]
    assert ENTRIES["negative gradients dropped"](relu).grads["x"].tolist() == [0, 0, 0, 0, 0, 1, 0]
    assert ENTRIES["gradient masked by its own sign"](relu).grads["x"].tolist() == [1, 0, 1, 1, 0, 1, 0]


def test_gates_and_joins():
    glu = Arguments("glu", {"x": np.array([1.0, 2.0, 3.0, 4.0])}, {})
    assert ENTRIES["gate without sigmoid"](glu).output.tolist() == [3, 8]
    np.testing.assert_allclose(ENTRIES["tanh in place of the sigmoid"](glu).output, [np.tanh(3), 2 * np.tanh(4)])
    np.testing.assert_allclose(ENTRIES["halves interleaved"](glu).output, ops.glu(np.array([1.0, 3.0, 2.0, 4.0])))
    assert ENTRIES["halves interleaved"](glu.with_arrays(x=np.array([1.0, 2.0]))) is None
    arrays = (np.array([[1.0, 2.0]]), np.array([[3.0]]), np.array([[4.0, 5.0]]))
    concat = Arguments("concat", {"arrays": arrays}, {}, np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]))
    assert ENTRIES["channels interleaved"](concat).output.tolist() == [[1, 3, 4, 2, 5]]
    assert [g.tolist() for g in ENTRIES["channels interleaved"](concat).grads["arrays"]] == [[[1, 4]], [[2]], [[3, 5]]]
    assert ENTRIES["order reversed"](concat).output.tolist() == [[4, 5, 3, 1, 2]]
    split = ENTRIES["gradient split from the back"](concat).grads["arrays"]
    assert [g.tolist() for g in split] == [[[4, 5]], [[3]], [[1, 2]]]
    split = ENTRIES["gradient split without the offset"](concat).grads["arrays"]
    assert [g.tolist() for g in split] == [[[1, 2]], [[1]], [[1, 2]]]
    alone = Arguments("concat", {"arrays": arrays[:1]}, {}, np.ones((1, 2)))
    for name in ("order reversed", "channels interleaved", "gradient split without the offset",
                 "gradient split from the back", "gradient of the first array only"):  # fmt: skip
        assert ENTRIES[name](alone) is None


def test_resampling():
    x = np.array([[[0.0, 3.0, 9.0]]])
    near = Arguments("upsample_nearest2d", {"x": x}, {"size": (1, 5)}, np.ones((1, 1, 5)))
    assert right(near).output.ravel().tolist() == [0, 0, 3, 3, 9]
    assert ENTRIES["coordinate rounded"](near).output.ravel().tolist() == [0, 3, 3, 9, 9]
    assert ENTRIES["centre of the pixel looked up"](near).output.ravel().tolist() == [0, 0, 3, 9, 9]
    assert ENTRIES["only the last copy gives its gradient"](near).grads["x"].ravel().tolist() == [1, 1, 1]
    assert ENTRIES["gradient averaged over the copies"](near).grads["x"].ravel().tolist() == [1, 1, 1]
    linear = Arguments("upsample_bilinear2d", {"x": x}, {"size": (1, 5)})
    np.testing.assert_allclose(ENTRIES["corners aligned"](linear).output.ravel(), [0, 1.5, 3, 6, 9])
    np.testing.assert_allclose(ENTRIES["half pixel shift missing"](linear).output.ravel(), [0, 1.8, 4.2, 7.8, 9])
    np.testing.assert_allclose(
        ENTRIES["coordinate not held in the image"](linear).output.ravel(), [-0.6, 1.2, 3, 6.6, 9]
    )
    scaled = Arguments("upsample_bilinear2d", {"x": x}, {"scale_factor": (1, 1.7)})
    np.testing.assert_allclose(ENTRIES["ratio from the sizes"](scaled).output, right(linear).output, atol=1e-12)
    assert ENTRIES["scaled size rounded up"](scaled).output.shape == (1, 1, 6)


def test_crops_and_borders():
    crop = Arguments("center_crop2d", {"x": np.arange(5.0).reshape(1, 1, 5)}, {"size": (1, 2)})
    assert right(crop).output.ravel().tolist() == [1, 2]
    assert ENTRIES["crop one pixel late"](crop).output.ravel().tolist() == [2, 3]
    assert ENTRIES["crop rounded to even"](crop).output.ravel().tolist() == [2, 3]
    assert ENTRIES["crop from the lower right"](crop).output.ravel().tolist() == [3, 4]
    pad = Arguments("pad2d", {"x": np.array([[[1.0, 2.0, 3.0]]])}, {"padding": ((0, 0), (2, 1)), "mode": "reflect"},
                    np.array([[[1.0, 2.0, 4.0, 8.0, 16.0, 32.0]]]))  # fmt: skip
    assert right(pad).output.ravel().tolist() == [3, 2, 1, 2, 3, 2]
    assert ENTRIES["border row repeated in the reflection"](pad).output.ravel().tolist() == [2, 1, 1, 2, 3, 3]
    assert ENTRIES["circular in place of reflect"](pad).output.ravel().tolist() == [2, 3, 1, 2, 3, 1]
    assert ENTRIES["pads before and after swapped"](pad).output.ravel().tolist() == [2, 1, 2, 3, 2, 1]
    assert ENTRIES["gradient of the border dropped"](pad).grads["x"].ravel().tolist() == [4, 8, 16]
    assert ENTRIES["gradient of the last image only"](pad).grads["x"].ravel().tolist() == [4, 32, 16]
    square = Arguments("pad2d", {"x": np.ones((1, 2, 2))}, {"padding": 1, "value": 7.0})
    assert ENTRIES["constant ignored"](square).output.sum() == 4
    moved = ENTRIES["offsets of rows and columns exchanged"](square.with_options(padding=((0, 1), (1, 0)))).output
    assert moved.tolist() == [[[7, 7, 7], [1, 1, 7], [1, 1, 7]]]


def test_losses():
    x, target = np.array([[1.0, 5.0], [0.0, 2.0]]), np.array([[2.0, 2.0], [1.0, 2.0]])
    mse = Arguments("mse_loss", {"x": x, "target": target}, {}, np.array(1.0))
    found = {name: float(ENTRIES[name](mse).output) for name in (
        "sum for the mean", "averaged over the batch only", "half in front", "absolute error", "root taken")}  # fmt: skip
    assert found == {"sum for the mean": 11, "averaged over the batch only": 5.5, "half in front": 1.375,
                     "absolute error": 1.25, "root taken": 2.75**0.5}  # fmt: skip
    classes = Arguments("cross_entropy", {"x": np.log([[1.0, 2.0, 5.0]]), "target": np.array([2])}, {}, np.array(1.0))
    np.testing.assert_allclose(ENTRIES["classes counted from one"](classes).output, np.log(8 / 2))
    np.testing.assert_allclose(ENTRIES["logarithm to base two"](classes).output, np.log2(8 / 5))
    np.testing.assert_allclose(ENTRIES["target missing in the gradient"](classes).grads["x"], [[1 / 8, 2 / 8, 5 / 8]])
    logits = Arguments("binary_cross_entropy_with_logits", {"x": np.array([20.0]), "target": np.array([0.0])}, {})
    np.testing.assert_allclose(ENTRIES["probability clipped"](logits).output, -np.log(1e-7))
    np.testing.assert_allclose(ENTRIES["term of the negatives missing"](logits).output, 0)


def test_samples_and_memory():
    x = np.arange(12.0).reshape(3, 1, 2, 2)
    call = Arguments("relu", {"x": x}, {}, np.ones_like(x))
    assert ENTRIES["last sample of the output"](call).output[2].sum() == 0
    assert (ENTRIES["first sample for all of the output"](call).output == x[0]).all()
    assert ENTRIES["columns before rows of the output"](call).output[0, 0].tolist() == [[0, 2], [1, 3]]
    assert ENTRIES["input read as contiguous"](call) is None
    turned = call.with_arrays(x=np.ascontiguousarray(x.transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2))
    assert ENTRIES["input read as contiguous"](turned).output[0, 0].tolist() == [[0, 2], [1, 3]]
    pixels = np.arange(12.0).reshape(1, 2, 2, 3)
    last = ENTRIES["input read as channels last"](Arguments("relu", {"x": pixels}, {})).output
    np.testing.assert_array_equal(last, pixels.reshape(1, 2, 3, 2).transpose(0, 3, 1, 2))


def test_memory_of_slices_and_stretched_arrays():
    row = np.arange(10.0)
    assert misread(row[::2]).tolist() == [0, 1, 2, 3, 4]
    assert spanned(row[1:8:3]).tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert misread(row) is misread(row[::-1]) is misread(np.broadcast_to(row[:1], (4,))) is None
    assert spanned(row[:0]) is None
    assert spanned(np.zeros(2, "i4,i8")["f1"][::-1]) is None
    odd = np.ndarray((3,), "f4", buffer=np.zeros(24, "u1"), strides=(6,))  # not a whole number of elements
    assert misread(odd) is None
    assert cast(odd, "float64").strides == (8,)
    wide = cast(np.asfortranarray(np.ones((2, 3), "float32")), "float64")
    assert (wide.strides, wide.dtype) == ((8, 16), np.float64)
    assert cast(row[::2], "float32").strides == (8,)


@pytest.mark.parametrize("factor", [3.0, -0.125])
def test_a_factor_is_found(factor):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 3)), rng.standard_normal((2, 3))
    call = Arguments("relu", {"x": x}, {}, dy)
    expected = right(call)
    got = Results(factor * expected.output, {"x": factor * expected.grads["x"]})
    for name in ("output off by a factor", "gradient off by a factor"):
        found = ENTRIES[name].fitted(call, got)
        np.testing.assert_allclose(found.grads["x"], got.grads["x"])
    np.testing.assert_allclose(ENTRIES["output off by a factor"].fitted(call, got).output, got.output)
    assert ENTRIES["output off by a factor"].fitted(call, Results(np.ones(3), {})) is None
    nothing = ENTRIES["output off by a factor"].fitted(call.with_arrays(x=-np.abs(x)), Results(np.ones((2, 3)), {}))
    assert (nothing.output == 0).all()


def test_where_writing_ended_is_found():
    x = np.arange(1.0, 7.0).reshape(2, 3)
    call = Arguments("relu", {"x": x}, {}, x)
    got = Results(x * (x < 5), {"x": x * (x < 2)})
    assert (ENTRIES["output ends early"].fitted(call, got).output == got.output).all()
    assert (ENTRIES["gradient ends early"].fitted(call, got).grads["x"] == got.grads["x"]).all()
    assert (ENTRIES["gradient ends early"].fitted(call, Results(x, {"x": np.zeros((2, 3))})).grads["x"] == 0).all()
    other = Results(x, {"x": np.ones(3)})
    assert (ENTRIES["gradient ends early"].fitted(call, other).grads["x"] == x).all()
    joined = Arguments("concat", {"arrays": (x, x)}, {}, np.ones((2, 6)))
    part = Results(None, {"arrays": (np.ones((2, 3)), np.eye(2, 3))})
    assert ENTRIES["gradient ends early"].fitted(joined, part).grads["arrays"][1].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert ENTRIES["gradient off by a factor"].fitted(joined, Results(None, {})).grads["arrays"][0].sum() == 6


def test_fits_that_cannot_be():
    x = np.random.default_rng(0).standard_normal((4, 2, 3))
    call = Arguments("batch_norm", {"x": x, "weight": None, "bias": None, "running_mean": np.zeros(2),
                                    "running_var": np.ones(2)}, {"training": True}, x)  # fmt: skip
    elsewhere = Results(np.ones(3), {})
    for name in ("variance in one pass", "eps of another default"):
        assert ENTRIES[name].fitted(call, elsewhere) is None
    assert ENTRIES["variance in one pass"].fitted(call, Results(2 * right(call).output, {})) is None  # no rounding
    assert ENTRIES["variance in one pass"].fitted(call.with_options(training=False), Results(x, {})) is None
    curve = Arguments("sigmoid", {"x": x}, {})
    assert ENTRIES["nan far from zero"].fitted(curve, elsewhere) is None
    assert ENTRIES["nan far from zero"].fitted(curve, Results(x * np.nan, {})) is None
