"""Keyframes by seed and by file, cells of a grid, truncation, parts that stay."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.interpolate import PchipInterpolator

from artgen.errors import DataError, RecipeError
from artgen.rng import derived_seed
from artgen.training import LatentSpace
from artgen.walk.latents import Walk
from tests.walk.toys import PARTS, draws, film, space_of

PRIORS = ("gaussian", "sphere", "uniform", "learned")
AT = torch.arange(24, dtype=torch.float64) / 24


def walk_of(space, path="spline", **table):
    options, way = film(path, **table)
    return Walk(options, way, space, draws(space))


def latents(space, path="spline", at=AT, **table):
    return walk_of(space, path, **table).latents(at)


# Keyframes


@pytest.mark.parametrize("prior", PRIORS)
def test_a_number_of_keyframes_is_drawn_for_each_cell(prior):
    space = space_of(prior)
    found = latents(space, "straight", torch.arange(5) / 5, keyframes=5, seed=3, grid=[2, 3])
    assert found.shape == (5, 6, 6)
    assert found.dtype == torch.float32
    for cell in range(6):
        wanted = draws(space)(5, derived_seed(3, "walk", cell))
        torch.testing.assert_close(found[:, cell], wanted, rtol=0, atol=1e-5)


def test_a_cell_is_the_same_whatever_the_grid():
    space = space_of()
    alone = latents(space, seed=3)
    assert torch.equal(latents(space, seed=3, grid=[3, 2])[:, :1], alone)
    assert torch.equal(latents(space, seed=3, grid=[3, 2])[:, :3], latents(space, seed=3, grid=[3, 1]))
    assert not torch.equal(latents(space, seed=4), alone)


@pytest.mark.parametrize("prior", PRIORS)
def test_keyframes_by_seed_and_by_file_are_mixed(prior, tmp_path):
    space = space_of(prior)
    draw = draws(space)
    save_file({"anything": draw(1, 50)[0]}, tmp_path / "one.safetensors")
    save_file({"latent": draw(3, 60), "more": torch.zeros(2)}, tmp_path / "three.safetensors")
    keyframes = [
        {"seed": 7},
        {"file": str(tmp_path / "one.safetensors")},
        {"seed": 7, "index": 4},
        {"file": str(tmp_path / "three.safetensors"), "index": 2},
    ]
    found = latents(space, "straight", torch.arange(4) / 4, keyframes=keyframes)
    wanted = torch.stack([draw(1, 7)[0], draw(1, 50)[0], draw(5, 7)[4], draw(3, 60)[2]])
    torch.testing.assert_close(found[:, 0], wanted, rtol=0, atol=1e-5)


def test_files_of_any_floating_type_are_read(tmp_path):
    space = space_of(shape=(2, 3))
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        save_file({"x": torch.arange(6).view(2, 3).to(dtype)}, tmp_path / "latent.safetensors")
        keyframes = [{"file": str(tmp_path / "latent.safetensors")}]
        found = latents(space, "straight", torch.zeros(1), keyframes=keyframes)
        assert found.tolist() == [[[[0, 1, 2], [3, 4, 5]]]]


def test_a_latent_of_another_norm_is_brought_to_the_sphere(tmp_path):
    save_file({"x": torch.tensor([3.0, 4.0, 0.0, 0.0])}, tmp_path / "long.safetensors")
    keyframes = [{"file": str(tmp_path / "long.safetensors")}]
    found = latents(space_of("sphere", (4,)), "straight", torch.zeros(1), keyframes=keyframes)
    torch.testing.assert_close(found[0, 0], torch.tensor([1.2, 1.6, 0.0, 0.0]))


WHOLE = torch.linspace(-1, 1, 6)
BAD = {
    "shape": ("gaussian", {"x": torch.zeros(5)}, r"tensor 'x' is \[5\], and latents of this generator are \[6\]"),
    "rank": ("gaussian", {"x": torch.zeros(1, 1, 6)}, r"\[1, 1, 6\].*several of them \[n, 6\]"),
    "scalar": ("gaussian", {"x": torch.tensor(1.0)}, r"is \[\]"),
    "names": ("gaussian", {"a": WHOLE, "b": 1 * WHOLE}, "2 tensors, and none of them is called 'latent'"),
    "nothing": ("gaussian", {}, "0 tensors"),
    "nan": ("gaussian", {"x": WHOLE / 0 * 0}, "finite floating-point"),
    "whole numbers": ("gaussian", {"x": torch.zeros(6, dtype=torch.int64)}, "finite floating-point"),
    "beyond": ("uniform", {"x": 1.5 * WHOLE}, "go up to 1.5.* -1 to 1"),
    "zero": ("sphere", {"x": torch.zeros(6)}, "its latent is 0"),
    "none of them": ("gaussian", {"x": torch.zeros(0, 6)}, "holds 0 latents"),
}


@pytest.mark.parametrize(("prior", "tensors", "cause"), BAD.values(), ids=BAD)
def test_a_file_that_is_no_latent_is_told(prior, tensors, cause, tmp_path):
    file = tmp_path / "odd.safetensors"
    save_file(tensors, file)
    with pytest.raises(DataError, match=cause) as refused:
        walk_of(space_of(prior), keyframes=[{"seed": 1}, {"file": str(file)}])
    assert "odd.safetensors" in refused.value.place
    assert "seed" in refused.value.remedy


def test_files_that_cannot_be_read_are_told(tmp_path):
    (tmp_path / "torn.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{broken")
    (tmp_path / "huge.safetensors").write_bytes(b"\xff" * 16)
    (tmp_path / "empty.safetensors").touch()
    os.mkfifo(tmp_path / "pipe.safetensors")
    save_file({"x": torch.zeros(2, 6)}, tmp_path / "two.safetensors")
    for name, index, cause in (
        ("torn", 0, "cannot be read"),
        ("huge", 0, "cannot be read"),
        ("empty", 0, "cannot be read"),
        ("pipe", 0, "no such file"),
        ("gone", 0, "no such file"),
        ("two", 2, "holds 2 latents, counted from 0, and none has the index 2"),
    ):
        with pytest.raises(DataError, match=cause):
            walk_of(space_of(), keyframes=[{"file": str(tmp_path / f"{name}.safetensors"), "index": index}])


def test_too_few_keyframes_are_told_before_any_picture():
    with pytest.raises(RecipeError, match="needs 3 keyframes, found 2") as refused:
        walk_of(space_of(), "orbit", keyframes=2)
    assert "keyframes = 3" in refused.value.remedy
    with pytest.raises(RecipeError, match="do not lie around it"):
        walk_of(space_of("learned"), "slerp")


def test_latents_are_the_same_in_any_company():
    for prior in PRIORS:
        walk = walk_of(space_of(prior), grid=[2, 1], truncation=1.0 if prior == "sphere" else [0.3, 1.0, 0.6])
        whole = walk.latents(AT)
        assert torch.equal(torch.cat([walk.latents(part) for part in AT.split([1, 7, 16])]), whole)


# Truncation


@pytest.mark.parametrize(("prior", "middle"), [("gaussian", 0.0), ("uniform", 0.0), ("learned", 5.0)])
def test_truncation_draws_latents_to_the_middle(prior, middle):
    space = space_of(prior)
    whole = latents(space)
    found = latents(space, truncation=0.25)
    near = (found - 0.25 * whole) / 0.75  # the middle that was used
    torch.testing.assert_close(near, torch.full_like(near, middle), rtol=0, atol=0.15)  # 4,096 draws of deviation 2
    assert torch.equal(near.std((0, 1)) < 1e-5, torch.ones(6, dtype=torch.bool))
    everywhere = latents(space, truncation=0.0)
    torch.testing.assert_close(everywhere, everywhere[:1, :1].expand_as(everywhere))
    assert torch.equal(latents(space, truncation=[1.0, 1.0]), whole)


def test_animated_truncation_goes_through_its_values_and_never_beyond():
    space, values, at = space_of(), (1.0, 0.2, 0.9, 0.9), torch.arange(400, dtype=torch.float64) / 400
    whole = latents(space, at=at)

    def shares(**table):
        return (latents(space, at=at, truncation=list(values), **table) / whole).double().mean((1, 2)).numpy()

    found = shares()
    assert found[[0, 100, 200, 300]] == pytest.approx(values, abs=1e-5)
    assert found.min() > 0.2 - 1e-5
    assert found.max() < 1 + 1e-5
    wanted = PchipInterpolator(np.arange(-8, 13) / 4, (values * 6)[:21])(at.numpy())  # over many turns
    assert found == pytest.approx(wanted, abs=1e-5)
    slope = np.diff(found, append=found[:1]) * 400
    assert abs(slope[-1] - slope[0]) < 0.2  # no kink at the seam
    whole = latents(space, "straight", at=at, loop=False)
    options = {"truncation": list(values), "loop": False}
    opened = (latents(space, "straight", at=at, **options) / whole).double().mean((1, 2)).numpy()
    assert opened == pytest.approx(PchipInterpolator(np.arange(4) / 3, values)(at.numpy()), abs=1e-5)


def test_one_picture_can_breathe():
    found = latents(space_of(), "straight", torch.tensor([0.0, 0.5]), keyframes=1, truncation=[1.0, 0.5])
    torch.testing.assert_close(found[1], found[0] / 2)


@pytest.mark.parametrize(
    ("prior", "truncation", "cause"),
    [
        ("sphere", 0.7, "no middle"),
        ("sphere", [1.0, 0.7], "no middle"),
        ("uniform", 1.2, "out of the cube"),
        ("uniform", [0.5, 2.0], "truncation = 2 leads out"),
    ],
)
def test_truncation_without_a_meaning_is_refused(prior, truncation, cause):
    with pytest.raises(RecipeError, match=cause) as refused:
        walk_of(space_of(prior), truncation=truncation)
    assert refused.value.place == "truncation"
    walk_of(space_of(prior), truncation=1.0)


# Parts


@pytest.mark.parametrize("prior", ["gaussian", "uniform", "learned"])
def test_a_part_stays_what_it_is_in_the_picture_of_a_seed(prior):
    space = space_of(prior, parts=PARTS)
    whole = latents(space, grid=[2, 1])
    found = latents(space, grid=[2, 1], mix={"fine": 7})
    assert torch.equal(found[..., :2], whole[..., :2])
    assert torch.equal(found[..., 2:], draws(space)(1, 7)[0, 2:].expand(24, 2, 4))
    both = latents(space, mix={"fine": 7, "coarse": 8})
    assert torch.equal(both, both[:1].expand_as(both))


def test_a_mixed_latent_of_a_sphere_stays_on_it():
    space = space_of("sphere", parts=PARTS)
    found = latents(space, mix={"fine": 7})
    torch.testing.assert_close(found.norm(dim=2), torch.full((24, 1), 6**0.5))
    kept = draws(space)(1, 7)[0, 2:]
    cosines = torch.cosine_similarity(found[:, 0, 2:], kept, dim=1)
    torch.testing.assert_close(cosines, torch.ones(24))


@pytest.mark.parametrize(
    ("parts", "cause", "remedy"), [(PARTS, "no part medium", "coarse, fine"), ({}, "have no parts", "Take mix away")]
)
def test_a_part_that_is_not_there_is_told(parts, cause, remedy):
    with pytest.raises(RecipeError, match=cause) as refused:
        walk_of(space_of(parts=parts), mix={"medium": 1})
    assert remedy in refused.value.remedy


class Painter:
    """Paints a pattern in a colour: of a learned latent (3, 3) rows say which pattern, colour, class."""

    def __init__(self):
        torch.manual_seed(0)
        self.mapping = torch.nn.Sequential(torch.nn.Linear(4, 9), torch.nn.Unflatten(1, (3, 3)))
        parts = {"pattern": slice(0, 1), "colour": slice(1, 2), "class": slice(2, 3)}
        self.latent = LatentSpace((3, 3), "learned", self.mapping, (4,), parts=parts)

    def sample(self, w):
        pattern = torch.sigmoid(w[:, 0, :, None] + w[:, 0, None, :])[:, None]  # (N, 1, 3, 3)
        return (1 + w[:, 2, :1, None, None]) * pattern * w[:, 1, :, None, None]


def test_styles_are_mixed():
    painter = Painter()
    plain, held = latents(painter.latent)[:, 0], latents(painter.latent, mix={"pattern": 3, "class": 3})[:, 0]
    pattern = painter.sample(held) / held[:, 1, :, None, None]
    torch.testing.assert_close(pattern, pattern[:1].expand_as(pattern))  # one pattern, that of seed 3 ...
    first = draws(painter.latent)(1, 3).detach()
    torch.testing.assert_close(pattern[:1], painter.sample(first) / first[:, 1, :, None, None])
    assert torch.equal(held[:, 1], plain[:, 1])  # ... in the colours of the walk
    assert held[:, 1].std(0).min() > 0.05


def test_classes_are_crossed(tmp_path):
    """From class to class in a straight line: shares that add up to 1, while all else stays."""
    painter, draw = Painter(), draws(Painter().latent)
    keyframes = []
    for index, seed in enumerate((11, 12)):
        latent = draw(1, seed)[0].detach()
        latent[2] = torch.eye(3)[index]
        save_file({"latent": latent}, tmp_path / f"{index}.safetensors")
        keyframes.append({"file": str(tmp_path / f"{index}.safetensors")})
    at = torch.arange(5, dtype=torch.float64) / 4
    mix = {"pattern": 5, "colour": 5}
    found = latents(painter.latent, "straight", at, keyframes=keyframes, loop=False, mix=mix)[:, 0]
    assert found[:, 2].tolist() == [[1 - share, share, 0] for share in at.tolist()]
    shown = painter.sample(found)
    torch.testing.assert_close(shown, shown[-1:] * (1 + found[:, 2, :1, None, None]))
