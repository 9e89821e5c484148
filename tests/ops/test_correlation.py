"""The engine behind the convolutions: every way through it, exactly; tiles, bits, threads, rounding and memory."""

import itertools
import threading
import time
import tracemalloc

import numpy as np
import pytest
from gpu import standin
from gpu.standin import to_device, to_host
from hypothesis import example, given
from hypothesis import strategies as st

import unet_ref
from unet_ref import ops, spec
from unet_ref.check.exact import rational, rational_case
from unet_ref.check.table import OPERATIONS
from unet_ref.ops import (
    correlate_weight,
    correlation,
    im2col,
    lanes,
    scratch,
    slide,
    weight_by_columns,
    weight_by_shifts,
)
from unet_ref.ops.window import Window


@pytest.fixture(autouse=True)
def _threads():
    before = unet_ref.get_num_threads()
    yield
    unet_ref.set_num_threads(before)


def way(monkeypatch, name):
    """Goes one way through the engine, whatever is cheaper, with tiles so small that every image is cut."""
    together_or_apart, scattered_or_gathered, columns_or_shifts, cut = name.split()
    monkeypatch.setattr(
        slide,
        "cheaper_apart",
        lambda w, window: together_or_apart == "apart" and w.shape[-1] > 1 and window.stride[1] == 1,
    )
    monkeypatch.setattr(correlation, "cheaper_scattered", lambda *_: scattered_or_gathered == "scattered")
    monkeypatch.setattr(correlate_weight, "cheaper_shifted", lambda *_: columns_or_shifts == "shifts")
    if cut != "whole":
        for module, constant, value in (
            (im2col, "LEAST_PIXELS", 1),
            (im2col, "MOST_PIXELS", {"rows": 16, "pixels": 2}[cut]),
            (im2col, "TILE_BYTES", {"rows": 1 << 20, "pixels": 1}[cut]),
            (slide, "OUTPUTS", 2),
            (correlation, "OUTPUTS", 2),
            (weight_by_columns, "OUTPUTS", 2),
            (weight_by_columns, "LANES_TERMS", 3),
            (weight_by_shifts, "LANES_TERMS", 3),
            (weight_by_shifts, "SHIFTED", 2),
            (lanes, "LANES_TERMS", 3),
            (im2col, "ROWS", 7),
        ):
            monkeypatch.setattr(module, constant, value)


CUTS = ["whole", "rows", "pixels"]
WAYS = [
    *(" ".join(words) for words in itertools.product(["together", "apart"], ["gathered columns"], CUTS)),
    *("together scattered shifts " + cut for cut in CUTS),
]


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
@pytest.mark.parametrize("through", WAYS)
def test_every_way_gives_the_definitions_rationals(through, name, monkeypatch, rng):
    way(monkeypatch, through)
    row = OPERATIONS[name]
    for _ in range(8):
        case = rational_case(row, rng)
        arrays = list(case.arrays.values())
        y = row.forward(*arrays, **case.options)
        np.testing.assert_array_equal(y, row.definition(*arrays, **case.options))
        v = rational(rng, y.shape)
        for gradient, exact in zip(
            row.backward(v, *arrays, **case.options), row.definition_backward(v, *arrays, **case.options), strict=True
        ):
            assert (gradient is None) == (exact is None)
            if exact is not None:
                np.testing.assert_array_equal(gradient, exact)


