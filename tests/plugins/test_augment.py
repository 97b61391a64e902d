"""The augmentations against kornia's operators and the papers' formulas."""

from __future__ import annotations

import os
import subprocess
import sys

import kornia
import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import avg_pool2d

from artgen import field_help
from artgen_augment import AdaOptions, DiffAugmentOptions, artgen_augmentations
from artgen_augment.operations import color, cutout, move
from artgen_augment.policies import AdaptiveAugment, DiffAugment

WORDS = ["flip", "color", "translation", "cutout", "affine"]
ALL = DiffAugmentOptions(policy=WORDS)
STILL = {"brightness": 0.0, "saturation": 0.0, "contrast": 0.0, "translation": 0.0, "cutout": 0.0}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


def pictures(count=4, height=16, width=12, dtype=torch.float64):
    return torch.rand(count, 3, height, width, dtype=dtype) * 2 - 1


def test_both_components_load_and_document_every_option():
    components = artgen_augmentations()
    assert {component.name: component.load() for component in components} == {
        "diffaugment": DiffAugment,
        "ada": AdaptiveAugment,
    }
    for component in components:
        assert all(field_help(component.options).values())


def test_the_hook_module_imports_no_heavy_package():
    code = "import sys, artgen_augment; sys.exit(any(name in sys.modules for name in ('torch', 'kornia', 'numpy')))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


@pytest.mark.parametrize("policy", [[], ["color", "color"], ["colour"]])
def test_a_policy_that_makes_no_sense_is_refused(policy):
    with pytest.raises(ValidationError):
        DiffAugmentOptions(policy=policy)


# The operations, each against kornia and the paper.


