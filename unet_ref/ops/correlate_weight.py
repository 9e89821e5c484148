"""The gradient of a convolution's weight: all that one image holds at an output, times what the window sees there.

    w[o,c,k,l] = sum over n,i,j of y[n,o,i,j] * x[n, c, s*i + d*k, s*j + d*l]           (x padded)

*By columns*: a product for each tile, of all taps together.

    w (O, C·KH·KW) = sum over tiles of y (O, T) @ (columns of x (C·KH·KW, T)).T

*By shifts*, without a stride: a tap reads x as it lies, only some rows and columns further on. So x is not copied at all.
The image of fewer channels, say y, is shifted by as much as each horizontal tap reads to the side, and laid out with rows
as long as those of x; a vertical tap begins at another row of x, and where that is outside, there is no product.

    y            shifted for l=0, 1, 2                  x, 3 x 3 pixels, padded by 1

    a b c        b c 0      a b c      0 a b            p q r        tap (0, 0): e f 0 and h i 0 (the second and third row)
    d e f        e f 0      d e f      0 d e            s t u                    against p q r and s t u (the first and second)
    g h i        h i 0      g h i      0 g h            v w z                    e·p + f·q + h·s + i·t

    w[k] (KW·O, C) = sum over tiles of shifted y (KW·O, T) @ (x (C, T), from the row of tap k on).T

That is KW copies of the smaller image in place of KH·KW of x. Zero times infinity would be NaN where a zero of a shift
meets a pixel that its tap does not read. So where the result is not finite it is computed anew by columns.
"""

from __future__ import annotations

import math

from ..backend import Array, namespace, on_device
from ..passes import may_be_nan
from .im2col import LEAST_PIXELS, MOST_BYTES, MOST_PIXELS, SHARES, TILE_BYTES, channel_blocks, each, parts, tiles
from .runs import Runs, runs_of
from .scratch import Scratch
from .slide import OUTPUTS
from .window import Window, contiguous

LANES = 16  # tasks of a sum over tiles
LANES_BYTES, LANES_TERMS = 32 << 20, 512  # memory for their sums, and the terms of each at least
SHIFTED = 128  # channels of a task, if they are shifted
MANY_CHANNELS = 256  # at 512, 25 % slower in some processes, for a reason not found
FEW_CHANNELS, PRODUCTS = 32, 1 << 22  # of an image, and for one vertical tap: fewer, and shifts are not worth it


