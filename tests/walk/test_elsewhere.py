"""Films whose pieces other processes make, some of which die: they are, to the byte, those of one process."""

from __future__ import annotations

import functools

import pytest
import torch

from artgen.errors import DataError
from artgen.walk import jobs
from tests.walk.test_render import artgen, contents

pytestmark = pytest.mark.usefixtures("one_thread")

FILMS = """
[videos.loop]
run = "{run}"
keyframes = 3
seconds = 20
fps = 15
outputs = ["mp4", "gif"]

[videos.growth]
run = "{run}"
shows = "previews"
seconds = 3
fps = 4

[executor.local]
workers = 2
threads = 1
"""


@pytest.fixture
def file(run, tmp_path):
    path = tmp_path / "films.toml"
    path.write_text(FILMS.format(run=run))
    return path


@pytest.fixture(scope="module")
def straight(run, tmp_path_factory):
    """All films, made by one process: name -> bytes. Nobody changes it."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("straight")
    (folder / "films.toml").write_text(FILMS.format(run=run).partition("[executor")[0])
    artgen(folder / "films.toml", folder / "out")
    return contents(folder / "out")


def let_work(monkeypatch, work):
    monkeypatch.setattr(jobs, "Job", functools.partial(jobs.Job, work=f"tests.walk.elsewhere:{work}"))


def test_processes_that_die_cost_no_film_and_no_byte(file, tmp_path, straight, monkeypatch):
    let_work(monkeypatch, "die_once")
    out = tmp_path / "out"
    artgen(file, out)
    assert "film loop, piece" in (out / ".films" / "died").read_text()
    assert contents(out) == straight
    assert artgen(file, out, "--executor", "local")  # nothing is left to do
    assert contents(out) == straight


def test_the_number_of_cores_changes_no_byte(file, tmp_path, straight):
    torch.set_num_threads(3)
    file.write_text(file.read_text().partition("[executor")[0])
    artgen(file, tmp_path / "out")
    assert torch.get_num_threads() == 3
    assert contents(tmp_path / "out") == straight


def test_what_another_process_makes_and_nobody_finds_costs_its_film_only(file, tmp_path, straight, monkeypatch):
    let_work(monkeypatch, "render_apart")
    with pytest.raises(DataError, match="is not there as it would have been made here") as told:
        artgen(file, tmp_path / "out", "--set", "executor.local.workers=1")
    assert told.value.place.startswith("loop: film loop, piece ")
    assert "the same folders" in told.value.remedy
    assert contents(tmp_path / "out") == {"growth.mp4": straight["growth.mp4"]}


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_a_cluster_whose_process_dies_makes_the_same_films(file, tmp_path, straight, monkeypatch):
    let_work(monkeypatch, "die_once")
    out = tmp_path / "out"
    told = artgen(file, out, "--executor", "ray")
    assert told.split() == [str(out / name) for name in ("loop.mp4", "loop.gif", "growth.mp4")]  # and no word of Ray's
    assert "film loop, piece" in (out / ".films" / "died").read_text()
    assert contents(out) == straight


@pytest.mark.usefixtures("ray_cluster")
def test_a_cluster_makes_a_film(file, tmp_path, straight):
    out = tmp_path / "out"
    file.write_text("[videos.growth]" + file.read_text().partition("[executor")[0].partition("[videos.growth]")[2])
    artgen(file, out, "--executor", "ray")
    assert contents(out) == {"growth.mp4": straight["growth.mp4"]}
