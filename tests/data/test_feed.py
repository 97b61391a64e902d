"""What stands at a position depends on (seed, position) alone."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from artgen.data import Dataset
from artgen.data.feed import Feed, _enlarged
from artgen.data.pixels import to_float, to_uint8
from artgen.errors import DataError
from artgen.training import Batch, Size, Source

COUNT, SIZE = 13, Size(8, 6)


def pictures(count: int = COUNT, seed: int = 0) -> np.ndarray:
    """Each with its own number in the middle of the top row, where mirroring leaves it within reach."""
    made = np.random.default_rng(seed).integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)
    made[:, 0, :, :] = np.arange(count)[:, None, None]
    return made


def numbers(real: torch.Tensor) -> list[int]:
    return to_uint8(real)[:, 0, 0, 0].tolist()


def feed(mirror: bool = False, seed: int = 5, source: bool = False, jitter_px: int = 0) -> Feed:
    return Feed(Dataset(pictures(), "x", pictures(seed=1) if source else None), seed, "cpu", mirror, jitter_px)


def same(a: Batch, b: Batch) -> bool:
    return torch.equal(a.real, b.real) and (a.source is b.source or torch.equal(a.source, b.source))


@pytest.mark.parametrize("batch", [1, 4, 13, 50])
def test_each_epoch_shows_each_picture_once(batch):
    shown = [
        number for i in range(0, 4 * COUNT * batch, batch) for number in numbers(feed().batch(i, batch, SIZE).real)
    ]
    epochs = [shown[i : i + COUNT] for i in range(0, 4 * COUNT, COUNT)]
    assert all(Counter(epoch) == Counter(range(COUNT)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**12), st.integers(1, 40), st.integers(1, 40), st.booleans(), st.sampled_from([0, 3]))
def test_only_the_position_counts_not_the_history(images, first, second, mirror, jitter_px):
    used = feed(mirror, source=True, jitter_px=jitter_px)
    used.batch(images + 999, 7, SIZE)
    whole = feed(mirror, source=True, jitter_px=jitter_px).batch(images, first + second, SIZE)
    parts = [used.batch(images, first, SIZE), used.batch(images + first, second, SIZE)]
    assert same(whole, Batch(torch.cat([part.real for part in parts]), torch.cat([part.source for part in parts])))


@pytest.mark.parametrize("count", [8, 7, 1])
@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("jitter_px", [0, 3])
def test_the_shares_of_the_ranks_make_up_the_batch(count, world, jitter_px):
    paired = feed(mirror=True, source=True, jitter_px=jitter_px)
    shares = [paired.batch(100, count, SIZE, rank, world) for rank in range(world)]
    real, source = (torch.cat(parts) for parts in zip(*((share.real, share.source) for share in shares), strict=True))
    assert same(paired.batch(100, count, SIZE), Batch(real, source))


def test_another_seed_gives_another_order():
    orders = {tuple(numbers(feed(seed=seed).batch(0, COUNT, SIZE).real)) for seed in range(5)}
    assert len(orders) == 5


def test_batches_are_floats_in_channels_last_memory():
    batch = feed().batch(0, 4, SIZE)
    assert batch.real.dtype == torch.float32
    assert batch.real.shape == (4, 3, *SIZE)
    assert batch.real.is_contiguous(memory_format=torch.channels_last)
    assert batch.source is None
    chosen = numbers(batch.real)
    assert torch.equal(to_uint8(batch.real), torch.from_numpy(pictures()[chosen]).permute(0, 3, 1, 2))


def test_mirroring_is_a_fair_coin_for_each_position_and_keeps_pairs_together():
    original = pictures()
    paired = Feed(Dataset(original, "x", original), 5, "cpu", mirror=True)
    batch = paired.batch(0, 40 * COUNT, SIZE)
    assert torch.equal(batch.real, batch.source)
    mirrored = []
    for number, picture in zip(numbers(batch.real), to_uint8(batch.real).permute(0, 2, 3, 1).numpy(), strict=True):
        straight = np.array_equal(picture, original[number])
        assert straight or np.array_equal(picture, original[number, :, ::-1])
        mirrored.append(not straight)
    assert 0.4 < np.mean(mirrored) < 0.6  # 520 tosses: 4.5 standard deviations
    assert mirrored[:COUNT] != mirrored[COUNT : 2 * COUNT]


def test_without_mirroring_nothing_is_mirrored():
    batch = feed().batch(0, 10 * COUNT, SIZE)
    assert torch.equal(to_uint8(batch.real), torch.from_numpy(pictures()[numbers(batch.real)]).permute(0, 3, 1, 2))


def cut_from(larger: np.ndarray, part: np.ndarray, tolerance: float) -> list[tuple[int, int]]:
    """Where a part (h, w, 3) lies in a larger picture."""
    windows = np.lib.stride_tricks.sliding_window_view(larger, part.shape[:2], axis=(0, 1)).transpose(0, 1, 3, 4, 2)
    return [*map(tuple, np.argwhere(np.abs(windows - part).max((2, 3, 4)) <= tolerance).tolist())]


def test_jitter_cuts_a_part_out_of_the_enlarged_picture_alike_on_both_sides():
    original = np.random.default_rng(3).integers(0, 256, (COUNT, *SIZE, 3), dtype=np.uint8)
    numbered = np.arange(COUNT, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(6, 2).repeat(3, 3)
    index = Feed(Dataset(numbered, "x"), 5, "cpu", jitter_px=6).batch(0, 30 * COUNT, SIZE)
    labels = Dataset(original, "x", original, source_is_labels=True)
    batch = Feed(labels, 5, "cpu", jitter_px=6).batch(0, 30 * COUNT, SIZE)  # twice as large
    seen = []
    for number, real, source in zip(numbers(index.real), batch.real, batch.source, strict=True):
        floats = original[number].astype(np.float32) / 127.5 - 1
        smooth = cv2.resize(floats, (12, 16), interpolation=cv2.INTER_CUBIC).clip(-1, 1)
        [place] = cut_from(smooth, real.permute(1, 2, 0).numpy(), 1e-4)
        assert place in cut_from(floats.repeat(2, 0).repeat(2, 1), source.permute(1, 2, 0).numpy(), 1e-6)
        seen.append(place)
    assert {top for top, _ in seen} == set(range(9))
    assert {left for _, left in seen} == set(range(7))
    assert seen[:COUNT] != seen[COUNT : 2 * COUNT]


def test_jitter_keeps_proportions_sizes_and_the_fixed_choice():
    assert _enlarged(Size(256, 256), 30) == Size(286, 286)
    assert _enlarged(Size(128, 256), 15) == Size(143, 286)
    jittered = feed(source=True, jitter_px=3)
    assert jittered.batch(0, 4, SIZE).real.is_contiguous(memory_format=torch.channels_last)
    assert jittered.batch(0, 4, SIZE).real.abs().max() <= 1
    assert jittered.batch(0, 4, Size(4, 3)).source.shape == (4, 3, 4, 3)
    assert torch.equal(jittered.reals(9, SIZE), feed(source=True).reals(9, SIZE))
    assert torch.equal(jittered.sources(9, SIZE), feed(source=True).sources(9, SIZE))


@pytest.mark.parametrize("jitter_px", [0, 1, 3])
@pytest.mark.parametrize("size", [SIZE, Size(5, 4), Size(4, 3)])
def test_labels_are_never_blended(jitter_px, size):
    labels = np.random.default_rng(0).choice(np.array([0, 51, 255], np.uint8), (COUNT, *SIZE, 3))
    paired = Feed(Dataset(pictures(), "x", labels, source_is_labels=True), 5, "cpu", True, jitter_px)
    for source in (paired.batch(0, 40, size).source, paired.sources(9, size)):
        assert set(to_uint8(source).unique().tolist()) == {0, 51, 255}
        assert torch.equal(source, to_float(to_uint8(source)))


def test_integer_factors_are_means_over_whole_pixels():
    full, half = feed().batch(0, 5, SIZE).real, feed().batch(0, 5, Size(4, 3)).real
    means = full.reshape(5, 3, 4, 2, 3, 2).mean((3, 5))
    assert torch.allclose(half, means, atol=1e-6)
    assert half.is_contiguous(memory_format=torch.channels_last)


def test_other_factors_shrink_too_and_flat_stays_flat():
    flat = Feed(Dataset(np.full((2, 8, 6, 3), 40, np.uint8), "x"), 0, "cpu")
    real = flat.batch(0, 3, Size(5, 4)).real
    assert real.shape == (3, 3, 5, 4)
    assert (to_uint8(real) == 40).all()


def test_a_larger_size_than_prepared_is_refused():
    with pytest.raises(DataError, match="prepared at 6x8"):
        feed().batch(0, 1, Size(9, 6))


def test_reals_are_a_fixed_choice_and_sources_go_with_them():
    paired = feed(source=True, mirror=True)
    first, more = paired.reals(4, SIZE), paired.reals(9, SIZE)
    assert first.dtype == torch.uint8
    assert torch.equal(more[:4], first)
    assert len(set(first[:, 0, 0, 0].tolist())) == 4
    assert torch.equal(feed(source=True).reals(4, SIZE), first)
    assert not torch.equal(feed(seed=6).reals(4, SIZE), first)
    chosen = first[:, 0, 0, 0].tolist()
    expected = torch.from_numpy(pictures(seed=1)[chosen]).permute(0, 3, 1, 2)
    assert torch.equal(paired.sources(4, SIZE), to_float(expected))
    assert feed().sources(4, SIZE) is None


class Halved(Source):
    """Half as bright, and without its first column, so that a mirrored picture has another source."""

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(given[..., :1]), given[..., 1:] / 2], dim=3)


@pytest.mark.parametrize("jitter_px", [0, 3])
def test_sources_are_derived_from_pictures_as_they_are_shown(monkeypatch, jitter_px):
    monkeypatch.setattr("artgen.data.feed._DERIVED", 3)
    derived = Feed(Dataset(pictures(), "x"), 5, "cpu", True, jitter_px, Halved())
    plain = feed(mirror=True, jitter_px=jitter_px)
    assert (derived.paired, plain.paired, feed(source=True).paired) == (True, False, True)
    for size in (SIZE, Size(4, 3)):
        batch = derived.batch(7, 20, size)
        assert torch.equal(batch.real, plain.batch(7, 20, size).real)
        assert torch.equal(batch.source, Halved()(batch.real))
        assert batch.source.is_contiguous(memory_format=torch.channels_last)
        assert derived.batch(7, 1, size, 0, 2).source.shape == (0, 3, *size)
    assert torch.equal(derived.sources(9, SIZE), Halved()(to_float(plain.reals(9, SIZE))))


def test_a_source_is_frozen_and_no_graph_is_kept():
    class Learns(Halved):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Conv2d(3, 3, 1)

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            return self.layer(given)

    source = Learns()
    batch = Feed(Dataset(pictures(), "x"), 5, "cpu", derive=source).batch(0, 4, SIZE)
    assert not batch.source.requires_grad
    assert not any(parameter.requires_grad for parameter in source.parameters())
    assert not source.training


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.floats(0.001, 0.9), st.integers(0, 99), st.integers(0, 10**9))
def test_held_out_pictures_are_never_shown_in_training(count, held_out, seed, images):
    dataset = Dataset(pictures(count), "x", pictures(count))
    if max(1, round(held_out * count)) == count:
        with pytest.raises(DataError, match="leaves none to learn from"):
            Feed(dataset, seed, "cpu", held_out=held_out)
        return
    parted = Feed(dataset, seed, "cpu", True, held_out=held_out)
    shown, kept = numbers(parted.batch(images, 3 * count, SIZE).real), parted.reals(count, SIZE)[:, 0, 0, 0].tolist()
    assert set(shown) | set(kept) == set(range(count))
    assert not set(shown) & set(kept)
    assert len(kept) == max(1, round(held_out * count))
    assert sorted(parted.all_real(SIZE)[:, 0, 0, 0].tolist()) == sorted(set(shown))
    assert numbers(parted.sources(count, SIZE)) == kept
    assert set(numbers(parted.sources(count, SIZE, training=True))) == set(shown)
    again = Feed(dataset, seed, "cpu", held_out=held_out)
    assert again.reals(count, SIZE)[:, 0, 0, 0].tolist() == kept


def test_another_seed_holds_other_pictures_out():
    kept = [Feed(Dataset(pictures(), "x"), seed, "cpu", held_out=0.4).reals(9, SIZE)[:, 0, 0, 0] for seed in range(5)]
    assert len({tuple(chosen.tolist()) for chosen in kept}) == 5


def test_without_held_out_pictures_all_are_shown_and_learnt():
    whole = feed(source=True)
    assert torch.equal(whole.reals(COUNT, SIZE), whole.all_real(SIZE))
    assert torch.equal(whole.reals(4, SIZE, training=True), whole.reals(4, SIZE))
    assert torch.equal(whole.sources(4, SIZE, training=True), whole.sources(4, SIZE))


@pytest.mark.parametrize("batch", [1, 4, 9])
def test_each_epoch_shows_each_picture_that_is_not_held_out_once(batch):
    parted = Feed(Dataset(pictures(), "x"), 5, "cpu", held_out=0.3)  # 4 of 13
    shown = [number for i in range(0, 36, batch) for number in numbers(parted.batch(i, batch, SIZE).real)]
    epochs = [Counter(shown[i : i + 9]) for i in range(0, 36, 9)]
    assert all(epoch == epochs[0] and set(epoch.values()) == {1} for epoch in epochs)


def test_reals_of_many_pictures_come_in_pieces(monkeypatch):
    expected = feed().all_real(SIZE)
    monkeypatch.setattr("artgen.data.feed._CHUNK", 3)
    assert torch.equal(feed().all_real(SIZE), expected)
    assert sorted(expected[:, 0, 0, 0].tolist()) == list(range(COUNT))
    assert len(feed().reals(1000, SIZE)) == COUNT
    assert feed().reals(2, Size(4, 3)).shape == (2, 3, 4, 3)


def test_a_data_set_mapped_from_disk(tmp_path):
    np.save(tmp_path / "x.npy", pictures())
    mapped = Dataset(np.load(tmp_path / "x.npy", mmap_mode="r"), "x")
    assert same(Feed(mapped, 5, "cpu").batch(3, 9, SIZE), feed().batch(3, 9, SIZE))


def test_an_empty_data_set_is_refused():
    with pytest.raises(DataError):
        Feed(Dataset(pictures(0), "x"), 0, "cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("resident", [True, False])
def test_the_gpu_sees_the_same_pictures(monkeypatch, resident):
    if not resident:
        monkeypatch.setattr("artgen.data.feed._RESIDENT_SHARE", 0)
    monkeypatch.setattr("artgen.data.feed._CHUNK", 5)
    dataset = Dataset(pictures(), "x", pictures(seed=1))
    on_gpu = Feed(dataset, 5, "cuda", mirror=True)
    jittered, on_cpu = (Feed(dataset, 5, device, jitter_px=3).batch(3, 20, SIZE) for device in ("cuda", "cpu"))
    assert torch.allclose(jittered.real.cpu(), on_cpu.real, atol=1e-5)
    assert isinstance(on_gpu._real, torch.Tensor) == resident
    batch, expected = on_gpu.batch(3, 20, SIZE), Feed(dataset, 5, "cpu", mirror=True).batch(3, 20, SIZE)
    assert same(Batch(batch.real.cpu(), batch.source.cpu()), expected)
    assert batch.real.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(on_gpu.all_real(SIZE).cpu(), Feed(dataset, 5, "cpu").all_real(SIZE))
