"""verify_operation: every link of every operation, and what it says when one breaks."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from check.planted.mistake import after, plant, spoil
from every_operation import each_operation

from unet_ref import ops
from unet_ref.check import verify_operation
from unet_ref.check.calls import subject_of
from unet_ref.check.report import FAILS, KINK
from unet_ref.check.table import OPERATIONS
from unet_ref.check.verify import merged


@each_operation
def test_every_link_holds(operation):
    rows = verify_operation(operation, 1, cases=2)
    assert all(row.holds for row in rows), [row for row in rows if not row.holds]
    assert {row.name for row in rows} == {operation.name}
    wanted = ["definition"]
    links = {(row.link, row.method) for row in rows}
    assert {(3, "definition"), (4, "float32"), (4, "float16")} <= links
    if operation.backward is not None:
        wanted += ["dual numbers", "behaviour", "complex step", "differences", "adjointness"]
        assert set(wanted) <= {method for _, method in links}
    exact = {row.method for row in rows if row.exact}
    if operation.arithmetic == "transcendental":
        assert not exact
        assert [row.bound for row in rows if row.method in ("dual numbers", "definition")] == [1e-40, 1e-40]
    else:
        assert {"dual numbers", "definition"} & {row.method for row in rows} <= exact
    assert all(row.elements > 0 for row in rows if row.method in wanted)


def test_the_same_seed_gives_the_same_rows():
    film = OPERATIONS["film"]
    assert verify_operation(film, 7, cases=1) == verify_operation(film, np.random.default_rng(7), cases=1)
    with ThreadPoolExecutor(2) as executor:
        assert executor.submit(verify_operation, film, 7, cases=1).result() == verify_operation(film, 7, cases=1)


def test_tasks_pickle():
    for operation in OPERATIONS.values():
        assert pickle.loads(pickle.dumps(operation)) == operation
    subject = subject_of(OPERATIONS["concat"], OPERATIONS["concat"].draw(np.random.default_rng(0)))
    again = pickle.loads(pickle.dumps(subject))
    np.testing.assert_array_equal(again.y(), subject.y())


def failures(operation, **options):
    return {row.method: row for row in verify_operation(operation, 0, **options) if not row.holds}


def test_what_raises_fails_and_is_said():
    def fragile(x):
        raise ZeroDivisionError("by 0")

    failed = failures(plant("relu", "raises", forward=fragile), cases=1)
    assert failed["definition"].detail == "raised ZeroDivisionError: by 0"
    assert failed["definition"].argument == "all"


def test_a_gradient_that_is_left_out_fails():
    forgetful = plant("conv2d", "no dx", backward=after("conv2d", lambda grads, *rest, **o: grads._replace(x=None)))
    failed = failures(forgetful)
    assert failed["behaviour"].argument == "x"
    assert failed["behaviour"].detail == "backward gave no gradient for it"


def test_a_wrong_shape_fails_beside_the_definition():
    flat = plant("sigmoid", "flat gradient", backward=after("sigmoid", spoil("x", lambda dx: dx[None])))
    failed = failures(flat)
    assert "x has shape (1, " in failed["definition"].detail
    assert "dtype, shape, finite" not in failed
    assert "the gradient of x has shape" in failed["behaviour"].detail


def test_a_float_among_exact_numbers_fails():
    def rounded(grads, grad_output, x, *rest, **options):
        if x.dtype != object:
            return grads
        return grads._replace(x=np.frompyfunc(float, 1, 1)(grads.x))

    failed = failures(plant("film", "float", "x", backward=after("film", rounded)))
    assert set(failed) == {"definition", "definition, ties"}


def test_fewer_digits_than_promised_fail():
    def short(x):
        y = ops.sigmoid(x)
        return y if x.dtype != object else y + type(x.flat[0])("1e-30")

    failed = failures(plant("sigmoid", "30 digits", "y", forward=short))
    assert set(failed) == {"definition"}
    assert failed["definition"].detail.startswith("y")
    assert failed["definition"].error > failed["definition"].bound == 1e-40


def test_too_much_rounding_in_float32_fails():
    def coarse(grads, grad_output, x, *rest, **options):
        return grads._replace(x=grads.x * np.float32(1.0001)) if x.dtype == np.float32 else grads

    failed = failures(plant("conv2d", "coarse", backward=after("conv2d", coarse)))
    assert [(method, row.argument, row.verdict) for method, row in failed.items()] == [("float32", "x", FAILS)]


def test_kinks_are_counted_not_hidden():
    rows = verify_operation(OPERATIONS["relu"], 0, cases=1)
    (row,) = [row for row in rows if row.method == "differences"]
    kink = replace(row, verdict=KINK, elements=3)
    assert merged("relu", 3, "differences", [row, kink]).detail == "3 at kinks"
    assert merged("relu", 3, "differences", [row, kink]).elements == row.elements + 3
