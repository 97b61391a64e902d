"""The schema of recipes: it passes what the loader takes, marks what the loader refuses, and completes from it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import tomli_w
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from pydantic import AfterValidator, Field

from artgen import Options, RecipeError, hookimpl
from artgen.cli.recipe import recipe
from artgen.plugins import Plugins
from artgen.recipe import DEVICES, bundled_recipes, load_recipe
from artgen.recipe.schema import SCHEMA_FILE, recipe_schema, schema_text
from tests.conftest import ROOT

from .toys import RECIPE, component, toys

BUNDLED = bundled_recipes()
TOYS = toys()
SECTIONS = (
    "data",
    "source",
    "augment",
    "generator",
    "critic",
    "features",
    "losses",
    "trainer",
    "metrics",
    "videos",
    "executor",
)


@pytest.fixture(scope="session")
def script():
    """The script that writes what is made from the bundled plugins."""
    spec = importlib.util.spec_from_file_location("generate_reference", ROOT / "docs" / "generate_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def plugins(script):
    return script.bundled_plugins()


@pytest.fixture(scope="session")
def bundled(plugins):
    return Draft7Validator(recipe_schema(plugins))


@pytest.fixture(scope="session")
def toy():
    return Draft7Validator(recipe_schema(TOYS))


def at(schema, *path):
    """The schema of a key, by the road that an editor takes: plain properties, and references."""
    for name in (*path, None):
        while set(schema) == {"$ref"}:
            schema = SCHEMAS[id(schema)]
        if name is not None:
            schema = schema["properties"][name]
    return schema


SCHEMAS: dict[int, dict] = {}


def linked(schema):
    """The same schema, whose references `at` can follow."""
    definitions = schema["$defs"]

    def link(node):
        if isinstance(node, dict):
            if set(node) == {"$ref"}:
                SCHEMAS[id(node)] = definitions[node["$ref"].removeprefix("#/$defs/")]
            for inner in node.values():
                link(inner)
        elif isinstance(node, list):
            for inner in node:
                link(inner)

    link(schema)
    return schema


# What is bundled


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_recipe_names_its_schema_and_is_valid(name, bundled):
    text = BUNDLED[name].read_text()
    assert text.startswith("#:schema ./artgen.schema.json\n")
    assert BUNDLED[name].with_name(SCHEMA_FILE).is_file()
    assert [error.message for error in bundled.iter_errors(tomllib.loads(text))] == []


def test_the_schema_beside_the_bundled_recipes_is_what_the_script_makes(script, plugins):
    Draft7Validator.check_schema(json.loads(script.SCHEMA.read_text()))
    assert schema_text(plugins) == script.SCHEMA.read_text(), "run: python docs/generate_reference.py"


def set_(*path, to):
    """A mutation: a value at a path, through tables that may be missing."""

    def mutate(tables):
        for name in path[:-1]:
            tables = tables[name] if isinstance(name, int) else tables.setdefault(name, {})
        tables[path[-1]] = to

    return mutate


def misspell(tables):
    """An option that no component has, in every table of a component."""
    for section in SECTIONS:
        for table in tables.get(section, {}).values():
            table["widht"] = 3


def rename(tables):
    """A component that nobody has, in the place of the recipe's trainer."""
    tables["trainer"] = {"adversarail": {}}