def correlate_weight(y: Array, x: Array, window: Window, groups: int) -> Array:
    """``y (N,O,H',W')``, ``x (N,C,H,W)`` -> ``weight (O,C/G,KH,KW)``: conv's gradient of weight."""
    yg = y.reshape(len(y), groups, y.shape[1] // groups, *window.output)
    xg = x.reshape(len(x), groups, x.shape[1] // groups, *window.input)
    weight = by_shifts(yg, xg, window) if window.stride == (1, 1) and cheaper_shifted(yg, xg, window) else None
    if weight is None or spoilt(weight):
        weight = by_columns(yg, xg, window)
    return weight.reshape(-1, *weight.shape[2:])


def cheaper_shifted(y: Array, x: Array, window: Window) -> bool:
    """Whether shifts cost less: they need fewer copies, but a product for each sample, and axes of the result are turned."""
    few, many = sorted((y.shape[2], x.shape[2]))
    pixels, width = math.prod(window.output), max(window.input[1], LEAST_PIXELS)
    if many > MANY_CHANNELS:
        return False
    if x.itemsize * x.shape[1] * window.kernel[1] * min(few, SHIFTED) * width > MOST_BYTES:
        return False  # a row is not cut
    if on_device(x) or window.kernel == (1, 1) or few < FEW_CHANNELS or len(y) * pixels < 2 * max(many, LANES_TERMS):
        return False
    return bool(few * many * pixels * window.kernel[1] >= PRODUCTS)


def spoilt(weight: Array) -> bool:
    """Whether a zero times infinity may have come into it."""
    return weight.dtype != object and may_be_nan(weight)


def by_shifts(y: Array, x: Array, window: Window) -> Array:
    """``y (N,G,O,H',W')``, ``x (N,G,C,H,W)`` -> ``weight (G,O,C,KH,KW)``: y or x is shifted, the other one read as it lies."""
    xp, (KH, KW), (dh, dw), ((top, _), (left, _)) = namespace(x), window.kernel, window.dilation, window.pads
    (G, O), C = y.shape[1:3], x.shape[2]
    down, right = [dh * k - top for k in range(KH)], [left - dw * l for l in range(KW)]
    if O <= C:
        moved, still = y, x
    else:  # what is further on for x is further back for y
        moved, still, down, right = x, y, [-k for k in down], [-l for l in right]
    M, H, W = still.shape[2:]
    blocks = parts(moved.shape[2], SHIFTED)
    channels = blocks[0].stop
    share = max(LANES_TERMS, len(x) * moved.shape[3] * W * len(blocks) // SHARES)  # of a thread
    pixels = min(max(TILE_BYTES // (x.itemsize * G * KW * channels), LEAST_PIXELS), MOST_PIXELS, share)
    tiles = [(n, rows) for n in range(len(x)) for rows in parts(moved.shape[3], max(1, pixels // W))]
    lanes = lanes_for(len(tiles), len(blocks), x.itemsize * G * O * C * KH * KW, len(x) * math.prod(window.output))
    unit, scratch = lanes * KH * G * KW * M, Scratch(x)
    memory = xp.empty(unit * moved.shape[2], dtype=x.dtype)  # at once: the system gives much memory in large pages
    sums = [memory[unit * part.start : unit * part.stop].reshape(lanes, KH, G, -1, M) for part in blocks]

    def work(task: tuple[int, int]) -> None:
        lane, block = task
        for number, (n, rows) in enumerate(tiles[lane::lanes]):
            image = moved[n, :, blocks[block], rows]
            shifted = scratch.rows("columns", (G, KW, image.shape[1], image.shape[2] * W))
            for l in range(KW):
                shift(image, right[l], W, shifted[:, l])
            shifted = shifted.reshape(G, -1, image.shape[2] * W)
            for k in range(KH):
                begin, end = (min(max(0, row + down[k]), H) for row in (rows.start, rows.stop))
                seen = slice(*(W * (row - down[k] - rows.start) for row in (begin, end)))
                # (G, KW·m, T) @ (G, T, M) -> (G, KW·m, M)
                factors = shifted[..., seen], still[n, :, :, begin:end].reshape(G, M, -1).swapaxes(1, 2)
                add_product(sums[block][lane, k], *factors, number == 0, scratch)

    weight = xp.empty((G, O, C, KH, KW), dtype=x.dtype)
    axes = weight if moved is y else weight.swapaxes(1, 2)  # (G, m, M, KH, KW)

    def turn(task: tuple[int, int]) -> None:
        block, k = task
        total = lanes_sum(sums[block][:, k]).reshape(G, KW, -1, M)
        for l in range(KW):
            axes[:, blocks[block], :, k, l] = total[:, l]

    numbers = range(len(blocks))
    each(work, [(lane, block) for lane in range(lanes) for block in numbers], x, y.size * C * KH * KW)
    each(turn, [(block, k) for block in numbers for k in range(KH)], x, y.size * C * KH * KW)
    return weight


def shift(image: Array, by: int, width: int, out: Array) -> None:
    """Fills ``out (..., h·width)``: pixel q of a row is pixel ``q + by`` of the image's row, or zero where it has none."""
    h, w = image.shape[-2:]
    begin = min(max(0, -by), width)
    end = max(begin, min(width, w - by))
    rows = namespace(out).lib.stride_tricks.as_strided(
        out, (*out.shape[:-1], h, width), (*out.strides[:-1], width * out.strides[-1], out.strides[-1])
    )
    if begin < end and w == width:  # all rows at once, and then their ends
        run = image.reshape(*out.shape)
        out[..., max(0, -by) : h * w - max(0, by)] = run[..., max(0, by) : h * w - max(0, -by)]
    elif begin < end:
        rows[..., begin:end] = image[..., begin + by : end + by]
    rows[..., :begin] = 0
    rows[..., end:] = 0


def by_columns(y: Array, x: Array, window: Window) -> Array:
    """``y (N,G,O,H',W')``, ``x (N,G,C,H,W)`` -> ``weight (G,O,C,KH,KW)``, by the columns of tiles of x.

    A task is a block of channels and every ``lanes``-th tile, whose products it adds up in their order; then the lanes
    are added up in theirs.
    """
    xp, (KH, KW) = namespace(x), window.kernel
    (G, O), C = y.shape[1:3], x.shape[2]
    turned = O < OUTPUTS  # BLAS is faster with the longer side first; the result is then small, and quickly turned back
    shape = (G, C * KH * KW, O) if turned else (G, O, C * KH * KW)

    terms = len(x) * math.prod(window.output)
    # with one lane, channels must make the tasks
    blocks = [slice(0, C)] if on_device(x) else channel_blocks(C, window, SHARES if terms < 2 * LANES_TERMS else 1)
    shares = max(1, LANES // (4 * len(blocks) or 1))
    pixels = tiles(len(x), window.output, x.itemsize * G * KH * KW * -(-C // max(1, len(blocks))), x, shares)
    places = runs_of(window, window.input, pixels)
    lanes = lanes_for(len(pixels), len(blocks), x.itemsize * math.prod(shape), terms)
    sums, scratch = (xp.empty if pixels else xp.zeros)((lanes, *shape), dtype=x.dtype), Scratch(x)

    def work(task: tuple[int, slice]) -> None:
        lane, channels = task
        taps = slice(KH * KW * channels.start, KH * KW * channels.stop)
        total = sums[lane][:, taps] if turned else sums[lane][:, :, taps]
        for number, (samples, rows, columns) in enumerate(pixels[lane::lanes]):
            runs = places[rows.start, columns.start]
            seen = side_by_side(runs, x[samples, :, channels], scratch)
            # (n, G, O, h, w) -> (G, O, n·length)
            tile = runs.spread(y[samples, :, :, rows, columns].transpose(1, 2, 0, 3, 4), scratch)
            tile = tile.reshape(G, O, seen.shape[-1])
            factors = (seen, tile.swapaxes(1, 2)) if turned else (tile, seen.swapaxes(1, 2))
            add_product(total, *factors, number == 0, scratch)

    tasks = [(lane, channels) for lane in range(lanes) for channels in blocks]
    each(work, tasks, x, y.size * C * KH * KW)
    weight = lanes_sum(sums)
    return contiguous(weight.swapaxes(1, 2) if turned else weight).reshape(G, O, C, KH, KW)


def side_by_side(runs: Runs, image: Array, scratch: Scratch) -> Array:
    """``image (n, G, C, H, W)`` -> columns ``(G, C·KH·KW, n·length)``; what lies between a tile's rows may hold no NaN."""
    (n, G, C), (KH, KW) = image.shape[:3], runs.window.kernel
    pixels = runs.of(image, scratch)
    if n == 1 and runs.direct:
        return pixels.reshape(G, C * KH * KW, runs.length)
    columns = scratch.rows("columns", (G, C * KH * KW, n * runs.length))
    view = columns.reshape(G, C, KH, KW, n, runs.length).transpose(4, 0, 1, 2, 3, 5)
    runs.fill(view, pixels)
    if runs.pitch != runs.w and may_be_nan(pixels):
        runs.between(view)[...] = 0
    return columns


def lanes_for(tiles: int, blocks: int, result_bytes: int, terms: int) -> int:
    """How many tasks share the tiles: more, and their sum would take as long as they do, or too much memory."""
    most = LANES // max(1, blocks), tiles, LANES_BYTES // max(1, result_bytes), terms // LANES_TERMS
    return max(1, min(most))


def add_product(total: Array, a: Array, b: Array, first: bool, scratch: Scratch) -> None:
    """``total += a @ b``; the first product is not added, but written."""
    xp = namespace(total)
    if first:
        xp.matmul(a, b, out=total)
    else:
        total += xp.matmul(a, b, out=scratch.empty("z", total.shape))


def lanes_sum(sums: Array) -> Array:
    """``(lanes, ...)`` -> ``(...)``, in their order."""
    return sums.sum(axis=0) if len(sums) > 1 else sums[0]
