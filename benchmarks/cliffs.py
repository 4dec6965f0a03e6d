# SPDX-License-Identifier: Apache-2.0
"""By how little an assumption of the safety case must be broken before its guarantee fails, and before harm follows.

Each is broken further and further in a closed loop, all else that the guarantee rests on being at its bound, and the
first place where that shows is found by bisection. The loops are those of the tests that break the assumptions grossly
(tests/safety/broken.py) and the model that barrier rows are made from (``tidegate.safety.contract``). Nothing is drawn
at random.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from common import save, table

from tidegate.safety.braking import Braking
from tidegate.safety.contract import IdealCar
from tidegate.safety.filter import Filter
from tidegate.safety.lane_tracker import interpolate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "safety"))
from broken import (
    Worse,
    beyond_when_blind,
    gap_to_a_wall,
    shifted,
    slalom,
    slow_by,
    to_the_left,
    top_speed,
    widest,
)
from safety_plant import car, settings

VEHICLE, SAFETY, POLICY = settings().vehicle, settings().safety, settings().policy
LANE, DISTANCE = SAFETY.lane, SAFETY.distance
LOADED = 1 / (1 + VEHICLE.mass_margin)
"""What the brakes' force does to the heaviest car that counts, as a share."""
SIDE = LANE.bound_cap - car().wheelbase * LANE.heading_cap
"""Error of the offset [m] that leaves room for the heading's: ``edge`` counts both together up to the cap."""
ROAD = ("lane", "edge", "lateral", "traction")
SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Of the way from the bound to a gross breach, tried in this order."""
HALVINGS = 3
AHEAD = 35.0
"""How far off [m] the wall is that a car under full throttle is to stop for."""


class Left(NamedTuple):
    """What is left of what is guaranteed, and until harm, each in its own unit; broken below 0."""

    guarantee: float
    harm: float


class Assumption(NamedTuple):
    """One number that a guarantee rests on: ``stated``, and ``gross``, beyond which nobody looks, in ``unit``.

    ``left(value)``: what is left in a loop with that value.
    """

    barrier: str
    words: str
    unit: str
    stated: float
    gross: float
    left: Callable[[float], Left]


def first(broken: Callable[[float], bool], stated: float, gross: float) -> float | None:
    """The value nearest to ``stated`` that is found to be ``broken``; None = none is. To an eighth of the way there.

    Values farther off are taken to be broken too; what is broken only now and then may be missed.
    """
    sound, share = 0.0, 0.0
    if broken(stated):
        return stated
    for share in SHARES:
        if broken(stated + share * (gross - stated)):
            break
        sound = share
    else:
        return None
    for _ in range(HALVINGS):
        middle = (sound + share) / 2
        if broken(stated + middle * (gross - stated)):
            share = middle
        else:
            sound = middle
    return stated + share * (gross - stated)


def stops(name: str) -> Callable[[float], Left]:
    """A wall ahead of a car at 12 m/s that goes on under full throttle; ``name``: what is broken."""

    def left(value: float) -> Left:
        at = {"brakes": LOADED, "slope": VEHICLE.slope_max, "lag": DISTANCE.lag_s, "grip": VEHICLE.tyre_friction}
        at |= {"noise": DISTANCE.noise_m, "ahead": AHEAD, name: value}
        change = shifted(at["noise"])
        gap = gap_to_a_wall(
            Worse(),
            change if name != "slow" else lambda inputs: change(slow_by(0.0, value)(inputs)),
            at["ahead"],
            brakes=at["brakes"],
            slope=-at["slope"],
            wheel_delay=at["lag"],
            grip=at["grip"],
        )
        return Left(gap - DISTANCE.standstill_gap, gap)

    return left


def sensed(offset: float) -> Left:
    """Full throttle with a speed that is told too low."""
    return _both(VEHICLE.speed_max - top_speed(slow_by(0.0, offset)))


def downhill(slope: float) -> Left:
    """Full throttle, and a descent that begins at once near the speed limit."""
    return _both(VEHICLE.speed_max - top_speed(slope=-slope))


def misjudged(error: float) -> Left:
    """Full throttle with the slowest gain and a push that is not known."""
    one = IdealCar(settings(), car(), speed=14.0, misjudged=-error)
    kept, top = _only("speed"), 0.0
    for _ in range(2400):
        told = kept(one.state(), (car().force_max, 0.0), {"speed": POLICY.gain_low}, one.box())
        one.hold(told.force, 0.0)
        top = max(top, one.speed)
    return _both(VEHICLE.speed_max - top)


def edge(name: str) -> Callable[[float], Left]:
    """A policy that steers for the lane's left edge at 8 m/s, or from lock to lock at 12; ``name``: what is broken."""

    def left(value: float) -> Left:
        at = {"offset": SIDE, "heading": LANE.heading_cap, "curvature": LANE.curvature_cap, "lag": 0.0}
        at["offset" if name == "capped" else name] = value
        stated = max(value, LANE.bound_cap) if name == "capped" else LANE.bound_cap
        beyond = widest(
            Worse(road_curvature=-at["curvature"], steer_delay=at["lag"]),
            12.0 if name == "lag" else 8.0,
            slalom if name == "lag" else to_the_left,
            error=-at["offset"],
            turned=-at["heading"],
            bound=stated,
            road_seen=0.0,
        )
        return _both(-beyond)

    return left


