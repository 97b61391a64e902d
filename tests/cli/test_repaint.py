"""`artgen translate` with a recipe that repaints, as a user has it: pictures, styles and films, tiny ones."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from artgen.film import FilmWriter, note_in, probe, read_frames
from artgen.run import painting, repainting, repainting_film
from tests.cli.conftest import content, pixels, refused

PIXELS = """
title = "Small"
seed = 5
[data.pictures]
resolution = 32
[generator.canvas]
[losses.patches]
directions = 8
positions = 64
[losses.laplacian]
[trainer.canvas]
[[phase]]
from = 16
to = 32
images = 2
batch = 1
[run]
precision = "fp32"
"""
RECIPES = {
    "pixels": PIXELS,
    "wavelets": 'extends = "pixels.toml"\n[features.wavelets]\noctaves = 2\n[losses.covariance]\n',
    "steady": 'extends = "pixels.toml"\n[losses.temporal]\nweight = 50\n[metrics.flicker]\n',
}


def blocks(height: int, width: int, seed: int) -> np.ndarray:
    """Patches of colour, (height, width, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (-(-height // 6), -(-width // 6), 3), np.uint8)
    return coarse.repeat(6, 0).repeat(6, 1)[:height, :width]


def save(name: str, picture: np.ndarray) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(name)


@pytest.fixture
def studio(here):
    """A current folder with the recipes, photographs of two shapes, and two paintings."""
    for name, text in RECIPES.items():
        Path(f"{name}.toml").write_text(text)
    for index in range(4):
        save(f"photos/{index}.png", blocks(36, 48, index))
    save("photos/deep/tall.jpg", blocks(48, 36, 4))
    for index, name in enumerate(("rain", "sun")):
        save(f"paintings/{name}.png", blocks(40, 40, 10 + index))
    return here


@pytest.fixture
def repaint(artgen, studio):
    """`repaint("photos", "--style", "paintings") -> Done`, into the folder `out`, by the recipe `pixels`."""

    def call(*given, recipe="pixels.toml", out="out"):
        return artgen("translate", recipe, *given, "--out", out, "--device", "cpu")

    return call


@pytest.fixture
def painted(monkeypatch):
    """The data sets that are painted, one after the other."""
    seen, paint = [], painting.Painter.paint

    def watched(self, recipe, dataset, *more):
        seen.append(dataset)
        return paint(self, recipe, dataset, *more)

    monkeypatch.setattr(painting.Painter, "paint", watched)
    return seen


def killed_at(paint: int, *arguments, film_pixels=repainting_film.FILM_PIXELS_AT_ONCE) -> None:
    """Run a command in a process of its own, which is killed as it begins to paint for so manieth a time, from 1."""
    code = f"""
import os, signal
from artgen.cli.main import main
from artgen.run import painting, repainting_film
repainting_film.FILM_PIXELS_AT_ONCE = {film_pixels}
train, times = painting.train, iter(range(1, 100))
def dying(*given):
    if next(times) == {paint}:
        os.kill(os.getpid(), signal.SIGKILL)
    return train(*given)
painting.train = dying
main()
"""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


# Pictures


@pytest.mark.parametrize("recipe", ["pixels.toml", "wavelets.toml"])
def test_a_picture_is_repainted_in_its_shape(repaint, recipe):
    done = repaint("photos/0.png", "--style", "paintings/sun.png", recipe=recipe)
    assert (done.code, done.out, done.err) == (0, "out/sun/0.png\n", "")
    made = pixels("out/sun/0.png")
    assert made.shape == (24, 32, 3)
    before = cv2.resize(pixels("photos/0.png"), (32, 24), interpolation=cv2.INTER_AREA).astype(int)
    assert 1 < np.abs(made - before).mean() < 60


def test_without_a_style_the_recipe_has_its_own(repaint, studio):
    Path("mine.toml").write_text('extends = "pixels.toml"\n[data.pictures]\nstyle = "paintings/sun.png"\n')
    assert repaint("photos/0.png", recipe="mine.toml").out == "out/0.png\n"
    repaint("photos/0.png", "--style", "paintings/sun.png", out="named")
    assert np.array_equal(pixels("out/0.png"), pixels("named/sun/0.png"))
    assert repaint("photos/0.png", out="swirls").out == "swirls/0.png\n"
    assert not np.array_equal(pixels("out/0.png"), pixels("swirls/0.png"))


def test_every_content_is_made_in_every_style_of_every_folder(repaint, painted):
    save("paintings/old/ink.png", blocks(30, 40, 20))
    done = repaint("photos", "--style", "paintings", "--style", "photos/0.png")
    assert done.code == 0
    names = ["0", "1", "2", "3", "deep/tall"]
    styles = ["old/ink", "rain", "sun", "0"]
    assert sorted(done.out.split()) == sorted(f"out/{style}/{name}.png" for style in styles for name in names)
    assert set(content(Path("out"))) == {f"{style}/{name}.png" for style in styles for name in names}
    assert len({pixels(f"out/{style}/1.png").tobytes() for style in styles}) == 4
    assert pixels("out/rain/deep/tall.png").shape == (32, 24, 3)
    assert [len(dataset) for dataset in painted] == [4, 1] * 4  # those of one shape and style together


def test_what_would_give_one_name_is_refused_before_any_work(repaint, painted):
    save("photos/0.jpg", blocks(36, 48, 0))
    refused(repaint("photos"), 2, "photos/0.jpg", "photos/0.png", "out/0.png")
    save("other/sun.png", blocks(40, 40, 30))
    both = ("--style", "paintings/sun.png", "--style", "other/sun.png")
    refused(repaint("photos/1.png", *both), 2, "photos/1.png in the style of paintings/sun.png", "other/sun.png")
    film("a.mp4", 2)
    shutil.copy("a.mp4", "a.mov")
    refused(repaint("a.mp4", "a.mov"), 2, "a.mov", "a.mp4", "out/a.mp4")
    assert not Path("out").exists()
    assert not painted
    twice = repaint("photos/1.png", Path("photos/1.png").resolve(), *both[:2], *both[:2])
    assert twice.out == "out/sun/1.png\n"


def test_alpha_is_kept_whoever_stands_beside_it(repaint, painted):
    alpha = np.full((36, 48), 255, np.uint8)
    alpha[:, :24] = 0
    save("photos/1.png", np.dstack([blocks(36, 48, 1), alpha]))
    assert repaint("photos").code == 0
    assert [len(dataset) for dataset in painted] == [4, 1]
    made = pixels("out/1.png")
    assert made.shape == (24, 32, 4)
    assert (made[:, :15, 3] == 0).all()
    assert (made[:, 17:, 3] == 255).all()
    assert pixels("out/0.png").shape == (24, 32, 3)


@pytest.mark.parametrize("form", ["png-16", "tiff-16"])
def test_sixteen_bits(repaint, form):
    for _ in range(2):  # the note is found in each form
        done = repaint("photos/0.png", "--set", f"run.pictures={form}")
        assert (done.code, done.err) == (0, "")
    (path,) = Path("out").iterdir()
    assert path.suffix == (".png" if form == "png-16" else ".tif")
    deep = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if form == "png-16" else tifffile.imread(path)
    assert deep.dtype == np.uint16
    assert len(np.unique(deep % 257)) > 100  # no repeated bytes
    assert repaint("photos/0.png", out="eight").code == 0
    shallow = pixels("eight/0.png")
    deep = deep[..., ::-1] if form == "png-16" else deep
    assert np.abs(deep / 257 - shallow).max() <= 0.51


def test_each_content_gives_its_own_colours_to_the_style(repaint, painted):
    style = ("--style", "paintings/sun.png", "--set", "data.pictures.colours=content")
    assert repaint("photos", *style).code == 0
    assert [len(dataset) for dataset in painted] == [1] * 5
    together = content(Path("out"))
    assert repaint("photos/2.png", *style, out="alone").code == 0
    assert content(Path("alone"))["sun/2.png"] == together["sun/2.png"]


def test_masks_say_where_which_style_is_wanted(repaint, studio):
    half = np.zeros((36, 48), np.uint8)
    half[:, :24] = 255
    save("left.png", half)
    save("right.png", 255 - half)
    for name, colour in (("red", (230, 20, 20)), ("blue", (20, 20, 230))):
        noise = np.random.default_rng(3).integers(-20, 20, (40, 40, 3))
        save(f"{name}.png", (np.array(colour) + noise).clip(0, 255).astype(np.uint8))
    Path("halves.toml").write_text("""
        extends = "pixels.toml"
        phase = [{images = 40, batch = 1}]
        [data.pictures]
        style = [{ path = "red.png", where = "left.png" }, { path = "blue.png", where = "right.png" }]
        [losses.laplacian]
        weight = 0.01
    """)
    assert repaint("photos/0.png", recipe="halves.toml").code == 0
    made = pixels("out/0.png").astype(int)
    redness = made[..., 0] - made[..., 2]
    assert redness[:, :14].mean() > 80
    assert redness[:, 18:].mean() < -80
    save("left.png", np.full((36, 48), 255, np.uint8))  # another mask under the same name
    refused(repaint("photos/0.png", recipe="halves.toml"), 2, "out/0.png", "--out")


def test_a_broken_picture_is_told_and_the_others_come_out_as_without_it(repaint):
    assert repaint("photos", "--style", "paintings").code == 0
    straight = content(Path("out"))
    shutil.rmtree("out")
    whole = Path("photos/3.png").read_bytes()
    Path("photos/1b.png").write_bytes(whole[: len(whole) // 2])
    Path("photos/2b.jpg").write_text("<html>not found</html>")
    done = repaint("photos", "--style", "paintings", "--json")
    assert done.code == 3
    assert done.err.count("photos/1b.png: cannot be decoded") == 2
    assert done.err.count("photos/2b.jpg: an HTML page, not a picture") == 2
    assert "error: 4 of 14 files could not be translated; the others are done" in done.err
    assert content(Path("out")) == straight
    assert {row["output"] for row in json.loads(done.out)} == {f"out/{name}" for name in straight}


def test_a_broken_style_is_told(repaint):
    Path("paintings/rain.png").write_bytes(b"nothing")
    done = repaint("photos", "--style", "paintings")
    assert done.code == 3
    assert "paintings/rain.png: not JPEG, PNG" in done.err
    assert {name.split("/")[0] for name in content(Path("out"))} == {"sun"}


def test_nothing_is_done_twice_and_nothing_else_is_overwritten(repaint, painted):
    style = ("--style", "paintings/sun.png")
    first = repaint("photos", *style)
    before, times = content(Path("out")), {path: path.stat().st_mtime_ns for path in Path("out/sun").rglob("*.png")}
    painted.clear()
    again = repaint("photos", *style)
    assert (again.code, sorted(again.out.split())) == (0, sorted(first.out.split()))
    assert not painted
    moved = shutil.copytree("photos", "moved")  # what counts is what is in a file
    assert repaint(moved, *style).code == 0
    refused(repaint("photos", *style, "--set", "losses.patches.weight=2"), 2, "out/sun/0.png", "--out")
    refused(repaint("photos", *style, "--set", "run.pictures=png-16"), 2, "out/sun/0.png")
    shutil.copy("paintings/rain.png", "sun.png")
    refused(repaint("photos", "--style", "sun.png"), 2, "out/sun/0.png", "in the style of sun.png")
    save("photos/2.png", blocks(36, 48, 40))
    refused(repaint("photos", *style), 2, "out/sun/2.png")
    assert not painted
    assert content(Path("out")) == before
    assert {path: path.stat().st_mtime_ns for path in Path("out/sun").rglob("*.png")} == times
    Path("out/sun/2.png").write_bytes(b"mine")
    refused(repaint("photos", *style), 2, "out/sun/2.png")
    assert Path("out/sun/2.png").read_bytes() == b"mine"


def test_titles_and_times_of_saving_change_nothing(repaint, painted):
    assert repaint("photos/0.png").code == 0
    painted.clear()
    assert repaint("photos/0.png", "--set", "title=Another", "--set", "run.preview_images=7").code == 0
    assert not painted


@pytest.mark.parametrize("lost", [["0.png"], ["1.png", "2.png"], ["3.png", "deep/tall.png"]])
def test_who_goes_on_makes_what_a_straight_run_makes(repaint, painted, lost):
    """Also to the bit, though roundings differ with how many pictures are painted together."""
    longer = ("photos", "--set", "phase=[{images=30, batch=1}]")
    assert repaint(*longer, recipe="wavelets.toml").code == 0
    straight = content(Path("out"))
    painted.clear()
    for name in lost:
        (Path("out") / name).unlink()
    kept = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.png")}
    assert repaint(*longer, recipe="wavelets.toml").code == 0
    assert content(Path("out")) == straight
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    assert [len(dataset) for dataset in painted] == [4, 1][: 1 + ("deep/tall.png" in lost)]


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_shards_make_the_very_files_of_one_machine(repaint, monkeypatch, at_once):
    monkeypatch.setattr(repainting, "PIXELS_AT_ONCE", at_once * 32 * 32)
    work = ("photos", "--style", "paintings", "--set", "phase=[{images=12, batch=1}]")
    assert repaint(*work, recipe="wavelets.toml", out="whole").code == 0
    told = [repaint(*work, "--shard", f"{index}/3", recipe="wavelets.toml") for index in (3, 1, 2)]
    assert all(done.code == 0 for done in told)
    assert content(Path("out")) == content(Path("whole"))
    assert sorted(name for done in told for name in done.out.split()) == sorted(
        f"out/{name}" for name in content(Path("out"))
    )


def test_a_share_may_be_empty(repaint):
    done = repaint("photos/0.png", "--shard", "2/2", "--json")
    assert (done.code, json.loads(done.out)) == (0, [])


def test_a_kill_leaves_nothing_half_done_and_the_same_command_goes_on(repaint):
    work = ("photos", "--style", "paintings")
    assert repaint(*work).code == 0
    straight = content(Path("out"))
    shutil.rmtree("out")
    killed_at(3, "translate", "pixels.toml", *work, "--out", "out", "--device", "cpu")
    half = content(Path("out"))
    assert set(half) == {name for name in straight if name.startswith("rain")}
    assert repaint(*work).code == 0
    assert content(Path("out")) == straight
    assert half.items() <= straight.items()


def test_an_interruption_ends_with_130_and_keeps_what_is_done(repaint, monkeypatch):
    train, times = painting.train, iter(range(100))

    def pressing(*given):
        if next(times) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return train(*given)

    monkeypatch.setattr(painting, "train", pressing)
    done = repaint("photos", "--style", "paintings", "--json")
    assert done.code == 130
    assert "interrupted" in done.err
    assert {row["output"] for row in json.loads(done.out)} == {f"out/rain/{index}.png" for index in range(4)}
    assert set(content(Path("out"))) == {f"rain/{index}.png" for index in range(4)}


def test_json_names_input_style_and_output(repaint):
    (row,) = json.loads(repaint("photos/0.png", "--style", "paintings/sun.png", "--json").out)
    assert row.pop("seconds") > 0
    assert row == {"input": "photos/0.png", "style": "paintings/sun.png", "output": "out/sun/0.png"}
    (row,) = json.loads(repaint("photos/0.png", "--json", out="plain").out)
    assert row.keys() == {"input", "output", "seconds"}


def test_the_run_of_a_recipe_stands_for_it(artgen, repaint):
    data = ("--data", "photos/0.png", "--set", "data.pictures.style=paintings/sun.png")
    run = artgen("run", "pixels.toml", *data, "--device", "cpu")
    assert run.code == 0
    assert repaint("photos", recipe="runs/pixels").code == 0
    assert np.array_equal(pixels("out/0.png"), pixels("runs/pixels/pictures/0.png"))
    assert pixels("out/deep/tall.png").shape == (32, 24, 3)
    assert repaint("photos", "--style", "paintings/rain.png", recipe="runs/pixels").code == 0
    refused(repaint("photos", "--set", "seed=6", recipe="runs/pixels"), 2, "out/0.png")
    assert repaint("photos", "--set", "seed=6", recipe="runs/pixels", out="six").code == 0
    Path("pixels").mkdir()  # a bare name is a recipe's, unless there is a run of that name
    Path("starry-night").mkdir()
    small = ("--set", "data.pictures.resolution=32", "--set", "phase=[{from=16, to=32, images=2, batch=1}]")
    assert repaint("photos/0.png", *small, recipe="starry-night", out="night").out == "night/0.png\n"


def test_wrong_uses_are_told(artgen, repaint, studio):
    for given in (("--side", 8), ("--as-is",), ("--seed", 3)):
        done = repaint("photos/0.png", *given)
        assert (done.code, done.out) == (2, "")
        assert "go with a run, and pixels.toml is a recipe" in done.err
    artgen("run", "tiny.toml")
    for given in (("--style", "paintings"), ("--set", "seed=1")):
        done = artgen("translate", "runs/tiny", "photos", *given, "--out", "out")
        assert (done.code, done.out) == (2, "")
        assert "--style and --set go with a recipe, and runs/tiny is a run" in done.err
    refused(repaint("photos", recipe="tiny.toml"), 2, "it learns from pictures (data.digits)", "folder of a run")
    refused(repaint("photos", recipe="rembrandt"), 2, "data.atelier")
    refused(repaint("photos", recipe="starry-nihgt"), 2, "starry-night")
    refused(repaint("photos", recipe="runs/nowhere"), 4, "runs/nowhere")
    refused(repaint("nowhere.png"), 2, "nowhere.png: there is no such picture or folder")
    refused(repaint("photos", "--style", "nowhere.png"), 2, "nowhere.png: there is no such picture or folder")
    refused(repaint("photos", out="photos"), 2, "very folder")
    refused(repaint("photos", "--set", "losses.patchs.weight=1"), 2, "patchs", "patches")
    for shard in ("0/3", "4/3", "1", "a/b"):
        assert repaint("photos", "--shard", shard).code == 2
    assert not Path("out").exists()


def test_pictures_made_within_the_folder_are_no_contents(repaint):
    for _ in range(2):
        assert len(repaint("photos", out="photos/made").out.split()) == 5


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_shows_the_time_left_of_a_picture_and_of_all(studio, started):
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))  # tqdm shows nothing in no columns
    longer = ("--out", "out", "--device", "cpu", "--set", "phase=[{images=400, batch=1}]")
    process = started("translate", "pixels.toml", "photos", *longer, stderr=theirs)
    os.close(theirs)
    shown = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        while True:
            try:
                piece = terminal.read(4096)
            except OSError:  # so Linux tells that the other end is closed
                break
            if not piece:
                break
            shown += piece
    assert process.wait() == 0
    lines = shown.decode().replace("\n", "\r").split("\r")
    left = r"\[\d\d:\d\d<\d\d:\d\d"
    assert any(re.match(rf"4 pictures: .* \d+/1600 {left}, .* images/s\]", line) for line in lines), lines
    assert any(re.match(rf"Translating: .* 4/5 {left}, .* files", line) for line in lines), lines


# Films


def film(name: str, frames: int, size: tuple[int, int] = (32, 40), rate=Fraction(12), turn: bool = False) -> None:
    """A window that moves over patches of colour, one pixel a frame; with `turn` there and back, so that it closes."""
    whole = cv2.GaussianBlur(blocks(200, 240, 7), (0, 0), 1.5)
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    with FilmWriter(name, size, rate) as writer:
        for frame in range(frames):
            left = min(frame, frames - frame) if turn else frame
            writer.add(whole[10 : 10 + size[0], left : left + size[1]])


def in_stretches(monkeypatch, frames: int) -> None:
    monkeypatch.setattr(repainting_film, "FILM_PIXELS_AT_ONCE", frames * 32 * 32)


def hidden(folder: str) -> list[str]:
    return [path.name for path in Path(folder).rglob(".*")]


@pytest.mark.parametrize(("at_once", "stretches"), [(100, [9]), (4, [3, 3, 3]), (5, [4, 5]), (8, [4, 5])])
def test_a_film_keeps_its_frames_and_its_rate(repaint, painted, monkeypatch, caplog, at_once, stretches):
    in_stretches(monkeypatch, at_once)
    film("clips/walk.mp4", 9, rate=Fraction(30000, 1001))
    done = repaint("clips/walk.mp4", "photos/0.png", "--style", "paintings/sun.png", recipe="steady.toml")
    assert (done.code, done.out, done.err, caplog.text) == (0, "out/sun/walk.mp4\nout/sun/0.png\n", "", "")
    assert [len(dataset) for dataset in painted] == [*stretches, 1]
    about = probe("out/sun/walk.mp4")
    assert (about.frames, about.frames_per_second, about.height, about.width) == (9, Fraction(30000, 1001), 26, 32)
    assert set(content(Path("out"))) == {"sun/walk.mp4", "sun/walk.json", "sun/0.png"}
    assert hidden("out") == []
    told = json.loads(Path("out/sun/walk.json").read_text())
    assert (told["frames"], told["recipe"], told["note"]) == (9, "steady", note_in("out/sun/walk.mp4"))
    assert told["flicker/flicker"] > 0
    assert told["flicker/flicker_content"] > 0
    assert 0 < told["flicker/trusted_share"] <= 1
    painted.clear()
    before = content(Path("out"))
    assert repaint("clips/walk.mp4", "--style", "paintings/sun.png", recipe="steady.toml").code == 0
    assert not painted
    assert content(Path("out")) == before
    refused(
        repaint("clips/walk.mp4", "--style", "paintings/sun.png", "--set", "seed=1", recipe="steady.toml"),
        2, "out/sun/walk.mp4", "--out",
    )  # fmt: skip


def test_without_a_loss_over_time_a_film_flickers_and_that_is_told(repaint, caplog):
    film("walk.mp4", 2)
    assert repaint("walk.mp4", "photos/0.png").code == 0
    assert caplog.text.count("no loss holds frames together, so out/walk.mp4 will flicker") == 1


def test_a_stretch_stands_beside_the_frames_around_it(repaint, painted, monkeypatch):
    in_stretches(monkeypatch, 3)
    film("walk.mp4", 8, turn=True)
    Path("loop.toml").write_text('extends = "steady.toml"\n[data.film]\nresolution = 32\nloops = true\n')
    assert repaint("walk.mp4", recipe="loop.toml").code == 0
    first, second, _ = painted
    assert [len(dataset) for dataset in painted] == [2, 3, 3]
    one, two, three = (dataset.repainting for dataset in painted)
    assert (one.before, one.after, two.after) == (None, None, None)
    assert not any(each.loops for each in (one, two, three))
    assert np.array_equal(two.before.content, first.real[-1])
    assert np.array_equal(three.before.content, second.real[-1])
    assert np.array_equal(three.after.content, first.real[0])
    shown = list(read_frames("out/walk.mp4"))  # compressed, so not to the bit
    for neighbour, frame in ((two.before, 1), (three.before, 4), (three.after, 0)):
        assert np.abs(neighbour.made.astype(int) - shown[frame]).mean() < 8
    painted.clear()
    in_stretches(monkeypatch, 100)
    assert repaint("walk.mp4", recipe="loop.toml", out="whole").code == 0
    assert [dataset.repainting.loops for dataset in painted] == [True]


def test_beside_a_stretch_stands_the_canvas_without_the_colours_it_got_back(repaint, painted, monkeypatch):
    in_stretches(monkeypatch, 3)
    film("walk.mp4", 6)
    assert repaint("walk.mp4", "--set", "data.pictures.colours=luminance", recipe="steady.toml").code == 0
    before = painted[1].repainting.before
    assert np.array_equal(before.content, painted[0].real[-1])
    assert np.ptp(before.content, axis=2).max() == 0
    spread = np.ptp(before.made.astype(int), axis=2).mean()
    shown = list(read_frames("out/walk.mp4"))
    assert spread < np.ptp(shown[2].astype(int), axis=2).mean() / 2


@pytest.mark.parametrize("paint", [1, 2, 3])
def test_a_film_goes_on_with_its_stretch_after_a_kill(repaint, painted, monkeypatch, paint):
    in_stretches(monkeypatch, 4)
    film("walk.mp4", 10)
    assert repaint("walk.mp4", recipe="steady.toml").code == 0
    straight = content(Path("out"))
    shutil.rmtree("out")
    killed_at(paint, "translate", "steady.toml", "walk.mp4", "--out", "out", "--device", "cpu", film_pixels=4 * 32 * 32)
    assert len(hidden("out")) == 1
    assert not list(Path("out").glob("[!.]*"))
    painted.clear()
    assert repaint("walk.mp4", recipe="steady.toml").code == 0
    assert content(Path("out")) == straight
    assert [len(dataset) for dataset in painted] == [3, 3, 4][paint - 1 :]
    assert hidden("out") == []


def test_who_was_killed_between_the_film_and_the_broom_is_swept_up_after(repaint, monkeypatch):
    film("walk.mp4", 3)
    with monkeypatch.context() as patch:
        patch.setattr(repainting_film.shutil, "rmtree", lambda *given, **more: None)
        assert repaint("walk.mp4", recipe="steady.toml").code == 0
    assert len(hidden("out")) == 1
    assert repaint("walk.mp4", recipe="steady.toml").code == 0
    assert hidden("out") == []


def test_a_file_of_mine_beside_a_film_is_left_alone(repaint, painted):
    film("walk.mp4", 3)
    Path("out").mkdir()
    for mine in (b'{"a": 1}', b"[1]", b"no json"):
        Path("out/walk.json").write_bytes(mine)
        refused(repaint("walk.mp4", recipe="steady.toml"), 2, "out/walk.json", "walk.mp4", "--out")
        assert content(Path("out")) == {"walk.json": mine}
    assert not painted


def test_a_recipe_for_films_takes_the_frames_that_it_names_and_pictures_too(repaint, painted):
    film("walk.mp4", 9)
    table = "[data.film]\nresolution = 32\nfirst_frame = 2\nframes = 4\nframes_per_second = 5.0\n"
    Path("film.toml").write_text('extends = "steady.toml"\n' + table)
    assert repaint("walk.mp4", "photos/1.png", recipe="film.toml").code == 0
    about = probe("out/walk.mp4")
    assert (about.frames, about.frames_per_second) == (4, 5)
    assert pixels("out/1.png").shape == (24, 32, 3)
    assert np.abs(painted[0].real[0].astype(int) - shrunk("walk.mp4", 2)).max() <= 1
    done = repaint("walk.mp4", "--set", "data.film.first_frame=20", recipe="film.toml", out="none")
    assert done.code == 3
    assert "it has 9 frames, and `first_frame` = 20 leaves all of them out" in done.err


def shrunk(name: str, frame: int) -> np.ndarray:
    (picture,) = read_frames(name, frame, 1)
    return cv2.resize(picture, (32, 26), interpolation=cv2.INTER_AREA).astype(int)


def test_a_recipe_for_walks_repaints_what_it_is_given(repaint):
    film("walk.mp4", 3)
    Path("of.toml").write_text('extends = "steady.toml"\n[data.walk]\ncontent = "runs/mine"\nresolution = 32\n')
    assert repaint("walk.mp4", "photos/1.png", recipe="of.toml").out == "out/walk.mp4\nout/1.png\n"


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_shortest_films(repaint, monkeypatch, frames):
    in_stretches(monkeypatch, 2)
    film("walk.mp4", frames, size=(33, 41))
    assert repaint("walk.mp4", recipe="steady.toml").code == 0
    assert probe("out/walk.mp4").frames == frames
    assert ("flicker/flicker" in json.loads(Path("out/walk.json").read_text())) == (frames > 1)


def test_a_damaged_film_is_told_and_the_rest_is_done(repaint):
    film("good.mp4", 3)
    film("bad.mp4", 12, size=(128, 160))
    whole = Path("bad.mp4").read_bytes()
    start = whole.index(b"mdat") + 200
    Path("bad.mp4").write_bytes(whole[:start] + bytes(len(whole) - start))
    Path("text.mp4").write_text("no film")
    done = repaint("bad.mp4", "text.mp4", "good.mp4", "photos/0.png", recipe="steady.toml")
    assert (done.code, done.out) == (3, "out/good.mp4\nout/0.png\n")
    assert "bad.mp4: " in done.err
    assert "text.mp4: not JPEG, PNG" in done.err
    assert "error: 2 of 4 files could not be translated" in done.err


def test_a_run_that_was_killed_after_its_film_comes_to_its_end(artgen, studio):
    film("walk.mp4", 3)
    table = '[data.film]\ncontent = "walk.mp4"\nresolution = 32\n'
    Path("film.toml").write_text('extends = "steady.toml"\n' + table)
    straight = artgen("run", "film.toml", "--device", "cpu")
    assert straight.code == 0
    assert "runs/film/videos/film.mp4" in straight.out
    before = Path("runs/film/videos/film.mp4").read_bytes()
    Path("runs/film/figures.json").unlink()  # which is written last
    again = artgen("run", "film.toml", "--device", "cpu")
    assert (again.code, again.out) == (0, straight.out)
    assert Path("runs/film/videos/film.mp4").read_bytes() == before


def test_frames_that_are_held_together_flicker_less(repaint):
    """Begun with noise, each frame would have strokes of its own."""
    film("walk.mp4", 8)
    flicker = {}
    for weight in (0, 50):
        longer = ("--set", "phase=[{images=60, batch=1}]", "--set", "generator.canvas.start=noise")
        done = repaint(
            "walk.mp4", "--style", "paintings/sun.png", *longer, "--set", f"losses.temporal.weight={weight}",
            recipe="steady.toml", out=f"weight-{weight}",
        )  # fmt: skip
        assert done.code == 0
        flicker[weight] = json.loads(Path(f"weight-{weight}/sun/walk.json").read_text())["flicker/flicker"]
    assert flicker[50] < 0.7 * flicker[0]
