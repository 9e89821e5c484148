"""The designed cases: what they must vary, that they are exact where they say so, and lie in memory as they say."""

import itertools

import numpy as np
import pytest

from unet_ref.check.table import OPERATIONS
from unet_ref.judge import designed_case, designed_cases
from unet_ref.judge.cases import FAMILIES
from unet_ref.judge.cases.layouts import LAYOUTS
from unet_ref.judge.exactness import unit, units, unrounded
from unet_ref.judge.mistake import Arguments, right

each_operation = pytest.mark.parametrize("name", OPERATIONS)
LINEAR = ("conv2d", "conv_transpose2d", "linear", "max_pool2d", "film", "relu", "concat", "upsample_nearest2d",
          "center_crop2d", "pad2d")  # fmt: skip


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def has(name, condition):
    """Whether some case of the operation, in a plain place in memory, meets the condition on shape and options."""
    return any(condition(case.arguments) for case in designed_cases(name))


def strides(a):
    return pair(a.options.get("stride", 1))


def dilations(a):
    return pair(a.options.get("dilation", 1))


def kernel(a):
    return a.arrays["weight"].shape[2:]


def groups(a):
    return a.options.get("groups", 1)


def sides(a):
    padding = a.options.get("padding", 0)
    return [pair(side) for side in pair(padding)] if not isinstance(padding, str) else []


def test_every_operation_has_cases():
    assert set(FAMILIES) == set(OPERATIONS)


@each_operation
def test_labels_are_unique(name):
    labels = [case.label for case in designed_cases(name)]
    assert len(set(labels)) == len(labels)


@each_operation
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_arguments_are_valid_and_of_the_dtype(name, dtype):
    wanted = np.dtype("float32" if dtype == "bfloat16" else dtype)
    for case in designed_cases(name, dtype):
        results = right(case.arguments)  # raises where they are not valid
        assert {t.dtype for t in results.tensors().values() if t is not None} == {wanted}, case.label
        assert case.name == name


def test_bfloat16_numbers_have_eight_bits():
    for case in designed_cases("sigmoid", "bfloat16"):
        x = case.arguments.arrays["x"]
        assert not np.any(x.view(np.uint32) & 0xFFFF)


@each_operation
def test_the_same_numbers_every_time(name):
    for one, other in zip(designed_cases(name), designed_cases(name), strict=True):
        for a, b in zip(_arrays(one.arguments), _arrays(other.arguments), strict=True):
            assert a.tobytes() == b.tobytes()
            assert a.strides == b.strides
            assert a.size == 0 or not np.shares_memory(a, b)


def _arrays(arguments):
    values = [*arguments.arrays.values(), arguments.grad_output]
    return [
        array for value in values if value is not None for array in (value if isinstance(value, tuple) else (value,))
    ]


# --- exactness ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_everything_linear_is_exact(name, dtype):
    for case in designed_cases(name, dtype):
        assert case.exact == {key for key, t in right(case.arguments).tensors().items() if t is not None}, case.label


@pytest.mark.parametrize("name", ["avg_pool2d", "adaptive_avg_pool2d", "upsample_bilinear2d", "mse_loss", "batch_norm",
                                  "group_norm", "batch_norm_running_stats"])  # fmt: skip
def test_means_and_norms_have_exact_cases(name):
    assert sum({"output", "x"} <= case.exact or "output.var" in case.exact for case in designed_cases(name)) >= 3


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d", "linear", "avg_pool2d", "upsample_bilinear2d", "film"])
def test_exact_sums_are_the_same_in_any_order(name):
    """The axes of x reversed in memory, and float32 beside float64."""
    for case in designed_cases(name):
        single, double = right(case.arguments), right(case.arguments.map(lambda a: a.astype("float64")))
        for key in units(case.arguments):
            np.testing.assert_array_equal(single.tensors()[key], double.tensors()[key], err_msg=f"{case.label} {key}")


def test_unit():
    assert unit(np.array([3.0, -4.0])) == 1
    assert unit(np.array([6.0, -4.0, np.nan, 0.0])) == 2
    assert unit(np.array([0.75])) == 0.25
    assert unit(np.array([0.0])) == np.inf
    assert unit(None) == np.inf
    assert unit((np.array([4.0]), np.array([2.0]))) == 2


def test_what_does_not_fit_the_significand_is_not_called_exact():
    x = np.full((1, 1, 4), 2.0**20, "float32") + 1
    weight = np.full((1, 1, 1, 3), 7.0, "float32")
    assert "output" not in units(Arguments("conv2d", {"x": x, "weight": weight, "bias": None}, {}))
    assert "output" in units(
        Arguments("conv2d", {"x": x.astype("float64"), "weight": weight.astype("float64"), "bias": None}, {})
    )
    assert (
        units(
            Arguments("conv2d", {"x": x.astype("longdouble"), "weight": weight.astype("longdouble"), "bias": None}, {})
        )
        == {}
    )


