# SPDX-License-Identifier: Apache-2.0
"""``report.html``: what a drive was, and why every command that was changed was changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tidegate.insight import charts
from tidegate.insight.drive import Drive, Intervention, interventions, stretches
from tidegate.insight.page import Section, Tile, page, table
from tidegate.records import Floats, Mode


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the charts draw as limits: ``speed`` [m/s], ``lane_room`` [m] to either side of the lane centre."""

    speed: float
    lane_room: float


def report(drive: Drive, bounds: Bounds, extra: Iterable[Section] = ()) -> str:
    """The whole page as text; ``extra`` sections (wiring, saliency, tree) follow those made from the drive."""
    found = interventions(drive)
    sections = [
        _map(drive, found),
        _lane(drive, bounds),
        _speed(drive, bounds),
        _gaps(drive),
        _commands(drive),
        _margins(drive),
        _interventions(found),
        _latency(drive),
        _neurons(drive),
        *extra,
    ]
    subtitle = " · ".join(f"{key} {value}" for key, value in drive.facts.items() if key in ("scene", "seed", "clock"))
    return page(f"tidegate: {drive.name}", subtitle, _tiles(drive, found), [section for section in sections if section])


def _tiles(drive: Drive, found: list[Intervention]) -> list[Tile]:
    facts = drive.facts
    tiles = []
    if "completed" in facts:
        tiles.append(
            Tile("yes" if facts["completed"] else "no", f"completed ({facts.get('end')})", bool(facts["completed"]))
        )
    if len(drive.motion.time):
        driven = drive.motion.speed.mean() * (drive.motion.time[-1] - drive.motion.time[0])
        tiles.append(Tile(f"{driven:.0f} m", "driven"))
        tiles.append(Tile(f"{drive.motion.speed.mean():.1f} m/s", "mean speed"))
    if "collisions" in facts:
        tiles.append(Tile(str(facts["collisions"]), "collisions", facts["collisions"] == 0))
    if "limit_violations" in facts:
        tiles.append(Tile(str(facts["limit_violations"]), "limit violations", facts["limit_violations"] == 0))
    if drive.truth is not None and np.isfinite(drive.truth.gap).any():
        tiles.append(Tile(f"{np.min(drive.truth.gap):.1f} m", "smallest gap"))
    tiles.append(Tile(str(len(found)), "interventions"))
    if len(drive.latency):
        tiles.append(Tile(f"{np.median(drive.latency):.1f} ms", "camera to command, median"))
    return tiles


def _map(drive: Drive, found: list[Intervention]) -> Section | None:
    truth, motion = drive.truth, drive.motion
    time, path, speed = (
        (truth.time, truth.position, truth.speed) if truth is not None else (motion.time, motion.position, motion.speed)
    )
    if len(time) < 2:
        return None
    marks: dict[str, list[Floats]] = {}
    for one in found:
        at = min(int(np.searchsorted(time, one.start)), len(time) - 1)
        marks.setdefault(one.row, []).append(path[at])
    note = "Colour is speed; dots mark where a barrier row began to change the command."
    if truth is None:
        note += " The path is the odometry's, which drifts."
    dots = {row: np.array(points) for row, points in marks.items()}
    body = charts.lap_map(path, speed, dots, truth.road if truth is not None else None)
    return Section("The lap", note, body)


def _lane(drive: Drive, bounds: Bounds) -> Section | None:
    if len(drive.lane.time) < 2:
        return None
    truth = drive.truth
    note = "Lateral offset from the lane centre, left positive. Dashed: where the car's side would touch the line."
    if truth is not None:
        at = np.interp(drive.lane.time, truth.time, truth.lane_error)
        error = np.abs(drive.lane.offset - at)
        note += f" The camera is off by {np.median(error):.2f} m (median)"
        known = np.isfinite(drive.lane.bound)
        held = f"its bound held in {(error <= drive.lane.bound)[known].mean():.1%} of frames" if known.any() else ""
        note += f"; {held}." if held else "; it states no bound."
    body = charts.lane_error(
        drive.lane.time,
        drive.lane.offset,
        drive.lane.bound,
        None if truth is None else (truth.time, truth.lane_error),
        bounds.lane_room,
    )
    return Section("In the lane", note, body)


