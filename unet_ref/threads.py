"""How many threads the operations use, and the one way in which they use them.

    parallel(function, tasks)      function(task) for every task, spread over the threads
    with one_blas_thread(): ...    a matrix product in here runs on the thread that asks for it

NumPy lets go of the interpreter's lock inside matrix products, copies and elementwise loops, so that plain threads
work side by side. What a task is must not depend on how many threads there are: then the bits do not either.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

T = TypeVar("T")

AWAKE = 3e-4  # seconds
NUMBERS = np.linspace(1, 2, 4096)
let_others: Callable[[], object] = getattr(os, "sched_yield", lambda: time.sleep(0))  # who share this core


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


def _help(work: Callable[[], None], core: int) -> None:
    with one_blas_thread(), _elsewhere(core):  # where BLAS has a number for each thread, the caller's is not this one's
        work()


@contextlib.contextmanager
def _elsewhere(core: int) -> Iterator[None]:
    """Not on the caller's core, on which Linux lets a thread begin that was asleep and that the caller woke.

    For some milliseconds both would share it, and that is as long as most operations take.
    """
    allowed = None
    if core >= 0 and core == _core():
        with contextlib.suppress(OSError):  # not everybody may ask
            allowed = os.sched_getaffinity(0)
            os.sched_setaffinity(0, allowed - {core} or allowed)
    try:
        yield
    finally:
        if allowed is not None:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, allowed)


@functools.cache
def _core_of_thread() -> Callable[[], int]:
    import ctypes  # noqa: PLC0415

    try:
        core: Callable[[], int] = ctypes.PyDLL(None).sched_getcpu
    except (AttributeError, OSError, TypeError):  # not Linux
        return lambda: -1
    return core


def _core() -> int:
    """The core that the calling thread is on; -1 where nobody knows."""
    return _core_of_thread()()


def _wait(future: Future[None]) -> None:
    """Until it is done: for a moment awake, since to be woken takes as long as many a task."""
    deadline = time.perf_counter() + AWAKE
    while not future.done() and time.perf_counter() < deadline:
        np.sqrt(NUMBERS)  # some microseconds without the interpreter's lock, which the helpers need
        let_others()
    future.exception()


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
                    core = _core()
                    futures.extend(pool.submit(contextvars.copy_context().run, _help, work, core) for _ in range(count))
            yield begun
        finally:
            begun += [future for future in futures if not future.cancel()]
            for future in begun:
                _wait(future)
            with self.lock:
                self.running -= 1 + count

    def _pool(self) -> ThreadPoolExecutor:
        """A pool of the size asked for; one of another size is left to those who use it, and ends with them."""
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

        size = get_num_threads() - 1
        if self.pool is None or self.size != size:
            self.pool, self.size = ThreadPoolExecutor(size, thread_name_prefix="unet_ref"), size
        return self.pool


class _Library(NamedTuple):
    """How to get and set the number of threads of one BLAS library."""

    get: Callable[[], int]
    set: Callable[[int], object]
    of_each_thread: bool


class _OneBlasThread:
    """One BLAS thread as long as anybody is in here.

    Most libraries have one number for the process: the first who comes notes and lowers it, the last who goes restores
    it. OpenBLAS on top of OpenMP has one for each thread, which each thread lowers and restores for itself.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.libraries: list[_Library] | None = None
        self.users = 0
        self.noted: list[tuple[_Library, int]] = []

    def __enter__(self) -> None:
        with self.lock:
            if self.libraries is None:
                self.libraries = _blas_libraries()
            if self.users == 0:
                self.noted = _lower(library for library in self.libraries if not library.of_each_thread)
            self.users += 1
        _inside.__dict__.setdefault("noted", []).append(
            _lower(library for library in self.libraries if library.of_each_thread)
        )

    def __exit__(self, *_: object) -> None:
        _restore(_inside.noted.pop())
        with self.lock:
            self.users -= 1
            if self.users == 0:
                _restore(self.noted)


def _lower(libraries: Iterable[_Library]) -> list[tuple[_Library, int]]:
    noted = [(library, library.get()) for library in libraries]
    for library, _ in noted:
        library.set(1)
    return noted


def _restore(noted: list[tuple[_Library, int]]) -> None:
    for library, number in noted:
        library.set(number)


def _blas_libraries() -> list[_Library]:
    from threadpoolctl import ThreadpoolController  # noqa: PLC0415

    return [
        _Library(
            found.get_num_threads,
            # threadpoolctl lets only the first thread set OpenBLAS's number and ignores others in silence, but the
            # last who goes from here need not be the first who came
            getattr(found, "_real_set_num_threads", found.set_num_threads),
            getattr(found, "threading_layer", None) == "openmp",
        )
        for found in ThreadpoolController().lib_controllers  # looks through all libraries: some milliseconds
        if found.user_api == "blas" and found.get_num_threads() is not None
    ]


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
    if _blas.users:
        _restore(_blas.noted)
    _blas.__init__()  # type: ignore[misc]
    _threads.__init__()  # type: ignore[misc]
    _inside.parallel = False


getattr(os, "register_at_fork", lambda **_: None)(after_in_child=_after_fork)  # Windows has no fork
