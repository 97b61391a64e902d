"""No recipe makes artgen hang, recurse, run code, or raise anything but its own error."""

from __future__ import annotations

import os

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artgen import RecipeError
from artgen.recipe import DEVICES, load_recipe

from .toys import RECIPE, toys

TOYS = toys()


def refused(path):
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, plugins=TOYS)
    return str(caught.value)


HOSTILE = {
    "NUL": (b'title = "a\0b"', "a control character cannot stand here"),
    "NUL by escape": (RECIPE.replace("A toy", r"A\u0000toy").encode(), "NUL"),
    "not UTF-8": (b"title = 'a'\nseed = 1 # \xff", "line 2 is not UTF-8 text (byte 0xff)"),
    "UTF-16": (RECIPE.encode("utf-16"), "this is UTF-16, not UTF-8"),
    "too large": (b"#" * (2**20 + 1), "larger than 1,048,576 bytes"),
    "deep arrays": (b"x = " + b"[" * 60_000, "nested more than 64 deep"),
    "deep closed arrays": (b"x = " + b"[" * 70 + b"]" * 70, "nested more than 64 deep"),
    "deep tables": (b"x = " + b"{a=" * 20_000, "nested more than 64 deep"),
    "deep lines": (b"x = " + b"[\n" * 100_000, "nested more than 64 deep"),
    "long dotted key": (b"a" + b".a" * 30_000 + b" = 1", "a key in line 1 has over 64 parts"),
    "long quoted key": (b"\n" + b'"a"' + b' . "a"' * 10_000 + b" = 1", "a key in line 2 has over 64 parts"),
    "long header": (b"[" + b"a." * 30_000 + b"a]", "a key in line 1 has over 64 parts"),
    "one long line": (b"a" * 2**20, "line 1: this line is longer than 65,536 characters"),
    "one long word": (b"a" * 2**16, "expected '=' behind the key"),
    "many long words": (b"a" * 9_000 + b"\n" + (b"b" * 9_000 + b"\n") * 100, "expected '=' behind the key"),
    "one long line of words": (b"a " * 2**15, "expected '=' behind the key"),
    "quotes without end": (b'"' + b"a" * (2**16 - 1), "this text is not closed"),
    "text without end": (b'x = """' + b"a\n" * 500_000, "the text that begins here with"),
    "array without end": (b"x = [" + b"1,\n" * 60_000, "the array that begins here is not closed"),
    "many keys": ("\n".join(f"k{i} = 1" for i in range(20_000)).encode(), "more than 10000 values"),
    "many unknown keys": (
        "\n".join(f"k{i} = 1" for i in range(9_000)).encode(),
        "more than 100 faults, of which these are 100",
    ),
    "long unknown keys": ("\n".join(f"{'k' * 9_000}{i} = 1" for i in range(100)).encode(), "unknown key"),
    "many unknown options": (
        RECIPE.replace("width = 8", "\n".join(f"width{i} = 1" for i in range(9_000))).encode(),
        "more than 100 faults, of which these are 100",
    ),
    "many unknown losses": (
        (RECIPE + "\n".join(f"[losses.lgistic{i}]" for i in range(4_000))).encode(),
        "more than 100 faults, of which these are 100",
    ),
    "many syntax errors": (b"a b\n" * 2**18, "expected '=' behind the key"),
    "some syntax errors": (b"a b\n" * 2**13, "expected '=' behind the key"),
    "many empty tables": (b"".join(b"[[a]]\n" for _ in range(20_000)), "more than 10000 values"),
    "digits without end": (b"seed = " + b"9" * 60_000, "a number has thousands of digits"),
    "terminal escapes in a key": (rb'"a\u001B[2Jb" = 1', "cannot be printed"),
    "code": (RECIPE.replace("[generator.conv]", "[generator.'os:system']").encode(), "no plugin provides"),
    "code in use": (RECIPE.replace("width = 8", "use = '__import__(\"os\")'").encode(), "no plugin provides"),
    "empty label": (RECIPE.replace("[generator.conv]", '[generator.""]').encode(), "no plugin provides"),
    "only a colon": (RECIPE.replace("[generator.conv]", '[generator.":"]').encode(), "no plugin provides"),
}


