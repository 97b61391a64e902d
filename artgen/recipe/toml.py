"""TOML text to tables. A syntax error does not hide what the rest of the text says."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from artgen.errors import Fault
from artgen.recipe.source import Source
from artgen.recipe.spans import Key, Span

MAX_DEPTH, MAX_MISTAKES, MAX_MENDED = 64, 8, 2**16

# Linear in the length of the file; tomllib takes quadratic time for a key of many parts.
_KEY_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_KEY_PART}(?:[ \t]*+\.[ \t]*+{_KEY_PART}){{{MAX_DEPTH}}}")
_LONG_NUMBER = re.compile(r"[\d_]{4301,}+")

LONG_NUMBER = "a number has thousands of digits"
"""Why tomllib raises a ValueError that is no TOMLDecodeError."""

Read = tuple[dict[str, Any], list[Fault], set[Key]]


def read_toml(source: Source) -> Read:
    """The tables of a text; its syntax errors; and the keys about which, because of them, nothing is known.

    A line that makes no sense is left out, and the rest is read again. The key `()` stands for everything.
    """
    text, faults, unknown = source.text or "", list[Fault](), set[Key]()
    if match := _LONG_KEY.search(text):
        cause = f"a key in line {source.line(match.start())} has over {MAX_DEPTH} parts"
        return _refused(source, faults, cause, Span(*match.span()))
    while True:
        try:
            values = tomllib.loads(text)
            # Where no line makes sense, this is another kind of file.
            return values, faults, unknown if values or not faults else {()}
        except RecursionError:
            cause = f"tables or arrays are nested more than {MAX_DEPTH} deep"
            return _refused(source, faults, cause, _first_of("[{", text))
        except tomllib.TOMLDecodeError as error:
            from artgen.recipe.syntax import mistake

            told, found, (start, end), key = mistake(text, str(error))
            more = {"expected": told.expected, "found": found}
            faults.append(source.fault((), "E-syntax", told.cause, told.remedy, at=told.span, **more))
            left_out = text[start:end]
            if len(faults) == MAX_MISTAKES or len(text) > MAX_MENDED or not left_out.strip():
                return {}, faults, {()}
            unknown.add(key)
            blank = "".join(letter if letter == "\n" else " " for letter in left_out)
            text = source.readable = text[:start] + blank + text[end:]
        except ValueError:
            number = _LONG_NUMBER.search(text)
            return _refused(source, faults, LONG_NUMBER, Span(*number.span()) if number else Span(0, 1))


def _refused(source: Source, faults: list[Fault], cause: str, span: Span) -> Read:
    remedy = "No recipe needs that: shorten it."
    return {}, [*faults, source.fault((), "E-limit", cause, remedy, at=span)], {()}


def _first_of(letters: str, text: str) -> Span:
    start = min((at for letter in letters if (at := text.find(letter * 8)) >= 0), default=0)
    return Span(start, start + 1)
