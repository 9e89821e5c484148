"""What the interpreter's lock costs: half of a batch on each of two cores, by threads of one process and by processes.

    python benchmarks/lock.py [NAME ...] [--dtype float32]

The halves have nothing to do with each other, and each runs on one thread: forward and backward in training mode, at the
seeds' widths. So the second core should cost nothing, and between two processes it costs nothing. Two threads take turns
with the lock between their calls of NumPy.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from itertools import chain
from threading import Thread

from arguments import names_and_dtype

import unet_ref
from unet_ref.bench.networks import network
from unet_ref.bench.report import duration, markdown
from unet_ref.bench.sizes import NETWORKS
from unet_ref.threads import one_blas_thread

NAMES = "unet_film", "resnet50", "context_unet"  # whose batch has halves
SECONDS, LEAST = 4.0, 4  # of work for each way, and so many steps


def main():
    options = names_and_dtype(__doc__)
    print(table([measure(name, options.dtype) for name in options.names or NAMES]))


def measure(name, dtype):
    """Seconds of half a batch: alone, beside another thread with the other half, beside another process with it."""
    ways = {"alone": (1, 1), "threads": (1, 2), "processes": (2, 1)}
    return {"name": name, "dtype": dtype, **{way: at_work(name, dtype, *counts) for way, counts in ways.items()}}


def at_work(name, dtype, processes, threads):
    """The median over all steps of all workers, each on a core of its own, in processes that are new."""
    cores, context = sorted(os.sched_getaffinity(0)), multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(processes) as pool:
        start = manager.Barrier(processes * threads)
        shares = [(name, dtype, cores[k * threads : (k + 1) * threads], start) for k in range(processes)]
        return statistics.median(chain.from_iterable(pool.starmap(process, shares, chunksize=1)))


def process(name, dtype, cores, start):
    """Seconds of the steps of all threads of this process, one for each of these cores."""
    unet_ref.set_num_threads(1)
    found = []
    threads = [Thread(target=lambda c=core: found.extend(steps(name, dtype, c, start))) for core in cores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def steps(name, dtype, core, start):
    """Seconds of each of the steps that this thread makes while the other ones are at work, too."""
    os.sched_setaffinity(0, {core})
    step, seconds = half_step(name, dtype), []
    with one_blas_thread():
        step()
        start.wait()
        begin = time.perf_counter()
        while (before := time.perf_counter()) < begin + SECONDS or len(seconds) < LEAST:
            step()
            seconds.append(time.perf_counter() - before)
    return seconds[:-1]  # others may have ended meanwhile


def half_step(name, dtype):
    """Forward and backward of half of the batch, on the calling thread alone."""
    job = NETWORKS[name][0]
    half = job._replace(shape=(job.shape[0] // 2, *job.shape[1:]))
    return network(half, dtype, "cpu", beside_torch=False).ours["both"]


def table(rows):
    ways = ("alone", "threads", "processes")
    body = [[row["name"], row["dtype"], *(duration(row[way]) for way in ways)] for row in rows]
    header = ("network", "dtype", "half a batch alone", "beside a thread", "beside a process")
    return "\n".join(markdown(header, body, right=(2, 3, 4)))


if __name__ == "__main__":
    main()
