"""The page itself: reads a run folder, writes one HTML file that needs nothing else.

It is XHTML as well, so that a test can parse it. Every value passes `words`; and should one slip through, the page's
own security policy allows neither scripts nor any address but `data:`.
"""

from __future__ import annotations

import json
import math
import re
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from artgen import ArtgenError
from artgen.run.record import RunFolder
from artgen_report.facts import OUTCOMES, figures_table, made_with, seconds_of, sessions_table
from artgen_report.history import charts, images_shown, latest
from artgen_report.pictures import Inlined, inline
from artgen_report.words import count, duration, finite, plain, text, when

MOST_PREVIEWS = 24
# (longest side in pixels, bytes): with base64 and all curves the page stays under 8 MB, whatever the run.
_NEWEST, _OLDER, _THUMB, _SHEET = (1600, 1_000_000), (760, 110_000), (160, 12_000), (1200, 700_000)
_RECIPE_CHARACTERS = 100_000
_FIGURES_BYTES = 1 << 20
_COST_SHARE = 0.05

_BESIDE = ". In each row, by threes: what a picture is made from, what is made of it, and the true one"
_PREVIEW = re.compile(r"images-(\d{1,15})\.png")
_CHECKED = ' checked="checked"'
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_METRIC_SHEETS = {
    "nearest": (
        "Nearest training pictures",
        "Made pictures, each with the training picture nearest to it on its right; the nearest pairs come first. Pairs "
        "that look the same mean copies.",
    ),
    "paired": ("Source, made and true pictures", "Source, made and true picture, as they were measured."),
}

Sheet = tuple[str, str, Path]
"""A short label and a caption, both HTML, and the file."""

Sizes = list[tuple[float, str]]
"""Up to how many images pictures have which size."""

_next_seconds: dict[Path, float] = {}


def write(folder: RunFolder) -> None:
    """Write `report.html` into a run folder that is open for training."""
    began_seconds = time.monotonic()
    folder.store("report.html", build(folder).encode())
    now_seconds = time.monotonic()
    _next_seconds[folder.path] = now_seconds + (now_seconds - began_seconds) / _COST_SHARE


def refresh(folder: RunFolder) -> None:
    """Write the report if that keeps its cost under a twentieth of the time; a long record makes it rarer."""
    if time.monotonic() >= _next_seconds.get(folder.path, 0.0):
        write(folder)


def build(folder: RunFolder) -> str:
    """The page of a run as it stands, at any time after its folder was opened."""
    recipe_toml = _recipe_toml(folder)
    recipe = _parsed(recipe_toml)
    metrics = {label: str(_table(recipe, "metrics", label).get("use", label)) for label in _table(recipe, "metrics")}
    losses = list(_table(recipe, "losses"))
    rows = folder.metrics()
    title = recipe.get("title") or folder.info.get("recipe") or folder.path.name
    sections = (
        _masthead(folder, recipe, title, images_shown(rows)),
        _pictures(folder, _sizes(recipe, _repainted(folder))),
        _quality(folder, latest(rows, metrics), metrics),
        _section("Curves", curves, "curves") if (curves := charts(rows, metrics, losses)) else "",
        _section("Sessions", sessions_table(folder.info["sessions"])),
        _section("Made with", made_with(folder.info)),
        _recipe(recipe_toml),
    )
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    written = when(datetime.now(UTC))
    return (
        '<!DOCTYPE html>\n<html lang="en" xmlns="http://www.w3.org/1999/xhtml"><head><meta charset="utf-8"/>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        '<meta name="color-scheme" content="light dark"/>'
        f"<title>{text(title)}</title>\n<style>{style}</style></head>\n<body><main>"
        + "\n".join(sections)
        + f"</main>\n<footer>Written by artgen, {written} UTC</footer></body></html>\n"
    )


def _masthead(folder: RunFolder, recipe: dict[str, Any], title: object, images: float) -> str:
    info, sessions = folder.info, folder.info["sessions"]
    outcome = sessions[-1].get("outcome", "") if sessions else ""
    phases = recipe.get("phase")
    phases = phases if isinstance(phases, list) else []
    total = sum(finite(phase.get("images")) or 0 for phase in phases if isinstance(phase, dict))
    total *= _repainted(folder) or 1
    seconds = sum(seconds_of(session) or 0 for session in sessions)
    facts = [
        f"{images:,.0f} of {count(total, 'image')}" if images < total else count(images, "image"),
        duration(seconds),
        *(plain(info[key]) for key in ("gpu", "device", "precision") if key in info),
        f"seed {plain(info.get('seed', 0))}",
    ]
    description = recipe.get("description")
    return (
        f'<header><p class="eyebrow">{text(folder.path.name)}</p><h1>{text(title)}</h1>'
        + (f"<p>{text(description, 4000)}</p>" if description else "")
        + f'<p class="outcome {"live" if outcome == "running" else ""}">{text(OUTCOMES.get(str(outcome), outcome))}</p>'
        + f'<ul class="facts">{"".join(f"<li>{fact}</li>" for fact in facts)}</ul></header>'
    )


