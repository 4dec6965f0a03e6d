# SPDX-License-Identifier: Apache-2.0
"""Worlds that a row counts with: what it cannot tell from the one that is, and in which it is needed.

A row acts on what it knows, so what it explains depends on all the worlds that are possible by that (the epistemic
state of an explanation in Halpern and Pearl, "Causes and explanations: a structural-model approach. Part II", 2005).
Here one such world is taken beforehand for each type of barrier, with its assumption at the stated bound; none is
searched for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from tidegate.evaluation.log import DriveLog
from tidegate.evaluation.pilot import Pilot
from tidegate.insight.together import Finding, explained
from tidegate.records import Floats, LaneEstimate, Nominal, Received, SafetyInputs, Tick
from tidegate.simulation import Simulator
from tidegate.simulation.adversarial import Halted

BOUND, WISH, BOTH = "at its bound", "asked on", "at its bound, asked on"
"""Kinds of worlds: an assumption at its stated bound; a policy that goes on asking for what it asked; both."""
SIDES, AHEAD = ("lane", "edge"), ("distance",)


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive that is carried on."""

    simulator: Simulator
    pilot: Pilot
    log: DriveLog


World = Callable[[Drive], None]
"""Lets a drive go on in another world from its next tick on."""


def worlds(kind: str, row: str, tick: Tick, inputs: SafetyInputs) -> dict[str, World]:
    """Worlds that the row ``row``, a barrier of the type ``kind``, counts with, by their kind.

    ``lane``, ``edge``: the lane estimate errs by its bounds, so that the car is farther out, on the side that the row
    holds, than is seen. ``distance``: all others stop at once. Of other types no assumption can be taken to its bound
    in the middle of a drive: a road cannot be bent anew. Every row counts with a policy that goes on asking for what it
    asks for; ``distance`` with that along the car's arc, which is where it looks.

    Args:
        kind, row: of the barrier.
        tick, inputs: at which it begins to act, and what the filter heard then.
    """
    found: dict[str, World] = {}
    sides = [1.0 if one.row == 0 else -1.0 for one in tick.rows if one.barrier == row]
    if kind in AHEAD:
        found[BOUND] = halt_others
    elif kind in SIDES and inputs.lane is not None and sides:
        found[BOUND] = FartherOut(inputs.lane.record, sides[0])
    asks = GoesOn(tick.wanted[0], (tick.allowed if kind in AHEAD else tick.wanted)[1])
    both = {BOTH: _both(found[BOUND], asks)} if found else {}
    return found | {WISH: asks} | both


def until_explained(found: Mapping[str, World], judge: Callable[[World], Finding]) -> dict[str, Finding]:
    """What ``judge`` finds in each world, in their order, up to the first in which rows are found that keep the
    limit."""
    told: dict[str, Finding] = {}
    for kind, world in found.items():
        told[kind] = judge(world)
        if explained(told[kind]):
            break
    return told


def _both(first: World, second: World) -> World:
    def world(drive: Drive) -> None:
        first(drive)
        second(drive)

    return world


def halt_others(drive: Drive) -> None:
    """All others stop at once, as the stopping distance of ``distance`` counts with."""
    actors = drive.simulator.scene.actors
    actors[:] = [Halted(one) for one in actors]


class GoesOn:
    """The policy goes on asking for ``force`` [N] and ``curvature`` [1/m]."""

    def __init__(self, force: float, curvature: float) -> None:
        self._asked = force, curvature

    def __call__(self, drive: Drive) -> None:
        """A ``World``."""
        heard = drive.pilot.tamper

        def tamper(inputs: SafetyInputs) -> SafetyInputs:
            return replace(heard(inputs), nominal=Received(Nominal(inputs.now, *self._asked), 0))

        drive.pilot.tamper = tamper


class FartherOut:
    """The lane estimate errs by its bounds towards the middle: the car is farther out to one side than was seen.

    What was seen stays as it was, so the car is moved; from then on each estimate is off by its own bounds.
    """

    def __init__(self, seen: LaneEstimate, side: float) -> None:
        """``seen``: the newest estimate; ``side``: 1 = the car is farther to the left, −1 = to the right."""
        self._seen, self._side = seen, side

    def __call__(self, drive: Drive) -> None:
        """A ``World``; the same one where the estimate errs by as much already, or by more than is stated."""
        simulator, log, heard, side, begin = (
            drive.simulator,
            drive.log,
            drive.pilot.tamper,
            self._side,
            drive.simulator.now,
        )
        lane, car = simulator.settings.safety.lane, simulator.car
        seen, true = self._seen, log.at(self._seen.stamp)
        if true is None or not np.isfinite(seen.bound).all():
            return

        def errs(stated: Floats) -> tuple[float, float]:
            """By how much offset [m] and heading [rad] do; at the front axle no more than is covered."""
            offset = min(float(stated[0]), lane.bound_cap)
            return offset, min(float(stated[1]), (lane.bound_cap - offset) / car.wheelbase)

        out, turned = errs(seen.bound)
        simulator.shift(
            side * max(out + side * (seen.offset - true.offset), 0.0),
            side * max(turned + side * (seen.heading - true.heading), 0.0),
        )
        moved = simulator.truth()
        known: tuple[LaneEstimate | None, LaneEstimate] = None, seen

        def wrong(lane: LaneEstimate) -> LaneEstimate:
            true = moved if lane.stamp == begin else log.at(lane.stamp)
            if lane.stamp < begin or true is None:
                return lane
            offset, heading = errs(lane.bound)
            return LaneEstimate(
                lane.stamp,
                true.offset - side * offset,
                true.heading - side * heading,
                true.curvature + side * lane.bound[2:],
                lane.bound,
            )

        def tamper(inputs: SafetyInputs) -> SafetyInputs:
            nonlocal known
            inputs = heard(inputs)
            if inputs.lane is None:
                return inputs
            if known[0] is not inputs.lane.record:
                known = inputs.lane.record, wrong(inputs.lane.record)
            return replace(inputs, lane=Received(known[1], inputs.lane.age))

        drive.pilot.tamper = tamper
