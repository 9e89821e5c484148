"""How time is taken: calls one after another, round by round, so that what else the machine does meets all alike."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

Call: TypeAlias = Callable[[], object]
Clock: TypeAlias = Callable[[Call, int], float]  # a call, how many times -> seconds of one

TIMED = 0.1  # seconds that a round takes at least: what is shorter is called several times
SETTLED = (
    0.12  # before that: helpers of OpenBLAS spin for 0.1 s after a product, and take a core from whoever comes next
)
MOST_CALLS = 20_000
LONG = 10.0  # seconds: a first round that took longer counts, for what it warms up is small beside it


def host(call: Call, times: int) -> float:
    """Seconds of one call by the clock on the wall."""
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def cupy_events(call: Call, times: int) -> float:
    """Seconds of one call by the device's own clock, CuPy's stream."""
    cuda = importlib.import_module("cupy").cuda
    start, end = cuda.Event(), cuda.Event()
    start.record()
    for _ in range(times):
        call()
    end.record()
    end.synchronize()
    return float(cuda.get_elapsed_time(start, end)) / 1000 / times


def torch_events(call: Call, times: int) -> float:
    """Seconds of one call by the device's own clock, PyTorch's stream."""
    cuda = importlib.import_module("torch").cuda
    start, end = (cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(times):
        call()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1000 / times


def alternating(calls: Sequence[tuple[Call, Clock]], rounds: int) -> list[list[float]]:
    """Seconds of each call in each round. First ones warm up, and say how often short calls are to be repeated."""
    first = [clock(call, 1) for call, clock in calls]
    if sum(first) > LONG:
        counted = [[seconds] for seconds in first]
    else:
        first = [min(seconds, clock(call, 1)) for seconds, (call, clock) in zip(first, calls, strict=True)]
        counted = [[] for _ in first]
    for _ in range(rounds - len(counted[0])):
        for (call, clock), seconds, column in zip(calls, first, counted, strict=True):
            _settle(call, seconds)
            column.append(clock(call, _times(TIMED, seconds)))
    return counted


def _settle(call: Call, seconds: float) -> None:
    """Until all is quiet: what is short is called as in a loop of its own, before what is long there is a rest."""
    if seconds > SETTLED:
        time.sleep(SETTLED)
        return
    for _ in range(_times(SETTLED, seconds)):
        call()


def _times(span: float, seconds: float) -> int:
    return max(1, min(MOST_CALLS, math.ceil(span / max(seconds, 1e-9))))


def clocks(device: str) -> tuple[Clock, Clock]:
    """Of our side and of PyTorch's."""
    return (cupy_events, torch_events) if device == "gpu" else (host, host)


def array_module(device: str) -> Any:
    """NumPy, or CuPy where the device is one."""
    return importlib.import_module("cupy" if device == "gpu" else "numpy")