def _pictures(folder: RunFolder, sizes: Sizes) -> str:
    """The newest sheet, large, and the way to it: radio buttons choose a picture, so arrow keys step through them."""
    sheets = _chosen(_previews(folder.path / "samples", sizes))
    beside = _BESIDE if folder.info.get("takes") == "picture" else ""
    single = _repainted(folder) == 1  # its sheet is the picture
    steps = []
    for label, caption, file in sheets:
        large = inline(file, *(_NEWEST if file == sheets[-1][-1] else _OLDER))
        thumb = inline(file, *_THUMB, corner=not single)
        if large is not None and thumb is not None:
            figure = f"<figure>{_image(large, caption)}<figcaption>{caption}{beside}</figcaption></figure>"
            steps.append((figure, f"{_image(thumb, caption)}<span>{label}</span>"))
    if not steps:
        return _section("Pictures", "<p>The first sheet of pictures is yet to come.</p>")
    content = "".join(
        f'<input type="radio" name="step" id="step{number}"{_CHECKED * (number == len(steps))}/>'
        f'{figure}<label for="step{number}">{choice}</label>'
        for number, (figure, choice) in enumerate(steps, 1)
    )
    kind = "stage" if len(steps) > 1 else "stage alone"
    return f'<section class="{kind}" aria-label="Pictures over time">{content}</section>'


def _quality(folder: RunFolder, newest: dict[str, Any], metrics: dict[str, str]) -> str:
    figures = _figures(folder.path / "figures.json")
    table = figures_table(figures or newest, metrics) if figures or newest else ""
    sheets = "".join(
        f'<figure class="sheet">{_image(sheet, label)}<figcaption>{caption}</figcaption></figure>'
        for name, (label, caption) in _METRIC_SHEETS.items()
        if (sheet := inline(folder.path / "samples" / f"{name}.png", *_SHEET))
    )
    return _section("Figures" if figures else "Figures so far", table + sheets) if table or sheets else ""


def _recipe(recipe_toml: str) -> str:
    if not recipe_toml:
        return ""
    rest = "" if len(recipe_toml) <= _RECIPE_CHARACTERS else "<p>The rest is in recipe.toml.</p>"
    code = f"<pre><code>{text(recipe_toml, _RECIPE_CHARACTERS)}</code></pre>"
    return _section("Recipe", f"<details><summary>Resolved and complete</summary>{code}{rest}</details>")


def _section(title: str, content: str, kind: str = "") -> str:
    return f'<section class="{kind}"><h2>{title}</h2><div>{content}</div></section>'


def _image(picture: Inlined, label: str) -> str:
    size = f'width="{picture.width_px}" height="{picture.height_px}"'
    # Pictures of few pixels are shown as such; a browser would blur them.
    crisp = ' class="crisp"' if max(picture.width_px, picture.height_px) <= 320 else ""
    return f'<img src="{picture.address}" alt="{label}" {size}{crisp}/>'


def _previews(samples: Path, sizes: Sizes) -> list[Sheet]:
    """All sheets in the order of time; where pictures grow, with the size that they had then."""

    def size_at(images: int) -> str:
        return next((f" at {text(size)}" for end_images, size in sizes if images <= end_images), "")

    names = (entry.name for entry in samples.iterdir()) if samples.is_dir() else ()
    found = sorted((int(match[1]), match[0]) for match in map(_PREVIEW.fullmatch, names) if match)
    sheets = [
        (f"{images:,}", f"After {count(images, 'image')}{size_at(images)}", samples / name) for images, name in found
    ]
    final = samples / "final.png"
    return [*sheets, ("at the end", "At the end", final)] if final.is_file() else sheets


def _repainted(folder: RunFolder) -> int:
    """How many pictures are repainted, or 0. Every step shows all of them; the lengths of a recipe are those of one."""
    data = folder.info.get("data")
    count = data.get("pictures") if isinstance(data, dict) and folder.info.get("takes") == "nothing" else 0
    return count if isinstance(count, int) else 0


def _sizes(recipe: dict[str, Any], repainted: int) -> Sizes:
    """Where pictures grow: up to how many images they have which size. Otherwise nothing."""
    phases = recipe.get("phase")
    found, images = [], 0.0
    for phase in phases if isinstance(phases, list) else []:
        if isinstance(phase, dict):
            batch = max(1.0, finite(phase.get("batch")) or 1)
            steps = math.ceil((finite(phase.get("images")) or 0) / batch)
            images += steps * (repainted or batch)  # a run shows whole batches
            side = phase.get("resolution")
            found.append(
                (
                    images,
                    f"{side[0]}x{side[1]} px" if isinstance(side, list) and len(side) == 2 else f"{side}x{side} px",
                )
            )
    return found if len({size for _, size in found}) > 1 else []


def _chosen(sheets: list[Sheet]) -> list[Sheet]:
    """At most 24, evenly, with the newest: every second, fourth, eighth ..., so that the choice seldom changes."""
    stride = 1
    while (len(sheets) - 1) // stride + 2 > MOST_PREVIEWS:
        stride *= 2
    return [sheet for place, sheet in enumerate(sheets) if place % stride == 0 or place == len(sheets) - 1]


def _recipe_toml(folder: RunFolder) -> str:
    try:
        return folder.recipe_toml
    except ArtgenError:
        return ""


def _parsed(recipe_toml: str) -> dict[str, Any]:
    try:
        return tomllib.loads(recipe_toml)
    except (ValueError, RecursionError):
        return {}


def _table(recipe: dict[str, Any], *keys: str) -> dict[str, Any]:
    value: Any = recipe
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _figures(file: Path) -> dict[str, Any]:
    """What a finished run measured; nothing where the file is missing or damaged."""
    try:
        figures = json.loads(file.read_bytes()) if file.stat().st_size <= _FIGURES_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return figures if isinstance(figures, dict) else {}
