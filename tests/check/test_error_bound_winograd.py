"""Winograd's convolutions are within the bound of their profile, and not always within that of direct sums."""

import itertools

import numpy as np
import pytest
from error_bounds import computed, first_order, shares

from unet_ref import ops
from unet_ref.check.bounds import winograd as bounds
from unet_ref.check.bounds.winograd import MATRICES, tiled
from unet_ref.check.operation import Case

sizes = pytest.mark.parametrize("m", [2, 4])


def transform(matrix, tile, like):
    """``M tile M'`` of tiles ``(..., n, n)``; constants rounded to the type of the numbers."""
    if tile.dtype == object:
        flat = [[0 if c == 0 else int(c) if c == int(c) else like.constant(c) for c in row] for row in matrix]
        rounded = np.array(flat, dtype=object)
    else:
        rounded = np.array(matrix).astype(tile.dtype)
    half = (rounded[:, :, None] * tile[..., None, :, :]).sum(axis=-2)  # rows, then columns
    return (half[..., :, None, :] * rounded[None]).sum(axis=-1)


def winograd(m, x, weight, pads, shift=(0, 0)):
    """``x (N,C,H,W)``, ``weight (O,C,3,3)``: tiles begin ``shift`` pixels above and to the left of the output."""
    At, G, Bt = MATRICES[m]
    (top, bottom), (left, right) = pads
    H, W = x.shape[2] + top + bottom - 2, x.shape[3] + left + right - 2
    y = np.zeros((len(x), len(weight), H + 2 * m, W + 2 * m), dtype=x.dtype)
    room = np.zeros((*x.shape[:2], H + 4 * m, W + 4 * m), dtype=x.dtype)
    room[:, :, m + top : m + top + x.shape[2], m + left : m + left + x.shape[3]] = x
    like = x.flat[0]
    U = transform(G, weight, like)  # (O, C, n, n)
    for i, j in itertools.product(range(m - shift[0], H + m, m), range(m - shift[1], W + m, m)):
        V = transform(Bt, room[:, :, i : i + m + 2, j : j + m + 2], like)
        M = (U * V[:, None]).sum(axis=2)  # (N, O, n, n)
        y[:, :, i : i + m, j : j + m] = transform(At, M, like)
    return y[:, :, m : m + H, m : m + W]


def drawn(rng, N=2, C=3, O=4, H=9, W=7, padding=((1, 0), (2, 1))):
    arrays = {"x": rng.standard_normal((N, C, H, W)), "weight": rng.standard_normal((O, C, 3, 3)), "bias": None}
    case = Case(arrays, {"padding": padding}).map(lambda array: array.astype("float32"))
    y = ops.conv2d(**case.arrays, **case.options)
    return case, rng.standard_normal(y.shape).astype("float32")


def by_winograd(m, case, dy, shift):
    """Output and gradient of x; the gradients of weight and bias are those of direct sums."""
    x, weight, pads = case.arrays["x"], case.arrays["weight"], case.options["padding"]
    flipped = weight.swapaxes(0, 1)[:, :, ::-1, ::-1]
    opposite = tuple((2 - before, 2 - after) for before, after in pads)
    return {
        **computed("conv2d", case, dy),
        "y": winograd(m, x, weight, pads, shift),
        "x": winograd(m, dy, flipped, opposite, shift),
    }


@sizes
def test_any_grid_of_tiles(rng, m):
    for shift in itertools.product(range(m), repeat=2):
        case, dy = drawn(rng)
        found = shares("conv2d", case, dy, by_winograd(m, case, dy, shift), f"float32-winograd{m}")
        assert max(found.values()) <= 1


@sizes
def test_the_longest_way(rng, m):
    """To first order every rounding is in the bound, and the bound no more than some fifteen times as far."""
    case, _ = drawn(rng, N=1, C=2, O=1, H=m + 2, W=m + 2, padding=((0, 0), (0, 0)))

    def formula(make):
        return {"y": winograd(m, make(case.arrays["x"]), make(case.arrays["weight"]), case.options["padding"])}

    share = first_order("conv2d", case, None, formula, f"float32-winograd{m}", largest=6000)["y"]
    assert 0.06 < share <= 1


def weight_by_winograd(m, x, dy):
    """The gradient of weight without padding: every tile's ``G' [ (A dy A') * (B' d B) ] G``, summed."""
    At, G, Bt = (np.array(matrix) for matrix in MATRICES[m])
    H, W = (size + -size % m for size in dy.shape[2:])
    whole = np.zeros((*dy.shape[:2], H, W), dtype=dy.dtype)
    whole[:, :, : dy.shape[2], : dy.shape[3]] = dy
    room = np.zeros((*x.shape[:2], H + 2, W + 2), dtype=x.dtype)
    room[:, :, : x.shape[2], : x.shape[3]] = x
    total = np.float32(0)
    for i, j in itertools.product(range(0, H, m), range(0, W, m)):
        U = transform(At.T, whole[:, :, i : i + m, j : j + m], None)
        V = transform(Bt, room[:, :, i : i + m + 2, j : j + m + 2], None)
        total = total + (U[:, :, None] * V[:, None]).sum(axis=0)
    return transform(G.T, total, None)


