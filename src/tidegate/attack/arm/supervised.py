# SPDX-License-Identifier: Apache-2.0
"""What answers to hostile torques: an arm's supervisor as its node feeds it, or nothing at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from tidegate.attack.arm.adversary import STRENGTH
from tidegate.records import ArmInputs, Command, Floats, JointStates, Mode, Received, nanoseconds
from tidegate.robot.arm import Arm
from tidegate.safety.arm import ArmSupervisor
from tidegate.safety.ladder import Rung
from tidegate.simulation import EPOCH

Answer = Callable[[float, Floats, Floats | None, float, Floats], Floats]
"""Torques (N,) to send, by time [s], joints as measured (2, N), the wish, its stamp's age [s], and the last torques."""


def unfiltered(arm: Arm) -> Answer:
    """What is asked for, no stronger than adversaries mean it and 0 where it is no number; else the last torques."""
    most = STRENGTH * arm.effort

    def answer(_: float, __: Floats, wish: Floats | None, ___: float, last: Floats) -> Floats:
        return last if wish is None else np.clip(np.nan_to_num(wish), -most, most)

    return answer


class Supervised:
    """An ``ArmSupervisor`` as its node feeds it, in NORMAL at first; somebody resets whenever it has STOPPED.

    Attributes:
        guard: the supervisor's.
        modes, relaxed, faults, changed, unsolved: counts of ticks, as in ``ArmOutcome``.
    """

    def __init__(self, supervisor: ArmSupervisor) -> None:
        self._supervisor, self.guard = supervisor, supervisor.guard
        supervisor.rung = Rung(Mode.NORMAL, EPOCH, ())
        self._names, self._wish = self.guard.arm.joint_names, Command(EPOCH, (), np.zeros(0))
        self.modes: Counter[str] = Counter()
        self.relaxed: Counter[str] = Counter()
        self.faults = self.changed = self.unsolved = 0

    def __call__(self, now: float, joints: Floats, wish: Floats | None, late: float, last: Floats) -> Floats:
        """An ``Answer``."""
        stamp = EPOCH + nanoseconds(now)
        if wish is not None:
            self._wish = Command(stamp - nanoseconds(late), self._names, wish.copy())
        seen = JointStates(stamp, self._names, joints[0], joints[1], last)
        stopped = self._supervisor.rung.mode is Mode.STOPPED
        nominal = Received(self._wish, stamp - self._wish.stamp) if self._wish.names else None
        tick = self._supervisor.tick(ArmInputs(stamp, nominal, Received(seen, 0), reset_requested=stopped))
        self.modes[tick.mode.name] += 1
        self.relaxed.update(barrier.name for barrier in tick.barriers if barrier.relaxed)
        self.faults += any(why.startswith("fault in the safety filter") for why in tick.reasons)
        self.changed += bool(tick.intervened)
        self.unsolved += not tick.solve.solved
        assert tick.command is not None
        return tick.command.effort
