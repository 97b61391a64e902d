"""VGG-19 against an independent run of its layers, and the doors through which its weights come."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d

from artgen import DataError, field_help
from artgen.download import Published, pinned
from artgen_vgg import VGG19Options, artgen_features, weights
from artgen_vgg.network import VGG19, build

# Table 1 of the paper, column E, in torchvision's count: ReLUs and poolings have numbers too.
SHAPES = {
    0: (64, 3), 2: (64, 64),
    5: (128, 64), 7: (128, 128),
    10: (256, 128), 12: (256, 256), 14: (256, 256), 16: (256, 256),
    19: (512, 256), 21: (512, 512), 23: (512, 512), 25: (512, 512),
    28: (512, 512),
}  # fmt: skip
NAMES = [f"relu{block}_{number}" for block, last in enumerate((2, 2, 4, 4, 1), 1) for number in range(1, last + 1)]


@pytest.fixture(scope="module")
def state():
    """Random weights that keep the size of activations (He et al. 2015)."""
    draw = torch.Generator().manual_seed(1632)
    drawn = {}
    for number, (outer, inner) in SHAPES.items():
        drawn[f"features.{number}.weight"] = torch.randn(outer, inner, 3, 3, generator=draw) * (2 / (9 * inner)) ** 0.5
        drawn[f"features.{number}.bias"] = torch.randn(outer, generator=draw) * 0.1
    return drawn


@pytest.fixture(scope="module")
def file(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    save_file(state, path)
    return path


@pytest.fixture
def pictures():
    return torch.rand(2, 3, 37, 50, generator=torch.Generator().manual_seed(3)) * 2 - 1


def built(path, **options):
    return build(VGG19Options(weights=str(path), **options))


def by_hand(state, x, pool=lambda x: max_pool2d(x, 2)):
    """The network as a list of calls, from the names of its tensors alone."""
    activations = []
    for number in SHAPES:
        if number in (5, 10, 19, 28):
            x = pool(x)
        x = conv2d(x, state[f"features.{number}.weight"], state[f"features.{number}.bias"], padding=1).relu()
        activations.append(x)
    return activations


def as_torchvision(pictures):
    x = (pictures + 1) / 2
    return (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def as_caffe(pictures):
    x = ((pictures + 1) / 2 * 255)[:, [2, 1, 0]]
    return x - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)


def test_the_component_loads_and_its_hook_module_imports_no_torch():
    (component,) = artgen_features()
    assert component.load() is build
    assert field_help(component.options).keys() == component.options.model_fields.keys()
    code = (
        "import sys, artgen_vgg; sys.exit(bool({'torch', 'numpy', 'safetensors', 'urllib.request'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_is_the_network_of_the_paper_and_frozen():
    network = VGG19()
    assert sum(parameter.numel() for parameter in network.parameters()) == 12_944_960
    assert {name: tuple(p.shape[:2]) for name, p in network.named_parameters() if p.dim() == 4} == {
        f"features.{number}.weight": shape for number, shape in SHAPES.items()
    }
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert list(network.layers) == NAMES
    assert network.strides == (1, 1, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 16)


@pytest.mark.parametrize(("origin", "colours"), [("torchvision", as_torchvision), ("caffe", as_caffe)])
def test_activations_are_those_of_the_layers_called_one_by_one(state, file, pictures, origin, colours):
    network = built(file, origin=origin)
    activations = network(pictures)
    for ours, theirs in zip(activations, by_hand(state, colours(pictures)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.max()))
    embedded = network.embed(pictures)
    torch.testing.assert_close(embedded.norm(dim=1), torch.full((2,), 512**0.5))
    torch.testing.assert_close(torch.cosine_similarity(embedded, activations[-1].mean(dim=(2, 3))), torch.ones(2))


POOLS = {"average": lambda x: 2.0 * avg_pool2d(x, 2), "l2": lambda x: 0.78 * (4 * avg_pool2d(x * x, 2)).sqrt()}


@pytest.mark.parametrize("pooling", POOLS)
def test_other_poolings_are_rescaled(state, file, pictures, pooling):
    activations = built(file, pooling=pooling)(pictures)
    for ours, theirs in zip(activations, by_hand(state, as_torchvision(pictures), POOLS[pooling]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.max()))


@pytest.mark.parametrize("pooling", ["max", "average", "l2"])
def test_gradients_are_finite_also_where_all_is_dark(file, pooling):
    pictures = torch.zeros(1, 3, 32, 32).index_fill(2, torch.arange(16), -1).requires_grad_()
    (gradient,) = torch.autograd.grad(built(file, pooling=pooling)(pictures)[-1].sum(), pictures)
    assert gradient.isfinite().all()
    assert gradient.any()


def test_too_small_pictures_are_refused():
    with pytest.raises(DataError, match="15x20"):
        VGG19()(torch.zeros(1, 3, 20, 15))


@pytest.mark.parametrize("pooling", ["max", "average", "l2"])
def test_an_activation_looks_as_far_as_it_is_told_and_no_further(pooling):
    """Where all weights are positive, more light anywhere in the field of an activation makes it brighter."""
    network = VGG19(pooling).double()
    for parameter in network.parameters():
        parameter.fill_(1 / (9 * parameter.shape[1]) if parameter.dim() == 4 else 0)
    first, last = 5 * 16 - network.reach_px, 6 * 16 - 1 + network.reach_px
    pictures = torch.full((5, 3, 16, 192), 0.5, dtype=torch.float64)
    for index, column in enumerate((first - 1, first, last, last + 1)):
        pictures[index, :, :, column] = 1.0
    seen = network(pictures)[-1][:, :, 0, 5]
    assert [bool((one > seen[4]).any()) for one in seen] == [False, True, True, False, False]


@pytest.mark.parametrize("size", [(215, 233), (224, 256)])
@pytest.mark.parametrize("part", [(0, 96, 0, 112), (96, 128, 80, 144), (112, None, 128, None)])
def test_a_tile_has_the_activations_of_the_whole_picture(file, size, part):
    network = built(file)
    picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(5)) * 2 - 1
    top, bottom, left, right = part[0], part[1] or size[0], part[2], part[3] or size[1]
    above, before = max(top - 80, 0), max(left - 80, 0)
    tile = network(picture[:, :, above : bottom + 70, before : right + 70])
    for stride, of_tile, of_whole in zip(network.strides, tile, network(picture), strict=True):
        ours = of_tile[:, :, (top - above) // stride :, (left - before) // stride :]
        theirs = of_whole[:, :, top // stride : bottom // stride, left // stride : right // stride]
        ours = ours[:, :, : theirs.shape[2], : theirs.shape[3]]
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5 * float(of_whole.max()))


# Weights


@pytest.fixture
def published(monkeypatch, state):
    """Pickles of the whole network, random as they are, under the names of the published ones."""

    def publish(folder, origin, *, zipped=True):
        folder.mkdir(parents=True, exist_ok=True)
        url = weights.ORIGINS[origin].published.url
        path = folder / url.rpartition("/")[2]
        whole = state | {"features.30.bias": torch.ones(512), "classifier.0.bias": torch.ones(4096)}
        torch.save(whole, path, _use_new_zipfile_serialization=zipped)
        mine = Published(f"https://nowhere.invalid/{path.name}", hashlib.sha256(path.read_bytes()).hexdigest())
        monkeypatch.setitem(weights.ORIGINS, origin, replace(weights.ORIGINS[origin], published=mine))
        return path

    return publish


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """An empty cache of artgen's and an empty one of torch hub's, and no network."""
    monkeypatch.setenv("ARTGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("artgen.download.urlopen", refuse)
    return tmp_path / "cache" / "weights", tmp_path / "torch" / "hub" / "checkpoints"


def refuse(*given, **more):
    raise OSError("no network here")


def test_digests_are_those_in_the_names():
    for origin in weights.ORIGINS.values():
        name = origin.published.name
        assert name == f"vgg19-{origin.published.sha256[:8]}.pth"
        assert origin.published.url.startswith("https://")


@pytest.mark.parametrize(("origin", "colours"), [("torchvision", as_torchvision), ("caffe", as_caffe)])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_published_file_says_itself_whose_it_is(published, tmp_path, state, pictures, origin, colours, zipped):
    path = published(tmp_path, origin, zipped=zipped)
    other = "caffe" if origin == "torchvision" else "torchvision"
    shallow = built(path, origin=other)(pictures)[0]
    torch.testing.assert_close(shallow, by_hand(state, colours(pictures))[0], rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("origin", ["torchvision", "caffe"])
def test_what_torch_hub_has_is_cut_once_and_kept(published, places, state, pictures, origin):
    cache, hub = places
    whole = published(hub, origin)
    first = build(VGG19Options(origin=origin))(pictures)
    assert whole.exists()
    cut = cache / f"vgg19-{origin}.safetensors"
    assert pinned(cut)
    with safe_open(cut, framework="pt") as file:
        assert set(file.keys()) == state.keys()
        assert all(torch.equal(file.get_tensor(name), tensor) for name, tensor in state.items())
        assert file.metadata()["origin"] == origin
        assert file.metadata()["cut_from_sha256"] == hashlib.sha256(whole.read_bytes()).hexdigest()
    whole.unlink()
    for again in (VGG19Options(origin=origin), VGG19Options(weights=str(cut))):  # the small file says whose it is
        assert all(torch.equal(x, y) for x, y in zip(first, build(again)(pictures), strict=True))


def test_what_lies_in_artgens_cache_comes_before_torch_hub(published, places):
    cache, hub = places
    whole = published(cache, "torchvision")
    hub.mkdir(parents=True)
    hub.joinpath(whole.name).write_bytes(b"not looked at")
    build(VGG19Options())
    assert whole.exists()


def test_a_small_file_that_was_damaged_is_told_where_it_was_named(published, places):
    cache, hub = places
    published(hub, "torchvision")
    build(VGG19Options())
    cut = cache / "vgg19-torchvision.safetensors"
    content = bytearray(cut.read_bytes())
    content[-1] ^= 1
    cut.write_bytes(content)
    with pytest.raises(DataError, match="it is damaged"):
        built(cut)
    build(VGG19Options())  # but where nothing is named, it is made anew
    built(cut)


def test_without_weights_and_network_it_says_what_can_be_done(places):
    with pytest.raises(DataError) as caught:
        build(VGG19Options())
    said = str(caught.value)
    for place in places:
        assert str(place / "vgg19-dcbb9e9d.pth") in said
    assert "no network here" in said
    assert "curl -fLO https://download.pytorch.org/models/vgg19-dcbb9e9d.pth" in said
    assert "[features.wavelets]" in said
    assert "[features.squeezenet]" in said


def missing(state):
    del state["features.28.bias"]


def broadcast(state):
    state["features.0.bias"] = torch.zeros(1)


def nan(state):
    state["features.0.bias"] = torch.zeros(64).index_fill(0, torch.tensor(5), torch.nan)


def whole(state):
    state["features.0.bias"] = torch.zeros(64, dtype=torch.int64)


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (missing, "'features.28.bias' is missing"),
        (broadcast, "'features.0.bias' is \\[1\\], not \\[64\\]"),
        (nan, "'features.0.bias' holds something else"),
        (whole, "'features.0.bias' holds something else"),
    ],
)
def test_weights_that_do_not_fit_are_refused(state, tmp_path, damage, cause):
    changed = dict(state)
    damage(changed)
    save_file(changed, tmp_path / "net.safetensors")
    with pytest.raises(DataError, match=cause) as caught:
        built(tmp_path / "net.safetensors")
    assert "net.safetensors" in caught.value.place
    assert caught.value.remedy


def test_half_precision_weights_and_other_tensors_are_taken(state, tmp_path, pictures):
    half = {name: tensor.half() for name, tensor in state.items()} | {"classifier.0.bias": torch.zeros(4096)}
    save_file(half, tmp_path / "net.safetensors", {"origin": "somewhere"})
    network = built(tmp_path / "net.safetensors")
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    torch.testing.assert_close(network(pictures)[0], by_hand(state, as_torchvision(pictures))[0], rtol=0.01, atol=0.01)


class Canary:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ["vgg19-dcbb9e9d.pth", "net.safetensors", "net"])
def test_an_unknown_pickle_is_refused_and_not_run(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Canary(tmp_path / "ran")))
    with pytest.raises(DataError, match=r"is not opened|cannot be read"):
        built(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_a_pickle_that_has_the_digest_is_still_read_as_tensors_alone(tmp_path, monkeypatch):
    forged = tmp_path / "net.pth"
    forged.write_bytes(pickle.dumps(Canary(tmp_path / "ran"), protocol=2))
    mine = Published("https://nowhere.invalid/net.pth", hashlib.sha256(forged.read_bytes()).hexdigest()[:8])
    monkeypatch.setitem(weights.ORIGINS, "caffe", replace(weights.ORIGINS["caffe"], published=mine))
    with pytest.raises(DataError, match="something else than tensors"):
        built(forged)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\xff" * 64, b"\x02\0\0\0\0\0\0\0[]"])
def test_damaged_safetensors_are_refused(tmp_path, content):
    (tmp_path / "net.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        built(tmp_path / "net.safetensors")


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path / "missing.pth", tmp_path):
        with pytest.raises(DataError, match="no such file"):
            built(path)
