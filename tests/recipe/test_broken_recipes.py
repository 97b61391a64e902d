# ruff: noqa: E501  # a case reads best on one line
"""Broken recipes, and what is told of each: code, file, line, columns, what was probably meant.

In the texts below, « and » stand around what the carets must be under; they are taken out before a recipe is read.
"""

from __future__ import annotations

import pytest

import artgen
from artgen import RecipeError
from artgen.plugins import load_plugins
from artgen.recipe import load_recipe
from tests.conftest import bundled_runs, data_for

GOOD = """\
title = "Faces"
seed = 7

[data.atelier]
resolution = 64

[augment.diffaugment]
policy = ["color", "cutout"]

[generator.dcgan]
latent = 128
width = 32

[critic.dcgan]
norm = "none"

[losses.non-saturating]
[losses.r1]
weight = 0.5
every = 8

[trainer.adversarial]
learning_rate = { generator = 2e-4, critic = 4e-4 }
betas = [0.0, 0.99]

[[phase]]
images = 1_000
batch = 16
resolution = 32

[[phase]]
images = 2_000
batch = 8

[metrics.swd]

[run]
precision = "fp32"
"""

TRAINER = GOOD[GOOD.index("[trainer") : GOOD.index("[[phase]]")]

ONE = {
    # name: what is replaced, by what, the code, words of the remedy
    # Keys
    "a typing error in an option": ("width = 32", "«widht» = 32", "E-key", "Did you mean 'width'?"),
    "a letter too many": ("latent =", "«lattent» =", "E-key", "Did you mean 'latent'?"),
    "capital letters": ("width = 32", "«Width» = 32", "E-key", "Did you mean 'width'?"),
    "a hyphen for an underscore": ("learning_rate =", "«learning-rate» =", "E-key", "Did you mean 'learning_rate'?"),
    "only the beginning of a key": ('precision = "fp32"', "«preview» = 5", "E-key", "Did you mean 'preview_images'?"),
    "initials": ("learning_rate = { generator = 2e-4, critic = 4e-4 }", "«lr» = 1e-4", "E-key", "'learning_rate'"),
    "nothing like it": ("width = 32", "«zzz» = 32", "E-key", "Known here: 'latent'"),
    "a key of a phase in a component": ("latent = 128", "«batch» = 128", "E-key", "It belongs into [[phase]]."),
    "a key of [run] in a phase": ("batch = 8", "batch = 8\n«precision» = 'fp32'", "E-key", "It belongs into [run]."),
    "a key of another component": ('norm = "none"', "«betas» = [0, 1]", "E-key", "It belongs into [trainer.adversarial]."),
    "a key of the top in a table": ('precision = "fp32"', "«seed» = 3", "E-key", "It belongs at the top"),
    "a key of a table at the top": ("seed = 7", "«batch» = 7", "E-key", "It belongs into [[phase]]."),
    "a typing error at the top": ("title =", "«titel» =", "E-key", "Did you mean 'title'?"),
    "a typing error in a section": ("[metrics.swd]", "[«metric».swd]", "E-key", "Did you mean 'metrics'?"),
    "a section that is required, misspelt": ("[generator.dcgan]", "[«genrator».dcgan]", "E-key", "'generator'"),
    "phases, misspelt": ("[[phase]]", "[[«phases»]]", "E-key", "Did you mean 'phase'?"),
    "a component without its section": ("[metrics.swd]", "[«swd»]", "E-key", "Write [metrics.swd]."),
    "a key in an inline table": ("critic = 4e-4 }", "critic = 4e-4, «generater» = 1 }", "E-key", "Did you mean 'generator'?"),
    "a dotted key": ('width = 32', 'width = 32\n«sub».dcgan.width = 3', 'E-key', 'Known here'),
    "a quoted key": ("width = 32", "«\"wid th\"» = 32", "E-key", "Did you mean 'width'?"),
    "a key in unicode": ("width = 32", "«\"größe\"» = 32", "E-key", "Known here"),
    "a tab before a key": ("width = 32", "\t«widht» = 32", "E-key", "Did you mean 'width'?"),
    "a device that is none": ("[run]", "[on.«cdua».run]\nprecision = 'fp32'\n[run]", "E-key", "Did you mean 'cuda'?"),
    "a GPU": ("[run]", "[on.«gpu».run]\nprecision = 'fp32'\n[run]", "E-key", "Did you mean 'cuda'?"),
    "a key of a device": ("[run]", "[on.cpu.generator.dcgan]\n«widht» = 8\n[run]", "E-key", "Did you mean 'width'?"),
    "extends in a device": ("[run]", "[on.cpu]\n«extends» = 'x'\n[run]", "E-key", "Write it into the recipe."),
    "a section in a table": ("latent = 128", "latent = 128\n«metrics» = {}", "E-key", "It belongs at the top, above the first [table], or is a table of its own: [metrics.NAME]."),
    "a section that is required, in a table": (TRAINER + "[[phase]]", "«trainer» = {adversarial = {}}\n[[phase]]", "E-key", "[trainer.NAME]"),
    "losses in a table": ("[losses.non-saturating]\n[losses.r1]\nweight = 0.5\nevery = 8\n", "«losses» = ['r1']\n", "E-key", "[losses.NAME]"),
    "a phase in a table": (GOOD[GOOD.index("[[phase]]") : GOOD.index("[metrics")], "«phase» = [{images = 5, batch = 5}]\n", "E-key", "[[phase]]"),
    "extends, misspelt": (GOOD, "«extend» = 'rembrandt'\n", "E-key", "Did you mean 'extends'?"),
    "extends in a table": (GOOD, "[run]\n«extends» = 'rembrandt'\n", "E-key", "at the top, above the first [table]."),
    # Types
    "a number in quotes": ("width = 32", "width = «\"32\"»", "E-type", "Write 32 without quotes."),
    "True in quotes": ("resolution = 64", "resolution = 64\nmirror = «\"True\"»", "E-type", "Write true."),
    "a fraction for an integer": ("every = 8", "every = «8.0»", "E-type", "Write 8."),
    "true for a number": ("every = 8", "every = «true»", "E-type", "Write an integer"),
    "text for true": ("resolution = 64", "resolution = 64\nmirror = «\"true\"»", "E-type", "Write true without quotes."),
    "a number for text": ('title = "Faces"', "title = «7»", "E-type", 'Write "7" in quotes.'),
    "a value for an array": ("betas = [0.0, 0.99]", "betas = «0.5»", "E-type", "Write an array, such as [0.5, 0.999]."),
    "an item of an array": ("betas = [0.0, 0.99]", "betas = [0.0, «\"x\"»]", "E-type", "Write a number."),
    "an item on a line of its own": ("betas = [0.0, 0.99]", "betas = [\n  0.0,\n  «'x'», # no\n]", "E-type", ""),
    "a value in an inline table": ("critic = 4e-4 }", "critic = «\"x\"» }", "E-type", "Write a number."),
    "a value of a dotted key": ("[metrics.swd]", "[metrics]\nswd.directions = «'x'»", "E-type", "Write an integer"),
    "a date": ("seed = 7", "seed = «1632-07-15»", "E-type", 'Write text in quotes: "1632-07-15".'),
    "a table for a number": ("width = 32", "«[generator.dcgan.width]»", "E-type", "Write an integer"),
    "text over several lines": ('seed = 7', 'seed = «"""»\n7"""', 'E-type', 'Write 7 without quotes.'),
    "[phase] with one bracket": ("[[phase]]\nimages = 1_000\nbatch = 16\nresolution = 32\n\n[[phase]]", "«[phase]»", "E-type", "Write [[phase]] with two brackets."),
    "[[run]] with two brackets": ("[run]", "«[[run]]»", "E-type", "Write [run] with one bracket."),
    "[[losses.r1]] with two brackets": ("[losses.r1]", "«[[losses.r1]]»", "E-type", "Write [losses.r1] with one bracket."),
    "a component as text": ("[metrics.swd]", "[metrics]\nswd = «\"swd\"»", "E-type", "Write [metrics.swd]"),
    "a section as text": ('seed = 7\n', "seed = 7\nfeatures = «'squeezenet'»\n", 'E-type', 'Write [features.squeezenet].'),
    "an option without its component": ('[augment.diffaugment]\npolicy = ["color", "cutout"]', '[augment]\npolicy = «["color", "cutout"]»', 'E-type', 'Options stand in [augment.NAME]'),
    "a use that is no name": ("[metrics.swd]", "[metrics.fine]\nuse = «3»", "E-type", "There is 'diversity'"),
    "a device that is no table": ("seed = 7", "seed = 7\non.cpu = «3»", "E-type", "Write [on.cpu]."),
    # Ranges and choices
    "too large": ("width = 32", "width = «100_000»", "E-range", "Write 1024 or less, such as 64."),
    "too small": ("batch = 16", "batch = «0»", "E-range", "Write 1 or more."),
    "negative": ("weight = 0.5", "weight = «-0.5»", "E-range", "Write 0 or more, such as 1.0."),
    "infinite": ("weight = 0.5", "weight = «inf»", "E-type", "a finite number"),
    "over 64 bits": ("seed = 7", "seed = «99999999999999999999»", "E-range", "Write a smaller number."),
    "an array too long": ("betas = [0.0, 0.99]", "betas = «[0.0, 0.5, 0.9]»", "E-range", "an array of 2 or fewer"),
    "a choice": ('norm = "none"', "norm = «\"nine\"»", "E-value", "Did you mean 'none'?"),
    "a choice in an array": ('"cutout"]', "«\"cutuot\"»]", "E-value", "Did you mean 'cutout'?"),
    "a phase without a length": ("[[phase]]\nimages = 2_000\n", "«[[phase]]»\n", "E-value", "Write images = VALUE, or steps = VALUE."),
    "a size that the data cannot have": ("resolution = 64", "resolution = «2»", "E-value", ""),
    "a phase with two lengths": ('[[phase]]\nimages = 2_000', '«[[phase]]»\nimages = 2_000\nsteps = 3', 'E-value', 'Take `images` or `steps` away.'),
    # Missing
    "no batch": ("[[phase]]\nimages = 2_000\nbatch = 8", "«[[phase]]»\nimages = 2_000", "E-missing", "Write batch = VALUE."),
    "no rate of one player": ("{ generator = 2e-4, critic = 4e-4 }", "«{ generator = 2e-4 }»", "E-missing", "Write critic = VALUE."),
    "an item too few": ("betas = [0.0, 0.99]", "betas = «[0.0]»", "E-missing", "Write one more item."),
    "no item": ("betas = [0.0, 0.99]", "betas = «[]»", "E-missing", "Write 2 more items."),
    "no path": ("[data.atelier]\nresolution = 64", "«[data.folder]»\nresolution = 64", "E-missing", "Write path = VALUE."),
    "no trainer": (
        GOOD,
        GOOD.replace("title", "«t»itle").replace(TRAINER, ""),
        "E-missing",
        "Write [trainer.NAME]; there is 'adversarial', 'canvas', 'paired'.",
    ),
    "no phase": (GOOD, "«t»itle" + GOOD[5 : GOOD.index("[[phase]]")], "E-missing", "Write [[phase]]"),
    # Components
    "a loss, misspelt": ("[losses.non-saturating]", "[losses.«non-saturatng»]", "E-component", "'non-saturating'"),
    "a generator, misspelt": ("[generator.dcgan]", "[generator.«dgcan»]", "E-component", "Did you mean 'dcgan'"),
    "a component of another kind": ("[metrics.swd]", "[metrics.«dcgan»]", "E-component", "write [generator.dcgan]"),
    "nothing is near": ("[metrics.swd]", "[metrics.«beauty»]", "E-component", "No installed plugin provides it; there is 'diversity'"),
    "of a distribution that is absent": ("[metrics.swd]", "[metrics.«\"artgen-weave:beauty\"»]", "E-component", "pip install artgen-weave"),
    "use, misspelt": ("[metrics.swd]", "[metrics.fine]\nuse = «'sdw'»", "E-component", "Did you mean 'swd'?"),
    "a component of a device": ("[run]", "[on.cpu.generator.«dcgann»]\n[run]", "E-component", "Did you mean 'dcgan'?"),
    # References
    "two generators": ("[critic.dcgan]", "«[generator.dense]»\n[critic.dcgan]", "E-ref", "Keep one of them."),
    "a metric without features": ("[metrics.swd]", "«[metrics.kid]»", "E-ref", "Add [features.NAME]"),
    "a phase larger than the data": ("resolution = 32", "resolution = «128»", "E-ref", "Give data.atelier the resolution"),
    "no loss for the generator": ('[losses.non-saturating]\n[losses.r1]\nweight = 0.5\nevery = 8\n\n[trainer.adversarial]', '[losses.r1]\nweight = 0.5\nevery = 8\n\n«[trainer.adversarial]»', 'E-ref', "'non-saturating'"),
    # extends
    "extends nothing": ("seed = 7", "seed = 7\nextends = «\"rembrant\"»", "E-extends", "Did you mean 'rembrandt'?"),
    "extends nothing, among others": ("seed = 7", "seed = 7\nextends = ['digits', «'x.toml'»]", "E-extends", "Bundled recipes"),
    "extends itself": ("seed = 7", "seed = 7\nextends = «'recipe.toml'»", "E-extends", "Take it away."),
    "extends a number": ("seed = 7", "seed = 7\nextends = «3»", "E-extends", 'Write extends = "NAME".'),
    # Syntax
    "no closing quote": ('title = "Faces"', 'title = «"Faces»', "E-syntax", 'Close it with "'),
    "no opening quote": ('title = "Faces"', 'title = «Faces"»', "E-syntax", 'Text stands in quotes: "Faces".'),
    "no quotes": ('title = "Faces"', "title = «Faces of men»", "E-syntax", 'Text stands in quotes: "Faces of men".'),
    "quotes of a word processor": ('title = "Faces"', "title = «“Faces”»", "E-syntax", 'Text stands in quotes: "Faces".'),
    "True": ("seed = 7", "seed = «True»", "E-syntax", "Write true."),
    "None": ("seed = 7", "seed = «None»", "E-syntax", "Leave the key out"),
    "a number with commas": ('images = 1_000', 'images = «1,000»', 'E-syntax', 'Write 1_000.'),
    "a number without its zero": ("weight = 0.5", "weight = «.5»", "E-syntax", "Write 0.5."),
    "a number with a point at its end": ('weight = 0.5', 'weight = «5.»', 'E-syntax', 'Write 5.0.'),
    "a leading zero": ('every = 8', 'every = «08»', 'E-syntax', 'Write 8, without leading zeros.'),
    "a unit": ('resolution = 32', 'resolution = «32px»', 'E-syntax', 'Write the number alone'),
    "a colon": ("seed = 7", "seed«:» 7", "E-syntax", "Write '=' in place of ':'."),
    "no equals sign": ("seed = 7", "seed «7»", "E-syntax", "Write seed = VALUE."),
    "no value": ("seed = 7", "seed =«»", "E-syntax", "Write a value behind '='"),
    "only a key": ("seed = 7", "«seed»", "E-syntax", "Write seed = VALUE."),
    "two on a line": ('seed = 7', "seed = 7 «run.precision» = 'x'", 'E-syntax', 'Begin a new line'),
    "a comma at the end": ('seed = 7', 'seed = «7,»', 'E-syntax', 'No comma ends a line.'),
    "a comment of another language": ("seed = 7", "seed = 7\n«//» a comment", "E-syntax", "A comment begins with #."),
    "a key of two words": ("width = 32", "the «width» = 32", "E-syntax", "Join the words of a key by _"),
    "a key in unicode without quotes": ("width = 32", "gr«öße» = 32", "E-syntax", "stands in quotes"),
    "a header without its end": ("[generator.dcgan]", "«[generator.dcgan»", "E-syntax", "Write [generator.dcgan]."),
    "a header without its beginning": ("[generator.dcgan]", "«generator.dcgan]»", "E-syntax", "Write [generator.dcgan]."),
    "a header of two words": ("[generator.dcgan]", "«[generator dcgan]»", "E-syntax", "Write [generator.dcgan]."),
    "a Cyrillic letter in a header": ("[generator.dcgan]", "[generator.«d\u0441gan»]", "E-syntax", "Did you mean dcgan?"),
    "an invisible letter in a header": ("[generator.dcgan]", "[generator.«dcgan\u200b»]", "E-syntax", "Did you mean dcgan?"),
    "other letters in a header": ("[metrics.swd]", "[metrics.«größe»]", "E-syntax", "stands in quotes."),
    "a Cyrillic letter in a key": ("width = 32", "w«\u0456dth» = 32", "E-syntax", "Did you mean width?"),
    "one bracket too few": ("[metrics.swd]", "[metrics.swd]\n«[[metrics.kid]»", "E-syntax", "Write [[metrics.kid]]."),
    "the wrong bracket": ("[metrics.swd]", "«(metrics.swd)»", "E-syntax", "a [table]"),
    "an array without its end": ('policy = ["color", "cutout"]', 'policy = «["color", "cutout"»', "E-syntax", "Close it with ]."),
    "an array with a comma and no end": ('policy = ["color", "cutout"]', 'policy = «["color",»\nscale = 0.1', "E-syntax", "Close it with ]."),
    "an array without a comma": ('"color", "cutout"]', '"color" «"cutout"»]', "E-syntax", "Separate the items"),
    "an array over lines without a comma": ('["color", "cutout"]', '[\n  "color"\n  «"cutout"»,\n]', "E-syntax", "Separate the items"),
    "an inline table without its end": ('{ generator = 2e-4, critic = 4e-4 }', '«{ generator = 2e-4, critic = 4e-4»', 'E-syntax', 'Close it with }.'),
    "an inline table over lines": ("{ generator = 2e-4, critic = 4e-4 }", "{«»\n  generator = 2e-4,\n  critic = 4e-4\n}", "E-syntax", "stands on one line"),
    "a comma before }": ("critic = 4e-4 }", "critic = 4e-4, «}»", "E-syntax", "No comma stands before }."),
    "a path of Windows": ('title = "Faces"', 'title = "C:«\\U»sers"', "E-syntax", "Write \\\\ for a backslash"),
    "a key twice": ("seed = 7", "seed = 7\n«seed» = 8", "E-syntax", "Take one of the two away."),
    "a table twice": ("[metrics.swd]", "[metrics.swd]\n«[metrics.swd]»", "E-syntax", "Join the two."),
    "a key twice in braces": ("critic = 4e-4 }", "critic = 4e-4, «critic» = 1 }", "E-syntax", "Take one of the two away."),
    "a value and a table": ('[run]', '[run]\npreview_images = 5\n«[run.preview_images]»', 'E-syntax', 'Join the two.'),
    "text over lines without its end": ('precision = "fp32"', 'precision = «"""fp32»', "E-syntax", 'Close it with """.'),
    "an invisible character": ('seed = 7', 'seed =«\xa07»', 'E-syntax', 'an invisible character'),
    "a control character": ("seed = 7", "seed = 7 # «\x1b»[2J", "E-syntax", "Take it away"),
}  # fmt: skip


