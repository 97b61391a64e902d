"""Films as they are written: their colours, their bytes, and what a failure leaves."""

from __future__ import annotations

import errno
import logging
import signal
import subprocess
import sys
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from artgen import files
from artgen.errors import ArtgenError, DataError, ResourceError
from artgen.film import FilmInfo, FilmWriter, note_in, probe, read_frames, writing
from artgen.film.writing import yuv420

COLOURS = np.array(
    [
        [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0)],
        [(0, 0, 255), (0, 170, 0), (255, 255, 0), (128, 128, 128)],
        [(200, 120, 90), (20, 40, 60), (250, 5, 130), (90, 200, 220)],
    ],
    np.uint8,
)
CARD = COLOURS.repeat(16, 0).repeat(16, 1)  # (48, 64, 3)


def noise(count=6, height=32, width=48):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def write(path, frames, rate=25, **options):
    with FilmWriter(path, frames[0].shape[:2], rate, **options) as film:
        for frame in frames:
            film.add(frame)
    return path


def worst(frame):
    """The largest difference from the card, away from the edges of its squares."""
    difference = np.abs(frame.astype(int) - CARD).reshape(3, 16, 4, 16, 3)
    return difference[:, 4:-4, :, 4:-4].max()


def test_a_test_card_keeps_its_colours(tmp_path):
    path = write(tmp_path / "a.mp4", [CARD] * 3)
    assert max(map(worst, read_frames(path))) <= 2
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        assert context.pix_fmt == "yuv420p"


def test_opencv_sees_the_same_colours(tmp_path):
    capture = cv2.VideoCapture(str(write(tmp_path / "a.mp4", [CARD])))
    found, frame = capture.read()
    assert found
    assert worst(frame[..., ::-1]) <= 4


def test_luma_and_chroma_are_those_of_bt709():
    frame = noise(1, 6, 8)[0]
    # Recommendation ITU-R BT.709-6, items 3.2 to 3.4, with 8 bits
    red, green, blue = frame.transpose(2, 0, 1) / 255
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    planes = [219 * luma + 16, 224 * (blue - luma) / 1.8556 + 128, 224 * (red - luma) / 1.5748 + 128]
    found = yuv420(frame)
    assert (found.shape, found.dtype) == ((9, 8), np.uint8)
    assert np.abs(found[:6] - planes[0]).max() <= 0.501
    for plane, wanted in zip(found[6:].reshape(2, 3, 4), planes[1:], strict=True):
        assert np.abs(plane - wanted.reshape(3, 2, 4, 2).mean((1, 3))).max() <= 0.501


def test_floats_are_what_uint8_is_and_are_clamped():
    frame = noise(1)[0]
    assert np.array_equal(yuv420((frame / 127.5 - 1).astype(np.float32)), yuv420(frame))
    black_and_white = np.where(frame > 127, 1.5, -7.0)
    assert np.array_equal(yuv420(black_and_white), yuv420(np.where(frame > 127, 255, 0).astype(np.uint8)))


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (1, 40), (47, 63), (48, 63)])
def test_an_odd_side_repeats_its_last_pixels(tmp_path, size):
    frame = CARD[: size[0], : size[1]]
    path = write(tmp_path / "a.mp4", [frame], crf=1)
    height, width = size[0] + size[0] % 2, size[1] + size[1] % 2
    assert probe(path) == FilmInfo(1, Fraction(25), height, width)
    (found,) = read_frames(path)
    padded = np.pad(frame, ((0, size[0] % 2), (0, size[1] % 2), (0, 0)), mode="edge")
    assert np.median(np.abs(found.astype(int) - padded)) <= 2


@pytest.mark.parametrize("rate", [1, 25, Fraction(24000, 1001), Fraction(1, 3), Fraction(100)])
def test_frames_last_as_long_as_they_should(tmp_path, rate):
    path = write(tmp_path / "a.mp4", noise(7), rate)
    assert probe(path) == FilmInfo(7, Fraction(rate), 32, 48)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == Fraction(7) / Fraction(rate)
        assert [frame.pts * frame.time_base * rate for frame in container.decode(stream)] == list(range(7))


