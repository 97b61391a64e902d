"""Each family takes phases, shows progress, saves, resumes exactly, and runs in two processes, by the same loop."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch

from artgen.errors import StoppedError
from artgen.run import checkpoint
from tests.conftest import ROOT
from tests.families.drive import RECIPES, train_family

FAMILIES = sorted(RECIPES)
pytestmark = pytest.mark.usefixtures("one_thread")


def hashes(out: Path) -> dict[str, str]:
    """SHA-256 of every file of the newest checkpoint."""
    newest = checkpoint.committed(out / "checkpoints")[0]
    listed = json.loads((newest / "manifest.json").read_text())["files"]
    return {name: entry["sha256"] for name, entry in listed.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_trains_to_the_end_and_shows_pictures(family, tmp_path):
    finished = train_family(family, tmp_path / "run")
    assert finished.sheet.is_file()
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["images"] == max(row["images"] for row in rows) > 0
    phases = {row["phase"] for row in rows}
    assert phases == set(range(RECIPES[family].count("[[phase]]")))
    sheets = [cv2.imread(str(sheet)) for sheet in (tmp_path / "run" / "samples").glob("*.png")]
    assert len({sheet.shape for sheet in sheets}) == 1  # whatever the size of the pictures was then
    again = train_family(family, tmp_path / "run")
    assert again.was_finished


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("stop_at_images", [2, 24, 26, 40])  # at the start, at and after a level change, within a fade
def test_interrupted_run_ends_in_the_same_bytes(family, stop_at_images, tmp_path):
    train_family(family, tmp_path / "straight" / "run")
    with pytest.raises(StoppedError) as stopped:
        train_family(family, tmp_path / "stopped" / "run", stop_at_images=stop_at_images)
    assert stopped.value.exit_code == 130
    train_family(family, tmp_path / "stopped" / "run")
    assert hashes(tmp_path / "straight" / "run") == hashes(tmp_path / "stopped" / "run")
    final = "run/samples/final.png"
    assert (tmp_path / "straight" / final).read_bytes() == (tmp_path / "stopped" / final).read_bytes()


@pytest.mark.parametrize("family", FAMILIES)
def test_two_processes_train_one_model(family, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
               "tests.families.drive", family, str(tmp_path / "run")]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "samples" / "final.png").is_file()
    together = checkpoint.newest(tmp_path / "run" / "checkpoints").parts
    if not family.startswith("canvas"):  # whose updates ask for their loss several times
        train_family(family, tmp_path / "split" / "run", pieces=2)
        split = checkpoint.newest(tmp_path / "split" / "run" / "checkpoints").parts
        assert_equal_parts(split, together)
    if family in ("translator", "canvas-adam"):  # these draw nothing, so the mean over ranks is the whole batch's
        train_family(family, tmp_path / "alone" / "run")
        alone = checkpoint.newest(tmp_path / "alone" / "run" / "checkpoints").parts
        for name, weight in together["generator"].items():
            torch.testing.assert_close(weight, alone["generator"][name])


def assert_equal_parts(split, together):
    """To the bit, but for running statistics: a batch in pieces takes them all in before the critic has moved."""
    assert split.keys() == together.keys()
    for part in together.keys() - {"trainer"}:
        for name, tensor in together[part].items():
            loose = {"rtol": 0.01, "atol": 1e-3} if "running" in name else {"rtol": 0, "atol": 0}
            torch.testing.assert_close(
                split[part][name], tensor, **loose, msg=lambda said, name=name: f"{name}: {said}"
            )
    torch.testing.assert_close(flat(split["trainer"]), flat(together["trainer"]), rtol=0, atol=0)


def flat(state):
    """The tensors of a nested state, in order."""
    if isinstance(state, torch.Tensor):
        return [state]
    values = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else ()
    return [tensor for value in values for tensor in flat(value)]
