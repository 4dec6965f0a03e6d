# SPDX-License-Identifier: Apache-2.0
"""All settings of an arm, read from a ROS parameter file; a car's are ``tidegate.settings.Settings``."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.errors import SettingsError
from tidegate.settings.arm_policy import ArmCameraSettings, ArmPolicySettings
from tidegate.settings.loader import located, read_parameters
from tidegate.settings.schema import build, setting

PACKAGE = "package://"
"""How a path begins that is looked for where packages are installed."""


@dataclass(frozen=True, slots=True)
class ArmModelSettings:
    """What the arm is beyond its URDF. Lists have one value per joint, in the order of ``joints``."""

    name: str = setting("arm", "", "name of the robot")
    urdf: str = setting(
        "../urdf/arm.urdf.xacro", "", "robot description, relative to the settings file, or package://NAME/FILE"
    )
    joints: tuple[str, ...] = setting(
        tuple(f"joint_{number}" for number in range(1, 8)), "", "the driven joints, from the base to the tool"
    )
    locked: tuple[str, ...] = setting(
        (), "", "further moving joints, such as fingers: the arm is reckoned as if they stood at 0 for good"
    )
    tool: str = setting("tool", "", "link whose origin is the tool point")
    velocity_share: float = setting(1.0, "1", "of the URDF's velocity limits that may be used", low=0.01, high=1)
    rotor_inertia: tuple[float, ...] = setting(
        (0.6, 0.6, 0.4, 0.4, 0.2, 0.12, 0.12), "kg·m²", "of each motor with its gear, as felt at the joint", low=0
    )
    effort_rate: tuple[float, ...] = setting(
        (5500.0, 5500.0, 3000.0, 3500.0, 1200.0, 1300.0, 400.0), "N·m/s", "fastest change of each torque", low=1
    )
    payload: float = setting(0.25, "kg", "point mass at the tool point that the model counts", low=0, high=50)
    payload_error: float = setting(
        0.25, "kg", "by how much it may be wrong; at most the payload itself", low=0, high=50
    )
    torque_error: tuple[float, ...] = setting(
        (1.0, 1.0, 0.7, 0.7, 0.4, 0.25, 0.25),
        "N·m",
        "largest error of each joint's torque balance: dry friction, motor, masses of the links",
        low=0,
    )
    command_hold_s: float = setting(
        0.02, "s", "without a command for so long the actuators hold the arm by themselves", low=0.001, high=1
    )


@dataclass(frozen=True, slots=True)
class ArmMotionSettings:
    """What the joints are promised to be able to do; held against the model when the filter is made."""

    acceleration: tuple[float, ...] = setting(
        (10.0, 10.0, 13.0, 13.0, 16.0, 24.0, 20.0),
        "rad/s²",
        "never asked for more; all joints can have so much at once, anywhere, either way",
        low=0.1,
    )
    braking: tuple[float, ...] = setting(
        (5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 10.0),
        "rad/s²",
        "deceleration that is reached when the acceleration above is asked for, whatever the model's error",
        low=0.1,
    )
    jerk: tuple[float, ...] = setting(
        (800.0, 800.0, 800.0, 800.0, 1000.0, 1200.0, 1000.0),
        "rad/s³",
        "change of acceleration that the torque rates give all joints at once",
        low=1,
    )
    drift: tuple[float, ...] = setting(
        (300.0, 230.0, 300.0, 280.0, 180.0, 350.0, 40.0),
        "rad/s³",
        "fastest change of a joint's acceleration while the torques are held",
        low=0,
    )
    samples: int = setting(300, "1", "states at which these promises are held against the model", low=10, high=100000)


@dataclass(frozen=True, slots=True)
class ArmLimitSettings:
    """Limits beyond the joints' own, and what the measured state may be wrong by."""

    power_max: float = setting(100.0, "W", "largest |τ·q̇|, driving or braking", low=1, high=1e5)
    power_drift: float = setting(
        700.0,
        "W/s",
        "fastest change of the power that braking takes, beyond what accelerations do to it",
        low=1,
        high=1e5,
    )
    tool_speed_max: float = setting(
        1.5, "m/s", "largest speed of the tool point; below 1 not kept behind every hostile wish", low=0.5, high=20
    )
    tool_braking: float = setting(2.0, "m/s²", "deceleration of the tool that its rows count on", low=0.1, high=50)
    tool_jerk: float = setting(500.0, "m/s³", "how fast that deceleration builds up", low=1, high=1e5)
    tool_drift: float = setting(
        250.0, "m/s³", "fastest change of the tool's acceleration while the torques are held", low=0, high=1e5
    )
    position_error: float = setting(0.001, "rad", "largest error of a measured joint position", low=0, high=0.1)
    velocity_error: float = setting(0.01, "rad/s", "largest error of a measured joint velocity", low=0, high=1)
    tool_position_error: float = setting(
        0.001, "m", "largest error of the tool point by the model, beyond what joint positions err by", low=0, high=0.1
    )


