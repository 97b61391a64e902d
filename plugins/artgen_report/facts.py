"""The tables of the page: figures of quality, sessions, what the run was made with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from artgen_report.words import count, duration, figure, finite, listed, moment, plain, text, when

_MOST_FIGURES = 60
_MOST_SESSIONS = 40

_LOWER = "lower is better"
# By component and figure; # stands for the number at the end of a figure's name.
_MEANINGS = {
    "swd/swd": (
        _LOWER,
        "Sliced Wasserstein distance, times 1000: how far patches of made pictures are from patches of training "
        "pictures, over all levels of detail; 0 means alike.",
    ),
    "swd/swd_#": (_LOWER, "Sliced Wasserstein distance at one level of detail, told by its shorter side in pixels."),
    "diversity/diversity": (
        "close to 1 is better",
        "How much made pictures differ from one another, beside how much training pictures do; "
        "far below 1, few pictures are painted again and again.",
    ),
    "diversity/ms_ssim_fake": ("", "Mean likeness (MS-SSIM) of pairs of made pictures; 1 means all the same."),
    "diversity/ms_ssim_real": ("", "Mean likeness of pairs of training pictures, to compare with."),
    "nearest/copied_share": (
        "0.05 or less is good",
        "Share of made pictures that lie closer to a training picture than 95 % of the training pictures lie to one "
        "another; far above 0.05, pictures were learnt by heart.",
    ),
    "paired/l#": (
        _LOWER,
        "Mean absolute difference of each made picture from the true one, from 0 to 1; worth something where it is "
        "below that of the source. Of held-out pictures, where the recipe holds some out.",
    ),
    "paired/psnr": ("higher is better", "The same as a peak signal-to-noise ratio, in dB."),
    "paired/ssim": ("higher is better", "Structural similarity of made and true picture; 1 means equal."),
    "paired/source_l#": ("", "The difference of the source as it is: what doing nothing would come to."),
    "paired/source_psnr": ("", "Likewise."),
    "paired/source_ssim": ("", "Likewise."),
    "kid/kid": (
        _LOWER,
        "Kernel inception distance, times 1000, between features of made and of training pictures; "
        "around 0, they cannot be told apart.",
    ),
    "kid/kid_low": ("", "Lower end of the 95 % interval of this distance."),
    "kid/kid_high": ("", "Upper end of the 95 % interval of this distance."),
}

OUTCOMES = {
    "running": "Training",
    "finished": "Finished",
    "stopped": "Stopped; the same command continues it",
    "failed": "Failed",
    "killed": "Killed",
}


def figures_table(figures: Mapping[str, Any], metrics: Mapping[str, str]) -> str:
    """Figures of quality, each with what it means and which way is better.

    Args:
        figures: Values by "label/figure"; None for one that was not finite.
        metrics: Labels of the recipe's metrics, with the names of their components.
    """
    rows, said = [], ""
    for key in list(figures)[:_MOST_FIGURES]:
        label, _, name = key.partition("/")
        component = metrics.get(label, label).rpartition(":")[2]
        better, meaning = _MEANINGS.get(f"{component}/" + re.sub("[0-9]+$", "#", name), ("", ""))
        value = finite(figures[key])
        shown = "not finite" if value is None else figure(value)
        # Of a figure at several levels the first row speaks for all.
        meaning, said = ("" if meaning == said else meaning), meaning
        note = f"{text(meaning)} <em>{text(better)}</em>"
        title = (name if name.startswith(label) else f"{label}: {name}").replace("_", " ")
        rows.append(f'<tr><th scope="row">{text(title)}</th><td class="number">{shown}</td><td>{note}</td></tr>')
    return f'<table class="figures">{"".join(rows)}</table>'


def sessions_table(sessions: list[dict[str, Any]]) -> str:
    """Each sitting: when it began, how long it took, how far it came, how fast it was, how it ended."""
    rows = []
    for session in sessions[-_MOST_SESSIONS:]:
        began, seconds = moment(session.get("started_at")), seconds_of(session)
        first, last = finite(session.get("from_images")), finite(session.get("images"))
        made = "–" if first is None or last is None else f"{first:,.0f} to {last:,.0f}"
        rate = figure((last - first) / seconds) if first is not None and last is not None and seconds else "–"
        changed = session.get("changed")
        change = f"<br/><small>{plain(changed)}</small>" if changed else ""
        outcome = session.get("outcome", "")
        ended = OUTCOMES.get(outcome, outcome).partition(";")[0] if isinstance(outcome, str) else outcome
        cells = (
            when(began) if began else "–",
            "–" if seconds is None else duration(seconds),
            made,
            rate,
        )
        row = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        rows.append(f"<tr>{row}<td>{text(ended)}{change}</td></tr>")
    older = len(sessions) - _MOST_SESSIONS
    note = f"<p>{count(older, 'earlier session')} in run.json.</p>" if older > 0 else ""
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Began (UTC)", "Took", "Images", "Images a second", "Outcome")
    )
    return f'<div class="wide"><table class="sessions"><tr>{head}</tr>{"".join(rows)}</table></div>{note}'


def seconds_of(session: Mapping[str, Any]) -> float | None:
    """How long a session took; of one that runs, how long it has run."""
    seconds = finite(session.get("wall_seconds"))
    began = moment(session.get("started_at"))
    if seconds is None and began is not None and session.get("outcome") == "running":
        return max(0.0, (datetime.now(UTC) - began).total_seconds())
    return seconds


def made_with(info: Mapping[str, Any]) -> str:
    """Device, versions, plugins and data of a run, from `run.json`; what is not known here is shown as it stands."""
    own = ("artgen_run", "fingerprint", "started_at", "sessions", "plugins", "data", "recipe", "title", "recipe_given")
    plugins, data, command = info.get("plugins"), info.get("data"), info.get("command")
    facts = {key.replace("_", " "): plain(value) for key, value in list(info.items())[:60] if key not in own}
    memory = finite(info.get("gpu_memory_bytes"))
    if memory is not None:
        del facts["gpu memory bytes"]
        facts["gpu memory"] = f"{memory / 2**30:.0f} GiB"
    if isinstance(plugins, dict):
        facts["plugins"] = listed(f"{name} {_version(entry)}" for name, entry in plugins.items())
    elif plugins:
        facts["plugins"] = plain(plugins)
    if isinstance(command, list):
        facts["command"] = text(" ".join(map(str, command)), 400)
    if isinstance(data, dict):
        facts |= {f"data: {key.replace('_', ' ')}": plain(value) for key, value in list(data.items())[:30]}
    elif data:
        facts["data"] = plain(data)
    return (
        "<dl>" + "".join(f"<div><dt>{text(key)}</dt><dd>{value}</dd></div>" for key, value in facts.items()) + "</dl>"
    )


def _version(entry: Any) -> Any:
    """Of an entry of `plugins`, which was only a version once."""
    return entry.get("version") or entry.get("origin", "") if isinstance(entry, dict) else entry
