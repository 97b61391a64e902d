"""Films that are joined of pieces: what is in them, and what a failure leaves."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from av.error import ExternalError
from cards import CARD, as_pictures, encoding_of, in_pieces, waves, worst
from PIL import Image

from artgen import files
from artgen.data import images
from artgen.errors import ArtgenError, DataError, ResourceError
from artgen.film import encoding as encoding_module
from artgen.film import note_in, probe, read_frames, segments
from artgen.film.colour import as_frames
from artgen.film.encoding import LADDERS
from artgen.film.segments import SegmentWriter, join

CODED = ("mp4", "hevc", "av1", "webm", "prores")
LOSSLESS = ("apng", "png", "png-16")
NOTE = '{"walk": "Füße 歩く 🎨", "n": [1, 2]}'


def joined(folder, kind, frames, lengths, rate=25, note=NOTE, name="film", **options):
    encoding = encoding_of(kind, frames.shape[1:3], rate, **options)
    pieces = in_pieces(folder, encoding, frames, lengths)
    join(pieces, folder / name, encoding, len(frames), note)
    return folder / name


def pictures_in(path):
    """The frames of a film or of a folder of PNG files."""
    if path.is_dir():
        return np.array([images.read(file) for file in sorted(path.iterdir())])
    return np.array(list(read_frames(path)))


@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
@pytest.mark.parametrize("kind", LADDERS)
def test_a_film_is_its_pieces_one_after_another(tmp_path, kind, size):
    frames = waves(19, *size)
    path = joined(tmp_path, kind, frames, [1, 10, 2, 6])
    found = pictures_in(path)
    pieces = [picture for number in range(4) for picture in read_frames(tmp_path / f"piece-{number}")]
    height, width = (size[0] + size[0] % 2, size[1] + size[1] % 2) if kind in CODED else size
    assert found.shape == (19, height, width, 3)
    assert np.abs(found[:, : size[0], : size[1]].astype(int) - frames).mean() < 6
    if kind not in ("gif", "png-16"):
        assert np.array_equal(found, pieces)
    if kind in LOSSLESS:
        assert np.array_equal(found, frames)
    assert note_in(path) == NOTE
    assert {entry.name for entry in tmp_path.iterdir()} == {"film", *(f"piece-{number}" for number in range(4))}


@pytest.mark.parametrize("rate", [25, Fraction(30000, 1001), Fraction(1, 3), 60])
@pytest.mark.parametrize("kind", CODED)
def test_times_are_even_and_exact(tmp_path, kind, rate):
    path = joined(tmp_path, kind, waves(14, 32, 64), [7, 1, 6], rate)
    about = probe(path)
    assert (about.frames, about.frames_per_second) == (14, rate)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        unit = stream.time_base
        assert abs(container.duration / 10**6 - 14 / rate) < 0.001
    step, rounded = 1 / Fraction(rate) / unit, 0 if kind != "webm" else Fraction(1, 2)
    shown = sorted(packet.pts for packet in packets)
    assert all(abs(time - number * step) <= rounded for number, time in enumerate(shown))
    assert all(first.dts < second.dts for first, second in pairwise(packets))
    assert all(packet.dts <= packet.pts for packet in packets)
    assert [number for number, packet in enumerate(packets) if packet.is_keyframe][:1] == [0]
    assert {0, 7, 8} <= {number for number, packet in enumerate(packets) if packet.is_keyframe}


@pytest.mark.parametrize(("kind", "tag"), [("mp4", "avc1"), ("hevc", "hvc1"), ("av1", "av01"), ("prores", "apch")])
def test_a_film_says_what_its_colours_are(tmp_path, kind, tag):
    path = joined(tmp_path, kind, waves(3, 32, 64), [2, 1])
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        assert context.codec_tag == tag
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # a browser plays what it has
    colours = b"nclc" if kind == "prores" else b"nclx"
    assert content[content.index(colours) :][4:10] == bytes([0, 1, 0, 1, 0, 1])


def test_a_webm_says_what_its_colours_are_and_may_be_searched_from_its_beginning(tmp_path):
    path = joined(tmp_path, "webm", waves(3, 32, 64), [2, 1])
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        assert context.name in ("vp9", "libvpx-vp9")
    content = path.read_bytes()
    assert 0 < content.index(b"\x1c\x53\xbb\x6b") < content.index(b"\x1f\x43\xb6\x75")  # Cues before a Cluster


@pytest.mark.parametrize(
    ("kind", "options"),
    [("mp4", {"crf": 4}), ("hevc", {"crf": 4}), ("hevc", {"crf": 4, "bits": 10}), ("av1", {"crf": 4}),
     ("av1", {"crf": 4, "bits": 10}), ("webm", {"crf": 4}), ("prores", {})],
)  # fmt: skip
def test_a_test_card_keeps_its_colours(tmp_path, kind, options):
    path = joined(tmp_path, kind, np.array([CARD] * 4), [2, 2], **options)
    assert max(map(worst, read_frames(path))) <= 2


@pytest.mark.parametrize(("kind", "next_best"), [("mp4", "mpeg4"), ("webm", "libsvtav1"), ("prores", "prores")])
def test_the_next_best_encoders_make_films_too(tmp_path, monkeypatch, kind, next_best):
    monkeypatch.setitem(LADDERS, kind, (next_best,))
    path = joined(tmp_path, kind, np.array([CARD] * 4), [3, 1], **({} if kind == "prores" else {"crf": 4}))
    assert max(map(worst, read_frames(path))) <= 5
    assert note_in(path) == NOTE


@pytest.mark.parametrize("kind", LADDERS)
def test_the_same_pieces_are_the_same_film(tmp_path, kind):
    frames, encoding = waves(6, 32, 64), encoding_of(kind, (32, 64))
    pieces = in_pieces(tmp_path, encoding, frames, [4, 2])
    for name, note in (("a", "one"), ("b", "one"), ("c", "two")):
        join(pieces, tmp_path / name, encoding, 6, note)
    first, second, third = (contents(tmp_path / name) for name in "abc")
    assert first == second != third


def contents(path):
    return [file.read_bytes() for file in sorted(path.iterdir())] if path.is_dir() else path.read_bytes()


@pytest.mark.parametrize("note", ["", "line\nafter line", "[" + '"Füße 歩く 🎨", ' * 5000 + "0]"])
@pytest.mark.parametrize("kind", LADDERS)
def test_a_note_is_kept_whatever_its_length(tmp_path, kind, note):
    assert note_in(joined(tmp_path, kind, waves(2, 16, 16), [1, 1], note=note)) == note


def test_a_folder_holds_numbered_pictures_of_8_and_of_16_bits(tmp_path):
    frames = waves(3, 16, 24)
    for kind, number in (("png", np.uint8), ("png-16", np.uint16)):
        (tmp_path / kind).mkdir()
        folder = joined(tmp_path / kind, kind, frames, [1, 2])
        assert [file.name for file in sorted(folder.iterdir())] == ["000001.png", "000002.png", "000003.png"]
        import cv2

        for file, frame in zip(sorted(folder.iterdir()), frames, strict=True):
            found = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)[..., ::-1]
            assert found.dtype == number
            assert np.array_equal(found, frame if number == np.uint8 else frame.astype(int) * 257)
            assert images.note_in(file) == NOTE
            with Image.open(file) as image:
                assert "icc_profile" in image.info


def test_16_bits_are_those_of_the_picture(tmp_path):
    import cv2

    encoding = encoding_of("png-16", (16, 256))
    levels = np.arange(16 * 256 * 3).reshape(1, 3, 16, 256) * 5
    with SegmentWriter(tmp_path / "piece", encoding) as piece:
        piece.add(as_frames((levels / 32767.5 - 1).astype(np.float32), "rgb-16")[0])
    join([tmp_path / "piece"], tmp_path / "film", encoding, 1)
    found = cv2.imread(str(tmp_path / "film" / "000001.png"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert np.array_equal(found, levels[0].transpose(1, 2, 0))


@pytest.mark.parametrize("rate", [25, Fraction(30000, 1001), Fraction(1, 3), 60, 1000])
def test_an_animation_is_as_long_as_its_film_and_shown_for_ever(tmp_path, rate):
    frames = waves(30, 16, 24)
    for kind in ("gif", "apng"):
        (tmp_path / kind).mkdir()
        with Image.open(joined(tmp_path / kind, kind, frames, [10, 20], rate)) as image:
            delays = []
            for number in range(image.n_frames):
                image.seek(number)
                delays.append(image.info["duration"])  # in ms
            assert image.info["loop"] == 0
            assert abs(sum(delays) - 30_000 / rate) <= 10.1
            assert image.n_frames == (30 if kind == "apng" or rate <= 50 else int(30 * 50 / rate))
            if kind == "gif":
                assert min(delays) >= 20  # browsers show 10 ms for 100
                assert max(delays) - min(delays) <= 10


def test_a_gif_has_the_colours_of_all_of_its_film(tmp_path):
    red, blue = np.zeros((2, 8, 32, 48, 3), np.uint8)
    red[..., 0], blue[..., 2] = np.arange(48) * 5, np.arange(48) * 5
    found = pictures_in(joined(tmp_path, "gif", np.concatenate([red, blue]), [8, 8]))
    assert np.abs(found.astype(int) - np.concatenate([red, blue])).mean() < 3
    with Image.open(tmp_path / "film") as image:
        assert image.info["comment"] == NOTE.encode()  # where other programs look for it


def test_memory_stays_flat_whatever_the_length(tmp_path):
    """One picture at a time: a film of 130 frames may not need more than one of 30."""
    code = (
        "import sys, resource, pathlib\n"
        "sys.path.insert(0, 'tests/film')\n"
        "from cards import encoding_of\n"
        "from artgen.film.segments import join\n"
        "pieces, count, kind = sys.argv[3:], int(sys.argv[2]), sys.argv[1]\n"
        "target = pathlib.Path(pieces[0]).parent / f'{kind}-{count}'\n"
        "join([pathlib.Path(piece) for piece in pieces], target, encoding_of(kind, (200, 200)), count, 'note')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    pytest.importorskip("resource")
    frames = waves(10, 200, 200)
    (piece,) = in_pieces(tmp_path, encoding_of("apng", (200, 200)), frames, [10])
    for kind in ("gif", "apng"):
        peaks = []
        for times in (3, 13):
            command = [sys.executable, "-c", code, kind, str(10 * times), *[str(piece)] * times]
            peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        assert peaks[1] < peaks[0] + 4_000  # kB; the further frames have 12,000


@pytest.mark.parametrize("kind", ["mp4", "gif", "apng", "png"])
def test_what_is_there_is_not_written_over_unless_asked(tmp_path, kind):
    frames, encoding = waves(4, 16, 16), encoding_of(kind, (16, 16))
    pieces = in_pieces(tmp_path, encoding, frames, [2, 2])
    path = tmp_path / "film"
    path.write_text("mine")
    with pytest.raises(DataError, match="already"):
        join(pieces, path, encoding, 4)
    assert path.read_text() == "mine"
    join(pieces, path, encoding, 4, "one", replace=True)
    join(pieces, path, encoding, 4, "two", replace=True)
    assert note_in(path) == "two"
    assert len(pictures_in(path)) == 4
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("kind", ["mp4", "gif", "apng", "png"])
def test_a_film_that_does_not_read_back_is_not_kept(tmp_path, kind, monkeypatch):
    frames, encoding = waves(4, 16, 16), encoding_of(kind, (16, 16))
    pieces = in_pieces(tmp_path, encoding, frames, [2, 2])
    path = tmp_path / "film"
    path.write_text("old")
    if kind == "png":
        monkeypatch.setattr(images, "read", lambda _: np.zeros((16, 15, 3), np.uint8))
    else:
        whole = read_frames
        monkeypatch.setattr("artgen.film.writing.read_frames", lambda path: list(whole(path))[1:])
    with pytest.raises(ArtgenError, match="read back"):
        join(pieces, path, encoding, 4, replace=True)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 3


def test_pieces_that_do_not_make_the_film_are_refused(tmp_path):
    frames, encoding = waves(6, 32, 64), encoding_of("mp4", (32, 64))
    pieces = in_pieces(tmp_path, encoding, frames, [4, 2])
    with pytest.raises(DataError, match="pieces with 4 frames, where 6 are to be joined"):
        join(pieces[:1], tmp_path / "film", encoding, 6)
    with pytest.raises(DataError, match="0 frames"):
        join([], tmp_path / "film", encoding, 0)
    with pytest.raises(DataError, match="No such file") as caught:
        join([*pieces, tmp_path / "lost"], tmp_path / "film", encoding, 6)
    assert caught.value.place == str(tmp_path / "lost")
    with pytest.raises(DataError, match="64x32 px of a film of 64x48 px"):
        join(pieces, tmp_path / "film", encoding_of("mp4", (48, 64)), 6)
    with pytest.raises(DataError, match="not even"):
        join(pieces, tmp_path / "film", encoding_of("mp4", (32, 64), 10), 6)
    other = tmp_path / "other"
    other.mkdir()
    strange = in_pieces(other, encoding_of("hevc", (32, 64)), frames[:2], [2])
    with pytest.raises(DataError, match="encoded in another way"):
        join([pieces[0], *strange], tmp_path / "film", encoding, 6)
    content = pieces[0].read_bytes()
    pieces[0].write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError):
        join(pieces, tmp_path / "film", encoding, 6)
    assert not (tmp_path / "film").exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, FileNotFoundError])
def test_an_exception_leaves_no_piece_and_stays_what_it_is(tmp_path, error):
    def fail():
        with SegmentWriter(tmp_path / "piece", encoding_of("mp4", (48, 64))) as piece:
            piece.add(as_frames(as_pictures([CARD]), "yuv420-8")[0])
            raise error("mine")

    with pytest.raises(error, match="mine"):
        fail()
    assert not list(tmp_path.iterdir())


def test_a_piece_of_no_frames_is_refused(tmp_path):
    with pytest.raises(DataError, match="no frames"), SegmentWriter(tmp_path / "piece", encoding_of("av1", (48, 64))):
        pass
    assert not list(tmp_path.iterdir())


def test_a_piece_fits_into_what_gives_names_to_whole_files(tmp_path):
    encoding = encoding_of("mp4", (48, 64))
    with files.replacing(tmp_path / "piece", new=True) as temporary, SegmentWriter(temporary, encoding) as piece:
        piece.add(as_frames(as_pictures([CARD]), "yuv420-8")[0])
    assert probe(tmp_path / "piece").frames == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "piece"]


def test_an_encoder_that_dies_leaves_no_piece(tmp_path, monkeypatch):
    frames, made = as_frames(as_pictures([CARD] * 3), "yuv420-8"), encoding_module._video_frame

    def dies(frame, encoding):
        if frame is frames[2]:
            raise ExternalError(-542398533, "Generic error in an external library")
        return made(frame, encoding)

    frames = list(frames)
    monkeypatch.setattr(encoding_module, "_video_frame", dies)
    with (
        pytest.raises(ArtgenError, match="cannot be encoded: Generic error in an external library") as caught,
        SegmentWriter(tmp_path / "piece", encoding_of("mp4", (48, 64))) as piece,
    ):
        [piece.add(frame) for frame in frames]
    assert caught.value.place == str(tmp_path / "piece")
    assert not list(tmp_path.iterdir())


def test_an_encoder_that_loses_frames_is_found_out(tmp_path, monkeypatch):
    real = av.open

    class Losing:
        """An encoder that swallows its last packet."""

        def __init__(self, stream):
            self._stream = stream

        def __getattr__(self, name):
            return getattr(self._stream, name)

        def encode(self, frame):
            return self._stream.encode(frame)[: -1 if frame is None else None]

    class Container:
        def __init__(self, *arguments, **options):
            self._container = real(*arguments, **options)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self._container.close()

        def __getattr__(self, name):
            return getattr(self._container, name)

        def add_stream(self, *arguments, **options):
            return Losing(self._container.add_stream(*arguments, **options))

    encoding = encoding_of("mp4", (48, 64))
    monkeypatch.setattr(encoding_module.av, "open", Container)
    piece = SegmentWriter(tmp_path / "piece", encoding)
    piece.__enter__()
    for frame in as_frames(as_pictures([CARD] * 3), "yuv420-8"):
        piece.add(frame)
    with pytest.raises(ArtgenError, match="libx264 was given 3 frames and gave 2"):
        piece.__exit__(None, None, None)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX")
@pytest.mark.parametrize("kind", LADDERS)
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, kind):
    frames = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), np.uint8)
    pieces = in_pieces(tmp_path, encoding_of(kind, (64, 64)), frames, [12])
    code = (
        "import pathlib, resource, sys, numpy\n"
        "sys.path.insert(0, 'tests/film')\n"
        "from cards import encoding_of, in_pieces\n"
        "from artgen.errors import ResourceError\n"
        "from artgen.film.segments import join\n"
        "kind, folder = sys.argv[1], pathlib.Path(sys.argv[2])\n"
        "encoding = encoding_of(kind, (64, 64))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, resource.RLIM_INFINITY))\n"
        "try: join([folder / 'piece-0'], folder / 'film', encoding, 12)\n"
        "except ResourceError as error: print(error)\n"
        "(folder / 'piece-0').unlink()\n"
        "frames = numpy.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), 'uint8')\n"
        "try: in_pieces(folder, encoding, frames, [12])\n"
        "except ResourceError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, kind, tmp_path]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "film: the film cannot be written: File too large" in ended.stdout
    assert "piece-0: the film cannot be written: File too large" in ended.stdout
    assert pieces
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["mp4", "gif", "apng", "png"])
def test_a_name_that_cannot_be_given_leaves_nothing(tmp_path, kind, monkeypatch):
    encoding = encoding_of(kind, (16, 16))
    pieces = in_pieces(tmp_path, encoding, waves(2, 16, 16), [2])

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "_sync", full)
    with pytest.raises(ResourceError, match="No space left"):
        join(pieces, tmp_path / "film", encoding, 2)
    assert list(tmp_path.iterdir()) == pieces


def test_a_damaged_picture_of_a_piece_is_refused(tmp_path, monkeypatch):
    encoding = encoding_of("apng", (16, 16))
    pieces = in_pieces(tmp_path, encoding, waves(2, 16, 16), [2])
    content = pieces[0].read_bytes()
    pieces[0].write_bytes(content.replace(b"IDAT", b"IDAX"))
    with pytest.raises(DataError, match="damaged"):
        segments.join(pieces, tmp_path / "film", encoding, 2)
    assert list(tmp_path.iterdir()) == pieces