def marked(text):
    """The text without « and », and the line and columns between them, from 1."""
    start = text.index("«")
    end = text.index("»") - 1
    plain = text.replace("«", "").replace("»", "")
    line = plain.count("\n", 0, start) + 1
    column = start - (plain.rfind("\n", 0, start) + 1) + 1
    return plain, (line, column, column + end - start)


@pytest.fixture
def faults(tmp_path, monkeypatch):
    """Load `recipe.toml`, and give back what is wrong with it."""
    monkeypatch.chdir(tmp_path)

    def faults(recipe, newline="\n", overrides=(), data=None, device="cpu", **files):
        for name, text in {"recipe": recipe, **files}.items():
            (tmp_path / f"{name}.toml").write_text(text, newline=newline, encoding="utf-8")
        with pytest.raises(RecipeError) as caught:
            load_recipe("recipe.toml", plugins=load_plugins(), overrides=overrides, data=data, device=device)
        assert str(caught.value)
        return caught.value.faults

    return faults


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize(("old", "new", "code", "remedy"), ONE.values(), ids=ONE)
def test_one_fault(faults, old, new, code, remedy, newline):
    assert old in GOOD
    recipe, (line, column, end_column) = marked(GOOD.replace(old, new, 1))
    [fault] = faults(recipe, newline)
    assert (fault.code, fault.file) == (code, "recipe.toml"), str(fault)
    assert (fault.line, fault.column) == (line, column), str(fault)
    assert fault.end_column == max(end_column, column), str(fault)
    assert fault.source == recipe.split("\n")[line - 1]
    assert remedy in fault.remedy, str(fault)
    assert fault.remedy, str(fault)


