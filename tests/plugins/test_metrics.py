"""The figures of quality against plain oracles, and on sets whose figures are known."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from artgen import DataError, field_help
from artgen.training import Features
from artgen_metrics import DiversityOptions, KidOptions, NearestOptions, SwdOptions, artgen_metrics
from artgen_metrics.diversity import Diversity, ms_ssim
from artgen_metrics.kid import Kid, kernel_distance
from artgen_metrics.nearest import Nearest
from artgen_metrics.swd import Swd, grow, laplacian_pyramid, patches, sliced_wasserstein


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


def pictures(count, side=32):
    """Random soft pictures, uint8."""
    coarse = torch.rand(count, 3, 4, 4) * 255
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 255).to(torch.uint8)


def noisy(real, deviation):
    return (real.float() + deviation * torch.randn(real.shape)).clamp(0, 255).to(torch.uint8)


class Pixels(Features):
    """A space of features without weights: 4x4 means and deviations."""

    def forward(self, pictures):
        cells = torch.nn.functional.unfold(pictures, 8, stride=8).view(len(pictures), 3, 64, -1)
        return (torch.cat([cells.mean(2), cells.std(2)], dim=1)[..., None],)

    def embed(self, pictures):
        return self(pictures)[0].flatten(1)


def measure(metric, fake, real, features=None):
    torch.manual_seed(7)
    return metric.measure(fake, real, features)


def test_components_load_document_their_options_and_import_no_torch():
    components = artgen_metrics()
    assert {component.name: component.load() for component in components} == {
        "kid": Kid,
        "swd": Swd,
        "diversity": Diversity,
        "nearest": Nearest,
    }
    assert [component.name for component in components if component.needs_features] == ["kid"]
    for component in components:
        assert field_help(component.options).keys() == component.options.model_fields.keys()
    code = "import sys, artgen_metrics; sys.exit(bool({'torch', 'numpy', 'kornia', 'cv2'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


ALL = [
    Kid(KidOptions(resamples=20)),
    Swd(SwdOptions(directions=16, descriptors=8)),
    Diversity(DiversityOptions(pairs=20)),
    Nearest(NearestOptions()),
]


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: type(metric).__name__)
def test_a_figure_follows_from_the_seed_and_changes_no_picture(metric):
    fake, real = pictures(12), pictures(9)
    before = fake.clone(), real.clone()
    first, again = (measure(metric, fake, real, Pixels()) for _ in range(2))
    assert first.values == again.values
    assert all(isinstance(value, float) and np.isfinite(value) for value in first.values.values())
    assert torch.equal(fake, before[0])
    assert torch.equal(real, before[1])


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: type(metric).__name__)
def test_too_few_pictures_are_refused(metric):
    for fake, real in ((pictures(0), pictures(5)), (pictures(5), pictures(0))):
        with pytest.raises(DataError, match="picture") as caught:
            measure(metric, fake, real, Pixels())
        assert caught.value.remedy


# KID


def kid_by_loops(fake, real):
    """The unbiased estimate of Binkowski et al. 2018, pair by pair."""

    def k(x, y):
        return (float(np.dot(x, y)) / len(x) + 1) ** 3

    def within(xs):
        return sum(k(x, y) for i, x in enumerate(xs) for j, y in enumerate(xs) if i != j) / (len(xs) * (len(xs) - 1))

    return within(fake) + within(real) - 2 * sum(k(x, y) for x in fake for y in real) / (len(fake) * len(real))


@pytest.mark.parametrize(("n", "m", "rows"), [(7, 11, 512), (30, 13, 8), (2, 2, 1)])
def test_kid_is_the_plain_double_loop(n, m, rows, monkeypatch):
    monkeypatch.setattr("artgen_metrics.kid.ROWS", rows)
    fake, real = torch.randn(n, 5, dtype=torch.float64), torch.randn(m, 5, dtype=torch.float64) + 0.3
    assert kernel_distance(fake, real).tolist() == pytest.approx([kid_by_loops(fake.numpy(), real.numpy())], rel=1e-12)


def test_kid_of_a_resample_is_that_of_the_pictures_drawn_without_pairs_of_equals(monkeypatch):
    fake, real = torch.randn(6, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    drawn = [torch.tensor([[0, 0, 1, 3, 5, 5]]), torch.tensor([[4, 2, 2, 1, 0]])]
    monkeypatch.setattr(torch, "randint", lambda *_: draws.pop(0))
    draws = list(drawn)
    _, resampled = kernel_distance(fake, real, resamples=1).tolist()

    def within(x, numbers):
        pairs = [(i, j) for i in numbers for j in numbers if i != j]
        return np.mean([(x[i] @ x[j] / 4 + 1).item() ** 3 for i, j in pairs])

    f, r = (numbers[0].tolist() for numbers in drawn)
    across = np.mean([(fake[i] @ real[j] / 4 + 1).item() ** 3 for i in f for j in r])
    assert resampled == pytest.approx(within(fake, f) + within(real, r) - 2 * across, rel=1e-12)


def test_kid_is_unbiased_where_both_sides_have_one_distribution():
    values = torch.stack(
        [kernel_distance(torch.randn(12, 6).double(), torch.randn(9, 6).double())[0] for _ in range(400)]
    )
    error = values.std() / len(values) ** 0.5
    assert abs(values.mean()) < 3.5 * error
    assert values.min() < 0 < values.max()
    # The biased estimate, pairs with themselves included, would lie far outside of that.
    assert error < 0.1


def test_the_interval_of_kid_holds_zero_for_halves_and_not_for_others():
    real = torch.randn(300, 8).double()
    halves = kernel_distance(real[:150], real[150:], 200)
    other = kernel_distance(real[:150] + 0.7, real[150:], 200)
    for draws in (halves, other):
        low, high = draws[1:].quantile(torch.tensor([0.025, 0.975]).double())
        assert low < draws[0] < high
        assert (low > 0) == (draws is other)


def test_kid_grows_with_noise():
    real = pictures(200)
    kids = [measure(Kid(KidOptions()), noisy(real[:100], d), real[100:], Pixels()).values for d in (0, 20, 60)]
    assert kids[0]["kid_low"] < 0 < kids[0]["kid_high"]
    assert kids[0]["kid"] < kids[1]["kid"] < kids[2]["kid"]
    assert kids[2]["kid_low"] > kids[0]["kid_high"]


def test_kid_takes_at_most_so_many_reals():
    seen = []

    class Counting(Pixels):
        def embed(self, pictures):
            seen.append(len(pictures))
            return super().embed(pictures)

    measure(Kid(KidOptions(real_pictures=70)), pictures(5), pictures(100), Counting())
    assert sum(seen) == 75
    assert max(seen) <= 64


# SWD


@pytest.mark.parametrize("size", [(64, 64), (33, 50), (16, 16)])
def test_the_pyramid_gives_the_pictures_back(size):
    x = torch.rand(2, 3, *size, dtype=torch.float64)
    levels = laplacian_pyramid(x)
    assert [min(level.shape[2:]) for level in levels] == {64: [64, 32, 16], 33: [33, 17], 16: [16]}[size[0]]
    back = levels[-1]
    for level in reversed(levels[:-1]):
        back = level + grow(back, level)
    torch.testing.assert_close(back, x)


def test_growing_keeps_a_flat_picture_flat():
    torch.testing.assert_close(
        grow(torch.full((1, 3, 16, 16), 0.3), torch.empty(1, 3, 32, 32)), torch.full((1, 3, 32, 32), 0.3)
    )


def test_on_a_line_it_is_the_wasserstein_distance():
    a, b = torch.randn(500, 1, dtype=torch.float64), torch.randn(500, 1, dtype=torch.float64) * 2 + 1
    ours = sliced_wasserstein(a, b, directions=3).item()
    assert ours == pytest.approx(wasserstein_distance(a[:, 0], b[:, 0]), rel=1e-12)


def test_a_shift_is_found_along_each_direction(monkeypatch):
    monkeypatch.setattr("artgen_metrics.swd.PROJECTIONS", 1000)
    a, shift = torch.randn(200, 5, dtype=torch.float64), torch.tensor([3.0, 0, 0, 0, 4], dtype=torch.float64)
    torch.manual_seed(3)
    ways = torch.nn.functional.normalize(torch.randn(64, 5), dim=1).double()
    torch.manual_seed(3)
    assert sliced_wasserstein(a, a + shift, 64).item() == pytest.approx((ways @ shift).abs().mean().item())


def test_patches_are_cut_out_of_their_own_picture_and_normalised():
    real = pictures(70, side=16)
    real[:35] = real[:35] // 4
    (taken,) = patches(real, count=5).values()
    assert taken.shape == (350, 147)
    by_channel = taken.view(350, 3, 49)
    torch.testing.assert_close(by_channel.mean(dim=(0, 2)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(by_channel.std(dim=(0, 2), correction=0), torch.ones(3))
    # Every patch is a window of the picture it should be of, up to the normalisation of each channel.
    x = real.float() / 127.5 - 1
    windows = x.unfold(2, 7, 1).unfold(3, 7, 1).permute(0, 2, 3, 1, 4, 5).reshape(70, 100, 3, 49)
    slopes = windows - windows.mean(dim=3, keepdim=True)
    found = (by_channel - by_channel.mean(dim=2, keepdim=True)).view(70, 5, 3, 49)
    likeness = torch.nn.functional.cosine_similarity(slopes[:, None], found[:, :, None], dim=-1)[..., 0].amax(2)
    assert likeness.min() > 0.999


def test_swd_names_its_levels_is_near_zero_for_one_set_and_grows_with_noise():
    real, metric = pictures(160, side=32), Swd(SwdOptions(directions=64, descriptors=64))
    same, other = (measure(metric, fake, real).values for fake in (real, noisy(real, 30)))
    assert list(same) == ["swd_32", "swd_16", "swd"]
    assert same["swd"] == pytest.approx((same["swd_32"] + same["swd_16"]) / 2)
    assert 0 < same["swd"] < 60
    assert other["swd_32"] > 5 * same["swd_32"]


def test_swd_takes_as_many_of_each_side_from_anywhere(monkeypatch):
    taken = []
    monkeypatch.setattr("artgen_metrics.swd.patches", lambda x, count: taken.append(x) or {16: torch.rand(4, 147)})
    real = torch.arange(50, dtype=torch.uint8).view(50, 1, 1, 1).expand(50, 3, 16, 16)
    measure(Swd(SwdOptions()), pictures(20, side=16), real)
    assert [len(x) for x in taken] == [20, 20]
    assert taken[1][:, 0, 0, 0].max() > 20


def test_pictures_smaller_than_a_patch_or_window_are_refused():
    for metric, side in ((Swd(SwdOptions()), 6), (Diversity(DiversityOptions()), 10)):
        with pytest.raises(DataError, match=f"{side}x{side}"):
            measure(metric, pictures(4, side), pictures(4, side))


# Diversity


def ms_ssim_by_loops(x, y):
    """Wang et al. 2003 with plain windows, on one channel in [0, 255]; 24 px leave two scales."""
    at = np.arange(11) - 5
    window = np.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2, weights = (0.01 * 255) ** 2, (0.03 * 255) ** 2, np.array([0.0448, 0.2856]) / (0.0448 + 0.2856)
    product = 1.0
    for scale in range(2):
        brightness, contrast = [], []
        for top in range(x.shape[0] - 10):
            for left in range(x.shape[1] - 10):
                a, b = x[top : top + 11, left : left + 11], y[top : top + 11, left : left + 11]
                mu_a, mu_b = (window * a).sum(), (window * b).sum()
                var_a, var_b = (window * (a - mu_a) ** 2).sum(), (window * (b - mu_b) ** 2).sum()
                covariance = (window * (a - mu_a) * (b - mu_b)).sum()
                contrast.append((2 * covariance + c2) / (var_a + var_b + c2))
                brightness.append((2 * mu_a * mu_b + c1) / (mu_a**2 + mu_b**2 + c1))
        product *= max(0, np.mean(np.array(contrast) * (brightness if scale == 1 else 1))) ** weights[scale]
        x, y = (z.reshape(z.shape[0] // 2, 2, z.shape[1] // 2, 2).mean((1, 3)) for z in (x, y))
    return product


def test_ms_ssim_is_that_of_plain_windows():
    real = pictures(2, side=24)[:, :1]
    x, y = real[:1].double(), noisy(real[:1], 40).double() * 0.6
    expected = ms_ssim_by_loops(x[0, 0].numpy(), y[0, 0].numpy())
    assert 0.1 < expected < 0.95
    assert ms_ssim(x / 127.5 - 1, y / 127.5 - 1).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("side", [11, 64, 176])
def test_ms_ssim_is_symmetric_and_one_for_equals(side):
    x, y = (pictures(3, side) / 127.5 - 1 for _ in range(2))
    torch.testing.assert_close(ms_ssim(x, y), ms_ssim(y, x))
    torch.testing.assert_close(ms_ssim(x, x), torch.ones(3))
    assert (ms_ssim(x, y) < 0.95).all()
    assert torch.equal(ms_ssim(x, -x), torch.zeros(3))


def test_diversity_is_one_for_the_data_and_falls_with_repeats():
    real = pictures(120)
    metric = Diversity(DiversityOptions(pairs=600))
    own, few = (measure(metric, fake, real).values for fake in (real[:60], real[:2].repeat(30, 1, 1, 1)))
    assert own["diversity"] == pytest.approx(1, abs=0.05)
    assert few["diversity"] < 0.7
    assert few["diversity"] == pytest.approx((1 - few["ms_ssim_fake"]) / (1 - few["ms_ssim_real"]))
    assert measure(metric, real[:1].repeat(9, 1, 1, 1), real).values["diversity"] == pytest.approx(0, abs=1e-5)


def test_diversity_compares_no_picture_with_itself(monkeypatch):
    pairs = []
    monkeypatch.setattr("artgen_metrics.diversity.ms_ssim", lambda x, y: pairs.append((x, y)) or torch.rand(len(x)))
    measure(Diversity(DiversityOptions(pairs=300)), pictures(3), pictures(3))
    assert sum(len(x) for x, _ in pairs) == 600
    assert all((x != y).flatten(1).any(1).all() for x, y in pairs)


def test_data_of_one_picture_over_and_over_is_refused():
    with pytest.raises(DataError, match="the same"):
        measure(Diversity(DiversityOptions()), pictures(4), torch.full((5, 3, 32, 32), 9, dtype=torch.uint8))


# Nearest


@pytest.mark.parametrize("chunk", [1024, 7])
def test_planted_copies_are_found_mirrored_ones_too(chunk, monkeypatch):
    monkeypatch.setattr("artgen_metrics.nearest.REAL", chunk)
    real, fake = pictures(60, side=24), torch.randint(256, (20, 3, 24, 24), dtype=torch.uint8)
    fake[3], fake[11] = noisy(real[5], 2), real[40].flip(2)
    measured = measure(Nearest(NearestOptions(shown=3)), fake, real)
    assert measured.values["copied_share"] == pytest.approx(0.1)
    sheet = measured.sheets["nearest"]
    assert (sheet.dtype, sheet.shape) == (torch.uint8, (28, 6 * 26 + 2, 3))
    shown = [sheet[2:26, 2 + 26 * column :][:, :24].permute(2, 0, 1) for column in range(4)]
    for tile, expected in zip(shown, (fake[11], real[40], fake[3], real[5]), strict=True):
        assert torch.equal(tile, expected)


def test_new_pictures_of_the_same_kind_count_as_copies_as_often_as_the_data():
    shares = [measure(Nearest(NearestOptions()), pictures(400), pictures(400)).values["copied_share"] for _ in range(3)]
    assert 0.01 < np.mean(shares) < 0.1


def test_all_data_counts_as_copied_even_where_it_holds_one_picture_twice():
    real = pictures(30).repeat(2, 1, 1, 1)
    assert measure(Nearest(NearestOptions()), real[:30], real).values["copied_share"] == 1
    assert measure(Nearest(NearestOptions()), pictures(30), real).values["copied_share"] == 0
