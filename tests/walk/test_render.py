"""Films, rendered: whole or absent, the same bytes however they came about, and nothing that was there is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import weakref
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from artgen.cli.render import render
from artgen.errors import (
    ArtgenError,
    CheckpointError,
    DataError,
    DivergedError,
    PluginError,
    RecipeError,
    ResourceError,
    StoppedError,
)
from artgen.film import FilmWriter, note_in, probe, read_frames
from artgen.film.colour import as_frames
from artgen.walk import frames_of, pipeline
from artgen.walk.pipeline import SegmentWriter
from artgen.walk.shots import Maker
from tests.conftest import ROOT

pytestmark = pytest.mark.usefixtures("one_thread")

FILMS = """
[videos.loop]
run = "{run}"
keyframes = 3
seconds = 10
fps = 15
outputs = ["mp4", "gif"]

[videos.grid]
run = "{run}"
path = "noise-loop"
keyframes = 3
seconds = 5
fps = 15
speed = "path"
grid = [2, 1]
side_px = 24
outputs = ["png"]

[videos.growth]
run = "{run}"
shows = "previews"
seconds = 3
fps = 4
"""


@pytest.fixture
def file(run, tmp_path):
    path = tmp_path / "films.toml"
    path.write_text(FILMS.format(run=run))
    return path


@pytest.fixture(scope="module")
def straight(run, tmp_path_factory):
    """All films, made in one go: name -> bytes. Nobody changes it."""
    torch.set_num_threads(1)  # before the fixture of each test does so
    folder = tmp_path_factory.mktemp("straight")
    (folder / "films.toml").write_text(FILMS.format(run=run))
    artgen(folder / "films.toml", folder / "out")
    return contents(folder / "out")


def artgen(file, out, *arguments, code=0):
    """`artgen render`; returns what it says on stdout, or raises what it is refused for."""
    done = CliRunner().invoke(render, [str(file), "--out", str(out), "--device", "cpu", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


def contents(folder):
    """What a user sees of a folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and ".films" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def left_over(folder):
    """What lies in the hidden folder beside what was seen of walks."""
    hidden = folder / ".films"
    return [path for path in hidden.rglob("*") if path.is_file() and path.parent.name != ".paces"]


def test_films_are_what_their_tables_say(file, tmp_path, run):
    told = artgen(file, tmp_path / "out")
    out = tmp_path / "out"
    names = ["loop.mp4", "loop.gif", "grid-png", "growth.mp4"]
    assert told.split() == [str(out / name) for name in names]
    assert {path.name for path in out.iterdir()} == {*names, ".films"}
    loop = probe(out / "loop.mp4")
    assert (loop.frames, loop.frames_per_second, loop.height, loop.width) == (150, Fraction(15), 16, 16)
    assert len(list((out / "grid-png").iterdir())) == 75
    assert probe(out / "growth.mp4").frames == 12
    assert left_over(out) == []
    table = {"keyframes": 3, "seconds": 5, "fps": 15, "speed": "path", "grid": [2, 1], "side_px": 24}
    wanted = list(frames_of(run, path="noise-loop", **table))
    found = [cv2.imread(str(path))[..., ::-1] for path in sorted((out / "grid-png").iterdir())]
    assert np.array_equal(found, wanted)  # PNG has the very pictures, over the borders of pieces


def test_the_same_command_again_makes_nothing(file, tmp_path, straight, monkeypatch):
    artgen(file, tmp_path / "out")
    assert contents(tmp_path / "out") == straight
    monkeypatch.setattr(pipeline, "render_pieces", None)
    monkeypatch.setattr(pipeline, "SegmentWriter", None)
    assert "loop.mp4" in artgen(file, tmp_path / "out")
    assert contents(tmp_path / "out") == straight


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shares_make_the_films_of_one_machine(count, file, tmp_path, straight):
    out = tmp_path / "out"
    for share in reversed(range(1, count + 1)):
        artgen(file, out, "--shard", f"{share}/{count}")
        assert contents(out) == {}  # a film is joined by whoever is told to
        if share > 1:
            with pytest.raises(DataError, match="lacking"):
                artgen(file, tmp_path / "elsewhere", "--merge")
    told = artgen(file, out, "--merge", "--json")
    assert contents(out) == straight
    assert [film["lacking"] for film in json.loads(told)["films"]] == [[], [], []]


def test_shares_of_three_folders_brought_together(file, tmp_path, straight):
    """Machines that see no common folder: their pieces are copied into one."""
    for share in (1, 2, 3):
        artgen(file, tmp_path / str(share), "--shard", f"{share}/3")
        shutil.copytree(tmp_path / str(share), tmp_path / "out", dirs_exist_ok=True)
    artgen(file, tmp_path / "out", "--merge")
    assert contents(tmp_path / "out") == straight


