# SPDX-License-Identifier: Apache-2.0
"""A supervisor in closed loop with the small car, every command checked against the limits."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache

import numpy as np
from safety_plant import PERIOD, Plant, Sensors, car, settings

from tidegate.records import Mode, SafetyInputs, Tick
from tidegate.robot import Actuation
from tidegate.safety import Supervisor

FORCE = 2500.0


class Drive:
    """A supervisor, a plant and its sensors; ``run`` drives on and checks every command against the limits."""

    def __init__(
        self,
        plant: Plant | None = None,
        disable: frozenset[str] = frozenset(),
        clock: Callable[[], int] | None = None,
        **look: object,
    ) -> None:
        self.plain = plant is None and not disable and not look and clock is None
        self.plant, self.sensors, self.options = plant or Plant(), Sensors(), look
        self.supervisor = Supervisor(settings(), car(), disable=disable, clock=clock)
        self.actuation = Actuation(car(), PERIOD)
        self.last: np.ndarray = np.zeros(6)
        self.tick: Tick | None = None
        self.modes: list[Mode] = []

    def run(
        self,
        time: float,
        nominal: tuple[float, float] = (FORCE, 0.0),
        change: Callable[[SafetyInputs], SafetyInputs] = lambda inputs: inputs,
        **look: object,
    ) -> Tick:
        for _ in range(round(time / PERIOD)):
            inputs = change(self.sensors.look(self.plant, nominal, **{**self.options, **look}))  # type: ignore[arg-type]
            self.tick = self.supervisor.tick(inputs)
            check_limits(self.tick, self.last, self.actuation)
            self.last = self.tick.command.effort
            self.modes.append(self.tick.mode)
            self.plant.step(self.tick.command)
        assert self.tick is not None
        return self.tick

    def started(self, time: float = 5.0) -> Drive:
        """Under way; a plain drive is a copy of one that got there once."""
        if self.plain:
            return copied(_under_way(time))
        return self._start(time)

    def _start(self, time: float) -> Drive:
        self.run(0.5, (0.0, 0.0), reset_requested=True)
        assert self.run(time).mode == Mode.NORMAL
        return self


def copied(drive: Drive) -> Drive:
    """One that goes on by itself from where ``drive`` is; settings and car, which never change, are shared."""
    return copy.deepcopy(drive, {id(shared): shared for shared in (settings(), car())})


@cache
def _under_way(time: float) -> Drive:
    return Drive()._start(time)


def check_limits(tick: Tick, last: np.ndarray, actuation: Actuation, since: float = 0.0) -> None:
    """``since`` [s]: after the last tick; what is longer than a command acts, the actuators have braked meanwhile."""
    effort = tick.command.effort
    assert np.isfinite(effort).all()
    assert (effort >= actuation.low - 1e-9).all()
    assert (effort <= actuation.high + 1e-9).all()
    rested = max(since - car().vehicle.command_hold_s, 0.0) / PERIOD
    assert (np.abs(effort - last) <= (1 + rested) * actuation.step * (1 + 1e-9)).all()
