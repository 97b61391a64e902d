"""Prepared pictures: made once, noticed when damaged, never half there."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections import namedtuple

import numpy as np
import pytest

from artgen.data.cache import fingerprint, kept, key_of
from artgen.errors import DataError, ResourceError
from artgen.files import TEMPORARY, replacing

PICTURES = np.random.default_rng(0).integers(0, 256, (11, 6, 5, 3), dtype=np.uint8)


class Maker:
    """Counts how often the pictures are made."""

    def __init__(self, pictures=PICTURES, fault=None):
        self.pictures, self.fault, self.times = pictures, fault, 0

    def __call__(self, notes):
        self.times += 1
        yield from self.pictures
        if self.fault is not None:
            raise self.fault
        notes["made"] = len(self.pictures)


def keep(folder, make, key="key"):
    return kept(folder, key, (6, 5), len(PICTURES), make)


def test_made_once_then_opened(tmp_path):
    make = Maker()
    for _ in range(2):
        entry = keep(tmp_path / "new" / "cache", make)
        assert np.array_equal(entry.pictures, PICTURES)
        assert isinstance(entry.pictures, np.memmap)
        assert not entry.pictures.flags.writeable
        assert entry.notes == {"made": 11}
        assert entry.fingerprint == fingerprint(PICTURES)
    assert make.times == 1


def test_fewer_than_announced_is_fine(tmp_path):
    assert np.array_equal(keep(tmp_path, Maker(PICTURES[:3])).pictures, PICTURES[:3])
    assert np.array_equal(np.load(tmp_path / "key.npy"), PICTURES[:3])  # any NumPy reads it


def test_the_fingerprint_is_that_of_pixels_and_shape():
    assert fingerprint(PICTURES) == fingerprint(PICTURES.copy())
    changed = PICTURES.copy()
    changed[-1, -1, -1, -1] ^= 1
    reshaped = PICTURES.reshape(11, 5, 6, 3)
    assert len({fingerprint(each) for each in (PICTURES, changed, PICTURES[:-1], reshaped)}) == 4


def test_keys_tell_their_parts_apart():
    assert len({key_of("a", "bc"), key_of("ab", "c"), key_of("abc"), key_of("a", "bc", ""), key_of("\udcff")}) == 5
    assert key_of("ü", b"x") == key_of("ü", "x")


def cut(folder):
    os.truncate(folder / "key.npy", (folder / "key.npy").stat().st_size - 1)


def lengthen(folder):
    with (folder / "key.npy").open("ab") as file:
        file.write(b"x")


def wreck_header(folder):
    with (folder / "key.npy").open("r+b") as file:
        file.write(b"\0" * 16)


def exchange(folder):
    np.save(folder / "key.npy", np.zeros((11, 6, 5, 3), np.float32))


def wrong_shape(folder):
    np.save(folder / "key.npy", PICTURES[:5])


def empty_notes(folder):
    (folder / "key.json").write_text("")


def foreign_notes(folder):
    (folder / "key.json").write_text("[1, 2]")


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        lengthen,
        wreck_header,
        exchange,
        wrong_shape,
        empty_notes,
        foreign_notes,
        lambda folder: os.truncate(folder / "key.npy", 0),
        lambda folder: (folder / "key.npy").unlink(),
        lambda folder: (folder / "key.json").unlink(),
        lambda folder: (folder / "key.json").write_text(json.dumps({"shape": [11, 6, 5, 3]})),
    ],
)
def test_a_damaged_entry_is_made_anew(tmp_path, damage):
    make = Maker()
    keep(tmp_path, make)
    damage(tmp_path)
    entry = keep(tmp_path, make)
    assert make.times == 2
    assert np.array_equal(entry.pictures, PICTURES)


def test_a_pickle_in_the_place_of_an_entry_is_not_run(tmp_path):
    make, canary = Maker(), tmp_path / "canary"

    class Hostile:
        def __reduce__(self):
            return (os.mkdir, (str(canary),))

    keep(tmp_path, make)
    np.save(tmp_path / "key.npy", np.array([Hostile()], object))
    keep(tmp_path, make)
    assert make.times == 2
    assert not canary.exists()


@pytest.mark.parametrize("fault", [DataError("too many"), KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_what_fails_leaves_nothing(tmp_path, fault):
    expected = ResourceError if isinstance(fault, OSError) else type(fault)
    with pytest.raises(expected):
        keep(tmp_path, Maker(fault=fault))
    assert list(tmp_path.iterdir()) == []


def test_the_disk_is_asked_first(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 0, 64 << 20))
    make = Maker()
    with pytest.raises(ResourceError, match="are free") as caught:
        keep(tmp_path, make)
    assert caught.value.exit_code == 7
    assert caught.value.remedy
    assert make.times == 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError) as caught:
        keep(tmp_path / "file" / "cache", Maker())
    assert str(tmp_path / "file" / "cache") in str(caught.value)


def test_wrong_pictures_are_a_fault_of_their_maker(tmp_path):
    with pytest.raises(ValueError, match="was promised"):
        keep(tmp_path, Maker(PICTURES.astype(np.int16)))
    with pytest.raises(ValueError, match="was promised"):
        keep(tmp_path, Maker(PICTURES[:, :4]))


def test_left_overs_of_killed_processes_are_swept(tmp_path):
    old, new = tmp_path / f"{TEMPORARY}old", tmp_path / f"{TEMPORARY}new"
    for path in (old, new):
        path.write_text("")
    os.utime(old, (time.time() - 7200,) * 2)
    keep(tmp_path, Maker())
    assert not old.exists()
    assert new.exists()


def test_replacing_is_all_or_nothing(tmp_path):
    path = tmp_path / ("x" * 255)  # no longer name is possible
    with replacing(path) as partial:
        partial.write_text("first")
        assert not path.exists()
    with pytest.raises(RuntimeError):
        give_up(path)
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def give_up(path):
    with replacing(path) as partial:
        partial.write_text("second")
        raise RuntimeError
