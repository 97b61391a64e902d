"""A listener that a run cannot do without: what it raises stops the run, and nothing is lost by it."""

from __future__ import annotations

import os
import signal

import pytest

from artgen import hookimpl
from artgen.errors import DivergedError, PluginError, StoppedError
from artgen.run import checkpoint
from tests.run.test_session import outcomes, sit

pytestmark = pytest.mark.usefixtures("one_thread")


def images_saved(out) -> int:
    newest = checkpoint.newest(out / "checkpoints", set_aside=False)
    return newest.info["images"] if newest else -1


class Keeper:
    """Fails once, at an event of its own choosing."""

    def __init__(self, event, *, at=0):
        self.event, self.at, self.fails = event, at, True

    def _told(self, event, images=0):
        if self.fails and event == self.event and images >= self.at:
            raise OSError("the archive is full")

    @hookimpl
    def artgen_run_started(self):
        self._told("run_started")

    @hookimpl
    def artgen_step_shown(self, scalars):
        self._told("step_shown", scalars["images"])

    @hookimpl
    def artgen_previewed(self, images):
        self._told("previewed", images)

    @hookimpl
    def artgen_saved(self, images):
        self._told("saved", images)

    @hookimpl
    def artgen_run_ended(self, outcome):
        self._told("run_ended")


@pytest.mark.parametrize(
    ("event", "at", "saved"),
    [
        ("run_started", 0, -1),
        ("previewed", 0, 0),
        ("step_shown", 34, 36),
        ("saved", 24, 24),
        ("previewed", 64, 64),
    ],
)
def test_a_fault_of_a_required_listener_saves_and_stops_and_the_run_goes_on_later(tmp_path, event, at, saved):
    keeper, out = Keeper(event, at=at), tmp_path / "run"
    with pytest.raises(PluginError, match=f"plugin 'Keeper' .*artgen_{event} failed: OSError: the archive") as caught:
        sit(out, keeper)
    assert caught.value.exit_code == 5
    assert images_saved(out) == saved
    assert outcomes(out) == ["failed"]
    keeper.fails = False
    sit(out, keeper)
    assert outcomes(out) == ["failed", "finished"]
    straight = sit(tmp_path / "straight", Keeper("nothing"))
    assert (out / "samples" / "final.png").read_bytes() == straight.sheet.read_bytes()


def test_the_end_of_a_run_that_came_to_its_end_is_kept_and_the_fault_handed_over(tmp_path):
    finished = sit(tmp_path / "run", Keeper("run_ended"))
    assert "artgen_run_ended failed: OSError: the archive is full" in str(finished.plugin_fault)
    assert finished.sheet.is_file()
    assert outcomes(tmp_path / "run") == ["finished"]


@pytest.mark.parametrize("error", [DivergedError("no numbers"), ValueError("a fault"), KeyboardInterrupt()])
def test_the_end_of_a_run_that_failed_hides_no_error(tmp_path, monkeypatch, caplog, error):
    def fails(*_):
        raise error

    monkeypatch.setattr("artgen.run.session.train", fails)
    with pytest.raises(type(error)) as caught:
        sit(tmp_path / "run", Keeper("run_ended"))
    assert caught.value is error
    assert "artgen_run_ended failed: OSError: the archive is full" in caplog.text
    assert outcomes(tmp_path / "run") == ["failed"]


def test_what_is_due_at_the_moment_of_a_fault_is_done_before_the_stop(tmp_path):
    out = tmp_path / "run"
    with pytest.raises(PluginError, match="artgen_step_shown failed"):
        sit(out, Keeper("step_shown", at=24), overrides=["run.preview_images=24"])
    assert images_saved(out) == 24
    assert (out / "samples" / "images-000000024.png").is_file()


class Interrupting:
    """Raises what a signal would raise, without one."""

    @hookimpl
    def artgen_saved(self):
        raise KeyboardInterrupt


def test_an_interrupt_of_a_listeners_own_is_its_fault(tmp_path):
    with pytest.raises(PluginError, match="artgen_saved failed: KeyboardInterrupt"):
        sit(tmp_path / "run", Interrupting())
    assert images_saved(tmp_path / "run") == 24
    assert outcomes(tmp_path / "run") == ["failed"]


class Slow:
    """Somebody presses Ctrl-C while it works, and it wraps what it then sees."""

    def __init__(self, event):
        self.event = event

    def _told(self, event):
        if event != self.event:
            return
        self.event = "once"  # a second Ctrl-C would end the process at once
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except Exception as error:
            raise RuntimeError("the file is half written") from error

    @hookimpl
    def artgen_run_started(self):
        self._told("run_started")

    @hookimpl
    def artgen_step_shown(self):
        self._told("step_shown")

    @hookimpl
    def artgen_run_ended(self):
        self._told("run_ended")


@pytest.mark.parametrize("event", ["run_started", "run_ended"])
def test_ctrl_c_while_a_listener_works_stops_the_run_and_blames_nobody(tmp_path, caplog, event):
    with pytest.raises(StoppedError):
        sit(tmp_path / "run", Slow(event))
    assert "half written" not in caplog.text
    assert outcomes(tmp_path / "run") == ["stopped" if event == "run_started" else "finished"]


def test_ctrl_c_while_a_listener_works_in_training_waits_for_the_step(tmp_path):
    listener = Slow("step_shown")
    with pytest.raises(StoppedError):
        sit(tmp_path / "run", listener)
    assert images_saved(tmp_path / "run") >= 0
    assert outcomes(tmp_path / "run") == ["stopped"]


def test_ctrl_c_after_a_failure_does_not_hide_it(tmp_path, monkeypatch):
    def fails(*_):
        raise DivergedError("no numbers")

    monkeypatch.setattr("artgen.run.session.train", fails)
    with pytest.raises(DivergedError):
        sit(tmp_path / "run", Slow("run_ended"))
