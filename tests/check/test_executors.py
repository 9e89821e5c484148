"""The same report, bit for bit, with any executor or none."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from unet_ref import gradcheck, ops
from unet_ref.check.exact import rational


@pytest.fixture
def layer(rng):
    shapes = (3, 4, 7, 6), (6, 2, 3, 2), (6,)
    options = {"padding": ((1, 0), (2, 1)), "stride": (2, 1), "groups": 2}
    return partial(ops.conv2d, **options), partial(ops.conv2d_backward, **options), *map(rng.standard_normal, shapes)


def wrong_dweight(grad_output, *arrays):
    grads = ops.conv2d_backward(grad_output, *arrays)
    grads.weight[2, 1, 0, 1] *= 1.0005
    return grads


def check_everything(executor, layer, rng):
    """Affine, complex and central differences, kinks, directions, dual numbers: all that is ever handed out."""
    for options in ({}, {"method": "complex"}, {"method": "complex", "batch": "never"}, {"directions": 3}):
        serial = gradcheck(*layer, **options)
        assert serial
        assert gradcheck(*layer, **options, executor=executor).rows == serial.rows

    x = rng.standard_normal((3, 2, 4, 4))
    x[1, 0, 2, 3] = 0.0
    serial = gradcheck(ops.relu, ops.relu_backward, x, method="differences")
    assert gradcheck(ops.relu, ops.relu_backward, x, method="differences", executor=executor).rows == serial.rows
    assert "kink at x[1, 0, 2, 3]" in serial.kinks[0].detail

    exact = rational(rng, (2, 4, 3))
    assert isinstance(exact[0, 0, 0], Fraction)
    serial = gradcheck(ops.relu, ops.relu_backward, exact)
    assert gradcheck(ops.relu, ops.relu_backward, exact, executor=executor).rows == serial.rows


def test_threads(layer, rng):
    with ThreadPoolExecutor(3) as executor:
        check_everything(executor, layer, rng)


def test_threads_find_the_same_mistake(layer):
    x, weight, bias = layer[2:]
    arrays = x, np.concatenate([weight, weight], axis=1), bias
    serial = gradcheck(ops.conv2d, wrong_dweight, *arrays)
    with ThreadPoolExecutor(2) as executor:
        report = gradcheck(ops.conv2d, wrong_dweight, *arrays, executor=executor)
    assert report.rows == serial.rows
    assert "weight[2, 1, 0, 1]: gradient" in report.failures[0].detail


def test_spawned_processes(layer, rng):
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        check_everything(executor, layer, rng)


def test_dask(layer, rng):
    distributed = pytest.importorskip("dask.distributed")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        check_everything(client.get_executor(), layer, rng)
