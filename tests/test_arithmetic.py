"""Arithmetic for every dtype: quotients of exact scalars are exact, those of floats have their dtype."""

from fractions import Fraction

import numpy as np
import pytest

from unet_ref import arithmetic


def test_quotients_of_exact_scalars_are_exact():
    x = np.array([Fraction(1, 3), Fraction(-2, 7)])
    assert arithmetic.divide(x, np.array([5, -2])).tolist() == [Fraction(1, 15), Fraction(1, 7)]
    assert arithmetic.divide(np.array([7, 3], dtype=object), 2).tolist() == [Fraction(7, 2), Fraction(3, 2)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble", "complex64", "complex128"])
def test_divide_by_an_int_or_by_an_array_of_ints(dtype):
    x = np.array([7, -3], dtype=dtype)
    np.testing.assert_array_equal(arithmetic.divide(x, 2), np.array([3.5, -1.5], dtype=dtype), strict=True)
    quotients = arithmetic.divide(x, np.array([2, -4]))
    np.testing.assert_array_equal(quotients, np.array([3.5, 0.75], dtype=dtype), strict=True)
