# SPDX-License-Identifier: Apache-2.0
"""Interventions of the safety filter in words: what was asked, what went out, why, and what would have come of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.insight.drive import JOIN
from tidegate.insight.moment import TickView
from tidegate.insight.prediction import Prediction, nearest, predict
from tidegate.records import seconds
from tidegate.robot import Car
from tidegate.settings import Settings

AHEAD, SIDES, SPEEDS = ("distance",), ("lane", "edge"), ("speed", "curve", "sight")
"""Types of barriers by what they watch; a barrier of the user's own is told by its h alone."""
STEERED = 5e-5
"""A smaller change of the curvature [1/m] is not worth telling."""

Facts = dict[str, Any]
"""Plain values for JSON, SI; None = not known, or there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """A stretch in which the row ``row`` changed the command most; ``kind`` is the type of its barrier.

    ``first`` is its first tick, ``peak`` the one in which the command was changed most, in the filter's own units.
    ``begin``, ``end`` [s] are times since the bag's start; ``multiplier``: the largest; ``rungs`` of the ladder.
    """

    row: str
    kind: str
    begin: float
    end: float
    first: TickView
    peak: TickView
    multiplier: float
    gave_way: bool
    rungs: tuple[str, ...]
    prediction: Prediction


def accounts(active: Sequence[TickView], start: int, settings: Settings, car: Car) -> list[Account]:
    """Every stretch of every row, in the order of time; neighbours closer than ``JOIN`` [s] are told as one.

    Args:
        active: the ticks in which a row changed the command, in the order of time.
        start: stamp [ns] that times are told since.
        settings, car: of the robot.
    """
    spans = stretches([view.tick.intervened for view in active], [view.stamp for view in active])
    return [_account([active[place] for place in span], start, settings, car) for span in spans]


def stretches(rows: Sequence[str], stamps: Sequence[int]) -> list[list[int]]:
    """Places of the ticks of every stretch of every row, in the order of time; one row's that are closer than ``JOIN``
    [s] are one.

    Args:
        rows: by tick the row that changed the command most; '' = none did.
        stamps: of the ticks [ns].
    """
    found = []
    for row in sorted(set(rows) - {""}):
        mine = [place for place, name in enumerate(rows) if name == row]
        cuts = [at for at in range(1, len(mine)) if seconds(stamps[mine[at]] - stamps[mine[at - 1]]) > JOIN]
        found += [mine[low:high] for low, high in zip([0, *cuts], [*cuts, len(mine)], strict=True)]
    return sorted(found)


def _account(views: Sequence[TickView], start: int, settings: Settings, car: Car) -> Account:
    row = views[0].tick.intervened
    unit = np.array(
        [car.effective_mass * settings.safety.filter.acceleration_scale, settings.safety.filter.curvature_scale]
    )
    change = [float(np.hypot(*((np.array(one.tick.allowed) - one.tick.wanted) / unit))) for one in views]
    states = [state for one in views for state in one.tick.barriers if state.name == row]
    barrier = settings.safety.barriers.get(row)
    steers = any(abs(one.tick.allowed[1] - one.tick.wanted[1]) > STEERED for one in views)
    return Account(
        row,
        "" if barrier is None else barrier.type,
        seconds(views[0].stamp - start),
        seconds(views[-1].stamp - start),
        views[0],
        views[int(np.argmax(change))],
        max((state.multiplier for state in states), default=math.nan),
        any(state.relaxed for state in states),
        tuple(dict.fromkeys(one.tick.mode.name for one in views)),
        predict(settings, car, views[0], steers=steers),
    )


def facts(one: Account, start: int, settings: Settings, car: Car) -> Facts:
    """All that is told of an intervention, as plain values."""
    tick, prediction = one.peak.tick, one.prediction
    return {
        "row": one.row,
        "type": one.kind,
        "begin_s": one.begin,
        "end_s": one.end,
        "rungs": list(one.rungs),
        "multiplier": one.multiplier,
        "gave_way": one.gave_way,
        "seen": _seen(one.kind, one.row, one.first, settings, car),
        "peak": {
            "time_s": seconds(one.peak.stamp - start),
            "force_asked_n": tick.wanted[0],
            "force_allowed_n": tick.allowed[0],
            "curvature_asked_1_m": tick.wanted[1],
            "curvature_allowed_1_m": tick.allowed[1],
            "efforts_nm": _efforts(one.peak, car),
        },
        "predicted": {
            "contact_s": prediction.contact,
            "lane_left_s": prediction.lane_left,
            "too_fast_s": prediction.too_fast,
            "lane_known_s": prediction.lane_known_s,
            "horizon_s": prediction.horizon_s,
            "speed_limit_m_s": settings.vehicle.speed_max,
        },
    }


def _efforts(view: TickView, car: Car) -> Facts:
    """By joint what went out, and for wheels what the asked force would be; a servo steers, of no asked torque."""
    asked = dict(zip(car.wheel_joints, car.wheel_efforts(view.tick.wanted[0]).tolist(), strict=True))
    command = view.tick.command
    return {
        name: {"asked": asked.get(name), "out": effort}
        for name, effort in zip(command.names, command.effort.tolist(), strict=True)
    }


def _seen(kind: str, row: str, view: TickView, settings: Settings, car: Car) -> Facts:
    """What the row went by at a tick, as its barrier sees it."""
    state, wanted = view.state, view.tick.wanted
    h = next((one.h for one in view.tick.barriers if one.name == row), math.nan)
    found: Facts = {"h": h, "speed_m_s": state.speed}
    ahead = nearest(state.arc, state.along_lane)
    if math.isfinite(ahead.distance):
        closing = max(state.speed, 0.0) - ahead.receding + ahead.approaching
        found |= {
            "distance_m": ahead.distance,
            "closing_m_s": closing,
            "corridor": "lane" if ahead is state.along_lane else "arc",
        }
    if state.lane is not None:
        found |= {
            "offset_m": state.lane.offset,
            "heading_deg": math.degrees(state.lane.heading),
            "offset_bound_m": state.lane.offset_bound,
        }
    square = max(state.speed, 1.0) ** 2
    if kind in SPEEDS:
        found["speed_allowed_m_s"] = state.speed + h
    if kind == "lateral":
        found["lateral_asked_m_s2"] = square * abs(wanted[1])
        found["lateral_allowed_m_s2"] = settings.vehicle.lateral_acceleration_max
    if kind == "traction":
        found["grip_asked_m_s2"] = math.hypot(wanted[0] / car.effective_mass, square * wanted[1])
    return found


def sentence(told: Mapping[str, Any]) -> str:
    """One intervention in one English sentence; every number is one of ``told``, which is as ``facts`` makes it."""
    peak = told["peak"]
    parts = [_why(told), f"drive force {peak['force_asked_n']:,.0f} → {peak['force_allowed_n']:,.0f} N"]
    asked, allowed = (f"{peak[key]:.4f}" for key in ("curvature_asked_1_m", "curvature_allowed_1_m"))
    if asked != allowed:
        parts.append(f"curvature {asked} → {allowed} 1/m")
    if told["begin_s"] != told["end_s"]:
        parts[1] = f"most at {peak['time_s']:.3f} s: {parts[1]}"
    when = " to ".join(dict.fromkeys(f"{told[key]:.3f}" for key in ("begin_s", "end_s")))
    rungs = [rung for rung in told["rungs"] if rung != "NORMAL"]
    also = f" ({' and '.join(rungs)})" if rungs else ""
    way = "; the row gave way to others" if told["gave_way"] else ""
    if told["multiplier"] is not None:
        parts.append(f"multiplier up to {told['multiplier']:.2f}")
    text = "; ".join(part for part in parts if part).replace("-", "−")
    return f"{when} s: row {told['row']} active{also}: {text}{way}; without it, as predicted, {outlook(told)}."


def _why(told: Mapping[str, Any]) -> str:
    seen, kind = told["seen"], told["type"]
    if kind in AHEAD and seen.get("distance_m") is not None:
        return f"something at {seen['distance_m']:.1f} m, {_closing(seen['closing_m_s'])}"
    if kind in SIDES and seen.get("offset_m") is not None:
        side = "left" if seen["offset_m"] > 0 else "right"
        bound = seen["offset_bound_m"]
        doubt = f" (±{bound:.2f} m)" if bound is not None and math.isfinite(bound) else ""
        return f"{abs(seen['offset_m']):.2f} m{doubt} {side} of the lane's centre, heading {seen['heading_deg']:.1f}°"
    if kind in SPEEDS:
        return f"at {seen['speed_m_s']:.1f} of {seen['speed_allowed_m_s']:.1f} m/s"
    if kind == "lateral":
        asked, allowed = seen["lateral_asked_m_s2"], seen["lateral_allowed_m_s2"]
        return f"{asked:.1f} m/s² sideways asked for, {allowed:.1f} allowed"
    if kind == "traction":
        return f"{seen['grip_asked_m_s2']:.1f} m/s² of grip asked for"
    return "" if seen["h"] is None else f"h = {seen['h']:.3g}"


def _closing(closing: float) -> str:
    return f"closing at {closing:.1f} m/s" if closing >= 0 else f"leaving at {-closing:.1f} m/s"


def outlook(told: Mapping[str, Any]) -> str:
    """What the simple model (``prediction.MODEL``) says of the command that was asked for."""
    said, kind = told["predicted"], told["type"]
    found = {
        "contact": (said["contact_s"], "contact"),
        "lane": (said["lane_left_s"], "the lane left"),
        "speed": (said["too_fast_s"], f"above {said['speed_limit_m_s']:.1f} m/s"),
    }
    told_of = {"distance": ["contact"], "lane": ["lane"], "edge": ["lane"], "speed": ["speed"]}.get(kind, list(found))
    coming = [(after, words) for after, words in (found[name] for name in told_of) if after is not None]
    if coming:
        return " and ".join(f"{words} in {after:.1f} s" for after, words in sorted(coming))
    nothing = {"contact": "no contact", "lane": "the lane kept", "speed": "the speed limit kept"}
    known = said["lane_known_s"] if told_of == ["lane"] else said["horizon_s"]
    kept = [nothing[name] for name in told_of if name != "lane" or said["lane_known_s"]]
    return f"{', '.join(kept)} for {known:.1f} s" if kept else "nothing that can be told: no lane was known"


def around(told: Iterable[Facts], begin: float, end: float) -> list[Facts]:
    """Those of ``told`` that were in force between ``begin`` and ``end`` [s]."""
    return [one for one in told if one["begin_s"] <= end and one["end_s"] >= begin]