def blind(name: str) -> Callable[[float], Left]:
    """The camera is lost at speed in the middle of the lane; ``name``: what of the remembered lane is broken."""

    def left(value: float) -> Left:
        at = {"bend": LANE.sight_cap, "turned": LANE.drift_heading, name: value}
        return _both(-beyond_when_blind(Worse(), at["bend"], turned=-at["turned"]))

    return left


def bend(flatter: float) -> Left:
    """Full throttle towards a bend of 25 m radius that is told flatter than it is; harm: a wheel over the edge."""
    one = IdealCar(
        settings(),
        car(),
        speed=14.0,
        knots=(0.0, 60.0, 72.0, 150.0),
        bends=(0.0, 0.0, 0.04, 0.04),
        bound=(0.1, LANE.heading_cap, LANE.curvature_cap),
        error=(0.0, 0.0, -flatter),
        misjudged=-SAFETY.disturbance_margin,
    )
    kept, guarantee, harm = _only("curve", *ROAD), math.inf, math.inf
    while one.station < 120.0 and not one.speed < 1.0:
        here = interpolate(one.station, one.knots, one.bends)
        wish = car().force_max, here - 0.3 * one.heading - 0.05 * one.offset
        told = kept(one.state(), wish, {"speed": POLICY.gain_low}, one.box())
        one.hold(told.force, told.curvature)
        guarantee = min(guarantee, VEHICLE.lateral_acceleration_max - one.speed**2 * here)
        harm = min(harm, _inside(one))
    return Left(guarantee, harm)


def tightening(rate: float) -> Left:
    """A policy that steers for the outer edge of a road that bends tighter by ``rate`` per metre, down to 20 m."""
    bound = SIDE, LANE.heading_cap, LANE.curvature_cap
    one = IdealCar(
        settings(),
        car(),
        speed=8.0,
        knots=(0.0, 20.0, 20.0 + 0.05 / rate, 500.0),
        bends=(0.0, 0.0, -0.05, -0.05),
        bound=bound,
        error=(-bound[0], -bound[1], bound[2]),
    )
    kept, least = _only("curve", *ROAD), math.inf
    while one.station < 20.0 + 0.05 / rate + 40.0 and not one.speed < 0.5:
        wish = 2000.0 * (8.0 - one.speed), 0.1
        told = kept(one.state(), wish, {"lane": POLICY.gain_high}, one.box())
        one.hold(told.force, told.curvature)
        least = min(least, _inside(one))
    return _both(least)


def _both(left: float) -> Left:
    return Left(left, left)


def _only(*names: str) -> Filter:
    return Filter(settings(), car(), disable=frozenset(SAFETY.barriers) - set(names))


def _inside(one: IdealCar) -> float:
    """How far [m] the car's side is from the lane's edge, at either axle."""
    front = one.offset + car().wheelbase * math.sin(one.heading)
    return LANE.half_width - car().width / 2 - max(abs(one.offset), abs(front))


def nearest() -> float:
    """How far off [m] a thing must appear before a car that rolls at 12 m/s, by what ``distance`` counts on."""
    return Braking(settings(), car()).stop(12.0, 0.0).way + DISTANCE.standstill_gap + DISTANCE.noise_m


