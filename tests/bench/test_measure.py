"""What is timed, in which order, and what is made of the seconds."""

import json
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import threadpoolctl
from bench import fake_torch

import unet_ref
from unet_ref import spec
from unet_ref.bench import KNOWN, Row, clock, growth, jobs, machine, measure, read, rows
from unet_ref.bench.networks import network
from unet_ref.bench.operations import operation
from unet_ref.bench.sizes import ARGUMENTS, Job, case
from unet_ref.check.table import OPERATIONS
from unet_ref.models import MODELS
from unet_ref.models.plan import plan


@pytest.fixture
def torch(monkeypatch):
    made = fake_torch.make()
    monkeypatch.setitem(sys.modules, "torch", made)
    return made


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """No rest, no repetitions, a small matrix."""
    monkeypatch.setattr(clock, "SETTLED", 0.0)
    monkeypatch.setattr(clock, "TIMED", 0.0)
    monkeypatch.setattr(machine, "MATRIX", {"cpu": 5, "gpu": 7})


class TestRounds:
    def log(self, seconds):
        """Calls and clocks that write down when they are called; clocks answer what they are told."""
        calls = []

        def clock_of(name):
            def measured(call, times):
                calls.append((name, times))
                return seconds[name]

            return measured

        return calls, [(lambda name=name: calls.append(name), clock_of(name)) for name in seconds]

    def test_alternate_and_the_first_only_warm_up(self):
        calls, pairs = self.log({"ours": 0.5, "theirs": 0.003, "limit": 1e-9})
        found = clock.alternating(pairs, 2)
        assert found == [[0.5, 0.5], [0.003, 0.003], [1e-9, 1e-9]]
        timed = [call for call in calls if isinstance(call, tuple)]
        assert timed == [("ours", 1), ("theirs", 1), ("limit", 1)] * 4

    def test_what_is_short_is_repeated(self, monkeypatch):
        monkeypatch.setattr(clock, "TIMED", 0.02)
        calls, pairs = self.log({"ours": 0.5, "theirs": 0.003, "limit": 1e-9})
        clock.alternating(pairs, 1)
        timed = [call for call in calls if isinstance(call, tuple)]
        assert timed[6:] == [("ours", 1), ("theirs", 7), ("limit", clock.MOST_CALLS)]

    def test_the_faster_of_two_says_how_often(self, monkeypatch):
        """A first call may find its libraries not loaded yet."""
        monkeypatch.setattr(clock, "TIMED", 1.0)
        seconds, asked = iter([0.5, 0.1, 0.2]), []
        clock.alternating([(lambda: None, lambda _, times: asked.append(times) or next(seconds))], 1)
        assert asked == [1, 1, 10]

    def test_a_long_first_round_counts(self):
        calls, pairs = self.log({"ours": 6.0, "theirs": 5.0})
        assert clock.alternating(pairs, 2) == [[6.0, 6.0], [5.0, 5.0]]
        assert [call for call in calls if isinstance(call, tuple)] == [("ours", 1), ("theirs", 1)] * 2
        assert clock.alternating(pairs, 1) == [[6.0], [5.0]]

    def test_all_is_quiet_before(self, monkeypatch):
        """What is short runs for itself a while; before what is long there is a rest."""
        slept = []
        monkeypatch.setattr(clock, "SETTLED", 0.25)
        monkeypatch.setattr(clock.time, "sleep", slept.append)
        calls, pairs = self.log({"long": 1.0, "short": 0.1})
        clock.alternating(pairs, 2)
        assert slept == [0.25] * 2
        assert calls[4:] == [("long", 1), "short", "short", "short", ("short", 1)] * 2

    def test_the_clock_on_the_wall(self, monkeypatch):
        now = iter([10.0, 16.0])
        monkeypatch.setattr(clock.time, "perf_counter", lambda: next(now))
        called = []
        assert clock.host(lambda: called.append(1), 4) == 1.5
        assert len(called) == 4


