"""A `[[phase]]` with `from` and `to` is short for a phase at each size between them."""

from __future__ import annotations

import json
import tomllib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artgen import RecipeError
from artgen.recipe import load_recipe
from artgen.recipe.load import load_traced
from artgen.recipe.origin import traced

from .toys import RECIPE, toys

PLAIN = RECIPE[: RECIPE.index("[[phase]]")].replace("resolution = [32, 24]", "resolution = 64")
GROWN = "[[phase]]\nfrom = 8\nto = 64\nimages = [100, 200, 300, 400]\nbatch = 4\nfade = 0.5\n"


@pytest.fixture
def load(tmp_path):
    """Load a recipe whose schedule is this text, with the toys installed."""

    def load(schedule, *overrides):
        (tmp_path / "recipe.toml").write_text(PLAIN + schedule)
        return load_recipe(tmp_path / "recipe.toml", plugins=toys(), overrides=overrides)

    return load


def told(recipe):
    return [(phase.size, phase.images, phase.batch, phase.fade, phase.learning_rate_factor) for phase in recipe.phases]


def test_every_level_has_a_phase_and_the_first_has_nothing_to_fade(load):
    assert told(load(GROWN)) == [
        ((8, 8), 100, 4, 0.0, 1.0),
        ((16, 16), 200, 4, 0.5, 1.0),
        ((32, 32), 300, 4, 0.5, 1.0),
        ((64, 64), 400, 4, 0.5, 1.0),
    ]


def test_one_number_is_for_all_levels(load):
    schedule = "[[phase]]\nfrom = 16\nto = 64\nimages = 7\nbatch = [4, 2, 1]\nlearning_rate_factor = [1, 1.5, 2]\n"
    assert told(load(schedule)) == [
        ((16, 16), 7, 4, 0.0, 1.0),
        ((32, 32), 7, 2, 0.0, 1.5),
        ((64, 64), 7, 1, 0.0, 2.0),
    ]


def test_a_doubling_may_take_several_levels(load):
    """Two of them are the pyramid of factor sqrt(2) that K. Crowson's style transfer has."""
    schedule = "[[phase]]\nfrom = 16\nto = 64\nper_doubling = 2\nimages = [5, 4, 3, 2, 1]\nbatch = 1\nfade = 0.5\n"
    assert told(load(schedule)) == [
        ((16, 16), 5, 1, 0.0, 1.0),
        ((23, 23), 4, 1, 0.5, 1.0),
        ((32, 32), 3, 1, 0.5, 1.0),
        ((45, 45), 2, 1, 0.5, 1.0),
        ((64, 64), 1, 1, 0.5, 1.0),
    ]


def test_several_levels_read_back_as_phases(load, tmp_path):
    recipe = load("[[phase]]\nfrom = 32\nto = 64\nper_doubling = 4\nimages = 5\nbatch = 1\n")
    assert [phase["resolution"] for phase in tomllib.loads(recipe.to_toml())["phase"]] == [32, 38, 45, 54, 64]
    filled = tmp_path / "filled.toml"
    filled.write_text(recipe.to_toml())
    assert load_recipe(filled, plugins=toys()) == recipe


def test_the_schedule_of_the_paper_is_two_tables(load):
    """600 thousand pictures at 4 px, then 600 to fade in and 600 to settle at each level (Karras et al. 2017, A.1)."""
    schedule = (
        "[[phase]]\nresolution = 4\nimages = 600_000\nbatch = 16\n"
        "[[phase]]\nfrom = 8\nto = 64\nimages = 1_200_000\nbatch = 16\nfade = 0.5\n"
    )
    fades = [(size[0], images * fade) for size, images, _, fade, _ in told(load(schedule))]
    assert fades == [(4, 0), (8, 600_000), (16, 600_000), (32, 600_000), (64, 600_000)]


def test_what_is_filled_in_reads_back_as_the_same_recipe(load, tmp_path):
    recipe = load(GROWN)
    filled = tmp_path / "filled.toml"
    filled.write_text(recipe.to_toml())
    again = load_recipe(filled, plugins=toys())
    assert again == recipe
    assert again.fingerprint == recipe.fingerprint
    assert [phase["resolution"] for phase in tomllib.loads(recipe.to_toml())["phase"]] == [8, 16, 32, 64]


@given(
    st.tuples(st.integers(4, 12), st.integers(4, 12)),
    st.integers(0, 6),
    st.integers(1, 4),
)
def test_levels_double(first, doublings, per_doubling):
    """Whatever the grid, each level is larger than the one before, and twice the one that is a doubling before it."""
    from artgen.recipe.model import GrowthOptions

    last = tuple(side * 2**doublings for side in first)
    table = {"from": first, "to": last, "images": 1, "batch": 1, "per_doubling": per_doubling}
    sizes = GrowthOptions.model_validate_json(json.dumps(table)).sizes
    assert [sizes[0], sizes[-1]] == [first, last]
    assert len(sizes) == doublings * per_doubling + 1
    assert all(a < b and c < d for (a, c), (b, d) in pairwise(sizes))
    assert all(
        size == (2 * first[0] << n, 2 * first[1] << n) for n, size in enumerate(sizes[per_doubling::per_doubling])
    )


