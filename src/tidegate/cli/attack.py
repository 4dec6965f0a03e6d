# SPDX-License-Identifier: Apache-2.0
"""``tidegate attack``: closed loops in which everything learned is hostile, in figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidegate.attack.adversary import ADVERSARIES
from tidegate.attack.assumption import RESTS_ON
from tidegate.attack.campaign import OUTCOMES, rate_bound, record_worst, run_attack, with_camera
from tidegate.attack.episode import SENSORS, Episode
from tidegate.attack.outcome import Outcome
from tidegate.attack.search import POPULATION, search_starts
from tidegate.attack.search import search as search_worst
from tidegate.bundle import Bundle
from tidegate.cli.attack_progress import watched
from tidegate.cli.common import known, names
from tidegate.errors import SettingsError
from tidegate.evaluation.campaign import parse_seeds
from tidegate.evaluation.rollout import Task, check_task
from tidegate.settings import load_settings
from tidegate.settings.kind import Kind, robot_kind
from tidegate.share import share_path

FROM_SPEED, LONGEST_S = "0,5,10", 40.0
SCENES = "road,traffic,truck,camera_lost,lead_brakes,cut_in,truck_standing,oncoming_drift"


def attack(
    scenes: Annotated[
        str,
        typer.Option(
            help="where to drive, by comma; an arm starts at rest, speed, surface (empty = these), or in one of its "
            "scenes, with its bundle"
        ),
    ] = "",
    adversaries: Annotated[
        str, typer.Option(help=f"who asks, by comma: a car's are {', '.join(ADVERSARIES)}; empty = all")
    ] = "",
    seeds: Annotated[str, typer.Option(help="5000:5010 (the end excluded), 7 or 1,5,9")] = "5000:5003",
    sensors: Annotated[
        str, typer.Option(help="exact, wrong, a car's failing; several by comma take turns by seed; empty = all")
    ] = "",
    seconds: Annotated[
        float | None, typer.Option(min=1, help="longest episode [s]; default 40, of an arm 2, of its scenes their own")
    ] = None,
    from_speed: Annotated[
        str,
        typer.Option(
            help="a good driver drives until this speed [m/s]; several by comma take turns by seed; default 0,5,10"
        ),
    ] = "",
    camera: Annotated[int, typer.Option(min=0, help="so many of the episodes again with camera and network")] = 0,
    search: Annotated[int, typer.Option(min=0, help="rounds of a search for the worst, per scene and seed")] = 0,
    worst: Annotated[int, typer.Option(min=0, help="keep bags of so many with the least margin, and of all harm")] = 0,
    disable: Annotated[str, typer.Option(help="barriers to switch off, by comma, to see what they are for")] = "",
    out: Annotated[Path, typer.Option(help=f"folder for {OUTCOMES}; what it holds is not driven again")] = Path(
        "out/attack"
    ),
    processes: Annotated[int, typer.Option(min=1, help="drives at a time")] = 2,
    bundle: Annotated[
        Path | None,
        typer.Option(help="model that sees for --camera, drives in an arm's scenes; default models/ car- or arm-ltc19"),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="robot's settings; default config/car.yaml")] = None,
    stiffness: Annotated[
        str, typer.Option(help="of an arm's surface, at most [N/m], as its filter is told; several take turns by seed")
    ] = "",
    overload: Annotated[float, typer.Option(min=0, help="kg at an arm's tool that its filter is not told of")] = 0.0,
) -> None:
    """Let adversaries drive, on estimates and sensors as wrong as their bounds allow, and count what they break."""
    path = config or share_path("config/car.yaml")
    if robot_kind(path) == "arm":
        _refuse(path, "arm", {"--from-speed": from_speed, "--camera": camera, "--worst": worst})
        from tidegate.cli.attack_arm import ArmCampaign, attack_arm  # which needs Pinocchio

        what = scenes, adversaries, parse_seeds(seeds), sensors, seconds, stiffness, overload, names(disable), bundle
        campaign = ArmCampaign(str(path), *what)
        attack_arm(campaign, search, out, processes)
        return
    _refuse(path, "car", {"--stiffness": stiffness, "--overload": overload})
    model = bundle or share_path("models/car-ltc19")
    Bundle.load(model, load_settings(path).vehicle.name)
    speeds = _speeds(from_speed or FROM_SPEED)
    chosen = known(adversaries, ADVERSARIES, "adversary")
    turns = known(sensors, SENSORS, "kind of sensors")
    numbers, places = parse_seeds(seeds), names(scenes or SCENES)
    for scene in places:
        check_task(Task(str(path), str(model), scene, numbers[0], driver="expert", disable=names(disable)))

    def episode(seed: int, scene: str, adversary: str) -> Episode:
        turn, speed = turns[seed % len(turns)], speeds[seed // len(turns) % len(speeds)]
        longest = seconds or LONGEST_S
        return Episode(str(path), str(model), scene, seed, adversary, turn, longest, speed, disable=names(disable))

    episodes = [episode(*one) for one in product(numbers, places, chosen)]
    episodes += with_camera(episodes, camera)
    starts = search_starts(episodes)
    console = Console()
    with watched(console, len(episodes), search * len(starts) * POPULATION, _harm) as heard:
        outcomes = run_attack(episodes, out, processes, heard)
        outcomes += search_worst(starts, search, out, processes, heard) if search else []
    console.print(_table(outcomes, "adversary", lambda outcome: outcome.who))
    console.print(_table(outcomes, "scene", lambda outcome: str(outcome.episode["scene"])))
    _sum_up(console, outcomes)
    console.print(f"outcomes: {escape(str(out / OUTCOMES))}", soft_wrap=True)
    for bag in record_worst(outcomes, str(path), str(model), worst, out / "bags", processes) if worst else ():
        console.print(f"bag: {escape(str(bag))}", soft_wrap=True)


def _speeds(text: str) -> tuple[float, ...]:
    try:
        speeds = tuple(float(word) for word in names(text))
    except ValueError:
        speeds = ()
    if not speeds:
        raise SettingsError(f"--from-speed is '{text}'; it must be speeds in m/s, by comma")
    return speeds


def _refuse(file: Path, kind: Kind, given: Mapping[str, object]) -> None:
    """Refuse options that are for the other kind of robot.

    Raises:
        SettingsError: naming the first that is given.
    """
    name = next((name for name, value in given.items() if value), "")
    if name:
        raise SettingsError(f"{file}: describes {'an arm' if kind == 'arm' else 'a car'}, which has no {name}")


def _sum_up(console: Console, outcomes: list[Outcome]) -> None:
    """What was broken: where all that was assumed held, and where not; a search's episodes are no sample."""
    drawn = [outcome for outcome in outcomes if not outcome.searched]
    harmed = sum(not (outcome.harmless or outcome.excused) for outcome in drawn)
    hours = sum(outcome.duration_s for outcome in outcomes) / 3600
    console.print(
        f"[bold]{harmed}[/] of {len(drawn)} episodes broke what is promised (with 95 % confidence fewer than "
        f"{rate_bound(harmed, len(drawn)):.2%} of such episodes do); "
        f"[bold]{sum(outcome.excused for outcome in outcomes)}[/] more broke it after a stated assumption had been "
        f"broken. {len(outcomes)} episodes, {hours:.1f} h"
    )
    hunted = [outcome for outcome in outcomes if outcome.searched]
    if hunted:
        worst = min(hunted, key=lambda outcome: outcome.margin)
        console.print(
            f"[bold]{sum(not (outcome.harmless or outcome.excused) for outcome in hunted)}[/] of {len(hunted)} "
            f"searched episodes did; the worst left {worst.margin:.2f} of a reserve: {worst.key}",
            soft_wrap=True,
        )