# x, weight, options: in turn apart, together by output channels, 1 x 1, strided, grouped, transposed disjoint, scattered,
# and the gradient of the weight by shifts of either image
SHAPES = {
    "wide": ((3, 9, 40, 70), (12, 9, 3, 3), {"padding": 1}),
    "small": ((9, 40, 5, 6), (600, 40, 3, 2), {"padding": 1}),
    "pixels": ((5, 30, 21, 22), (17, 30, 1, 1), {}),
    "strided": ((3, 6, 90, 61), (10, 6, 7, 5), {"stride": (2, 3), "padding": (3, 2)}),
    "grouped": ((20, 12, 33, 30), (8, 3, 3, 3), {"groups": 4, "dilation": (1, 2)}),
    "doubled": ((3, 20, 30, 41), (20, 7, 2, 2), {"stride": 2}),
    "few pixels": ((9, 70, 5, 6), (70, 20, 3, 3), {"padding": 1}),
    "y shifted": ((3, 50, 40, 41), (33, 50, 3, 3), {"padding": 1}),
    "x shifted": ((3, 34, 40, 33), (70, 34, 3, 2), {"padding": ((0, 2), (1, 0)), "dilation": (1, 2)}),
    "groups shifted": ((2, 68, 40, 33), (72, 34, 3, 3), {"padding": 1, "groups": 2}),
}


def computed(name, dtype, samples=slice(None)):
    """The result and the gradients for some samples of a fixed draw."""
    x_shape, weight_shape, options = SHAPES[name]
    rng = np.random.default_rng(7)
    transposed = name in ("doubled", "few pixels")
    forward = ops.conv_transpose2d if transposed else ops.conv2d
    backward = ops.conv_transpose2d_backward if transposed else ops.conv2d_backward
    x, weight = rng.standard_normal(x_shape).astype(dtype), rng.standard_normal(weight_shape).astype(dtype)
    y = forward(x[samples], weight, **options)
    v = rng.standard_normal((x_shape[0], *y.shape[1:])).astype(dtype)[samples]
    return y, *backward(v, x[samples], weight, **options)[:2]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("name", SHAPES)
def test_bits_do_not_depend_on_the_number_of_threads(name, dtype):
    unet_ref.set_num_threads(1)
    expected = computed(name, dtype)
    for count in (2, 3, 8):
        unet_ref.set_num_threads(count)
        for array, same in zip(computed(name, dtype), expected, strict=True):
            assert array.tobytes() == same.tobytes()


@pytest.mark.parametrize("name", SHAPES)
def test_bits_do_not_depend_on_whether_both_gradients_are_computed_at_once(name, monkeypatch):
    unet_ref.set_num_threads(2)
    found = []
    for most in (0, 1 << 60):
        monkeypatch.setattr(im2col, "LEAST_PRODUCTS", 0)
        monkeypatch.setattr(im2col, "MOST_AT_ONCE", most)
        found.append([array.tobytes() for array in computed(name, "float32")])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("count", "products", "at_once"),
    [(2, 1 << 25, True), (3, 1 << 25, False), (2, 1 << 23, False), (2, 1 << 29, False)],
)
def test_short_operations_have_a_thread_each(count, products, at_once):
    """Where threads are no more than operations; long ones share the threads, and tiny ones are not worth waking one."""
    unet_ref.set_num_threads(count)
    meet = threading.Barrier(2)

    def job():
        meet.wait(5 if at_once else 0.02)
        return threading.get_ident()

    if at_once:
        first, second = im2col.at_once([job, job], np.empty(0), products)
        assert first != second
    else:
        with pytest.raises(threading.BrokenBarrierError):
            im2col.at_once([job, job], np.empty(0), products)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_operations_at_once_give_is_in_their_order(count):
    unet_ref.set_num_threads(count)
    jobs = [lambda: time.sleep(0.01) or "first", lambda: "second"]
    assert im2col.at_once(jobs, np.empty(0), 1 << 25) == ["first", "second"]


