"""The contract tests of artgen, and what only this package can know."""

import torch
from artgen.testing import GeneratorContract, LossContract, PluginContract
from artgen.training import Outputs, Size

from artgen_glass import GlassOptions, PaletteOptions
from artgen_glass.loss import Palette
from artgen_glass.network import StainedGlass


class TestPlugin(PluginContract):
    plugin = "glass"


class TestGenerator(GeneratorContract):
    component = "stained-glass"
    options = {"width": 8, "panes": 4}


class TestLoss(LossContract):
    component = "palette"


def test_the_lead_is_black_and_the_middle_of_a_pane_has_its_colour():
    window = StainedGlass(GlassOptions(panes=2, width=4), Size(33, 33))
    with torch.no_grad():
        window.to_panes.weight.zero_()
        # Two panes, above and below: red and blue.
        window.to_panes.bias.copy_(torch.tensor([-0.5, 0, 9, -9, -9, 0.5, 0, -9, -9, 9]))
        picture = window(torch.zeros(1, 32))[0]
    torch.testing.assert_close(picture[:, 0, 16], torch.tensor([1.0, -1, -1]), atol=1e-3, rtol=0)
    torch.testing.assert_close(picture[:, 32, 16], torch.tensor([-1.0, -1, 1]), atol=1e-3, rtol=0)
    torch.testing.assert_close(picture[:, 16, 16], torch.tensor([-1.0, -1, -1]), atol=1e-3, rtol=0)


def test_colours_of_the_palette_cost_nothing():
    palette = Palette(PaletteOptions(colours=((255, 0, 0), (0, 0, 255))))
    red = torch.tensor([1.0, -1, -1])[None, :, None, None].expand(2, 3, 4, 4)
    assert palette.generator(Outputs(fake=red)) == 0
    torch.testing.assert_close(palette.generator(Outputs(fake=-red)), torch.tensor(4 / 3))  # cyan: blue lacks green
