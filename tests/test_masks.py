"""The helpers of the backend that passes over images stand on: masks through the bits, counts, blocks."""

from fractions import Fraction

import numpy as np
import pytest

from unet_ref import backend

DTYPES = ["float16", "float32", "float64", "longdouble", "complex64", "complex128", "int8"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_keep_and_select_are_where_bit_for_bit(dtype, rng):
    x, y = (rng.standard_normal((3, 40)).astype(dtype) for _ in "xy")
    if x.dtype.kind != "i":
        x[0, :4], y[1, :4] = (np.nan, np.inf, -np.inf, -0.0), (-0.0, -np.inf, np.nan, np.inf)
    x, y, mask = x[:, ::2], y[:, 1::2], rng.integers(0, 2, (3, 20)) == 1  # neither lies together in memory
    np.testing.assert_array_equal(backend.keep(mask, x), np.where(mask, x, x.dtype.type(0)), strict=True)
    selected = backend.select(mask, x, y)
    assert selected.dtype == x.dtype
    assert [str(v) for v in selected.flat] == [str(v) for v in np.where(mask, x, y).flat]  # the signs of zeros too


def test_exact_scalars_stay_exact():
    x = np.array([Fraction(1, 3), Fraction(-2, 7)])
    assert backend.keep(np.array([True, False]), x).tolist() == [Fraction(1, 3), 0]
    assert backend.select(np.array([False, True]), x, -x).tolist() == [Fraction(-1, 3), Fraction(-2, 7)]
    assert backend.divide(x, np.array([5, -2])).tolist() == [Fraction(1, 15), Fraction(1, 7)]
    assert backend.divide(np.array([7, 3], dtype=object), 2).tolist() == [Fraction(7, 2), Fraction(3, 2)]


@pytest.mark.parametrize("dtype", DTYPES[1:-1])
def test_divide_by_an_int_or_by_an_array_of_ints(dtype):
    x = np.array([7, -3], dtype=dtype)
    np.testing.assert_array_equal(backend.divide(x, 2), np.array([3.5, -1.5], dtype=dtype), strict=True)
    quotients = backend.divide(x, np.array([2, -4]))
    np.testing.assert_array_equal(quotients, np.array([3.5, 0.75], dtype=dtype), strict=True)


@pytest.mark.parametrize("items", [0, 1, 7, 20])
@pytest.mark.parametrize("size", [0, 1, 30, 1000])
def test_blocks_cover_everything_once(items, size, monkeypatch):
    monkeypatch.setattr(backend, "BLOCK_ELEMENTS", 100)
    parts = list(backend.blocks(items, size, np.zeros(1)))
    assert [k for part in parts for k in range(items)[part]] == list(range(items))
    assert all(part.stop - part.start in (1, max(1, 100 // max(size, 1))) for part in parts[:-1])
