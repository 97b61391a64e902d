"""The bundled data sets, on small files made here; the real ones where they are at hand."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import sys
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.lib import format as npy
from PIL import Image
from pydantic import ValidationError

from artgen import DataError, PluginError, ResourceError
from artgen.data import Workshop, folder
from artgen.data.cache import fingerprint
from artgen_datasets import (
    Cifar10Options,
    DigitsOptions,
    FolderOptions,
    MnistOptions,
    NpzOptions,
    artgen_datasets,
)

FACTORIES = {component.name: component.load() for component in artgen_datasets()}
RNG = np.random.default_rng(0)


@contextmanager
def no_bar(title, total):
    yield lambda count: None


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path / "cache", no_bar, 2)


def refusal(name, options, workshop, error=DataError):
    with pytest.raises(error) as caught:
        FACTORIES[name](options, workshop)
    return str(caught.value)


def test_the_hook_module_is_light():
    code = "import sys, artgen_datasets; sys.exit(bool({'torch', 'numpy', 'cv2', 'PIL', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_what_is_offered():
    components = artgen_datasets()
    assert [component.name for component in components] == ["folder", "mnist", "cifar10", "npz", "digits"]
    assert all(component.kind == "data" and component.summary for component in components)
    assert FolderOptions(path="x").skip_share == folder.SKIP_SHARE


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (FolderOptions, {}),
        (FolderOptions, {"path": ""}),
        (FolderOptions, {"path": "x", "crop": "left"}),
        (FolderOptions, {"path": "x", "skip_share": 1.5}),
        (MnistOptions, {"path": "x", "split": "validation"}),
        (Cifar10Options, {"path": "x", "classes": ["unicorn"]}),
        (NpzOptions, {"path": "x", "resolution": 5000}),
        (DigitsOptions, {"path": "x"}),
    ],
)
def test_wrong_options_are_refused(options, values):
    with pytest.raises(ValidationError):
        options.model_validate(values)


# folder


def test_folder(tmp_path, workshop):
    (tmp_path / "in").mkdir()
    for index in range(3):
        Image.new("RGB", (40, 20), (index, 0, 0)).save(tmp_path / "in" / f"{index}.png")
    options = FolderOptions(path=str(tmp_path / "in"), resolution=(16, 8), crop="smart")
    dataset = FACTORIES["folder"](options, workshop)
    assert dataset.real.shape == (3, 8, 16, 3)
    assert dataset.real[:, 0, 0, 0].tolist() == [0, 1, 2]


# mnist


def idx(pictures, magic=2051):
    return struct.pack(">4I", magic, *pictures.shape) + pictures.tobytes()


def stored_mnist(tmp_path, content, name="train-images-idx3-ubyte"):
    (tmp_path / name).write_bytes(content)
    return str(tmp_path)


MNIST = RNG.integers(0, 256, (5, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-images.idx3-ubyte"])
def test_mnist_at_28_px_is_untouched(tmp_path, workshop, packed, name):
    path = stored_mnist(tmp_path, gzip.compress(idx(MNIST)) if packed else idx(MNIST), name + ".gz" * packed)
    dataset = FACTORIES["mnist"](MnistOptions(path=path, resolution=28), workshop)
    assert np.array_equal(dataset.real, MNIST[..., None].repeat(3, 3))
    assert dataset.fingerprint == fingerprint(dataset.real)
    assert dataset.notes == {"pictures": 5}


def test_mnist_gets_a_border_to_32_px(tmp_path, workshop):
    path = stored_mnist(tmp_path, idx(MNIST))
    real = FACTORIES["mnist"](MnistOptions(path=path), workshop).real
    assert np.array_equal(real, np.pad(MNIST, ((0, 0), (2, 2), (2, 2)))[..., None].repeat(3, 3))
    small = FACTORIES["mnist"](MnistOptions(path=path, resolution=16), workshop).real
    means = real.reshape(5, 16, 2, 16, 2, 3).astype(float).mean((2, 4))
    assert np.abs(small - means).max() <= 0.5


def test_mnist_splits(tmp_path, workshop):
    stored_mnist(tmp_path, idx(MNIST))
    path = stored_mnist(tmp_path, idx(MNIST[:2]), "t10k-images-idx3-ubyte")
    counts = [len(FACTORIES["mnist"](MnistOptions(path=path, split=split), workshop)) for split in ("train", "test")]
    assert counts == [5, 2]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "too short"),
        (idx(MNIST)[:15], "too short"),
        (idx(MNIST, magic=2049), "magic number 2049"),
        (b"<html>not found</html>", "magic number"),
        (idx(MNIST)[:-1], "ends after 4 of 5"),
        (idx(MNIST) + b"\0", "bytes follow"),
        (gzip.compress(idx(MNIST))[:-30], "Compressed file ended"),
        (gzip.compress(idx(MNIST))[:40] + b"\xff" * 400, ""),
        (gzip.compress(idx(MNIST) + b"\0"), "bytes follow"),
        (struct.pack(">4I", 2051, 0, 28, 28), "announces 0 pictures"),
        (struct.pack(">4I", 2051, 5, 0, 28), "announces 5 pictures of 28x0"),
        (struct.pack(">4I", 2051, 2**32 - 1, 28, 28), "announces 4294967295"),
        (struct.pack(">4I", 2051, 1, 2**31, 2**31), "announces 1 pictures"),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path, workshop, content, reason):
    path = stored_mnist(tmp_path, content)
    message = refusal("mnist", MnistOptions(path=path), workshop)
    assert reason in message
    assert "train-images-idx3-ubyte" in message
    assert not list((tmp_path / "cache").glob("*")) if (tmp_path / "cache").exists() else True


def test_a_gzip_bomb_is_not_unpacked(tmp_path, workshop):
    bomb = gzip.compress(idx(MNIST) + bytes(50_000_000))
    assert "bytes follow" in refusal("mnist", MnistOptions(path=stored_mnist(tmp_path, bomb)), workshop)


def test_missing_mnist_is_told(tmp_path, workshop):
    os.mkfifo(tmp_path / "train-images-idx3-ubyte")
    message = refusal("mnist", MnistOptions(path=str(tmp_path)), workshop)
    assert "train-images-idx3-ubyte.gz is in this folder" in message


def test_real_mnist(shared_data, workshop):
    path = shared_data / "mnist"
    if not path.is_dir():
        pytest.skip("needs MNIST")
    dataset = FACTORIES["mnist"](MnistOptions(path=str(path), split="test", resolution=28), workshop)
    assert dataset.real.shape == (10_000, 28, 28, 3)
    assert abs(dataset.real[..., 0].mean() / 255 - 0.1325) < 0.001  # the known mean of the test pictures


# cifar10


def cifar(labels):
    pictures = RNG.integers(0, 256, (len(labels), 3, 32, 32), dtype=np.uint8)
    rows = np.concatenate([np.array(labels, np.uint8)[:, None], pictures.reshape(len(labels), -1)], 1)
    return rows.tobytes(), pictures.transpose(0, 2, 3, 1)


def test_cifar10_by_class(tmp_path, workshop):
    first, pictures = cifar([7, 0, 7])
    second, more = cifar([3, 7])
    (tmp_path / "data_batch_1.bin").write_bytes(first)
    (tmp_path / "data_batch_2.bin").write_bytes(second)
    everything = np.concatenate([pictures, more])

    def real(*classes):
        return FACTORIES["cifar10"](Cifar10Options(path=str(tmp_path), classes=list(classes)), workshop).real

    assert np.array_equal(real(), everything)
    assert np.array_equal(real("horse"), everything[[0, 2, 4]])
    assert np.array_equal(real("cat", "airplane"), everything[[1, 3]])
    message = refusal("cifar10", Cifar10Options(path=str(tmp_path), classes=["ship"]), workshop)
    assert "no pictures of ship" in message


def test_damaged_or_absent_cifar10(tmp_path, workshop):
    options = Cifar10Options(path=str(tmp_path))
    assert "no data_batch_*.bin" in refusal("cifar10", options, workshop)
    for content, reason in ((b"", "0 bytes"), (cifar([1])[0][:-1], "3072 bytes"), (cifar([10])[0], "label 10")):
        (tmp_path / "data_batch_1.bin").write_bytes(content)
        message = refusal("cifar10", options, workshop)
        assert reason in message
        assert "data_batch_1.bin" in message


# npz


@pytest.mark.parametrize("shape", [(4, 10, 12, 3), (4, 10, 12)])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, workshop, shape, save):
    images = RNG.integers(0, 256, shape, dtype=np.uint8)
    save(tmp_path / "a.npz", images=images, labels=np.zeros(4))
    options = NpzOptions(path=str(tmp_path / "a.npz"), resolution=(12, 10))
    expected = images if images.ndim == 4 else images[..., None].repeat(3, 3)
    assert np.array_equal(FACTORIES["npz"](options, workshop).real, expected)


class Hostile:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return (os.mkdir, (str(self.canary),))


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), "float32"),
        (np.zeros((2, 8, 8, 3), ">u2"), "u2"),
        (np.zeros((2, 8, 8, 4), np.uint8), "wanted is (N, height, width, 3)"),
        (np.zeros((8, 8), np.uint8), "wanted is (N, height, width, 3)"),
        (np.zeros((0, 8, 8, 3), np.uint8), "there must be pictures"),
        (np.zeros((2, 8, 0, 3), np.uint8), "there must be pictures"),
        (np.asfortranarray(np.zeros((2, 8, 8, 3), np.uint8)), "Fortran order"),
    ],
)
def test_npz_of_another_form_is_refused(tmp_path, workshop, images, reason):
    np.savez(tmp_path / "a.npz", images=images)
    message = refusal("npz", NpzOptions(path=str(tmp_path / "a.npz")), workshop)
    assert reason in message
    assert "a.npz" in message


def test_npz_with_objects_runs_nothing(tmp_path, workshop):
    np.savez(tmp_path / "a.npz", images=np.array([Hostile(tmp_path / "canary")] * 2, object))
    assert "object" in refusal("npz", NpzOptions(path=str(tmp_path / "a.npz")), workshop)
    assert not (tmp_path / "canary").exists()


def zipped(path, header_shape, content, descr="|u1"):
    member = io.BytesIO()
    npy.write_array_header_1_0(member, {"descr": descr, "fortran_order": False, "shape": header_shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", member.getvalue() + content)
    return NpzOptions(path=str(path))


@pytest.mark.parametrize(
    ("shape", "content", "reason"),
    [
        ((10, 8, 8, 3), b"short", "another number"),
        ((1, 8, 8, 3), bytes(20_000_000), "another number"),
        ((1, 60_000, 60_000, 3), b"", "at most"),
        ((10**15, 8, 8, 3), b"", "another number"),
        ((-5, 8, 8, 3), b"", "there must be pictures"),
    ],
)
def test_npz_bombs_are_refused_by_their_header(tmp_path, workshop, shape, content, reason):
    assert reason in refusal("npz", zipped(tmp_path / "a.npz", shape, content), workshop)


def test_npz_that_would_fill_the_disk_is_refused(tmp_path, workshop):
    options = zipped(tmp_path / "a.npz", (200_000, 10, 10), bytes(20_000_000))
    options = options.model_copy(update={"resolution": 4096})
    assert "are free" in refusal("npz", options, workshop, ResourceError)


def test_damaged_npz_is_refused(tmp_path, workshop):
    path = tmp_path / "a.npz"
    options = NpzOptions(path=str(path))
    assert "no such file" in refusal("npz", options, workshop)
    np.savez(path, pictures=np.zeros(3))
    assert "it holds pictures" in refusal("npz", options, workshop)
    np.savez(path, images=np.zeros((2, 8, 8, 3), np.uint8))
    whole = path.read_bytes()
    for share in (0, 0.25, 0.5, 0.99):
        path.write_bytes(whole[: int(len(whole) * share)])
        assert "a.npz" in refusal("npz", options, workshop)
    flipped = bytearray(whole)
    flipped[whole.index(b"\0" * 100) + 50] ^= 1
    path.write_bytes(bytes(flipped))
    assert "CRC" in refusal("npz", options, workshop)
    path.write_bytes(b"\x80\x04pickle")
    assert "a.npz" in refusal("npz", options, workshop)


def test_real_horses(shared_data, workshop):
    path = shared_data / "cifar10" / "horse_train.npz"
    if not path.is_file():
        pytest.skip("needs the CIFAR-10 horses")
    dataset = FACTORIES["npz"](NpzOptions(path=str(path), resolution=32), workshop)
    assert dataset.real.shape == (5000, 32, 32, 3)


# digits


def test_digits(workshop):
    pytest.importorskip("sklearn")
    dataset = FACTORIES["digits"](DigitsOptions(), workshop)
    assert dataset.real.shape == (1797, 8, 8, 3)
    assert len(np.unique(dataset.real)) == 17
    assert dataset.real.max() == 255


def test_digits_without_scikit_learn_name_the_command(workshop, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    message = refusal("digits", DigitsOptions(), workshop, PluginError)
    assert 'pip install "artgen[digits]"' in message