class TestSizes:
    def test_every_operation_and_network_has_some(self):
        assert set(ARGUMENTS) == set(OPERATIONS)
        assert set(KNOWN) == {*OPERATIONS, *MODELS}
        assert all(len(jobs(name)) == 4 for name in KNOWN)

    @pytest.mark.parametrize("name", list(MODELS))
    def test_networks_take_them(self, name):
        for job in (*jobs(name), *(job for part in growth(name).values() for job in part)):
            model = MODELS[name].create(**dict(job.options))
            assert model.output_shape(job.shape)[0] == job.shape[0]
            assert model.layers[next(iter(model.layers))].parameters()["weight"][1] == job.shape[1]

    @pytest.mark.parametrize("name", list(KNOWN))
    def test_one_thing_grows_at_a_time(self, name):
        series = growth(name)
        pixels = [job.shape[2] * job.shape[3] for job in series["pixels"]]
        assert pixels == sorted(set(pixels))
        assert {job.shape[:2] for job in series["pixels"]} == {(1, series["pixels"][0].shape[1])}
        assert [job.shape[0] for job in series["batch"]] == [1, 2, 4, 8, 16]
        assert len({job.shape[1:] for job in series["batch"]}) == 1
        if name != "context_unet":
            assert pixels[-1] == 1024**2
            assert not any(job.options for part in series.values() for job in part)

    @pytest.mark.parametrize("name", list(OPERATIONS))
    def test_the_definition_takes_the_arguments(self, name):
        job = Job(name, (2, 8, 4, 4)) if name != "linear" else Job(name, (1, 1, 2, 2))
        drawn = case(job, "float64")
        again = case(job, "float64")
        y = getattr(spec, name)(*drawn.arrays.values(), **drawn.options)
        ours = OPERATIONS[name].forward(*again.arrays.values(), **again.options)
        np.testing.assert_allclose(np.asarray(ours), np.asarray(y, dtype=float), atol=1e-12)

    def test_what_a_size_is_called(self):
        assert str(Job("unet", (1, 3, 32, 64))) == "1x3x32x64"
        assert str(Job("context_unet", (2, 3, 16, 16), (("n_feat", 8), ("height", 16)))) == "2x3x16x16, width 8"


SMALL = {name: Job(name, (2, 8, 4, 4)) for name in OPERATIONS} | {
    "unet2": Job("unet2", (2, 1, 6, 4), (("base_channels", 3),)),
    "context_unet": Job("context_unet", (2, 3, 16, 16), (("n_feat", 8), ("height", 16))),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", list(SMALL))
def test_both_sides_compute_the_same(name, dtype, torch):
    """Forward to forward, both to both: nobody is timed at less work."""
    made = (network if name in MODELS else operation)(SMALL[name], dtype, "cpu", beside_torch=True)
    passes = {"forward"} if name == "batch_norm_running_stats" else {"forward", "both"}
    assert made.ours.keys() == made.theirs.keys() == made.work.keys() & passes
    ours, theirs = made.ours["forward"](), made.theirs["forward"]()
    for one, other in zip(flat(ours), flat(theirs), strict=True):
        np.testing.assert_allclose(one, other.view(np.ndarray), rtol=1e-5, atol=1e-5)
        assert one.dtype == dtype
    if "both" in passes:
        (y, ours), (theirs, grads) = made.ours["both"](), made.theirs["both"]()
        np.testing.assert_allclose(y, theirs.view(np.ndarray), rtol=1e-5, atol=1e-5)  # of a network in training mode
        found = [*ours.params.values(), *ours.inputs.values()] if name in MODELS else flat(ours)
        assert [a.shape for a in found if a is not None] == [a.shape for a in grads]


def flat(value):
    return tuple(value) if isinstance(value, tuple) else (value,)


class TestWork:
    @pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d", "linear"])
    def test_products_are_counted_one_by_one(self, name):
        """An operation of ones tells how many terms each output sums; padding's zeros count, so none is padded here."""
        job = Job(name, (2, 4, 6, 6))
        drawn = case(job, "float64")
        ones = {key: np.ones_like(array) for key, array in drawn.arrays.items() if key != "bias"}
        options = {key: value for key, value in drawn.options.items() if key != "padding"}
        if name == "conv2d":  # what padding=1 would give, of an image with a frame of ones
            ones["x"] = np.ones((2, 4, 8, 8))
        terms = OPERATIONS[name].forward(*ones.values(), **options).sum()
        work = operation(job, "float64", "cpu", beside_torch=False).work
        assert work == {"forward": 2 * terms, "both": 6 * terms}

    def test_bytes_that_have_to_move(self):
        size = 2 * 8 * 4 * 4 * 8  # bytes of the image
        for name, forward, back in (
            ("relu", 2, 3),  # x, y; dy, x, dx
            ("concat", 2, 2),  # its backward pass reads no argument
            ("max_pool2d", 1.25, 2.25),
            ("mse_loss", 2 + 8 / size, 4 + 8 / size),
        ):
            work = operation(SMALL[name], "float64", "cpu", beside_torch=False).work
            assert work == {"forward": forward * size, "both": (forward + back) * size}, name

    def test_networks_by_their_plan(self):
        job = SMALL["unet2"]
        made = network(job, "float32", "cpu", beside_torch=False)
        products = plan(MODELS["unet2"].create(base_channels=3), job.shape).multiply_adds
        assert made.work == {"forward": 2 * products, "both": 6 * products}
        assert made.theirs == {}
        assert made.limit.kind == "product"


class TestMachine:
    def test_a_product(self):
        limit = machine.product("float32", "cpu")
        assert limit.work == 2 * 5**3
        result = limit.call()
        assert (result.shape, result.dtype) == ((5, 5), np.float32)

    @pytest.mark.parametrize("size", [0, 3, 3_000_001])
    def test_a_copy(self, size):
        array = np.arange(float(size)).reshape(-1, 1)[::-1]
        limit = machine.copying(array)
        copied = limit.call()
        np.testing.assert_array_equal(copied, array.ravel())
        assert not np.shares_memory(copied, array)
        assert limit.work == 16 * size

    def test_on_a_device_it_copies_itself(self):
        array = SimpleNamespace(nbytes=24, copy=lambda: "copied")
        limit = machine.copying(array)
        assert (limit.call(), limit.work) == ("copied", 48)


class TestMeasure:
    def test_rows(self, torch, monkeypatch):
        (forward, both) = measure(SMALL["relu"], "float32", rounds=3)
        assert (forward.passes, both.passes) == ("forward", "both")
        assert forward.key == ("relu", "2x8x4x4", "float32", "forward")
        assert not forward.is_network
        for row in (forward, both):
            assert [len(column) for column in (row.ours, row.theirs, row.reference)] == [3, 3, 3]
        assert torch.threads == [3, *[unet_ref.get_num_threads(), 3] * 2]  # as many as we have, and back

    def test_alone(self):
        (row,) = measure(SMALL["batch_norm_running_stats"], "float64", rounds=2, beside_torch=False)
        assert (row.theirs, row.ratio) == ([], None)
        assert len(row.ours) == 2

    def test_one_pass(self):
        (row,) = measure(SMALL["unet2"], "float32", rounds=1, beside_torch=False, passes=["both"])
        assert (row.passes, row.is_network) == ("both", True)

    def test_blas_has_as_many_threads_as_we_do(self, monkeypatch):
        before, seen = unet_ref.get_num_threads(), []
        monkeypatch.setattr(rows, "alternating", lambda *_: seen.append(blas_threads()) or [[1.0], [1.0]])
        try:
            unet_ref.set_num_threads(1)
            list(measure(SMALL["relu"], "float32", beside_torch=False, passes=["forward"]))
        finally:
            unet_ref.set_num_threads(before)
        assert seen == [{1}]

    def test_on_a_device(self, torch, monkeypatch):
        """By the clocks of the two devices' own streams, each side by its own."""
        made = []

        class Event(fake_torch.Event):
            def __init__(self):
                made.append(self)

        cuda = SimpleNamespace(Event=Event, get_elapsed_time=lambda a, b: a.elapsed_time(b))
        cupy = SimpleNamespace(cuda=cuda, ndarray=type(None), asarray=On, matmul=np.matmul, empty_like=np.empty_like)
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        (forward, both) = measure(SMALL["relu"], "float32", rounds=1, device="gpu")
        assert (forward.ours, both.theirs) == ([0.0], [0.0])
        assert len(made) == 2 * 2 * 3 * 2  # start and end, of ours and the limit, two warm-ups and a round, two passes
        (row,) = measure(SMALL["unet2"], "float32", rounds=1, device="gpu", passes=["forward"])
        assert row.reference_work == 2 * 7**3

    def test_a_device_s_clocks(self, torch, monkeypatch):
        events = SimpleNamespace(
            Event=lambda: fake_torch.Event(enable_timing=True), get_elapsed_time=lambda a, b: a.elapsed_time(b)
        )
        monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=events))
        monkeypatch.setattr(fake_torch.Event, "now", 0.0)

        def work():
            fake_torch.Event.now += 0.5

        assert clock.clocks("gpu") == (clock.cupy_events, clock.torch_events)
        assert clock.clocks("cpu") == (clock.host, clock.host)
        for events_of in clock.clocks("gpu"):
            assert events_of(work, 3) == pytest.approx(0.5)


