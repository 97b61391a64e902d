"""The wavelets against OpenCV's filters, and what they promise of tiles."""

from __future__ import annotations

import subprocess
import sys
from itertools import product

import cv2
import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from artgen import DataError, field_help
from artgen_wavelets import WaveletsOptions, artgen_features
from artgen_wavelets.bank import Wavelets


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


def bank(**options):
    return Wavelets(WaveletsOptions(**options)).eval()


def noise(count=2, height=64, width=64):
    return torch.rand(count, 3, height, width) * 2 - 1


def filters_by_hand(angles, side, sigma):
    """As (even, odd) for each angle, point by point."""
    half, pairs = side // 2, []
    for angle in np.arange(angles) * np.pi / angles:
        even, odd, envelope = (np.zeros((side, side)) for _ in range(3))
        for y, x in product(range(-half, half + 1), repeat=2):
            a, b = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
            envelope[y + half, x + half] = e = np.exp(-(a**2 + (0.6 * b) ** 2) / (2 * sigma**2))
            even[y + half, x + half] = e * np.cos(0.55 * np.pi * a)
            odd[y + half, x + half] = e * np.sin(0.55 * np.pi * a)
        even -= envelope * even.sum() / envelope.sum()
        pairs.append((even / np.sqrt((even**2).sum()), odd / np.sqrt((odd**2).sum())))
    return pairs


def by_hand(picture, octaves, angles=6, second_order=True):
    """Maps (h, w) of each octave of a picture (3, H, W), by OpenCV."""

    def answers(maps, pairs):
        return [[cv2.filter2D(m, -1, f) for pair in (0, 1) for f in [p[pair] for p in pairs]] for m in maps]

    r, g, b = (picture.double().numpy() + 1) / 2
    colours = [(r + g + b) / 3**0.5, (r - g) / 2**0.5, (r + g - 2 * b) / 6**0.5]
    strength, found = [], []
    for _ in range(octaves):
        first = answers(colours, filters_by_hand(angles, 7, 1.5))
        second = answers(strength, filters_by_hand(4, 5, 1.1))
        maps = list(colours)
        for of_each in (first[:1], first[1:] if found else [], second):
            flat = [answer for of_one in of_each for answer in of_one]
            maps += [np.maximum(x, 0) for x in flat] + [np.maximum(-x, 0) for x in flat]
        found.append(maps)
        light = first[0]
        strength = [np.sqrt(light[n] ** 2 + light[n + angles] ** 2 + 1e-6) for n in range(angles * second_order)]
        strength, colours = ([cv2.pyrDown(x) for x in maps] for maps in (strength, colours))
    return found


def test_the_component_loads_and_its_hook_module_imports_no_torch():
    (component,) = artgen_features()
    assert component.load() is Wavelets
    assert field_help(component.options).keys() == component.options.model_fields.keys()
    code = "import sys, artgen_wavelets; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("options", [{}, {"second_order": False}, {"angles": 4, "octaves": 2}])
@pytest.mark.parametrize("size", [(64, 64), (59, 46)])
def test_activations_are_those_of_filters_by_hand(options, size):
    features, pictures = bank(**options).double(), noise(1, *size).double()
    activations = features(pictures)
    expected = by_hand(pictures[0], len(activations), options.get("angles", 6), options.get("second_order", True))
    assert len(activations) == options.get("octaves", 4 if size == (64, 64) else 3)
    for ours, theirs in zip(activations, expected, strict=True):
        np.testing.assert_allclose(ours[0].numpy(), np.stack(theirs), atol=1e-6)


def test_layers_are_named_and_as_many_maps_as_was_said():
    features = bank()
    assert features.layers == features.style_layers == ("octave1", "octave2", "octave3", "octave4", "octave5")
    assert features.content_layers == ()
    assert [x.shape[1:] for x in features(noise(1, 128, 112))] == [
        (27, 128, 112),
        *((171, 128 // stride, 112 // stride) for stride in features.strides[1:]),
    ]


def test_an_even_area_has_no_answers_and_an_inverted_picture_the_opposite_ones():
    features = bank(second_order=False)
    for maps in features(torch.full((1, 3, 64, 64), 0.4)):
        assert maps[:, 3:].abs().max() < 1e-6
    pictures = noise()
    for maps, inverted in zip(features(pictures), features(-pictures), strict=True):
        torch.testing.assert_close(maps[:, 3:15], inverted[:, 15:27], rtol=0, atol=1e-5)
        torch.testing.assert_close(maps[:, 27:51], inverted[:, 51:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("options", [{"octaves": 3}, {"octaves": 4, "second_order": False}, {"octaves": 1}])
@pytest.mark.parametrize("start", [(0, 0), (48, 64), (112, 96)])
def test_a_tile_with_its_margin_has_the_activations_of_the_whole(options, start):
    features = bank(**options)
    largest, (height, width), side = features.strides[-1], (157, 150), 48
    pictures = noise(1, height, width)
    margin = -(-features.reach_px // largest) * largest
    top, left = (max(0, place - margin) for place in start)
    bottom, right = (min(end, place + side + margin) for place, end in zip(start, (height, width), strict=True))
    tile = features(pictures[..., top:bottom, left:right])
    for whole, part, stride in zip(features(pictures), tile, features.strides, strict=True):
        rows, columns = (slice(place // stride, (place + side) // stride) for place in start)
        y, x = (start[0] - top) // stride, (start[1] - left) // stride
        wanted = whole[..., rows, columns]
        found = part[..., y : y + wanted.shape[2], x : x + wanted.shape[3]]
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("octaves", range(1, 7))
def test_the_narrowest_tile_has_every_octave_of_the_whole(octaves):
    features = bank(octaves=octaves)
    side = 1 + features.reach_px
    assert len(features(noise(1, side, side))) == octaves


@pytest.mark.parametrize("options", [{"octaves": 3}, {"octaves": 3, "second_order": False}, {"octaves": 1}])
def test_no_activation_looks_further_than_it_says(options):
    features, pictures = bank(**options).double(), noise(1, 128, 128).double().requires_grad_()
    furthest = 0
    for maps, stride in zip(features(pictures), features.strides, strict=True):
        (seen,) = torch.autograd.grad(maps[..., 64 // stride, 64 // stride].sum(), pictures, retain_graph=True)
        rows = seen.abs().sum(dim=(0, 1, 3)).nonzero()
        furthest = max(furthest, 64 - rows.min().item(), rows.max().item() - (64 + stride - 1))
    assert 0.5 * features.reach_px <= furthest <= features.reach_px


def test_small_pictures_lack_the_deepest_octaves_and_smaller_ones_are_refused():
    features = bank()
    assert [len(features(noise(1, side, side + 9))) for side in (7, 24, 25, 49, 97)] == [1, 2, 3, 4, 5]
    with pytest.raises(DataError, match="70x6 px are too small"):
        features(noise(1, 6, 70))


def test_the_gradient_is_right():
    features, pictures = bank(octaves=2, angles=2).double(), noise(1, 14, 15).double().requires_grad_()
    assert gradcheck(features, (pictures,), fast_mode=True)


def test_in_bf16_activations_are_near_those_in_fp32():
    features, pictures = bank(), noise()
    with torch.autocast("cpu", torch.bfloat16):
        half = features(pictures)
    for found, wanted in zip(half, features(pictures), strict=True):
        assert (found.float() - wanted).square().mean() < 1e-4 * wanted.square().mean()