def test_films_that_are_whole_are_joined_though_others_are_not(file, tmp_path, straight):
    out = tmp_path / "out"
    artgen(file, out, "--shard", "2/2")
    with pytest.raises(DataError, match="loop: 3"):
        artgen(file, out, "--merge")
    assert contents(out) == {name: film for name, film in straight.items() if not name.startswith("loop")}


def test_what_is_damaged_is_made_again(file, tmp_path, straight):
    out = tmp_path / "out"
    artgen(file, out, "--shard", "1/1")
    pieces = [path for path in left_over(out) if path.suffix == ".mov"]
    assert len(pieces) == 3 + 3 + 2 + 1
    pieces[0].write_bytes(pieces[0].read_bytes()[:-1])  # a torn file
    pieces[1].with_suffix(".json").write_text("{")
    pieces[2].unlink()
    whole = pieces[3].stat().st_mtime_ns
    artgen(file, out, "--shard", "1/1")
    assert pieces[3].stat().st_mtime_ns == whole  # the good ones are left alone
    artgen(file, out, "--merge")
    assert contents(out) == straight


def test_a_change_makes_what_it_touches_and_keeps_what_was(file, tmp_path, straight):
    out = tmp_path / "out"
    artgen(file, out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    file.write_text(file.read_text().replace("seconds = 3\n", "seconds = 2\n"))
    artgen(file, out)
    changed = {path.name for path, time_ns in times.items() if not path.exists() or path.stat().st_mtime_ns != time_ns}
    assert changed == {"growth.mp4"}
    [earlier] = (out / "earlier").iterdir()
    assert earlier.read_bytes() == straight["growth.mp4"]
    assert probe(out / "growth.mp4").frames == 8


def test_one_more_output_leaves_the_others_alone(file, tmp_path):
    out = tmp_path / "out"
    artgen(file, out)
    before = (out / "growth.mp4").stat().st_mtime_ns
    artgen(file, out, "--set", 'videos.growth.outputs=["mp4", "webm"]')
    assert probe(out / "growth.webm").frames == 12
    assert (out / "growth.mp4").stat().st_mtime_ns == before
    assert not (out / "earlier").exists()


def test_nothing_of_anybody_is_overwritten(file, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "growth.mp4").write_text("my own film")
    with pytest.raises(RecipeError, match="is not a film that artgen made"):
        artgen(file, out)
    assert contents(out) == {"growth.mp4": b"my own film"}
    assert left_over(out) == []


def test_an_encoder_that_dies_costs_its_film_only(file, tmp_path, straight, monkeypatch):
    out = tmp_path / "out"
    add = SegmentWriter.add

    def dying(self, frame):
        if self.path.parent.name == "loop" and self.frames == 20:
            raise ArtgenError("the encoder failed")
        add(self, frame)

    monkeypatch.setattr(SegmentWriter, "add", dying)
    with pytest.raises(ArtgenError, match="the encoder failed"):
        artgen(file, out)
    assert contents(out) == {name: film for name, film in straight.items() if not name.startswith("loop")}
    monkeypatch.undo()
    artgen(file, out)
    assert contents(out) == straight


def test_a_full_disk_stops_all_and_the_same_command_goes_on(file, tmp_path, straight, monkeypatch):
    out = tmp_path / "out"
    written = []
    enter = SegmentWriter.__enter__

    def full(self):
        written.append(self)
        if len(written) > 4:
            raise ResourceError("the film cannot be written: No space left on device")
        return enter(self)

    monkeypatch.setattr(SegmentWriter, "__enter__", full)
    with pytest.raises(ResourceError, match="No space left"):
        artgen(file, out)
    assert not [path for path in (out / ".films").rglob("*") if path.name.startswith(".tmp-")]
    monkeypatch.undo()
    artgen(file, out)
    assert contents(out) == straight


def test_an_unreadable_checkpoint_costs_its_film_only(file, tmp_path, straight, run):
    shutil.copytree(run, tmp_path / "broken")
    for weights in (tmp_path / "broken").rglob("average.safetensors"):
        weights.write_bytes(weights.read_bytes()[:100])
    file.write_text(file.read_text() + f'[videos.broken]\nrun = "{tmp_path / "broken"}"\nseconds = 1\n')
    with pytest.raises(CheckpointError):
        artgen(file, tmp_path / "out")
    assert contents(tmp_path / "out") == straight


def test_a_missing_codec_is_said_aloud_and_the_next_is_taken(file, tmp_path, monkeypatch, caplog):
    from artgen.film import encoding

    monkeypatch.setitem(encoding.LADDERS, "mp4", ("libnone", "mpeg4"))
    artgen(file, tmp_path / "out", "--set", 'videos.loop.outputs=["mp4"]', "--set", "videos.loop.seconds=1")
    assert "mp4 is encoded by mpeg4, which is not the best encoder: libnone: not there" in caplog.text
    assert json.loads(note_in(tmp_path / "out" / "loop.mp4"))["encoder"] == "mpeg4"


def test_a_film_tells_how_to_make_it_again(file, tmp_path, straight, run):
    out = tmp_path / "out"
    artgen(file, out)
    again = tmp_path / "again"
    for arguments in ([], ["--run", str(run)]):
        done = CliRunner().invoke(render, ["--from", str(out / "loop.mp4"), "--out", str(again), *arguments])
        assert done.exit_code == 0, done.output
        assert np.array_equal(list(read_frames(again / "loop.mp4")), list(read_frames(out / "loop.mp4")))
        told, first = (json.loads(note_in(folder / "loop.mp4")) for folder in (again, out))
        assert told["checkpoint"] == first["checkpoint"]
        shutil.rmtree(again)
    shutil.copytree(run, tmp_path / "other")
    for checkpoint in (tmp_path / "other" / "checkpoints").iterdir():
        manifest = checkpoint / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"average.safetensors"', '"bverage.safetensors"'))
    done = CliRunner().invoke(render, ["--from", str(out / "loop.mp4"), "--run", str(tmp_path / "other")])
    assert isinstance(done.exception, CheckpointError)
    done = CliRunner().invoke(render, ["--from", str(next(iter((out / "grid-png").iterdir()))), "--out", str(again)])
    assert done.exit_code == 0 or isinstance(done.exception, ArtgenError)


def test_a_preview_is_small_and_tells_how_long_all_takes(file, tmp_path):
    out = tmp_path / "out"
    told = json.loads(artgen(file, out, "--preview", "--json"))
    assert {path.name for path in out.iterdir()} == {
        ".films", "loop-preview.mp4", "loop-preview-sheet.png", "loop-preview-speed.png", "grid-preview.mp4",
        "grid-preview-sheet.png", "growth-preview.mp4", "growth-preview-sheet.png",
    }  # fmt: skip
    assert set(told["seconds"]) == {"loop", "grid", "growth"}
    assert all(seconds > 0 for seconds in told["seconds"].values())
    before, after = told["films"][0]["speed_ratio"]
    assert before > after >= 1
    seen = probe(out / "loop-preview.mp4")
    assert (seen.frames, seen.frames_per_second, seen.height) == (75, Fraction(15, 2), 96)
    paces = list((out / ".films" / ".paces").iterdir())
    artgen(file, out)
    assert list((out / ".films" / ".paces").iterdir()) == paces  # what was seen for the preview serves the film


def test_a_preview_changes_nothing_of_the_film(file, tmp_path, straight):
    out = tmp_path / "out"
    artgen(file, out, "--preview")
    artgen(file, out)
    assert {name: film for name, film in contents(out).items() if "preview" not in name} == straight


@pytest.mark.parametrize(("made", "kind"), [("nan", DivergedError), ("error", PluginError)])
def test_a_generator_that_fails_costs_its_films_only(made, kind, file, tmp_path, straight, monkeypatch):
    out, make = tmp_path / "out", Maker._pictures

    def failing(self, given):
        if self.options.grid == (1, 1):
            return make(self, given)
        if made == "error":
            raise KeyError("a fault of a plugin")
        return make(self, given) * float("nan")

    monkeypatch.setattr(Maker, "_pictures", failing)
    with pytest.raises(kind) as caught:
        artgen(file, out)
    assert caught.value.place.startswith("grid")
    assert contents(out) == {name: film for name, film in straight.items() if not name.startswith("grid")}


def test_two_films_cannot_have_one_file(tmp_path, run):
    file = tmp_path / "films.toml"
    file.write_text(f'[videos.a]\nrun = "{run}"\noutputs = ["hevc"]\n[videos.a-hevc]\nrun = "{run}"\n')
    with pytest.raises(RecipeError, match="would both have this file"):
        artgen(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_stop_while_films_are_planned_stops(file, tmp_path, monkeypatch):
    def stopped(*given):
        raise StoppedError("interrupted", signal_number=2)

    monkeypatch.setattr("artgen.walk.studio.even_pace", stopped)
    with pytest.raises(StoppedError):
        artgen(file, tmp_path / "out")
    assert contents(tmp_path / "out") == {}


def test_a_note_that_somebody_forged_leads_nowhere(file, tmp_path):
    """Its key becomes part of a name."""
    out = tmp_path / "out"
    out.mkdir()
    note = json.dumps({"film": "growth", "key": "/../../away", "videos": {}})
    with FilmWriter(out / "growth.mp4", (16, 16), 4, note=note) as film:
        film.add(np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(RecipeError, match="is not a film that artgen made"):
        artgen(file, out)


def test_copies_are_films_of_their_own(file, tmp_path, run):
    out = tmp_path / "out"
    file.write_text(f'[videos.loop]\nrun = "{run}"\nseconds = 1\ncopies = 3\n')
    artgen(file, out)
    films = {path.name: path.read_bytes() for path in out.glob("loop*.mp4")}
    assert sorted(films) == ["loop-001.mp4", "loop-002.mp4", "loop-003.mp4"]
    assert len({tuple(map(bytes, read_frames(out / name))) for name in films}) == 3


def test_a_film_can_show_every_checkpoint(file, tmp_path, run):
    out = tmp_path / "out"
    artgen(file, out, "--set", 'videos.growth.shows="checkpoints"', "--set", 'videos.growth.outputs=["png"]')
    frames = [cv2.imread(str(path)).tobytes() for path in sorted((out / "growth-png").iterdir())]
    assert len(frames) == 12
    saved = sorted(int(path.name.split("-")[1]) for path in (run / "checkpoints").iterdir())
    assert saved == [16, 32, 48, 64]
    newest = list(frames_of(run, seconds=3, fps=4, speed="path"))
    oldest = list(frames_of(run, seconds=3, fps=4, speed="path", checkpoint_images=16))
    assert frames[:3] == [np.ascontiguousarray(frame[..., ::-1]).tobytes() for frame in oldest[:3]]
    assert frames[-3:] == [np.ascontiguousarray(frame[..., ::-1]).tobytes() for frame in newest[-3:]]


def test_memory_does_not_grow_with_the_film(file, tmp_path, monkeypatch):
    """Whatever the length, few frames are in memory at once: a batch for each thread, and the one that comes."""
    alive = set()
    most = []

    def counted(pictures, form):
        frames = as_frames(pictures, form)
        alive.add(id(frames))
        weakref.finalize(frames, alive.discard, id(frames))
        most.append(len(alive))
        return frames

    monkeypatch.setattr(pipeline, "as_frames", counted)
    monkeypatch.setattr("artgen.walk.shots.MOST_AT_ONCE", 4)
    monkeypatch.setattr("artgen.cli.render.workers", lambda: 2)
    artgen(file, tmp_path / "out", "--set", "videos.loop.seconds=60", "--set", 'videos.loop.outputs=["mp4"]')
    assert len(most) > 225  # of four frames each
    assert max(most) <= 4


def killed_at_random(file, out, kills):
    """Start the command so often, and kill it soon after something new is on the disk; then let it come to its end.

    Returns how often it was killed before it had.
    """
    draw = random.Random(7)
    arguments = ["render", str(file), "--out", str(out), "--device", "cpu"]
    code = f"import sys; from artgen.cli.main import main; sys.argv[1:] = {arguments}; main()"
    path = os.pathsep.join(map(str, (ROOT, ROOT / "plugins")))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [sys.executable, "-c", code]
    died = 0
    for _ in range(kills):
        before = set(out.rglob("*"))
        child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while child.poll() is None and set(out.rglob("*")) <= before:
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.1))
        child.send_signal(signal.SIGKILL)
        died += child.wait() == -signal.SIGKILL
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return died


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_once_and_again_the_films_have_the_same_bytes(file, tmp_path, straight):
    assert killed_at_random(file, tmp_path / "out", 1) == 1
    assert contents(tmp_path / "out") == straight


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_twenty_times_the_films_have_the_same_bytes(file, tmp_path):
    file.write_text(file.read_text().replace("seconds = 10\n", "seconds = 200\n"))
    assert killed_at_random(file, tmp_path / "out", 20) == 20
    artgen(file, tmp_path / "straight")
    assert contents(tmp_path / "out") == contents(tmp_path / "straight")


def test_a_folder_of_a_run_has_the_films_of_its_recipe(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    recipe = tmp_path / "run" / "recipe.toml"
    recipe.write_text(recipe.read_text() + "\n[videos.walk]\nseconds = 1\n")
    done = CliRunner().invoke(render, [str(tmp_path / "run"), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    assert probe(tmp_path / "run" / "videos" / "walk.mp4").frames == 30


@pytest.mark.parametrize(
    "arguments",
    [[], ["a.toml", "--from", "a.mp4"], ["a.toml", "--preview", "--merge"], ["a.toml", "--shard", "3/2"]],
)
def test_arguments_that_do_not_go_together_are_refused(arguments):
    assert CliRunner().invoke(render, arguments).exit_code == 2
