"""How a fault looks: its line with carets under the right columns, and nothing in it that moves the terminal."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artgen.cli.main import main
from artgen.errors import ArtgenError, Fault, RecipeError
from artgen.excerpt import WIDTH, excerpt, printable

FAULT = Fault(
    ("generator", "dcgan", "widht"),
    "unknown key 'widht'",
    "Did you mean 'width'?",
    "base.toml",
    "E-key",
    line=12,
    column=1,
    end_column=6,
    source="widht = 8",
    owner="plugin 'dcgan' (artgen 0.1.0)",
    via=("mine.toml", "middle.toml"),
)


def test_a_fault_in_full():
    assert str(FAULT).splitlines() == [
        "base.toml:12:1: generator.dcgan.widht: unknown key 'widht' [E-key]",
        " 12 | widht = 8",
        "    | ^^^^^",
        "    = help: Did you mean 'width'?",
        "    = owner: plugin 'dcgan' (artgen 0.1.0)",
        "    = extended by: middle.toml -> mine.toml",
    ]


def test_a_fault_of_an_argument_shows_the_argument():
    fault = Fault(("seed",), "wrong", file="--set", code="E-type", line=1, column=6, end_column=7, source="seed=x")
    assert str(fault).splitlines() == ["--set: seed: wrong [E-type]", " | --set seed=x", " |            ^"]


def test_a_fault_without_a_place():
    assert str(Fault(("seed",), "the folder has 3, the recipe 4")) == "seed: the folder has 3, the recipe 4"
    assert str(Fault((), "wrong", "Mend it.", "a.toml")) == "a.toml: wrong\n  Mend it."


def test_many_faults_stand_apart_and_few_words_do_not():
    assert str(RecipeError("2 faults", place="a.toml", faults=[FAULT, FAULT])).split("\n\n") == [
        "a.toml: 2 faults",
        str(FAULT),
        str(FAULT),
    ]
    short = RecipeError("differs", faults=[Fault(("a",), "1, not 2"), Fault(("b",), "3, not 4")])
    assert str(short).splitlines() == ["differs", "a: 1, not 2", "b: 3, not 4"]


@pytest.mark.parametrize(
    ("source", "marked", "shown", "carets"),
    [
        ("a = 8", "8", "a = 8", "    ^"),
        ("\ta\t= 8", "8", "    a    = 8", " " * 11 + "^"),
        ("'日本' = 8", "8", "'日本' = 8", " " * 9 + "^"),
        ("a = '日本'", "日本", "a = '日本'", "     ^^^^"),
        ("e\u0301 = 8", "8", "e\u0301 = 8", "    ^"),
        ("\x1b[2J8", "8", "\\x1b[2J8", " " * 7 + "^"),
        ("a\u202e = 8", "8", "a\\u202e = 8", " " * 10 + "^"),
        ("a =\u00a08", "\u00a08", "a =\\xa08", "   ^^^^^"),
        ("a\r8", "8", "a\\r8", "   ^"),
        ("a =", "", "a =", "^"),
    ],
)
def test_carets_are_below_what_they_mark(source, marked, shown, carets):
    column = source.index(marked) + 1
    assert excerpt(source, column, column + len(marked)) == (shown, carets)


@pytest.mark.parametrize("column", [1, 50, 2_500, 4_950, 5_001])
def test_a_long_line_is_cut_around_its_carets(column):
    source = "".join(f"{number:5}" for number in range(1_000))
    shown, carets = excerpt(source, column, column + 5)
    assert len(shown) <= WIDTH + 6
    assert len(carets) <= len(shown) + 1
    marked = shown[carets.count(" ") :][: carets.count("^")]
    assert source[column - 1 :].startswith(marked.removesuffix("..."))


@given(st.text(), st.integers(-5, 300), st.integers(-5, 300))
def test_an_excerpt_is_two_lines_that_a_terminal_shows_as_they_are(source, column, end_column):
    shown, carets = excerpt(source, column, end_column)
    assert shown.isprintable()
    assert carets.strip() == "^" * carets.count("^") != ""


@given(st.text())
def test_no_text_plays_with_the_terminal(text):
    fault = Fault((text,), text, text, text, "E-key", 1, 1, 2, text, text, text, text, text, text, (text,))
    for told in (fault, RecipeError(text, place=text, remedy=text, faults=[fault]), ArtgenError(text, place=text)):
        assert all(letter.isprintable() or letter == "\n" for letter in str(told))
    assert Fault(**{**json.loads(json.dumps(asdict(fault))), "key": (text,), "via": (text,)}) == fault
    assert printable("plain") == "plain"


@pytest.fixture
def failing(tmp_path, monkeypatch, capsys):
    """What `artgen check` prints to stderr for a broken recipe."""
    (tmp_path / "recipe.toml").write_text("sead = 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["artgen", "check", "recipe.toml", "--device", "cpu"])

    def failing(terminal):
        monkeypatch.setattr("click._compat.isatty", lambda stream: terminal)
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        return capsys.readouterr().err

    return failing


def test_colour_is_for_terminals_and_for_who_wants_it(failing, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain, coloured = failing(terminal=False), failing(terminal=True)
    assert "\x1b" not in plain
    assert "\x1b[31m\x1b[1m^^^^" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert failing(terminal=True) == plain
