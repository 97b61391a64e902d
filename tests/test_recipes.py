"""Every bundled recipe loads for every device, and takes its first steps by the road that a user takes."""

from __future__ import annotations

import json
import os
import struct

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from artgen.cli.main import artgen
from artgen.film import probe
from artgen.recipe import DEVICES, load_films, load_recipe
from artgen.run.repainting import repaints
from artgen_squeezenet.network import SqueezeNet
from tests.conftest import bundled_runs, data_for

RECIPES = sorted(bundled_runs())
REPAINTING = [name for name in RECIPES if repaints(load_recipe(name, data=data_for(name)))]
LEARNING = [name for name in RECIPES if name not in REPAINTING]
_SMALL = [
    *("--device", "cpu", "--out", "run", "--set", "run.precision=fp32"),
    *("--set", "run.evaluate_samples=8", "--set", "run.preview_pictures=4"),
]
_BRIEF = {"swd": "{descriptors=4, directions=4}", "diversity": "{pairs=4}", "nearest": "{real_queries=20, shown=2}"}
_NARROW = {
    name: [
        "--set",
        f"generator.{name}={{latent=4, width=4, widest=8}}",
        "--set",
        f"critic.{name}={{width=4, widest=8}}",
    ]
    for name in ("pggan", "msggan")
} | {
    "dcgan": ["--set", "generator.dcgan.width=8", "--set", "critic.dcgan.width=8"],
    "unet": ["--set", "generator.unet.width=4", "--set", "critic.patchgan.width=4"],
    "dense": ["--set", "generator.dense.hidden=[16]", "--set", "critic.dense={hidden=[16]}"],
}