@pytest.mark.parametrize("name", ["strided", "grouped", "few pixels"])
@pytest.mark.parametrize("through", [through for through in WAYS if "rows" in through])
def test_bits_do_not_depend_on_the_order_of_tasks(through, name, monkeypatch):
    """So no two tasks meet in a pixel, which threads would show only now and then."""
    way(monkeypatch, through)
    unet_ref.set_num_threads(1)
    expected, each = computed(name, "float32", slice(2)), im2col.each
    for module in (slide, correlation, weight_by_columns, weight_by_shifts):
        monkeypatch.setattr(module, "each", lambda work, tasks, like, *_: each(work, tasks[::-1], like))
    for array, same in zip(computed(name, "float32", slice(2)), expected, strict=True):
        assert array.tobytes() == same.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_sample_has_the_same_bits_alone_and_in_any_batch(name, dtype):
    y, grad_x, _ = computed(name, dtype)
    for part in (slice(0, 1), slice(len(y) - 1, None), slice(1, 3)):
        y_part, grad_part, _ = computed(name, dtype, part)
        assert y_part.tobytes() == y[part].tobytes()
        assert grad_part.tobytes() == grad_x[part].tobytes()


def window(image, kernel, stride=(1, 1), dilation=(1, 1)):
    output = tuple((i - d * (k - 1) - 1) // s + 1 for i, k, s, d in zip(image, kernel, stride, dilation, strict=True))
    return Window(image, output, kernel, stride, dilation, ((0, 0), (0, 0)))


@pytest.mark.parametrize(
    ("outputs", "channels", "geometry", "apart"),
    [
        (64, 64, ((258, 258), (3, 3)), True),  # wide, few channels
        (64, 128, ((258, 258), (3, 3)), True),
        (256, 256, ((66, 66), (3, 3)), True),
        (1024, 1024, ((66, 66), (3, 3)), False),  # tiles would have few pixels
        (512, 512, ((34, 34), (3, 3)), False),
        (64, 64, ((34, 34), (3, 3)), True),
        (128, 128, ((34, 34), (3, 3)), False),  # one tile, and a long one: nothing for another thread
        (64, 3, ((258, 258), (3, 3)), False),  # hardly anything to copy
        (64, 64, ((258, 258), (3, 3), (2, 2)), False),  # apart, half of the sums would be thrown away
        (64, 64, ((18, 18), (3, 3)), False),  # few pixels
        (64, 64, ((258, 258), (3, 1)), False),  # no horizontal taps
    ],
)
def test_where_horizontal_taps_are_summed_after_the_product(outputs, channels, geometry, apart):
    _, kernel, *_ = geometry
    assert slide.cheaper_apart(np.empty((1, outputs, channels, *kernel)), window(*geometry)) is apart


@pytest.mark.parametrize(
    ("outputs", "geometry", "scattered"),
    [
        (64, ((257, 257), (3, 3), (2, 2)), False),  # products of too many pixels
        (64, ((99, 99), (3, 3), (2, 2)), True),  # one product in place of four
        (64, ((99, 99), (3, 3), (1, 1)), False),
        (512, ((9, 9), (3, 3)), True),  # far fewer pixels than channels
        (200, ((9, 9), (3, 3)), False),
        (512, ((7, 7), (1, 1)), False),  # nothing to add, and nothing to turn
    ],
)
def test_where_products_go_to_their_pixels(outputs, geometry, scattered):
    _, kernel, *_ = geometry
    assert correlation.cheaper_scattered(np.empty((1, outputs, 3, *kernel)), window(*geometry)) is scattered


@pytest.mark.parametrize(
    ("samples", "outputs", "channels", "geometry", "shifted"),
    [
        (1, 64, 64, ((258, 258), (3, 3)), True),
        (1, 64, 64, ((258, 258), (1, 1)), False),  # no taps to shift for
        (1, 64, 3, ((258, 258), (3, 3)), False),  # few columns to copy
        (8, 64, 64, ((18, 18), (3, 3)), False),  # the product of a sample is small
        (8, 128, 64, ((18, 18), (3, 3)), True),
        (1, 256, 256, ((18, 18), (3, 3)), False),  # to turn the result would take as long
        (4, 256, 256, ((18, 18), (3, 3)), True),
        (1, 512, 512, ((34, 34), (3, 3)), False),  # as fast by columns, and always
        (1, 128, 128, ((24, 24), (3, 3)), False),  # too few terms for threads
        (1, 64, 64, ((12, 20002), (3, 3)), True),
        (1, 64, 64, ((12, 50002), (3, 3)), False),  # rows, shifted whole, would take too much memory
    ],
)
def test_where_an_image_is_shifted_for_the_gradient_of_the_weight(samples, outputs, channels, geometry, shifted):
    found = window(*geometry)
    y, x = np.empty((samples, 1, outputs, *found.output)), np.empty((samples, 1, channels, *found.input))
    assert weight_by_shifts.cheaper_shifted(y, x, found) is shifted


@given(
    N=st.integers(0, 40), H=st.integers(1, 90), W=st.integers(1, 9000), pixel=st.integers(0, 1 << 23), shares=st.integers(1, 9)
)  # fmt: skip
@example(N=1, H=60, W=60, pixel=100, shares=4)
def test_tiles_cover_every_pixel_once_within_their_bounds(N, H, W, pixel, shares):
    like = np.empty(0)
    found = im2col.tiles(N, (H, W), pixel, like, shares)
    sizes = [[part.stop - part.start for part in tile] for tile in found]
    assert sum(n * h * w for n, h, w in sizes) == N * H * W
    assert len({(n.start, i.start, j.start) for n, i, j in found}) == len(found)
    for n, h, w in sizes:
        assert n * h * w == 1 or n * h * w * pixel <= im2col.MOST_BYTES
        assert n * h * w <= im2col.MOST_PIXELS
        assert n == 1 or h == H  # of several samples all rows
        assert h == 1 or w == W  # of several rows all pixels
    if N and 2 * H * W > im2col.MOST_PIXELS:  # threads share a large sample
        assert len(found) >= N * min(H, im2col.SHARES)
    if N:  # how a sample is cut does not depend on the batch
        assert {
            tile[1:] == alone[1:] for tile, alone in zip(found, im2col.tiles(1, (H, W), pixel, like), strict=False)
        } == {True}


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3, 4, (1, 1)])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_every_geometry_gives_the_definitions_integers(kernel, stride, dilation, monkeypatch, rng):
    """Taps at every order of positions in a stride, with and without overlaps."""
    for padding, (H, W) in itertools.product((((0, 0), (0, 0)), ((1, 1), (1, 1)), ((0, 4), (5, 0))), ((9, 10), (2, 1))):
        strides = stride if isinstance(stride, tuple) else (stride, 5 - stride)
        options = {"stride": strides, "padding": padding, "dilation": dilation}
        if dilation * (kernel - 1) >= min(H + sum(padding[0]), W + sum(padding[1])):
            continue
        x, weight = (rng.integers(-9, 10, shape) / 1.0 for shape in ((3, 2, H, W), (4, 2, kernel, kernel)))
        y = ops.conv2d(x, weight, **options)
        np.testing.assert_array_equal(y, spec.conv2d(x, weight, **options).astype(float))
        v = rng.integers(-9, 10, y.shape) / 1.0
        grads, exact = (f(v, x, weight, **options) for f in (ops.conv2d_backward, spec.conv2d_backward))
        np.testing.assert_array_equal(grads.x, exact.x.astype(float))
        np.testing.assert_array_equal(grads.weight, exact.weight.astype(float))
        with monkeypatch.context() as patch:
            patch.setattr(correlate_weight, "cheaper_shifted", lambda *_: True)
            np.testing.assert_array_equal(ops.conv2d_backward(v, x, weight, **options).weight, grads.weight)


