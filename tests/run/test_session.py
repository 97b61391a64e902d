"""One sitting: what it takes up, what it refuses, what it leaves behind."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from artgen import hookimpl
from artgen.data.dataset import Workshop
from artgen.errors import CheckpointError, DataError, RecipeError, ResourceError, StoppedError
from artgen.recipe import load_recipe
from artgen.run import checkpoint, memory
from artgen.run.opening import clock_of, open_run
from artgen.run.session import run_recipe, try_recipe
from tests.families.drive import RECIPES, families, train_family

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


@contextmanager
def quiet(*_):
    yield lambda *_: None


def sit(out, *listeners, fresh=False, recipe="translator", overrides=()):
    """Train a toy recipe; the sitting under test."""
    file = out.parent / f"{recipe}.toml"
    file.write_text(RECIPES[recipe])
    plugins = families(*listeners)
    overrides = ["run.precision=fp32", "run.checkpoint_images=24", "run.preview_pictures=2", *overrides]
    loaded = load_recipe(file, overrides=overrides, plugins=plugins)
    return run_recipe(loaded, out, CPU, plugins, Workshop(out.parent / "cache", quiet, 1), quiet, fresh=fresh)


def outcomes(out: Path) -> list[str]:
    return [session["outcome"] for session in json.loads((out / "run.json").read_text())["sessions"]]


def test_events_come_in_order_with_the_outcome(tmp_path):
    told = []

    class Listener:
        @hookimpl
        def artgen_run_started(self, folder):
            told.append("started")

        @hookimpl
        def artgen_previewed(self, images):
            told.append(f"previewed {images}")

        @hookimpl
        def artgen_saved(self, checkpoint, images):
            assert checkpoint.is_dir()
            told.append(f"saved {images}")

        @hookimpl
        def artgen_run_ended(self, outcome):
            told.append(outcome)

    sit(tmp_path / "run", Listener())
    assert told == ["started", "previewed 0", "saved 24", "saved 48", "saved 64", "previewed 64", "finished"]
    assert outcomes(tmp_path / "run") == ["finished"]


def test_an_optional_listener_that_raises_does_not_cost_the_run(tmp_path, caplog):
    class Bad:
        @hookimpl(optional=True)
        def artgen_saved(self, images):
            raise ValueError("bad listener")

    assert sit(tmp_path / "run", Bad()).sheet.is_file()
    assert caplog.text.count("bad listener") == 1


def test_outcomes_of_a_run_that_was_stopped_and_went_on(tmp_path):
    with pytest.raises(StoppedError):
        train_family("translator", tmp_path / "run", stop_at_images=30)
    train_family("translator", tmp_path / "run")
    assert outcomes(tmp_path / "run") == ["stopped", "finished"]


def test_a_run_goes_on_in_the_precision_it_began_with(tmp_path, monkeypatch):
    with pytest.raises(StoppedError):
        train_family("translator", tmp_path / "run", stop_at_images=30)
    monkeypatch.setattr("artgen.run.session.choose_precision", lambda *_: "bf16")  # another machine, or a busy one
    seen = []

    class Listener:
        @hookimpl
        def artgen_run_started(self, folder):
            seen.append(folder.info["precision"])

    monkeypatch.setattr("tests.families.drive.families", lambda *more: families(*more, Listener()))
    train_family("translator", tmp_path / "run")
    assert seen == ["fp32"]


def test_another_torch_is_said_to_change_the_bits(tmp_path, caplog, monkeypatch):
    with pytest.raises(StoppedError):
        train_family("translator", tmp_path / "run", stop_at_images=30)
    monkeypatch.setattr("artgen.__version__", "99.0")
    train_family("translator", tmp_path / "run")
    assert re.search(r"artgen was [\d.]+ and is now 99.0: the run goes on", caplog.text)


def test_a_run_that_never_took_a_step_gives_way_to_another_recipe(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_machine_bytes", lambda: 0)
    with pytest.raises(ResourceError):
        sit(tmp_path / "run")
    monkeypatch.undo()
    sit(tmp_path / "run", overrides=["seed=5"])
    assert load_recipe(tmp_path / "run" / "recipe.toml", plugins=families()).seed == 5
    with pytest.raises(RecipeError, match="another recipe"):  # and now it has taken some
        sit(tmp_path / "run", overrides=["seed=6"])


def test_one_step_to_try_writes_no_run(tmp_path):
    (tmp_path / "t.toml").write_text(RECIPES["translator"])
    recipe = load_recipe(tmp_path / "t.toml", plugins=families())
    needs, scalars = try_recipe(recipe, CPU, Workshop(tmp_path / "c", quiet, 1))
    assert [phase.images for phase in needs.phases] == [64]
    assert scalars
    assert all(isinstance(value, float) for value in scalars.values())
    assert not list(tmp_path.glob("run*"))


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"images": 1, "steps": 1, "phase": 9, "phase_images": 1, "total_images": 1},
        {"images": 1, "steps": 1, "phase": -1, "phase_images": 1, "total_images": 1},
        {"images": "1", "steps": 1, "phase": 0, "phase_images": 1, "total_images": 1},
    ],
)
def test_a_checkpoint_that_stands_nowhere_is_refused(tmp_path, info):
    (tmp_path / "t.toml").write_text(RECIPES["translator"])
    recipe = load_recipe(tmp_path / "t.toml", plugins=families())
    with pytest.raises(CheckpointError, match="where in the recipe's phases") as error:
        clock_of(checkpoint.Loaded(tmp_path / "images-000000001", {}, info, ()), recipe)
    assert "images-000000001" in error.value.place


@pytest.mark.parametrize("part", ["average", "generator", "trainer", "refused"])
def test_a_checkpoint_that_lacks_a_part_is_refused(tmp_path, part):
    with pytest.raises(StoppedError):
        train_family("translator", tmp_path / "run", stop_at_images=30)
    folder = tmp_path / "run" / "checkpoints"
    loaded = checkpoint.newest(folder)
    parts = {name: state for name, state in loaded.parts.items() if name != part}
    checkpoint.save(folder, parts, loaded.info | {"images": loaded.info["images"] + 4})
    with pytest.raises(CheckpointError, match="does not fit"):
        train_family("translator", tmp_path / "run")
    if part == "average":
        with pytest.raises(CheckpointError, match="does not fit"):
            open_run(tmp_path / "run", CPU, families(), Workshop(tmp_path / "cache", quiet, 1))


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    sit(tmp_path / "mine", overrides=["phase=[{images=24,batch=4}]"])
    (tmp_path / "mine" / "figures.json").unlink()
    sit(tmp_path / "other", overrides=["phase=[{images=24,batch=4}]", "seed=9"])
    newest = checkpoint.committed(tmp_path / "other" / "checkpoints")[0]
    newest.rename(tmp_path / "mine" / "checkpoints" / "images-000000999")
    with pytest.raises(CheckpointError, match="another recipe"):
        sit(tmp_path / "mine", overrides=["phase=[{images=24,batch=4}]"])


def test_when_a_run_looks_and_saves_may_change_between_sittings(tmp_path):
    train_family("translator", tmp_path / "run")
    (tmp_path / "run" / "figures.json").unlink()
    file = tmp_path / "translator.toml"
    file.write_text(file.read_text().replace("checkpoint_images = 24", "checkpoint_images = 32"))
    plugins = families()
    loaded = load_recipe(file, plugins=plugins)
    assert not run_recipe(
        loaded, tmp_path / "run", CPU, plugins, Workshop(tmp_path / "cache", quiet, 1), quiet
    ).was_finished


def test_a_metric_that_cannot_measure_says_so_before_training(tmp_path):
    with pytest.raises(DataError, match=r"11 px|MS-SSIM"):
        sit(
            tmp_path / "run",
            recipe="growing",
            overrides=["data.negatives.resolution=8", "phase=[{images=24,batch=4}]", "metrics.diversity={}"],
        )
    assert not checkpoint.committed(tmp_path / "run" / "checkpoints")


def test_figures_that_are_no_figures_do_not_finish_a_run(tmp_path):
    sit(tmp_path / "run")
    for content in ("[1]", '{"a": "b"}', "[" * 10_000):
        (tmp_path / "run" / "figures.json").write_text(content)
        assert not sit(tmp_path / "run").was_finished