def test_means_by_a_third_are_not_called_exact():
    x = np.arange(24, dtype="float32").reshape(1, 4, 6)
    assert units(Arguments("avg_pool2d", {"x": x}, {"kernel_size": 3})) == {}
    assert units(Arguments("avg_pool2d", {"x": x}, {"kernel_size": 2})) == {"output": 0.25}
    assert units(Arguments("adaptive_avg_pool2d", {"x": x}, {"output_size": (2, 2)})) == {}
    assert units(Arguments("mse_loss", {"x": x[0, 0, :3], "target": x[0, 1, :3]}, {})) == {}
    assert units(Arguments("upsample_bilinear2d", {"x": x}, {"size": (4, 9)})) == {}
    assert units(Arguments("gelu", {"x": x}, {})) == {}


def test_norms_are_exact_only_by_design():
    exact = designed_case("group_norm", "two groups of two").arguments
    assert unrounded(exact) >= {"output", "x", "weight", "bias"}
    assert "output" not in unrounded(exact.with_options(eps=0.1))


# --- memory -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "contiguous"])
def test_layouts_are_as_they_say(layout):
    cases = [case for name in OPERATIONS for case in designed_cases(name) if case.layout == layout]
    assert len({case.name for case in cases}) > 4
    for case in cases:
        x, dy = next(iter(case.arguments.arrays.values())), case.arguments.grad_output
        x = x[0] if isinstance(x, tuple) else x
        if layout == "channels last" and x.ndim == 4:
            assert x.transpose(0, 2, 3, 1).flags.c_contiguous
        if layout == "strided" and x.ndim:
            assert not x.flags.c_contiguous or x.size < 2
        if layout == "sum upstream":
            assert set(dy.strides) == {0}
        if layout == "mean upstream":
            assert all(step == 0 for step in dy.strides[2:])
        if layout == "repeated sample":
            assert x.strides[0] == 0
        assert case.label.endswith(f"; {layout}")


def test_arrays_can_be_written_to_whatever_their_layout():
    """So that a candidate that does is caught, not stopped."""
    for case in designed_cases("conv2d"):
        assert all(array.flags.writeable for array in _arrays(case.arguments))


# --- what a set of cases must vary ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_convolutions_vary_what_they_must(name):
    assert has(name, lambda a: a.arrays["x"].shape[-2] > a.arrays["x"].shape[-1])
    assert has(name, lambda a: a.arrays["x"].shape[-2] < a.arrays["x"].shape[-1])
    for of in (kernel, strides, dilations):
        assert has(name, lambda a, of=of: of(a)[0] > of(a)[1])
        assert has(name, lambda a, of=of: of(a)[0] < of(a)[1])
    assert has(name, lambda a: len({p for side in sides(a) for p in side}) >= 3)
    assert has(name, lambda a: groups(a) > 1 and max(strides(a)) > 1)
    assert has(name, lambda a: groups(a) > 1 and max(dilations(a)) > 1)
    assert has(name, lambda a: groups(a) == a.arrays["x"].shape[-3] > 1 and max(strides(a)) > 1)
    assert has(name, lambda a: a.arrays["x"].shape[-3] == groups(a) == 24)
    assert has(name, lambda a: max(strides(a)) > 1 and max(dilations(a)) > 1)
    assert has(name, lambda a: kernel(a) == (1, 1) and strides(a) == (2, 2))
    assert has(name, lambda a: all(k < s for k, s in zip(kernel(a), strides(a), strict=True)))
    assert has(name, lambda a: all(k > s > 1 for k, s in zip(kernel(a), strides(a), strict=True)))
    assert has(name, lambda a: a.arrays["bias"] is None)
    assert has(name, lambda a: a.arrays["x"].ndim == 3)
    assert {x % 2 for case in designed_cases(name) for x in case.arguments.arrays["x"].shape[-3:-2]} == {0, 1}


def test_convolutions_leave_remainders():
    def rest(a):
        spans = [d * (k - 1) + 1 for d, k in zip(dilations(a), kernel(a), strict=True)]
        sizes = [n + sum(p) - span for n, p, span in zip(a.arrays["x"].shape[-2:], sides(a), spans, strict=False)]
        return [size % s for size, s in zip(sizes, strides(a), strict=False)]

    assert has("conv2d", lambda a: len(rest(a)) == 2 and all(rest(a)))
    assert has("conv2d", lambda a: max(a.arrays["x"].shape[:1]) > 1 << 16)


def test_transposed_convolutions_have_output_paddings():
    def more(a):
        return pair(a.options.get("output_padding", 0))

    assert has("conv_transpose2d", lambda a: more(a)[0] > more(a)[1] > 0)
    assert has("conv_transpose2d", lambda a: 0 < more(a)[0] < more(a)[1])
    assert has("conv_transpose2d", lambda a: any(m >= s for m, s in zip(more(a), strides(a), strict=True)))
    assert has("conv_transpose2d", lambda a: max(more(a)) > 0 and max(dilations(a)) > 1 and groups(a) > 1)


