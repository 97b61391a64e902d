"""The atelier: the same picture every time and at every size, in the manner promised, painted once and kept."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from artgen.data import Workshop
from artgen_atelier import AtelierOptions, artgen_datasets, dataset
from artgen_atelier.dataset import paint_collection
from artgen_atelier.painter import portrait
from artgen_atelier.sitter import invite

LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def pictures():
    """(N, 64, 64, 3), 0 to 1."""
    return np.stack([portrait(1632, index, (64, 64)) for index in range(120)]) / 255


def head_mask(index: int, side: int = 64):
    """The middle of the face of picture `index`, and where each pixel of it lies from left (-1) to right (1)."""
    s = invite(1632, index)
    at = (np.arange(side) + 0.5) * 2 / side - 1
    drop = 0.07 if s.hat in ("brim", "turban") else 0.0
    x, y = (at[None, :] - s.place[0]) / s.scale, (at[:, None] - s.place[1] - drop) / s.scale
    return (np.abs(x) < 0.5) & (y > -0.25) & (y < 0.8), np.broadcast_to(x, (side, side))


class Bars:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, int]] = []
        self.advanced = 0

    @contextmanager
    def __call__(self, title: str, total: int) -> Iterator:
        self.shown.append((title, total))

        def advance(count: int) -> None:
            self.advanced += count

        yield advance


@pytest.fixture
def workshop(tmp_path):
    return Workshop(cache=tmp_path, progress=Bars(), workers=1)


def test_a_picture_depends_on_seed_and_index_alone():
    first = portrait(7, 3, (32, 32))
    portrait(7, 4, (48, 20))
    assert np.array_equal(first, portrait(7, 3, (32, 32)))
    assert not np.array_equal(first, portrait(8, 3, (32, 32)))
    assert not np.array_equal(first, portrait(7, 4, (32, 32)))


@pytest.mark.parametrize("side", [32, 128, 256])
def test_another_resolution_is_the_same_picture(pictures, side):
    for index in range(6):
        other = portrait(1632, index, (side, side)).astype(np.float32) / 255
        small = min(side, 64)
        a = cv2.resize(other, (small, small), interpolation=cv2.INTER_AREA)
        b = cv2.resize(pictures[index].astype(np.float32), (small, small), interpolation=cv2.INTER_AREA)
        assert np.abs(a - b).mean() < 0.02  # strangers differ by 0.1 and more
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("size", [(16, 16), (96, 64), (40, 72), (17, 31), (16, 256)])
def test_paints_any_size_with_the_head_in_the_middle(size):
    picture = portrait(1632, 11, size)
    assert picture.shape == (*size, 3)
    assert picture.dtype == np.uint8
    height, width = size
    side = min(size)
    top, left = (height - side) // 2, (width - side) // 2
    middle = picture[top : top + side, left : left + side]
    square = portrait(1632, 11, (side, side))
    assert np.abs(middle.astype(float) - square).mean() < 14  # of 255; corners may be darker than in the square


def test_no_two_are_alike(pictures):
    small = np.stack([cv2.resize(p.astype(np.float32), (16, 16), interpolation=cv2.INTER_AREA) for p in pictures])
    flat = small.reshape(len(small), -1)
    distance = np.sqrt(((flat[:, None] - flat[None]) ** 2).mean(2))
    others = distance[np.triu_indices(len(flat), 1)]
    assert others.min() > 0.03
    assert np.median(others) > 0.1


def test_sitters_are_of_every_kind():
    sitters = [invite(1632, index) for index in range(2000)]

    def shares(name: str) -> dict[object, float]:
        return {value: n / len(sitters) for value, n in Counter(getattr(s, name) for s in sitters).items()}

    from_left = shares("light_side")[-1]
    assert 0.6 < from_left < 0.8
    for name, kinds in {"hat": 6, "hair": 5, "beard": 5, "collar": 6}.items():
        found = shares(name)
        assert len(found) == kinds, name
        assert min(found.values()) > 0.02, name
    yaw = np.array([s.yaw for s in sitters])
    assert (yaw < -0.15).mean() > 0.2
    assert (yaw > 0.15).mean() > 0.15
    assert not any(s.woman and s.beard != "none" for s in sitters)
    assert len({s.cloth for s in sitters}) == len(sitters)


def test_the_ground_is_dark_and_the_face_is_lit(pictures):
    luma = pictures @ LUMA
    ground = np.concatenate([luma[:, :10, :6], luma[:, :10, -6:]], 2).mean((1, 2))
    face = np.array([luma[i][head_mask(i)[0]].mean() for i in range(len(luma))])
    assert luma.mean() < 0.35
    assert np.median(ground) < 0.22
    assert (face > ground + 0.08).mean() > 0.97
    assert (np.quantile(luma.reshape(len(luma), -1), 0.99, 1) > 0.45).mean() > 0.95  # some light in each


def test_one_side_of_the_face_is_lit(pictures):
    """The brighter half of a face that looks ahead is that of the light."""
    luma = pictures @ LUMA
    agree = []
    for index, picture in enumerate(luma):
        s = invite(1632, index)
        if abs(s.yaw) > 0.3:
            continue
        inside, x = head_mask(index)
        right, left = picture[inside & (x > 0.1)].mean(), picture[inside & (x < -0.1)].mean()
        agree.append(np.sign(right - left) == s.light_side)
    assert len(agree) > 40
    assert np.mean(agree) > 0.9


def test_colours_are_warm(pictures):
    red, green, blue = pictures.mean((0, 1, 2))
    assert red > green > blue


def test_collection_is_painted_once(workshop):
    options = AtelierOptions(resolution=(20, 16), count=5)
    first = paint_collection(options, workshop)
    assert first.real.shape == (5, 16, 20, 3)
    assert first.real.dtype == np.uint8
    assert first.source is None
    for index in range(5):
        assert np.array_equal(first.real[index], portrait(1632, index, (16, 20)))
    second = paint_collection(options.model_copy(update={"mirror": True}), workshop)
    assert np.array_equal(first.real, second.real)
    assert first.fingerprint == second.fingerprint
    assert workshop.progress.shown == [("Painting the atelier", 5)]
    assert workshop.progress.advanced == 5


def test_fingerprint_follows_the_pixels(workshop):
    kinds = [{}, {"collection_seed": 1}, {"count": 4}, {"resolution": 24}]
    prints = [
        paint_collection(AtelierOptions.model_validate({"resolution": 16, "count": 3} | kind), workshop).fingerprint
        for kind in kinds
    ]
    assert len(set(prints)) == len(kinds)


@pytest.mark.parametrize("damage", ["cut", "empty", "foreign"])
def test_a_damaged_cache_is_painted_anew(workshop, damage):
    options = AtelierOptions(resolution=16, count=3)
    whole = np.array(paint_collection(options, workshop).real)
    file = next(workshop.cache.glob("*.npy"))
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        np.save(file, np.zeros((3, 8, 8, 3), np.uint8))
    assert np.array_equal(paint_collection(options, workshop).real, whole)
    assert len(workshop.progress.shown) == 2


def test_a_new_painter_paints_anew(workshop, monkeypatch):
    options = AtelierOptions(resolution=16, count=2)
    paint_collection(options, workshop)
    monkeypatch.setattr(dataset, "PAINTER_VERSION", dataset.PAINTER_VERSION + 1)
    paint_collection(options, workshop)
    assert len(workshop.progress.shown) == 2


def test_an_interrupted_collection_leaves_nothing(workshop, monkeypatch):
    def interrupted(seed, index, size):
        if index == 2:
            raise KeyboardInterrupt
        return portrait(seed, index, size)

    monkeypatch.setattr(dataset, "portrait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        paint_collection(AtelierOptions(resolution=16, count=4), workshop)
    assert list(workshop.cache.iterdir()) == []


def test_several_workers_paint_the_same(tmp_path):
    options = AtelierOptions(resolution=16, count=70)
    alone = paint_collection(options, Workshop(cache=tmp_path / "a", progress=Bars(), workers=1))
    together = paint_collection(options, Workshop(cache=tmp_path / "b", progress=Bars(), workers=2))
    assert np.array_equal(alone.real, together.real)
    assert alone.fingerprint == together.fingerprint


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 0},
        {"count": 200_001},
        {"collection_seed": -1},
        {"resolution": 8},
        {"resolution": 2048},
        {"resolution": [64, 2048]},
        {"count": 200_000, "resolution": 1024},
        {"pictures": 3},
    ],
)
def test_refuses_what_it_cannot_paint(wrong):
    with pytest.raises(ValidationError):
        AtelierOptions.model_validate(wrong)


def test_component():
    (component,) = artgen_datasets()
    assert (component.kind, component.name) == ("data", "atelier")
    assert component.options().count == 4000
    assert component.load() is paint_collection


def test_neither_hooks_nor_workers_load_torch():
    code = (
        "import sys, artgen_atelier\n"
        "assert not {'torch', 'kornia', 'cv2', 'numpy'} & set(sys.modules), 'the hook module is not light'\n"
        "import artgen_atelier.painter\n"
        "assert not {'torch', 'kornia', 'PIL'} & set(sys.modules), 'a worker loads too much'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr
