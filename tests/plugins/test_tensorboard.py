"""The TensorBoard plugin, read back with TensorBoard's own reader: a run that was killed, and the same one resumed."""

from __future__ import annotations

import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter

import cv2
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

import artgen_tensorboard
from artgen.cli.main import artgen
from artgen.plugins import Plugins
from artgen.run.record import RunFolder
from artgen_tensorboard.events import EventLog

BATCH, IMAGES, SAVED, KILLED = 8, 128, 48, 88
RECIPE = f"""
[data.atelier]
count = 24
resolution = 16
[generator.dense]
hidden = [16]
[critic.dense]
hidden = [16]
[losses.non-saturating]
[trainer.adversarial]
[metrics.swd]
descriptors = 4
directions = 4
[[phase]]
images = {IMAGES}
batch = {BATCH}
[run]
checkpoint_images = {SAVED}
preview_images = 32
preview_pictures = 4
evaluate_images = 64
evaluate_samples = 8
precision = "fp32"
"""
RUN = ["run", "tiny.toml", "--device", "cpu", "--out", "run"]
KILLER = f"""
import os, signal
from artgen import hookimpl

@hookimpl
def artgen_step_shown(scalars):
    if scalars["images"] >= {KILLED}:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def read(folder):
    """What TensorBoard shows of a folder, nothing left out."""
    shown = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0, "tensors": 0})
    return shown.Reload()


def steps(points):
    return [point.step for point in points]


def counted(folder):
    """How often each tag has a point at each step, after TensorBoard's own purge."""
    shown = read(folder)
    tags = shown.Tags()
    points = {tag: shown.Scalars(tag) for tag in tags["scalars"]} | {tag: shown.Images(tag) for tag in tags["images"]}
    points |= {tag: shown.Tensors(tag) for tag in tags["tensors"]}
    return Counter((tag, step) for tag, every in points.items() for step in steps(every))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was killed at 88 images with a checkpoint of 48, kept as `killed`, then resumed to its end."""
    here = tmp_path_factory.mktemp("tensorboard")
    (here / "tiny.toml").write_text(RECIPE)
    (here / "killer.py").write_text(KILLER)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setenv("ARTGEN_CACHE", str(here / "cache"))
        patch.setenv("OMP_NUM_THREADS", "1")
        code = f"from artgen.cli.main import artgen; artgen({[*RUN, '--plugin', 'killer.py']}, standalone_mode=False)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
        shutil.copytree(here / "run", here / "killed")
        artgen(RUN, standalone_mode=False)
    return here / "run"


def test_the_hook_module_is_light():
    events = ("evaluated", "previewed", "run_ended", "run_started", "step_shown")
    [plugin] = Plugins([artgen_tensorboard], points=()).plugins
    assert (plugin.state, plugin.warnings) == ("healthy", ())
    assert plugin.hooks == plugin.optional_hooks == tuple(f"artgen_{event}" for event in events)
    heavy = "import sys, artgen_tensorboard; print({'torch', 'numpy', 'tensorboard', 'google'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_a_killed_run_has_lost_nothing_that_was_shown(run):
    shown = read(run.with_name("killed") / "tensorboard")
    for loss in ("critic/non-saturating", "generator/non-saturating"):
        assert steps(shown.Scalars(loss)) == list(range(BATCH, KILLED + 1, BATCH))
    assert steps(shown.Images("sheet")) == [0, 32, 64]
    assert steps(shown.Scalars("swd/swd")) == [64]


def test_every_point_of_the_record_is_there_once(run):
    shown, rows = read(run / "tensorboard"), RunFolder.read(run).metrics()
    recorded = {}
    for row in rows:
        for name, value in row.items():
            if name not in ("images", "steps", "phase"):
                recorded.setdefault(name, []).append((row["images"], value))
    assert len(recorded["critic/non-saturating"]) == IMAGES // BATCH
    assert {"swd/swd", "generator/non-saturating"} < set(recorded)
    for name, points in recorded.items():
        scalars = shown.Scalars(name)
        assert steps(scalars) == [images for images, _ in points], name
        assert [scalar.value for scalar in scalars] == pytest.approx([value for _, value in points], nan_ok=True)
    assert set(counted(run / "tensorboard").values()) == {1}


def test_speed_is_written_from_the_second_point_of_a_session_on(run):
    speed = read(run / "tensorboard").Scalars("images_per_second")
    assert steps(speed) == [*range(2 * BATCH, SAVED + 1, BATCH), *range(SAVED + 2 * BATCH, IMAGES + 1, BATCH)]
    assert all(0 < point.value < math.inf for point in speed)


def test_sheets_are_the_very_files(run):
    sheets = read(run / "tensorboard").Images("sheet")
    assert steps(sheets) == [0, 32, 64, 96, IMAGES]
    for sheet in sheets:
        name = "final" if sheet.step == IMAGES else f"images-{sheet.step:09}"
        png = (run / "samples" / f"{name}.png").read_bytes()
        assert sheet.encoded_image_string == png
        pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert (sheet.height, sheet.width, 3) == pixels.shape


def test_the_recipe_is_a_text(run):
    [recipe] = read(run / "tensorboard").Tensors("recipe")
    assert recipe.step == 0
    text = recipe.tensor_proto.string_val[0].decode()
    assert text == f"```\n{(run / 'recipe.toml').read_text()}\n```"
    event = next(event for file in files(run) for event in EventFileLoader(str(file)).Load() if event.summary.value)
    assert event.summary.value[0].metadata.plugin_data.plugin_name == "text"


def test_each_session_has_a_file_and_says_where_it_began(run):
    marks = [
        [event.step for event in EventFileLoader(str(file)).Load() if event.HasField("session_log")]
        for file in files(run)
    ]
    assert marks == [[0], [SAVED + 1]]


def files(run):
    return sorted((run / "tensorboard").iterdir())


# The log by itself


@pytest.fixture
def folder(tmp_path):
    opened = RunFolder.open(tmp_path / "run", 'title = "x"\n', "fingerprint", description={})
    opened.resume(0)
    yield opened
    opened.close()


def again(folder, images):
    """The next session in the same folder."""
    folder.close()
    opened = RunFolder.open(folder.path, 'title = "x"\n', "fingerprint", description={})
    opened.resume(images)
    return opened


def train(folder, images, until):
    log = EventLog(folder)
    for shown in range(images, until + 1):
        log.step({"images": shown, "steps": shown, "loss": 1 / (1 + shown)})
    log.close()


@pytest.mark.parametrize("lost_bytes", [1, 8, 20])
def test_a_torn_last_record_costs_no_more_than_itself(folder, lost_bytes):
    train(folder, 1, 10)
    [file] = files(folder.path)
    os.truncate(file, file.stat().st_size - lost_bytes)
    assert steps(read(file.parent).Scalars("loss")) == list(range(1, 10))
    train(again(folder, 6), 7, 12)
    assert steps(read(file.parent).Scalars("loss")) == list(range(1, 13))


def test_resumed_twice_from_the_same_checkpoint(folder):
    train(folder, 1, 10)
    for until in (8, 9, 12):
        folder = again(folder, 5)
        train(folder, 6, until)
    assert steps(read(folder.path / "tensorboard").Scalars("loss")) == list(range(1, 13))
    assert set(counted(folder.path / "tensorboard").values()) == {1}
    folder.close()


def test_a_run_without_a_checkpoint_begins_anew(folder):
    train(folder, 0, 10)
    folder = again(folder, 0)
    train(folder, 0, 4)
    assert len(files(folder.path)) == 1
    assert set(counted(folder.path / "tensorboard").values()) == {1}
    assert steps(read(folder.path / "tensorboard").Scalars("loss")) == list(range(5))
    folder.close()


def test_tensorboard_installed_in_the_middle_of_a_run(folder):
    folder = again(folder, 64)
    train(folder, 65, 70)
    shown = read(folder.path / "tensorboard")
    assert steps(shown.Tensors("recipe")) == [65]
    assert steps(shown.Scalars("loss")) == list(range(65, 71))
    folder.close()


def test_not_finite_figures_are_shown_as_such(folder):
    log = EventLog(folder)
    log.figures({"a": math.nan, "b": math.inf}, 3)
    log.close()
    shown = read(folder.path / "tensorboard")
    assert math.isnan(shown.Scalars("a")[0].value)
    assert shown.Scalars("b")[0].value == math.inf


# The hooks


@pytest.fixture
def absent(monkeypatch):
    """As if TensorBoard were not installed."""
    for name in [*sys.modules]:
        if name.partition(".")[0] == "tensorboard" or name == "artgen_tensorboard.events":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)


def test_without_tensorboard_nothing_is_done(folder, absent, caplog):
    caplog.set_level(logging.DEBUG)
    artgen_tensorboard.artgen_run_started(folder)
    artgen_tensorboard.artgen_step_shown(folder, {"images": 8, "loss": 1.0})
    artgen_tensorboard.artgen_previewed(folder, folder.path / "nowhere.png", 8)
    artgen_tensorboard.artgen_evaluated(folder, {"swd/swd": 1.0}, 8)
    artgen_tensorboard.artgen_run_ended(folder)
    assert not (folder.path / "tensorboard").exists()
    assert [(record.levelname, "artgen[tensorboard]" in record.message) for record in caplog.records] == [
        ("DEBUG", True)
    ]


def test_a_tensorboard_that_is_broken_is_no_absent_one(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "artgen_tensorboard.events", None)
    with pytest.raises(ModuleNotFoundError):
        artgen_tensorboard.artgen_run_started(folder)


def test_the_end_of_a_run_that_never_began_is_no_event(folder):
    artgen_tensorboard.artgen_run_ended(folder)
    assert not (folder.path / "tensorboard").exists()


def test_nothing_is_written_after_the_end(folder):
    artgen_tensorboard.artgen_run_started(folder)
    artgen_tensorboard.artgen_run_ended(folder)
    before = files(folder.path)[0].read_bytes()
    artgen_tensorboard.artgen_step_shown(folder, {"images": 8, "loss": 1.0})
    assert files(folder.path)[0].read_bytes() == before


def test_no_thread_is_started(folder):
    before = threading.enumerate()
    artgen_tensorboard.artgen_run_started(folder)
    artgen_tensorboard.artgen_step_shown(folder, {"images": 8, "loss": 1.0})
    assert threading.enumerate() == before
    artgen_tensorboard.artgen_run_ended(folder)