ARGUMENTS = {
    # argument of --set, with the carets' place; the code; words of the remedy
    "a key": ("generator.dcgan.«widht»=3", "E-key", "Did you mean 'width'?"),
    "a value": ("generator.dcgan.width=«x»", "E-type", "Write an integer, such as 64."),
    "a range": ("generator.dcgan.width = «0»", "E-range", "Write 4 or more, such as 64."),
    "a choice": ("critic.dcgan.norm=«nnoe»", "E-value", "Did you mean 'none'?"),
    "words": ("seed=«one of many»", "E-type", "Write an integer"),
    "inside a value": ("trainer.adversarial.betas=[0.1, «\"x\"»]", "E-type", "Write a number."),
    "inside braces": ("trainer.adversarial={«zzzz»=1}", "E-key", "Known here"),
    "a component": ("metrics.«sdw»={}", "E-component", "Did you mean 'swd'?"),
    "no equals sign": ("«seed»", "E-set", "Write --set key.of.table=value."),
    "no key": ("«=»3", "E-set", "Write --set key.of.table=value."),
    "two dots": ("«a..b»=3", "E-set", "Write --set key.of.table=value."),
    "an array without its end": ("phase=[«{images=5, batch=5»", "E-set", "Close it with }."),
    "text without its end": ("title=«\"Faces»", "E-set", 'Close it with "'),
    "part of an array": ("«phase».images=5", "E-set", "--set 'phase=[{images = 5, batch = 16, resolution = 32}, {images"),
    "one of an array": ("«phase».1.images=5", "E-set", "{images = 5, batch = 8}]'."),
    "a phase that is none": ("«phase».7.images=5", "E-set", "--set 'phase=[{images = 1000, batch = 16, resolution = 32}, {images = 2000, batch = 8}]'."),
    "a number for one of an array": ("«phase».0=5", "E-set", "--set 'phase=[{images = 1000, batch = 16, resolution = 32}, {images = 2000, batch = 8}]'."),
    "an unknown key of an array": ("«phase».widht=5", "E-set", "--set 'phase=[{images = 1000, batch = 16, resolution = 32}, {images = 2000, batch = 8}]'."),
    "the other length of a phase": ("«phase».1.steps=5", "E-set", "{batch = 8, steps = 5}]'."),
    "a number for the phases": ("phase=«5»", "E-type", "Write all phases: --set 'phase=[{"),
    "True": ("data.atelier.mirror=«True»", "E-type", "Write true."),
    "of a device": ("«on».cpu.run.precision=fp32", "E-key", "Write it into the recipe."),
    "a phase that lacks something": ("phase=[«{images=5}»]", "E-missing", "Write batch = VALUE."),
    "of an option": ("generator.dcgan=«3»", "E-type", "Write [generator.dcgan]"),
}  # fmt: skip


