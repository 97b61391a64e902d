"""Recipes and arguments that nobody would write: only artgen's own error may come out, soon, and it must print.

    python tests/recipe/fuzz.py --minutes 30 [--seed N]

The tests make some of the same attempts (`test_fuzz.py`). What fails is printed with what made it fail.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
import tomllib
import traceback
from dataclasses import asdict
from pathlib import Path

from artgen.errors import ArtgenError, Fault, RecipeError
from artgen.plugins import Plugins, load_plugins
from artgen.recipe import DEVICES, bundled_recipes
from artgen.recipe.load import load_traced
from artgen.recipe.origin import toml_with_origins, traced

PATIENCE_SECONDS = 2.0
"""Of the processor; tomllib alone may take half of it for the largest file."""

_TOKEN = re.compile(r"\"[^\"\n]*\"|[\w.+-]+|\s+|.", re.DOTALL)
_SPICE = [
    *"[]{}=.,#\"'\\\n\r\t\0\x1b\x7f",
    "[[",
    "]]",
    '"""',
    "'''",
    "\\u0000",
    "\\ud800",
    "\u202e",
    "日本",
    "\U0001f3a8",
    "\ufeff",
    "true",
    "inf",
    "nan",
    "-0",
    "1e999",
    "0x" + "f" * 40,
    "9" * 30,
    "9" * 5_000,
    "1979-05-27",
    "use",
    "extends",
    "on.cpu",
    "[on.cuda",
    "phase",
    "a." * 80,
    "[" * 200,
    "{a=" * 200,
    "x" * 3_000,
    "artgen:dcgan",
    "nowhere:dcgan",
]
_ARGUMENTS = [
    "seed=3",
    "title=words",
    "generator.dcgan.width=16",
    "phase=[{images=5,batch=5}]",
    "phase.images=5",
    "trainer.adversarial.betas=[0.1, 0.9]",
    "metrics.swd={}",
    "generator.dense={}",
    "losses.r1.weight=0",
    "extends=rembrandt",
    "on.cpu.run.precision=fp32",
]


def fuzz(seed: int, seconds: float, plugins: Plugins | None = None, attempts: int = 10**12) -> int:
    """Make attempts until the time is up, or so many; return how many were made.

    Raises:
        AssertionError: Something else than an artgen error came out, or it came too late, or does not print.
    """
    draw, plugins, done, end = random.Random(seed), plugins or load_plugins(), 0, time.monotonic() + seconds
    texts = [file.read_text(encoding="utf-8") for file in bundled_recipes().values()]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        while done < attempts and time.monotonic() < end:
            content = {f"{name}.toml": mutated_file(draw, texts) for name in ("recipe", "base")[: draw.randint(1, 2)]}
            if "base.toml" in content:
                content["recipe.toml"] = b'extends = "base.toml"\n' + content["recipe.toml"]
            overrides = [mutated(draw, draw.choice(_ARGUMENTS)) for _ in range(draw.choice([0, 0, 0, 1, 2]))]
            data = draw.choice([None, None, None, mutated(draw, "pictures")])
            for file, written in content.items():
                (folder / file).write_bytes(written)
            try:
                attempt(folder, overrides, data, draw.choice(DEVICES), plugins)
            except Exception as error:
                raise AssertionError(
                    f"attempt {done} of seed {seed}: {content!r}\n--set {overrides!r} --data {data!r}\n"
                    + "".join(traceback.format_exception(error))
                ) from error
            done += 1
    return done


