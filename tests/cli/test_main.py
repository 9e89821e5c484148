"""The command: what it prints, where, and with which exit code; bad input ends in a sentence."""

import json
import os
import runpy
import subprocess
import sys

import numpy as np
import pytest

from unet_ref import models, ops
from unet_ref.cli import console, main
from unet_ref.cli import verify as verify_command


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def in_process(monkeypatch):
    """Verify in this process, so that what a test plants is seen, and nothing is spawned."""
    import contextlib
    from concurrent.futures import ThreadPoolExecutor

    @contextlib.contextmanager
    def threads(_):
        with ThreadPoolExecutor(1) as pool:
            yield pool

    monkeypatch.setattr(verify_command, "executor", threads)


class TestVerify:
    def test_all_hold(self, capsys, in_process):
        code, out, _ = run(capsys, "verify", "conv2d", "gelu", "batch_norm_running_stats", "unet2")
        assert code == 0
        lines = out.splitlines()
        assert max(map(len, lines)) <= 80
        cells = {line.split()[0]: line.split()[1:] for line in lines[2:6]}
        assert cells["conv2d"][:2] == ["exact", "exact"]
        assert cells["gelu"][:2] == ["bound", "bound"]
        assert cells["unet2"][:2] == ["exact", "exact"]
        assert "4 of 4 hold." in out

    def test_every_operation_of_plain_arithmetic_is_exact(self, capsys, in_process):
        from unet_ref.check import OPERATIONS

        names = ["max_pool2d", "film", "center_crop2d", "mse_loss"]
        assert {OPERATIONS[name].arithmetic for name in names} == {"rational"}
        _, out, _ = run(capsys, "verify", *names)
        for name in names:
            (line,) = (line for line in out.splitlines() if line.startswith(name))
            assert line.split()[1:3] == ["exact", "exact"]

    def test_a_broken_rule_is_named_and_ends_in_1(self, capsys, in_process, monkeypatch):
        right = ops.conv2d_backward

        def broken(*arguments, **options):
            grads = right(*arguments, **options)
            return grads._replace(weight=grads.weight[..., ::-1])

        monkeypatch.setattr(ops, "conv2d_backward", broken)
        code, out, _ = run(capsys, "verify", "conv2d", "relu")
        assert code == 1
        assert "conv2d: weight" in out
        assert "1 of 2 hold" in out

    def test_links(self, capsys, in_process):
        _, out, _ = run(capsys, "verify", "relu", "--links")
        assert "dual numbers" in out
        assert "complex step" in out

    def test_json(self, capsys, in_process):
        code, out, _ = run(capsys, "verify", "relu", "unet2", "--json")
        document = json.loads(out)
        assert code == 0
        assert document["holds"] is True
        assert {row["name"] for row in document["rows"]} == {"relu", "unet2"}
        assert {row["link"] for row in document["rows"]} == {2, 3, 4, 5}

    def test_an_unknown_name(self, capsys):
        code, out, err = run(capsys, "verify", "conv3d")
        assert (code, out) == (2, "")
        assert "did you mean conv2d?" in err

    def test_a_name_like_nothing(self, capsys):
        code, _, err = run(capsys, "verify", "qqq")
        assert code == 2
        assert "did you mean" not in err

    def test_processes(self, capsys):
        code, out, _ = run(capsys, "verify", "relu", "--workers", "1")
        assert code == 0
        assert "1 of 1 hold" in out

    def test_no_workers(self, capsys):
        assert run(capsys, "verify", "relu", "--workers", "0")[0] == 2

    def test_no_device(self, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "cupy", None)
        code, _, err = run(capsys, "verify", "relu", "--device", "gpu")
        assert code == 3
        assert "needs CuPy" in err

    def test_cupy_without_a_device(self, capsys, monkeypatch):
        class Cupy:
            class cuda:  # noqa: N801
                class runtime:  # noqa: N801
                    @staticmethod
                    def getDeviceCount():
                        raise RuntimeError("no driver")

        monkeypatch.setitem(sys.modules, "cupy", Cupy)
        code, _, err = run(capsys, "verify", "relu", "--device", "gpu")
        assert code == 3
        assert "sees no device (no driver)" in err

    def test_no_scheduler(self, capsys, monkeypatch):
        class Distributed:
            @staticmethod
            def Client(address, timeout):
                raise OSError(f"nobody at {address}")

        monkeypatch.setitem(sys.modules, "dask", Distributed)
        monkeypatch.setitem(sys.modules, "dask.distributed", Distributed)
        code, _, err = run(capsys, "verify", "relu", "--dask", "tcp://127.0.0.1:1")
        assert code == 3
        assert "no dask scheduler" in err

    def test_dask_is_not_installed(self, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "dask.distributed", None)
        monkeypatch.setitem(sys.modules, "dask", None)
        assert run(capsys, "verify", "relu", "--dask", "tcp://127.0.0.1:1")[0] == 3

    def test_a_scheduler(self, capsys, monkeypatch):
        from concurrent.futures import ThreadPoolExecutor

        class Client:
            def __init__(self, address, timeout):
                self.pool = ThreadPoolExecutor(1)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.pool.shutdown()

            def get_executor(self):
                return self.pool

        class Distributed:
            pass

        Distributed.Client = Client
        monkeypatch.setitem(sys.modules, "dask", Distributed)
        monkeypatch.setitem(sys.modules, "dask.distributed", Distributed)
        assert run(capsys, "verify", "relu", "--dask", "tcp://here")[0] == 0


