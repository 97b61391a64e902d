"""`artgen data check`: the report, and the verdict in the exit code."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from artgen.cli.data import data
from artgen.errors import DataError


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for seed, (name, size) in enumerate(
        [("a.png", (80, 70)), ("b.jpg", (100, 200)), ("more/c.png", (90, 90)), ("small.png", (20, 30))]
    ):
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "copy.png").write_bytes((folder / "a.png").read_bytes())
    (folder / "list.txt").write_text("a.png")
    return folder


def check(folder, *options):
    return CliRunner().invoke(data, ["check", str(folder), *options])


def test_the_report_as_json(folder):
    result = check(folder, "--json")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert json.loads(result.stdout) == {
        "folder": str(folder),
        "resolution": 64,
        "pictures": 5,
        "formats": {"PNG": 4, "JPEG": 1},
        "width_px": [20, 80, 100],
        "height_px": [30, 70, 200],
        "smallest": {"side_px": 20, "file": "small.png"},
        "shapes": {"portrait": 2, "landscape": 2, "square": 1},
        "upscaled": 1,
        "turned": 0,
        "animated": 0,
        "other_files": 1,
        "duplicates": [["a.png", "copy.png"]],
        "skipped": [],
        "usable": True,
    }


def test_the_report_in_words(folder):
    for index in range(40):
        Image.new("RGB", (64, 64), (index, 0, 0)).save(folder / f"{index}.png")
    (folder / "bad\n.png").write_bytes(b"")
    result = check(folder)
    assert result.exit_code == 0
    assert "45 pictures" in result.stdout
    assert "44 PNG, 1 JPEG" in result.stdout
    assert "a.png = copy.png" in result.stdout
    assert "bad\\n.png: an empty file" in result.stdout


def test_resolution_decides_what_is_upscaled(folder):
    assert json.loads(check(folder, "--json", "--resolution", "100").stdout)["upscaled"] == 3
    assert json.loads(check(folder, "--json", "--resolution", "16").stdout)["upscaled"] == 0
    assert check(folder, "--resolution", "0").exit_code == 2


def test_a_folder_that_training_would_refuse(folder):
    (folder / "bad.png").write_bytes(b"")
    result = check(folder, "--json")
    assert isinstance(result.exception, DataError)
    assert result.exception.exit_code == 3
    report = json.loads(result.stdout)
    assert report["usable"] is False
    assert report["skipped"] == [{"file": "bad.png", "reason": "an empty file"}]


def test_an_empty_folder_still_gets_its_report(tmp_path):
    result = check(tmp_path, "--json")
    assert isinstance(result.exception, DataError)
    assert json.loads(result.stdout)["pictures"] == 0
    assert "0 pictures" in check(tmp_path).stdout


def test_no_such_folder(tmp_path):
    result = check(tmp_path / "none")
    assert isinstance(result.exception, DataError)
    assert result.stdout == ""


def test_duplicates_of_broken_files_are_not_reported(folder):
    for name in ("x.jpg", "y.jpg"):
        (folder / name).write_bytes(b"<html>")
    assert json.loads(check(folder, "--json").stdout)["duplicates"] == [["a.png", "copy.png"]]