@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_no_pixel_is_left_as_memory_was(kernel, stride, monkeypatch, rng):
    """Wherever windows leave gaps: between them, at the end, under padding."""
    empty = np.empty

    def poisoned(shape, dtype=float, **options):
        array = empty(shape, dtype, **options)
        array[...] = np.nan
        return array

    for padding, output_padding, dilation in itertools.product((0, 1), (0, 1, 2), (1, 2)):
        if output_padding >= max(stride, dilation) or padding > dilation * (kernel - 1):
            continue
        options = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
        x, weight = rng.integers(-9, 10, (2, 3, 4, 5)) / 1.0, rng.integers(-9, 10, (3, 2, kernel, kernel)) / 1.0
        with monkeypatch.context() as patch:
            patch.setattr(np, "empty", poisoned)
            y = ops.conv_transpose2d(x, weight, **options)
        np.testing.assert_array_equal(y, spec.conv_transpose2d(x, weight, **options).astype(float))


def test_a_sum_over_few_or_no_tiles(rng):
    x, weight = rng.standard_normal((0, 3, 9, 8)), rng.standard_normal((4, 3, 3, 3))
    grads = ops.conv2d_backward(np.empty((0, 4, 7, 6)), x, weight)
    np.testing.assert_array_equal(grads.weight, np.zeros((4, 3, 3, 3)))