class TestVerifyAtAState:
    @pytest.fixture
    def files(self, tmp_path, rng):
        model = models.UNet(1, 2, base_channels=1, depth=1)
        model.save(tmp_path / "state.npz", model.init(rng, "float32"))
        np.save(tmp_path / "x.npy", rng.standard_normal((1, 4, 6)))
        return tmp_path

    OPTIONS = ("--set", "in_channels=1", "--set", "base_channels=1", "--set", "depth=1")

    def test_holds(self, capsys, files):
        arguments = ("--state", files / "state.npz", "--input", files / "x.npy")
        code, out, _ = run(capsys, "verify", "unet", *self.OPTIONS, *arguments)
        assert code == 0
        assert "1 of 1 hold" in out

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (("conv2d", "--input", "x.npy"), 2, "name it"),
            (("unet", "unet2", "--input", "x.npy"), 2, "name it"),
            (("unet", "--set", "depth=many", "--input", "x.npy"), 2, "--set"),
            (("unet", "--set", "wings=2", "--input", "x.npy"), 2, "--set"),
            (("unet", "--state", "absent.npz", "--input", "x.npy"), 4, "absent.npz"),
            (("unet", "--state", "state.npz", "--input", "x.npy"), 4, "the state does not fit"),
            (("unet", *OPTIONS, "--input", "state.npz"), 4, ""),
        ],
    )
    def test_what_does_not_fit(self, capsys, files, monkeypatch, arguments, code, message):
        monkeypatch.chdir(files)
        got, out, err = run(capsys, "verify", *arguments)
        assert (got, out) == (code, "")
        assert message in err
        assert "Traceback" not in err


MODULE = """
import numpy as np

def square(x):
    return x * x

def right(grad, x):
    return 2 * x * grad

def wrong(grad, x):
    return x * grad

def broken(grad, x):
    raise RuntimeError("no idea")

NUMBER = 3
"""


class TestGradcheck:
    @pytest.fixture(autouse=True)
    def module(self, tmp_path, monkeypatch):
        (tmp_path / "my_functions.py").write_text(MODULE, "utf-8")
        (tmp_path / "my_module_that_exits.py").write_text("import sys; sys.exit(0)", "utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", os.getcwd())])
        yield
        sys.modules.pop("my_functions", None)

    def check(self, capsys, backward, *arguments, forward="my_functions:square"):
        return run(capsys, "gradcheck", forward, backward, *(arguments or ("--shape", "3,4")))

    def test_right(self, capsys):
        code, out, _ = self.check(capsys, "my_functions:right")
        assert code == 0
        assert "holds" in out

    def test_wrong(self, capsys):
        code, out, _ = self.check(capsys, "my_functions:wrong")
        assert code == 1
        assert "FAILS" in out

    def test_json(self, capsys):
        code, out, _ = self.check(capsys, "my_functions:right", "--shape", "3,4", "--json")
        assert code == 0
        assert json.loads(out)

    @pytest.mark.parametrize(
        ("backward", "shape", "code", "message"),
        [
            ("my_functions", "3", 2, "must be module:function"),
            ("my_functions:absent", "3", 2, "absent"),
            ("no_such_module:f", "3", 2, "no_such_module"),
            ("my_functions:NUMBER", "3", 2, "is a int, not a function"),
            ("my_functions:right", "3,x", 2, "must be integers joined by commas"),
            ("my_functions:right", "-3", 2, "must not have negative sizes"),
            ("my_functions:broken", "3", 1, "no idea"),
            ("my_module_that_exits:f", "3", 2, "SystemExit"),
        ],
    )
    def test_what_cannot_be_checked(self, capsys, backward, shape, code, message):
        got, out, err = self.check(capsys, backward, f"--shape={shape}")
        assert got == code
        assert message in out + err
        assert "Traceback" not in out + err


