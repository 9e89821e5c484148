"""How many threads the operations use, and the one way in which they use them.

    parallel(function, tasks)      function(task) for every task, spread over the threads
    with one_blas_thread(): ...    a matrix product in here runs on the thread that asks for it

NumPy lets go of the interpreter's lock inside matrix products, copies and elementwise loops, so that plain threads
work side by side. What a task is must not depend on how many threads there are: then the bits do not either.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

T = TypeVar("T")


def set_num_threads(count: int) -> None:
    """Let operations use ``count`` threads: the one that calls, and ``count - 1`` helpers. Results keep their bits."""
    _threads.said = _at_least_one("set_num_threads", count)


def get_num_threads() -> int:
    """What ``set_num_threads`` said; else ``UNET_REF_NUM_THREADS``; else the cores that this process may use."""
    if _threads.said is not None:
        return _threads.said
    variable = os.environ.get("UNET_REF_NUM_THREADS")
    if variable:
        return _at_least_one("UNET_REF_NUM_THREADS", variable)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _at_least_one(name: str, value: Any) -> int:
    try:
        count = int(value) if isinstance(value, str) else int(value.__index__())
    except (AttributeError, ValueError):
        count = 0
    if count < 1:
        raise ValueError(f"{name}: the number of threads ({value!r}) must be an integer of at least 1")
    return count


def parallel(function: Callable[[T], object], tasks: Iterable[T]) -> None:
    """``function(task)`` for every task; returns when all are done. In which order they run is not defined.

    Every task writes its own part of a result that is there already, so that nothing has to be joined. The calling
    thread works too: it never waits for helpers that are busy elsewhere. A task that calls ``parallel`` itself runs
    its own tasks one after another. An exception ends the work and is raised here. Worth it from some 50 microseconds
    of work in a task; with one task, or one thread, it is a plain loop.

    >>> import numpy as np
    >>> x = np.arange(6.0).reshape(3, 2)
    >>> y = np.empty_like(x)
    >>> parallel(lambda n: np.negative(x[n], out=y[n]), range(3))
    >>> y[2]
    array([-4., -5.])
    """
    todo = deque(tasks)

    def work() -> None:
        _inside.parallel = True
        try:
            for task in _taken(todo):
                function(task)
        finally:
            todo.clear()  # after an exception nobody begins another task
            _inside.parallel = False

    if len(todo) < 2 or get_num_threads() == 1 or getattr(_inside, "parallel", False):
        for task in todo:
            function(task)
        return
    with _threads.helping(work, len(todo) - 1) as helpers:
        work()
    for helper in helpers:
        helper.result()  # raises what was raised there


def _taken(todo: deque[T]) -> Iterator[T]:
    """Takes tasks until none is left: ``popleft`` is atomic."""
    while True:
        try:
            task = todo.popleft()
        except IndexError:
            return
        yield task


class _Threads:
    """The helpers that all callers of this process share."""

    said: int | None = None  # by set_num_threads

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pool: ThreadPoolExecutor | None = None
        self.size = 0
        self.running = 0  # callers and helpers

    @contextlib.contextmanager
    def helping(self, work: Callable[[], None], most: int) -> Iterator[list[Future[None]]]:
        """Lets up to ``most`` helpers run ``work`` along with the caller; the list that it gives is full at the end.

        Only as many as are free: where several threads call operations at once, each has fewer helpers, or none.
        """
        with self.lock:
            self.running += 1
            count = max(0, min(most, get_num_threads() - self.running))
            self.running += count
            pool = self._pool() if count else None
        futures: list[Future[None]] = []
        begun: list[Future[None]] = []
        try:
            if pool is not None:
                with contextlib.suppress(RuntimeError):  # the interpreter is about to end: the caller works alone
                    # NumPy's error state lives in the context: each helper has a copy of the caller's
                    futures.extend(pool.submit(contextvars.copy_context().run, work) for _ in range(count))
            yield begun
        finally:
            begun += [future for future in futures if not future.cancel()]
            for future in begun:
                future.exception()  # waits
            with self.lock:
                self.running -= 1 + count

    def _pool(self) -> ThreadPoolExecutor:
        """A pool of the size asked for; one of another size is left to those who use it, and ends with them."""
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

        size = get_num_threads() - 1
        if self.pool is None or self.size != size:
            self.pool, self.size = ThreadPoolExecutor(size, thread_name_prefix="unet_ref"), size
        return self.pool


class _OneBlasThread:
    """BLAS has one number of threads for the whole process: the first who comes lowers it, the last restores it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.controller: Any = None
        self.lowered: Any = None

    def __enter__(self) -> None:
        with self.lock:
            if self.controller is None:
                from threadpoolctl import ThreadpoolController  # noqa: PLC0415

                self.controller = ThreadpoolController()  # looks through all loaded libraries: once
            if self.users == 0:
                self.lowered = self.controller.limit(limits=1, user_api="blas")
            self.users += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.users -= 1
            if self.users == 0:
                self.restore()

    def restore(self) -> None:
        """Gives BLAS its threads back."""
        if self.lowered is not None:
            self.lowered.restore_original_limits()
            self.lowered = None


_threads = _Threads()
_blas = _OneBlasThread()
_inside = threading.local()  # .parallel: this thread is at work on somebody's tasks


def one_blas_thread() -> contextlib.AbstractContextManager[None]:
    """Matrix products in here run on the calling thread: threads come from ``parallel`` alone.

    Their bits then do not depend on how many threads BLAS would use. The setting is the whole process's: products of
    other threads have one BLAS thread meanwhile, too. It costs about 10 microseconds.
    """
    return _blas


def _after_fork() -> None:
    """A child process has none of its parent's threads, and nobody who would release its locks."""
    _blas.restore()
    _blas.__init__()  # type: ignore[misc]
    _threads.__init__()  # type: ignore[misc]
    _inside.parallel = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
