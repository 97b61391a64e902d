"""Pictures in pieces: what losses measure in tiles, and the gradient, are those of the whole picture."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from artgen import RecipeError
from artgen.training import Augmentation, Batch, Features, Losses, LossTerm, Outputs, Style
from artgen_style.look import Look, pieces_of

pytestmark = pytest.mark.usefixtures("one_thread")


class Layers(Features):
    """Three layers of strides 1, 2 and 4, as a convolutional network has them: no padding tells where a tile ends."""

    layers = ("fine", "middle", "coarse")
    style_layers = ("fine", "coarse")
    content_layers = ("middle",)
    strides = (1, 2, 4)
    reach_px = 1 + 2 + 4 + 3  # of the three convolutions, and rounding

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.steps = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in ((3, 4), (4, 5), (5, 6)))
        self.double().requires_grad_(False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        found, x = [], pictures
        for step in self.steps:
            if found:
                x = nn.functional.max_pool2d(x, 2)
            x = step(x).relu()
            found.append(x)
        return tuple(found)


class Means:
    """Compares weighted sums of activations and their products with those of the style."""

    def measure(self, outputs: Outputs) -> tuple[tuple[Tensor, ...], ...]:
        return tuple(self._sums(outputs, region) for region in outputs.regions)

    def _sums(self, outputs: Outputs, region) -> tuple[Tensor, ...]:
        sums = []
        for layer in ("fine", "coarse"):
            f = outputs.made_features[layer]
            t = torch.ones_like(f[:, :1]) if region is None else region[layer].expand_as(f[:, :1])
            sums += [t.sum((1, 2, 3)), torch.einsum("nxhw,nchw,ndhw->ncd", t, f, f)]
        return tuple(sums)

    def generator(self, outputs: Outputs) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for wanted in outputs.styles:
            made, style = outputs.measured[self][wanted.region], wanted.measured[self]
            for at in (0, 2):
                gram = made[at + 1] / made[at][:, None, None] - style[at + 1] / style[at][:, None, None]
                total = total + wanted.weight * gram.square().sum()
        return total


class Near:
    """Squared distance of activations from those of the content."""

    def measure(self, outputs: Outputs) -> tuple[tuple[Tensor, ...], ...]:
        far = outputs.made_features["middle"] - outputs.source_features["middle"]
        return ((far.square().sum((1, 2, 3)), torch.full((len(far),), far[0].numel(), dtype=far.dtype)),)

    def generator(self, outputs: Outputs) -> Tensor:
        ((squares, count),) = outputs.measured[self]
        return (squares / count).sum()


LOSSES = {
    "means": LossTerm(Means(), needs={"generator": ("made_features", "styles", "measured")}),
    "near": LossTerm(Near(), needs={"generator": ("made_features", "source_features", "measured")}),
}


def batch_of(height: int, width: int, pictures: int = 1, masked: bool = False) -> Batch:
    torch.manual_seed(2)
    draw = torch.Generator().manual_seed(3)

    def picture(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=draw, dtype=torch.float64) * 2 - 1

    where = (picture(1, 1, height, width) + 1) / 2 if masked else None
    part = (picture(1, 1, 30, 41) + 1) / 2 if masked else None
    styles = (Style(picture(1, 3, 30, 41), 1.0, where, part), Style(picture(1, 3, 26, 22), 3.0))
    return Batch(picture(pictures, 3, height, width), styles=styles)


def judged(batch: Batch, pieces: int) -> tuple[Tensor, Tensor]:
    """The loss of a canvas, and its gradient."""
    look = Look(Layers(), Augmentation(), Losses(LOSSES))
    x = (batch.real.flip(3) * 0.5).requires_grad_()
    with torch.no_grad():
        wanted = look.begin(batch, pieces)
    look.draw(batch)
    outputs = look.at(x)
    loss, _ = look.losses("generator", replace(outputs, styles=wanted), 0)
    loss.backward()
    return loss.detach(), x.grad


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [(32, 32), (45, 38), (31, 67)])
@pytest.mark.parametrize(("pictures", "pieces"), [(1, 2), (1, 4), (1, 9), (1, 30), (3, 2), (3, 3), (3, 12)])
def test_pieces_have_the_loss_and_the_gradient_of_the_whole(size, pictures, pieces, masked):
    batch = batch_of(*size, pictures, masked)
    whole, parts = judged(batch, 1), judged(batch, pieces)
    torch.testing.assert_close(parts[0], whole[0], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(parts[1], whole[1], rtol=1e-8, atol=1e-12)
    assert whole[1].abs().max() > 1e-5


@pytest.mark.parametrize("shape", [(1, 3, 50, 70), (5, 3, 16, 16), (2, 3, 129, 64)])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 40])
def test_pieces_cover_every_pixel_once(shape, count):
    covered = torch.zeros(shape[0], *shape[2:])
    for piece in pieces_of(shape, count, 16):
        covered[piece.pictures, piece.rows, piece.columns] += 1
        assert piece.rows.start % 16 == piece.columns.start % 16 == 0
    assert bool((covered == 1).all())


def test_weights_of_styles_are_shares_of_their_region_and_of_the_canvas():
    batch = batch_of(32, 32, masked=True)
    look = Look(Layers(), Augmentation(), Losses(LOSSES))
    masked, free = look.begin(batch, 1)
    assert masked.region != free.region
    assert masked.weight == pytest.approx(float(batch.styles[0].where.mean()))
    assert free.weight == 1.0
    look = Look(Layers(), Augmentation(), Losses(LOSSES))
    together = look.begin(batch_of(32, 32), 1)
    assert [(wanted.region, wanted.weight) for wanted in together] == [(0, 0.25), (0, 0.75)]


def test_a_picture_comes_out_alike_in_whatever_company():
    batch = batch_of(24, 24, pictures=3)
    together = judged(batch, 1)[1]
    for index in range(3):
        alone = judged(Batch(batch.real[index : index + 1], styles=batch.styles), 1)[1]
        torch.testing.assert_close(alone[0], together[index])


class Draws(Means):
    """Draws while it measures: every tile has to draw alike."""

    def measure(self, outputs: Outputs) -> tuple[tuple[Tensor, ...], ...]:
        return (*super().measure(outputs), (torch.rand(1, dtype=torch.float64),))


def test_every_tile_draws_alike_and_the_next_step_otherwise():
    loss = Draws()
    look = Look(Layers(), Augmentation(), Losses({"draws": LossTerm(loss, needs=LOSSES["means"].needs)}))
    batch = batch_of(32, 32)
    look.begin(batch, 4)
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        look.draw(batch)
        drawn.append(float(look.at(batch.real).measured[loss][-1][0]))
        torch.manual_seed(seed)
        assert drawn[-1] == pytest.approx(4 * float(torch.rand(1, dtype=torch.float64)))
    assert drawn[0] != drawn[1]


def test_pieces_have_the_draws_of_the_whole_and_leave_the_state_that_it_leaves():
    batch, after = batch_of(32, 32), []
    for pieces in (1, 2, 9):
        loss = Draws()
        look = Look(Layers(), Augmentation(), Losses({"draws": LossTerm(loss, needs=LOSSES["means"].needs)}))
        look.begin(batch, pieces)
        torch.manual_seed(5)
        look.draw(batch)
        look.at(batch.real)
        after.append(float(torch.rand(())))
    assert after == [after[0]] * 3


def test_activations_of_contents_that_nobody_asks_for_are_dropped():
    look = Look(Layers(), Augmentation(), Losses(LOSSES))
    batch = batch_of(32, 32)
    look.begin(batch, 1)
    look.draw(batch)
    look.at(batch.real)
    assert set(look.source_features) == {"middle"}


class Flip(Augmentation):
    def draw(self, count, device):
        return torch.rand(count, 1, 1, 1) < 2

    def apply_draw(self, pictures, drawn):
        return torch.where(drawn, pictures.flip(3), pictures)


def test_an_augmentation_befalls_canvas_and_contents_alike_and_no_masks():
    batch = batch_of(32, 32)
    look = Look(Layers(), Flip(), Losses(LOSSES))
    look.begin(batch, 1)
    look.draw(batch)
    outputs = look.at(batch.real)
    for layer, activation in outputs.made_features.items():
        torch.testing.assert_close(outputs.source_features[layer], activation)
    with pytest.raises(RecipeError, match="masks"):
        Look(Layers(), Flip(), Losses(LOSSES)).begin(batch_of(32, 32, masked=True), 1)


def test_features_without_strides_are_looked_at_whole():
    features = Layers()
    features.strides = ()
    assert not Look(features, Augmentation(), Losses(LOSSES)).splits
    assert Look(Layers(), Augmentation(), Losses(LOSSES)).splits
    look = Look(features, Augmentation(), Losses(LOSSES))
    look.begin(batch_of(30, 30, masked=True), 1)
    assert [tuple(look.regions[0][layer].shape[2:]) for layer in Layers.layers] == [(30, 30), (15, 15), (7, 7)]


def test_features_that_do_not_name_their_layers_are_refused():
    features = Layers()
    features.layers = ()
    with pytest.raises(RecipeError, match="layers are called"):
        Look(features, Augmentation(), Losses(LOSSES))


def test_losses_on_pixels_need_no_features():
    look = Look(None, Augmentation(), Losses({}))
    batch = batch_of(20, 20, masked=True)
    wanted = look.begin(batch, 1)
    outputs = look.at(batch.real)
    assert outputs.made is batch.real
    assert outputs.source is batch.real
    assert [each.picture.shape for each in wanted] == [(1, 3, 30, 41), (1, 3, 26, 22)]
    assert list(itertools.chain(*(region or () for region in outputs.regions))) == ["pixels"]
