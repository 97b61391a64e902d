"""The patch loss against other ways to cut patches and to compare distributions."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import wasserstein_distance
from torch.autograd import gradcheck
from torch.nn.functional import unfold

from artgen.training import Outputs, Wanted
from artgen_style import PatchesOptions
from artgen_style.patches import Patches, patches


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


def pictures(count=1, height=24, width=21):
    return torch.rand(count, 3, height, width, dtype=torch.float64) * 2 - 1


def value(made, *styles, regions=(None,), **options):
    """The loss of pictures whose styles are (picture, weight, region, part); its draws are always the same."""
    wanted = tuple(Wanted(weight, region, {}, picture, part) for picture, weight, region, part in styles)
    torch.manual_seed(7)
    loss = Patches(PatchesOptions(**{"octaves": 2, "directions": 8, "positions": 64} | options))
    return loss.generator(Outputs(made=made, styles=wanted, regions=regions))


def everywhere(height, width):
    return torch.ones(1, 1, height, width, dtype=torch.float64)


def test_patches_are_those_of_the_whole_picture():
    made = pictures(2)
    count = 20 * 17
    places = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    torch.testing.assert_close(patches(made, everywhere(24, 21), places), unfold(made, 5))


def test_patches_are_taken_where_they_are_wanted():
    made = torch.zeros(2, 3, 24, 21, dtype=torch.float64)
    share = torch.zeros(2, 1, 24, 21, dtype=torch.float64)
    for number, (row, column, value) in enumerate([(5, 7, 1.0), (20, 3, 2.0)]):
        made[number, :, row, column] = value
        share[number, :, row, column] = 0.5
    share[:, :, 0, 0] = 9  # no patch of 5 px has its middle there
    taken = patches(made, share, torch.rand(50, dtype=torch.float64)).view(2, 3, 25, 50)
    assert (taken[:, :, 12] == torch.tensor([1.0, 2.0]).view(2, 1, 1)).all()
    assert (taken.sum(dim=2) == torch.tensor([1.0, 2.0]).view(2, 1, 1)).all()


def test_it_is_the_distance_of_projections_over_their_deviation():
    made, style = pictures() ** 3, pictures(1, 30, 40)
    found = value(made, (style, 1, 0, None), octaves=1, directions=4, positions=200)
    torch.manual_seed(7)
    directions = torch.randn(4, 75, dtype=torch.float64)
    places = torch.rand(2, 200, dtype=torch.float64)
    x = patches(made, everywhere(24, 21), places[0])[0]
    s = patches(style, everywhere(30, 40), places[1])[0]
    projected = [((d / d.norm()) @ x, (d / d.norm()) @ s) for d in directions]
    deviation = torch.stack([b.var(unbiased=False) for _, b in projected]).mean().sqrt()
    expected = sum(wasserstein_distance(a.numpy(), b.numpy()) for a, b in projected) / 4 / deviation
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_picture_of_the_same_kind_is_nearer():
    style, alike, darker = pictures(1, 64, 64), pictures(1, 64, 64), pictures(1, 64, 64) * 0.5 - 0.5
    assert 2 * value(alike, (style, 1, 0, None)) < value(darker, (style, 1, 0, None))


def test_a_region_and_a_part_are_like_pictures_of_their_own():
    made, style = pictures(1, 48, 48), pictures(1, 48, 48)
    left = torch.cat([torch.ones(1, 1, 48, 24), torch.zeros(1, 1, 48, 24)], dim=3).double()
    shift = torch.tensor([0.0, 1.0]).repeat_interleave(24).double()
    with_step = value(made + shift, (style - 2 * shift, 1, 1, left), regions=(None, {"pixels": left}), octaves=1)
    without = value(made, (style, 1, 1, left), regions=(None, {"pixels": left}), octaves=1)
    # Only patches across the step see it: those whose middle is in the last two columns of 22.
    assert with_step < without + 0.25 < value(made + shift, (style - 2 * shift, 1, 0, None), octaves=1)


def test_a_region_that_is_nowhere_in_a_picture_adds_nothing():
    made, style = pictures(2), pictures()
    nowhere = torch.zeros(2, 1, 24, 21)
    nowhere[0] = 1
    found = value(made, (style, 1, 0, None), regions=({"pixels": nowhere},))
    torch.testing.assert_close(found, value(made[:1], (style, 1, 0, None)))


def test_batches_and_styles_are_sums():
    made, style = pictures(3), pictures(1, 50, 60)
    apart = sum(value(x, (style, 1, 0, None)) for x in made.split(1))
    torch.testing.assert_close(value(made, (style, 1, 0, None)), apart)
    torch.testing.assert_close(value(made, (style, 0.25, 0, None)), 0.25 * apart)


def test_small_pictures_have_fewer_octaves():
    made = pictures(1, 33, 47)
    assert value(made, (made, 1, 0, None), octaves=8).isfinite()
    assert value(pictures(1, 16, 16), (made, 1, 0, None), octaves=8).isfinite()


def test_the_gradient_is_right():
    style = pictures()
    assert gradcheck(lambda x: value(x, (style, 1, 0, None)), (pictures(2).requires_grad_(),), fast_mode=True)


def test_bf16_counts_in_fp32():
    made, style = pictures().bfloat16(), pictures()
    with torch.autocast("cpu", torch.bfloat16):
        found = value(made, (style.float(), 1, 0, None))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, value(made.float(), (style.float(), 1, 0, None)))
