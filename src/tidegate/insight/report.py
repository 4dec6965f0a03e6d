# SPDX-License-Identifier: Apache-2.0
"""``report.html``: what a drive was, and why every command that was changed was changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.insight import charts
from tidegate.insight.drive import Barrier, Drive, Intervention, interventions, stretches
from tidegate.insight.page import Section, Tile, page, table
from tidegate.insight.report_facts import Facts, drive_facts
from tidegate.records import Floats, Mode


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the charts draw as limits: ``speed`` [m/s], ``lane_room`` [m] to either side of the lane centre."""

    speed: float
    lane_room: float


def report(drive: Drive, bounds: Bounds, extra: Iterable[Section] = ()) -> str:
    """The whole page as text; ``extra`` sections (wiring, saliency, tree) follow those made from the drive."""
    found, told = interventions(drive), drive_facts(drive)
    sections = [
        _map(drive, found),
        _lane(drive, bounds, told["camera"]),
        _speed(drive, bounds),
        _gaps(drive),
        _commands(drive),
        margins(drive.time, drive.row, drive.barriers),
        _interventions(told),
        _latency(drive, told["latency_ms"]),
        neurons_over_time(drive.neuron_time, drive.neurons, drive.facts.get("neurons")),
        *extra,
    ]
    subtitle = " · ".join(f"{key} {value}" for key, value in drive.facts.items() if key in ("scene", "seed", "clock"))
    return page(f"tidegate: {drive.name}", subtitle, _tiles(told), [section for section in sections if section])


def _tiles(told: Facts) -> list[Tile]:
    tiles, run = [], told["run"]
    if "completed" in run:
        done = bool(run["completed"])
        tiles.append(Tile("yes" if done else "no", f"completed ({run.get('end')})", done))
    if told["driven_m"] is not None:
        tiles.append(Tile(f"{told['driven_m']:.0f} m", "driven"))
        tiles.append(Tile(f"{told['mean_speed_m_s']:.1f} m/s", "mean speed"))
    if "collisions" in run:
        tiles.append(Tile(str(run["collisions"]), "collisions", run["collisions"] == 0))
    if "limit_violations" in run:
        tiles.append(Tile(str(run["limit_violations"]), "limit violations", run["limit_violations"] == 0))
    if told["smallest_gap_m"] is not None:
        tiles.append(Tile(f"{told['smallest_gap_m']:.1f} m", "smallest gap"))
    tiles.append(Tile(str(told["interventions_in_all"]), "interventions"))
    if told["latency_ms"] is not None:
        tiles.append(Tile(f"{told['latency_ms']['median']:.1f} ms", "camera to command, median"))
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


def _lane(drive: Drive, bounds: Bounds, told: Facts | None) -> Section | None:
    if len(drive.lane.time) < 2:
        return None
    truth = drive.truth
    note = "Lateral offset from the lane centre, left positive. Dashed: where the car's side would touch the line."
    if told is not None:
        held = told["bound_held"]
        note += f" The camera is off by {told['error_median_m']:.2f} m (median); "
        note += "it states no bound." if held is None else f"its bound held in {held:.1%} of frames."
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


def margins(time: Floats, row: NDArray[np.str_], barriers: Mapping[str, Barrier]) -> Section | None:
    """Every barrier's h over the ticks' ``time`` (K,) [s]; ``row`` (K,) changed the command. None = there is none."""
    if not barriers:
        return None
    active = {name: stretches(row == name, time) for name in barriers}
    body = charts.barriers(time, {name: one.h for name, one in barriers.items()}, active)
    note = "h of each barrier; below the red line its safe set is left. Shaded: its row changed the command."
    return Section("Margins", note, body)


def _interventions(told: Facts) -> Section:
    if not told["interventions"]:
        return Section("Interventions", "The filter changed no command in this drive.", "")
    rows = table(
        ("row", "times", "seconds", "largest change [N]", "[1/m]", "smallest h"),
        [(name, str(one["times"]), f"{one['lasted_s']:.2f}", *_changes(one)) for name, one in told["by_row"].items()],
    )
    longest = sorted(told["interventions"], key=lambda one: -one["lasted_s"])[:12]
    each = table(
        ("longest, in order of time", "from [s]", "for [s]", "force [N]", "curvature [1/m]", "smallest h"),
        [
            (one["row"], f"{one['begin_s']:.2f}", f"{one['lasted_s']:.2f}", *_changes(one))
            for one in sorted(longest, key=lambda one: one["begin_s"])
        ],
    )
    return Section("Interventions", "Each with the barrier row that caused it.", f"{rows}<br>{each}")


def _changes(one: Facts) -> tuple[str, str, str]:
    least = one["smallest_h"]
    changes = f"{one['force_change_n']:,.0f}", f"{one['curvature_change_1_m']:.4f}"
    return *changes, "–" if least is None else f"{least:.3g}"


def _latency(drive: Drive, told: Facts | None) -> Section | None:
    if told is None:
        return None
    marks = {"median": told["median"], "99 %": told["p99"]}
    body = charts.histogram(drive.latency, "camera to command [ms]", marks)
    note = "From the moment the frame was taken to the publication of the first command computed from it."
    return Section("Latency", note, body)


def neurons_over_time(time: Floats, neurons: NDArray[np.float32], names: object) -> Section | None:
    """State of the ``neurons`` (T, N) over ``time`` (T,) [s]; they are numbered where ``names`` is no list of theirs.
    None = there are none."""
    if len(time) < 2:
        return None
    count = neurons.shape[1]
    known = names if isinstance(names, (list, tuple)) and len(names) == count else range(count)
    body = charts.heat(time, neurons, [str(name) for name in known])
    title = f"{'Nineteen' if count == 19 else count} neurons"
    note = "State of every neuron of the liquid network over the drive."
    return Section(title, note, body, {"neurons": count})