def test_poolings_vary_what_they_must():
    def x(a):
        return a.arrays["x"]

    assert has(
        "max_pool2d", lambda a: a.options.get("padding") and (x(a) < 0).all() and len(np.unique(x(a))) == x(a).size
    )
    assert has("max_pool2d", lambda a: np.isfinite(x(a)).all() and len(np.unique(x(a))) < x(a).size / 4)
    assert has("max_pool2d", lambda a: np.isnan(x(a)).any() and np.isinf(x(a)).any())
    assert has("max_pool2d", lambda a: a.options.get("dilation", 1) != 1 and a.options.get("ceil_mode"))
    for name in ("max_pool2d", "avg_pool2d"):
        assert has(name, _drops_a_window)
        assert has(name, lambda a: a.options.get("ceil_mode") and not _drops_a_window(a))
    assert has("avg_pool2d", lambda a: a.options.get("count_include_pad") is False and a.options.get("ceil_mode"))
    assert has("avg_pool2d", lambda a: a.options.get("divisor_override") is not None)
    assert has("adaptive_avg_pool2d", lambda a: right(a).output.shape[-1] > x(a).shape[-1])


def _drops_a_window(a):
    """Whether rounding the number of windows up would give one that starts behind the image."""
    if not a.options.get("ceil_mode"):
        return False
    size, k, s = (
        a.arrays["x"].shape[-2:],
        pair(a.options["kernel_size"]),
        pair(a.options.get("stride", a.options["kernel_size"])),
    )
    padding = [sum(p) for p in sides(a)]
    up = [-(-(n + p - kk) // ss) + 1 for n, p, kk, ss in zip(size, padding, k, s, strict=True)]
    return any(u > got for u, got in zip(up, right(a).output.shape[-2:], strict=True))


def test_norms_vary_what_they_must():
    def sets(a):
        x, G = a.arrays["x"], a.options.get("num_groups")
        return x.reshape(x.shape[0] * G, -1) if G else np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)

    for name in ("batch_norm", "group_norm"):
        assert {sets(c.arguments).shape[1] for c in designed_cases(name)} >= {2, 3, 7, 8}
        assert has(name, lambda a: (abs(sets(a).mean(1)) > 100 * sets(a).std(1)).all())
        assert has(name, lambda a: (sets(a).std(1) == 0).all())
        for weight, bias in itertools.product([True, False], repeat=2):
            assert has(
                name, lambda a, w=weight, b=bias: ((a.arrays["weight"] is None), (a.arrays["bias"] is None)) == (w, b)
            )
    assert has("batch_norm", lambda a: not a.options["training"])
    assert {c.arguments.options["num_groups"] for c in designed_cases("group_norm")} >= {1, 2, 3, 8}
    momenta = {c.arguments.options.get("momentum", 0.1) for c in designed_cases("batch_norm_running_stats")}
    assert momenta >= {0.0, 0.1, 0.5, 1.0}


def test_the_rest_varies_what_it_must():
    for name in ("sigmoid", "gelu"):
        assert has(name, lambda a: a.arrays["x"].size > 100 and a.arrays["x"].max() > 14 and a.arrays["x"].min() < -14)
    for name in ("glu", "concat"):
        assert has(name, lambda a: a.options.get("axis", 0) < 0)
    for name in ("upsample_nearest2d", "upsample_bilinear2d"):
        assert has(name, lambda a: a.arrays["x"].shape[-2:] == (1, 1))
        assert has(name, lambda a: 1 in np.shape(right(a).output)[-2:])
        assert has(name, lambda a: any(s % 1 for s in pair(a.options.get("scale_factor") or 1)))
    assert {c.arguments.options.get("mode", "constant") for c in designed_cases("pad2d")} == {
        "constant",
        "reflect",
        "replicate",
    }
    assert {c.arguments.options.get("offset", 1) for c in designed_cases("film")} == {0, 0.75, 1}


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d", "linear", "max_pool2d", "upsample_bilinear2d", "pad2d"])
def test_a_batch_and_its_halves(name):
    whole = designed_case(name, "batch of five").arguments.arrays["x"]
    first, last = (
        designed_case(name, f"{part} of the five").arguments.arrays["x"] for part in ("first two", "last three")
    )
    np.testing.assert_array_equal(np.concatenate([first, last]), whole)


# --- errors -------------------------------------------------------------------------------------------------------


def test_errors():
    with pytest.raises(ValueError, match=r"designed_cases: 'conv3d' is no operation; did you mean conv2d\?"):
        designed_cases("conv3d")
    with pytest.raises(ValueError, match=r"designed_cases: 'xyzzy' is no operation$"):
        designed_cases("xyzzy")
    with pytest.raises(ValueError, match=r"dtype \(int32\) must be float16, bfloat16, float32 or float64"):
        designed_cases("relu", "int32")
    with pytest.raises(ValueError, match="designed_case: relu has no case 'plain'"):
        designed_case("relu", "plain")
