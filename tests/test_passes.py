"""Passes in the form that NumPy is fast at: sums, comparisons, and what they are cut into."""

import math

import numpy as np
import pytest

from unet_ref import ops, passes, threads
from unet_ref.ops import tiles


@pytest.mark.parametrize("L", [1, 5, 16, 100, 4096, 4097, 3 * 4096, 20_001])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_of_rows_are_as_exact_as_sums_can_be(dtype, L, rng):
    """Of numbers and of products, of rows that lie apart: against sums without rounding, within that of ``log2`` steps."""
    x, y = (rng.standard_normal((2, 3, L + 3)).astype(dtype)[..., :L] for _ in "xy")
    for found, terms in ((passes.row_sums(x), x), (passes.row_sums(x, y), x.astype(np.longdouble) * y)):
        assert (found.shape, found.dtype) == ((2, 3, 1), dtype)
        exact = np.array([[math.fsum(row) for row in rows] for rows in terms.astype(float)])
        size = np.abs(terms).sum(axis=-1).astype(float)
        assert np.all(np.abs(found[..., 0] - exact) <= 4 * np.finfo(dtype).eps * size)


@pytest.mark.parametrize("L", [20, 5000])
def test_sums_of_other_numbers(L, rng):
    x, y = (rng.integers(-9, 9, (2, L)) for _ in "xy")
    z = x + 1j * y
    np.testing.assert_array_equal(passes.row_sums(z, z)[..., 0], (z * z).sum(axis=-1))  # not conjugated
    for dtype in (object, np.longdouble):
        a, b = x.astype(dtype), y.astype(dtype)
        np.testing.assert_array_equal(passes.row_sums(a, b)[..., 0], (x * y).sum(axis=-1))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 4095, 4096, 9000])
def test_a_number_that_is_none_is_seen_wherever_it_is(bad, place, rng):
    x = rng.standard_normal((3, 3001)).astype("float32")
    assert not passes.may_be_nan(x)
    assert not passes.may_be_nan(x[:, ::2])
    x.flat[place] = bad
    assert passes.may_be_nan(x)
    assert passes.may_be_nan(x.T)


@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble"])
def test_positive_is_maximum_however_many_there_are(dtype, rng):
    """Sample by sample or all together: the same bits, those of zeros and NaN too."""
    x = rng.standard_normal(2 * passes.ROW + 3).astype(dtype)
    x[::1000], x[7::1000], x[11::1000], x[13::1000] = -0.0, np.nan, np.inf, -np.inf
    expected = np.maximum(x, x.dtype.type(0))
    together = passes.positive(x, np.empty_like(x))
    pieces = [passes.positive(piece, np.empty_like(piece)) for piece in np.split(x, range(1001, x.size, 1001))]
    np.testing.assert_array_equal(together, expected)
    np.testing.assert_array_equal(np.signbit(together), np.signbit(expected))
    np.testing.assert_array_equal(np.signbit(np.concatenate(pieces)), np.signbit(expected))
    assert passes.positive(x, x) is x
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("items", [0, 1, 7, 20])
@pytest.mark.parametrize("size", [0, 1, 30, 1000])
def test_blocks_cover_everything_once(items, size, monkeypatch):
    monkeypatch.setattr(passes, "BLOCK_ELEMENTS", 100)
    parts = list(passes.blocks(items, size, np.zeros(1)))
    assert [k for part in parts for k in range(items)[part]] == list(range(items))
    assert all(part.stop - part.start in (1, max(1, 100 // max(size, 1))) for part in parts[:-1])


@pytest.mark.parametrize("whole_batch", [False, True])
@pytest.mark.parametrize(
    "shape", [(3, 5, 2, 60_001), (1, 7, 1, 90_000), (40, 1, 1, 30_000), (2, 3, 1, 4), (0, 3, 1, 4)]
)
def test_tiles_cover_everything_once(monkeypatch, shape, whole_batch):
    x = np.zeros(shape)
    for many in (1, 2, 16):
        monkeypatch.setattr(threads._threads, "said", many)
        count = np.zeros(shape[:2], dtype=int)
        for tile in tiles.tiles(x, whole_batch=whole_batch):
            count[tile] += 1
            assert not whole_batch or tile[0] == slice(0, shape[0])
        assert np.all(count == 1)
        assert many == 1 or x.nbytes < 4 * tiles.ALONE or len(tiles.tiles(x)) > 1


def test_norms_have_the_same_bits_for_any_number_of_threads(monkeypatch, rng):
    """Of arrays that are cut into several tiles."""
    x, dy = (rng.standard_normal((3, 6, 211, 190)).astype("float32") + 3 for _ in "xy")
    weight, bias = (rng.standard_normal(6).astype("float32") for _ in "wb")
    found = []
    for count in (1, 2, 5):
        monkeypatch.setattr(threads._threads, "said", count)
        batch = ops.batch_norm(x, weight, bias, training=True), *ops.batch_norm_backward(dy, x, weight, training=True)
        group = ops.group_norm(x, weight, num_groups=3), *ops.group_norm_backward(dy, x, weight, num_groups=3)
        scaled = ops.film_backward(dy, x, x[:, :, 0, 0].copy(), x[:, :, 0, 1].copy())
        found.append([array.tobytes() for array in (*batch, *group, *scaled) if array is not None])
    assert found[1:] == found[:1] * 2
