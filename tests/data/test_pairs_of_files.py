"""Two folders, or pictures of double width, become pairs: matched by name, framed alike, or refused with a reason."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from artgen.data import Workshop
from artgen.data.pairs import prepare_folders, prepare_halves
from artgen.errors import DataError
from tests.data.test_folder import Bar

COLOURS = np.array([[128, 64, 128], [0, 128, 192], [60, 40, 222]], np.uint8)


def noise(height=16, width=16, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def store(path, picture, form="PNG", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(path, form, **options)
    return picture


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path / "cache", Bar(), workers=3)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


def folders(folder, workshop, size=(16, 16), crop="center", labels=False, skip_share=0.05):
    return prepare_folders(str(folder / "labels"), str(folder / "photos"), size, crop, labels, skip_share, workshop)


def halves(folder, workshop, direction="left-to-right", size=(16, 16), crop="center", labels=False, skip_share=0.05):
    return prepare_halves(str(folder), direction, size, crop, labels, skip_share, workshop)


def fill(folder, names=("a", "b", "c")):
    """Pairs by name: the label, and the photo."""
    return {
        name: (
            store(folder / "labels" / f"{name}.png", noise(seed=2 * seed)),
            store(folder / "photos" / f"{name}.png", noise(seed=2 * seed + 1)),
        )
        for seed, name in enumerate(names)
    }


# Two folders


def test_pairs_are_matched_by_name_whatever_the_ending(folder, workshop):
    stored = fill(folder, ["b", "a", "x/b"])
    for name, form in (("a", "BMP"), ("x/b", "TIFF")):
        (folder / "photos" / f"{name}.png").unlink()
        store(folder / "photos" / f"{name}.{form.lower()}", stored[name][1], form)
    dataset = folders(folder, workshop)
    assert np.array_equal(dataset.source, np.stack([stored[name][0] for name in ("a", "b", "x/b")]))
    assert np.array_equal(dataset.real, np.stack([stored[name][1] for name in ("a", "b", "x/b")]))
    assert not dataset.source_is_labels
    assert dataset.notes == {"folder": f"{folder}/photos", "sources": f"{folder}/labels", "pictures": 3}


def test_what_has_no_partner_is_told_by_name(folder, workshop):
    stored = fill(folder, ["a", "b", "c"])
    (folder / "labels" / "a.png").unlink()
    (folder / "photos" / "c.png").unlink()
    store(folder / "photos" / "b.webp", noise(), "WEBP")
    (folder / "labels" / "list.txt").write_text("a b c")
    dataset = folders(folder, workshop)
    assert np.array_equal(dataset.real, stored["b"][1][None])
    assert dataset.notes["skipped_files"] == {
        "labels/c.png": f"nothing has its name in {folder}/photos",
        "photos/a.png": f"nothing has its name in {folder}/labels",
        "photos/b.webp": "b.png is there, which has the same name but the ending",
    }
    assert (dataset.notes["skipped"], dataset.notes["other_files"], dataset.notes["pictures"]) == (3, 1, 1)


def test_folders_without_one_name_in_common_are_refused(folder, workshop):
    store(folder / "labels" / "a_label.png", noise())
    store(folder / "photos" / "a.png", noise())
    with pytest.raises(DataError, match=r"labels/a_label.png: nothing has its name in .*/photos") as caught:
        folders(folder, workshop)
    assert f"{folder}/photos" in str(caught.value)
    assert "one name" in caught.value.remedy


@pytest.mark.parametrize("missing", ["labels", "photos"])
def test_a_folder_that_is_not_there_is_named(folder, workshop, missing):
    fill(folder)
    (folder / missing).rename(folder / "elsewhere")
    with pytest.raises(DataError, match=f"{folder}/{missing}") as caught:
        folders(folder, workshop)
    assert "`source` and `target`" in caught.value.remedy


@pytest.mark.parametrize("side", ["labels", "photos"])
def test_a_damaged_side_takes_its_pair_along(folder, workshop, side):
    stored = fill(folder)
    (folder / side / "b.png").write_bytes(b"not a picture")
    dataset = folders(folder, workshop, skip_share=0.5)
    assert np.array_equal(dataset.real, np.stack([stored[name][1] for name in "ac"]))
    assert np.array_equal(dataset.source, np.stack([stored[name][0] for name in "ac"]))
    assert list(dataset.notes["skipped_files"]) == [f"{side}/b.png"]
    with pytest.raises(DataError, match=f"(?s)1 of 3.*{side}/b.png: not JPEG"):
        folders(folder, workshop, skip_share=0.3)


def test_sides_of_other_shapes_are_no_pair(folder, workshop):
    fill(folder)
    store(folder / "labels" / "b.png", noise(16, 20))
    dataset = folders(folder, workshop, skip_share=0.5)
    assert dataset.notes["skipped_files"] == {"labels/b.png": "another shape: 20x16 px, where its picture has 16x16"}


def test_sides_of_other_sizes_show_the_same(folder, workshop):
    ramp = np.arange(64, dtype=np.uint8)[None, :, None].repeat(32, 0).repeat(3, 2)
    store(folder / "photos" / "a.png", ramp)
    store(folder / "labels" / "a.png", ramp[:, ::2].repeat(2, 1).repeat(2, 0).repeat(2, 1))
    dataset = folders(folder, workshop)
    assert np.abs(dataset.real.astype(int) - dataset.source).max() <= 2


@pytest.mark.parametrize("crop", ["center", "top", "smart", "pad"])
def test_both_sides_are_framed_alike(folder, workshop, crop):
    picture = np.full((90, 30, 3), 40, np.uint8)
    picture[52:82] = noise(30, 30)
    store(folder / "photos" / "a.png", picture)
    store(folder / "labels" / "a.png", 255 - picture)
    dataset = folders(folder, workshop, crop=crop)
    assert np.abs(dataset.source.astype(int) + dataset.real - 255).max() <= 1  # the rounding of a mean


@pytest.mark.parametrize("size", [(16, 16), (11, 7), (40, 40)])
def test_labels_keep_their_colours(folder, workshop, size):
    numbers = np.random.default_rng(0).integers(0, 3, (37, 29)).astype(np.uint8)
    image = Image.fromarray(numbers)
    image.putpalette(COLOURS.flatten().tolist())
    store(folder / "labels" / "a.png", image)
    store(folder / "photos" / "a.png", COLOURS[numbers])
    dataset = folders(folder, workshop, size=size, labels=True)
    assert dataset.source_is_labels
    assert {*map(tuple, dataset.source.reshape(-1, 3).tolist())} <= {*map(tuple, COLOURS.tolist())}
    assert len(np.unique(dataset.real)) > 9  # the photo is blended


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(noise()[..., 0]),
        Image.fromarray(np.dstack([noise(), noise()[..., :1]])),
        Image.fromarray(noise()[..., 0].astype(np.uint16) * 257),
    ],
    ids=["grey", "alpha", "16 bits"],
)
def test_sides_may_be_files_of_any_kind(folder, workshop, image):
    store(folder / "labels" / "a.png", image)
    store(folder / "photos" / "a.png", image)
    dataset = folders(folder, workshop)
    assert np.array_equal(dataset.source, dataset.real)
    assert len(np.unique(dataset.real)) > 50


def test_every_change_on_either_side_is_noticed(folder, workshop):
    fill(folder)
    seen = [folders(folder, workshop)]
    for side in ("labels", "photos"):
        path = folder / side / "b.png"
        before = path.stat()
        store(path, noise(seed=77))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
        seen.append(folders(folder, workshop))
    (folder / "labels" / "c.png").rename(folder / "labels" / "d.png")
    seen.append(folders(folder, workshop))
    seen += [folders(folder, workshop, size=(12, 16)), folders(folder, workshop, size=(12, 16), crop="top")]
    seen.append(folders(folder, workshop, labels=True))
    assert len({dataset.fingerprint for dataset in seen}) == len(seen)


def test_sides_that_change_places_are_another_data_set(folder, workshop):
    fill(folder)
    first = folders(folder, workshop)
    (folder / "labels").rename(folder / "other")
    (folder / "photos").rename(folder / "labels")
    (folder / "other").rename(folder / "photos")
    second = folders(folder, workshop)
    assert np.array_equal(first.real, second.source)
    assert first.fingerprint != second.fingerprint


def test_opened_from_the_cache_the_second_time(folder, workshop, monkeypatch):
    fill(folder)
    (folder / "labels" / "b.png").write_bytes(b"broken")
    first = folders(folder, workshop, skip_share=0.5)
    monkeypatch.setattr("artgen.data.pairs.decode", None)
    again = folders(folder, workshop, skip_share=0.5)
    assert np.array_equal(first.real, again.real)
    assert np.array_equal(first.source, again.source)
    assert (first.fingerprint, first.notes) == (again.fingerprint, again.notes)


# Side by side


@pytest.mark.parametrize("direction", ["left-to-right", "right-to-left"])
def test_halves_are_a_pair_in_either_direction(folder, workshop, direction):
    whole = np.stack([store(folder / f"{seed}.png", noise(16, 32, seed)) for seed in range(3)])
    dataset = halves(folder, workshop, direction)
    left, right = (dataset.source, dataset.real) if direction == "left-to-right" else (dataset.real, dataset.source)
    assert np.array_equal(left, whole[:, :, :16])
    assert np.array_equal(right, whole[:, :, 16:])


def test_an_odd_width_is_refused_by_name(folder, workshop):
    for seed in range(3):
        store(folder / f"{seed}.png", noise(16, 32, seed))
    store(folder / "odd.png", noise(16, 33))
    dataset = halves(folder, workshop, skip_share=0.25)
    assert dataset.notes["skipped_files"] == {"odd.png": "its width of 33 px is odd: no two halves"}
    with pytest.raises(DataError, match=r"(?s)1 of 4 .*odd.png: its width of 33 px is odd"):
        halves(folder, workshop, skip_share=0.1)


def test_a_jpeg_is_cut_in_its_middle(folder, workshop):
    whole = np.zeros((160, 2 * 161, 3), np.uint8)
    whole[:, 161:] = 255
    store(folder / "a.jpg", whole, "JPEG", quality=100)
    dataset = halves(folder, workshop)  # at an eighth of its size it would have 40 and a quarter columns on a side
    assert dataset.source.max() <= 3
    assert dataset.real.min() >= 252


def test_the_direction_is_part_of_the_fingerprint(folder, workshop):
    store(folder / "a.png", noise(16, 32))
    directions = ("left-to-right", "right-to-left")
    assert len({halves(folder, workshop, direction).fingerprint for direction in directions}) == 2


def test_labels_side_by_side_are_never_blended(folder, workshop):
    labels = COLOURS[np.random.default_rng(0).integers(0, 3, (40, 40))]
    store(folder / "a.png", np.concatenate([labels, labels], axis=1))
    dataset = halves(folder, workshop, labels=True)
    assert {*map(tuple, dataset.source.reshape(-1, 3).tolist())} <= {*map(tuple, COLOURS.tolist())}
    assert len(np.unique(dataset.real)) > 9