class On(np.ndarray):
    """An array that CuPy would have: NumPy's, that gives itself to the host."""

    def __new__(cls, array):
        return np.asarray(array).view(cls)

    def get(self):
        return self.view(np.ndarray)


def blas_threads():
    return {found["num_threads"] for found in threadpoolctl.threadpool_info() if found["user_api"] == "blas"}


ROW = Row(
    "relu",
    "1x2x3x4",
    [1, 2, 3, 4],
    "float32",
    "both",
    "copy",
    12.0,
    6.0,
    [2.0, 4.0, 3.0],
    [3.0, 3.0, 9.0],
    [1.0, 1.0, 1.5],
)


class TestRow:
    def test_medians_of_what_was_taken_together(self):
        assert ROW.seconds == 3.0
        assert ROW.ratio == 1.5  # of 1.5, 0.75, 3
        assert ROW.share == 1.0  # of 6/6, 3/6, 4/4: work a second over the limit's

    def test_back_and_forth(self):
        document = json.loads(json.dumps(ROW.document()))
        assert document["ratio"] == 1.5
        assert document["share"] == 1.0
        again = read(document)
        assert again == ROW

    def test_rounds_of_another_run(self):
        row = read(ROW.document() | {"ours": [2.0], "theirs": [1.0], "reference": [1.0]})
        row.merge(ROW)
        assert row.ours == [2.0, 2.0, 4.0, 3.0]
        assert row.theirs == [1.0, 3.0, 3.0, 9.0]
        assert len(row.reference) == 4
        assert math.isclose(row.ratio, 1.125)  # of 0.5, 1.5, 0.75, 3
