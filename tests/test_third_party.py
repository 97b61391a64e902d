"""Two plugins of strangers, installed into a fresh environment and used as their users would."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from tests.fresh import TINY

PACKAGES = Path(__file__).parent / "third_party"
RUN = f"artgen run glass.toml {shlex.join(TINY)}"
# Presses Ctrl-C at the first sheet of pictures.
STOP = """
import os, signal
from artgen import hookimpl
ARTGEN_API = 1

@hookimpl
def artgen_previewed():
    os.kill(os.getpid(), signal.SIGINT)
"""
# Takes the diary away once it is begun: nobody can write into a folder as if it were a file.
SPOIL = """
from artgen import hookimpl
ARTGEN_API = 1

@hookimpl
def artgen_run_started(folder):
    diary = folder.path / "DIARY.md"
    diary.rename(diary.with_suffix(".old"))
    diary.mkdir()
"""


@pytest.fixture(scope="module")
def here(fresh):
    """A folder with glass.toml in it; both plugins are installed."""
    not_theirs = shutil.ignore_patterns("__pycache__", ".*", "conftest.py", "runs")
    shutil.copytree(PACKAGES, fresh.folder / "packages", ignore=not_theirs)
    fresh.shown("pip install ./artgen-glass ./artgen-diary", fresh.folder / "packages")
    here = fresh.folder / "here"
    here.mkdir()
    shutil.copy(PACKAGES / "artgen-glass" / "glass.toml", here)
    return here


def test_they_are_listed_with_what_they_bring(fresh, here):
    listed = {plugin["plugin"]: plugin for plugin in json.loads(fresh.shown("artgen plugins ls --json", here))}
    for name in ("glass", "diary"):
        plugin = listed[name]
        assert (plugin["state"], plugin["distribution"], plugin["version"]) == ("healthy", f"artgen-{name}", "0.3.0")
        assert Path(plugin["file"]).is_relative_to(fresh.folder)
        assert (plugin["origin"], plugin["api"], plugin["warnings"]) == ("entry point", 1, [])
    assert [component["name"] for component in listed["glass"]["components"]] == ["stained-glass", "palette"]
    assert listed["diary"]["hooks"] == ["artgen_previewed", "artgen_run_ended", "artgen_run_started"]


def test_they_are_told_in_full_and_checked(fresh, here):
    shown = fresh.shown("artgen plugins show glass", here)
    for words in ("sharpness", "How thin the lead between two panes is.", "120.0", "palette"):
        assert words in shown
    fresh.shown("artgen plugins check glass", here)
    fresh.shown("artgen plugins check diary", here)


@pytest.mark.slow
def test_their_own_tests_pass(fresh, here):
    told = fresh.shown("python -m pytest -q --rootdir . */tests", fresh.folder / "packages")
    assert " passed" in told


def test_a_recipe_runs_with_both(fresh, here):
    assert "no fault" in fresh.shown("artgen check glass.toml", here)
    fresh.shown(RUN, here)
    run = here / "runs" / "glass"
    diary = (run / "DIARY.md").read_text().split("\n\n")
    assert diary[0] == "# glass"
    assert diary[1] == "![0 pictures shown](samples/images-000000000.png)"
    assert diary[-2:] == ["*finished*", ""]
    assert "generator/palette" in (run / "metrics.jsonl").read_text()
    recorded = json.loads((run / "run.json").read_text())["plugins"]
    assert (recorded["glass"]["distribution"], recorded["glass"]["version"]) == ("artgen-glass", "0.3.0")
    made = fresh.shown("artgen sample runs/glass --count 2", here).split()
    assert len(made) == 2
    assert all(Path(picture).is_file() for picture in made)


def test_an_optional_hook_may_fail_and_a_required_one_stops_the_run(fresh, here):
    (here / "stop.py").write_text(STOP)
    (here / "spoil.py").write_text(SPOIL)
    stopped = fresh.run(f"{RUN} --out runs/spoilt --plugin spoil.py --plugin stop.py", here)
    assert stopped.returncode == 130, stopped.stdout  # it went on, to where stop.py stopped it
    told = [line for line in stopped.stdout.splitlines() if "'diary'" in line and "artgen_previewed" in line]
    assert len(told) == 1, stopped.stdout
    run = here / "runs" / "spoilt"
    assert (run / "DIARY.old").read_text() == "# spoilt\n\n"

    checkpoints = sorted(path.name for path in (run / "checkpoints").iterdir())
    refused = fresh.run(f"{RUN} --out runs/spoilt", here)
    assert refused.returncode == 5, refused.stdout
    for words in ("'diary'", "artgen-diary 0.3.0", "artgen_run_started", "artgen_diary/__init__.py", "Is a directory"):
        assert words in refused.stdout
    assert "Traceback" not in refused.stdout
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == checkpoints != []


def test_what_lacks_a_plugin_names_it(fresh, here):
    fresh.shown("pip uninstall -y artgen-glass", here)
    checked = fresh.run("artgen check glass.toml", here)
    assert checked.returncode in (2, 5)
    for words in (
        "'artgen-glass:stained-glass'",
        "'artgen-glass' is not installed",
        "pip install artgen-glass",
        "'palette'",
    ):
        assert words in checked.stdout
    sampled = fresh.run("artgen sample runs/glass", here)
    assert sampled.returncode in (2, 5)
    assert "'glass' (artgen-glass 0.3.0 (code " in sampled.stdout
    listed = json.loads(fresh.shown("artgen plugins ls --json", here))
    assert "glass" not in {plugin["plugin"] for plugin in listed}
