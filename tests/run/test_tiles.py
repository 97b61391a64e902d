"""Pictures that do not fit into memory at once: told by small ones, taken in tiles, and no other pictures for it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from artgen import hookimpl
from artgen.data.images import read
from artgen.errors import ResourceError
from artgen.run import trial
from artgen.run.build import fitted, prepare_data
from artgen.run.loop import take_step
from artgen.run.need import PhaseNeed
from artgen.run.session import try_recipe
from artgen.run.trial import measure
from artgen.testing.runs import CPU, load, train, workshop
from artgen.training import Phase, Size
from artgen_style.look import Look
from artgen_wavelets.bank import Wavelets

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPE = """
seed = 7
[data.pictures]
resolution = 64
[generator.canvas]
[features.wavelets]
octaves = 2
[losses.covariance]
[losses.laplacian]
[losses.sliced-wasserstein]
positions = 256
[trainer.canvas]
[[phase]]
from = 32
to = 64
images = [2, 3]
batch = 1
[run]
precision = "fp32"
average_half_life_images = 1
"""
FILM = RECIPE.replace("[data.pictures]", "[data.film]\nframes = 3")
ONE_SIZE = "phase=[{images=3, batch=1}]"
NEAR = (ONE_SIZE, "features.wavelets.octaves=1", "data.pictures.style_scale=0.5")  # with little around each tile
PIXELS = 48 * 64


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """So that pictures of 64 px are large ones."""
    monkeypatch.setattr(trial, "_TILE_PX", 16)


class Meter:
    """A memory that holds 1000 bytes for each pixel that features look at in one piece, and nothing else."""

    def __init__(self, monkeypatch, room=math.inf):
        self.room, self.most, self.looks = room, 0, []
        activations = Look._activations

        def metered(look, pictures):
            self.looks.append(pictures[:, 0].numel())
            self.most = max(self.most, self.looks[-1])
            if self.looks[-1] > self.room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
            return activations(look, pictures)

        monkeypatch.setattr(Look, "_activations", metered)

    def stand_for_a_cpu(self, monkeypatch, there):
        """What has been measured is what was looked at."""
        monkeypatch.setattr(trial, "there_bytes", lambda device: there)
        monkeypatch.setattr(trial, "forget_peak", self.forget)
        monkeypatch.setattr(trial, "peak_bytes", lambda device: 1000 * self.most)
        monkeypatch.setattr(trial, "_SMALL_PIXELS", PIXELS // 4)
        monkeypatch.setattr(trial, "_SMALLEST_PX", 16)
        monkeypatch.setattr(trial, "_CANVAS_BYTES", 0)

    def forget(self, device):
        self.most = 0


@pytest.fixture
def tried(tmp_path):
    """`tried(*overrides) -> Needs`."""

    def measured(*overrides, recipe=RECIPE, pieces=()):
        loaded = load(tmp_path, recipe, overrides)
        dataset = prepare_data(loaded, workshop(tmp_path))
        return measure(fitted(loaded, dataset), dataset, CPU, "fp32", None, pieces)

    return measured


@pytest.fixture
def ran(tmp_path):
    """`ran(name, ...) -> run folder, hashes`: a run of the recipe in a folder of its own."""

    def run(name, overrides=(), recipe=RECIPE, **more):
        (tmp_path / name).mkdir()
        hashes = train(tmp_path / name, recipe, overrides, **more)
        return tmp_path / name / "run", hashes

    return run


def pictures(run):
    return np.stack([read(path) for path in sorted((run / "pictures").iterdir())]).astype(float)


def pieces_of(run):
    return json.loads((run / "run.json").read_text())["pieces"]


# What exhausts memory, as on a GPU


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_picture_that_exhausts_memory_is_taken_in_tiles_and_comes_out_alike(ran, monkeypatch, caplog, optimizer):
    overrides = [f'trainer.canvas.optimizer="{optimizer}"']
    whole, _ = ran("whole", overrides)
    assert "does not fit" not in caplog.text
    meter = Meter(monkeypatch, room=0.9 * PIXELS)
    tiled, _ = ran("tiled", overrides)
    assert "one picture of 64x48 px does not fit into memory at once" in caplog.text
    assert "it is taken in 4 pieces" in caplog.text
    assert caplog.text.count("does not fit") == 1  # the first phase does
    assert pieces_of(tiled) == [1, 4]
    assert max(meter.looks[-30:]) <= meter.room
    assert np.abs(pictures(whole) - pictures(tiled)).max() <= 2  # of 255: what is drawn is the same, too


def test_frames_are_taken_one_by_one_before_any_is_cut(ran, monkeypatch):
    whole, _ = ran("whole", recipe=FILM)
    Meter(monkeypatch, room=PIXELS)
    single, _ = ran("single", recipe=FILM)
    assert pieces_of(single) == [1, 3]
    monkeypatch.undo()
    monkeypatch.setattr(trial, "_TILE_PX", 16)
    Meter(monkeypatch, room=0.9 * PIXELS)
    tiled, _ = ran("tiled", recipe=FILM)
    assert pieces_of(tiled) == [1, 12]
    for run in (single, tiled):
        assert np.abs(pictures(whole) - pictures(run)).max() <= 2


def test_a_run_that_goes_on_takes_the_pieces_of_its_record(ran, monkeypatch):
    meter = Meter(monkeypatch, room=0.9 * PIXELS)
    _, straight = ran("straight")

    class RoomAgain:
        @hookimpl
        def artgen_run_ended(self, outcome):
            meter.room = math.inf  # the bits are to be the same nevertheless

    run, stopped = ran("stopped", stop_after_steps=3, listeners=[RoomAgain()])
    assert meter.room == math.inf
    assert stopped == straight
    assert pieces_of(run) == [1, 4]


def test_the_smallest_tiles_that_do_not_fit_stop_the_run_with_the_figures(tried, monkeypatch):
    Meter(monkeypatch, room=10)
    with pytest.raises(ResourceError, match=r"phase 1 at 32x24 px.*with the smallest tiles at a time.* GB") as caught:
        tried()
    assert "resolution" in caught.value.remedy
    assert "batch" not in caught.value.remedy  # of pictures that are repainted it says nothing


def test_features_that_do_not_tell_their_strides_stop_it_with_what_to_do(tried, monkeypatch):
    made = Wavelets.__init__

    def strideless(self, options):
        made(self, options)
        self.strides = ()

    monkeypatch.setattr(Wavelets, "__init__", strideless)
    meter = Meter(monkeypatch, room=PIXELS - 1)
    with pytest.raises(ResourceError, match=r"phase 2 at 64x48 px.*with all pictures at a time") as caught:
        tried()
    assert "strides" in caught.value.remedy
    meter.looks.clear()
    with pytest.raises(ResourceError, match="all pictures"):
        tried(ONE_SIZE, recipe=FILM)
    assert len(meter.looks) == 1  # pieces of a batch would not be smaller


def test_a_fault_in_tiles_is_told_as_it_is(tried, monkeypatch):
    Meter(monkeypatch, room=0.9 * PIXELS)
    monkeypatch.setattr(Look, "_measure_piece", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tried()


# What would use a CPU's memory up


@pytest.mark.parametrize("share", [2.0, 1.2, 0.9, 0.7, 0.5])
def test_on_a_cpu_nothing_is_tried_that_small_pictures_speak_against(tried, monkeypatch, share):
    """A process that uses up the memory of a CPU is killed, so nobody dares: 0.8 of it may be used."""
    meter = Meter(monkeypatch)
    there = int(share * 1000 * PIXELS)
    meter.stand_for_a_cpu(monkeypatch, there)
    needs = tried(*NEAR)
    assert (needs.pieces == (1,)) == (share > 1.25)
    assert 1000 * max(meter.looks) <= 0.8 * there
    assert needs.phases[0].memory_bytes == 1000 * meter.most


def test_a_cpu_too_small_for_the_smallest_tiles_is_told_before_a_large_step(tried, monkeypatch):
    meter = Meter(monkeypatch)
    meter.stand_for_a_cpu(monkeypatch, 1000 * PIXELS // 10)
    with pytest.raises(ResourceError, match=r"more than .* GB of memory, and there are .*with the smallest tiles"):
        tried(*NEAR)
    assert max(meter.looks) <= PIXELS // 3


def test_recorded_pieces_are_no_licence_on_a_smaller_machine(tried, monkeypatch):
    meter = Meter(monkeypatch)
    meter.stand_for_a_cpu(monkeypatch, int(0.6 * 1000 * PIXELS))
    there = tried(*NEAR, pieces=[4])
    assert there.pieces[0] > 4
    assert 1000 * max(meter.looks) <= 0.8 * 0.6 * 1000 * PIXELS


def test_what_losses_hold_of_every_pixel_does_not_shrink_with_the_pieces(tried, monkeypatch):
    """Losses on pixels look at the whole picture, in however many pieces features do."""
    meter = Meter(monkeypatch)
    meter.stand_for_a_cpu(monkeypatch, 1000 * PIXELS)
    stepped = [0]

    def noted(job, phase, clock):
        stepped.append(phase.size.height * phase.size.width)
        return take_step(job, phase, clock)

    def forget(device):
        meter.forget(device)
        stepped.append(0)

    monkeypatch.setattr(trial, "take_step", noted)
    monkeypatch.setattr(trial, "forget_peak", forget)
    monkeypatch.setattr(trial, "peak_bytes", lambda device: 1000 * meter.most + 900 * stepped[-1])
    with pytest.raises(ResourceError, match="smallest tiles"):
        tried(*NEAR)  # 900 for each pixel, of the 800 that may be used
    assert 0 < max(stepped) < PIXELS


def test_a_narrow_picture_has_a_narrow_small_one(tried, monkeypatch):
    meter = Meter(monkeypatch)
    meter.stand_for_a_cpu(monkeypatch, 10**9)
    monkeypatch.setattr(trial, "_SMALL_PIXELS", 300)
    needs = tried("phase=[{images=3, batch=1}]", "data.pictures.resolution=[64, 8]")
    assert needs.pieces == (1,)


# What is told


def test_a_dry_run_tells_what_each_size_needs(tmp_path, monkeypatch):
    Meter(monkeypatch, room=0.9 * PIXELS)
    needs, scalars = try_recipe(load(tmp_path, RECIPE), CPU, workshop(tmp_path))
    told = [str(phase) for phase in needs.phases]
    assert told[0].startswith("phase 1, 32x24 px, batch 1: ")
    assert told[1].startswith("phase 2, 64x48 px, batch 1 in 4 pieces: ")
    assert {"generator/covariance", "generator/laplacian", "generator/gradient_norm"} <= scalars.keys()
    assert [figures["pieces"] for figures in needs.figures()["phases"]] == [1, 4]
    assert not list(tmp_path.glob("**/pictures"))


def test_what_a_run_needs_of_the_memory_is_told(tried, monkeypatch):
    monkeypatch.setattr(trial, "there_bytes", lambda device: 16_000_000_000)
    assert " of 16.0 GB memory and " in str(tried())


def test_the_words_of_tiles():
    phase = PhaseNeed(Phase(1, Size(3072, 4096), 100, 1, pieces=16), 100, 1, 12.0, 13_000_000_000)
    assert str(phase) == (
        "phase 2, 4096x3072 px, batch 1 in 16 pieces: 13.0 GB, 12 s a step, 0.083 images a second, 20 min"
    )
