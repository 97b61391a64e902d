"""Every command as a user runs it."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from artgen.recipe import load_recipe
from artgen.run.build import build_generator, schedule
from artgen.run.pictures import given_for, make_pictures
from tests.cli.conftest import content, paint, pixels, refused


def test_a_run_leaves_everything_and_names_it_on_stdout(artgen, here):
    done = artgen("run", "tiny.toml")
    run = here / "runs" / "tiny"
    assert done.code == 0
    *figures, sheet, report = done.out.splitlines()
    assert [line.split(" = ")[0] for line in figures] == ["swd/swd_8", "swd/swd"]
    assert [Path(sheet), Path(report)] == [run / "samples" / "final.png", run / "report.html"]
    assert pixels(sheet).shape == (22, 22, 3)  # four of 8 px with margins of 2 px
    assert "Tiny" in Path(report).read_text()
    assert json.loads((run / "figures.json").read_text()).keys() == {"swd/swd_8", "swd/swd"}
    assert "400 of 400 images" in done.err
    assert "critic non-saturating" in done.err
    assert (run / "samples" / "images-000000000.png").is_file()


def test_a_run_that_is_finished_says_so_and_repeats_its_results(artgen, run):
    before = content(run / "samples") | content(run / "checkpoints")
    shutil.rmtree(os.environ["ARTGEN_CACHE"])  # it needs no pictures
    done = artgen("run", "tiny.toml")
    assert done.code == 0
    assert "was finished already" in done.err
    assert done.out.splitlines()[-1] == str(run / "report.html")
    assert content(run / "samples") | content(run / "checkpoints") == before


def test_another_recipe_is_refused_with_the_difference(artgen, run):
    before = content(run)
    refused(artgen("run", "tiny.toml", "--set", "seed=4"), 2, str(run), "seed: the folder has 3, the recipe 4", "--out")
    assert content(run) == before


def test_fresh_keeps_the_old_run(artgen, run):
    before = content(run)
    assert artgen("run", "tiny.toml", "--set", "seed=4", "--fresh").code == 0
    assert content(run.with_name("tiny.old-1")) == before
    assert load_recipe(run / "recipe.toml").seed == 4


def test_a_dry_run_writes_nothing(artgen, here):
    before = content(here)
    done = artgen("run", "tiny.toml", "--dry-run")
    assert done.code == 0
    assert "critic/non-saturating = " in done.out
    assert content(here) == before


def test_set_and_out(artgen, here):
    assert artgen("run", "tiny.toml", "--set", "phase=[{images=16,batch=8}]", "--out", "mine").code == 0
    assert load_recipe(here / "mine" / "recipe.toml").phases[0].images == 16
    assert not (here / "runs").exists()


def test_one_seed_makes_the_same_pictures_whatever_the_count(artgen, run):
    three = artgen("sample", run, "--count", 3, "--seed", 5, "--out", "three").out.split()
    two = artgen("sample", run, "--count", 2, "--seed", 5, "--out", "two").out.split()
    other = artgen("sample", run, "--count", 2, "--seed", 6, "--out", "other").out.split()
    assert len(three) == 3
    assert [Path(name).read_bytes() for name in two] == [Path(name).read_bytes() for name in three[:2]]
    assert not {Path(name).read_bytes() for name in two} & {Path(name).read_bytes() for name in other}
    assert pixels(two[0]).shape == (8, 8, 3)


def test_a_grid_is_one_sheet_in_the_run(artgen, run):
    (sheet,) = artgen("sample", run, "--count", 4, "--grid").out.split()
    assert Path(sheet).parent == run / "samples" / "seed-0"
    assert pixels(sheet).shape == (22, 22, 3)  # four of 8 px with margins of 2 px


def test_a_sample_overwrites_nothing(artgen, run):
    first, second = artgen("sample", run, "--count", 2).out.split()
    before = Path(first).stat().st_mtime_ns
    assert artgen("sample", run, "--count", 2).out.split() == [first, second]
    assert Path(first).stat().st_mtime_ns == before
    Path(second).write_bytes(b"mine")
    done = artgen("sample", run, "--count", 2)
    assert done.code == 2
    assert f"{second}: it is another picture" in done.err
    assert Path(second).read_bytes() == b"mine"


def test_evaluate_repeats_the_figures_of_the_run(artgen, run):
    figures = json.loads(artgen("evaluate", run, "--json").out)
    assert figures == {"images": 400} | json.loads((run / "figures.json").read_text())


def test_a_metric_can_be_added(artgen, run):
    done = artgen("evaluate", run, "--set", "metrics.nearest={side=8, real_queries=20, shown=2}")
    names = [line.split(" = ")[0] for line in done.out.splitlines()]
    assert "swd/swd" in names
    assert any(name.startswith("nearest/") for name in names)
    assert Path(done.err.strip()).is_file()


@pytest.mark.parametrize("override", ["seed=4", "data.digits.mirror=true", "generator.dense.latent=5"])
def test_an_evaluation_changes_nothing_but_the_measuring(artgen, run, override):
    refused(artgen("evaluate", run, "--set", override), 2, "--set: only [metrics], [features]")


def test_exported_weights_make_the_same_pictures_in_a_fresh_generator(artgen, run):
    weights, recipe = artgen("export", run, "--no-onnx", "--out", "out").out.split()
    loaded = load_recipe(recipe)
    assert loaded == load_recipe(run / "recipe.toml")
    generator = build_generator(loaded, schedule(loaded)[0].size).eval()
    generator.load_state_dict(load_file(weights))
    latents = given_for(generator, 3, 0, "sample", torch.device("cpu"), None, schedule(loaded)[0].size)
    pictures = make_pictures(generator, latents, torch.device("cpu"), "fp32").permute(0, 2, 3, 1).numpy()
    sampled = [pixels(name) for name in artgen("sample", run, "--count", 3).out.split()]
    np.testing.assert_array_equal(pictures, sampled)


def test_exported_onnx_makes_the_same_pictures(artgen, run, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("torch"), "handlers", [caplog.handler])
    done = artgen("export", run)
    assert not [
        record for record in caplog.records if record.levelno >= logging.WARNING
    ]  # torch's advice to its own developers is kept away
    weights, recipe, network = done.out.split()
    assert Path(weights).parent == run / "export-000000400"
    assert done.err.startswith("largest difference from torch")
    assert done.err.count("\n") == 1
    loaded = load_recipe(recipe)
    generator = build_generator(loaded, schedule(loaded)[0].size).eval()
    generator.load_state_dict(load_file(weights))
    given = generator.latent.draw(5)
    (made,) = onnxruntime.InferenceSession(network).run(None, {"given": given.numpy()})
    torch.testing.assert_close(torch.from_numpy(made), generator.sample(given).detach(), atol=1e-4, rtol=0)


def test_an_export_overwrites_nothing_and_leaves_no_half(artgen, run, here):
    (here / "out").mkdir()
    (here / "out" / "generator.onnx").write_text("mine")
    refused(artgen("export", run, "--out", "out"), 2, "generator.onnx: the file is there already", "--out")
    assert content(here / "out") == {"generator.onnx": b"mine"}


def test_a_missing_onnx_package_is_told_before_anything_is_written(artgen, run, here, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnxscript" else object())
    refused(artgen("export", run, "--out", "out"), 2, "onnxscript", "pip install", "--no-onnx")
    assert not (here / "out").exists()


def test_a_copied_recipe_checks(artgen, here):
    assert artgen("recipe", "copy", "digits", "mine.toml").code == 0
    done = artgen("check", "mine.toml", "--device", "cpu")
    assert (done.code, done.err) == (0, "")
    assert "mine on cpu: no fault" in done.out
    assert artgen("recipe", "show", "digits").out == (here / "mine.toml").read_text()
    assert "digits-dense" in artgen("recipe", "ls").out


def test_plugins_are_listed_with_the_broken_ones(artgen, stranger):
    listed = json.loads(artgen("plugins", "ls", "--json").out)
    assert {"dcgan", "stranger"} <= {plugin["plugin"] for plugin in listed if plugin["state"] == "healthy"}
    assert "trouble" in artgen("plugins", "ls").out


def test_a_folder_is_looked_at_as_training_would(artgen, here):
    paint(here / "pictures", 3)
    assert json.loads(artgen("data", "check", "pictures", "--json").out)["pictures"] == 3


def test_doctor_tells_versions_device_and_plugins(artgen):
    facts = json.loads(artgen("doctor", "--json").out)
    assert facts["torch"] == torch.__version__
    assert facts["plugins"]["artgen:dcgan"] == "healthy"
    assert facts["precision"] in ("fp32", "bf16")
    assert facts["cache"] == os.environ["ARTGEN_CACHE"]
    lines = artgen("doctor").out.splitlines()
    assert f"torch: {torch.__version__}" in lines


def test_a_wheel_that_goes_by_another_name_does_not_stop_the_doctor(artgen, monkeypatch):
    from importlib import metadata

    version = metadata.version

    def lacking(name):
        if name == "opencv-python":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", lacking)
    assert json.loads(artgen("doctor", "--json").out)["opencv-python"] == "not installed"
