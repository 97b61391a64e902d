"""Encoders: which is chosen, what is said of it, and that its bytes are the same each time."""

from __future__ import annotations

import io
import json
import logging
import os
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from cards import as_pictures, encoding_of, waves

from artgen.errors import ArtgenError, DataError
from artgen.film import encoding as module
from artgen.film.colour import as_frames
from artgen.film.encoding import LADDERS, encoded


@pytest.fixture(autouse=True)
def nothing_said():
    module._say.cache_clear()


def written(encoding, frames):
    file = io.BytesIO()
    with encoded(file, encoding) as add:
        for frame in as_frames(as_pictures(frames), encoding.form):
            add(frame)
    return file.getvalue()


@pytest.mark.parametrize("kind", LADDERS)
def test_the_best_encoder_is_taken_without_a_word(kind, caplog):
    assert encoding_of(kind, (48, 64)).encoder == LADDERS[kind][0]
    assert not caplog.records


@pytest.mark.parametrize("kind", ["mp4", "hevc", "av1", "webm", "prores"])
def test_the_next_encoder_is_taken_where_one_is_missing_and_that_is_said_once(kind, caplog, monkeypatch):
    monkeypatch.setitem(LADDERS, kind, ("lost", *LADDERS[kind][1:]))
    encoding = encoding_of(kind, (48, 64))
    assert encoding.encoder in LADDERS[kind][1:]
    assert len(written(encoding, waves(3, 48, 64))) > 100
    assert encoding_of(kind, (48, 64)) == encoding
    (said,) = caplog.messages
    assert f"{kind} is encoded by {encoding.encoder}, which is not the best encoder: lost: not there" in said


def test_where_no_encoder_works_all_are_named(monkeypatch):
    monkeypatch.setitem(LADDERS, "av1", ("lost", "libsvtav1"))
    with pytest.raises(ArtgenError, match=r"av1: no encoder .* 3x1 px at 25 .*lost: not there; libsvtav1: ") as caught:
        encoding_of("av1", (1, 3))
    assert "Choose another size" in caught.value.remedy
    with pytest.raises(ArtgenError, match="no encoder"):
        encoding_of("mp4", (48, 64), Fraction(10**12 + 1, 10**10))


@pytest.mark.parametrize("kind", ["gif", "apng"])
def test_a_picture_that_is_shown_too_long_is_refused(kind):
    encoding_of(kind, (8, 8), Fraction(1, 600))
    with pytest.raises(DataError, match="shown for 700 seconds"):
        encoding_of(kind, (8, 8), Fraction(1, 700))


def test_ten_bits_are_used_where_players_show_them(caplog):
    assert encoding_of("hevc", (48, 64), bits=10).form == encoding_of("av1", (48, 64), bits=10).form == "yuv420-10"
    assert not caplog.records
    assert encoding_of("mp4", (48, 64), bits=10).form == "yuv420-8"
    assert "mp4 is encoded with 8 bits" in caplog.text


@pytest.mark.parametrize(("kind", "default", "most"), [("mp4", 18, 51), ("hevc", 20, 51), ("av1", 24, 63)])
def test_the_rate_factor_is_that_of_the_encoder(kind, default, most):
    assert encoding_of(kind, (48, 64)).crf == default
    assert encoding_of(kind, (48, 64), crf=63).crf == most
    sizes = [len(written(encoding_of(kind, (48, 64), crf=crf), waves(4, 48, 64))) for crf in (5, 45)]
    assert sizes[0] > 1.5 * sizes[1]


def test_what_the_bytes_depend_on_is_told():
    encoding = encoding_of("hevc", (47, 63), Fraction(30000, 1001))
    told = encoding.depends_on
    assert json.loads(json.dumps(told)) == told
    assert (told["size"], told["frames_per_second"]) == ([47, 63], "30000/1001")
    assert told["libraries"]["libavcodec"].count(".") == 2
    for other in (
        encoding_of("hevc", (47, 63), 30),
        encoding_of("hevc", (48, 63), Fraction(30000, 1001)),
        encoding_of("hevc", (47, 63), Fraction(30000, 1001), crf=21),
        encoding_of("hevc", (47, 63), Fraction(30000, 1001), bits=10),
        replace(encoding, encoder="libx264"),
    ):
        assert other.depends_on != told
    assert encoding_of("hevc", (47, 63), Fraction(30000, 1001)).depends_on == told


@pytest.mark.parametrize("kind", LADDERS)
@pytest.mark.parametrize("size", [(16, 64), (64, 64), (96, 72)])
def test_the_same_frames_are_the_same_bytes_whatever_lay_in_memory(kind, size):
    """x265 of pictures as narrow as its coding unit was nearly each time another film."""
    encoding, noise = encoding_of(kind, size), np.random.default_rng(0).integers(-30, 30, (8, *size, 3))
    frames = (waves(8, *size) + noise).clip(0, 255).astype(np.uint8)
    found, kept = set(), []
    for _ in range(4):
        kept.append(os.urandom(1 << 17))
        found.add(written(encoding, frames))
    assert len(found) == 1


@pytest.mark.parametrize("kind", LADDERS)
def test_an_array_may_be_written_over_when_it_was_added(kind):
    encoding, frames = encoding_of(kind, (48, 64)), waves(5, 48, 64)
    file, ring = io.BytesIO(), as_frames(as_pictures(frames[:1]), encoding_of(kind, (48, 64)).form)[0]
    with encoded(file, encoding) as add:
        for frame in as_frames(as_pictures(frames), encoding.form):
            ring[:] = frame
            add(ring)
            ring[:] = 16
    assert file.getvalue() == written(encoding, frames)


@pytest.mark.parametrize(("shape", "kind"), [((72, 64), np.uint8), ((71, 64), np.uint16), ((48, 64, 3), np.uint16)])
def test_a_frame_of_another_form_is_refused(shape, kind):
    wanted = r"where \(72, 64\) of uint16 was promised"
    with (
        pytest.raises(ValueError, match=wanted),
        encoded(io.BytesIO(), encoding_of("hevc", (47, 63), bits=10)) as add,
    ):
        add(np.zeros(shape, kind))


@pytest.mark.parametrize("size", [(16, 64), (18, 64), (64, 64), (50, 70), (66, 128), (128, 66)])
@pytest.mark.parametrize("bits", [8, 10])
def test_x265_takes_long_pictures_and_films_of_one_frame(size, bits):
    encoding = encoding_of("hevc", size, bits=bits)
    assert encoding.encoder == "libx265"
    for count in (1, 2, 3):
        with av.open(io.BytesIO(written(encoding, waves(count, *size)))) as film:
            assert len(list(film.decode(video=0))) == count


@pytest.mark.parametrize("size", [(34, 34), (128, 34), (18, 40), (200, 62), (14, 64)])
def test_x265_is_not_given_pictures_with_which_it_writes_beyond_its_memory(size, caplog):
    assert encoding_of("hevc", size).encoder == "libx264"
    assert "libx265: smaller than 64x16 px" in caplog.text


def test_encoders_keep_quiet(capfd, caplog):
    with caplog.at_level(logging.INFO):
        for kind in LADDERS:
            module._failure(replace(encoding_of(kind, (50, 70)), frames_per_second=Fraction(31)))
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
