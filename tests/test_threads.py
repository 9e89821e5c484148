"""Threads: how many, that all tasks run once, who may call from where, and that BLAS never takes more than one each."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import threadpoolctl

import unet_ref
from unet_ref import ops, threads
from unet_ref.threads import one_blas_thread, parallel


@pytest.fixture(autouse=True)
def _as_found(monkeypatch):
    monkeypatch.setattr(threads._threads, "said", None)
    monkeypatch.delenv("UNET_REF_NUM_THREADS", raising=False)


def blas_threads():
    return {lib["num_threads"] for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"}


def python(code):
    environment = {**os.environ, "UNET_REF_NUM_THREADS": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_by_default_one_thread_for_each_core_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert unet_ref.get_num_threads() == 3
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert unet_ref.get_num_threads() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert unet_ref.get_num_threads() == 1


def test_the_function_goes_before_the_environment_variable(monkeypatch):
    monkeypatch.setenv("UNET_REF_NUM_THREADS", "5")
    assert unet_ref.get_num_threads() == 5
    unet_ref.set_num_threads(np.int64(4))
    assert unet_ref.get_num_threads() == 4


@pytest.mark.parametrize("count", [0, -2, 1.5, "many", None])
def test_a_number_of_threads_is_an_integer_of_at_least_one(count, monkeypatch):
    with pytest.raises(ValueError, match=r"^set_num_threads: the number of threads \(.*\) must be an integer of at "):
        unet_ref.set_num_threads(count)
    monkeypatch.setenv("UNET_REF_NUM_THREADS", str(count))
    with pytest.raises(ValueError, match=r"^UNET_REF_NUM_THREADS: the number of threads \('.*'\) must be an integer"):
        unet_ref.get_num_threads()


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("tasks", [0, 1, 2, 50])
def test_every_task_runs_once(count, tasks):
    unet_ref.set_num_threads(count)
    done = []
    parallel(done.append, iter(range(tasks)))
    assert sorted(done) == list(range(tasks))


def test_as_many_threads_work_as_were_asked_for():
    unet_ref.set_num_threads(3)
    together = threading.Barrier(3, timeout=30)
    parallel(lambda _: together.wait(), range(3))  # returns only if three tasks run at once


@pytest.mark.parametrize("count", [1, 3])
def test_an_exception_ends_the_work_and_is_raised_here(count):
    unet_ref.set_num_threads(count)
    done = []

    def work(task):
        time.sleep(0.001)
        if task == 4:
            raise KeyError("task 4")
        done.append(task)

    with pytest.raises(KeyError, match="task 4"):
        parallel(work, range(1000))
    assert len(done) < 20
    assert threads._threads.running == 0
    parallel(done.append, range(2000, 2010))  # and the next work is not disturbed
    assert set(range(2000, 2010)) <= set(done)


def test_an_exception_of_a_helper_is_raised_too():
    unet_ref.set_num_threads(2)
    caller, both = threading.current_thread(), threading.Barrier(2, timeout=30)

    def work(_):
        both.wait()
        if threading.current_thread() is not caller:
            raise KeyError("from the helper")

    with pytest.raises(KeyError, match="from the helper"):
        parallel(work, range(2))


def test_after_an_exception_no_helper_is_at_work_any_more():
    unet_ref.set_num_threads(2)
    caller, both, done = threading.current_thread(), threading.Barrier(2, timeout=30), []

    def work(_):
        both.wait()
        if threading.current_thread() is caller:
            raise KeyError("from the caller")
        time.sleep(0.05)
        done.append("helper")

    with pytest.raises(KeyError, match="from the caller"):
        parallel(work, range(2))
    assert done == ["helper"]


def test_tasks_within_tasks_run_where_they_are():
    unet_ref.set_num_threads(3)
    outer, inner = {}, {}

    def work(task):
        outer[task] = threading.get_ident()
        parallel(lambda k: inner.__setitem__((task, k), threading.get_ident()), range(5))

    parallel(work, range(8))
    assert inner == {(task, k): ident for task, ident in outer.items() for k in range(5)}


def test_callers_on_several_threads_share_the_helpers():
    """Each gets its own work done, and once they all call there are no more threads at work than callers and helpers."""
    unet_ref.set_num_threads(2)
    at_work, most, lock = [0], [0], threading.Lock()

    def work(item):
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        time.sleep(0.0005)
        item[0][item[1]] += 1
        with lock:
            at_work[0] -= 1

    def caller(_):
        counts = [0] * 40
        parallel(work, [(counts, k) for k in range(40)])
        return counts

    with ThreadPoolExecutor(4) as executor:
        assert list(executor.map(caller, range(12))) == [[1] * 40] * 12
    assert most[0] <= 5
    assert threads._threads.running == 0


def test_helpers_see_the_error_state_of_the_caller():
    """Under ``filterwarnings = error`` an overflow in a helper would raise."""
    unet_ref.set_num_threads(3)
    together = threading.Barrier(3, timeout=30)

    def overflow(_):
        together.wait()
        np.float32(3e38) * np.float32(10)

    with np.errstate(over="ignore"):
        parallel(overflow, range(3))


def test_the_pool_follows_the_setting():
    for count in (2, 4, 3):
        unet_ref.set_num_threads(count)
        together = threading.Barrier(count, timeout=30)
        parallel(lambda _, together=together: together.wait(), range(count))


def test_a_matrix_product_has_one_blas_thread_while_anybody_asks_for_it():
    before = blas_threads()
    with one_blas_thread():
        assert blas_threads() == {1}
        with one_blas_thread():
            pass
        assert blas_threads() == {1}  # the first is still here
    assert blas_threads() == before


def test_the_last_to_leave_gives_blas_its_threads_back():
    before, entered, leave = blas_threads(), threading.Event(), threading.Event()

    def other():
        with one_blas_thread():
            entered.set()
            leave.wait(30)

    thread = threading.Thread(target=other)
    with one_blas_thread():
        thread.start()
        assert entered.wait(30)
    assert blas_threads() == {1}
    leave.set()
    thread.join()
    assert blas_threads() == before


class FakeBlas:
    """A library with one number for the process, or one for each thread."""

    def __init__(self, of_each_thread):
        self.numbers = threading.local() if of_each_thread else type("Shared", (), {})()
        self.library = threads._Library(self.get, self.set, of_each_thread)

    def get(self):
        return getattr(self.numbers, "value", 8)

    def set(self, number):
        self.numbers.value = number


def test_a_blas_with_a_number_for_each_thread_has_one_in_helpers_too(monkeypatch):
    shared, own = FakeBlas(of_each_thread=False), FakeBlas(of_each_thread=True)
    monkeypatch.setattr(threads._blas, "libraries", [shared.library, own.library])
    unet_ref.set_num_threads(3)
    seen, together = [], threading.Barrier(3, timeout=30)

    def work(_):
        together.wait()
        seen.append((shared.get(), own.get()))

    with one_blas_thread():
        parallel(work, range(3))
    assert seen == [(1, 1)] * 3
    assert (shared.get(), own.get()) == (8, 8)


def test_operations_inside_somebodys_executor(rng):
    unet_ref.set_num_threads(2)
    x, weight = rng.standard_normal((4, 16, 40, 40)), rng.standard_normal((16, 16, 3, 3))
    expected, before = ops.conv2d(x, weight), blas_threads()
    with ThreadPoolExecutor(3) as executor:
        for y in executor.map(lambda _: ops.conv2d(x, weight), range(12)):
            np.testing.assert_array_equal(y, expected)
    assert blas_threads() == before


WORK = """
import os, numpy as np, threadpoolctl
from unet_ref import ops, threads
x, weight = np.ones((2, 8, 50, 50)), np.ones((8, 8, 3, 3))
def check():
    assert (ops.conv2d(x, weight) == 72).all()
