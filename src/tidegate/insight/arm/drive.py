# SPDX-License-Identifier: Apache-2.0
"""A recorded drive of an arm as arrays; what its bag lacks is empty, or no number."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.bag import BagReader
from tidegate.errors import BagError
from tidegate.insight.drive import Barrier
from tidegate.insight.load import barriers_of, in_order, times_of
from tidegate.records import (
    ArmSafetyState,
    Features,
    Floats,
    Frame,
    ImageHealth,
    JointStates,
    Neurons,
    Values,
    Wrench,
    seconds,
)
from tidegate.robot.arm import Arm, surface_normal
from tidegate.robot.dynamics import Dynamics
from tidegate.settings.arm import ArmSettings
from tidegate.settings.arm_policy import SIGHTS

TICKS, PICTURES, TRUTH = "safety_node/barriers", "camera/image_raw", "truth"
HELD = ("joint_states", "wrench", "wrench_request", "features", "health", "neurons", TRUTH)


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """The tool point at the ticks (K,), by the robot's model and its measured joints; NaN where these are not known.

    ``place`` (K, 3) [m] and ``velocity`` (K, 3) [m/s] in ``base_link``'s axes; ``height`` [m] above the surface that
    the filter was told of; ``force`` [N] that it presses with, as measured, along that surface's normal, and the one
    that is ``wanted``.
    """

    place: Floats
    velocity: Floats
    height: Floats
    force: Floats
    wanted: Floats

    @property
    def speed(self) -> Floats:
        """(K,) [m/s]."""
        length: Floats = np.linalg.norm(self.velocity, axis=1)
        return length


@dataclass(frozen=True, slots=True, eq=False)
class ArmDrive:
    """One drive; times are seconds since the first tick, whose stamp [ns] is ``start``.

    ``wanted`` and ``allowed`` (K, N) [N·m] by joint before and after the filter, ``wanted`` NaN where it was a stop;
    ``row`` (K,) the barrier that changed the torques most ('' = none); ``position`` (K, N) [rad] and ``velocity``
    (K, N) [rad/s] as measured. ``seen`` (F, 8) what the perception told of each picture at ``seen_time``, as
    ``arm_stack.sight_scale`` lists it, NaN of one that was not to be trusted; ``images`` with their times
    ``image_time``; ``neurons`` (T, N) at ``neuron_time``. ``outcome``: the last that a simulator told of the truth.
    """

    name: str
    arm: Arm
    start: int
    ticks: tuple[ArmSafetyState, ...]
    time: Floats
    mode: NDArray[np.int64]
    wanted: Floats
    allowed: Floats
    row: NDArray[np.str_]
    barriers: dict[str, Barrier]
    position: Floats
    velocity: Floats
    tool: Tool
    seen_time: Floats
    seen: Floats
    doubts: dict[float, tuple[str, ...]]
    image_time: Floats
    images: tuple[NDArray[np.uint8], ...]
    neuron_time: Floats
    neurons: NDArray[np.float32]
    outcome: Mapping[str, float]

    @property
    def simulated(self) -> bool:
        """Whether it is of a simulator."""
        return bool(self.outcome)

    def tick_at(self, time: float) -> int:
        """Index of the last tick up to ``time`` [s]; of the first, where there is none."""
        return max(int(np.searchsorted(self.time, time + 1e-9, side="right")) - 1, 0)


def load_arm_drive(reader: BagReader, name: str, settings: ArmSettings) -> ArmDrive:
    """Read a bag whole.

    Raises:
        BagError: it holds no ticks of an arm's filter, those of an arm with other joints, or a message cannot be
            decoded; RobotError: as ``Arm.from_settings``.
    """
    if not reader.held(TICKS):
        raise BagError(f"{reader.path}: has no ticks of the safety filter; there is nothing to show")
    present = [topic for topic in (TICKS, *HELD, PICTURES) if reader.held(topic)]
    held: dict[str, dict[int, Any]] = {topic: {} for topic in (TICKS, *HELD, PICTURES)}
    for topic, _, record in reader.messages(present):
        held[topic].setdefault(record.stamp, record)
    ticks: list[ArmSafetyState] = in_order(held[TICKS])
    arm = Arm.from_settings(settings)
    if ticks[0].names != arm.joint_names:
        raise BagError(
            f"{reader.path}: is of the joints {', '.join(ticks[0].names)}; the settings have "
            f"{', '.join(arm.joint_names)} (--config names others)"
        )
    start, stamps = ticks[0].stamp, [tick.stamp for tick in ticks]
    joints = _latest(in_order(held["joint_states"]), stamps)
    position, velocity = (_joints(joints, arm, field) for field in ("position", "velocity"))
    presses, wishes = (_latest(in_order(held[topic]), stamps) for topic in ("wrench", "wrench_request"))
    frames: list[Frame] = in_order(held[PICTURES])
    features: list[Features] = [one for one in in_order(held["features"]) if len(one.values) == SIGHTS]
    neurons: list[Neurons] = in_order(held["neurons"])
    neurons = [one for one in neurons if one.values.shape == neurons[0].values.shape]
    truth: list[Values] = in_order(held[TRUTH])
    healths: list[ImageHealth] = in_order(held["health"])
    return ArmDrive(
        name=name,
        arm=arm,
        start=start,
        ticks=tuple(ticks),
        time=times_of(ticks, start),
        mode=np.array([int(tick.mode) for tick in ticks], np.int64),
        wanted=np.array([tick.wanted for tick in ticks], np.float64),
        allowed=np.array([tick.allowed for tick in ticks], np.float64),
        row=np.array([tick.intervened for tick in ticks], np.str_),
        barriers=barriers_of(ticks),
        position=position,
        velocity=velocity,
        tool=_tool(arm, position, velocity, presses, wishes),
        seen_time=times_of(features, start),
        seen=np.array([one.values for one in features], np.float64).reshape(-1, SIGHTS),
        doubts={seconds(one.stamp - start): one.reasons for one in healths if one.reasons},
        image_time=times_of(frames, start),
        images=tuple(frame.image for frame in frames),
        neuron_time=times_of(neurons, start),
        neurons=np.stack([one.values for one in neurons]) if neurons else np.zeros((0, 0), np.float32),
        outcome=truth[-1].values if truth else {},
    )


def _latest(records: Sequence[Any], stamps: Sequence[int]) -> list[Any]:
    """At each of ``stamps`` the last of ``records`` up to then; None before the first."""
    own = [record.stamp for record in records]
    places = [bisect_right(own, stamp) - 1 for stamp in stamps]
    return [records[place] if place >= 0 else None for place in places]


def _joints(records: Sequence[JointStates | None], arm: Arm, field: str) -> Floats:
    """(K, N) in the order of the arm's joints; NaN where one is missing."""
    found = np.full((len(records), len(arm.joint_names)), np.nan)
    for place, record in enumerate(records):
        if record is not None:
            values = dict(zip(record.names, getattr(record, field).tolist(), strict=True))
            found[place] = [values.get(name, np.nan) for name in arm.joint_names]
    return found


def _tool(
    arm: Arm,
    position: Floats,
    velocity: Floats,
    presses: Sequence[Wrench | None],
    wishes: Sequence[Wrench | None],
) -> Tool:
    dynamics, normal = Dynamics(arm), surface_normal(arm.settings)
    place, moved = np.full((2, len(position), 3), np.nan)
    force = np.full(len(position), np.nan)
    for tick, press in enumerate(presses):
        if not np.isfinite([*position[tick], *velocity[tick]]).all():
            continue
        motion = dynamics(position[tick], velocity[tick])
        place[tick], moved[tick] = motion.position, motion.velocity
        if press is not None and press.frame == arm.tool:
            force[tick] = max(float(normal @ (dynamics.turning().axes @ press.force)), 0.0)
    surface = arm.settings.safety.surface
    height = place @ normal - surface.offset if surface.enabled else np.full(len(place), np.nan)
    wanted = np.array([np.nan if wish is None else float(np.linalg.norm(wish.force)) for wish in wishes])
    return Tool(place, moved, height, force, wanted)
