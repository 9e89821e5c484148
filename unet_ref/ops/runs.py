"""What the taps of a window read, in one long run each: the columns of a tile made by few and long copies."""

from __future__ import annotations

from ..backend import Array, namespace
from .im2col import Tile
from .scratch import Scratch
from .window import Pair, Window


class Runs:
    """The part of images that a tile sees, the rows of each image end to end, so that a tap reads one long run.

        x (3 x 3 pixels), padded by 1          end to end, the zeros of one row's end and the next one's beginning shared

        0 0 0 0 0
        0 a b c 0                              0 0 0 0  0 a b c  0 d e f  0 g h i  0 0 0 0  0
        0 d e f 0       tap (0, 0) reads       ^ ^ ^ .  ^ ^ ^ .  ^ ^ ^ .                         pitch = 4
        0 g h i 0       tap (1, 2) reads                    ^ ^  ^ . ^ ^  ^ . ^ ^  ^ .           ("." between the rows of
        0 0 0 0 0                                                                                the tile belongs to none)

    Output (i, j) of the tile is number ``pitch*i + j`` of the run of each tap. Where windows go in strides, pixels at the
    same position in a stride come first: these are neighbours for the taps.
    """

    height: int
    pitch: int

    def __init__(self, window: Window, size: Pair, rows: slice, columns: slice) -> None:
        """The tile's outputs are ``rows`` and ``columns`` of the window's; ``size`` is that of the image."""
        self.window, self.size = window, size
        self.h: int = rows.stop - rows.start
        self.w: int = columns.stop - columns.start
        (sh, sw), (dh, dw), (KH, KW) = window.stride, window.dilation, window.kernel
        self.first = sh * rows.start - window.pads[0][0], sw * columns.start - window.pads[1][0]
        over = dw * (KW - 1) // sw
        left, right = max(0, -self.first[1]), max(0, self.first[1] + self.w + over - size[1])
        shared = min(left, right, over) if sw == 1 else 0
        self.height = self.h + dh * (KH - 1) // sh
        self.pitch = self.w + over - shared
        of_taps = [(dh * k % sh, dw * l % sw) for k in range(KH) for l in range(KW)]
        self.phases = sorted(set(of_taps))
        self.length = self.h * self.pitch  # of a run
        self.total = len(self.phases) * self.height * self.pitch + over
        # Every tap has a phase of its own, and they are in order: the pixels are the columns.
        self.direct = self.phases == of_taps and self.total == len(of_taps) * self.length
        self.pieces = [self._piece(phase) for phase in self.phases]

    def start(self, k: int, l: int) -> int:
        """Where the run of tap (k, l) begins."""
        (sh, sw), (dh, dw) = self.window.stride, self.window.dilation
        phase: int = self.phases.index((dh * k % sh, dw * l % sw))
        return (phase * self.height + dh * k // sh) * self.pitch + dw * l // sw

    def _piece(self, phase: Pair) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The rows and columns of a phase that lie on the image, and where on the image."""
        (i, r), (j, q) = (
            _common(first + p, stride, count, size)
            for first, p, stride, count, size in zip(
                self.first, phase, self.window.stride, (self.height, self.pitch), self.size, strict=True
            )
        )
        return (i, j), (r, q)

    def phase(self, pixels: Array, number: int) -> Array:
        """The rows of a phase of ``pixels (..., total)``: ``(..., height, pitch)``."""
        area = self.height * self.pitch
        return pixels[..., area * number : area * (number + 1)].reshape(*pixels.shape[:-1], self.height, self.pitch)

    def of(self, x: Array, scratch: Scratch) -> Array:
        """``x (..., H, W)`` as ``(..., total)``: zero where that is not on the image."""
        ((i, j), (r, q)) = self.pieces[0]
        single = len(self.pieces) == 1 and self.window.stride == (1, 1)
        if single and self.total == (i.stop - i.start) * (j.stop - j.start):
            return x[..., r, q].reshape(*x.shape[:-2], self.total)  # neighbours, none of them outside: a view
        pixels = (scratch.empty if self.direct else scratch.rows)("pixels", (*x.shape[:-2], self.total))
        pixels[...] = 0
        for number, (there, here) in enumerate(self.pieces):
            self.phase(pixels, number)[(..., *there)] = x[(..., *here)]
        return pixels

    def fill(self, columns: Array, pixels: Array) -> None:
        """``columns (..., KH, KW, T)``: from ``pixels (..., total)`` the first T of the run of each tap."""
        KH, KW, T = columns.shape[-3:]
        if self.window.stride == (1, 1):
            (dh, dw), (*lead, step) = self.window.dilation, pixels.strides
            columns[...] = namespace(pixels).lib.stride_tricks.as_strided(
                pixels, columns.shape, (*lead, dh * self.pitch * step, dw * step, step)
            )
            return
        for k in range(KH):
            for l in range(KW):
                start = self.start(k, l)
                columns[..., k, l, :] = pixels[..., start : start + T]

    def outputs(self, run: Array) -> Array:
        """What of a run ``(..., length)`` belongs to outputs: ``(..., h, w)``."""
        return run.reshape(*run.shape[:-1], self.h, self.pitch)[..., : self.w]

    def between(self, run: Array) -> Array:
        """And what lies between the rows of the tile."""
        return run.reshape(*run.shape[:-1], self.h, self.pitch)[..., self.w :]

    def spread(self, y: Array, scratch: Scratch) -> Array:
        """``y (..., h, w)`` as a run ``(..., length)``, with zeros in between."""
        if self.pitch == self.w:
            return y.reshape(*y.shape[:-2], self.length)
        run = scratch.empty("spread", (*y.shape[:-2], self.length))
        self.between(run)[...] = 0
        self.outputs(run)[...] = y
        return run


def runs_of(window: Window, size: Pair, tiles: list[Tile]) -> dict[tuple[int, int], Runs]:
    """The runs of each tile, by its first row and column: those of one place are the same in all samples."""
    places = {(rows.start, columns.start): (rows, columns) for _, rows, columns in tiles}
    return {place: Runs(window, size, *cut) for place, cut in places.items()}


def _common(first: int, stride: int, count: int, size: int) -> tuple[slice, slice]:
    """Which of ``count`` positions ``first, first + stride, ...`` lie in ``range(size)``, and where."""
    begin = max(0, -(first // stride))
    end = min(count, -((first - size) // stride))
    if begin >= end:
        return slice(0, 0), slice(0, 0)
    return slice(begin, end), slice(first + stride * begin, first + stride * (end - 1) + 1, stride)
