"""Every key of every TOML text is located, and what stands at the place of its value parses to that value."""

from __future__ import annotations

import tomllib

import pytest
import tomli_w
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from artgen.recipe import bundled_recipes
from artgen.recipe.inline import inline, name
from artgen.recipe.locate import MAX_PARTS, Scan


def paths(value, path=()):
    """Every path in tables and arrays, with what is there."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, inner in pairs:
        yield (*path, part), inner
        yield from paths(inner, (*path, part))


def check(text):
    """The promise of the module's first line, for one text."""
    scan, wanted = Scan(text), dict(paths(tomllib.loads(text)))
    assert scan.at == len(text)
    assert scan.open == []
    assert set(scan.places) == set(wanted)
    for path, value in wanted.items():
        key, span = scan.places[path]
        if isinstance(path[-1], str):
            written = text[key.start : key.end]
            assert next(iter(tomllib.loads(f"{written} = 0"))) == path[-1]
        written = text[span.start : span.end]
        if isinstance(value, dict | list) and not written.startswith(("[", "{")):
            assert span == key, "only a table that is named on the way has its name for a value"
        elif not (isinstance(value, dict) and written.startswith("[")) and not written.startswith("[["):
            assert same(tomllib.loads(f"value = {written}")["value"], value)
    return scan


def same(one, other):
    return repr(one) == repr(other)  # nan is not itself


TEXTS = {
    "dotted": "a . 'b c' . \"d\\u0065\" = 1\n[x.y]\nz.w.v = 2\n",
    "empty key": "a.'' = 1\n\"\".a = 2\n",
    "inline": "a = { b.c = 1, d = [ { e = 'f' }, {} ] } # {}\n",
    "arrays": "a = [ # one ]\n 1, [2, 3,], # two\n 'x', ]\n",
    "tables": "[a]\n[a.b.c]\nd = 1\n[[e]]\n[e.f]\ng = 1\n[[e]]\n[[e.h]]\n[[e.h]]\ni = 1\n",
    "table after its child": "[a.b]\nc = 1\n[a]\nd = 2\n",
    "multi-line": 'a = """\nx = 1\n[b]\n\\""" """""\nc = \'\'\'\'it\'s\'\'\'\'\'\nd = 1',
    "escapes": r'a = "\\" # "' + '\n"b\\"" = "]"\n',
    "comments": "#[a]\nb = 1 # = 2\n#",
    "dates": "a = 1979-05-27 07:32:00 # now\nb = [1979-05-27 07:32:00, 07:32:00]\n",
    "numbers": "a = +1_000\nb = 0xdead_BEEF\nc = -inf\nd = 6.626e-34\ne = nan\n",
    "windows": "a = 1\r\n[b]\r\nc = [\r\n 1,\r\n]\r\nd = '''x\r\ny'''\r\n",
    "tabs": "\ta\t=\t1\t\n\t[\tb\t]\t\n\t'c'\t.\td\t=\t{\te\t=\t1\t}\t",
    "unicode": 'title = "日本 é\u0301 \u2028 \U0001f3a8"\n"ключ" = 1\n',
    "bare numbers as keys": "1.2 = 3\n-_- = 4\ntrue = false\n",
    "nothing": "",
    "blank": " \n\t\n# only a comment",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_all_ways_to_write_a_key(text):
    check(text)


@pytest.mark.parametrize("file", bundled_recipes().values(), ids=lambda file: file.stem)
def test_bundled_recipes(file):
    check(file.read_text())


NAMES = st.sampled_from(["a", "b", "c-d", "", "e f", "é", '"', "'", "\\", "a.b", "#", "=", "\t", "\n"]) | st.text(
    max_size=3
)
SCALARS = st.integers(-(2**60), 2**60) | st.floats() | st.booleans() | st.text(max_size=8) | st.datetimes() | st.dates()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)
SOME = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.booleans())
@SOME
def test_whatever_a_library_writes(table, windows):
    text = tomli_w.dumps(table)
    try:
        text.encode()
        tomllib.loads(text)
    except ValueError:
        assume(False)
    check(text.replace("\n", "\r\n") if windows and "\r" not in text else text)


@st.composite
def documents(draw):
    """Texts with headers, dotted keys, comments and blanks wherever TOML allows them."""
    space = st.sampled_from(["", " ", "\t", "  "])
    comment = st.sampled_from(["", "# [a]", "#'", ' # "']) | st.just("")

    def key():
        parts = draw(st.lists(st.sampled_from("abcdef") | NAMES, min_size=1, max_size=3))
        quoted = [f"'{part}'" if part.isalpha() and draw(st.booleans()) else name(part) for part in parts]
        return f"{draw(space)}.{draw(space)}".join(quoted)

    lines = []
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["pair", "pair", "pair", "table", "array", ""]))
        if kind == "pair":
            value = draw(
                st.integers(0, 9)
                | st.lists(st.integers(0, 9), max_size=2)
                | st.dictionaries(NAMES, st.booleans(), max_size=2)
            )
            lines.append(f"{draw(space)}{key()}{draw(space)}={draw(space)}{inline(value)}{draw(space)}{draw(comment)}")
        elif kind == "table":
            lines.append(f"{draw(space)}[{draw(space)}{key()}{draw(space)}]{draw(space)}{draw(comment)}")
        elif kind == "array":
            lines.append(f"[[{draw(space)}{key()}{draw(space)}]]")
        else:
            lines.append(draw(comment))
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines)


@given(documents())
@SOME
def test_whatever_a_person_writes(text):
    try:
        tomllib.loads(text)
    except ValueError:
        Scan(text)  # reads as far as it can, and never fails
        assume(False)
    check(text)


@given(st.text(alphabet="[]{}=.,\"'\\#\n\r\t ab1é", max_size=40))
@settings(max_examples=400, deadline=None)
def test_whatever_it_is(text):
    try:
        tomllib.loads(text)
    except ValueError:
        scan = Scan(text)
        assert 0 <= scan.statement <= scan.at <= len(text)
        assert all(0 <= start <= end <= len(text) for place in scan.places.values() for start, end in place)
    else:
        check(text)


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 10**6,
        "a" + ".a" * 10**6 + " = 1",
        "[" + "'a'." * 10**5,
        "x = " + "{a=" * 10**5,
        "'" * 10**6,
        "\n[" * 10**5,
    ],
)
def test_no_text_is_too_deep(text):
    assert all(len(path) <= 2 * MAX_PARTS + 2 for path in Scan(text).places)


def test_of_a_broken_text_what_comes_before_is_located():
    scan = Scan("[a]\nb = 1\nc = [1, 'x\nd = 2\n")
    assert set(scan.places) == {("a",), ("a", "b"), ("a", "c", 0)}
    assert (scan.path, scan.statement, scan.open) == (("a", "c"), 10, [14])
