"""The command line as a user has it: in this process where that will do, in one of its own where it will not."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from artgen.cli import main
from artgen.plugins import load_plugins

TINY = """
title = "Tiny"
seed = 3
[data.digits]
resolution = 8
[generator.dense]
latent = 4
hidden = [8]
[critic.dense]
hidden = [8]
[losses.non-saturating]
[trainer.adversarial]
[[phase]]
images = 400
batch = 8
[metrics.swd]
descriptors = 8
directions = 8
[run]
precision = "fp32"
preview_images = 200
checkpoint_images = 80
preview_pictures = 4
evaluate_samples = 8
"""
TROUBLE = TINY.replace("[losses.non-saturating]", "[losses.trouble]")
PAINTER = TINY.replace("[generator.dense]\nlatent = 4\nhidden = [8]", "[generator.painter]")
ENDLESS = TINY.replace("images = 400", "images = 1_000_000_000").replace(
    "checkpoint_images = 80", "checkpoint_images = 1_000_000_000"
)


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def refused(done: Done, code: int, *said: str) -> None:
    """The command ended with this code and one message that says all of it, and printed no result."""
    assert done.code == code, done.err
    assert done.err.count("error: ") == 1, done.err
    for words in said:
        assert words in done.err, done.err
    assert done.out == ""


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the lock, which names the process that last looked in."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """One cache of prepared pictures for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def here(tmp_path, monkeypatch, cache, one_thread) -> Path:
    """An empty current folder with four recipes in it."""
    monkeypatch.setenv("ARTGEN_CACHE", str(cache))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    for name, text in (("tiny", TINY), ("trouble", TROUBLE), ("painter", PAINTER), ("endless", ENDLESS)):
        (tmp_path / f"{name}.toml").write_text(text)
    return tmp_path


@pytest.fixture
def artgen(here, monkeypatch, capsys):
    """`artgen("run", "tiny.toml") -> Done`, in this process. What nobody foresaw ends here as it does for a user."""

    def call(*arguments) -> Done:
        monkeypatch.setattr(sys, "argv", ["artgen", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Done(ended.value.code, out, err)

    return call


@pytest.fixture
def started(here):
    """`started("run", ...) -> Popen`, in a process of its own."""
    running = []

    def start(*arguments, **options) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from artgen.cli.main import main; main()", *map(str, arguments)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"} | options.pop("env", {})
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": here}
        running.append(subprocess.Popen(command, env=environment, **(streams | options)))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def trained(cache, tmp_path_factory) -> Path:
    """A run of `tiny.toml` that has come to its end; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.toml").write_text(TINY)
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setenv("ARTGEN_CACHE", str(cache))
        main.artgen(["run", "tiny.toml"], standalone_mode=False)
    return folder / "runs" / "tiny"


@pytest.fixture
def run(trained, here) -> Path:
    """A copy of that run, in its place in the current folder."""
    return Path(shutil.copytree(trained, here / "runs" / "tiny"))


@pytest.fixture
def stranger(here, monkeypatch):
    """A stranger's plugin is installed, until `uninstall()`."""
    info = here / "site" / "stranger-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[artgen]\nstranger = stranger\n")
    monkeypatch.syspath_prepend(str(info.parent))
    load_plugins.cache_clear()

    def uninstall() -> None:
        shutil.rmtree(info)
        load_plugins.cache_clear()

    yield uninstall
    monkeypatch.undo()
    load_plugins.cache_clear()


def paint(folder: Path, count: int, side: int = 9, first: int = 0) -> Path:
    """A folder of small PNG pictures of noise."""
    folder.mkdir(exist_ok=True)
    for index in range(first, first + count):
        noise = np.random.default_rng(index).integers(0, 256, (side, side, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{index:03}.png")
    return folder


def pixels(path: Path | str) -> np.ndarray:
    """A picture file as an array (H, W, 3)."""
    with Image.open(path) as file:
        return np.asarray(file)
