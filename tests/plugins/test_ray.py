"""A Ray cluster: what it is asked for, and what is said where it cannot be had. The kit's suite has the rest."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from artgen.errors import ArtgenError, PluginError, RecipeError
from artgen.testing.errands import ERRANDS
from artgen.walk.jobs import Job, Outcome, Task
from artgen_ray import RayOptions
from artgen_ray.cluster import Cluster

TASKS = [Task("a", piece) for piece in range(6)]


def job(folder, errands=None, work=ERRANDS, device="cpu", encoders=1):
    (folder / "errands.json").write_text(json.dumps(errands or {}))
    return Job(str(folder / "errands.json"), (), (), "", str(folder), device, encoders, work)


def cluster(**options):
    return Cluster(RayOptions(**options))


def test_without_ray_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PluginError, match="Ray is not installed") as refused:
        cluster()
    assert refused.value.remedy == "pip install 'artgen[ray]'"


def test_a_cluster_that_is_not_there_is_told(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ArtgenError, match=r"no Ray cluster can be had: .*refused"):
        list(cluster(address=nobody).render(job(tmp_path), TASKS))

    def refuse(address, **more):
        raise ConnectionError("Could not find any running Ray instance.\nMore.")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(ArtgenError, match=r"no Ray cluster can be had: Could not find any running Ray instance\.\n"):
        list(cluster(address="auto").render(job(tmp_path), TASKS))


@pytest.mark.usefixtures("ray_cluster")
class TestInOneCluster:
    def test_a_share_of_the_cluster_is_what_was_asked_for(self, tmp_path):
        """Threads and encoders follow from the cores of a place, the folder is that of the command."""
        asked = job(tmp_path, work="tests.plugins.errands:tell_surroundings", encoders=8)
        assert set(cluster(cpus=2).render(asked, TASKS)) == {Outcome(task) for task in TASKS}
        told = [json.loads(path.read_text()) for path in tmp_path.glob("*.told")]
        assert {(one["OMP_NUM_THREADS"], one["encoders"], one["folder"]) for one in told} == {("2", 2, str(Path.cwd()))}

    def test_what_no_cluster_of_this_size_can_do_is_refused(self, tmp_path):
        with pytest.raises(RecipeError, match="the cluster has 2 CPUs and 0 GPUs, and one piece asks for 1 and 1"):
            list(cluster().render(job(tmp_path, device="cuda"), TASKS))

    def test_the_connection_of_this_process_stays(self, tmp_path, ray_cluster):
        list(cluster(workers=2).render(job(tmp_path), TASKS))
        assert ray_cluster.is_initialized()


OWN = """
import signal, sys
from pathlib import Path
from tests.plugins.test_ray import TASKS, cluster, job
before = signal.getsignal(signal.SIGTERM), sys.excepthook
told = list(cluster(workers=2).render(job(Path(sys.argv[1]), {"a/3": "die once"}), TASKS))
assert sorted(outcome.task for outcome in told) == TASKS
assert all(outcome.fault is None for outcome in told)
import ray
assert not ray.is_initialized()
assert (signal.getsignal(signal.SIGTERM), sys.excepthook) == before
"""


@pytest.mark.slow
def test_a_cluster_of_its_own_is_gone_at_the_end(tmp_path):
    pytest.importorskip("ray")
    path = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", OWN, tmp_path],
        env=os.environ | {"PYTHONPATH": path, "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