@pytest.mark.parametrize(("content", "cause"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_content(tmp_path, content, cause):
    (tmp_path / "recipe.toml").write_bytes(content)
    told = refused(tmp_path / "recipe.toml")
    assert cause in told[:100_000]  # a difference of texts without end would take pytest minutes
    assert all(letter.isprintable() or letter == "\n" for letter in told)


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "recipe.toml")
    assert "no regular file" in refused(tmp_path / "recipe.toml")


def test_a_file_that_waits_although_it_says_it_is_regular(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "recipe.toml")
    writer = os.open(tmp_path / "recipe.toml", os.O_RDWR)  # so that a reader would wait for it
    monkeypatch.setattr("artgen.recipe.source.stat.S_ISREG", lambda mode: True)
    try:
        assert "it waits for something to read" in refused(tmp_path / "recipe.toml")
    finally:
        os.close(writer)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/stdin", ".", "", "a\0b", "x" * 10_000, "nowhere/x.toml", "\udc80"])
def test_what_is_no_recipe(path):
    assert refused(path)


def test_a_file_that_may_not_be_read(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "recipe.toml").chmod(0)
    if os.access(tmp_path / "recipe.toml", os.R_OK):
        pytest.skip("this user may read everything")
    assert "permission denied" in refused(tmp_path / "recipe.toml")


def test_links_in_a_circle(tmp_path):
    (tmp_path / "a.toml").symlink_to(tmp_path / "b.toml")
    (tmp_path / "b.toml").symlink_to(tmp_path / "a.toml")
    assert "the links to this file go round in a circle" in refused(tmp_path / "a.toml")


def test_a_circle_of_recipes(tmp_path):
    (tmp_path / "a.toml").write_text("extends = 'b.toml'")
    (tmp_path / "b.toml").write_text("extends = 'a.toml'")
    assert "extends this recipe in its turn" in refused(tmp_path / "a.toml")


def test_a_long_chain_of_recipes(tmp_path):
    for i in range(12):
        (tmp_path / f"{i}.toml").write_text(f"extends = '{i + 1}.toml'")
    (tmp_path / "12.toml").write_text(RECIPE)
    assert "over 8 recipes in a row" in refused(tmp_path / "0.toml")
    assert load_recipe(tmp_path / "4.toml", plugins=TOYS).seed == 3


def test_recipes_that_multiply(tmp_path):
    for i in range(6):
        (tmp_path / f"{i}.toml").write_text(f"extends = {[f'{i + 1}.toml'] * 50}")
    (tmp_path / "6.toml").write_text(RECIPE)
    assert "32 in all" in refused(tmp_path / "0.toml")


WORDS = """title seed data painted folder path resolution augment flip generator conv canvas width rate layers start
    note use critic judge features filters losses logistic weight every trainer game metrics kid phase images steps
    batch fade run precision on cpu cuda extends"""
NAMES = st.sampled_from(WORDS.split()) | st.text(max_size=4)
SCALARS = (
    st.integers()
    | st.floats()
    | st.booleans()
    | st.text(max_size=5)
    | st.datetimes()
    | st.sampled_from(["conv", "game", "recipe.toml", "auto", 8, 64])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=20
)
BASE = {
    "data": {"painted": {}},
    "generator": {"conv": {}},
    "losses": {"logistic": {}},
    "trainer": {"game": {}},
    "phase": [{"images": 10, "batch": 2}],
}


def attempt(path, **more):
    """A recipe, or the one error that is allowed; what is taken must survive being written down."""
    try:
        recipe = load_recipe(path, plugins=TOYS, **more)
    except RecipeError as error:
        return str(error)
    path.with_name("again.toml").write_text(recipe.to_toml())
    assert load_recipe(path.with_name("again.toml"), plugins=TOYS) == recipe
    return recipe.fingerprint


KIND = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(table=st.dictionaries(NAMES, VALUES, max_size=6), device=st.sampled_from(DEVICES), whole=st.booleans())
@KIND
def test_any_toml_is_a_recipe_or_a_recipe_error(tmp_path, table, device, whole):
    table = BASE | table if whole else table
    try:
        text = tomli_w.dumps(table)
        (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    except (UnicodeEncodeError, ValueError):
        return
    assert attempt(tmp_path / "recipe.toml", device=device)


@given(content=st.binary(max_size=60) | st.text(alphabet="[]{}=.\"'#\n a1\\,", max_size=60).map(str.encode))
@KIND
def test_any_bytes_are_a_recipe_or_a_recipe_error(tmp_path, content):
    (tmp_path / "recipe.toml").write_bytes(content)
    assert attempt(tmp_path / "recipe.toml")


@given(key=st.lists(NAMES, max_size=4).map(".".join), value=VALUES, raw=st.text(max_size=10))
@KIND
def test_any_argument_is_taken_or_refused(tmp_path, key, value, raw):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    assert attempt(tmp_path / "recipe.toml", overrides=[f"{key}={value}", f"{key}={raw}"])
    assert attempt(tmp_path / "recipe.toml", data=raw)
