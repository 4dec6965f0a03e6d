# SPDX-License-Identifier: Apache-2.0
"""``tidegate lesion``: silence each neuron in turn and drive again."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidegate.attack.campaign import run_jobs, shared_facts
from tidegate.bundle import Bundle
from tidegate.cli.common import campaign_bar, check_folder, names
from tidegate.errors import SettingsError
from tidegate.evaluation.campaign import parse_seeds
from tidegate.evaluation.rollout import Task, check_task
from tidegate.insight.lesion import INTACT, Outcome, Trial, run_trial
from tidegate.insight.neuron_charts import lesion_bars
from tidegate.insight.ranking import findings, heaviest
from tidegate.liquid import Wiring
from tidegate.liquid.lesion import lesioned, neuron_lesions, synapse_lesions
from tidegate.settings import load_settings
from tidegate.share import share_path

OUTCOMES, FINDINGS, FIGURE = "lesion.jsonl", "lesion.json", "lesion.svg"
FILTER = {"off": (False,), "on": (True,), "both": (False, True)}


def lesion(
    bundle: Annotated[Path | None, typer.Argument(help="model to take apart; default models/car-ltc19")] = None,
    scene: Annotated[str, typer.Option(help="where to drive; several by comma")] = "road",
    seeds: Annotated[str, typer.Option(help="3000:3004 (the end excluded), 7 or 1,5,9")] = "3000:3004",
    safety_filter: Annotated[str, typer.Option("--filter", help="off: who matters; on: is it safe; both")] = "both",
    synapses: Annotated[
        int,
        typer.Option(min=0, help="cut so many synapses too, those that change the command most"),
    ] = 0,
    seconds: Annotated[float, typer.Option(min=1, help="longest drive [s]")] = math.inf,
    out: Annotated[Path, typer.Option(help="folder for figures and table; what it holds is not driven again")] = Path(
        "out/lesion"
    ),
    processes: Annotated[int, typer.Option(min=1, help="drives at a time")] = 2,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
) -> None:
    """Silence each neuron in turn and drive again: who matters, and whether the filter keeps the robot safe."""
    if safety_filter not in FILTER:
        raise SettingsError(f"--filter is '{safety_filter}'; it must be one of {', '.join(FILTER)}")
    if synapses and safety_filter == "on":
        raise SettingsError("--synapses needs drives without the filter, which tell the synapses apart: --filter both")
    path, model = config or share_path("config/car.yaml"), bundle or share_path("models/car-ltc19")
    settings = load_settings(path)
    loaded = Bundle.load(model, settings.vehicle.name)
    wiring = Wiring.from_dict(loaded.wiring)
    neurons = neuron_lesions(wiring)
    lesioned(loaded, next(iter(neurons.values())))
    roads = [(one, seed) for seed, one in product(parse_seeds(seeds), names(scene))]
    for one in names(scene):
        check_task(Task(str(path), str(model), one, roads[0][1]))
    check_folder(out)
    facts = shared_facts(str(path), str(model))
    console = Console()

    def driven(lesions: Sequence[str], filtered: Sequence[bool], title: str) -> list[Outcome]:
        trials = [
            Trial(str(path), str(model), *road, name, on, seconds)
            for on, road, name in product(filtered, roads, lesions)
        ]
        with campaign_bar(console) as progress:
            bar = progress.add_task(title, total=len(trials), completed=0)
            return run_jobs(
                trials, run_trial, Outcome, out / OUTCOMES, facts, processes, lambda _: progress.advance(bar)
            )

    ways = FILTER[safety_filter]
    outcomes = driven([INTACT, *neurons], ways, "neurons")
    if synapses:
        chosen = heaviest(outcomes, list(synapse_lesions(wiring)), synapses)
        outcomes += driven(chosen, ways, "synapses")
    told = findings(outcomes, settings.safety.lane.half_width)
    document = {"bundle": loaded.name, "seconds": seconds if math.isfinite(seconds) else None, **facts, **told}
    (out / FINDINGS).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / FIGURE).write_text(lesion_bars(told["lesions"]), encoding="utf-8")
    console.print(lesion_table(told["lesions"]))
    console.print(_summed_up(told), soft_wrap=True)
    console.print(f"figures: {escape(str(out / FINDINGS))}, {escape(str(out / FIGURE))}", soft_wrap=True)


def lesion_table(rows: Sequence[dict[str, Any]]) -> Table:
    """One row per lesion, the heaviest first."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("without", no_wrap=True)
    for name in ("damage", "curvature", "acceleration", "safe", "gap m"):
        table.add_column(name, justify="right")
    table.add_column("harm behind the filter")
    for row in rows:
        harm = "; ".join(f"{road}: {', '.join(kinds)}" for road, kinds in row["harmed"].items())
        safe = f"{row['safe']}/{row['driven']}" if row["driven"] else "–"
        changes = (row["damage"], row["curvature_change"], row["acceleration_change"])
        table.add_row(row["lesion"], *map(_figure, changes), safe, _figure(row["min_gap_m"]), harm)
    return table


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _summed_up(told: dict[str, Any]) -> str:
    said = {
        "damage": "damage of the neurons on every other drive and on the rest",
        "neurons_replayed": "change of the command by the neurons, likewise",
        "synapses_replayed": "by the synapses, likewise",
        "damage_and_replayed": "damage and change of the command",
    }
    parts = [f"{said[name]}: Spearman {value:.2f}" for name, value in told["agreement"].items() if value is not None]
    neurons = [row for row in told["lesions"] if row["kind"] == "neuron"]
    driven, safe = sum(row["driven"] for row in neurons), sum(row["safe"] for row in neurons)
    if driven:
        parts.append(f"behind the filter {safe} of {driven} drives without a neuron were safe")
    return "\n".join(parts)