@pytest.fixture
def here(tmp_path, monkeypatch, one_thread):
    """An empty current folder with pictures in every form that the recipes know, and a cache of its own."""
    draw = np.random.default_rng(0)
    (tmp_path / "mnist").mkdir()
    digits = draw.integers(0, 256, (40, 28, 28), np.uint8)
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(
        struct.pack(">4I", 2051, *digits.shape) + digits.tobytes()
    )
    (tmp_path / "cifar").mkdir()
    records = draw.integers(0, 256, (40, 3073), np.uint8)
    records[:, 0] = 7  # horses
    (tmp_path / "cifar" / "data_batch_1.bin").write_bytes(records.tobytes())
    np.savez(tmp_path / "horses.npz", images=records[:, 1:].reshape(40, 32, 32, 3))
    (tmp_path / "pictures" / "deeper").mkdir(parents=True)
    for index in range(24):
        noise = draw.integers(0, 256, (70 + index, 66, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "pictures" / ("deeper" if index % 2 else ".") / f"{index}.png")
    for side in ("labels", "photos"):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        for index in range(24):
            noise = draw.integers(0, 256, (96, 128, 3), np.uint8)
            Image.fromarray(noise).save(tmp_path / "pairs" / side / f"{index}.png")
    monkeypatch.setenv("ARTGEN_CACHE", os.fspath(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_bundled_recipes_are_there():
    assert {"digits", "grown-portraits", "horses", "multiscale-portraits", "rembrandt"} <= set(LEARNING)
    assert {"gatys", "starry-night", "stylised-walk", "two-masters"} == set(REPAINTING)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_loads_for_every_device_and_says_what_it_is(name, device):
    recipe = load_recipe(name, device=device, data=data_for(name))
    assert recipe.title
    assert recipe.metrics or name in REPAINTING
    assert recipe.run.checkpoint_images <= sum(phase.images for phase in recipe.phases)


def _ways(name):
    """The arguments that give a recipe a few pictures, by each way that its comment names."""
    data = load_recipe(name).data
    return {
        "digits": [[], ["--set", f'data.mnist={{path="mnist", resolution={data.options.resolution}}}']],
        "cifar10": [["--data", "cifar"], ["--set", 'data.npz={path="horses.npz", resolution=32, mirror=true}']],
        "atelier": [["--set", "data.atelier.count=24"], ["--data", "pictures"]],
        "pairs": [["--data", "pairs"]],
    }[data.use]


@pytest.mark.parametrize(("name", "way"), [(name, way) for name in LEARNING for way in _ways(name)])
def test_a_recipe_takes_its_first_steps(name, way, here):
    recipe = load_recipe(name)
    (height, width), grows = recipe.phases[-1].size, len(recipe.phases) > 1
    levels = f"from={height // 2}, to={height}, images=16, fade=0.5" if grows else "images=32"
    steps = ["--set", f"phase=[{{{levels}, batch=8}}]"]
    steps += [f"--set=metrics.{one.label}={_BRIEF[one.use]}" for one in recipe.metrics if one.use in _BRIEF]
    artgen(["run", name, *way, *_SMALL, *steps, *_NARROW[recipe.generator.use]], standalone_mode=False)
    run = here / "run"
    with Image.open(run / "samples" / "final.png") as sheet:
        (across, odd), (down, uneven) = divmod(sheet.width - 2, width + 2), divmod(sheet.height - 2, height + 2)
        assert odd == uneven == 0
        # Of a translator source, made and true picture, of the one picture or two that are held out.
        assert across % 3 == 0 if recipe.generator.use == "unet" else (across, down) == (2, 2)
    assert recipe.title in (run / "report.html").read_text()
    figures = json.loads((run / "figures.json").read_text())
    assert {figure.split("/")[0] for figure in figures} == {metric.label for metric in recipe.metrics}
    trained = load_recipe(run / "recipe.toml")
    assert trained.generator.use == recipe.generator.use
    assert trained.data.options.mirror == recipe.data.options.mirror
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["images"] == 32


def test_the_films_of_films_are_made(here):
    """Six of them, of a run of the recipe that they are meant for; short and small."""
    data = ["--set", "data.atelier={count=24, resolution=16}", "--set", "phase=[{images=32, batch=8}]"]
    metrics = [f"--set=metrics.{name}={table}" for name, table in _BRIEF.items()]
    artgen(["run", "rembrandt", *data, *metrics, *_SMALL, *_NARROW["dcgan"]], standalone_mode=False)
    brief = [f"--set=videos.{film.label}.seconds=1" for film in load_films("films").videos if film.label != "chosen"]
    brief += ["--set=videos.chosen.keyframes=[{seed=1}, {seed=2}]", "--set=videos.chosen.seconds=1"]
    small = [f"--set=videos.{film.label}.side_px=32" for film in load_films("films").videos]
    artgen(
        ["render", "films", "--run", "run", "--out", "out", "--device", "cpu", *brief, *small], standalone_mode=False
    )
    assert {path.name for path in (here / "out").iterdir()} == {
        ".films", "portraits.mp4", "portraits.webm", "gallery.mp4", "gallery-av1.mp4", "sitter.mp4", "sitter.gif",
        "chosen.mov", "chosen.mp4", "breathing-hevc.mp4", "breathing.apng", "learning.mp4",
    }  # fmt: skip
    assert probe(here / "out" / "portraits.mp4").frames == 30


_SMALL_PICTURES = ["--device", "cpu", "--set", "phase=[{from=16, to=32, images=2, batch=1}]"]


@pytest.fixture
def pictures(here):
    """Two photographs, two paintings, and a mask for each half of the first photograph."""
    for folder in ("photos", "paintings"):
        (here / folder).mkdir()
        for index in range(2):
            noise = np.random.default_rng(index).integers(0, 256, (36, 48, 3), np.uint8)
            Image.fromarray(noise).save(here / folder / f"{index}.png")
    for name, rows in (("upper", slice(0, 18)), ("lower", slice(18, 36))):
        mask = np.zeros((36, 48), np.uint8)
        mask[rows] = 255
        Image.fromarray(mask).save(here / f"{name}.png")
    return here


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("starry-night", []),
        ("starry-night", ["--data", "photos/0.png", "--set", "data.pictures.style=paintings/0.png"]),
        ("two-masters", []),
        (
            "two-masters",
            [
                *("--data", "photos/0.png", "--set"),
                'data.pictures.style=[{path="paintings/0.png", where="upper.png"}, '
                '{path="paintings/1.png", where="lower.png"}]',
            ],
        ),
    ],
)
def test_a_recipe_repaints_a_picture(name, way, pictures):
    small = [*_SMALL_PICTURES, "--set", "data.pictures.resolution=32", "--out", "run"]
    artgen(["run", name, *way, *small], standalone_mode=False)
    (made,) = (pictures / "run" / "pictures").iterdir()
    assert made.name == ("0.png" if way else "landscape.png")
    with Image.open(made) as picture:
        assert picture.size == (32, 24)
        assert np.asarray(picture).std() > 10
    assert load_recipe(name).title in (pictures / "run" / "report.html").read_text()


def test_the_algorithm_of_gatys_repaints_by_a_network_of_the_users(pictures):
    torch.manual_seed(1)
    save_file(SqueezeNet().state_dict(), pictures / "network.safetensors")
    network = ["--set", 'features={squeezenet={weights="network.safetensors"}}', "--data", "photos/0.png"]
    small = ["--set", "data.pictures.resolution=64", "--set", "phase=[{from=32, to=64, images=2, batch=1}]"]
    artgen(["run", "gatys", *network, *small, "--out", "run", "--device", "cpu"], standalone_mode=False)
    with Image.open(pictures / "run" / "pictures" / "0.png") as picture:
        assert picture.size == (64, 48)


@pytest.mark.parametrize("name", ["starry-night", "two-masters"])
def test_a_recipe_repaints_every_photograph_in_every_style(name, pictures):
    small = [*_SMALL_PICTURES, "--set", "data.pictures.resolution=32"]
    artgen(["translate", name, "photos", "--style", "paintings", "--out", "out", *small], standalone_mode=False)
    made = {path.relative_to(pictures / "out").as_posix() for path in (pictures / "out").rglob("*.png")}
    assert made == {"0/0.png", "0/1.png", "1/0.png", "1/1.png"}


def test_a_walk_of_a_run_is_repainted(here):
    digits = ["--set", 'data.mnist={path="mnist", resolution=32}', "--set", "phase=[{images=16, batch=8}]"]
    small = ["--device", "cpu", "--set", "run.evaluate_samples=8", *_NARROW["dcgan"]]
    artgen(["run", "digits", "--out", "runs/rembrandt", *small, *digits], standalone_mode=False)
    walk = ["--set", "data.walk.frames=4", "--set", "data.walk.resolution=32"]
    repaint = ["run", "stylised-walk", "--data", "runs/rembrandt", *_SMALL_PICTURES, *walk]
    artgen(repaint, standalone_mode=False)
    film = probe(here / "runs" / "stylised-walk" / "videos" / "stylised-walk.mp4")
    assert (film.frames, film.height, film.width, film.frames_per_second) == (4, 32, 32, 24)
    figures = json.loads((here / "runs" / "stylised-walk" / "figures.json").read_text())
    assert {"flicker/flicker", "flicker/flicker_content"} <= set(figures)