"""


def test_after_a_fork_nobody_is_left_of_those_who_held_locks(monkeypatch):
    before = blas_threads()
    monkeypatch.setattr(threads, "_blas", threads._OneBlasThread())
    monkeypatch.setattr(threads, "_threads", threads._Threads())
    unet_ref.set_num_threads(2)
    threads._after_fork()  # when nothing was going on
    threads._blas.__enter__()
    threads._blas.lock.acquire()
    threads._threads.lock.acquire()
    threads._threads.running = 2
    threads._inside.parallel = True
    threads._after_fork()
    assert blas_threads() == before
    assert (threads._threads.running, threads._threads.said) == (0, 2)
    together = threading.Barrier(2, timeout=30)
    with one_blas_thread():
        parallel(lambda _: together.wait(), range(2))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_helpers_of_its_own():
    code = """
check()
with threads.one_blas_thread():  # fork while another thread might be in here
    pid = os.fork()
    if pid == 0:
        check()
        assert threads._threads.running == 0 and threads._blas.users == 0
        os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
check()
print("both")
"""
    assert python("import warnings; warnings.simplefilter('ignore')\n" + WORK + code) == "both\n"


def test_at_the_interpreters_end_the_caller_works_alone():
    code = """
import atexit
check()
@atexit.register
def late():
    check()
    print("late")
"""
    assert python(WORK + code) == "late\n"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux alone lets a thread choose its cores")
def test_a_helper_leaves_the_core_of_who_woke_it(monkeypatch):
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("there is one core")
    core = min(before)
    for here, inside in ((core, before - {core}), (max(before), before)):
        monkeypatch.setattr(threads, "_core", lambda here=here: here)
        with threads._elsewhere(core):
            assert os.sched_getaffinity(0) == inside
        assert os.sched_getaffinity(0) == before
    with threads._elsewhere(-1):  # where nobody knows
        assert os.sched_getaffinity(0) == before


def test_which_core_that_is(monkeypatch):
    if hasattr(os, "sched_getaffinity"):
        assert threads._core() in os.sched_getaffinity(0)
    monkeypatch.setattr("ctypes.PyDLL", lambda _: object())  # a system without such a function
    assert threads._core_of_thread.__wrapped__()() == -1


def test_where_nobody_may_choose_a_core(monkeypatch):
    """A sandbox may forbid it: then the helper stays where it is."""

    def refused(*_):
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(threads, "_core", lambda: 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", refused, raising=False)
    with threads._elsewhere(0):
        pass
    monkeypatch.setattr(os, "sched_getaffinity", refused)
    with threads._elsewhere(0):
        pass
