"""Every component of every plugin in this environment, strangers' too, keeps the contract of its kind."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from artgen.data.images import write_png
from artgen.errors import RecipeError
from artgen.plugins import load_plugins
from artgen.testing import (
    AugmentationContract,
    CriticContract,
    DatasetContract,
    ExecutorContract,
    FeaturesContract,
    GeneratorContract,
    LossContract,
    MetricContract,
    PathContract,
    PluginContract,
    SourceContract,
    TrainerContract,
)
from artgen.testing.runs import REPAINTED, around, load, suiting
from artgen_squeezenet.network import SqueezeNet
from artgen_vgg.network import VGG19

SUITES = {
    "generator": GeneratorContract,
    "critic": CriticContract,
    "loss": LossContract,
    "trainer": TrainerContract,
    "augment": AugmentationContract,
    "data": DatasetContract,
    "source": SourceContract,
    "features": FeaturesContract,
    "metric": MetricContract,
    "executor": ExecutorContract,
    "path": PathContract,
}
GROWN = {"latent": 8, "width": 8, "widest": 8}


def _grid_sample_is_twice_differentiable():
    pictures, grid = torch.rand(1, 1, 4, 4, requires_grad=True), torch.zeros(1, 2, 2, 2)
    sampled = torch.nn.functional.grid_sample(pictures * pictures, grid, align_corners=False).square().sum()
    (slope,) = torch.autograd.grad(sampled, pictures, create_graph=True)
    try:
        slope.sum().backward()
    except RuntimeError:
        return False
    return True


_ONCE = {} if _grid_sample_is_twice_differentiable() else {"test_it_can_be_differentiated_twice": None}  # older torch

TINY = {
    ("generator", "dcgan"): {"options": {"latent": 4, "width": 4}, "recipe": "[critic.dcgan]\nwidth = 4"},
    ("generator", "dense"): {"options": {"latent": 4, "hidden": [8, 8]}, "recipe": "[critic.dense]\nhidden = [8]"},
    ("critic", "dcgan"): {"options": {"width": 4}, "generator_options": {"latent": 4, "width": 4}},
    ("critic", "dense"): {"options": {"hidden": [8, 8]}, "generator_options": {"latent": 4, "hidden": [8]}},
    ("generator", "pggan"): {
        "options": GROWN,
        "sizes": [(4, 4), (8, 8), (16, 16)],
        "recipe": "[critic.pggan]\nwidth = 8\nwidest = 8",
    },
    ("critic", "pggan"): {
        "options": {"width": 8, "widest": 8, "minibatch_deviation": 0},
        "generator_options": GROWN,
        "sizes": [(4, 4), (8, 8), (16, 16)],
    },
    ("generator", "msggan"): {"options": GROWN, "recipe": "[critic.msggan]\nwidth = 8\nwidest = 8"},
    ("critic", "msggan"): {
        "options": {"width": 8, "widest": 8, "minibatch_deviation": 0},
        "generator_options": GROWN,
    },
    ("generator", "unet"): {
        "options": {"width": 4, "widest": 8, "dropout": 0.2},
        "recipe": "[critic.patchgan]\nreceptive_field_px = 16\nwidth = 4",
    },
    ("critic", "patchgan"): {
        "options": {"width": 4, "widest": 8, "receptive_field_px": 16},
        "generator_options": {"width": 4, "widest": 8},
    },
    ("augment", "ada"): {"options": {"adaptation_images": 128, "interval": 2}, **_ONCE},
    ("data", "atelier"): {"options": {"count": 3, "resolution": 16}},
    ("data", "digits"): {"options": {"resolution": 8}},
    ("data", "film"): {"options": {"resolution": 16, "frames": 2}},
    ("data", "pictures"): {"options": {"resolution": 16}},
    # kornia looks at the deviation of its blur, a number on the CPU, so no GPU waits for it.
    ("source", "edges"): {"test_nothing_waits_for_the_host": None},
    ("features", "wavelets"): {"options": {"octaves": 3}},  # five do not fit into the kit's pictures
    ("loss", "laplacian"): {"recipe": REPAINTED},
    ("loss", "total-variation"): {"recipe": REPAINTED},
    ("generator", "canvas"): {"recipe": REPAINTED},
    ("trainer", "canvas"): {"recipe": "[features.wavelets]\noctaves = 2"},
    ("metric", "kid"): {"options": {"resamples": 20}, "distances": ["kid"]},
    ("metric", "swd"): {"options": {"descriptors": 8, "directions": 8}, "distances": ["swd"]},
    ("metric", "paired"): {"options": {"shown": 2}, "distances": ["l1"]},
    ("metric", "diversity"): {"options": {"pairs": 20}},
    ("executor", "local"): {"options": {"workers": 2}},
    ("executor", "ray"): {"options": {"workers": 2}},
}
"""What makes the bundled components quick."""

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)


def folder(path):
    for index, picture in enumerate(PICTURES):
        write_png(path / f"{index}.png", picture)
    return {"path": str(path), "resolution": 16}


def mnist(path):
    grey = PICTURES[:, :28, :28, 0]
    (path / "train-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, *grey.shape) + grey.tobytes())
    return {"path": str(path), "resolution": 28}


def cifar10(path):
    rows = np.concatenate([np.full((6, 1), 7, np.uint8), PICTURES.transpose(0, 3, 1, 2).reshape(6, -1)], axis=1)
    (path / "data_batch_1.bin").write_bytes(rows.tobytes())
    return {"path": str(path), "resolution": 16}


def npz(path):
    np.savez(path / "pictures.npz", images=PICTURES)
    return {"path": str(path / "pictures.npz"), "resolution": 16}


def pairs(path):
    for side in ("labels", "photos"):
        (path / side).mkdir()
        folder(path / side)
    return {"path": str(path), "resolution": 16, "labels": True}


def side_by_side(path):
    for index, picture in enumerate(PICTURES):
        write_png(path / f"{index}.png", np.concatenate([picture, 255 - picture], axis=1))
    return {"path": str(path), "resolution": 16}


FILES = {("data", make.__name__.replace("_", "-")): make for make in (folder, mnist, cifar10, npz, pairs, side_by_side)}


class OnFiles:
    """Options that name files, which are made for each test."""

    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        path = tmp_path / "pictures"
        path.mkdir()
        self.options = FILES[self.kind, self.component](path)


NETWORKS = {("features", "squeezenet"): SqueezeNet, ("features", "vgg19"): VGG19}


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory):
    """Files of weights as He et al. 2015 draw them: what is promised does not hang on what was learnt."""

    @cache
    def file_for(network_class):
        file, network = tmp_path_factory.mktemp("weights") / "random.safetensors", network_class()
        torch.manual_seed(0)
        for parameter in network.parameters():
            torch.nn.init.kaiming_normal_(parameter) if parameter.dim() > 1 else torch.nn.init.zeros_(parameter)
        save_file(network.state_dict(), file)
        return str(file)

    return file_for


class OnRandomWeights:
    """Options that name a file of weights."""

    @pytest.fixture(autouse=True)
    def _weights(self, random_weights):
        self.options = {"weights": random_weights(NETWORKS[self.kind, self.component])}


class OnRay:
    """All checks in one cluster: to begin one takes seconds."""

    @pytest.fixture(autouse=True)
    def _cluster(self, ray_cluster):
        pass


def suite(kind, name, component):
    """The suite of a component, as its author would write it."""
    parents = [SUITES[kind]]
    if (kind, name) in FILES:
        parents.insert(0, OnFiles)
    if (kind, name) in NETWORKS:
        parents.insert(0, OnRandomWeights)
    if (kind, name) == ("executor", "ray"):
        parents.insert(0, OnRay)
    made = type(f"Test_{kind}_{name}", tuple(parents), {"component": name, **TINY.get((kind, name), {})})
    if len(parents) == 1 and (kind, name) not in TINY:
        fault = unsuited(kind, name, component)
        made = pytest.mark.skipif(bool(fault), reason=f"{kind} '{name}': {fault}")(made)
    return made


def unsuited(kind, name, component):
    """Why a stranger's component cannot be looked at without its author's help, or nothing."""
    try:
        component.options()
    except ValidationError:
        return "it has options without a default"
    if kind in ("loss", "trainer"):
        try:
            with TemporaryDirectory() as folder:
                load(Path(folder), around({"loss": "losses"}.get(kind, kind), name, {}, suiting(component)))
        except RecipeError as error:
            return f"it does not suit the kit's recipe: {error}"
    return ""


for kind in SUITES:
    for name, component in load_plugins().components(kind).items():
        test = suite(kind, name, component)
        globals()[test.__name__] = test
for info in load_plugins().plugins:
    globals()[f"Test_plugin_{info.name}"] = type(f"Test_plugin_{info.name}", (PluginContract,), {"plugin": info.name})
del test


def test_every_kind_is_looked_at():
    assert {kind for kind in SUITES if load_plugins().components(kind)} == set(SUITES)
