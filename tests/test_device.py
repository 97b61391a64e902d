"""Devices, precisions, and memory that runs out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from artgen import device
from artgen.errors import RecipeError, ResourceError


def _machine(monkeypatch, cuda=False, mps=False):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_the_fastest_there_is(monkeypatch, cuda, mps, expected):
    _machine(monkeypatch, cuda, mps)
    assert device.choose_device("auto").type == expected
    assert device.choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_asked_for_by_name_must_be_there(monkeypatch, name):
    _machine(monkeypatch)
    with pytest.raises(RecipeError, match=f"no {name} device") as error:
        device.choose_device(name)
    assert "--device auto" in error.value.remedy


def test_each_process_of_torchrun_has_a_gpu_of_its_own(monkeypatch):
    _machine(monkeypatch, cuda=True)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert device.choose_device("cuda") == torch.device("cuda", 3)


@pytest.mark.parametrize(
    ("asked", "kind", "flags", "expected"),
    [
        ("fp32", "cpu", "flags : avx512_bf16", "fp32"),
        ("bf16", "cpu", "flags : sse2", "bf16"),
        ("auto", "cpu", "flags\t\t: sse2 avx512f avx512_bf16 amx_bf16", "bf16"),
        ("auto", "cpu", "Features\t: fp asimd bf16", "bf16"),
        ("auto", "cpu", "flags\t\t: sse2 avx512f avx512bw", "fp32"),
        ("auto", "cpu", "model name : a bf16 machine", "fp32"),
        ("auto", "cpu", None, "fp32"),
        ("auto", "mps", "flags : avx512_bf16", "fp32"),
    ],
)
def test_a_precision_is_taken_where_it_pays(monkeypatch, asked, kind, flags, expected):
    def read(path, **_):
        if flags is None:
            raise FileNotFoundError(path)
        return f"processor : 0\n{flags}\n\nprocessor : 1\n{flags}\n"

    monkeypatch.setattr(device.Path, "read_text", read)
    assert device.choose_precision(asked, torch.device(kind)) == expected


@pytest.mark.parametrize("has_it", [True, False])
def test_a_gpu_is_asked_for_bf16(monkeypatch, has_it):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_it)
    assert device.choose_precision("auto", torch.device("cuda")) == ("bf16" if has_it else "fp32")


def test_mixed_is_autocast_only_in_bf16():
    layer, given = nn.Linear(4, 4), torch.ones(2, 4)
    cpu = torch.device("cpu")
    with device.mixed(cpu, "bf16"):
        assert layer(given).dtype == torch.bfloat16
    with device.mixed(cpu, "fp32"):
        assert layer(given).dtype == torch.float32


def test_networks_move_in_the_memory_format_of_fast_convolutions():
    layer = nn.Conv2d(4, 8, 3)
    device.to_device(layer, torch.device("cpu"))
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)


def _too_much():
    torch.empty(10**15)


def _overflowing():
    torch.empty(2**40, 2**40)


def _raising(error):
    def fail():
        raise error

    return fail


@pytest.mark.parametrize(
    "fail",
    [
        _too_much,
        _overflowing,
        _raising(MemoryError()),
        _raising(MemoryError("Unable to allocate 1 TiB")),
        _raising(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nAnd advice.")),
        _raising(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)")),
        _raising(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")),
    ],
)
def test_memory_that_runs_out_is_one_message(fail):
    with pytest.raises(ResourceError, match=r"out of memory: .") as error, device.exhaustion("here", "Take less."):
        fail()
    assert (error.value.place, error.value.remedy, error.value.exit_code) == ("here", "Take less.", 7)
    assert "\n" not in error.value.cause


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory"), KeyboardInterrupt()])
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as caught, device.exhaustion("here", ""):
        raise error
    assert caught.value is error


def test_a_device_is_described_for_a_record():
    described = device.describe_device(torch.device("cpu"))
    assert described["device"] == "cpu"
    assert described["torch"] == torch.__version__
    assert described["threads"] == torch.get_num_threads()