ASSUMPTIONS = {
    "brakes": Assumption(
        "distance", "the brakes give this share of what is asked for", "", LOADED, 0.2, stops("brakes")
    ),
    "slope": Assumption("distance", "steepest descent", "", VEHICLE.slope_max, 0.6, stops("slope")),
    "brake_lag": Assumption("distance", "the brakes answer within", "s", DISTANCE.lag_s, 1.5, stops("lag")),
    "grip": Assumption("distance", "grip of the road, straight on", "", VEHICLE.tyre_friction, 0.1, stops("grip")),
    "noise": Assumption("distance", "a return is told farther off by", "m", DISTANCE.noise_m, 8.0, stops("noise")),
    "near": Assumption("distance", "a thing appears at", "m", nearest(), 5.0, stops("ahead")),
    "speed": Assumption("distance", "speed is told too low by", "m/s", SAFETY.speed_margin, 6.0, stops("slow")),
    "sensed": Assumption("speed", "speed is told too low by", "m/s", SAFETY.speed_margin, 3.0, sensed),
    "downhill": Assumption("speed", "a descent that begins at once", "", VEHICLE.slope_max, 0.5, downhill),
    "misjudged": Assumption(
        "speed", "slope and drag are misjudged by", "m/s²", SAFETY.disturbance_margin, 3.0, misjudged
    ),
    "offset": Assumption("lane", "the lane's offset errs by, its bound being the cap", "m", SIDE, 1.5, edge("offset")),
    "capped": Assumption("lane", "the offset errs by its own bound of", "m", SIDE, 0.95, edge("capped")),
    "heading": Assumption("lane", "the lane's heading errs by", "rad", LANE.heading_cap, 0.25, edge("heading")),
    "curvature": Assumption("lane", "its curvature errs by", "1/m", LANE.curvature_cap, 0.08, edge("curvature")),
    "steering_lag": Assumption("lane", "the steering answers later by", "s", LANE.lag_s, 0.6, edge("lag")),
    "tightening": Assumption("lane", "the road's curvature changes by", "1/m²", LANE.curvature_slope, 0.1, tightening),
    "bend": Assumption("curve", "a bend is told flatter by", "1/m", LANE.curvature_cap, 0.04, bend),
    "remembered": Assumption(
        "sight", "curvature of the remembered lane errs by", "1/m", LANE.sight_cap, 0.012, blind("bend")
    ),
    "odometry": Assumption(
        "sight", "the odometry turns by, per metre", "rad/m", LANE.drift_heading, 0.015, blind("turned")
    ),
}


def search(name: str) -> dict[str, Any]:
    """Where an assumption breaks, in its unit: the ``guarantee`` and the ``harm``; None = nowhere up to ``gross``."""
    one = ASSUMPTIONS[name]
    left = cache(one.left)
    found = {
        part: first(lambda value, at=at: left(value)[at] < 0, one.stated, one.gross)
        for at, part in enumerate(Left._fields)
    }
    words = {"barrier": one.barrier, "assumption": one.words, "unit": one.unit}
    return words | {"stated": one.stated, "gross": one.gross} | found


def main(arguments: list[str] | None = None) -> None:
    """Search for each and keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ASSUMPTIONS)}; all by default")
    chosen = parser.parse_args(arguments).names
    rows = []
    for name in chosen or ASSUMPTIONS:
        rows.append(search(name))
        print(rows[-1], flush=True)
    if not chosen:
        print(save("cliffs", {"rows": rows}))


def tell(figures: dict[str, Any]) -> str:
    """The table of docs/results.md."""
    rows = [
        (
            row["barrier"],
            row["assumption"],
            f"{row['stated']:.3g} {row['unit']}".strip(),
            *(_place(row, row[part]) for part in Left._fields),
        )
        for row in figures["rows"]
    ]
    return (
        "## Cliffs\n\nBy how little an assumption of the safety case ([safety.md](safety.md)) must be broken, all else "
        "that is searched for the same barrier at its bound; found by bisection in closed loops, camera-free; in "
        f"brackets the share of the bound. Guarantee: of `distance` its gap of {DISTANCE.standstill_gap:g} m, of "
        "`curve` the lateral acceleration, of the others harm itself. Harm: contact while the car moves, a speed above "
        "the limit, a wheel over the lane's edge.\n\n"
        f"{table(('barrier', 'assumption', 'stated', 'guarantee fails from', 'harm from'), rows)}"
    )


def _place(row: dict[str, Any], value: float | None) -> str:
    if value is None:
        return f"not up to {row['gross']:.3g}"
    if value == row["stated"]:
        return "at the bound"
    return f"{value:.3g} ({value / row['stated']:.2g})"


if __name__ == "__main__":
    main()