def attempt(folder: Path, overrides: list[str], data: str | None, device: str, plugins: Plugins) -> None:
    """Load `recipe.toml`. What is taken can be written down; what is refused can be told."""
    begun, recipe = time.process_time(), folder / "recipe.toml"
    try:
        loaded, layer = load_traced(recipe, device=device, overrides=overrides, data=data, plugins=plugins)
        lines = traced(loaded, layer, plugins)
        assert json.dumps([line.value for line in lines])
        told = [loaded.to_toml(), toml_with_origins(lines)]
        assert tomllib.loads(told[0]) == tomllib.loads(told[1])
    except ArtgenError as error:
        refused = error
    else:
        refused = ArtgenError("")
    assert is_printable(str(refused))
    for fault in refused.faults if isinstance(refused, RecipeError) else ():
        check(fault, folder, [*overrides, data or ""])
    seconds = time.process_time() - begun
    assert seconds < PATIENCE_SECONDS, f"took {seconds:.1f} s"


def check(fault: Fault, folder: Path, arguments: list[str]) -> None:
    """What every fault promises."""
    assert fault.cause
    assert fault.remedy
    assert re.fullmatch(r"E-[a-z]+", fault.code)
    assert is_printable(str(fault))
    assert json.loads(json.dumps(asdict(fault)))["code"] == fault.code
    if not fault.line:
        assert not fault.source
        return
    if fault.file.startswith("--"):
        texts = arguments
    else:
        texts = [(folder / fault.file).read_bytes().decode(errors="replace").removeprefix("\ufeff")]
    lines = [text.split("\n")[fault.line - 1 :][:1] for text in texts]
    assert fault.source in [line.removesuffix("\r") for one in lines for line in one]
    assert 1 <= fault.column <= fault.end_column <= len(fault.source) + 1


def is_printable(text: str) -> bool:
    """Whether a terminal shows it as it is."""
    return all(letter.isprintable() or letter == "\n" for letter in text)


def mutated_file(draw: random.Random, texts: list[str]) -> bytes:
    """A recipe with a few mutations, in tokens or in bytes."""
    text = mutated(draw, draw.choice(texts)) if draw.random() < 0.95 else random_toml(draw)
    content = bytearray(text.encode(errors="surrogatepass"))
    for _ in range(draw.choice([0, 0, 0, 1, 3])):
        at = draw.randrange(len(content) + 1)
        content[at : at + draw.choice([0, 1, 1, 2])] = draw.randbytes(draw.choice([0, 1, 1, 4]))
    return bytes(content)


def mutated(draw: random.Random, text: str) -> str:
    """A text with tokens taken away, doubled, put elsewhere, or exchanged for worse ones."""
    tokens = _TOKEN.findall(text)
    for _ in range(draw.choice([0, 1, 1, 2, 3, 8])):
        at, other = draw.randrange(len(tokens) + 1), draw.randrange(len(tokens) + 1)
        kind = draw.randrange(6)
        if kind == 0:
            del tokens[at : at + draw.choice([1, 1, 1, 5])]
        elif kind == 1:
            tokens[at:at] = tokens[other : other + draw.choice([1, 3, 20])]
        elif kind == 2:
            tokens[at : at + 1] = [draw.choice(_SPICE)]
        elif kind == 3:
            tokens[at:at] = [draw.choice(_SPICE)]
        elif kind == 4 and at < len(tokens):
            token = list(tokens[at])
            token[draw.randrange(len(token)) :][:1] = [chr(draw.choice([draw.randrange(128), draw.randrange(0x3000)]))]
            draw.shuffle(token)
            tokens[at] = "".join(token)
        else:
            tokens[at:at] = [draw.choice(_SPICE)] * draw.choice([2, 50, 3_000])
        if len(tokens) > 20_000:
            break
    return "".join(tokens)


def random_toml(draw: random.Random) -> str:
    """Tokens of TOML in any order."""
    words = ["a", "b", "1", "'x'", '"y"', "data", "generator", "dcgan", "phase", "\n", "\n", " ", *_SPICE[:24]]
    return "".join(draw.choices(words, k=draw.choice([5, 30, 300])))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    made = fuzz(given.seed, 60 * given.minutes)
    sys.stdout.write(f"{made:,} attempts in {given.minutes:g} minutes: only artgen's own errors, each in time\n")
