"""What is suggested for typing errors: of one or two letters, nine in ten get the right word first."""

from __future__ import annotations

import random
import re
import string

import pytest

from artgen import RecipeError
from artgen.nearest import nearest, typing_errors
from artgen.plugins import load_plugins
from artgen.recipe import DEVICES, load_recipe
from artgen.recipe.locate import Scan
from tests.conftest import bundled_runs


def misspelt(word, draw, errors):
    """A word with some typing errors: a letter too few, too many, another one, two that changed places."""
    letters = string.ascii_lowercase + "_-"
    while True:
        wrong = word
        for _ in range(errors):
            at = draw.randrange(len(wrong))
            kind = draw.randrange(4)
            if kind == 0:
                wrong = wrong[:at] + wrong[at + 1 :]
            elif kind == 1:
                wrong = wrong[:at] + draw.choice(letters) + wrong[at:]
            elif kind == 2:
                wrong = wrong[:at] + draw.choice(letters) + wrong[at + 1 :]
            else:
                wrong = wrong[:at] + wrong[at : at + 2][::-1] + wrong[at + 2 :]
        if wrong != word and len(wrong) > 1:
            return wrong


def names(text):
    """Where each key, table and component of a recipe is named."""
    places = {place.key for path, place in Scan(text).places.items() if isinstance(path[-1], str)}
    return sorted(span for span in places if text[span.start : span.end] not in ("extends", "use"))


def faults(file, plugins):
    """What is wrong with a recipe, on any device."""
    for device in DEVICES:
        try:
            load_recipe(file, plugins=plugins, device=device)
        except RecipeError as error:
            yield from error.faults


@pytest.mark.parametrize("errors", [1, 2])
def test_nine_in_ten_misspelt_names_get_the_right_suggestion(errors, tmp_path):
    draw, right, wrong = random.Random(1632), 0, []
    plugins, file = load_plugins(), tmp_path / "recipe.toml"
    for recipe in bundled_runs().values():
        text = re.sub(r'\nextends = "(.+?)(\.toml)?"', rf'\nextends = "{recipe.parent}/\1.toml"', recipe.read_text())
        for start, end in names(text):
            word = text[start:end]
            file.write_text(text[:start] + (typo := misspelt(word, draw, errors)) + text[end:])
            found = [fault for fault in faults(file, plugins) if fault.source[fault.column - 1 :].startswith(typo)]
            fault = found[0] if found else None
            if fault and fault.nearest == word and word in fault.remedy:
                right += 1
            else:
                wrong.append((word, typo, fault and fault.nearest))
    assert right + len(wrong) > 200
    assert right / (right + len(wrong)) >= 0.9, wrong


def test_two_letters_that_changed_places_are_one_error():
    assert typing_errors("widht", "width") == 1
    assert typing_errors("wdith", "width") == 1
    assert typing_errors("", "abc") == 3
    assert typing_errors("kitten", "sitting") == 3
    assert typing_errors("ca", "abc") == 3  # optimal string alignment: nothing is edited twice


@pytest.mark.parametrize(
    ("word", "names", "meant"),
    [
        ("preview", ["precision", "preview_images"], "preview_images"),
        ("lr", ["latent", "learning_rate"], "learning_rate"),
        ("Learning-Rate", ["learning_rate"], "learning_rate"),
        ("images", ["preview_images", "image"], "image"),
        ("rembrant", ["digits", "rembrandt"], "rembrandt"),
    ],
)
def test_other_ways_to_mean_a_name(word, names, meant):
    assert nearest(word, names) == [meant]


@pytest.mark.parametrize("word", ["", "x", "zzz", "generator", "\udc80", "9" * 10_000])
def test_nothing_is_like_it(word):
    assert nearest(word, ["width", "latent", "swd", "r1"]) == []
