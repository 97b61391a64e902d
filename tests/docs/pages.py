"""Reads the pages of docs/, and runs what they show.

How a fenced block is used follows from its language and its first line:

    console   Run in order, through the command line's own `main`, in one folder. `$ artgen ...` is a command; the lines
              below it must appear in what it prints, in order, where `...` stands for anything. `^C` as the first of
              them means that the command is interrupted once it has shown a step. `$ echo $?` shows the exit code.
              `artgen run` is made tiny by options that are put before those of the page, so the page's own count.
    sh        Not run (installing, torchrun); its artgen commands must parse.
    toml      A recipe. `# name.toml` in its first line: the whole file, kept for the commands below it. Else it is
              loaded by itself if it has `extends`, or laid over a small base recipe; but not `wrong.toml`.
    python    In the plugin guide: a file, named in the first line, or a quotation from tests/families/. In the page on
              tests: a file, which its test writes down and runs.
"""

from __future__ import annotations

import contextlib
import fnmatch
import io
import os
import re
import shlex
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from artgen import hookimpl
from artgen.cli.main import main
from artgen.plugins import Plugins
from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))

TINY = {
    "data.atelier.count": 24,
    "data.atelier.resolution": 32,
    "phase": "[{images=48,batch=8}]",
    "run.preview_images": 32,
    "run.preview_pictures": 4,
    "run.evaluate_samples": 16,
    "run.precision": "fp32",
}
NARROW = {"generator.dcgan.width": 4, "critic.dcgan.width": 4}


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def file(self) -> str:
        """The file name in its first line, if there is one."""
        match = re.match(r"# ([\w./-]+\.(?:toml|py))\n", self.text)
        return match[1] if match else ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a page in these languages, or all."""
    found: list[Block] = []
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, match[1], match[2]))
    return [block for block in found if not languages or block.language in languages]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def commands(block: Block) -> list[tuple[str, list[str]]]:
    """What is typed in a console block, each with the lines shown below it."""
    typed: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            typed.append((line[2:], []))
        elif line:
            typed[-1][1].append(line)
    return typed


class Interrupter:
    """Presses Ctrl-C once, when told to, as soon as a step is shown."""

    armed = False

    @hookimpl
    def artgen_step_shown(self) -> None:
        if self.armed:
            self.armed = False
            os.kill(os.getpid(), signal.SIGINT)


class Shell:
    """Types the commands of a page. The current folder is where the reader would be."""

    def __init__(self, monkeypatch, *extra: object, tiny: dict[str, object] = NARROW) -> None:
        self.monkeypatch, self.code = monkeypatch, 0
        settings = [f"{key}={value}" for key, value in (TINY | tiny).items()]
        self.tiny = ["--device", "cpu", *(word for setting in settings for word in ("--set", setting))]
        self.interrupter = Interrupter()
        plugins = Plugins(extra=[self.interrupter, *extra])
        monkeypatch.setattr("artgen.plugins.load_plugins", lambda: plugins)
        monkeypatch.setenv("ARTGEN_CACHE", str(Path.cwd() / "cache"))
        monkeypatch.setenv("NO_COLOR", "1")

    def type(self, command: str, shown: list[str]) -> None:
        """Run a command and compare what it prints with what the page shows."""
        if command == "echo $?":
            printed = str(self.code)
        else:
            self.interrupter.armed = shown[:1] == ["^C"]
            printed = self.artgen(shlex.split(command))
            assert not self.interrupter.armed, f"$ {command} was not interrupted"
            shown = shown[1:] if shown[:1] == ["^C"] else shown
        printed = "\n".join(line.strip() for line in printed.splitlines() if line.strip())
        pattern = "*" + "\n".join(map(as_pattern, shown)).replace("*\n", "*") + "*"
        assert not shown or fnmatch.fnmatchcase(printed, pattern), f"$ {command}\n{printed}\nis not\n" + "\n".join(
            shown
        )

    def artgen(self, words: list[str]) -> str:
        """Run artgen as its console script does."""
        if words[1] == "run":
            words = [*words[:3], *self.tiny, *words[3:]]
        self.monkeypatch.setattr(sys, "argv", words)
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            try:
                main()
            except SystemExit as end:
                self.code = int(end.code or 0)
        return output.getvalue()

    def type_page(self, page: Path) -> None:
        """Everything on a page, in its order."""
        for block in blocks(page, "console", "toml"):
            if block.language == "toml":
                if block.file:
                    Path(block.file).write_text(block.text)
                continue
            for command, shown in commands(block):
                self.type(command, shown)
                failed = self.code and not any(line.startswith(("error:", "^C")) for line in shown)
                assert not failed or command == "echo $?", f"{block}: $ {command} ended with {self.code}"


def as_pattern(line: str) -> str:
    """A shown line as a pattern: `...` stands for anything, also for several lines."""
    return "*".join(re.sub(r"([*?[])", r"[\1]", part) for part in line.strip().split("..."))