def test_a_size_that_is_there_is_not_blended_in_again(load):
    one = "[[phase]]\nfrom = 8\nto = {}\nimages = 4\nbatch = 4\nfade = 0.5\n"
    schedule = (
        one.format(16)
        + one.replace("from = 8", "from = 16").format(32)
        + one.replace("from = 8", "from = 64").format(64)
    )
    fades = [(size[0], fade) for size, _, _, fade, _ in told(load(schedule))]
    assert fades == [(8, 0), (16, 0.5), (16, 0), (32, 0.5), (64, 0.5)]


@pytest.mark.parametrize("change", ["phase.0.steps=5", "phase.0.resolution=16", "phase.0.images.1=50"])
def test_a_remedy_proposes_nothing_that_would_be_refused(load, change):
    with pytest.raises(RecipeError) as caught:
        load(GROWN, change)
    [fault] = caught.value.faults
    proposed = fault.remedy.partition("--set '")[2].rpartition("'")[0]
    assert told(load(GROWN, proposed)) == told(load(GROWN))


def test_set_takes_the_short_form(load):
    recipe = load(GROWN, "phase=[{from=32, to=64, images=5, batch=1}]")
    assert [size for size, *_ in told(recipe)] == [(32, 32), (64, 64)]


def test_every_value_says_where_it_came_from(tmp_path):
    (tmp_path / "recipe.toml").write_text(PLAIN + GROWN)
    plugins = toys()
    recipe, layer = load_traced(tmp_path / "recipe.toml", plugins=plugins)
    line = PLAIN.count("\n") + 1
    origins = {
        one.key[-1]: one.origin for one in traced(recipe, layer, plugins) if one.table == ("phase", 2) and one.key
    }
    assert origins["images"].endswith(f"recipe.toml:{line + 3}")
    assert origins["resolution"] == f"from ... to, {tmp_path / 'recipe.toml'}:{line + 2}"
    assert origins["learning_rate_factor"].startswith("default")
    first = {one.key[-1]: one.origin for one in traced(recipe, layer, plugins) if one.table == ("phase", 0) and one.key}
    assert first["fade"].startswith("nothing to be blended with, ")


FAULTS = {
    # what is replaced, by what, the key, words of the cause and of the remedy
    "not doubled": ("to = 64", "to = 48", "to", "to is 48x48 px, and doubling 8x8 px does not lead there", "16x16 px"),
    "smaller": ("from = 8", "from = 128", "to", "doubling 128x128 px does not lead there", ""),
    "another shape": ("from = 8", "from = [6, 8]", "to", "doubling 6x8 px does not lead there", "48x64 px"),
    "too few numbers": (
        "[100, 200, 300, 400]", "[100, 200]", "images", "images has 2 numbers, and from 8x8 px to 64x64 px there are 4",
        "Write 4 numbers, or one for all levels.",
    ),
    "a wrong number": ("[100, 200, 300, 400]", "[100, 0, 300, 400]", "images.1", "expected 1 or more, found 0", ""),
    "no end": ("to = 64\n", "", "to", "the key 'to' is required and missing", ""),
    "no beginning": ("from = 8\n", "", "from", "the key 'from' is required and missing", ""),
    "misspelt": ("fade = 0.5", "fad = 0.5", "fad", "unknown key 'fad'", "'fade'"),
    "both ways": (
        "batch = 4", "batch = 4\nresolution = 64", "resolution", "with `from` and `to` has no `resolution`", "Take it",
    ),
    "steps": ("batch = 4", "batch = 4\nsteps = 9", "steps", "with `from` and `to` has no `steps`", "Write `images`"),
    "too few numbers for more levels": (
        "to = 64", "to = 64\nper_doubling = 2", "images",
        "images has 4 numbers, and from 8x8 px to 64x64 px there are 7",
        "Write 7 numbers, or one for all levels.",
    ),
    "too many levels": ("to = 64", "to = 64\nper_doubling = 5", "per_doubling", "expected 4 or less, found 5", ""),
    "levels of nothing": (
        "from = 8\nto = 64\nimages = [100, 200, 300, 400]\n", "images = 4\nper_doubling = 2\n",
        "per_doubling", "without `from` and `to` has no `per_doubling`", "Take it away.",
    ),
    "larger than the data": ("to = 64", "to = 128", "to", "128x128 px is no smaller copy of the data's 64x64 px", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_at_its_key(load, name):
    old, new, key, cause, remedy = FAULTS[name]
    schedule = GROWN.replace(old, new)
    if name == "larger than the data":
        schedule = schedule.replace("[100, 200, 300, 400]", "100")
    with pytest.raises(RecipeError) as caught:
        load(schedule)
    [fault] = caught.value.faults
    assert ".".join(map(str, fault.key)) == f"phase.0.{key}"
    assert cause in fault.cause
    assert remedy in fault.remedy