@pytest.mark.parametrize(("argument", "code", "remedy"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_a_fault_of_an_argument(faults, argument, code, remedy):
    argument, (line, column, end_column) = marked(argument)
    [fault] = faults(GOOD, overrides=["run.precision=fp32", argument])
    assert (fault.code, fault.file, fault.source) == (code, "--set", argument), str(fault)
    assert (fault.line, fault.column, fault.end_column) == (line, column, end_column), str(fault)
    assert remedy in fault.remedy, str(fault)
    assert f" | --set {argument}" in str(fault)


def test_the_folder_of_pictures_is_an_argument_too(faults):
    [fault] = faults(GOOD, data="a\0b")
    assert (fault.code, fault.file, fault.source, fault.column, fault.end_column) == ("E-value", "--data", "a\0b", 1, 4)
    assert "--data a\\x00b" in str(fault)


def places(faults):
    return [(fault.code, fault.file, fault.line, fault.column) for fault in faults]


def test_every_fault_in_one_pass_in_the_order_of_lines(faults):
    recipe = (
        GOOD.replace("seed = 7", "seed = 1632-07-15")
        .replace("width = 32", "widht = 32")
        .replace("weight = 0.5", "weight = -1")
        .replace("non-saturating", "non-saturatng")
        .replace("batch = 8", "batch = '8'")
        .replace("swd", "sdw")
        .replace("[0.0, 0.99]", "[0.0, 0.99")
        .replace('"fp32"', '"fp8"')
    )
    assert places(faults(recipe, overrides=["seed=x", "z=1"], data="\0")) == [
        ("E-type", "recipe.toml", 2, 8),
        ("E-key", "recipe.toml", 12, 1),
        ("E-component", "recipe.toml", 17, 9),
        ("E-range", "recipe.toml", 19, 10),
        ("E-syntax", "recipe.toml", 24, 9),
        ("E-type", "recipe.toml", 33, 9),
        ("E-component", "recipe.toml", 35, 10),
        ("E-value", "recipe.toml", 38, 13),
        ("E-value", "--data", 1, 1),
        ("E-key", "--set", 1, 1),
        ("E-type", "--set", 1, 6),
    ]


def test_an_empty_recipe(faults):
    found = faults("")
    assert places(found) == [("E-missing", "recipe.toml", 1, 1)] * 4
    assert [fault.key for fault in found] == [("data",), ("generator",), ("trainer",), ("phase",)]


def test_a_file_of_something_else(faults):
    yaml = "data:\n  atelier:\ngenerator: dcgan\ntrainer:\n  adversarial:\nphase:\n  - images: 1000\n"
    found = faults(yaml)
    assert {fault.code for fault in found} == {"E-syntax"}, "what cannot be read is not said to be missing"
    assert [fault.line for fault in found] == [1, 2, 3, 4, 5, 6, 7]


def test_syntax_errors_hide_nothing_else(faults):
    recipe = GOOD.replace('"Faces"', '"Faces').replace("[generator.dcgan]", "[generator.dcgan").replace("32\n", "32x\n")
    found = faults(recipe + "evaluate_images = -1\n", overrides=["seed=x"])
    assert places(found) == [
        ("E-syntax", "recipe.toml", 1, 9),
        ("E-syntax", "recipe.toml", 10, 1),
        ("E-syntax", "recipe.toml", 29, 14),
        ("E-range", "recipe.toml", 39, 19),
        ("E-type", "--set", 1, 6),
    ]


def test_what_a_line_without_sense_may_say_is_not_missing(faults):
    recipe = GOOD.replace("batch = 8", "batch = 8x").replace("[trainer.adversarial]", "[trainer.adversarial")
    assert [fault.code for fault in faults(recipe)] == ["E-syntax", "E-syntax"]


def test_what_stands_under_another_name_is_not_missing(faults):
    recipe = GOOD.replace("batch = 8", "bacth = 8").replace("[trainer", "[trainr").replace("[losses", "[loses")
    assert [fault.nearest for fault in faults(recipe)] == ["losses", "trainer", "batch"]


def test_faults_of_a_parent_name_all_files(faults):
    base = GOOD.replace("width = 32", "widht = 32")
    middle = "extends = 'base.toml'\n[run]\nprecision = 'fp8'\n[on.cpu.trainer.adversarial]\nbetas = 1\n"
    found = faults("extends = ['middle.toml']\nsead = 1\n", middle=middle, base=base, overrides=["z=1"])
    assert places(found) == [
        ("E-key", "recipe.toml", 2, 1),
        ("E-value", "middle.toml", 3, 13),
        ("E-type", "middle.toml", 5, 9),
        ("E-key", "base.toml", 12, 1),
        ("E-key", "--set", 1, 1),
    ]
    assert [fault.via for fault in found] == [
        (),
        ("recipe.toml",),
        ("recipe.toml",),
        ("recipe.toml", "middle.toml"),
        (),
    ]
    assert "= extended by: middle.toml -> recipe.toml" in str(found[3])


def test_syntax_errors_of_every_file(faults):
    found = faults(
        "extends = ['first.toml', 'second.toml']\nsead = 1\n", first="a b\nx = 1", second="c d\n[metrics.sdw]\n"
    )
    syntax = [fault for fault in found if fault.code == "E-syntax"]
    assert places(syntax) == [("E-syntax", "first.toml", 1, 3), ("E-syntax", "second.toml", 1, 3)]
    rest = [fault for fault in found if fault.code in ("E-key", "E-component")]
    assert [(fault.file, fault.line) for fault in rest] == [("recipe.toml", 2), ("first.toml", 2), ("second.toml", 2)]


def test_a_parent_that_cannot_be_read_is_named_with_what_extends_it(faults, tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe" + GOOD.encode("utf-16-le"))
    [fault] = faults("extends = 'binary.toml'\n")
    assert str(fault).splitlines()[-1] == "  extended by: recipe.toml"


def test_what_is_misplaced_hides_only_what_it_would_be(faults):
    misplaced = GOOD.replace("width = 32", "mirror = true")
    without = misplaced[: misplaced.index("[[phase]]")]
    assert [fault.code for fault in faults(without)] == ["E-missing", "E-key"]
    assert [fault.code for fault in faults(misplaced.replace("batch = 8", ""))] == ["E-key", "E-missing"]
    fade = misplaced.replace("mirror = true", "fade = 0.5")
    assert [fault.code for fault in faults(fade.replace("batch = 8", ""))] == ["E-key", "E-missing"]
    batch = misplaced.replace("mirror = true", "batch = 8")
    assert [fault.code for fault in faults(batch.replace("batch = 8\n\n[metrics", "[metrics"))] == ["E-key"]


@pytest.mark.parametrize("text", ['{"title": "x"}', "title: x\n", "\x89PNG\n\x1a\n", GOOD.replace("\n", "\r")])
def test_of_what_is_no_toml_nothing_is_said_to_be_missing(faults, text):
    assert {fault.code for fault in faults(text, newline="")} == {"E-syntax"}


def test_unreadable_numbers_are_told_without_python(faults):
    [fault] = faults(GOOD.replace("seed = 7", "seed = " + "9" * 5000))
    assert (fault.code, fault.cause) == ("E-limit", "a number has thousands of digits")


def test_of_a_parent_that_cannot_be_read_nothing_is_said_to_be_missing(faults, tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe" + GOOD.encode("utf-16-le"))
    (tmp_path / "latin.toml").write_bytes(b"title = 'b\xe9'\n")
    found = faults(
        "extends = ['nowhere.toml', 'binary.toml', 'latin.toml']\n[losses.mine]\nweight = -1\n[run]\nx = 1\n"
    )
    assert places(found) == [
        ("E-extends", "recipe.toml", 1, 12),
        ("E-key", "recipe.toml", 5, 1),
        ("E-file", "binary.toml", 0, 0),
        ("E-file", "latin.toml", 1, 11),
    ]


def test_a_broken_plugin_is_named(faults):
    from artgen.plugins import Plugins

    class Sunk:
        __name__ = "sunk"

        def artgen_losses(self):
            """Without hookimpl, so nothing that artgen would call."""

    with pytest.raises(RecipeError) as caught:
        load_recipe("rembrandt", plugins=Plugins([Sunk()]), overrides=["metrics.beauty={}"])
    [fault] = caught.value.faults
    assert (fault.code, caught.value.exit_code) == ("E-plugin", 5)
    assert "broken plugin: 'sunk'" in fault.remedy
    assert (fault.source[fault.column - 1 : fault.end_column - 1], fault.file) == ("beauty", "--set")


def test_whose_table_it_is(faults):
    found = faults(GOOD.replace("width = 32", "width = 0").replace('"fp32"', '"fp8"'), overrides=["metrics.swd.x=1"])
    own = f"artgen {artgen.__version__}"
    assert [fault.owner for fault in found] == [f"plugin 'dcgan' ({own})", own, f"plugin 'metrics' ({own})"]
    assert [(fault.expected, fault.found) for fault in found[:2]] == [
        ("4 or more", "0"),
        ("one of 'auto', 'fp32' or 'bf16'", '"fp8"'),
    ]
    assert found[0].about == "width: Channels of the last hidden level; each level before it has twice as many."


def test_a_mark_of_byte_order_is_no_character(faults):
    [fault] = faults("\ufeff" + GOOD.replace("title", "titel"))
    assert (fault.line, fault.column, fault.source) == (1, 1, 'titel = "Faces"')


def test_the_bundled_recipes_are_the_ones_that_are_not_broken():
    assert all(load_recipe(name, data=data_for(name)) for name in bundled_runs())


def test_an_invisible_letter_in_a_later_name_of_a_set_is_told(faults):
    """Found by the fuzzer: the first name of the line has no such letter."""
    [fault] = faults(GOOD, overrides=["phase=[{images\ufeff=5, batch=1}]"])
    assert fault.code == "E-set"
    assert "stands in quotes" in fault.remedy
