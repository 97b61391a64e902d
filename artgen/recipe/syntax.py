"""What is wrong with a text that is not TOML, in plain words."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from artgen.recipe.locate import Scan
from artgen.recipe.sense import Stop
from artgen.recipe.spans import Key, Span


class Mistake(NamedTuple):
    """One mistake in a text.

    Args:
        told: It in words.
        found: What stands there.
        senseless: The lines that cannot be read because of it.
        key: What those lines speak of; whether it is there cannot be told.
    """

    told: Told
    found: str
    senseless: Span
    key: Key


class Told(NamedTuple):
    """A mistake in words.

    Args:
        cause: What is wrong.
        remedy: What to write.
        expected: What may stand there.
        span: What the carets go under.
    """

    cause: str
    remedy: str
    expected: str
    span: Span


_LOOKALIKES = str.maketrans("\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0455\u0458", "aeopcyxisj")
"""Cyrillic letters that look like Latin ones."""

_WORD = re.compile(r"[^ \t\r\n,\[\]{}#=]*+")
_TOKEN = re.compile(r"[^ \t\r\n#]*+")
_REST = re.compile(r"[^\n,\]}#]*+")
_LINE = re.compile(r"[^\n]*+")
_DIGITS = re.compile(r"[-+\d,_]*+")


def mistake(text: str, message: str) -> Mistake:
    """Explain the message of a `tomllib.TOMLDecodeError`."""
    stop = _Explained(text, message)
    told = stop.unclosed() or stop.words()
    found = f"'{stop.word[:40]}'" if stop.word else "the end of the line" if stop.at < len(text) else "the end"
    return Mistake(told._replace(cause=told.cause.replace("FOUND", found)), found, *stop.senseless())


class _Explained(Stop):
    def __init__(self, text: str, message: str) -> None:
        super().__init__(text, message)
        self.word = self.match(_WORD) or text[self.at : self.at + 1].strip()

    @property
    def here(self) -> Span:
        return Span(self.at, self.at + max(1, len(self.word)))

    def unclosed(self) -> Told | None:
        """A bracket or quote that is not closed: tomllib complains at the end of the text or at what comes next."""
        quotes = self.text[self.scan.at : self.scan.at + 3]
        if self.message.startswith(("Unterminated", "Expected ")) and quotes in ('"""', "'''"):
            span = Span(self.scan.at, self.end_of_line(self.scan.at))
            cause = f"the text that begins here with {quotes} is not closed"
            return Told(cause, f"Close it with {quotes}.", quotes, span)
        if not self.scan.open:
            return None
        at_the_end = self.at == len(self.text)
        after_a_line = self.message.startswith("Unclosed") and self.text[self.at : self.at + 1] in ("\r", "\n")
        if self.next_statement is None and not at_the_end and (not after_a_line or self.closing is not None):
            return None
        start = self.scan.open[-1 if self.next_statement is None else 0]
        what, closing = ("array", "]") if self.text[start] == "[" else ("inline table", "}")
        cause, span = f"the {what} that begins here is not closed", Span(start, self.end_of_line(start))
        return Told(cause, f"Close it with {closing}.", f"'{closing}'", span)

    def words(self) -> Told:
        """Every other mistake, by what tomllib said."""
        match self.message.split():
            case ["Invalid", "value"]:
                return self.no_value(self.at)
            case ["Expected", "newline", *_]:
                return self.more_on_the_line()
            case ["Expected", "'='", *_]:
                return self.no_equals_sign()
            case ["Expected", "']'" | "']]'", *_]:
                return self.no_header()
            case ["Unterminated", "string"] | ["Expected", '"\'"'] | ["Illegal" | "Found", *_, "'\\n'"]:
                quote, span = self.text[self.scan.at], Span(self.scan.at, self.end_of_line(self.scan.at))
                remedy = f"Close it with {quote} on the same line; longer text stands between {quote * 3}."
                return Told("this text is not closed", remedy, quote, span)
            case ["Illegal" | "Found", *_]:
                remedy = 'Take it away; in text between "...", write it as an escape such as \\u001b.'
                return Told("a control character cannot stand here", remedy, "", Span(self.at, self.at + 1))
            case ["Unescaped", *_] | ["Invalid", "hex", *_] | ["Escaped", *_]:
                start = max(self.text.rfind("\\", 0, self.at), 0)
                remedy = "Write \\\\ for a backslash, or put the text between '...', where it means itself."
                cause, span = f"{self.text[start : start + 2]} is no escape", Span(start, start + 2)
                return Told(cause, remedy, "an escape such as \\n", span)
            case ["Cannot", *_]:
                return self.twice()
            case ["Duplicate", *_]:
                return self.twice_in_braces()
            case ["Unclosed", "array"]:
                remedy = "Separate the items of an array by commas."
                return Told("expected ',' or ']', found FOUND", remedy, "',' or ']'", self.here)
            case ["Unclosed", "inline", "table"]:
                remedy = "An inline table { ... } stands on one line, its items separated by commas."
                return Told("expected ',' or '}', found FOUND", remedy, "',' or '}'", self.here)
            case ["Invalid", "initial", *_]:
                return self.no_key()
            case ["Invalid", "statement"]:
                return self.no_statement()
        return Told(self.message[:1].lower() + self.message[1:], "Text stands in quotes.", "", self.here)

    def no_value(self, start: int) -> Told:
        """`seed = True`, `title = Faces`."""
        word, rest = self.match(_WORD, start), self.match(_REST, start)
        self.word = word or self.text[start : start + 1].strip()
        text = rest.strip("\"'“”‘’«» ")
        match word.lower():
            case "true" | "yes":
                remedy = "Write true."
            case "false" | "no":
                remedy = "Write false."
            case "none" | "null" | "nil":
                remedy = "Leave the key out: what is not written has its default."
            case number if re.fullmatch(r"[-+]?\.\d\S*", number):
                remedy = f"Write {word.replace('.', '0.', 1)}."
            case _ if word and not word[0].isprintable():
                remedy = "It begins with an invisible character: take that away."
            case _ if word.startswith("("):
                remedy = "Write an array between [ and ]."
            case _:
                remedy = f'Text stands in quotes: "{text[:40]}".' if text else "Write a value behind '='."
        span = Span(start, start + max(1, len(rest or self.word)))
        return Told("expected a value, found FOUND", remedy, "a value", span)

    def more_on_the_line(self) -> Told:
        """`images = 1,000`, `size = 64px`, `[table]]`."""
        if self.is_header:
            return self.no_header()
        if self.text[self.at] == "\r":
            remedy = "Save the file with the line ends of Unix (LF) or of Windows (CR LF)."
            return Told("a line ends in CR alone", remedy, "the end of the line", Span(self.at, self.at + 1))
        place = self.scan.places.get(self.key)
        start = place.value.start if place else self.at
        before, token = self.text[self.at - 1], self.match(_TOKEN, start)
        if token[:1].isalpha() and not before.isspace():
            return self.no_value(start)
        number = self.match(_DIGITS, start).rstrip(",")
        if self.text[self.at] == ",":
            remedy = f"Write {number.replace(',', '_')[:40]}." if "," in number else "No comma ends a line."
        elif re.fullmatch(r"[-+]?\d+\.", token):
            remedy = f"Write {token}0."
        elif re.fullmatch(r"[-+]?0\d+", token):
            remedy = f"Write {token.lstrip('-+0') or 0}, without leading zeros."
        elif re.match(r"[\w.-]+[ \t]*=", self.text[self.at : self.at + 80]):
            remedy = "Begin a new line for the next key."
        elif re.fullmatch(r"\d\S*", token):
            remedy = f'Write the number alone; text stands in quotes: "{token[:40]}".'
        elif token[:1] in ('"', "'"):
            remedy = "Text that holds such quotes stands between the other kind, \"...\" or '...'."
        else:
            remedy = "One key and its value stand on one line."
        span = self.here if before in " \t\"']}" else Span(start, start + len(token))
        return Told("expected the end of the line, found FOUND", remedy, "the end of the line", span)

    def no_equals_sign(self) -> Told:
        """`seed: 7`, `table]`."""
        if self.is_header:
            return self.no_header()
        if self.word.startswith(":"):
            remedy = "Write '=' in place of ':'."
        elif not self.word.isascii():
            remedy = _in_quotes(re.split(r"[=.]", self.line)[0].strip())
        elif "=" in self.line[self.at - self.statement :]:
            name = self.line.partition("=")[0].strip()[:40]
            remedy = f'Join the words of a key by _, or put it in quotes: "{name}".'
        else:
            remedy = f"Write {''.join(self.line.split()[:1])[:40]} = VALUE."
        span = self.here if self.word else Span(self.statement, max(self.at, self.statement + 1))
        return Told("expected '=' behind the key, found FOUND", remedy, "'='", span)

    def no_header(self) -> Told:
        """`[table`, `[[table]`, `[two words]`, `[gen\u00e9rator.x]`."""
        bare = re.sub(r"\"[^\"]*\"|'[^']*'", lambda quoted: " " * len(quoted[0]), self.line)
        for part in re.finditer(r"[^\s.\[\]\"']++", bare):
            if not part[0].isascii():
                span = Span(self.statement + part.start(), self.statement + part.end())
                return Told("this name is not of ASCII letters", _in_quotes(part[0]), "a name", span)
        name = ".".join(self.line.strip("[](){}<> \t").split())
        right = f"[[{name[:80]}]]" if self.line.startswith("[[") or self.line.endswith("]]") else f"[{name[:80]}]"
        unclosed = self.line.startswith("[") and "]" not in self.line
        cause = "the header of this table is not closed" if unclosed else "this is no header of a table"
        span = Span(self.statement, self.statement + len(self.line))
        return Told(cause, f"Write {right}.", right, span)

    def no_key(self) -> Told:
        """`a..b = 1`, `{ a = 1, }`."""
        remedy = "A key is of letters, digits, _ and -, or stands in quotes."
        if self.scan.open and (not self.word or self.word == "#"):
            remedy = "An inline table { ... } stands on one line; a longer one is a [table] of its own."
        elif self.scan.open and self.word == "}":
            remedy = "No comma stands before }."
        return Told("expected a key, found FOUND", remedy, "a key", self.here)

    def no_statement(self) -> Told:
        """`// comment`, `(table)`."""
        remedy = "A line is `key = value`, a [table], or a comment behind #."
        if self.word.startswith(("/", ";", "%")):
            remedy = "A comment begins with #."
        elif not self.text[self.at].isprintable():
            remedy = "It is an invisible character: take it away."
        return Told("no line begins with FOUND", remedy, "a key or a [table]", self.here)

    def twice(self) -> Told:
        """A key or table that is there already: names the line of the first, too."""
        earlier, header = Scan(self.text[: self.statement]), self.line.startswith("[")
        here = None if header else self.scan.places.get(self.key)
        span = here.key if here else Span(self.statement, self.statement + len(self.line))
        for length in range(len(self.key), 0, -1):
            place = earlier.places.get(self.key[:length])
            if place is None or (length < len(self.key) and place.key == place.value):
                continue
            line = self.text.count("\n", 0, place.key.start) + 1
            name = ".".join(map(str, self.key[:length]))[:80]
            if length < len(self.key):
                cause = f"'{name}' has its value already in line {line}"
                return Told(cause, "Write all of it there, or all of it here.", "", span)
            cause = f"the {'table' if header else 'key'} '{name}' stands twice, first in line {line}"
            return Told(cause, "Join the two." if header else "Take one of the two away.", "", span)
        return Told("this key has another meaning already", "Take one of the two away.", "", span)

    def twice_in_braces(self) -> Told:
        """`{ a = 1, a = 2 }`."""
        name = self.message.rpartition("key ")[2].strip("\"'")
        start = max(self.text.rfind(name, self.statement, self.at), self.statement)
        cause = f"the key '{name[:40]}' stands twice in this table"
        return Told(cause, "Take one of the two away.", "", Span(start, start + max(1, len(name))))


def _in_quotes(name: str) -> str:
    """What to do about a name of letters that TOML does not take as they are."""
    decomposed = unicodedata.normalize("NFKD", name.translate(_LOOKALIKES))
    plain = re.sub(r"[^\w-]", "", decomposed)  # so without accents, invisible characters and quotes
    remedy = "A name with other letters than A-Z, a-z, 0-9, _ and - stands in quotes."
    if not re.fullmatch(r"[\w-]+", plain, re.ASCII) or name.isascii():  # or the letter is in another name of the line
        return remedy
    other = next(letter for letter in name if not letter.isascii())
    letter = unicodedata.name(other, "another letter")
    return f"Did you mean {plain[:40]}? '{other}' is {letter} (U+{ord(other):04X}). {remedy}"
