# SPDX-License-Identifier: Apache-2.0
"""The arm as its drivers show it: joint states, a wrench and a camera; torques in, and drives that hold it when these
stop."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tidegate.errors import RobotError
from tidegate.records import Command, Floats, Frame, JointStates, Wrench, nanoseconds
from tidegate.robot.arm import Arm
from tidegate.settings.arm import ArmSettings
from tidegate.simulation.arm.task import make_arm_scene
from tidegate.simulation.arm.world import ArmScene, ArmTruth
from tidegate.simulation.engine import mujoco
from tidegate.simulation.excess import ROUNDING

SPREAD = 0.1
"""How far from the stated start each joint may be at first, by seed [rad]."""


class ArmObservation(NamedTuple):
    """What the sensors deliver at one tick; in a scene by its name, when a picture is due, that and how hard is to be
    pressed, in the base's axes."""

    joints: JointStates
    wrench: Wrench
    frame: Frame | None = None
    request: Wrench | None = None


class ArmPlant:
    """An arm in its scene, one period of the filter at a time. A scene by name begins with the first command: before
    it, its time and score do not count.

    Its drives latch the last torques. After ``arm.command_hold_s`` without any, and before the first, they hold the arm
    by themselves, as a real one's must: damped, with gravity held by a model of their own, inside torque box and rate.
    """

    def __init__(self, settings: ArmSettings, scene: str = "", seed: int = 0) -> None:
        """``scene`` is one of ``ARM_SCENES``; '' = the settings' surface alone, without a camera. ``seed`` decides
        where it starts, the payload within its bound, and the sensors' noise; of a scene by name all else too.

        Raises:
            SceneError: no such scene, or as ``ArmScene``; RobotError: as ``Arm.from_settings``.
        """
        self._settings, self._rng = settings.simulator, np.random.default_rng(seed)
        self._task = make_arm_scene(scene, settings, seed) if scene else None
        self.arm = Arm.from_settings(settings) if self._task is None else self._task.arm
        self._scene, self._truth = self._placed(settings)
        self._camera, self._every = settings.camera, round(settings.safety.rate_hz / settings.camera.rate_hz)
        self._begun = False
        self._period = nanoseconds(1 / settings.safety.rate_hz)
        self._patience = nanoseconds(settings.arm.command_hold_s)
        self._change = self.arm.effort_rate / settings.safety.rate_hz
        self._torque: Floats = self.arm.effort.clip(*[self._gravity()] * 2)
        self._ticks, self._stamp = 0, 0
        self._heard: int | None = None
        self.excess: dict[str, float] = {}

    def _placed(self, settings: ArmSettings) -> tuple[ArmScene, ArmTruth]:
        """The scene by name, or the one without."""
        if self._task is not None:
            return self._task, self._task.begin()
        error = settings.arm.payload_error * self._rng.uniform(-1, 1)
        scene = ArmScene(self.arm, payload=settings.arm.payload + error)
        start = np.array(settings.simulator.start or 0.5 * (self.arm.lower + self.arm.upper))
        drawn = start + self._rng.uniform(-SPREAD, SPREAD, len(start))
        return scene, scene.place(drawn.clip(self.arm.lower, self.arm.upper), np.zeros(len(start)))

    @property
    def now(self) -> int:
        """Simulated time [ns]."""
        return self._ticks * self._period

    @property
    def silent(self) -> bool:
        """Whether the drives hold the arm by themselves."""
        return self._heard is None or self.now - self._heard > self._patience

    def observe(self) -> ArmObservation:
        """Joint states with the encoders' noise, and what presses on the tool, in the tool's axes.

        Raises:
            DependencyError: a picture is due, and there is no graphics library or device.
        """
        settings, count = self._settings, len(self._torque)
        position = self._truth.position + settings.position_noise * self._rng.standard_normal(count)
        velocity = self._truth.velocity + settings.velocity_noise * self._rng.standard_normal(count)
        joints = JointStates(self.now, self.arm.joint_names, position, velocity, self._torque.copy())
        force = self._scene.push(self._truth)
        wrench = Wrench(self.now, force, np.zeros(3), self.arm.tool)
        if self._task is None or self._ticks % self._every:
            return ArmObservation(joints, wrench)
        goal = self._task.goal()
        picture = self._task.image(self._camera.width, self._camera.height, "closer")
        request = Wrench(self.now, -goal.force * goal.normal, np.zeros(3))
        return ArmObservation(joints, wrench, Frame(self.now, picture), request)

    def apply(self, command: Command) -> None:
        """Latch torques; a command with NaN, or one that lacks a joint, counts as none.

        Raises:
            RobotError: it names a joint that the arm does not have, or one twice, or has another number of efforts.
        """
        names = self.arm.joint_names
        if len(set(command.names)) != len(command.names) or command.effort.shape != (len(command.names),):
            raise RobotError(
                f"command has {command.effort.size} efforts for the joints {', '.join(command.names)}; it must have "
                "one for each, and each once"
            )
        unknown = sorted(set(command.names) - set(names))
        if unknown:
            raise RobotError(f"command names joint '{unknown[0]}'; the arm has {', '.join(names)}")
        efforts = dict(zip(command.names, command.effort.tolist(), strict=True))
        wanted = np.array([efforts.get(name, math.nan) for name in names])
        if not np.isfinite(wanted).all():
            return
        self._note("effort", np.abs(wanted) / self.arm.effort - 1)
        # in real time a command may overtake the one before: the rate is judged by their stamps; but not by more than
        # the drives' patience, for stamps leap where a clock is set, and a first one goes on from what was measured
        longest = self._patience // self._period
        periods = longest if self.silent else round((command.stamp - self._stamp) / self._period)
        allowed = min(max(1, periods), longest) * self._change
        self._note("effort rate", np.abs(wanted - self._torque) / allowed - 1)
        self._torque = wanted.clip(-self.arm.effort, self.arm.effort)
        self._heard, self._stamp = self.now, command.stamp
        if self._task is not None and not self._begun:
            self._begun = True
            self._task.start_clock()

    def step(self) -> None:
        """Go on by one period; limits are looked at after every physics step."""
        for _ in range(self._scene.substeps):
            if self.silent:
                self._hold()
            self._truth = self._scene.step(self._torque)
            self._judge(self._truth)
        self._ticks += 1

    def truth(self) -> dict[str, float]:
        """The tool's place [m] and speed [m/s], force [N], power [W], the fastest joint's share of its limit; whether
        the drives hold the arm by themselves; the worst excess so far as a share of its limit, 0 = none; of a scene by
        name the score so far, and whether that is of who did what is wanted."""
        one = self._truth
        return {
            **dict(zip(("tool_x", "tool_y", "tool_z"), one.tool.tolist(), strict=True)),
            "tool_speed": float(np.linalg.norm(one.tool_velocity)),
            "force": one.force,
            "power": float(self._torque @ one.velocity),
            "fastest": float(np.abs(one.velocity / self.arm.velocity).max()),
            "held": float(self.silent),
            "excess": max(self.excess.values(), default=0.0),
            **({} if self._task is None else {**self._task.score(), "done": float(self._task.done())}),
        }

    def close(self) -> None:
        """Release the graphics context."""
        if self._task is not None:
            self._task.close()

    def _gravity(self) -> Floats:
        return np.array(self._scene.data.qfrc_bias)

    def _hold(self) -> None:
        """The torques of the drives' own hold, by MuJoCo's model in the place of theirs."""
        braking, acceleration = np.empty(len(self._torque)), -self._settings.hold_damping * self._truth.velocity
        mujoco.mj_mulM(self._scene.model, self._scene.data, braking, acceleration)
        wanted = (self._gravity() + braking).clip(-self.arm.effort, self.arm.effort)
        step = self._change / self._scene.substeps
        self._torque = wanted.clip(self._torque - step, self._torque + step)

    def _judge(self, truth: ArmTruth) -> None:
        arm, limits = self.arm, self.arm.settings.safety.limits
        span = 0.5 * (arm.upper - arm.lower)
        self._note("position", np.abs(truth.position - 0.5 * (arm.lower + arm.upper)) / span - 1)
        self._note("velocity", np.abs(truth.velocity) / arm.velocity - 1)
        whole = {
            "power": abs(float(self._torque @ truth.velocity)) / limits.power_max,
            "tool speed": float(np.linalg.norm(truth.tool_velocity)) / limits.tool_speed_max,
            "force": truth.force / self.arm.settings.safety.surface.force_max,
        }
        for kind, share in whole.items():
            self._keep(kind, share - 1)

    def _note(self, kind: str, excess: Floats) -> None:
        """Keep the largest relative excess of each joint; rounding does not count."""
        if excess.max() > ROUNDING:
            for name, value in zip(self.arm.joint_names, excess.tolist(), strict=True):
                self._keep(f"{kind} {name}", value)

    def _keep(self, name: str, excess: float) -> None:
        if excess > ROUNDING:
            self.excess[name] = max(self.excess.get(name, 0.0), excess)