MUTATIONS = {
    "unknown key at the top": set_("sead", to=3),
    "unknown option": misspell,
    "unknown component": rename,
    "unknown loss": set_("losses", "hinje", to={"weight": 1.0}),
    "unknown component by use": set_("losses", "mine", to={"use": "hinje"}),
    "unknown component for a device": set_("on", "cpu", to={"augment": {"diffaugmet": {}}}),
    "unknown option for a device": set_("on", "cuda", to={"run": {"precison": "fp32"}}),
    "unknown option of a label of one's own": set_("losses", "mine", to={"use": "r1", "wieght": 1.0}),
    "unknown component in another's place": set_("losses", "r1", to={"use": "hinje"}),
    "unknown option of one in another's place": set_("losses", "r1", to={"use": "hinge", "target": 1.0}),
    "unknown option inside a value": set_("trainer", to={"adversarial": {"learning_rate": {"citric": 1e-3}}}),
    "unknown device": set_("on", "tpu", to={}),
    "unknown word": set_("run", "precision", to="fp8"),
    "text for a number": set_("seed", to="3"),
    "true for a number": set_("run", "preview_images", to=True),
    "number for a table": set_("run", to=3),
    "number for a table of a component": set_("losses", "r1", to=3),
    "text for a table with a label of one's own": set_("losses", "mine", to="r1"),
    "table for phases": set_("phase", to={"images": 8, "batch": 8}),
    "number for text": set_("title", to=3),
    "fraction for a whole number": set_("run", "preview_images", to=2.5),
    "too small": set_("run", "evaluate_samples", to=1),
    "too large": set_("trainer", to={"adversarial": {"decay_share": 1.5}}),
    "too small inside a phase": set_("phase", to=[{"images": 100, "batch": 0}]),
    "a phase without a batch": set_("phase", to=[{"images": 100}]),
    "too few in an array": set_("trainer", to={"adversarial": {"betas": [0.5]}}),
    "too large in an array": set_("trainer", to={"adversarial": {"betas": [0.5, 1.0]}}),
    "two of which one is chosen": set_("augment", to={"ada": {}, "diffaugment": {}}),
    "extends itself a number": set_("extends", to=3),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_recipe_with_a_fault_is_marked(name, mutation, bundled, plugins, tmp_path):
    tables = tomllib.loads(BUNDLED[name].read_text())
    MUTATIONS[mutation](tables)
    assert list(bundled.iter_errors(tables))
    file = tmp_path / "mutated.toml"
    file.write_text(tomli_w.dumps(tables))
    assert not loads(file, plugins)  # else the mutation were none


def loads(file, plugins):
    """Whether the loader takes a recipe for every device."""
    try:
        for device in DEVICES:
            load_recipe(file, device=device, plugins=plugins)
    except RecipeError:
        return False
    return True


# What the loader takes

ACCEPTED = {
    "the toy": "",
    "a table where a number would do": "[generator.conv]\nrate = { a = 1, b = 0.5 }",
    "a whole number for a fraction": "[generator.conv]\nrate = 2\nslope = 1",
    "arrays": "[generator.conv]\nlayers = [1, 2, 3]\nalso = ['a.pt', '~/b.pt']\nstart = 'c.pt'",
    "none for an array": "[generator.conv]\nlayers = []",
    "what is unset by default": "[generator.conv]\nnote = 'x'",
    "a side for a size": "[data.painted]\nresolution = 32\n[[phase]]\nimages = 3\nbatch = 1",
    "labels of one's own": "[losses.a]\nuse = 'logistic'\n[losses.b]\nuse = 'penalty'\nweight = 2",
    "a full name": "[losses.a]\nuse = 'Toys:logistic'\n[metrics.'Toys:swd']",
    "a label that says what it is anyway": "[losses.logistic]\nuse = 'logistic'",
    "another component under a parent's label": "[losses.penalty]\nuse = 'logistic'\n[generator.conv]\nuse = 'dense'",
    "another one by its full name": "[losses.penalty]\nuse = 'Toys:logistic'",
    "a component in a parent's place": "[generator.dense]\nwidth = 9\n[data.folder]\npath = 'p'\nresolution = [32, 24]",
    "part of a table for a device": "[on.cpu.generator.conv]\nslope = 0.1\n[on.cuda.losses.penalty]\nevery = 4",
    "a phase for a device": "[[on.cpu.phase]]\nsteps = 3\nbatch = 2\nresolution = [16, 12]",
    "much for a device": "[on.mps]\ntitle = 'x'\nseed = 4\n[on.mps.run]\nprecision = 'bf16'\n[on.mps.critic.patch]",
    "empty tables": "[run]\n[on]\n[on.cpu]\n[losses]\n[augment]",
    "features": "[features.filters]\n[metrics.kid]",
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
@pytest.mark.parametrize("extends", ["'base.toml'", "['base.toml']"])
def test_what_is_laid_over_another_recipe_is_valid_by_itself(text, extends, toy, tmp_path):
    (tmp_path / "base.toml").write_text(RECIPE)
    (tmp_path / "recipe.toml").write_text(f"extends = {extends}\n{text}")
    assert loads(tmp_path / "recipe.toml", TOYS)
    for file in ("base.toml", "recipe.toml"):
        errors = toy.iter_errors(tomllib.loads((tmp_path / file).read_text()))
        assert [error.message for error in errors] == []


VALUES = st.one_of(
    st.none(),  # takes the key out
    st.sampled_from([0, 1, 7, 512, 513, -1, 2**40, 0.0, 0.5, 1.0, -0.5, 1e300, True, False]),
    st.sampled_from(["", "relu", "leaky", "conv", "logistic", "penalty", "hinje", "Toys:logistic", "a/b.pt"]),
    st.lists(st.sampled_from([0, 1, 32, 0.5, "a", True]), max_size=3),
    st.dictionaries(st.sampled_from(["a", "use", "width"]), st.sampled_from([0, 0.5, "conv", True]), max_size=2),
)
PLACES = st.sampled_from(
    [
        *[("generator", "conv", name) for name in ("width", "activation", "slope", "layers", "start", "rate", "note")],
        *[("losses", label, name) for label in ("logistic", "mine") for name in ("use", "weight", "every")],
        *[("data", "painted", "resolution"), ("data", "painted", "count"), ("data", "painted", "mirror")],
        *[("on", device, "generator", "conv", "width") for device in DEVICES],
        *[("on", "cpu", "run", "precision"), ("run", "evaluate_images"), ("seed",), ("title",), ("critic", "patch")],
        *[("phase", 0, name) for name in ("images", "steps", "batch", "resolution", "fade")],
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(PLACES, VALUES), min_size=1, max_size=3))
def test_what_loads_for_every_device_is_valid(toy, tmp_path_factory, changes):
    tables: dict[str, Any] = tomllib.loads(RECIPE)
    for path, value in changes:
        place = tables
        for name in path[:-1]:
            inner = place[name] if isinstance(name, int) else place.setdefault(name, {})
            place = inner if isinstance(inner, dict | list) else {}
        if value is None:
            place.pop(path[-1], None)
        else:
            place[path[-1]] = deepcopy(value)
    file = tmp_path_factory.mktemp("drawn") / "drawn.toml"
    file.write_text(tomli_w.dumps(tables))
    if loads(file, TOYS):
        assert [error.message for error in toy.iter_errors(tables)] == []


# What an editor completes from


def test_components_and_options_stand_in_plain_properties():
    schema = linked(recipe_schema(toys()))
    tables = at(schema)
    assert set(tables["properties"]) == {"extends", "title", "description", "seed", "phase", "run", "on", *SECTIONS}
    assert list(at(schema, "losses")["properties"]) == ["logistic", "penalty", "style"]
    assert list(at(schema, "on", "cuda", "generator")["properties"]) == ["canvas", "conv", "dense", "fussy", "orphan"]
    for road in [("generator", "conv"), ("on", "mps", "critic", "judge")]:
        assert {"width", "activation", "slope", "rate", "use"} <= set(at(schema, *road)["properties"])
        assert at(schema, *road)["else"]["additionalProperties"] is False
        width = at(schema, *road, "width")
        assert width == {
            "type": "integer",
            "minimum": 1,
            "maximum": 512,
            "default": 64,
            "description": "Channels of the widest level.",
        }
        assert at(schema, *road, "activation")["enum"] == ["relu", "leaky"]
    assert at(schema, "run", "precision")["enum"] == ["auto", "fp32", "bf16"]
    assert "bf16 where the hardware has it" in at(schema, "run", "precision")["description"]
    assert SCHEMAS[id(at(schema, "phase")["items"])]["properties"]["batch"]["anyOf"][0]["minimum"] == 1
    assert "extends" not in at(schema, "on", "cpu")["properties"]


def test_nothing_that_editors_stumble_over_is_in_it(plugins):
    text = schema_text(plugins)
    for word in ("oneOf", "prefixItems", "discriminator", "null"):
        assert f'"{word}"' not in text
    found: list[dict] = []
    json.loads(text, object_hook=lambda node: found.append(node) or node)
    assert all(len(node) == 1 for node in found if "$ref" in node)
    assert {tuple(node["required"]) for node in found if isinstance(node.get("required"), list)} == {
        ("batch",),
        ("use",),
        ("path",),
    }


def test_defaults_that_stand_for_none_are_left_out():
    schema = linked(recipe_schema(toys()))
    phase = SCHEMAS[id(at(schema, "phase")["items"])]["properties"]
    assert "default" not in phase["images"] | phase["steps"] | phase["resolution"]
    assert at(schema, "generator", "conv", "note") == {"type": "string"}


# Plugins of strangers


class Rates(Options):
    up: float
    """Upwards."""


class WeaveOptions(Options):
    """Threads of a stranger."""

    threads: int = Field(8, ge=2)
    """How many threads."""
    rates: float | Rates = 0.5
    steps: list[Rates] = Field(default_factory=list)
    corner: tuple[int, str] = (0, "left")
    kind: Literal["linen"] = "linen"
    again: Annotated[str, AfterValidator(str.upper)] = "x"


class Weave:
    @hookimpl
    def artgen_generators(self):
        return [component("generator", "weave", WeaveOptions, partner="judge", deprecated="use 'loom'")]


class Other:
    """Claims a name of the toys."""

    @hookimpl
    def artgen_losses(self):
        from artgen import LossOptions

        return [component("loss", "logistic", LossOptions, needs={"generator": ("fake",)})]


def test_a_component_of_a_stranger_appears_with_its_manual():
    schema = linked(recipe_schema(toys(Weave())))
    weave = at(schema, "generator", "weave")
    assert weave["description"].split("\n\n") == [
        "A toy",
        "Threads of a stranger.",
        "Deprecated: use 'loom'.",
        "Plugin `Weave`.",
    ]
    assert at(schema, "generator", "weave", "threads")["description"] == "How many threads."
    assert at(schema, "on", "cpu", "generator", "weave", "threads")["minimum"] == 2
    number, table = at(schema, "generator", "weave", "rates")["anyOf"]
    assert number == {"type": "number"}
    assert SCHEMAS[id(table)]["properties"]["up"]["description"] == "Upwards."
    validator = Draft7Validator(schema)
    Draft7Validator.check_schema(schema)
    for table in ({"threads": 3, "rates": {"up": 1.5}}, {"corner": [3, "right"]}, {"steps": [{"up": 1.0}]}, {}):
        assert validator.is_valid({"generator": {"weave": table}})
        assert validator.is_valid({"generator": {"mine": {"use": "weave", **table}}})
    for table in ({"threads": 1}, {"rates": {"down": 1}}, {"corner": [3]}, {"kind": "silk"}, {"steps": [{"u": 1}]}):
        assert not validator.is_valid({"generator": {"weave": table}})
        assert not validator.is_valid({"generator": {"mine": {"use": "weave", **table}}})
    assert not Draft7Validator(recipe_schema(toys())).is_valid({"generator": {"weave": {}}})


def test_a_name_that_two_plugins_claim_is_offered_in_full(tmp_path):
    plugins = toys(Other())
    schema = recipe_schema(plugins)
    validator = Draft7Validator(schema)
    names = [name for name in plugins.components("loss") if name.endswith("logistic")]
    assert len(names) == 2
    assert set(names) <= set(schema["properties"]["losses"]["properties"])
    for name in names:
        assert validator.is_valid({"losses": {name: {"weight": 1}}})
        assert validator.is_valid({"losses": {"logistic": {"use": name, "weight": 1}}})
        assert not validator.is_valid({"losses": {name: {"wieght": 1}}})
    assert not validator.is_valid({"losses": {"logistic": {}}})


class Opaque:
    """A type of a plugin's own, of which JSON Schema knows nothing."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler):
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(lambda value: cls())


class Hostile(Opaque):
    @classmethod
    def __get_pydantic_json_schema__(cls, core, handler):
        raise KeyError("no excuse")


class OddOptions(Options):
    odd: Opaque = Opaque()
    width: int = Field(8, ge=1)


class HostileOptions(Options):
    odd: Hostile | None = None


class Tree(Options):
    height: int = Field(1, ge=1)
    branches: list[Tree] = Field([])


class Odd:
    @hookimpl
    def artgen_critics(self):
        return [component("critic", "odd", OddOptions), component("critic", "hostile", HostileOptions)]

    @hookimpl
    def artgen_metrics(self):
        return [component("metric", "tree", Tree)]


def test_a_type_that_has_no_schema_costs_no_more_than_its_table():
    schema = recipe_schema(toys(Odd()))
    validator = Draft7Validator(schema)
    assert validator.is_valid({"critic": {"odd": {"odd": "anything", "width": 3}}})
    assert not validator.is_valid({"critic": {"odd": {"width": 0}}})
    assert not validator.is_valid({"critic": {"odd": {"wdith": 3}}})
    assert validator.is_valid({"critic": {"hostile": {"odd": 3}}})
    assert not validator.is_valid({"critic": {"judge": {"wdith": 3}}})
    assert not validator.is_valid({"critic": {"patch": {}, "hostile": {}}})


def test_options_that_hold_themselves():
    validator = Draft7Validator(recipe_schema(toys(Odd())))
    assert validator.is_valid({"metrics": {"tree": {"height": 2, "branches": [{"branches": [{"height": 1}]}]}}})
    assert not validator.is_valid({"metrics": {"tree": {"branches": [{"branches": [{"height": 0}]}]}}})
    assert not validator.is_valid({"metrics": {"tree": {"hieght": 2}}})


def test_without_plugins_there_is_a_schema_that_knows_no_component():
    validator = Draft7Validator(recipe_schema(Plugins(points=())))
    assert validator.is_valid({"title": "x", "run": {"precision": "fp32"}})
    assert not validator.is_valid({"generator": {"dcgan": {}}})


def test_the_order_of_plugins_does_not_show():
    assert schema_text(toys(Weave(), Odd())) == schema_text(toys(Odd(), Weave()))


# The commands


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`artgen recipe ...` in an empty folder, with the toys installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("artgen.plugins.load_plugins", toys)

    def run(*arguments):
        return CliRunner().invoke(recipe, arguments, catch_exceptions=False)

    return run


def test_the_schema_is_printed_or_written(run, tmp_path):
    printed = run("schema").stdout
    assert json.loads(printed) == recipe_schema(toys())
    (tmp_path / "mine.json").write_text("older")
    assert run("schema", "--out", "mine.json").stdout == "mine.json\n"
    assert (tmp_path / "mine.json").read_text() == printed
    with pytest.raises(RecipeError, match="cannot be written"):
        run("schema", "--out", "no/such/folder.json")


@pytest.mark.parametrize("name", BUNDLED)
def test_a_copied_recipe_finds_its_schema(name, run, tmp_path):
    run("copy", name, "mine.toml")
    assert (tmp_path / "mine.toml").read_bytes() == BUNDLED[name].read_bytes()
    named = (tmp_path / "mine.toml").read_text().partition("\n")[0].removeprefix("#:schema ")
    assert json.loads((tmp_path / named).read_text()) == recipe_schema(toys())


def test_a_copy_leaves_a_schema_that_is_there(run, tmp_path):
    (tmp_path / SCHEMA_FILE).write_text("precious")
    run("copy", "digits")
    run("copy", "digits", "second.toml")
    assert (tmp_path / SCHEMA_FILE).read_text() == "precious"
    with pytest.raises(RecipeError, match="such a file already"):
        run("copy", "digits")


def test_torch_is_not_imported():
    code = "import sys; from artgen.cli.main import artgen; artgen(['recipe', 'schema'], standalone_mode=False); "
    code += "sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)["properties"]) >= set(SECTIONS)


def test_the_schema_is_packaged_with_the_recipes():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {"recipes": "artgen/_recipes"}
    assert Path(ROOT, "recipes", SCHEMA_FILE).is_file()
    assert SCHEMA_FILE.partition(".")[0] not in BUNDLED
