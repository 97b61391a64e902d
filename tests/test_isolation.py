"""What a stranger's code does to the global state of a process is undone and named, and costs microseconds to see."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from artgen import isolation
from artgen.errors import StoppedError
from artgen.isolation import Watch, asked_to_stop, cause_of, patience, restored

TF32 = "the precision of float32 products (TF32)"


def drop_filters():
    warnings.simplefilter("ignore")


MISCHIEF = {
    "python draws": (random.random, "Python's random state"),
    "python seed": (lambda: random.seed(0), "Python's random state"),
    "numpy seed": (lambda: np.random.seed(0), "NumPy's random state"),  # noqa: NPY002  # it is what strangers do
    "torch draws": (lambda: torch.rand(1), "torch's random state"),
    "threads": (lambda: torch.set_num_threads(torch.get_num_threads() + 1), "torch's thread count"),
    "dtype": (lambda: torch.set_default_dtype(torch.float64), "torch's default dtype"),
    "grad": (lambda: torch.set_grad_enabled(False), "torch's grad mode"),
    "deterministic": (lambda: torch.use_deterministic_algorithms(True), "torch's deterministic algorithms"),
    "device": (lambda: torch.set_default_device("meta"), "torch's default device"),
    "anomalies": (lambda: torch.autograd.set_detect_anomaly(True), "torch's anomaly detection"),
    "variables": (lambda: os.environ.update(OMP_NUM_THREADS="77"), "environment variables that torch reads"),
    "new variable": (lambda: os.environ.update(MKL_NUM_THREADS="77"), "environment variables that torch reads"),
    "recursion": (lambda: sys.setrecursionlimit(sys.getrecursionlimit() + 1), "the recursion limit"),
    "logging": (lambda: logging.disable(), "logging.disable"),
    "benchmark": (lambda: setattr(torch.backends.cudnn, "benchmark", True), "cudnn.benchmark"),
    "tf32, old": (lambda: torch.set_float32_matmul_precision("high"), TF32),
    "tf32, older": (lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True), TF32),
    "tf32, cudnn": (lambda: setattr(torch.backends.cudnn, "allow_tf32", False), TF32),
    "tf32, new": (lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"), TF32),
    "tf32, all": (lambda: setattr(torch.backends, "fp32_precision", "tf32"), TF32),
    "folder": (lambda: os.chdir(os.sep), "the current folder"),
    "signals": (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN), "signal handlers"),
    "warnings": (drop_filters, "the filter of all warnings"),
    "stdout": (lambda: setattr(sys, "stdout", None), "sys.stdout"),
}


def settings():
    """The state, read in ways of its own."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002
        "torch": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "device": torch.get_default_device(),
        "anomalies": torch.is_anomaly_enabled(),
        "variables": {name: value for name, value in os.environ.items() if "THREADS" in name},
        "recursion": sys.getrecursionlimit(),
        "logging": logging.getLogger("zoo").isEnabledFor(logging.CRITICAL),
        "benchmark": torch.backends.cudnn.benchmark,
        "precision": torch.get_float32_matmul_precision(),
        "matmul": (torch.backends.cuda.matmul.allow_tf32, torch.backends.cuda.matmul.fp32_precision),
        "cudnn": (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.conv.fp32_precision),
        "folder": Path.cwd(),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "stdout": sys.stdout,
        "warnings": [each for each in warnings.filters if each[1:4] == (None, Warning, None)],
    }


@pytest.mark.parametrize(("mischief", "name"), MISCHIEF.values(), ids=MISCHIEF)
@pytest.mark.parametrize("fails", [False, True])
def test_what_was_changed_is_named_and_put_back(mischief, name, fails):
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path.cwd())
        before = settings()
        try:
            with restored() as changed:
                mischief()
                if fails:
                    raise ValueError
        except ValueError:
            assert fails
        assert settings() == before
    [told] = changed
    assert told.startswith(name)


def test_scalar_settings_are_told_with_both_values():
    before = torch.get_num_threads()
    with restored() as changed:
        torch.set_num_threads(before + 1)
    assert changed == [f"torch's thread count ({before} -> {before + 1})"]


def test_a_factory_may_draw_but_not_set():
    state = torch.get_rng_state()
    with restored(draws=False) as changed:
        torch.rand(3)
        torch.set_grad_enabled(False)
    assert changed == ["torch's grad mode (True -> False)"]
    assert not torch.equal(torch.get_rng_state(), state)


def test_nothing_changed_is_nothing_told():
    with restored() as changed:
        torch.Generator().manual_seed(3)
        warnings.filterwarnings("ignore", module="zoo")
    warnings.filters.pop(0)
    assert changed == []


def test_a_watch_goes_on_from_what_it_put_back():
    watch = Watch()
    random.random()
    assert watch.undo() == ["Python's random state"]
    assert watch.undo() == []


def test_what_is_printed_does_not_mix_with_results(capsys):
    with restored():
        print("chatter")  # noqa: T201
    print("result")  # noqa: T201
    out, err = capsys.readouterr()
    assert (out, err) == ("result\n", "chatter\n")


def test_only_what_is_loaded_is_looked_at():
    code = (
        "import sys\nfrom artgen.isolation import restored\nbefore = set(sys.modules)\nwith restored() as changed:\n"
        "    import random, signal\n    random.seed(0)\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "assert not changed, changed\nassert not {'torch', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), StoppedError("interrupted", signal_number=2)])
def test_a_signal_behind_an_error_is_found(stop):
    def wrapped():
        try:
            raise stop
        except BaseException as error:
            raise RuntimeError("it went wrong") from error

    with pytest.raises(RuntimeError) as caught:
        wrapped()
    assert asked_to_stop(caught.value) is stop
    assert asked_to_stop(ValueError()) is None


def test_a_signal_that_was_there_before_is_not_behind_an_error():
    outer, later = KeyboardInterrupt(), ValueError()
    later.__context__ = outer
    assert asked_to_stop(later) is outer
    assert asked_to_stop(later, outer) is None


def test_whoever_is_waited_for_is_told_once(monkeypatch):
    monkeypatch.setattr(isolation, "PATIENCE_SECONDS", 0.01)
    told, heard = [], threading.Event()

    def say(what):
        told.append(what)
        heard.set()

    with patience(say) as begin:
        begin("the first")
        assert heard.wait(30)
        heard.clear()
        assert not heard.wait(0.1)
        begin("the second")
        assert heard.wait(30)
    assert told == ["the first", "the second"]


def test_the_cause_leads_to_the_code_of_the_plugin(tmp_path):
    inner = tmp_path / "elsewhere.py"
    file = tmp_path / "zoo.py"
    names = {}
    exec(compile("def fail():\n    raise ValueError('no\\n  good')", inner, "exec"), names)  # noqa: S102
    exec(compile("\n\ndef call():\n    fail()", file, "exec"), names)  # noqa: S102
    with pytest.raises(ValueError, match="good") as caught:
        names["call"]()
    assert cause_of(caught.value) == f"ValueError: no good ({inner}, line 2)"
    assert cause_of(caught.value, str(file)) == f"ValueError: no good ({file}, line 4)"
    caught.value.add_note("a note")
    assert cause_of(caught.value).startswith("ValueError: no good")
    assert len(cause_of(ValueError("x" * 10_000))) < 600
