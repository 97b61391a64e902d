"""Do the parts of a recipe fit each other: losses and trainer, metrics and features, phases and data."""

from __future__ import annotations

from typing import Any

from artgen.components import Component, Side
from artgen.plugins import Plugins
from artgen.recipe.findings import Findings
from artgen.recipe.layers import listed
from artgen.recipe.model import Chosen, PhaseOptions
from artgen.recipe.spans import Key


def check_references(findings: Findings, partner: Chosen[Any] | None) -> None:
    """Compare what components need with what others give."""
    values, plugins = findings.layer.values, findings.plugins
    for key, metric in findings.components.get("metrics", []):
        if metric.needs_features and not values.get("features"):
            _lack_features(findings, f"the metric '{metric.name}' measures", key)
    trainers, losses = findings.components.get("trainer", []), findings.components.get("losses", [])
    if len(trainers) != 1:
        return
    place, trainer = trainers[0]
    for key, loss in losses:
        for side, needs in loss.needs.items():
            if lacking := [name for name in needs if name not in trainer.gives.get(side, ())]:
                gives = listed(trainer.gives.get(side, ())) or "nothing"
                cause = (
                    f"the loss '{loss.name}' needs {listed(lacking)} for the {side}, "
                    f"where the trainer '{trainer.name}' gives {gives}"
                )
                findings.add(key, "E-ref", cause, _suitable(plugins, trainer, side), expected=gives)
            elif "features" in needs and not values.get("features"):
                _lack_features(findings, f"the loss '{loss.name}' compares pictures", key)
    tables = values.get("losses", {})
    for side in trainer.gives if isinstance(tables, dict) and len(tables) == len(losses) else ():
        if not any(side in loss.needs for _, loss in losses):
            cause = f"no loss judges the {side}, which the trainer '{trainer.name}' is to train"
            findings.lack(("losses",), "E-ref", cause, _suitable(plugins, trainer, side), at=place)
    critic, generators = values.get("critic") or partner, findings.components.get("generator", [])
    if "critic" in trainer.gives and not critic and generators and generators[0][1].partner is None:
        cause = f"the trainer '{trainer.name}' needs a critic, and '{generators[0][1].name}' brings none along"
        known = listed(plugins.components("critic"))
        remedy = f"Add [critic.NAME]; there is {known}." if known else "No installed plugin has a critic."
        findings.lack(("critic",), "E-ref", cause, remedy, at=place)


def _lack_features(findings: Findings, cause: str, key: Key) -> None:
    """A component needs the feature network that the recipe does not name."""
    known = listed(findings.plugins.components("features"))
    remedy = f"Add [features.NAME]; there is {known}." if known else "No installed plugin has features."
    findings.lack(("features",), "E-ref", f"{cause} in a feature space, and there is none", remedy, at=key)


def _suitable(plugins: Plugins, trainer: Component, side: Side) -> str:
    """Which losses would do."""
    suitable = [
        name
        for name, loss in plugins.components("loss").items()
        if side in loss.needs and all(set(needs) <= set(trainer.gives.get(at, ())) for at, needs in loss.needs.items())
    ]
    return f"Losses that suit this trainer: {listed(suitable)}." if suitable else "No installed loss suits it."


def check_sizes(findings: Findings, data: list[Chosen[Any]], phases: list[tuple[int, PhaseOptions]]) -> None:
    """Phases show the data's pictures as they are, or smaller; they neither enlarge nor distort them."""
    if not data:
        return
    height, width = data[0].options.size
    for index, phase in dict(phases).items():  # of one that stands for several, the largest
        if not phase.resolution:
            continue
        if phase.size[0] > height or phase.size[1] > width or phase.size[0] * width != phase.size[1] * height:
            cause = f"{phase.size[1]}x{phase.size[0]} px is no smaller copy of the data's {width}x{height} px"
            remedy = f"Give data.{data[0].label} the resolution of the largest phase, and all of them one shape."
            grows = "to" in findings.layer.values["phase"][index]
            key = ("phase", index, "to" if grows else "resolution")
            findings.add(key, "E-ref", cause, remedy, at="value", expected=f"{width}x{height} px or smaller")