@sizes
def test_the_gradient_of_weight(rng, m):
    case, dy = drawn(rng, padding=((0, 0), (0, 0)))
    right = computed("conv2d", case, dy)
    weight = weight_by_winograd(m, case.arrays["x"], dy)
    np.testing.assert_allclose(weight, right["weight"], rtol=1e-3, atol=1e-4)
    assert shares("conv2d", case, dy, {**right, "weight": weight}, f"float32-winograd{m}")["weight"] <= 1
    wrong = weight * np.float32(1 + 5e-3)
    assert shares("conv2d", case, dy, {**right, "weight": wrong}, "float32-winograd2")["weight"] > 1


def test_with_few_channels_it_is_outside_the_bound_of_direct_sums(rng):
    """Right all the same: try the profile before calling it a bug."""
    case, dy = drawn(rng, C=1, O=3, H=12, W=12)
    found = by_winograd(4, case, dy, (0, 0))
    assert shares("conv2d", case, dy, found)["y"] > 1
    assert shares("conv2d", case, dy, found, "float32-winograd4")["y"] <= 1


@sizes
def test_no_bug_hides_in_it(rng, m):
    case, dy = drawn(rng)
    right = computed("conv2d", case, dy)
    wrong = {key: value * np.float32(1 + 5e-3) for key, value in right.items()}
    assert min(shares("conv2d", case, dy, wrong, f"float32-winograd{m}").values()) > 1


@pytest.mark.parametrize(
    "options", [{"stride": 2}, {"dilation": (1, 2)}, {"padding": "same"}, {"padding": "valid"}, {}]
)
def test_where_it_applies(rng, options):
    """Only at stride and dilation 1 is the bound another; every form of padding is understood."""
    x, weight = (rng.standard_normal(shape).astype("float32") for shape in ((2, 2, 7, 8), (3, 2, 3, 3)))
    bias = rng.standard_normal(3).astype("float32")
    case = Case({"x": x, "weight": weight, "bias": bias}, options)
    y = ops.conv2d(x, weight, bias, **options)
    off = {"y": y + np.float32(2e-6) * np.abs(y).max()}
    direct, tiles = (shares("conv2d", case, None, off, profile)["y"] for profile in ("float32", "float32-winograd4"))
    assert (tiles < direct) is (set(options) <= {"padding"})


def by_larger_kernels(m, x, weight, pads, groups):
    """For each place in a tile the sum is a convolution with a kernel of the size of the tile's input."""
    A, G, B = (np.abs(np.array(matrix)) for matrix in MATRICES[m])
    g, found = np.einsum("tk,ockl,sl->octs", G, weight, G), []
    for a, b in itertools.product(range(m), repeat=2):
        kernel = np.einsum("t,s,octs,tp,sq->ocpq", A[a], A[b], g, B, B)
        sides = [(pad[0] + at, pad[1] + m - 1 - at) for pad, at in zip(pads, (a, b), strict=True)]
        found.append(ops.conv2d(ops.pad2d(x, padding=tuple(sides)), kernel, groups=groups))
    return np.max(found, axis=0)


@sizes
@pytest.mark.parametrize("lead", [(), (3,), (0,)])
def test_the_magnitude_computed_a_second_way(rng, m, lead, monkeypatch):
    x, weight, pads = rng.random((*lead, 4, 7, 9)), rng.random((6, 2, 3, 3)), ((1, 0), (2, 3))
    expected = by_larger_kernels(m, x, weight, pads, 2)
    for strip in (1, 1 << 22):
        monkeypatch.setattr(bounds, "STRIP", strip)
        magnitude, roundings = tiled(m, x, weight, pads, 2)
        np.testing.assert_allclose(magnitude, expected, rtol=1e-12)
    assert roundings == {2: 2 * (3 + 2 + 3 + 1) + 3, 4: 2 * (5 + 4 + 3 + 1) + 3}[m]


def test_groups_and_images_without_a_batch(rng):
    x, weight = rng.standard_normal((4, 6, 7)).astype("float32"), rng.standard_normal((6, 2, 3, 3)).astype("float32")
    case = Case({"x": x, "weight": weight, "bias": None}, {"groups": 2, "padding": 1})
    dy = rng.standard_normal((6, 6, 7)).astype("float32")
    right = computed("conv2d", case, dy)
    for profile in ("float32-winograd2", "float32-winograd4"):
        assert max(shares("conv2d", case, dy, right, profile).values()) <= 1
