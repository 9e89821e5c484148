"""The gradient of a convolution's weight: all that one image holds at an output, times what the window sees there.

    w[o,c,k,l] = sum over n,i,j of y[n,o,i,j] * x[n, c, s*i + d*k, s*j + d*l]           (x padded)

In two ways: from the columns of x (``weight_by_columns``), or from x as it lies and shifts of y (``weight_by_shifts``). There,
zero times infinity would be NaN where a zero of a shift meets a pixel that its tap does not read. So where the result is
not finite it is computed anew by columns.
"""

from __future__ import annotations

from ..backend import Array
from .correlation import spoils_zeros
from .weight_by_columns import by_columns
from .weight_by_shifts import by_shifts, cheaper_shifted
from .window import Window


def correlate_weight(y: Array, x: Array, window: Window, groups: int) -> Array:
    """``y (N,O,H',W')``, ``x (N,C,H,W)`` -> ``weight (O,C/G,KH,KW)``: conv's gradient of weight."""
    yg = y.reshape(len(y), groups, y.shape[1] // groups, *window.output)
    xg = x.reshape(len(x), groups, x.shape[1] // groups, *window.input)
    weight = by_shifts(yg, xg, window) if window.stride == (1, 1) and cheaper_shifted(yg, xg, window) else None
    if weight is None or spoils_zeros(weight):
        weight = by_columns(yg, xg, window)
    return weight.reshape(-1, *weight.shape[2:])
