"""The memory that a thread keeps for temporaries: lent to one operation at a time, never part of a result, not too much."""

import gc
import threading
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

import unet_ref
from unet_ref import ops
from unet_ref.ops import scratch
from unet_ref.ops.scratch import KEPT_BYTES, Scratch


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch):
    monkeypatch.setattr(unet_ref.threads._threads, "said", 1)
    scratch.clear()
    yield
    scratch.clear()


LIKE = np.zeros(1, "float32")


def address(array):
    return array.__array_interface__["data"][0]


def test_the_next_operation_gets_the_memory_of_the_last():
    first = Scratch(LIKE)
    where = address(first.empty("a", (5, 7)))
    assert address(first.empty("a", (3,))) == where
    assert address(first.empty("b", (3,))) != where
    del first
    second = Scratch(LIKE)
    assert address(second.empty("a", (35,))) == where
    assert second.empty("a", (6, 7)).shape == (6, 7)  # larger: anew


def test_what_is_lent_is_nobody_elses():
    """A finalizer may call an operation in the middle of another one."""
    first, second = Scratch(LIKE), Scratch(LIKE)
    a, b = first.empty("a", (9,)), second.empty("a", (9,))
    assert not np.shares_memory(a, b)
    del first, second
    third, fourth = Scratch(LIKE), Scratch(LIKE)
    assert address(third.empty("a", (9,))) != address(fourth.empty("a", (9,)))


def test_each_thread_has_its_own():
    shared, found = Scratch(LIKE), []
    shared.empty("a", (9,))
    thread = threading.Thread(target=lambda: found.append(shared.empty("a", (9,))))
    thread.start()
    thread.join()
    assert not np.shares_memory(found[0], shared.empty("a", (9,)))


@pytest.mark.parametrize(("size", "dtype"), [(KEPT_BYTES // 4 + 1, "float32"), (3, object)])
def test_what_is_large_or_an_object_is_not_kept(size, dtype):
    Scratch(np.zeros(1, dtype)).empty("a", (size,))
    assert [buffer for shelf in scratch._shelves.free for buffer in shelf.values()] == []


def test_objects_do_not_live_on():
    class Number(Fraction):
        pass

    x, weight = np.full((1, 1, 4, 4), Number(1, 3), dtype=object), np.full((1, 1, 3, 3), Number(2, 3), dtype=object)
    ops.conv2d(x, weight)
    del x, weight
    gc.collect()
    assert not any(type(thing) is Number for thing in gc.get_objects())  # isinstance would ask PyTorch's lazy modules


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"stride": 2, "padding": 1}, {"stride": 3}])
def test_no_result_is_kept_memory_and_no_bit_depends_on_what_it_held(dtype, options, rng):
    x, weight = rng.standard_normal((2, 5, 12, 12)).astype(dtype), rng.standard_normal((7, 5, 3, 3)).astype(dtype)

    def results():
        y = ops.conv2d(x, weight, **options)
        up = ops.conv_transpose2d(y, weight, **options)
        return [y, up, *ops.conv2d_backward(y, x, weight, **options)[:2],
                *ops.conv_transpose2d_backward(up, y, weight, **options)[:2]]  # fmt: skip

    expected = results()
    for buffers in scratch._shelves.free:
        for buffer in buffers.values():
            assert not any(np.shares_memory(buffer, result) for result in expected)
            buffer[...] = np.nan  # what an operation does not overwrite would show
    assert [a.tobytes() for a in results()] == [a.tobytes() for a in expected]


def test_a_second_call_takes_its_result_alone(rng):
    x, weight = rng.standard_normal((1, 16, 128, 128), "float32"), rng.standard_normal((16, 16, 3, 3), "float32")
    peaks = []
    for _ in range(2):
        tracemalloc.start()
        y = ops.conv2d(x, weight, padding=1)
        peaks.append(tracemalloc.get_traced_memory()[1] - y.nbytes)
        tracemalloc.stop()
    assert peaks[0] > 1e6
    assert peaks[1] < 1e5