def _speed(drive: Drive, bounds: Bounds) -> Section | None:
    if len(drive.motion.time) < 2:
        return None
    curves = [("odometry", drive.motion.time, drive.motion.speed)]
    if drive.truth is not None:
        curves.append(("truth", drive.truth.time, drive.truth.speed))
    not_normal = stretches(drive.mode != Mode.NORMAL, drive.time)
    body = charts.series(curves, "[m/s]", limit=bounds.speed, spans=not_normal, spans_label="hold or stop")
    return Section("Speed", "Shaded: the safety ladder was not in NORMAL.", body)


def _gaps(drive: Drive) -> Section | None:
    truth = drive.truth
    if truth is None or not np.isfinite(truth.gap).any():
        return None
    gap = np.where(np.isfinite(truth.gap), truth.gap, np.nan)
    body = charts.series([("gap", truth.time, gap)], "[m]", limit=0.0)
    return Section("Gaps", "Distance to the nearest thing in the car's way, as the simulator knows it.", body)


def _commands(drive: Drive) -> Section | None:
    if len(drive.time) < 2:
        return None
    active = stretches(drive.row != "", drive.time)
    force = charts.series(
        [("wanted", drive.time, drive.wanted[:, 0] / 1000), ("allowed", drive.time, drive.allowed[:, 0] / 1000)],
        "force [kN]",
        spans=active,
        spans_label="filter acts",
    )
    curvature = charts.series(
        [("wanted", drive.time, drive.wanted[:, 1]), ("allowed", drive.time, drive.allowed[:, 1])],
        "curvature [1/m]",
        spans=active,
    )
    note = "What the ladder asked for and what the filter let through."
    return Section("Before and after the filter", note, force + curvature)


def _margins(drive: Drive) -> Section | None:
    if not drive.barriers:
        return None
    active = {name: stretches(drive.row == name, drive.time) for name in drive.barriers}
    body = charts.barriers(drive.time, {name: one.h for name, one in drive.barriers.items()}, active)
    note = "h of each barrier; below the red line its safe set is left. Shaded: its row changed the command."
    return Section("Margins", note, body)


def _interventions(found: list[Intervention]) -> Section:
    if not found:
        return Section("Interventions", "The filter changed no command in this drive.", "")
    rows = []
    for name in sorted({one.row for one in found}):
        mine = [one for one in found if one.row == name]
        rows.append(
            (
                name,
                str(len(mine)),
                f"{sum(one.end - one.start for one in mine):.2f}",
                f"{max(one.force for one in mine) / 1000:.2f}",
                f"{max(one.curvature for one in mine):.4f}",
                f"{np.nanmin([one.least_h for one in mine]):.3g}"
                if any(one.least_h == one.least_h for one in mine)
                else "–",
            )
        )
    by_row = table(("row", "times", "seconds", "largest change [kN]", "[1/m]", "smallest h"), rows)
    longest = sorted(found, key=lambda one: one.start - one.end)[:12]
    each = table(
        ("longest, in order of time", "from [s]", "for [s]", "force [kN]", "curvature [1/m]", "smallest h"),
        [
            (
                one.row,
                f"{one.start:.2f}",
                f"{one.end - one.start:.2f}",
                f"{one.force / 1000:.2f}",
                f"{one.curvature:.4f}",
                f"{one.least_h:.3g}",
            )
            for one in sorted(longest, key=lambda one: one.start)
        ],
    )
    return Section("Interventions", "Each with the barrier row that caused it.", f"{by_row}<br>{each}")


def _latency(drive: Drive) -> Section | None:
    if not len(drive.latency):
        return None
    middle, late = np.quantile(drive.latency, (0.5, 0.99))
    body = charts.histogram(drive.latency, "camera to command [ms]", {"median": float(middle), "99 %": float(late)})
    note = "From the moment the frame was taken to the publication of the first command computed from it."
    return Section("Latency", note, body)


def _neurons(drive: Drive) -> Section | None:
    if len(drive.neuron_time) < 2:
        return None
    names = drive.facts.get("neurons")
    labels = (
        [str(name) for name in names]
        if isinstance(names, (list, tuple))
        else [str(n) for n in range(drive.neurons.shape[1])]
    )
    body = charts.heat(drive.neuron_time, drive.neurons, labels)
    return Section("Nineteen neurons", "State of every neuron of the liquid network over the drive.", body)
