"""Choices by a mask, through the bits: those of ``where``."""

from fractions import Fraction

import numpy as np
import pytest

from unet_ref import masks

DTYPES = ["float16", "float32", "float64", "longdouble", "complex64", "complex128", "int8"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_keep_and_select_are_where_bit_for_bit(dtype, rng):
    x, y = (rng.standard_normal((3, 40)).astype(dtype) for _ in "xy")
    if x.dtype.kind != "i":
        x[0, :4], y[1, :4] = (np.nan, np.inf, -np.inf, -0.0), (-0.0, -np.inf, np.nan, np.inf)
    x, y, mask = x[:, ::2], y[:, 1::2], rng.integers(0, 2, (3, 20)) == 1  # neither lies together in memory
    np.testing.assert_array_equal(masks.keep(mask, x), np.where(mask, x, x.dtype.type(0)), strict=True)
    selected = masks.select(mask, x, y)
    assert selected.dtype == x.dtype
    assert [str(v) for v in selected.flat] == [str(v) for v in np.where(mask, x, y).flat]  # the signs of zeros too


def test_exact_scalars_stay_exact():
    x = np.array([Fraction(1, 3), Fraction(-2, 7)])
    assert masks.keep(np.array([True, False]), x).tolist() == [Fraction(1, 3), 0]
    assert masks.select(np.array([False, True]), x, -x).tolist() == [Fraction(-1, 3), Fraction(-2, 7)]
