"""SqueezeNet against an independent run of its layers, and the door through which its weights come."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn.functional import conv2d, max_pool2d

from artgen import DataError, field_help
from artgen.data.pixels import to_float
from artgen_metrics.kid import kernel_distance
from artgen_squeezenet import SqueezeNetOptions, artgen_features
from artgen_squeezenet.network import SqueezeNet, build


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1632)


def built(path):
    return build(SqueezeNetOptions(weights=str(path)))


def by_hand(state, pictures):
    """The network as a list of calls, from the names of its tensors alone."""

    def conv(x, name, **how):
        return conv2d(x, state[f"features.{name}.weight"], state[f"features.{name}.bias"], **how).relu()

    x = (pictures + 1) / 2
    x = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    x = conv(x, 0, stride=2)
    activations = [x]
    for number in range(2, 13):
        if number in (2, 5, 8):
            x = max_pool2d(x, 3, 2, ceil_mode=True)
            continue
        squeezed = conv(x, f"{number}.squeeze")
        wide = conv(squeezed, f"{number}.expand3x3", padding=1)
        x = torch.cat([conv(squeezed, f"{number}.expand1x1"), wide], dim=1)
        activations.append(x)
    return activations


def test_the_component_loads_and_its_hook_module_imports_no_torch():
    (component,) = artgen_features()
    assert component.load() is build
    assert field_help(component.options).keys() == component.options.model_fields.keys()
    code = "import sys, artgen_squeezenet; sys.exit(bool({'torch', 'numpy', 'safetensors'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_is_the_network_of_the_paper_and_frozen():
    network = SqueezeNet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 722_496
    assert len(network.state_dict()) == 50
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("size", [(64, 64), (17, 40)])
def test_activations_are_those_of_the_layers_called_one_by_one(size):
    network, pictures = SqueezeNet(), torch.rand(2, 3, *size) * 2 - 1
    activations = network(pictures)
    assert [activation.shape[1] for activation in activations] == [64, 128, 128, 256, 256, 384, 384, 512, 512]
    for ours, theirs in zip(activations, by_hand(network.state_dict(), pictures), strict=True):
        torch.testing.assert_close(ours, theirs)
    embedded = network.embed(pictures)
    torch.testing.assert_close(embedded.norm(dim=1), torch.full((2,), 512**0.5))
    torch.testing.assert_close(
        torch.cosine_similarity(embedded, activations[-1].mean(dim=(2, 3))), torch.ones(2), rtol=1e-5, atol=1e-5
    )


def test_it_tells_its_layers():
    network = SqueezeNet()
    assert network.layers == ("conv1", *(f"fire{number}" for number in range(2, 10)))
    assert set(network.layers) - set(network.style_layers) == {"fire7", "fire8"}
    sides = [activation.shape[2] for activation in network(torch.zeros(1, 3, 401, 17))]
    assert [round(400 / side) for side in sides] == list(network.strides)


def test_an_activation_looks_as_far_as_it_is_told_and_no_further():
    """Where all weights are positive, more light anywhere in the field of an activation makes it brighter."""
    network = SqueezeNet().double()
    for parameter in network.parameters():
        parameter.fill_(1 / parameter[0].numel() if parameter.dim() == 4 else 0)
    first, last = 7 * 16 - 88, 8 * 16 - 1 + network.reach_px
    pictures = torch.full((5, 3, 17, 264), 0.5, dtype=torch.float64)
    for index, column in enumerate((first - 1, first, last, last + 1)):
        pictures[index, :, :, column] = 1.0
    seen = network(pictures)[-1][:, :, 0, 7]
    assert [bool((one > seen[4]).any()) for one in seen] == [False, True, True, False, False]


@pytest.mark.parametrize("size", [(265, 292), (288, 304)])
@pytest.mark.parametrize("part", [(0, 128, 0, 144), (128, 144, 128, 160), (144, None, 160, None)])
def test_a_tile_has_the_activations_of_the_whole_picture(size, part):
    network, picture = SqueezeNet(), torch.rand(1, 3, *size) * 2 - 1
    for parameter in network.parameters():
        torch.nn.init.kaiming_normal_(parameter) if parameter.dim() == 4 else torch.nn.init.normal_(parameter, std=0.1)
    top, bottom, left, right = part[0], part[1] or size[0], part[2], part[3] or size[1]
    above, before = max(top - 112, 0), max(left - 112, 0)
    tile = network(picture[:, :, above : bottom + 103, before : right + 103])
    for stride, of_tile, of_whole in zip(network.strides, tile, network(picture), strict=True):
        ours = of_tile[:, :, (top - above) // stride :, (left - before) // stride :]
        theirs = of_whole[:, :, top // stride : -(-bottom // stride), left // stride : -(-right // stride)]
        ours = ours[:, :, : theirs.shape[2], : theirs.shape[3]]
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5 * float(of_whole.max()))


def test_a_gradient_reaches_the_pictures():
    pictures = torch.rand(1, 3, 32, 32, requires_grad=True)
    SqueezeNet()(pictures)[4].square().sum().backward()
    assert pictures.grad.abs().sum() > 0


def test_too_small_pictures_are_refused():
    with pytest.raises(DataError, match="16x20"):
        SqueezeNet()(torch.zeros(1, 3, 20, 16))


def test_safetensors_of_a_whole_torchvision_network_load(tmp_path):
    state = SqueezeNet().state_dict()
    save_file({**state, "classifier.1.bias": torch.zeros(1000)}, tmp_path / "net.safetensors")
    loaded = built(tmp_path / "net.safetensors")
    assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def without(state):
    del state["features.7.squeeze.bias"]


def extra(state):
    state["features.13.weight"] = torch.zeros(1)


def broadcast(state):
    state["features.0.bias"] = torch.zeros(1)


def nan(state):
    state["features.0.bias"] = torch.zeros(64).index_fill(0, torch.tensor(5), torch.nan)


def whole(state):
    state["features.0.bias"] = torch.zeros(64, dtype=torch.int64)


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (without, "'features.7.squeeze.bias' is missing"),
        (extra, "'features.13.weight' is unknown"),
        (broadcast, "'features.0.bias' is \\[1\\], not \\[64\\]"),
        (nan, "'features.0.bias' holds something else"),
        (whole, "'features.0.bias' holds something else"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, damage, cause):
    state = dict(SqueezeNet().state_dict())
    damage(state)
    save_file(state, tmp_path / "net.safetensors")
    with pytest.raises(DataError, match=cause) as caught:
        built(tmp_path / "net.safetensors")
    assert "net.safetensors" in caught.value.place
    assert caught.value.remedy


class Canary:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ["net.pt", "net.safetensors", "net"])
def test_an_unknown_pickle_is_refused_and_not_run(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Canary(tmp_path / "ran")))
    with pytest.raises(DataError, match=r"is not opened|not a safetensors file"):
        built(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\xff" * 64, b"\x02\0\0\0\0\0\0\0[]"])
def test_damaged_safetensors_are_refused(tmp_path, content):
    (tmp_path / "net.safetensors").write_bytes(content)
    with pytest.raises(DataError):
        built(tmp_path / "net.safetensors")


def test_what_is_no_file_or_too_large_is_refused(tmp_path):
    for path in (tmp_path / "missing.pt", tmp_path):
        with pytest.raises(DataError, match="no such file"):
            built(path)
    with (tmp_path / "large.pt").open("wb") as file:
        file.truncate(16_000_001)
    with pytest.raises(DataError, match="larger than"):
        built(tmp_path / "large.pt")


def test_real_halves_are_near_zero_and_blurred_ones_far(shared_data):
    """The scale of the house: 0 +- 5 for halves of the painted faces, times 1000, and over 1000 for blurred ones."""
    files = sorted((shared_data / "faces" / "painted64").glob("*.jpg"))[::3]
    real = torch.stack([torch.from_numpy(np.array(Image.open(file).convert("RGB"))) for file in files])
    real = real.permute(0, 3, 1, 2)[torch.randperm(len(real))]
    blurred = torch.nn.functional.avg_pool2d(real.float(), 5, 1, 2).to(torch.uint8)
    network = built(shared_data / "weights" / "squeezenet1_1_features.pt")
    half, other, soft = (network.embed(to_float(x)).double() for x in (real[:156], real[156:], blurred[:156]))
    assert abs(kernel_distance(half, other).item()) < 0.06
    assert kernel_distance(soft, other).item() > 1


def test_the_pinned_weights_tell_a_picture_from_its_noise(shared_data):
    network = built(shared_data / "weights" / "squeezenet1_1_features.pt")
    plain = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    noisy = (plain + 0.3 * torch.randn(1, 3, 64, 64)).clamp(-1, 1)
    a, b, c = network.embed(torch.cat([plain, plain.flip(3), noisy]))
    assert a.isfinite().all()
    assert torch.cosine_similarity(a, b, 0) > torch.cosine_similarity(a, c, 0)
