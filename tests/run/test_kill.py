"""kill -9 at any moment, then the same command: the same bytes as a run that nobody disturbed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from artgen.errors import StoppedError
from artgen.run import checkpoint, loop
from tests.conftest import ROOT
from tests.families.drive import train_family
from tests.families.test_families import hashes

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> dict[str, str]:
    torch.set_num_threads(1)  # before the fixture of each test does so
    out = tmp_path_factory.mktemp("straight") / "run"
    train_family("everything", out)
    return hashes(out)


@pytest.mark.parametrize("part", ["generator", "critic", "average", "augment", "trainer", "clock"])
def test_every_part_of_the_state_is_needed(part, straight, tmp_path, monkeypatch):
    """The negative control: a resume that forgets any one part ends in other bytes."""
    with pytest.raises(StoppedError):
        train_family("everything", tmp_path / "run", stop_at_images=60)
    restored = loop.restore

    def forgetful(job, state):
        fresh = loop.capture(job, state.clock)
        kept = {name: fresh.parts[name] if name == part else value for name, value in state.parts.items()}
        restored(job, loop.State(state.clock, kept, state.data))

    monkeypatch.setattr(loop, "restore", forgetful)
    if part == "clock":
        monkeypatch.setattr(loop, "restore", restored)
        newest = checkpoint.newest

        def turned_back(folder, **given):
            loaded = newest(folder, **given)
            loaded.info["steps"] -= 1
            return loaded

        monkeypatch.setattr(checkpoint, "newest", turned_back)
    train_family("everything", tmp_path / "run")
    assert hashes(tmp_path / "run") != straight


def test_a_resume_that_forgets_nothing_ends_in_the_same_bytes(straight, tmp_path):
    with pytest.raises(StoppedError):
        train_family("everything", tmp_path / "run", stop_at_images=60)
    train_family("everything", tmp_path / "run")
    assert hashes(tmp_path / "run") == straight


def _killed_again_and_again(out: Path, kills: int, seed: int) -> int:
    """Start, kill -9 at a random moment, start again; then let it end. Returns how many kills found it alive."""
    command = [sys.executable, "-m", "tests.families.drive", "everything", str(out)]
    begun = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=240)
    seconds = time.monotonic() - begun  # how long an undisturbed run takes here, start of Python and all
    for path in sorted(out.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    out.rmdir()
    moments, alive = random.Random(seed), 0
    for _ in range(kills):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(moments.uniform(0.5, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            alive += 1
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=240)
    return alive


def test_three_kills_change_nothing(straight, tmp_path):
    _killed_again_and_again(tmp_path / "run", 3, seed=1)
    assert hashes(tmp_path / "run") == straight


@pytest.mark.slow
def test_twenty_kills_change_nothing(straight, tmp_path):
    _killed_again_and_again(tmp_path / "run", 20, seed=2)
    assert hashes(tmp_path / "run") == straight