@pytest.mark.parametrize("outputs", [2, 3])
@pytest.mark.parametrize("through", WAYS[:3] + WAYS[-1:])
def test_nan_stays_where_it_belongs(through, outputs, monkeypatch, rng):
    """A pixel at the border of x spoils what reads it: neither outputs that do not, nor the gradient of taps that do not."""
    way(monkeypatch, through)
    x, weight = rng.standard_normal((1, 2, 5, 6)), rng.standard_normal((outputs, 2, 3, 3))
    v = rng.standard_normal((1, outputs, 5, 6))
    x[0, 1, 0, 5] = np.nan
    for y, exact in zip(
        (ops.conv2d(x, weight, padding=1), ops.conv2d_backward(v, x, weight, padding=1).weight),
        (spec.conv2d(x, weight, padding=1), spec.conv2d_backward(v, x, weight, padding=1).weight),
        strict=True,
    ):
        np.testing.assert_array_equal(np.isnan(y), np.isnan(exact.astype(float)))
        assert 0 < np.isnan(y).sum() < y.size
    v[0, -1, 4, 0] = np.inf
    grad = ops.conv2d_backward(v, x, weight, padding=1).x
    exact = spec.conv2d_backward(v, x, weight, padding=1).x.astype(float)
    np.testing.assert_array_equal(np.isfinite(grad), np.isfinite(exact))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_weight_that_is_no_number_spoils_what_it_reaches(stride, bad, rng):
    """Zeros around the upstream gradient are no products: no zero times infinity where a pixel is under no such tap."""
    x, weight = rng.standard_normal((2, 3, 6, 7)), rng.standard_normal((3, 2, 3, 3))
    weight[1, 0, 0, 2] = bad
    options = {"stride": stride, "padding": ((0, 1), (1, 0))}
    y, exact = (f(x, weight, **options) for f in (ops.conv_transpose2d, spec.conv_transpose2d))
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(exact.astype(float)))
    assert not np.isfinite(y).all()
    v = rng.standard_normal(ops.conv2d(y, weight, **options).shape)
    grad, exact = (f(v, y, weight, **options).x for f in (ops.conv2d_backward, spec.conv2d_backward))
    np.testing.assert_array_equal(np.isfinite(grad), np.isfinite(exact.astype(float)))


