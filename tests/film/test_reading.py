"""Films as they come: every form and tag that a file may have, and all that may be wrong with it."""

from __future__ import annotations

import os
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from artgen.errors import DataError
from artgen.film import FilmInfo, FilmWriter, probe, read_frames, reading

HEIGHT, WIDTH = 48, 64


def patches(count=6, height=HEIGHT, width=WIDTH, seed=0):
    """Frames of flat squares of 16 px, each of another colour."""
    colours = np.random.default_rng(seed).integers(0, 256, (count, height // 16, width // 16, 3))
    return colours.repeat(16, 1).repeat(16, 2).astype(np.uint8)


def middles(frame):
    """The inner pixels of each square: coding blurs where colours meet."""
    height, width, _ = frame.shape
    squares = frame.astype(int).reshape(height // 16, 16, width // 16, 16, 3)
    return squares[:, 6:-6, :, 6:-6]


def write(path, frames, codec="ffv1", form="bgr0", options=None, set_up=None, **reformat):
    """A film as FFmpeg writes it by itself, tagged only as `options` say."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25), options=options or {})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], form
        stream.codec_context.thread_count = 1
        if set_up:
            set_up(stream)
        for index, frame in enumerate(frames):
            coded = av.VideoFrame.from_ndarray(frame, "rgba" if frame.shape[2] == 4 else "rgb24")
            coded = coded.reformat(format=form, **reformat)
            coded.pts, coded.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(coded))
        container.mux(stream.encode(None))
    return path


def refused(path, cause):
    """The error of a film, from `probe` or from reading it."""
    with pytest.raises(DataError, match=cause) as caught:
        (probe(path), list(read_frames(path)))
    assert caught.value.place == str(path)
    assert caught.value.remedy
    assert "Errno" not in caught.value.cause


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [
        ("a.mkv", "ffv1", "bgr0"),
        ("a.avi", "huffyuv", "rgb24"),
        ("a.mov", "qtrle", "rgb24"),
        ("a.avi", "rawvideo", "bgr24"),
    ],
)
def test_lossless_films_come_in_as_they_were(tmp_path, name, codec, form):
    frames = np.random.default_rng(0).integers(0, 256, (5, HEIGHT, WIDTH, 3), np.uint8)
    path = write(tmp_path / name, frames, codec, form)
    assert probe(path) == FilmInfo(5, Fraction(25), HEIGHT, WIDTH)
    found = list(read_frames(path))
    assert all(frame.dtype == np.uint8 and frame.flags.c_contiguous for frame in found)
    assert np.array_equal(found, frames)


@pytest.mark.parametrize(("first", "count"), [(0, 2), (2, None), (1, 3), (4, 9), (7, None), (0, 0)])
def test_a_stretch_of_a_film_is_that_of_the_whole(tmp_path, first, count):
    path = tmp_path / "a.mp4"
    with FilmWriter(path, (HEIGHT, WIDTH), 25) as film:
        for frame in patches():
            film.add(frame)
    whole, part = list(read_frames(path)), list(read_frames(path, first, count))
    wanted = whole[first:] if count is None else whole[first : first + count]
    assert len(part) == len(wanted)
    assert all(map(np.array_equal, part, wanted))


@pytest.mark.parametrize(
    ("codec", "form", "matrix", "tag"),
    [
        ("libx264", "yuv420p", 1, "bt709"),
        ("libx264", "yuv420p", 5, "smpte170m"),
        ("libx264", "yuvj420p", 1, "bt709"),
        ("libvpx-vp9", "yuv420p", 1, "bt709"),
        ("libvpx-vp9", "yuv420p", 5, "smpte170m"),
        ("mjpeg", "yuvj420p", 5, "smpte170m"),
    ],
)
def test_lossy_films_have_the_colours_that_are_tagged(tmp_path, codec, form, matrix, tag):
    frames, full = patches(2), form == "yuvj420p"
    options = {"colorspace": tag} | ({"qmin": "1", "qmax": "2"} if codec == "mjpeg" else {"crf": "4"})
    path = write(
        tmp_path / "a.mkv", frames, codec, form, options, dst_colorspace=matrix, dst_color_range=2 if full else 1
    )
    for found, frame in zip(read_frames(path), frames, strict=True):
        assert np.abs(middles(found) - middles(frame)).max() <= 4


@pytest.mark.parametrize(("height", "width", "matrix"), [(576, 720, 5), (480, 1264, 5), (480, 1280, 1), (592, 720, 1)])
def test_an_untagged_film_has_the_matrix_that_players_take(tmp_path, height, width, matrix):
    frames = patches(1, height, width)
    path = write(tmp_path / "a.mkv", frames, "ffv1", "yuv444p", dst_colorspace=matrix, dst_color_range=1)
    assert np.abs(next(read_frames(path)).astype(int) - frames[0]).max() <= 2


@pytest.mark.parametrize("form", ["yuv422p10le", "yuv444p12le", "gray16le"])
def test_more_bits_are_rounded(tmp_path, form):
    grey = patches(1)[..., :1].repeat(3, axis=3)
    path = write(tmp_path / "a.mkv", grey, "ffv1", form, dst_color_range=2 if "gray" in form else 1)
    assert np.abs(next(read_frames(path)).astype(int) - grey[0]).max() <= 1


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_turned_film_is_turned_upright(tmp_path, degrees):
    frames = patches(3)
    turned = [np.rot90(frame, -degrees // 90) for frame in frames]  # as the sensor lies
    write(
        tmp_path / "a.mov",
        [np.ascontiguousarray(frame) for frame in turned],
        "qtrle",
        "rgb24",
        set_up=lambda stream: stream.set_display_rotation(degrees),
    )
    assert probe(tmp_path / "a.mov") == FilmInfo(3, Fraction(25), HEIGHT, WIDTH)
    assert np.array_equal(list(read_frames(tmp_path / "a.mov")), frames)


def test_an_animated_gif_is_a_film_whose_paper_is_white(tmp_path):
    frames = patches(4)
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=[40, 40, 200, 40], loop=0)
    assert probe(tmp_path / "a.gif").frames == 4  # and not as often as it is shown
    assert np.array_equal(list(read_frames(tmp_path / "a.gif")), frames)
    clear = Image.new("RGBA", (16, 16))
    clear.paste((200, 30, 0, 255), (4, 4, 12, 12))
    clear.save(tmp_path / "clear.gif")
    (found,) = read_frames(tmp_path / "clear.gif")
    assert found[0, 0].tolist() == [255, 255, 255]
    assert found[8, 8].tolist() == [200, 30, 0]


def test_half_transparent_pixels_are_mixed_with_white(tmp_path):
    drawn = np.full((1, 16, 16, 4), (10, 100, 201, 102), np.uint8)  # 0.4 of it
    path = write(tmp_path / "a.mov", drawn, "png", "rgba")
    assert next(read_frames(path))[3, 3].tolist() == [157, 193, 233]  # 0.4 x + 153


def test_what_is_no_film_says_why(tmp_path):
    path = write(tmp_path / "a.mkv", patches(2))
    for name, content, cause in (
        ("empty.mp4", b"", "an empty file"),
        ("text.mp4", b"a film, honestly, and not a text", "not a film"),
        ("list.m3u8", f"#EXTM3U\n#EXTINF:1,\n{path}\n".encode(), "not a film"),
        ("list.mp4", f"ffconcat version 1.0\nfile {path}\n".encode(), "not a film"),
        ("head.mkv", path.read_bytes()[:40], "cannot be read"),
        ("noise.mp4", b"\0\0\0\x20ftypisom" + np.random.default_rng(0).bytes(5000), "cannot be read"),
        ("noise.gif", b"GIF89a" + np.random.default_rng(0).bytes(5000), "cannot be read|no frame"),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, cause)
    refused(tmp_path / "nowhere.mp4", "No such file")
    refused(tmp_path, "not a file")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.mp4")
        refused(tmp_path / "pipe.mp4", "not a file")


def test_the_first_bytes_tell_a_film(tmp_path):
    mp4, heic = b"\0\0\0\x18ftypisom\0\0\0\0", b"\0\0\0\x18ftypheic\0\0\0\0"
    assert reading.format_of(mp4) == "mov"
    assert reading.format_of(b"\x1aE\xdf\xa3" + bytes(12)) == "matroska"
    assert reading.format_of(b"RIFF\0\0\0\0AVI LIST") == "avi"
    for other in (heic, heic.replace(b"heic", b"avif"), b"RIFF\0\0\0\0WEBPVP8 ", b"\x89PNG\r\n\x1a\n", b"text", b""):
        assert reading.format_of(other) is None
    write(tmp_path / "film.mkv", patches(2))
    assert reading.format_of((tmp_path / "film.mkv").read_bytes()[:16]) == "matroska"


def test_a_film_without_pictures_and_one_of_a_rare_codec_are_refused(tmp_path):
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
    refused(tmp_path / "sound.mkv", "no moving pictures")
    refused(write(tmp_path / "rare.avi", patches(2), "wmv2", "yuv420p"), "its codec, wmv2, is not read")


def test_a_damaged_film_is_refused_where_it_is_damaged(tmp_path):
    path = tmp_path / "a.mp4"
    with FilmWriter(path, (HEIGHT, WIDTH), 25, crf=2) as film:
        for frame in np.random.default_rng(0).integers(0, 256, (20, HEIGHT, WIDTH, 3), np.uint8):
            film.add(frame)
    content = bytearray(path.read_bytes())
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 9 // 10])
    refused(tmp_path / "cut.mp4", "breaks off")
    content[len(content) // 2 : len(content) // 2 + 300] = b"\xff" * 300
    path.write_bytes(content)
    refused(path, "damaged|cannot be read")
    assert len(list(read_frames(path, count=3))) == 3  # before the fault


def test_a_frame_may_not_be_larger_than_the_head_says(tmp_path, monkeypatch):
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuvj420p"
        for index, side in enumerate((16, 16, 64)):
            context = av.CodecContext.create("mjpeg", "w")
            context.height, context.width, context.pix_fmt, context.time_base = side, side, "yuvj420p", Fraction(1, 25)
            if not index:
                container.start_encoding()
            for packet in [*context.encode(av.VideoFrame(side, side, "yuvj420p")), *context.encode(None)]:
                packet.stream, packet.pts, packet.dts, packet.time_base = stream, index, index, Fraction(1, 25)
                container.mux(packet)
    frames = read_frames(tmp_path / "a.avi")
    assert [next(frames).shape for _ in range(2)] == [(16, 16, 3)] * 2
    with pytest.raises(DataError, match="different sizes"):
        next(frames)
    monkeypatch.setattr(reading, "MAX_PIXELS", 1000)  # the large frame is not even decoded
    with pytest.raises(DataError, match="cannot be read"):
        list(read_frames(tmp_path / "a.avi"))


def test_a_head_that_announces_too_much_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", patches(1), "libx264", "yuv420p")
    monkeypatch.setattr(reading, "MAX_PIXELS", HEIGHT * WIDTH - 1)
    refused(path, "64x48 px; the limit is 3,071")