def test_the_same_frames_are_the_same_file(tmp_path):
    paths = [write(tmp_path / name, noise(), note="one") for name in ("a.mp4", "b.mp4")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_bytes() != write(tmp_path / "c.mp4", noise(), note="two").read_bytes()


def test_the_same_moving_frames_are_the_same_file_each_time(tmp_path):
    """Whatever lay in memory before; x264's mbtree on AVX-512 was one time in five another file."""
    frames = [cv2.GaussianBlur(frame, (0, 0), 2) for frame in noise(10, 64, 64)]
    assert len({write(tmp_path / f"{time}.mp4", frames).read_bytes() for time in range(30)}) == 1


def test_a_lower_factor_costs_more_and_loses_less(tmp_path):
    paths = [write(tmp_path / f"{crf}.mp4", noise(), crf=crf) for crf in (10, 40)]
    sizes = [path.stat().st_size for path in paths]
    errors = [np.abs(np.array(list(read_frames(path))).astype(int) - noise()).mean() for path in paths]
    assert sizes[0] > 2 * sizes[1]
    assert errors[0] < 0.8 * errors[1]


def test_the_index_comes_before_the_pictures(tmp_path):
    content = write(tmp_path / "a.mp4", noise()).read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("note", ["", "one", '{"recipe": "Füße", "n": [1, 2]}', "line\nafter line " * 500])
def test_a_note_is_kept(tmp_path, note):
    assert note_in(write(tmp_path / "a.mp4", noise(2), note=note)) == note


def test_what_is_no_film_has_no_note(tmp_path):
    assert note_in(tmp_path / "nowhere.mp4") == ""


def test_a_file_is_never_written_over(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("mine")
    with pytest.raises(DataError, match="already"):
        FilmWriter(path, (32, 48), 25)
    path.unlink()

    def frames():
        yield from noise()
        path.write_text("mine")  # by somebody else, meanwhile

    with pytest.raises(ResourceError, match="exists"), FilmWriter(path, (32, 48), 25) as film:
        [film.add(frame) for frame in frames()]
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_film_that_is_to_be_replaced_stands_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("old")
    with pytest.raises(DataError, match="no frames"), FilmWriter(path, (32, 48), 25, replace=True):
        pass
    assert path.read_text() == "old"
    with FilmWriter(path, (32, 48), 25, replace=True) as film:
        [film.add(frame) for frame in noise()]
    assert probe(path).frames == film.frames
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP])
def test_where_there_are_no_links_a_name_is_looked_at_first(tmp_path, monkeypatch, code):
    def no_links(*_, **__):
        raise OSError(code, "no links here")

    monkeypatch.setattr("os.link", no_links)
    path = tmp_path / "a.txt"
    with files.replacing(path, new=True) as temporary:
        temporary.write_text("first")
    with pytest.raises(FileExistsError), files.replacing(path, new=True) as temporary:
        temporary.write_text("second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, FileNotFoundError])
def test_an_exception_leaves_nothing_and_stays_what_it_is(tmp_path, error):
    def fail():
        with FilmWriter(tmp_path / "a.mp4", (32, 48), 25) as film:
            film.add(noise()[0])
            raise error("mine")

    with pytest.raises(error, match="mine"):
        fail()
    assert not list(tmp_path.iterdir())


def test_a_kill_leaves_nothing_under_the_name(tmp_path):
    code = (
        "import os, signal, sys, numpy\n"
        "from artgen.film import FilmWriter\n"
        "frames = numpy.random.default_rng(0).integers(0, 256, (90, 64, 64, 3), 'uint8')\n"
        "with FilmWriter(sys.argv[1], (64, 64), 25) as film:\n"
        "    for frame in frames: film.add(frame)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, tmp_path / "a.mp4"], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert all(files.is_leftover(path) for path in tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX")
@pytest.mark.parametrize("limit_bytes", [100, 20_000])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, limit_bytes):
    code = (
        "import resource, sys, numpy\n"
        "from artgen.errors import ResourceError\n"
        "from artgen.film import FilmWriter\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))\n"
        "frames = numpy.random.default_rng(0).integers(0, 256, (30, 64, 64, 3), 'uint8')\n"
        "try:\n"
        "    with FilmWriter(sys.argv[1], (64, 64), 25, crf=0) as film:\n"
        "        for frame in frames: film.add(frame)\n"
        "except ResourceError as error: print(error)\n"
    )
    arguments = [sys.executable, "-c", code, tmp_path / "a.mp4", str(limit_bytes)]
    ended = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert "a.mp4: the film cannot be written: File too large" in ended.stdout
    assert not list(tmp_path.iterdir())


def test_a_film_that_does_not_read_back_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "read_frames", lambda path: iter(list(read_frames(path))[1:]))
    with pytest.raises(ArtgenError, match="32, 48, 6, 6, 25, and read back as 32, 48, 6, 5, 25"):
        write(tmp_path / "a.mp4", noise())
    assert not list(tmp_path.iterdir())


def test_frames_and_films_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(DataError, match="no frames"), FilmWriter(tmp_path / "a.mp4", (32, 48), 25):
        pass
    with pytest.raises(ValueError, match=r"\(16, 48, 3\)"):
        write(tmp_path / "a.mp4", [noise()[0], noise()[0, :16]])
    for size, rate in (((0, 48), 25), ((32, 48), 0), ((32, 48), -1), ((20_000, 20_000), 25)):
        with pytest.raises(DataError, match="px at"):
            FilmWriter(tmp_path / "a.mp4", size, rate)
    with pytest.raises(ResourceError, match="No such file"), FilmWriter(tmp_path / "nowhere" / "a.mp4", (32, 48), 25):
        pass
    assert not list(tmp_path.iterdir())


def test_without_x264_films_are_mpeg4_and_that_is_said(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(writing, "ENCODERS", ("libx264-is-not-here", "mpeg4"))
    with caplog.at_level(logging.WARNING):
        path = write(tmp_path / "a.mp4", [CARD] * 3)
    assert "mpeg4, which is not the best encoder: libx264-is-not-here" in caplog.text
    assert max(map(worst, read_frames(path))) <= 4
    assert path.read_bytes() == write(tmp_path / "b.mp4", [CARD] * 3).read_bytes()
    monkeypatch.setattr(writing, "ENCODERS", ("libx264-is-not-here",))
    with pytest.raises(ArtgenError, match="no encoder makes a film of 64x48 px"):
        write(tmp_path / "c.mp4", [CARD])
