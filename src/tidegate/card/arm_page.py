# SPDX-License-Identifier: Apache-2.0
"""The text of an arm's model card, plain Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.bundle import Bundle
from tidegate.card.evidence import Task, Tasks
from tidegate.card.markdown import UNKNOWN, bullets, plain, seeds_told, table, told
from tidegate.card.page import data_section, training_section
from tidegate.settings.arm_policy import ToolScales


def arm_card_page(bundle: Bundle, scales: ToolScales, identity: str, version: str, driven: Sequence[Tasks] = ()) -> str:
    """The card of an arm's bundle.

    Args:
        bundle: what the card is of.
        scales: the bundle's.
        identity: ``bundle_identity`` of it.
        version: of the tidegate that writes the card.
        driven: what closed loops showed of this bundle.
    """
    parts = [
        f"# Model card: {plain(bundle.name)}",
        f"Written by tidegate {version} from the record in `bundle.json`"
        f"{' and the results named below' if driven else ''}. What drives has the SHA-256 `{identity}` "
        "(`bundle_sha256` in results); this card is no part of it.",
        "## Model",
        _model(bundle, scales),
        "## Data",
        data_section(bundle.training, "file", "lessons that are held out"),
        "## Training",
        training_section(bundle.training),
        "## Results on held-out lessons",
        _metrics(bundle.training),
        "## Results in closed loop",
        _closed_loop(driven),
        "## Known failures",
        _failures(driven),
        "## Limits of validity",
        _limits(bundle),
    ]
    return "\n\n".join(parts) + "\n"


def _model(bundle: Bundle, scales: ToolScales) -> str:
    policy, seen = bundle.policy, bundle.perception
    counts = [policy.inter_neurons, policy.command_neurons, 4]
    return bullets(
        f"robot: {plain(bundle.robot)}",
        f"network: {policy.cell.upper()}, {sum(counts)} neurons ({counts[0]} inter, {counts[1]} command, {counts[2]} "
        f"motor), {sum(array.size for array in bundle.part('liquid').values()):,} parameters",
        f"sees: {seen.input_width} × {seen.input_height} px, of which it makes {seen.features} numbers: where the goal "
        "is, how far around it is to be gone over, where an obstacle is and whether there is one",
        "is told: the tool's place and velocity, measured and wanted force, height over the surface; neither the scene "
        "nor the time",
        f"asks for: a place for the tool, from where it is, in units of {scales.near:g} m, and a share of the wanted "
        "force",
    )


def _metrics(record: Mapping[str, Any]) -> str:
    metrics = record.get("metrics")
    rows = []
    for key, values in (metrics if isinstance(metrics, dict) else {}).items():
        if isinstance(values, dict):
            rows.append((plain(str(key)), *(told(values.get(name)) for name in ("seen_m", "asked_m", "press_share"))))
    if not rows:
        return f"None: {UNKNOWN}."
    heads = (
        "round and scene",
        "goal seen within [m rms]",
        "place asked for within [m rms]",
        "share of the force [rms]",
    )
    return table(heads, rows)


def _closed_loop(driven: Sequence[Tasks]) -> str:
    rows = []
    for one in driven:
        for scene in dict.fromkeys(task.scene for task in one.tasks):
            tasks = [task for task in one.tasks if task.scene == scene]
            rows.append(
                (
                    plain(scene),
                    plain(one.how),
                    seeds_told([str(task.seed) for task in tasks]),
                    f"{sum(task.completed for task in tasks)}/{len(tasks)}",
                    sum(task.limit_violations > 0 for task in tasks),
                    "; ".join(_range(name, tasks) for name in tasks[0].score),
                )
            )
    if not rows:
        return "None was given (`tidegate card BUNDLE --evaluation FOLDER`)."
    return table(("scene", "how", "seeds", "done", "episodes beyond a limit", "score, least to most"), rows)


def _range(name: str, tasks: Sequence[Task]) -> str:
    values = [task.score.get(name, math.nan) for task in tasks]
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return f"{plain(name)} –"
    lacking = f" ({len(values) - len(known)} without)" if len(known) < len(values) else ""
    return f"{plain(name)} {min(known):.3g} to {max(known):.3g}{lacking}"


def _failures(driven: Sequence[Tasks]) -> str:
    if not driven:
        return "Not known: no results were given (`--evaluation FOLDER`)."
    failed = [(one, task) for one in driven for task in one.tasks if not task.completed or task.limit_violations]
    text = f"{len(failed)} of {sum(len(one.tasks) for one in driven)} episodes were not done, or broke a limit."
    rows = [(plain(task.scene), plain(one.how), task.seed, task.limit_violations, _score(task)) for one, task in failed]
    heads = ("scene", "how", "seed", "limits exceeded", "score")
    return "\n\n".join((text, table(heads, rows))) if rows else text


def _score(task: Task) -> str:
    told = (f"{value:.3g}" if math.isfinite(value) else "–" for value in task.score.values())
    return "; ".join(f"{plain(name)} {value}" for name, value in zip(task.score, told, strict=True))


def _limits(bundle: Bundle) -> str:
    seen = bundle.perception
    return bullets(
        f"robot: '{plain(bundle.robot)}'; another is refused",
        f"camera: {seen.input_width} × {seen.input_height} px, from the place of the scenes' camera `closer`; another "
        "place was not tried, and nothing watches over its pictures",
        "learnt in simulation, from the four scenes by seed; nothing else was tried, and no real arm",
        "the filter knows neither hand nor knob: not to touch them is the network's doing",
    )