def test_color_equals_kornia_and_the_paper():
    x, amounts = pictures(), torch.rand(4, 3) - 0.5
    b, s, c = (amounts.double() + torch.tensor([0, 1, 1]))[:, :, None, None, None].unbind(1)

    bright = x + b
    mean = bright.mean(dim=1, keepdim=True)
    saturated = (bright - mean) * s + mean
    mean = saturated.mean(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(color(x, amounts), (saturated - mean) * c + mean)

    third = torch.full((3,), 1 / 3, dtype=torch.float64)
    y = kornia.enhance.adjust_brightness(x, amounts[:, 0].double(), clip_output=False)
    grey = kornia.color.rgb_to_grayscale(y, third).expand_as(y)
    y = kornia.enhance.add_weighted(y, s, grey, 1 - s, 0.0)
    y = kornia.enhance.add_weighted(y, c, y.mean(dim=(1, 2, 3), keepdim=True).expand_as(y), 1 - c, 0.0)
    torch.testing.assert_close(color(x, amounts), y)


def test_flip_equals_kornia():
    x = pictures()
    moved = move(x, {"flip": torch.tensor([[-1.0], [1.0], [-0.1], [0.0]])})
    assert torch.equal(moved[::2], kornia.geometry.hflip(x[::2]))
    assert torch.equal(moved[1::2], x[1::2])


@pytest.mark.parametrize("pixels", [(0, 0), (2, -3), (-12, 0), (5, 15), (40, -40)])
def test_translation_equals_kornia(pixels):
    x = pictures()
    moved = move(x, {"translation": torch.tensor([[pixels[0] / 12, pixels[1] / 16]]).expand(4, 2)})
    expected = kornia.geometry.translate(x, torch.tensor([pixels], dtype=x.dtype).expand(4, 2))
    torch.testing.assert_close(moved, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("degrees", "factor"), [(0.0, 1.0), (90.0, 1.0), (17.0, 1.0), (0.0, 1.3), (-35.0, 0.6)])
def test_affine_equals_kornia(degrees, factor):
    x = pictures()
    moved = move(x, {"affine": torch.tensor([[degrees, factor - 1]]).expand(4, 2)})
    angle = torch.full((4,), degrees, dtype=x.dtype)
    size = torch.full((4, 2), factor, dtype=x.dtype)
    centre = torch.tensor([[5.5, 7.5]], dtype=x.dtype).expand(4, 2)
    matrix = kornia.geometry.get_rotation_matrix2d(centre, angle, size)
    torch.testing.assert_close(moved, kornia.geometry.warp_affine(x, matrix, (16, 12)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("words", [("flip", "translation"), ("translation", "flip")])
def test_flip_and_translation_fold_in_order(words):
    x = pictures(count=2)
    amounts = {"flip": torch.tensor([[-1.0], [1.0]]), "translation": torch.tensor([[3 / 12, -2 / 16]] * 2)}
    one_by_one = x
    for word in words:
        one_by_one = move(one_by_one, {word: amounts[word]})
    folded = move(x, {word: amounts[word] for word in words})
    assert torch.equal(folded, one_by_one)


def test_the_warp_agrees_with_the_gather_where_nothing_turns():
    x, amounts = (
        pictures(),
        {"flip": torch.tensor([[-1.0], [1.0]] * 2), "translation": torch.tensor([[0.25, 0.125]] * 4)},
    )
    warped = move(x, {**amounts, "affine": torch.zeros(4, 2)})
    torch.testing.assert_close(warped, move(x, amounts), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("centre", "box"), [((0.0, 0.0), (3, 4, 9, 12)), ((-1.0, 1.0), (-3, 12, 3, 20))])
def test_cutout_equals_kornia(centre, box):
    x = pictures()
    left, top, right, bottom = box[0], box[1], box[2] - 1, box[3] - 1  # kornia counts the last pixel in
    corners = torch.tensor([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=torch.float64)
    mask = kornia.geometry.bbox.bbox_to_mask(corners.clamp(min=0)[None], 12, 16)[:, None]
    assert torch.equal(cutout(x, torch.tensor([[*centre, 0.5]]).expand(4, 3)), x * (1 - mask))


# DiffAugment.


def test_zero_strength_changes_nothing():
    options = DiffAugmentOptions(policy=["color", "translation", "cutout"], **STILL)
    x = pictures(dtype=torch.float32)
    assert torch.equal(DiffAugment(options)(x), x)
    warp = DiffAugment(DiffAugmentOptions(policy=["affine"], rotation_degrees=0.0, scale=0.0))
    torch.testing.assert_close(warp(x), x, rtol=1e-5, atol=1e-5)


def test_the_defaults_are_the_papers():
    drawn = DiffAugment(DiffAugmentOptions()).draw(20_000, torch.device("cpu"))
    assert list(drawn) == ["color", "translation", "cutout"]
    half_ranges = torch.tensor([0.5, 1.0, 0.5, 0.125, 0.125, 1.0, 1.0])
    amounts = torch.cat([drawn["color"], drawn["translation"], drawn["cutout"][:, :2]], dim=1)
    assert (amounts.abs() <= half_ranges).all()
    torch.testing.assert_close(amounts.abs().amax(dim=0), half_ranges, rtol=1e-3, atol=0)
    torch.testing.assert_close(amounts.std(dim=0), half_ranges / 3**0.5, rtol=0.02, atol=0)
    assert (drawn["cutout"][:, 2] == 0.5).all()


def test_half_of_the_pictures_are_flipped():
    x = torch.linspace(-1, 1, 4).expand(1000, 3, 2, 4)
    flipped = (DiffAugment(DiffAugmentOptions(policy=["flip"]))(x)[:, 0, 0, 0] == 1).float().mean()
    assert 0.45 < flipped < 0.55


def test_the_order_of_the_policy_is_kept():
    x = pictures()
    for policy in (["color", "cutout"], ["cutout", "color"]):
        augment = DiffAugment(DiffAugmentOptions(policy=policy))
        drawn = augment.draw(4, x.device)
        expected = x
        for word in policy:
            expected = {"color": color, "cutout": cutout}[word](expected, drawn[word])
        assert torch.equal(augment(x, drawn), expected)


def test_a_seed_gives_the_same_pictures_again_and_another_draw_others():
    augment, x = DiffAugment(ALL), pictures()
    torch.manual_seed(7)
    first, second = augment(x), augment(x)
    torch.manual_seed(7)
    assert torch.equal(augment(x), first)
    assert not torch.equal(first, second)


def test_one_draw_serves_all_levels_of_a_pyramid():
    augment = DiffAugment(DiffAugmentOptions(policy=["flip", "color", "translation"], saturation=0.5))
    large = pictures(height=32, width=32)
    drawn = augment.draw(4, large.device)
    drawn["translation"] = (drawn["translation"] * 8).round() / 8  # whole pixels at 8 px
    levels = augment(tuple(avg_pool2d(large, 32 // side) for side in (8, 16, 32)), drawn)
    for level in levels:
        torch.testing.assert_close(level, avg_pool2d(levels[-1], 32 // level.shape[-1]))


def test_a_level_of_a_pyramid_is_what_it_would_be_alone():
    augment, x = DiffAugment(ALL), pictures()
    drawn = augment.draw(4, x.device)
    assert torch.equal(augment((x, x), drawn)[1], augment(x, drawn))


@pytest.mark.parametrize("policy", [*([word] for word in WORDS), ["flip", "translation"], WORDS])
def test_first_and_second_derivatives(policy):
    augment = DiffAugment(DiffAugmentOptions(policy=policy, rotation_degrees=30.0))
    x = pictures(count=2, height=4, width=5).requires_grad_()
    drawn = augment.draw(2, x.device)
    assert torch.autograd.gradcheck(lambda x: augment.apply_draw(x, drawn), x)
    if "affine" in policy:  # older torch has no second derivative of grid_sample, and no loss asks for one
        return
    # An operation that is affine has no second derivative to check: its square has one.
    assert torch.autograd.gradgradcheck(lambda x: augment.apply_draw(x, drawn).square(), x)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dtype_and_shape_are_kept_also_under_autocast(dtype, layout):
    augment = DiffAugment(ALL)
    x = pictures(dtype=torch.float32).to(dtype).contiguous(memory_format=layout)
    drawn = augment.draw(4, x.device)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = augment(x, drawn)
    assert (y.dtype, y.shape) == (dtype, x.shape)
    exact = augment(x.double(), drawn)
    tolerance = {torch.float32: 1e-4, torch.bfloat16: 0.05}[dtype]
    torch.testing.assert_close(y.double(), exact, rtol=tolerance, atol=tolerance)


def test_what_is_not_a_number_stays_in_its_picture_and_goes_when_it_is_moved_out():
    x = pictures(count=2)
    x[0, :, :, 0] = torch.nan
    moved = move(x, {"translation": torch.tensor([[-1 / 12, 0.0]] * 2)})
    assert moved.isfinite().all()


# ADA.


def ada(**options):
    return AdaptiveAugment(AdaOptions(policy=WORDS, **options))


def test_ada_begins_with_no_augmentation():
    x = pictures(dtype=torch.float32)
    augment = AdaptiveAugment(AdaOptions(policy=["flip", "color", "translation", "cutout"]))
    assert torch.equal(augment(x), x)
    assert all((amounts == 0).all() for amounts in ada().draw(50, x.device).values())


def test_ada_at_one_is_diffaugment():
    augment, x = ada(), pictures()
    augment.probability.fill_(1)
    torch.manual_seed(3)
    changed = augment(x)
    torch.manual_seed(3)
    assert torch.equal(changed, DiffAugment(ALL)(x))


def test_ada_befalls_the_share_p_with_one_coin_for_each_operation():
    augment = ada()
    augment.probability.fill_(0.3)
    drawn = augment.draw(20_000, torch.device("cpu"))
    happens = {word: (amounts != 0).float() for word, amounts in drawn.items()}
    for share in happens.values():
        torch.testing.assert_close(share.mean(dim=0), torch.full_like(share[0], 0.3), rtol=0, atol=0.02)
    for word in ("translation", "cutout"):  # all or none
        assert torch.equal(happens[word].amin(dim=1), happens[word].amax(dim=1))
    independent = torch.cat([happens["color"], happens["affine"], happens["flip"], happens["cutout"][:, :1]], dim=1)
    assert (torch.corrcoef(independent.T) - torch.eye(7)).abs().max() < 0.03


def test_p_goes_from_zero_to_one_in_adaptation_images_and_no_further():
    augment = ada(adaptation_images=80, interval=2)
    for step in range(1, 12):
        augment.observe(torch.ones(10, 1))
        expected = min(1.0, (step - step % 2) * 10 / 80)
        assert augment.probability.item() == pytest.approx(expected)
    augment.observe(-torch.ones(10, 1))  # +1 and -1 have mean 0, below the target
    assert augment.probability.item() == pytest.approx(0.75)
    for _ in range(20):
        augment.observe(-torch.ones(10, 1))
    assert augment.probability.item() == 0


def test_p_follows_the_mean_sign_since_its_last_move_not_the_size_of_scores():
    augment = ada(adaptation_images=100, interval=1, target=0.6)
    scores = torch.full((10, 1, 3, 3), 0.01)
    scores[0] = -1000.0
    augment.observe(scores)  # r = 0.8
    assert augment.probability.item() == pytest.approx(0.1)
    scores[:3] = -1000.0
    augment.observe(scores)  # r = 0.4
    assert augment.probability.item() == pytest.approx(0.0)


def test_scores_that_are_not_numbers_do_not_spoil_p():
    augment = ada(adaptation_images=10, interval=1)
    augment.observe(torch.full((4, 1), torch.nan))
    augment.observe(torch.ones(4, 1))
    assert augment.probability.item() == pytest.approx(0.4)


def test_the_statistic_is_the_mean_over_ranks(monkeypatch):
    augment = ada(adaptation_images=100, interval=1)
    monkeypatch.setattr("artgen_augment.policies.world_size", lambda: 2)
    monkeypatch.setattr("artgen_augment.policies.mean_over_ranks_", lambda tensor: tensor.add_(1).div_(2))
    augment.observe(torch.full((10, 1), 0.5))  # here 1, there 1
    assert augment.probability.item() == pytest.approx(0.2)
    augment.observe(torch.full((10, 1), -0.5))  # here -1, there 1: r = 0
    assert augment.probability.item() == pytest.approx(0.0)


def test_the_state_resumes_in_the_middle_of_an_interval():
    straight = ada(adaptation_images=100, interval=4)
    for _ in range(6):
        straight.observe(torch.ones(3))
    resumed = ada(adaptation_images=100, interval=4)
    resumed.load_state_dict(straight.state_dict())
    for augment in (straight, resumed):
        for sign in (1, 1, 1, -1, -1, -1):
            augment.observe(torch.full((3,), float(sign)))
    assert straight.probability > 0
    for name, value in straight.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_observe_leaves_no_graph():
    augment = ada(interval=1)
    augment.observe(torch.ones(4, requires_grad=True))
    assert not any(buffer.requires_grad for buffer in augment.buffers())


def test_diffaugment_has_no_state_to_save():
    assert DiffAugment(ALL).state_dict() == {}
