# SPDX-License-Identifier: Apache-2.0
"""A closed loop of the arm's supervisor with the arm in MuJoCo, without ROS; what is asked for and told can be bent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from arm_plant import ELBOW_UP, changed

from tidegate.records import ArmInputs, ArmTick, Command, Floats, JointStates, Mode, Received
from tidegate.safety.arm import ArmSupervisor
from tidegate.settings.arm import ArmSettings
from tidegate.simulation.arm import ArmScene, ArmTruth
from tidegate.simulation.engine import mujoco

PERIOD = 2_000_000
QUICK = changed("motion", samples=10)
"""Promises are held against the model elsewhere."""


@dataclass
class ArmLoop:
    """Ticks of 2 ms. ``joints`` and ``wish`` make what is received of the truth; None = nothing comes. ``payload`` [kg]
    is what really hangs at the tool; None = as the filter is told."""

    made: ArmSettings = QUICK
    joints: Callable[[JointStates], JointStates | None] = lambda record: record
    wish: Callable[[float, ArmTruth], Floats | None] | None = None
    payload: float | None = None

    def __post_init__(self) -> None:
        self.supervisor = ArmSupervisor(self.made)
        self.arm = self.supervisor.guard.arm
        self.world = ArmScene(self.arm, payload=self.payload)
        self.truth = self.world.place(ELBOW_UP, np.zeros(7))
        self.now, self.ticks = 1_000_000_000, 0
        self.set_forward = 0  # of the clock by which everything is stamped
        self.torque = self.gravity()
        self.seen: list[ArmTruth] = []
        self.told: list[ArmTick] = []
        self._held: dict[str, tuple[Any, int]] = {}

    def gravity(self) -> Floats:
        return self.supervisor.guard.dynamics.gravity(self.truth.position)

    def drives(self) -> Floats:
        """Torques of a hold that knows what hangs at the arm."""
        braking = np.empty(len(self.torque))
        mujoco.mj_mulM(self.world.model, self.world.data, braking, -20 * self.truth.velocity)
        return np.array(self.world.data.qfrc_bias) + braking

    def inputs(self, **asked: bool) -> ArmInputs:
        noise = 1e-9 * (1 + self.ticks % 7)  # no real encoder repeats itself
        names, one = self.arm.joint_names, self.truth
        stamp = self.now + self.set_forward
        record = self.joints(JointStates(stamp, names, one.position + noise, one.velocity, self.torque))
        wanted = self.gravity() if self.wish is None else self.wish(self.now / 1e9, one)
        if record is not None:
            self._held["joints"] = record, self.now
        if wanted is not None:
            self._held["nominal"] = Command(stamp, names, wanted), self.now
        held = {name: Received(record, self.now - since) for name, (record, since) in self._held.items()}
        return ArmInputs(stamp, **held, **asked, steady=self.now)

    def tick(self, **asked: bool) -> ArmTick:
        """One tick and the period after it; without a command the drives hold the arm."""
        told = self.supervisor.tick(self.inputs(**asked))
        self.told.append(told)
        for _ in range(self.world.substeps):
            self.torque = self.drives() if told.command is None else told.command.effort
            self.truth = self.world.step(self.torque)
            self.seen.append(self.truth)
        self.now += PERIOD
        self.ticks += 1
        return told

    def run(self, seconds: float) -> ArmTick:
        for _ in range(round(seconds * 1e9 / PERIOD)):
            told = self.tick()
        return told

    def released(self) -> None:
        """From the start to NORMAL."""
        self.run(0.15)
        assert self.tick(reset_requested=True).mode == Mode.NORMAL

    def until(self, mode: Mode, longest: float) -> float:
        """Seconds until the ladder is at ``mode``."""
        for count in range(round(longest * 1e9 / PERIOD)):
            if self.tick().mode == mode:
                return (count + 1) * PERIOD / 1e9
        raise AssertionError(f"not {mode.name} within {longest} s: {self.told[-1].mode.name}, {self.told[-1].reasons}")

    def inside(self) -> None:
        """Every limit was kept, at every physics step and every tick."""
        arm = self.arm
        position, velocity = (np.array([getattr(one, name) for one in self.seen]) for name in ("position", "velocity"))
        torque = np.array([one.command.effort for one in self.told if one.command is not None])
        assert (position >= arm.lower).all()
        assert (position <= arm.upper).all()
        assert (np.abs(velocity) <= arm.velocity).all()
        assert (np.abs(torque) <= arm.effort).all()
        assert (np.abs(np.diff(torque, axis=0)) <= arm.effort_rate * PERIOD / 1e9 + 1e-9).all()