class TestDoctor:
    def test_a_person(self, capsys):
        code, out, _ = run(capsys, "doctor")
        assert code == 0
        assert "blas" in out
        assert np.__version__ in out

    def test_json(self, capsys, monkeypatch):
        monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
        monkeypatch.delenv("OPENBLAS_L2_SIZE", raising=False)
        _, out, _ = run(capsys, "doctor", "--json")
        found = json.loads(out)
        assert len(found["advice"]) == 1
        assert "unset it" in found["advice"][0]

    def test_which_kernel_and_how_many_threads(self, capsys):
        _, out, _ = run(capsys, "doctor", "--json")
        assert all("threads" in kernel for kernel in json.loads(out)["blas kernel"])

    def test_without_cupy(self, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "cupy", None)
        _, out, _ = run(capsys, "doctor")
        assert "CuPy is not installed" in out

    @pytest.mark.parametrize("devices", [0, 1])
    def test_with_cupy(self, capsys, monkeypatch, devices):
        class Failure(Exception):
            pass

        class Runtime:
            CUDARuntimeError = Failure

            @staticmethod
            def getDeviceCount():
                if not devices:
                    raise Failure("no driver")
                return devices

            @staticmethod
            def getDeviceProperties(_):
                return {"name": b"H200"}

        class Cupy:
            __version__ = "14.2.0"

            class cuda:  # noqa: N801
                runtime = Runtime

        monkeypatch.setitem(sys.modules, "cupy", Cupy)
        _, out, _ = run(capsys, "doctor")
        assert ("on H200" if devices else "sees no device (no driver)") in out


class TestAnyCommand:
    def test_interrupted(self, capsys, monkeypatch):
        def interrupt(_):
            raise KeyboardInterrupt

        monkeypatch.setattr("unet_ref.cli.doctor.examine", lambda: interrupt(None))
        code, _, err = run(capsys, "doctor")
        assert code == 130
        assert err == "interrupted\n"

    def test_wrong_usage(self, capsys):
        with pytest.raises(SystemExit, match="2"):
            main(["verify", "--no-such-option"])
        assert "usage" in capsys.readouterr().err

    def test_a_shape_that_cannot_be(self, capsys, monkeypatch):
        def refuse():
            raise ops.conv2d(np.zeros((1, 2, 2)), np.zeros((1, 2, 1, 1)))

        monkeypatch.setattr("unet_ref.cli.doctor.examine", refuse)
        code, _, err = run(capsys, "doctor")
        assert code == 2
        assert "conv2d: weight.shape[1]" in err

    def test_an_optional_package_is_missing(self, capsys, monkeypatch):
        def need():
            raise ImportError("drawings need matplotlib: pip install matplotlib")

        monkeypatch.setattr("unet_ref.cli.doctor.examine", need)
        code, out, err = run(capsys, "doctor")
        assert (code, out) == (3, "")
        assert err == "unet-ref doctor: drawings need matplotlib: pip install matplotlib\n"

    def test_the_reader_leaves_at_the_last_line(self, monkeypatch):
        """What is still to be written, at the end too, goes nowhere."""
        redirected = []

        class Gone:
            encoding = "utf-8"

            def write(self, text):
                return len(text)

            def flush(self):
                raise BrokenPipeError

            def fileno(self):
                return 71

        monkeypatch.setattr(sys, "stdout", Gone())
        monkeypatch.setattr(os, "dup2", lambda *descriptors: redirected.append(descriptors))
        assert main(["doctor"]) == 0
        ((null, stdout),) = redirected
        assert stdout == 71
        with open(os.devnull, "wb") as devnull:
            assert os.path.sameopenfile(null, devnull.fileno())
        os.close(null)

    def test_as_a_module(self, capsys, monkeypatch):
        monkeypatch.setattr(sys, "argv", ["unet-ref", "doctor"])
        with pytest.raises(SystemExit) as left:
            runpy.run_module("unet_ref", run_name="__main__")
        assert left.value.code == 0
        assert np.__version__ in capsys.readouterr().out

    def test_the_reader_has_left(self):
        command = [sys.executable, "-m", "unet_ref", "doctor", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.close()
            err = process.stderr.read()
        assert b"Traceback" not in err


class TestConsole:
    def test_progress_for_a_person(self, capsys, monkeypatch):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        assert list(console.progress(iter("ab"), 2, "work")) == ["a", "b"]
        assert "2/2\n" in capsys.readouterr().err

    def test_no_bar_in_a_log(self, capsys):
        assert list(console.progress([1], 1, "work")) == [1]
        assert capsys.readouterr().err == ""

    def test_colour_only_for_a_terminal(self, monkeypatch):
        assert console.paint("holds", "green") == "holds"
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.delenv("NO_COLOR", raising=False)
        assert console.paint("holds", "green") == "\033[32mholds\033[0m"
        monkeypatch.setenv("NO_COLOR", "1")
        assert console.paint("holds", "green") == "holds"

    @pytest.mark.parametrize(
        ("count", "text"),
        [(0, "0"), (950, "950"), (12_345, "12.3k"), (4_560_000, "4.56M"), (123_456, "123k"), (3e15, "3000T")],
    )
    def test_counts_stay_short(self, count, text):
        assert console.human(count) == text
