"""How time is taken: calls one after another, round by round, so that what else the machine does meets all alike."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

Call: TypeAlias = Callable[[], object]
Clock: TypeAlias = Callable[[Call, int], float]  # a call, how many times -> seconds of one

SHORTEST = 0.02  # seconds: what is shorter is called several times
MOST_CALLS = 200
REST = 0.03  # before each: helpers of BLAS and of OpenMP spin for a while after their work, and take a core
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
    """Seconds of each call in each round. A first round warms up, and says how often short calls are to be repeated."""

    def rested(call: Call, clock: Clock, times: int) -> float:
        time.sleep(REST)
        return clock(call, times)

    first = [rested(call, clock, 1) for call, clock in calls]
    times = [max(1, min(MOST_CALLS, math.ceil(SHORTEST / max(seconds, 1e-9)))) for seconds in first]
    counted = [[seconds] if sum(first) > LONG else [] for seconds in first]
    for _ in range(rounds - len(counted[0])):
        for (call, clock), repeat, column in zip(calls, times, counted, strict=True):
            column.append(rested(call, clock, repeat))
    return counted


def clocks(device: str) -> tuple[Clock, Clock]:
    """Of our side and of PyTorch's."""
    return (cupy_events, torch_events) if device == "gpu" else (host, host)


def array_module(device: str) -> Any:
    """NumPy, or CuPy where the device is one."""
    return importlib.import_module("cupy" if device == "gpu" else "numpy")
