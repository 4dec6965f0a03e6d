# SPDX-License-Identifier: Apache-2.0
"""The shipped arm for tests, and closed loops of it in MuJoCo at every physics step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import Arm
from tidegate.robot.dynamics import Dynamics
from tidegate.safety.arm import ArmFiltered, ArmGuard, ArmState
from tidegate.settings.arm import ArmSettings, load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm import ArmScene, ArmTruth

ELBOW_UP = np.array([0.0, 0.3, 0.0, 1.5, 0.0, 1.34, 0.0])
"""The tool points down, 15 cm above the surface."""
PERIOD = 1 / 500


@cache
def settings() -> ArmSettings:
    return load_arm_settings(share_path("config/arm.yaml"))


@cache
def arm() -> Arm:
    return Arm.from_settings(settings())


@cache
def dynamics() -> Dynamics:
    return Dynamics(arm())


def changed(section: str, **values: Any) -> ArmSettings:
    """The shipped settings with ``values`` of ``safety.<section>``, or of ``arm``, changed."""
    made = settings()
    if section == "arm":
        return dataclasses.replace(made, arm=dataclasses.replace(made.arm, **values))
    inner = dataclasses.replace(getattr(made.safety, section), **values)
    return dataclasses.replace(made, safety=dataclasses.replace(made.safety, **{section: inner}))


def drawn(rng: np.random.Generator, *, calm: bool = False) -> ArmState:
    """An arm anywhere inside its limits that was last given an acceleration of at most what is promised."""
    made, motion = arm(), settings().safety.motion
    position = rng.uniform(made.lower, made.upper)
    velocity = rng.uniform(-1, 1, 7) * made.velocity * (not calm)
    here = dynamics()(position, velocity)
    torque = here.mass @ (rng.uniform(-1, 1, 7) * np.array(motion.acceleration)) + here.bias
    return ArmState.of(position, velocity, torque, made.torque_window(torque, PERIOD), here)


@dataclasses.dataclass
class Run:
    """What a closed loop showed at every physics step (K, …), and what the filter told at every tick."""

    truth: list[ArmTruth]
    told: list[ArmFiltered]

    @property
    def position(self) -> Floats:
        return np.array([one.position for one in self.truth])

    @property
    def velocity(self) -> Floats:
        return np.array([one.velocity for one in self.truth])

    @property
    def force(self) -> Floats:
        return np.array([one.force for one in self.truth])

    @property
    def torque(self) -> Floats:
        return np.array([one.torque for one in self.told])


def closed_loop(
    made: ArmGuard | Callable[[Floats, Floats, Floats], ArmFiltered],
    wish: Callable[[float, ArmTruth], Any],
    *,
    seconds: float,
    position: Floats = ELBOW_UP,
    velocity: Floats | None = None,
    offset: Floats | float = 0.0,
    **scene: float,
) -> Run:
    """Drive from ``position`` with ``velocity``; ``offset`` [rad] is what the encoders are off by."""
    world = ArmScene(made.arm if isinstance(made, ArmGuard) else arm(), **scene)
    truth = world.place(position, np.zeros(7) if velocity is None else velocity)
    if isinstance(made, ArmGuard):
        made.engage(position, made.dynamics(truth.position, truth.velocity).bias)
    run = Run([], [])
    for tick in range(round(seconds / PERIOD)):
        told = made(truth.position + offset, truth.velocity, wish(tick * PERIOD, truth))
        run.told.append(told)
        for _ in range(world.substeps):
            truth = world.step(told.torque)
            run.truth.append(truth)
    return run


def unfiltered(_: Floats, __: Floats, wanted: Floats) -> ArmFiltered:
    """What is asked for, inside the torque box."""
    return ArmFiltered(np.clip(wanted, -arm().effort, arm().effort), (), "", True)