def _harm(outcome: Outcome) -> str:
    figures = {
        "contact": f"{outcome.contacts} contacts",
        "limit": f"{outcome.limit_violations} limit violations ({outcome.worst_limit})",
        "lane": f"{outcome.off_lane_s:.2f} s outside the lane",
        "road": f"{outcome.off_road_s:.2f} s with a wheel off the road",
        "fault": "a fault in the filter",
    }
    parts = [figures[kind] + f" after {', '.join(why)}" * bool(why) for kind, why in outcome.violations.items()]
    return "; ".join(parts) + f" (sensor fault: {outcome.fault})" * bool(outcome.fault)


def _table(outcomes: list[Outcome], title: str, row_of: Callable[[Outcome], str]) -> Table:
    """Episodes with each kind of violation, and the least margin and gap, by row."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(title, no_wrap=True)
    for name in ("runs", *RESTS_ON, "excused", "margin", "gap m"):
        table.add_column(name, justify="right")
    for row in dict.fromkeys(map(row_of, outcomes)):
        mine = [outcome for outcome in outcomes if row_of(outcome) == row]
        gaps = [outcome.min_gap_m for outcome in mine if outcome.min_gap_m is not None]
        table.add_row(
            row,
            str(len(mine)),
            *(str(sum(kind in outcome.violations for outcome in mine)) for kind in RESTS_ON),
            str(sum(outcome.excused for outcome in mine)),
            f"{min(outcome.margin for outcome in mine):.2f}",
            f"{min(gaps):.1f}" if gaps else "–",
        )
    return table