@dataclass(frozen=True, slots=True)
class SurfaceSettings:
    """A plane that the tool may press on, or must stay off: the points p in ``base_link`` with n·p = ``offset``."""

    enabled: bool = setting(True, "", "whether there is one")
    normal: tuple[float, ...] = setting((0.0, 0.0, 1.0), "1", "n, from the surface to the arm; of any length")
    offset: float = setting(0.25, "m", "where it is along n", low=-10, high=10)
    clearance: float = setting(0.0, "m", "the tool point stays so far off; 0 = it may touch", low=0, high=1)
    stiffness: float = setting(20000.0, "N/m", "of surface and tool together, at most", low=1, high=1e8)
    force_max: float = setting(60.0, "N", "largest force along n", low=1, high=1e5)
    static_share: float = setting(
        0.4, "1", "part of it that may be pressed with; the rest is for the blow of touching", low=0.05, high=0.45
    )
    zone: float = setting(0.05, "m", "nearer than this the force row holds, before it touches", low=0.001, high=1)


@dataclass(frozen=True, slots=True)
class ArmFilterSettings:
    """The quadratic programme and what is commanded where it has no solution."""

    slack_cost: float = setting(1e4, "1", "cost of a unit of relaxation against a unit of deviation", low=1e3, high=1e8)
    tolerance: float = setting(
        1e-6, "1", "largest violation of a scaled row that a solution may have", low=1e-9, high=1e-2
    )
    stop_damping: float = setting(40.0, "1/s", "braking of the backup per joint velocity", low=1, high=200)


@dataclass(frozen=True, slots=True)
class ArmLadderSettings:
    """When what is asked for, and what the joints say, is not followed; when the arm counts as standing."""

    nominal_timeout_s: float = setting(0.1, "s", "age at which what is asked for is late", low=0.002, high=2)
    joints_timeout_s: float = setting(
        0.02, "s", "age at which joint states are late; until then the model tells where the arm is", low=0.001, high=1
    )
    frozen_s: float = setting(
        0.1,
        "s",
        "how long joint states may repeat themselves to the last digit; 0 = not watched (encoders without noise)",
        low=0,
        high=5,
    )
    jump_rad: float = setting(
        0.02, "rad", "positions may leave their own velocities by this, within contradiction_s", low=1e-4, high=1
    )
    contradiction_s: float = setting(0.05, "s", "time over which such a departure is forgotten", low=0.001, high=5)
    leap_rad_s: float = setting(
        0.5, "rad/s", "velocities may change by this from one record to the next", low=0.01, high=100
    )
    persist_s: float = setting(
        0.3, "s", "how long nothing may be wrong with joint states before they are believed again", low=0, high=5
    )
    pause_s: float = setting(0.1, "s", "a longer gap between two ticks is a fault: nobody watched", low=0.002, high=2)
    hold_s: float = setting(1.0, "s", "longest HOLD before STOPPING, HOLDs shortly before counted in", low=0, high=60)
    hold_share: float = setting(
        0.1, "1", "share of the time in NORMAL that is given back of what HOLDs before have used up", low=0, high=0.5
    )
    standstill_speed: float = setting(0.03, "rad/s", "all joints slower than this is standing", low=0.001, high=1)
    standstill_s: float = setting(0.1, "s", "how long the arm must stand before STOPPED", low=0, high=5)
    blind_stop_s: float = setting(
        1.0, "s", "STOPPING without joint states counts as STOPPED after this time", low=0.1, high=60
    )
    emergency_stop_timeout_s: float = setting(
        0.0,
        "s",
        "an emergency stop that says nothing for so long counts as pressed; 0 = it may be silent",
        low=0,
        high=5,
    )


@dataclass(frozen=True, slots=True)
class ArmSafetySettings:
    """The filter's rate, ladder, promises, limits and surface."""

    rate_hz: float = setting(500.0, "Hz", "ticks per second; the torque is held in between", low=50, high=5000)
    ladder: ArmLadderSettings = ArmLadderSettings()
    motion: ArmMotionSettings = ArmMotionSettings()
    limits: ArmLimitSettings = ArmLimitSettings()
    surface: SurfaceSettings = SurfaceSettings()
    filter: ArmFilterSettings = ArmFilterSettings()


