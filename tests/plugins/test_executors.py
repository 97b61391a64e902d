"""Processes of this machine: how many, what is around them, what is left of them. The kit's suite has the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from artgen.errors import ArtgenError, ResourceError
from artgen.testing.errands import ERRANDS
from artgen.walk.jobs import Job, Outcome, Task
from artgen_executors import LocalOptions
from artgen_executors.local import Local

TASKS = [Task("a", piece) for piece in range(8)]
SURROUNDINGS = "tests.plugins.errands:tell_surroundings"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="looks into /proc and sends signals")


def job(folder, errands=None, work=ERRANDS, device="cpu", encoders=1):
    (folder / "errands.json").write_text(json.dumps(errands or {}))
    return Job(str(folder / "errands.json"), (), (), "", str(folder), device, encoders, work)


def local(**options):
    return Local(LocalOptions(**options))


def surroundings(folder, executor, **about):
    list(executor.render(job(folder, work=SURROUNDINGS, **about), TASKS))
    return [json.loads(path.read_text()) for path in folder.glob("*.told")]


def children():
    """Workers of this process that are there."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = state(folder.name)[1]
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        if parent == str(os.getpid()) and "artgen.walk.worker" in command:
            found.append(int(folder.name))
    return found


def test_processes_share_the_cores(tmp_path):
    for told in surroundings(tmp_path, local(workers=2), encoders=6):
        assert (told["OMP_NUM_THREADS"], told["MKL_NUM_THREADS"], told["encoders"]) == ("3", "3", 3)
        assert told["folder"] == str(Path.cwd())
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    (tmp_path / "one").mkdir()
    [told] = surroundings(tmp_path / "one", local(workers=1, threads=2), encoders=4)
    assert (told["OMP_NUM_THREADS"], told["encoders"]) == ("2", 2)


@pytest.mark.parametrize("visible", [None, "5,7"])
def test_each_gpu_has_a_process(tmp_path, monkeypatch, visible):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    seen = {told["CUDA_VISIBLE_DEVICES"] for told in surroundings(tmp_path, local(), device="cuda")}
    assert seen <= set((visible or "0,1").split(","))
    with_one = local(workers=1).render(job(tmp_path, device="cuda"), TASKS[:1])
    assert list(with_one) == [Outcome(TASKS[0])]


def test_there_are_no_more_processes_than_tasks(tmp_path):
    rendered = local(workers=50).render(job(tmp_path), TASKS[:2])
    next(rendered)
    assert len(children()) <= 2
    rendered.close()
    assert children() == []


def test_a_plugin_finds_nothing_on_stdin(tmp_path):
    list(local(workers=1).render(job(tmp_path, work="tests.plugins.errands:read_stdin"), TASKS))
    assert (tmp_path / "stdin").read_text() == "b''"


def test_a_killer_is_told_with_its_signal_and_last_words(tmp_path):
    told = dict(local(workers=2).render(job(tmp_path, {"a/5": "die"}), TASKS))
    words = str(told[TASKS[5]])
    assert words.startswith("film a, piece 5: 3 processes have died over it, the last one by SIGKILL\n")
    assert "| a plugin prints" in words
    assert "try fewer `workers`" in words
    assert len((tmp_path / "a-5").read_text().split()) == 3
    assert children() == []


def test_processes_that_cannot_start_are_told_of_and_end_all(tmp_path):
    with pytest.raises(ArtgenError, match=r"do not start: the last one with exit code 1\n") as told:
        list(local(workers=2).render(job(tmp_path, work="nowhere:work"), TASKS))
    assert "| ModuleNotFoundError: No module named 'nowhere'" in str(told.value)
    assert children() == []


def test_a_machine_without_room_for_processes_is_told(tmp_path, monkeypatch):
    def refuse(*arguments, **more):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(ResourceError, match="Cannot allocate memory"):
        list(local(workers=2).render(job(tmp_path), TASKS))


PARENT = """
import sys
from pathlib import Path
from tests.plugins.test_executors import TASKS, job, local
for outcome in local(workers=2).render(job(Path(sys.argv[1]), {"a/1": "wait", "a/6": "wait"}), TASKS):
    pass
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_no_process_outlives_the_one_that_started_it(tmp_path, number):
    path = os.pathsep.join(path for path in sys.path if path)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, tmp_path], env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.DEVNULL
    )
    beats = [tmp_path / "a-1.alive", tmp_path / "a-6.alive"]
    for beat in beats:
        wait_until(beat.exists)
    parent.send_signal(number)
    assert parent.wait(30) != 0
    pids = {int(pid) for path in tmp_path.glob("a-?") for pid in path.read_text().split()}
    assert len(pids) == 2
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def state(pid):
    """What the system knows of a process: its state, its parent, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def is_alive(pid):
    """Whether a process is there and at work; one that nobody has buried yet is not."""
    try:
        return state(pid)[0] != "Z"
    except OSError:
        return False


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
