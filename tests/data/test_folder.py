"""A folder of pictures, whatever else lies in it, becomes a data set or a clear refusal."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
from collections import namedtuple
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from artgen.data import Workshop, images
from artgen.data.folder import NAMED, prepare
from artgen.data.scan import look_through
from artgen.errors import DataError, ResourceError


def paint(path, seed=0, size=(20, 16)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, "PNG")
    return pixels


class Bar:
    """A progress that remembers what it was told."""

    def __init__(self):
        self.opened = []
        self.done = 0

    @contextmanager
    def __call__(self, title, total):
        self.opened.append((title, total))

        def advance(count):
            self.done += count

        yield advance


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path / "cache", Bar(), workers=3)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "pictures"


def prepared(folder, workshop, size=(16, 16), crop="center", skip_share=0.05):
    return prepare(str(folder), size, crop, skip_share, workshop)


def refusal(folder, workshop, **options):
    with pytest.raises(DataError) as caught:
        prepared(folder, workshop, **options)
    assert caught.value.exit_code == 3
    assert caught.value.remedy
    return str(caught.value)


def test_all_pictures_sorted_by_name_from_all_levels(folder, workshop):
    names = ["b/2.png", "a.png", "b/10.png", "c/d/e.png", "z.png"]
    painted = {name: paint(folder / name, seed, (16, 16)) for seed, name in enumerate(names)}
    dataset = prepared(folder, workshop)
    assert np.array_equal(dataset.real, np.stack([painted[name] for name in sorted(names)]))
    assert dataset.source is None
    assert dataset.notes == {"folder": str(folder), "pictures": 5}
    assert workshop.progress.opened == [("Reading pictures", 5)]
    assert workshop.progress.done == 5


@pytest.mark.parametrize("workers", [0, 1, 5])
def test_threads_change_nothing(folder, tmp_path, workers):
    for seed in range(60):
        paint(folder / f"{seed:03}.png", seed, (20 + seed, 30))
    expected = prepared(folder, Workshop(tmp_path / "one", Bar(), 2))
    dataset = prepared(folder, Workshop(tmp_path / "two", Bar(), workers))
    assert np.array_equal(dataset.real, expected.real)
    assert dataset.fingerprint == expected.fingerprint


def test_threads_of_opencv_are_given_back(folder, workshop):
    paint(folder / "a.png")
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        prepared(folder, workshop)
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def test_opened_from_the_cache_the_second_time(folder, workshop, monkeypatch):
    for seed in range(3):
        paint(folder / f"{seed}.png", seed)
    first = prepared(folder, workshop)
    monkeypatch.setattr("artgen.data.folder.decode", None)
    second = prepared(folder, workshop)
    assert np.array_equal(first.real, second.real)
    assert (first.fingerprint, first.notes) == (second.fingerprint, second.notes)
    assert len(workshop.progress.opened) == 1


def test_every_change_of_the_folder_is_noticed(folder, workshop):
    for seed in range(3):
        paint(folder / f"{seed}.png", seed, (16, 16))
    seen = [prepared(folder, workshop)]

    paint(folder / "9.png", 9)  # one more
    seen.append(prepared(folder, workshop))
    (folder / "0.png").unlink()  # one less
    seen.append(prepared(folder, workshop))
    (folder / "1.png").rename(folder / "zz.png")  # another order
    seen.append(prepared(folder, workshop))
    before = (folder / "2.png").stat()
    paint(folder / "2.png", 77, (16, 16))  # other pixels
    os.utime(folder / "2.png", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    seen.append(prepared(folder, workshop))
    assert len({dataset.fingerprint for dataset in seen}) == len(seen)


def test_every_option_is_part_of_the_key(folder, workshop):
    paint(folder / "a.png", size=(40, 16))
    prints = [prepared(folder, workshop).fingerprint, prepared(folder, workshop, size=(16, 12)).fingerprint]
    prints.append(prepared(folder, workshop, crop="pad").fingerprint)
    assert len(set(prints)) == 3


def test_the_fingerprint_is_that_of_the_pixels_not_of_the_dates(folder, workshop):
    paint(folder / "a.png")
    before = prepared(folder, workshop)
    os.utime(folder / "a.png", (1, 1))
    after = prepared(folder, workshop)
    assert len(workshop.progress.opened) == 2
    assert before.fingerprint == after.fingerprint


def test_a_truncated_cache_is_made_anew(folder, workshop):
    paint(folder / "a.png")
    fingerprint = prepared(folder, workshop).fingerprint
    (array,) = workshop.cache.glob("*.npy")
    os.truncate(array, 200)
    assert prepared(folder, workshop).fingerprint == fingerprint
    assert len(workshop.progress.opened) == 2


def test_odd_names_work_and_are_escaped(folder, workshop):
    names = ["spaces and ü 画.png", "🎨.png", "new\nline.png", "\udcff\udcfe.png", "x" * 251 + ".png", "-rf.png"]
    for seed, name in enumerate(names):
        paint(folder / name, seed)
    for name in ("broken\x1b[2J\n.png", "\udc80.jpg"):
        (folder / name).write_bytes(b"no picture")
    dataset = prepared(folder, workshop, skip_share=0.5)
    assert len(dataset) == len(names)
    assert sorted(dataset.notes["skipped_files"]) == ["\\udc80.jpg", "broken\\x1b[2J\\n.png"]


def test_what_is_no_picture_is_skipped_with_its_reason(folder, workshop, tmp_path):
    paint(folder / "good.png")
    paint(folder / "no suffix", 1)
    paint(folder / ".hidden.png")
    paint(folder / ".git" / "icon.png")
    (folder / "captions.txt").write_text("a caption")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "page.jpg").write_text("<html>")
    (folder / "broken.png").symlink_to("nowhere")
    (folder / "self.png").symlink_to("self.png")
    (folder / "up").symlink_to(folder)
    (folder / "deep").mkdir()
    (folder / "deep" / "loop").symlink_to("..")
    (folder / "device.png").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket.png"))
        dataset = prepared(folder, workshop, skip_share=0.5)
    assert len(dataset) == 2
    assert dataset.notes["other_files"] == 1
    assert dataset.notes["skipped_files"] == {
        "empty.jpg": "an empty file",
        "page.jpg": "an HTML page, not a picture",
        "broken.png": "a broken link",
        "self.png": "a broken link",
        "up": "a folder that is read already under another name",
        "deep/loop": "a folder that is read already under another name",
        "device.png": "a pipe, socket or device",
        "pipe.jpg": "a pipe, socket or device",
        "socket.png": "a pipe, socket or device",
    }
    assert dataset.notes["skipped"] == 9


def test_links_to_pictures_elsewhere_are_followed(folder, workshop, tmp_path):
    paint(tmp_path / "elsewhere" / "a.png", 0)
    paint(tmp_path / "single.png", 1)
    folder.mkdir()
    (folder / "there").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(tmp_path / "elsewhere")
    (folder / "b.png").symlink_to(tmp_path / "single.png")
    dataset = prepared(folder, workshop)
    assert len(dataset) == 2
    assert dataset.notes["skipped"] == 1


def test_what_may_not_be_read_is_skipped(folder, workshop, monkeypatch):
    paint(folder / "a.png")
    paint(folder / "locked.png")
    (folder / "closed").mkdir()
    paint(folder / "closed" / "b.png")
    open_file, list_folder = Path.open, os.scandir

    def guarded_open(self, *arguments, **options):
        if self.name == "locked.png":
            raise PermissionError(13, "Permission denied")
        return open_file(self, *arguments, **options)

    def guarded_scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return list_folder(path)

    monkeypatch.setattr(Path, "open", guarded_open)  # in place of chmod, which does not bind root
    monkeypatch.setattr(os, "scandir", guarded_scandir)
    dataset = prepared(folder, workshop, skip_share=0.5)
    assert len(dataset) == 1
    assert dataset.notes["skipped_files"] == {"locked.png": "Permission denied", "closed/": "Permission denied"}


def test_a_picture_that_vanishes_is_skipped(folder, workshop, monkeypatch):
    paint(folder / "a.png")
    paint(folder / "b.png")
    scan = look_through(str(folder))
    (folder / "b.png").unlink()
    monkeypatch.setattr("artgen.data.folder.look_through", lambda path: scan)
    dataset = prepared(folder, workshop, skip_share=0.5)
    assert dataset.notes["skipped_files"] == {"b.png": "No such file or directory"}


def test_too_many_unreadable_pictures_are_refused_by_name(folder, workshop):
    for index in range(70):
        paint(folder / f"{index:02}.png", index)
    for index in range(3):
        (folder / f"bad{index}.jpg").write_bytes(b"")
    assert len(prepared(folder, workshop)) == 70  # 3 of 73 are less than 5 %
    for index in range(NAMED + 5):
        (folder / f"bad{index:02}.jpg").write_bytes(b"")
    message = refusal(folder, workshop)
    assert str(folder) in message
    assert "the limit is 5 %" in message
    assert message.count("an empty file") == NAMED
    assert "and " in message
    assert "skip_share" in message


def test_the_limit_holds_for_the_cache_too(folder, workshop):
    for index in range(9):
        paint(folder / f"{index}.png", index)
    (folder / "bad.png").write_bytes(b"")
    prepared(folder, workshop, skip_share=0.1)
    assert "1 of 10 picture files" in refusal(folder, workshop, skip_share=0.09)
    assert len(workshop.progress.opened) == 1


def test_a_folder_without_a_single_picture_is_refused(folder, workshop):
    assert "No such file" in refusal(folder, workshop)
    folder.mkdir()
    assert "there are no pictures" in refusal(folder, workshop)
    (folder / "notes.txt").write_text("nothing")
    assert "there are no pictures" in refusal(folder, workshop)
    (folder / "bad.png").write_bytes(b"")
    message = refusal(folder, workshop, skip_share=1.0)
    assert "none of 1 picture files" in message
    assert "bad.png: an empty file" in message
    assert "not a folder" in refusal(folder / "notes.txt", workshop)
    assert not list(workshop.cache.glob("*.npy")) if workshop.cache.exists() else True


@pytest.mark.parametrize("path", ["nul\0byte", "\udcff", "x" * 5000, "/dev/null", "~nobody-of-this-name/x"])
def test_hostile_paths_are_refused(path, workshop):
    refusal(path, workshop)


def test_small_pictures_are_counted(folder, workshop):
    paint(folder / "tiny.png", 0, (1, 1))
    paint(folder / "thin.png", 1, (1000, 3))
    paint(folder / "nearly.png", 2, (15, 14))
    paint(folder / "large.png", 3, (100, 40))
    assert prepared(folder, workshop).notes["upscaled"] == 2
    assert prepared(folder, workshop, crop="pad").notes["upscaled"] == 1  # the thin one shrinks


def test_turned_and_animated_pictures_are_counted(folder, workshop):
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 16)).save(folder / "turned.jpg", exif=exif)
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "film.gif", save_all=True, append_images=frames[1:])
    notes = prepared(folder, workshop).notes
    assert (notes["turned"], notes["animated"]) == (1, 1)


def test_a_full_disk_is_told_before_anything_is_read(folder, workshop, monkeypatch):
    paint(folder / "a.png")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 0))
    with pytest.raises(ResourceError) as caught:
        prepared(folder, workshop)
    assert caught.value.exit_code == 7
    assert workshop.progress.opened == []


def test_bombs_are_skipped_and_named(folder, workshop, monkeypatch):
    paint(folder / "good.png", size=(16, 16))
    paint(folder / "bomb.png", size=(100, 100))
    monkeypatch.setattr(images, "MAX_PIXELS", 5000)
    notes = prepared(folder, workshop, skip_share=0.5).notes
    assert "100x100 px; the limit is" in notes["skipped_files"]["bomb.png"]


def test_an_interrupt_ends_the_threads_and_leaves_no_cache(folder, workshop):
    for index in range(100):
        paint(folder / f"{index:03}.png", index)
    stopped = Workshop(workshop.cache, InterruptedBar(), 2)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        prepared(folder, stopped)
    assert threading.active_count() == before
    assert list(workshop.cache.iterdir()) == []


class InterruptedBar(Bar):
    @contextmanager
    def __call__(self, title, total):
        def advance(count):
            raise KeyboardInterrupt

        yield advance


def test_decoding_needs_no_torch():
    import subprocess

    code = "import sys, artgen.data.folder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_folder_of_a_run_is_passed_over(tmp_path):
    """`--data .` in a folder where runs land: their previews are no pictures to learn from."""
    run = tmp_path / "runs" / "mine"
    (run / "samples").mkdir(parents=True)
    (run / "run.json").write_text("{}")
    (run / "recipe.toml").write_text("")
    Image.new("RGB", (8, 8)).save(run / "samples" / "final.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "mine.png")
    scan = look_through(str(tmp_path))
    assert [found.name for found in scan.found] == ["mine.png"]
    assert scan.passed_over == [("runs/mine/", "the folder of a run")]