def test_rounding_is_no_worse_than_one_products(rng):
    """Against the textbook: all columns of the image, one product."""
    x, weight = rng.standard_normal((1, 64, 40, 70)), rng.standard_normal((64, 64, 3, 3))
    v = rng.standard_normal((1, 64, 38, 68))
    exact = ops.conv2d(x, weight), *ops.conv2d_backward(v, x, weight)[:2]
    x, weight, v = (a.astype("float32") for a in (x, weight, v))
    columns = (
        np.lib.stride_tricks.sliding_window_view(x[0], (3, 3), axis=(1, 2)).transpose(0, 3, 4, 1, 2).reshape(576, -1)
    )
    textbook = (
        (weight.reshape(64, 576) @ columns).reshape(v.shape),
        (v.reshape(64, -1) @ columns.T).reshape(64, 64, 3, 3),
    )
    grads = ops.conv2d_backward(v, x, weight)
    for ours, theirs, right in zip((ops.conv2d(x, weight), grads.weight), textbook, (exact[0], exact[2]), strict=True):
        assert np.sqrt(np.mean((ours - right) ** 2)) <= 1.1 * np.sqrt(np.mean((theirs - right) ** 2))
    assert np.abs(grads.x - exact[1]).max() < 576 * 2.0**-24 * np.abs(exact[1]).max()


def peak(function):
    """Bytes that a call took at most beyond what it returns."""
    function()
    scratch.clear()
    tracemalloc.start()
    result = function()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most - sum(a.nbytes for a in (result if isinstance(result, tuple) else (result,)) if a is not None)


def test_the_workspace_is_bounded(rng):
    """Textbook columns of this image take 151 MB; here a thread takes a few tiles, whatever the image."""
    unet_ref.set_num_threads(2)
    x, weight = rng.standard_normal((1, 32, 256, 256), "float32"), rng.standard_normal((32, 32, 3, 3), "float32")
    v = rng.standard_normal((1, 32, 256, 256), "float32")
    assert 32 * 9 * 256 * 256 * 4 > 75e6
    assert peak(lambda: ops.conv2d(x, weight, padding=1)) < 2 * 8e6
    assert peak(lambda: ops.conv2d_backward(v, x, weight, padding=1)) < 2 * 8e6
    assert peak(lambda: ops.conv2d(x, weight[:, :, 1:2, 1:2].copy())) < 1e5  # a product in place: nothing is copied


def test_on_a_device_few_large_tiles_and_no_threads(monkeypatch, rng):
    arrays = [rng.standard_normal(shape) for shape in ((4, 8, 50, 40), (10, 8, 3, 3))]
    v = rng.standard_normal((4, 10, 48, 38))
    expected = ops.conv2d_backward(v, *arrays)
    standin.install(monkeypatch)
    monkeypatch.setattr(im2col, "parallel", None)  # to call it would raise
    monkeypatch.setattr(im2col, "LEAST_PRODUCTS", 0)
    unet_ref.set_num_threads(2)
    made, tiles = [], im2col.tiles
    for module in (slide, weight_by_columns):
        monkeypatch.setattr(module, "tiles", lambda *args, **options: made.append(tiles(*args, **options)) or made[-1])
    for memory, count in ((1 << 30, [1, 1]), (8 * 72 * 48 * 38, [4, 2])):  # all at once; columns of a sample
        monkeypatch.setattr(im2col, "DEVICE_BYTES", memory)
        grads = ops.conv2d_backward(to_device(v), *map(to_device, arrays))
        for gradient, right in zip(grads[:2], expected[:2], strict=True):
            np.testing.assert_allclose(to_host(gradient), right, rtol=1e-11, atol=1e-11)
        assert [len(found) for found in made] == count  # of the weight's gradient, of dx
        made.clear()


@pytest.mark.parametrize("shape", [(2, 5, 30, 40), (2, 37, 96, 100)])
def test_the_gradient_of_the_bias_is_a_sum_over_samples_and_pixels(shape, rng):
    """Of a large gradient the threads share the channels."""
    y, found = rng.standard_normal(shape), []
    for count in (1, 3):
        unet_ref.set_num_threads(count)
        found.append(correlation.correlate_bias(y))
    assert found[0].tobytes() == found[1].tobytes()
    exact = y.astype(np.longdouble).sum(axis=(0, 2, 3))
    assert np.all(np.abs(found[0] - exact) <= 8 * np.finfo(float).eps * np.abs(y).sum(axis=(0, 2, 3)))