@dataclass(frozen=True, slots=True)
class ArmSimulatorSettings:
    """The embedded scene."""

    physics_step_s: float = setting(0.001, "s", "integration step; the period is a multiple", low=1e-5, high=0.01)
    surface_damping: float = setting(30.0, "N·s/m", "of the surface, while it is pressed", low=0, high=1e5)
    start: tuple[float, ...] = setting(
        (), "rad", "where the joints are at first, within 0.1 by seed; none = in the middle of their ranges"
    )
    hold_damping: float = setting(
        20.0, "1/s", "braking of the drives' own hold per joint velocity, when no command comes", low=1, high=200
    )
    position_noise: float = setting(1e-5, "rad", "standard deviation of one joint position sample", low=0, high=0.1)
    velocity_noise: float = setting(1e-3, "rad/s", "standard deviation of one joint velocity sample", low=0, high=1)


@dataclass(frozen=True, slots=True)
class ArmSettings:
    """Every setting of one arm."""

    arm: ArmModelSettings
    safety: ArmSafetySettings
    simulator: ArmSimulatorSettings
    camera: ArmCameraSettings
    policy: ArmPolicySettings


def arm_settings_from(values: dict[str, Any], source: str, folder: Path) -> ArmSettings:
    """Validate nested plain values (sections, then fields); a relative ``arm.urdf`` is taken from ``folder``.

    Raises:
        SettingsError: naming ``source``, the key, the value and what is allowed.
    """
    made: ArmSettings = build(ArmSettings, values, source)
    count = len(made.arm.joints)
    if not count or len(set(made.arm.joints)) != count:
        raise SettingsError(f"{source}: 'arm.joints' is {list(made.arm.joints)}; it must be names, each once")
    for prefix, section in (
        ("arm", made.arm),
        ("safety.motion", made.safety.motion),
        ("simulator", made.simulator),
    ):
        for item in dataclasses.fields(section):
            value = getattr(section, item.name)
            free = item.name == "locked" or (item.name == "start" and not value)
            if isinstance(value, tuple) and not free and len(value) != count:
                raise SettingsError(
                    f"{source}: '{prefix}.{item.name}' has {len(value)} values; it must have {count}, one per joint"
                )
    if made.arm.payload_error > made.arm.payload:
        raise SettingsError(
            f"{source}: 'arm.payload_error' is {made.arm.payload_error:g}; it must be at most 'arm.payload', "
            f"{made.arm.payload:g} [kg], for no payload is negative"
        )
    if not made.arm.command_hold_s * made.safety.rate_hz >= 2:
        raise SettingsError(
            f"{source}: 'arm.command_hold_s' is {made.arm.command_hold_s:g}; it must be at least two periods of "
            f"'safety.rate_hz', {2 / made.safety.rate_hz:g} s, or the drives never follow"
        )
    if len(made.policy.tool.centre) != 3:
        raise SettingsError(f"{source}: 'policy.tool.centre' is {list(made.policy.tool.centre)}; it must be x, y, z")
    normal = made.safety.surface.normal
    if len(normal) != 3 or not 1e-6 < math.hypot(*normal) < 1e6:
        raise SettingsError(f"{source}: 'safety.surface.normal' is {list(normal)}; it must be a direction x, y, z")
    motion = made.safety.motion
    for name, a, b in (("braking", motion.braking, motion.acceleration), ("drift", motion.drift, motion.jerk)):
        for joint, low, high in zip(made.arm.joints, a, b, strict=True):
            if not low < high:
                raise SettingsError(
                    f"{source}: 'safety.motion.{name}' of {joint} is {low:g}; it must be less than {high:g}, its "
                    f"'safety.motion.{'acceleration' if name == 'braking' else 'jerk'}'"
                )
    limits = made.safety.limits
    if not limits.tool_drift < limits.tool_jerk:
        raise SettingsError(
            f"{source}: 'safety.limits.tool_drift' is {limits.tool_drift:g}; it must be less than "
            f"'safety.limits.tool_jerk', {limits.tool_jerk:g} [m/s³]"
        )
    if made.arm.urdf.startswith(PACKAGE):
        return made
    urdf = located(made.arm.urdf, "arm.urdf", source, folder)
    return dataclasses.replace(made, arm=dataclasses.replace(made.arm, urdf=urdf))


def load_arm_settings(path: str | Path) -> ArmSettings:
    """Read the ROS parameter file of an arm (``/**: ros__parameters: …``).

    Raises:
        SettingsError: no such file, no YAML, no ``/**`` section, or a setting that is refused.
    """
    path = Path(path)
    return arm_settings_from(read_parameters(path), str(path), path.parent)
