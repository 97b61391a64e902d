"""`artgen translate`, as a user has it: on pictures of all kinds, with tiny runs."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from artgen.cli import main
from artgen.data.images import LABEL_COLOURS
from artgen.film import FilmWriter, note_in, probe, read_frames
from artgen.film.writing import trouble
from tests.cli.conftest import content, paint, pixels, refused

NETWORKS = """
[generator.unet]
width = 4
widest = 8
{options}
[critic.patchgan]
receptive_field_px = 16
width = 4
[losses.non-saturating]
[losses.l1]
[trainer.paired]
[[phase]]
images = 32
batch = 8
[run]
precision = "fp32"
preview_pictures = 4
preview_images = 32
evaluate_samples = 4
"""
COLOURS = "seed = 3\n[data.folder]\npath = 'photos'\nresolution = 32\nheld_out = 0.2\n[source.grey]\n" + NETWORKS
RECIPES = {
    "colours": COLOURS.format(options="keep_lightness = true"),
    "steady": COLOURS.format(options='keep_lightness = true\nnorm = "instance"'),
    "drawing": COLOURS.format(options="test_as_trained = true"),
    "labels": "seed = 3\n[data.pairs]\npath = 'pairs'\nresolution = 32\nlabels = true\n" + NETWORKS.format(options=""),
}


@pytest.fixture(scope="session")
def trained(cache, tmp_path_factory) -> Path:
    """A folder with runs of these recipes in it, which have come to their end; not to be changed."""
    folder = tmp_path_factory.mktemp("translators")
    for name in ("photos", "pairs/photos", "pairs/labels"):
        (folder / name).parent.mkdir(exist_ok=True)
        paint(folder / name, 16, side=40)
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setenv("ARTGEN_CACHE", str(cache))
        for name, text in RECIPES.items():
            Path(f"{name}.toml").write_text(text)
            main.artgen(["run", f"{name}.toml", "--device", "cpu"], standalone_mode=False)
    return folder


@pytest.fixture
def translate(artgen, trained):
    """`translate("colours", input, ..., "--side", 0) -> Done`, into the folder `out`."""
    return lambda name, *given: artgen("translate", trained / "runs" / name, *given, "--out", "out", "--device", "cpu")


def blend(height: int, width: int) -> np.ndarray:
    """Colours that change slowly, (height, width, 3) uint8: as a photograph, unlike noise, does."""
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return (np.stack([down, across, (1 - down) * across], axis=2) * 200 + 20).astype(np.uint8)


def lightness(picture: np.ndarray) -> np.ndarray:
    """L* of CIE Lab, 0 to 100."""
    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 0]


def test_a_folder_keeps_its_names_and_pictures_their_size_shape_and_alpha(translate, here):
    deep = here / "in" / "a" / "b"
    deep.mkdir(parents=True)
    alpha = np.random.default_rng(1).integers(0, 256, (50, 70), np.uint8)
    Image.fromarray(blend(50, 70)).save(here / "in" / "first.jpg")
    Image.fromarray(np.dstack([blend(50, 70), alpha])).save(deep / "cut.out.png")
    Image.fromarray(blend(90, 33)[..., 0]).save(here / "in" / "grey.bmp")
    Image.fromarray(blend(37, 64)[..., 0].astype(np.uint16) << 8).save(here / "in" / "deep.tiff")
    Image.fromarray(blend(1, 3)).save(here / "in" / "tiny.png")
    lying = Image.Exif()
    lying[0x0112] = 6
    Image.fromarray(blend(40, 60)).save(here / "in" / "lying.jpg", exif=lying)
    (here / "in" / "captions.txt").write_text("no picture")
    done = translate("colours", "in")
    assert (done.code, done.err) == (0, "")
    made = {name: pixels(here / name).shape for name in done.out.split()}
    assert made == {
        "out/a/b/cut.out.png": (50, 70, 4), "out/deep.png": (37, 64, 3), "out/first.png": (50, 70, 3),
        "out/grey.png": (90, 33, 3), "out/lying.png": (60, 40, 3), "out/tiny.png": (1, 3, 3),
    }  # fmt: skip
    assert np.array_equal(pixels(here / "out/a/b/cut.out.png")[..., 3], alpha)


def test_colours_are_made_small_and_the_lightness_is_that_of_the_full_picture(translate, here):
    picture = blend(150, 200)
    picture[70:80, ::2] //= 2  # detail that 32 px cannot hold
    Image.fromarray(picture).save("photo.png")
    assert translate("colours", "photo.png").code == 0
    made = pixels("out/photo.png")
    # Colours of a network that has hardly learnt are often none that a screen can show.
    assert np.median(np.abs(lightness(made) - lightness(picture))) < 0.5
    stripes = lightness(made)[70:80, 1::2] - lightness(made)[70:80, ::2]
    assert stripes.mean() > 15
    assert np.abs(made.astype(int) - picture).max() > 5


def test_a_picture_of_the_training_size_is_made_as_sample_makes_it(artgen, translate, trained, here):
    done = artgen("sample", trained / "runs" / "colours", "--count", 3, "--grid", "--out", "sampled", "--device", "cpu")
    sheet = pixels(done.out.strip())
    assert sheet.shape == (3 * 34 + 2, 3 * 34 + 2, 3)  # source | made | true, three times
    for row in range(3):
        source, made, true = (sheet[2 + 34 * row : 34 + 34 * row, 2 + 34 * i : 34 + 34 * i] for i in range(3))
        for name, picture in (("source", source), ("true", true)):
            Image.fromarray(picture).save(f"{name}-{row}.png")
        assert translate("colours", f"source-{row}.png", "--as-is").code == 0
        assert translate("colours", f"true-{row}.png").code == 0
        # A source is rounded once more where it was a file.
        assert np.abs(pixels(f"out/true-{row}.png").astype(int) - made).max() <= 2
        assert np.abs(pixels(f"out/source-{row}.png").astype(int) - made).max() <= 6
        assert np.abs(lightness(source) - lightness(true)).max() < 1


def test_previews_and_the_report_show_what_a_picture_is_made_from_and_the_true_one(trained):
    run = trained / "runs" / "colours"
    sheets = [pixels(run / "samples" / name) for name in ("images-000000000.png", "final.png")]
    for sheet in sheets:
        assert sheet.shape == (3 * 34 + 2, 3 * 34 + 2, 3)  # three are held out
        source = sheet[2:34, 2:34].astype(int)
        assert np.ptp(source, axis=2).max() <= 1
    for column, alike in ((0, True), (1, False), (2, True)):
        assert np.array_equal(*(sheet[2:, 2 + 34 * column : 34 + 34 * column] for sheet in sheets)) == alike
    assert "what a picture is made from, what is made of it, and the true one" in (run / "report.html").read_text()


def test_the_size_while_it_is_translated_can_be_chosen(translate, here):
    Image.fromarray(blend(64, 96)).save("photo.png")
    made = []
    for side in (None, 32, 0, 64, 48):
        assert translate("colours", "photo.png", *(() if side is None else ("--side", side))).code == 0
        made.append(pixels("out/photo.png"))
        shutil.rmtree("out")
    assert np.array_equal(made[0], made[1])  # as in training
    assert np.array_equal(made[2], made[3])
    assert not np.array_equal(made[0], made[2])
    assert not np.array_equal(made[0], made[4])


def test_nothing_is_overwritten_and_the_same_command_goes_on(translate, here):
    paint(here / "in", 4, side=40)
    assert translate("colours", "in").code == 0
    before = content(here / "out")
    (here / "out" / "002.png").unlink()
    kept = {path: path.stat().st_mtime_ns for path in (here / "out").iterdir()}
    done = translate("colours", "in")
    assert done.out.split() == [f"out/{index:03}.png" for index in range(4)]
    assert content(here / "out") == before
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    (here / "out" / "001.png").unlink()
    Image.fromarray(blend(40, 40)).save("out/003.png")
    refused(translate("colours", "in"), 2, "out/003.png", "in/003.png", "--out")
    assert not (here / "out" / "001.png").exists()  # refused before any work
    (here / "out" / "003.png").unlink()
    refused(translate("colours", "in", "--side", 16), 2, "out/000.png")
    paint(here / "in", 1, side=41)  # another picture under the same name
    refused(translate("colours", "in"), 2, "out/000.png")


def test_what_would_give_one_name_is_refused_before_any_work(translate, here):
    for name in ("in/a.png", "in/a.jpg", "b/c.png", "c.png"):
        (here / name).parent.mkdir(exist_ok=True)
        Image.fromarray(blend(40, 40)).save(name)
    refused(translate("colours", "in"), 2, "in/a.jpg", "in/a.png", "out/a.png")
    refused(translate("colours", "c.png", "b"), 2, "b/c.png", "out/c.png")
    assert not (here / "out").exists()
    assert translate("colours", "c.png", here / "c.png").out.split() == ["out/c.png"]  # the same picture twice


def test_what_was_made_within_the_folder_is_no_input(artgen, trained, here):
    paint(here / "in", 2, side=40)
    for _ in range(2):
        done = artgen("translate", trained / "runs" / "colours", "in", "--out", "in/made", "--device", "cpu")
        assert done.out.split() == ["in/made/000.png", "in/made/001.png"]
    refused(artgen("translate", trained / "runs" / "colours", "in", "--out", "in"), 2, "very folder", "--out")


def test_broken_pictures_are_named_and_the_rest_is_done(translate, here):
    paint(here / "in", 3, side=40)
    (here / "in" / "001.png").write_bytes((here / "in" / "001.png").read_bytes()[:200])
    (here / "clip.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(100))
    done = translate("colours", "clip.mp4", "in", "--json")
    assert done.code == 3
    told = json.loads(done.out)
    assert [(row["input"], row["output"]) for row in told] == [
        ("in/000.png", "out/000.png"),
        ("in/002.png", "out/002.png"),
    ]
    assert all(row["seconds"] > 0 for row in told)
    assert "clip.mp4: cannot be read: " in done.err
    assert "in/001.png: cannot be decoded" in done.err
    assert "error: 2 of 4 files could not be translated" in done.err
    assert set(content(here / "out")) == {"000.png", "002.png"}


def film(name: str, frames: int, height: int = 50, width: int = 70) -> None:
    """Colours that grow darker, frame by frame."""
    with FilmWriter(name, (height, width), Fraction(30000, 1001)) as writer:
        for frame in range(frames):
            writer.add((blend(height, width) * (1 - frame / 2 / frames)).astype(np.uint8))


def test_a_film_is_translated_frame_by_frame(translate, here):
    film("clip.mp4", 7)
    Image.fromarray(blend(40, 40)).save("photo.png")
    done = translate("steady", "clip.mp4", "photo.png", "--json")
    assert (done.code, done.err) == (0, "")
    assert [row["output"] for row in json.loads(done.out)] == ["out/clip.mp4", "out/photo.png"]
    assert set(content(here / "out")) == {"clip.mp4", "photo.png"}
    about = probe("out/clip.mp4")
    assert (about.frames, about.frames_per_second, about.height, about.width) == (7, Fraction(30000, 1001), 50, 70)
    assert len(note_in("out/clip.mp4")) == 64
    for index, (frame, made) in enumerate(zip(read_frames("clip.mp4"), read_frames("out/clip.mp4"), strict=True)):
        name = f"frame-{index}.png"
        Image.fromarray(frame).save(name)
        assert translate("steady", name).code == 0
        picture = pixels(f"out/{name}").astype(int)
        assert np.abs(picture - made).mean() < 5  # but for what the film lost when it was compressed
        assert np.abs(picture - frame).mean() > 10


def test_a_film_is_never_made_twice_nor_over_another(translate, here, monkeypatch):
    film("clip.mp4", 3)
    assert translate("colours", "clip.mp4").code == 0
    before = content(here / "out")
    with monkeypatch.context() as patch:
        patch.setattr("artgen.run.translating.FilmWriter", None)  # nothing is written
        assert translate("colours", "clip.mp4").out == "out/clip.mp4\n"
        refused(translate("colours", "clip.mp4", "--side", 16), 2, "out/clip.mp4", "--out")
        refused(translate("steady", "clip.mp4"), 2, "out/clip.mp4")
    assert content(here / "out") == before
    shutil.copy("clip.mp4", "clip.mov")
    refused(translate("colours", "clip.mp4", "clip.mov"), 2, "clip.mov", "out/clip.mp4")


def test_one_frame_of_a_film_is_in_memory(translate, here, monkeypatch):
    """A frame is written before the next one is read."""
    from artgen.run import translating

    read, told = translating.read_frames, []

    def reading(path):
        for frame in read(path):
            told.append("read")
            yield frame

    class Writing(FilmWriter):
        def add(self, frame):
            told.append("written")
            super().add(frame)

    monkeypatch.setattr(translating, "read_frames", reading)
    monkeypatch.setattr(translating, "FilmWriter", Writing)
    film("clip.mp4", 4)
    assert translate("colours", "clip.mp4").code == 0
    assert told == ["read", "written"] * 4


def test_an_interrupted_film_leaves_nothing(translate, here, monkeypatch):
    from artgen.run import translating

    def pressing(path):
        yield blend(50, 70)
        os.kill(os.getpid(), signal.SIGINT)
        yield blend(50, 70)

    film("clip.mp4", 2)
    monkeypatch.setattr(translating, "read_frames", pressing)
    done = translate("colours", "clip.mp4")
    assert (done.code, done.out) == (130, "")
    assert list((here / "out").iterdir()) == []


def test_a_full_disk_ends_the_work_where_a_film_is_written(translate, here, monkeypatch):
    """It is no fault of the film, which others might not have."""

    def full(self, frame):
        with trouble(self.path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    film("clip.mp4", 2)
    monkeypatch.setattr(FilmWriter, "add", full)
    refused(translate("colours", "clip.mp4"), 7, "out/clip.mp4", "No space left")


def test_shards_make_what_one_machine_makes(translate, here):
    paint(here / "in", 5, side=40)
    assert translate("colours", "in").code == 0
    whole = content(here / "out")
    shutil.rmtree("out")
    names = []
    for index in (2, 1, 3):
        done = translate("colours", "in", "--shard", f"{index}/3")
        assert done.code == 0
        names += done.out.split()
    assert content(here / "out") == whole
    assert len(names) == len(set(names)) == 5


def test_an_interruption_keeps_what_is_done(translate, here, monkeypatch):
    from artgen.run import tasks

    paint(here / "in", 3, side=40)
    create = tasks.files.create

    def pressing(path: Path, data: bytes) -> str:
        if (here / "out" / "000.png").exists():
            os.kill(os.getpid(), signal.SIGINT)
        return create(path, data)

    monkeypatch.setattr(tasks.files, "create", pressing)
    done = translate("colours", "in")
    assert (done.code, done.out) == (130, "out/000.png\n")
    assert "interrupted" in done.err
    assert list(content(here / "out")) == ["000.png"]
    monkeypatch.undo()


def test_a_generator_that_draws_follows_the_seed_and_the_name_not_the_company(translate, here):
    paint(here / "in", 3, side=40)
    shutil.copy(here / "in" / "001.png", here / "in" / "same.png")
    assert translate("drawing", "in").code == 0
    together = content(here / "out")
    assert together["001.png"] != together["same.png"]
    shutil.rmtree("out")
    assert translate("drawing", "in/001.png").code == 0
    assert content(here / "out") == {"001.png": together["001.png"]}
    shutil.rmtree("out")
    assert translate("drawing", "in/001.png", "--seed", 1).code == 0
    assert not np.array_equal(pixels("out/001.png"), paint_of(together["001.png"]))


def paint_of(file: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_onnx_of_a_generator_that_draws_is_refused_with_the_reason(artgen, trained, here):
    refused(artgen("export", trained / "runs" / "drawing", "--out", "there"), 2, "`unet` draws at random", "--no-onnx")
    assert not (here / "there").exists()


def test_maps_of_labels_come_in_the_colours_of_training(translate, here):
    numbers = np.random.default_rng(2).integers(0, 5, (8, 8), np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(numbers).save("numbers.png")
    Image.fromarray(LABEL_COLOURS[numbers]).save("colours.png")
    assert translate("labels", "numbers.png", "colours.png").code == 0
    assert np.array_equal(pixels("out/numbers.png"), pixels("out/colours.png"))


@pytest.mark.parametrize(("name", "warned"), [("colours", True), ("steady", False)])
def test_a_stranger_has_the_run_folder_and_no_more(artgen, trained, here, monkeypatch, caplog, name, warned):
    monkeypatch.setenv("ARTGEN_CACHE", str(here / "no cache"))
    shutil.copytree(trained / "runs" / name, here / "gift")
    shutil.move(trained / "photos", trained / "away")
    try:
        Image.fromarray(blend(50, 60)).save("photo.png")
        done = artgen("translate", "gift", "photo.png", "--out", "out", "--device", "cpu")
    finally:
        shutil.move(trained / "away", trained / "photos")
    assert (done.code, done.out) == (0, "out/photo.png\n")
    assert ("batch norm keeps the statistics of the last training steps" in caplog.text) == warned
    assert warned == bool(caplog.text)


def test_a_run_that_takes_no_pictures_is_refused(artgen, here):
    paint(here / "in", 1)
    artgen("run", "tiny.toml")
    refused(artgen("translate", "runs/tiny", "in", "--out", "out"), 2, "from latents", "`dense`", "artgen sample")
    assert not (here / "out").exists()


def test_what_is_neither_picture_nor_film_is_told_as_what_it_is(translate, here):
    (here / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    (here / "empty.mp4").touch()
    os.mkfifo("pipe")
    done = translate("colours", "phone.heic", "empty.mp4", "pipe")
    assert (done.code, done.out) == (3, "")
    for words in ("phone.heic: HEIC or AVIF: convert it", "empty.mp4: an empty file", "pipe: not a file"):
        assert words in done.err


def test_wrong_inputs_are_refused(translate, here):
    (here / "empty").mkdir()
    refused(translate("colours", "empty"), 3, "empty: there are no pictures in this folder")
    for name in ("nowhere.png", "x" * 300):
        refused(translate("colours", name), 2, f"{name}: there is no such picture or folder")
    assert translate("colours").code == 2
