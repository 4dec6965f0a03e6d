# SPDX-License-Identifier: Apache-2.0
"""What flows through the stack: plain immutable records, one per kind of message.

Every record carries ``stamp`` [ns], the moment its content was measured. What is computed from a camera frame keeps
the stamp of that frame. Frames of reference are REP 103: x forward, y left, z up; angles counter-clockwise [rad].

Long because all kinds stand here, in the order in which they flow: none does more than hold its fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

NANOSECONDS = 1_000_000_000

Floats = NDArray[np.float64]


def seconds(nanoseconds: int) -> float:
    """Convert a stamp or a difference of stamps [ns] to [s]."""
    return nanoseconds / NANOSECONDS


def nanoseconds(seconds_: float) -> int:
    """Convert [s] to the nearest [ns]."""
    return round(seconds_ * NANOSECONDS)


@dataclass(frozen=True, slots=True)
class Frame:
    """A camera image, ``image`` (H, W, 3) uint8 RGB."""

    stamp: int
    image: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class JointStates:
    """Measured joints: ``position`` [rad or m], ``velocity`` [rad/s or m/s], ``effort`` [N·m or N], each (J,)."""

    stamp: int
    names: tuple[str, ...]
    position: Floats
    velocity: Floats
    effort: Floats


@dataclass(frozen=True, slots=True)
class Odometry:
    """Pose in the drifting odometry frame (x, y [m], yaw [rad]); twist of the body (speed [m/s], yaw_rate [rad/s])."""

    stamp: int
    x: float
    y: float
    yaw: float
    speed: float
    yaw_rate: float


@dataclass(frozen=True, slots=True)
class Imu:
    """``angular_velocity`` (3,) [rad/s] and ``linear_acceleration`` (3,) [m/s²], gravity included (specific force)."""

    stamp: int
    angular_velocity: Floats
    linear_acceleration: Floats


@dataclass(frozen=True, slots=True)
class Wrench:
    """What presses on the tool, ``force`` (3,) [N] and ``torque`` (3,) [N·m], in the axes of ``frame``."""

    stamp: int
    force: Floats
    torque: Floats
    frame: str = "base_link"


@dataclass(frozen=True, slots=True)
class Points:
    """Range returns: ``xyz`` (P, 3) float32 [m] in ``frame``, ``ring`` (P,) the index of the scan plane.

    ``frame`` is ``base_link`` or a link that the URDF mounts on it.
    """

    stamp: int
    xyz: NDArray[np.float32]
    ring: NDArray[np.int32]
    frame: str = "base_link"


@dataclass(frozen=True, slots=True)
class Features:
    """Output of the camera backbone, ``values`` (N,) float32; the input of the liquid network."""

    stamp: int
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LaneEstimate:
    """Where the car stands in its lane, as the camera sees it.

    ``offset`` [m]: lateral position of ``base_link`` (rear axle centre) from the lane centre, left positive.
    ``heading`` [rad]: yaw of the car relative to the lane's tangent, counter-clockwise positive.
    ``curvature`` (K,) [1/m]: curvature of the lane at the distances ``perception.preview_m`` ahead, left positive.
    ``bound`` (2 + K,): calibrated error bounds of (offset, heading, curvature...), same units; inf where unknown.
    """

    stamp: int
    offset: float
    heading: float
    curvature: Floats
    bound: Floats


class Level(IntEnum):
    """Severity, numbered as diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True, slots=True)
class ImageHealth:
    """Whether a frame can be trusted: ``level`` (ERROR = do not use it), ``reasons`` in words, ``values`` measured."""

    stamp: int
    level: Level
    reasons: tuple[str, ...] = ()
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Status:
    """One entry of ``/diagnostics``: who (``name``), how bad, in words, and ``values`` by key."""

    name: str
    level: Level
    text: str
    values: dict[str, str] = field(default_factory=dict)

    @property
    def node(self) -> str:
        """Who tells it; a name is ``node: task``, as ``diagnostic_updater`` makes it."""
        return self.name.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Percept:
    """All that perception says about one frame."""

    features: Features
    lane: LaneEstimate
    health: ImageHealth


@dataclass(frozen=True, slots=True)
class Nominal:
    """What the policy asks for: ``force`` along the car [N], ``curvature`` of the path [1/m]; NaN = not commanded."""

    stamp: int
    force: float
    curvature: float


@dataclass(frozen=True, slots=True)
class Gains:
    """Outermost class-K gains [1/s] by barrier name."""

    stamp: int
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Decision:
    """All that the policy says about one frame; ``neurons`` (N,) float32 is the state of the liquid network."""

    nominal: Nominal
    gains: Gains
    neurons: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Manual:
    """A driver's take-over: ``engaged`` while the dead-man switch is held; ``force`` [N] and ``curvature`` [1/m].

    ``hand_back``: once it is let go, the car may drive itself; without it the car stops.
    """

    stamp: int
    engaged: bool
    force: float
    curvature: float
    hand_back: bool = False


@dataclass(frozen=True, slots=True)
class Joy:
    """A joystick: ``axes`` −1 to 1, ``buttons`` 0 or 1."""

    stamp: int
    axes: tuple[float, ...]
    buttons: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """Joint efforts [N·m] for one control period; ``stamp`` is the tick of the safety filter that computed them."""

    stamp: int
    names: tuple[str, ...]
    effort: Floats


@dataclass(frozen=True, slots=True)
class Twist:
    """Motion that a car is asked for: ``speed`` of ``base_link`` along x [m/s], ``yaw_rate`` [rad/s]; 0, 0 = a stop."""

    stamp: int
    speed: float
    yaw_rate: float


@dataclass(frozen=True, slots=True)
class MotionRequest:
    """What a drive-by-wire car is asked for; ``stamp`` is that of the command whose place it takes.

    ``speed`` [m/s], never negative; ``acceleration`` [m/s²], below zero a brake request; ``steering`` [rad], the angle
    of one front wheel in the middle of the axle, left positive; ``yaw_rate`` [rad/s] at that speed and angle.
    """

    stamp: int
    speed: float
    acceleration: float
    steering: float
    yaw_rate: float

    @property
    def twist(self) -> Twist:
        """The part that a twist can say: at standstill it holds no steering angle."""
        return Twist(self.stamp, self.speed, self.yaw_rate)


class Mode(IntEnum):
    """Rung of the safety ladder."""

    NORMAL = 0
    HOLD = 1
    STOPPING = 2
    STOPPED = 3


Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Received(Generic[Record]):
    """The newest record of a kind and its ``age`` [ns] at the tick, as the watchdog's clock sees it."""

    record: Record
    age: int


@dataclass(frozen=True, slots=True)
class SafetyInputs:
    """Everything one tick of the safety filter may use; None = never received. ``now`` [ns] is the tick.

    ``emergency_silent``: the chain of emergency stops must speak, and did not in time. ``out_of_time`` is for a replay:
    the recorded solver used up its time at this tick (``Solve``), so this one is not asked.
    """

    now: int
    nominal: Received[Nominal] | None = None
    gains: Received[Gains] | None = None
    lane: Received[LaneEstimate] | None = None
    health: Received[ImageHealth] | None = None
    joints: Received[JointStates] | None = None
    odometry: Received[Odometry] | None = None
    imu: Received[Imu] | None = None
    points: Received[Points] | None = None
    manual: Received[Manual] | None = None
    emergency_stop: bool = False
    emergency_silent: bool = False
    stop_requested: bool = False
    reset_requested: bool = False
    out_of_time: bool = False


@dataclass(frozen=True, slots=True)
class ArmInputs:
    """What one tick of an arm's filter may use, as ``SafetyInputs``: ``nominal`` are the torques that are asked for.

    ``steady`` [ns]: the same moment on a clock that is never set, by which time passes; None = ``now``'s is one.
    """

    now: int
    nominal: Received[Command] | None = None
    joints: Received[JointStates] | None = None
    emergency_stop: bool = False
    emergency_silent: bool = False
    stop_requested: bool = False
    reset_requested: bool = False
    steady: int | None = None


class BarrierState(NamedTuple):  # made for every barrier at every tick, and quicker so than as a dataclass
    """One barrier at one tick.

    ``h`` is its value, ``margin`` what its tightest row keeps after the solve, in units of deviation, ``multiplier``
    that row's (positive where it changed the command), ``relaxed`` whether it had to give way.
    """

    name: str
    h: float
    margin: float
    multiplier: float
    relaxed: bool = False


class RowState(NamedTuple):
    """A row of a barrier that pushes or gives way at one tick.

    ``row`` is its number among the barrier's own, ``multiplier`` positive where it changed the command, ``slack`` by
    how much the command breaks it [``unit``]: 0 where it is kept, NaN where the row is no number.
    """

    barrier: str
    row: int
    multiplier: float
    slack: float
    unit: str


@dataclass(frozen=True, slots=True)
class Solve:
    """What the solver had to do at one tick.

    ``status``: 'unneeded' where the nearest command that the joints can follow keeps all rows, else as ``QPResult``, or
    'out of time', or 'fault' after one in the filter itself; where it is neither 'unneeded' nor 'solved' the backup
    goes out. ``programmes``: how many were solved, more than one where rows contradict. ``time`` [s] that they took, by
    the filter's clock; 0 without one. It is the machine's and never the same twice: records that differ in it alone are
    equal.
    """

    status: str = "unneeded"
    programmes: int = 0
    time: float = field(default=0.0, compare=False)

    @property
    def solved(self) -> bool:
        """Whether the command is the nearest one, not the backup."""
        return self.status in ("unneeded", "solved")


UNNEEDED = Solve()


@dataclass(frozen=True, slots=True)
class Tick:
    """Result of one tick of the safety filter.

    ``wanted`` is the (force [N], curvature [1/m]) that was asked for after the ladder, ``allowed`` what the filter let
    through, ``command`` the joint efforts [N·m] that realise it, ``intervened`` the name of the barrier that changed
    the command most ('' = none), ``reasons`` why the mode is what it is. ``rows`` are those that push or give way,
    ``ages`` [ns] those of the newest sound record of each input, as the watchdog saw them; None = never.
    """

    command: Command
    mode: Mode
    wanted: tuple[float, float]
    allowed: tuple[float, float]
    barriers: tuple[BarrierState, ...]
    intervened: str = ""
    reasons: tuple[str, ...] = ()
    rows: tuple[RowState, ...] = ()
    solve: Solve = UNNEEDED
    ages: dict[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ArmTick:
    """Result of one tick of an arm's filter, fields as those of ``Tick``.

    ``command`` is None until joint states have been seen: nobody is told to let go of an arm before. ``wanted`` (N,)
    [N·m] are the torques that were asked for after the ladder, NaN where it was a stop.
    """

    stamp: int
    command: Command | None
    mode: Mode
    wanted: Floats
    barriers: tuple[BarrierState, ...]
    intervened: str = ""
    reasons: tuple[str, ...] = ()
    solve: Solve = UNNEEDED
    ages: dict[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Neurons:
    """State of the liquid network after a frame, ``values`` (N,) float32."""

    stamp: int
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SafetyState:
    """What is published of a ``Tick`` beside its command; fields as there."""

    stamp: int
    mode: Mode
    wanted: tuple[float, float]
    allowed: tuple[float, float]
    barriers: tuple[BarrierState, ...]
    intervened: str = ""
    rows: tuple[RowState, ...] = ()

    @classmethod
    def of(cls, tick: Tick) -> SafetyState:
        """The published part of ``tick``."""
        return cls(tick.command.stamp, tick.mode, tick.wanted, tick.allowed, tick.barriers, tick.intervened, tick.rows)


@dataclass(frozen=True, slots=True)
class ArmSafetyState:
    """What is published of an ``ArmTick`` beside its command: ``wanted`` and ``allowed`` (N,) [N·m] by joint."""

    stamp: int
    mode: Mode
    names: tuple[str, ...]
    wanted: Floats
    allowed: Floats
    barriers: tuple[BarrierState, ...]
    intervened: str = ""

    @classmethod
    def of(cls, tick: ArmTick, names: tuple[str, ...]) -> ArmSafetyState:
        """The published part of ``tick``, of the joints ``names``."""
        allowed = np.full(len(names), np.nan) if tick.command is None else tick.command.effort
        return cls(tick.stamp, tick.mode, names, tick.wanted, allowed, tick.barriers, tick.intervened)


@dataclass(frozen=True, slots=True)
class UsedInputs:
    """Which records a tick used: (stamp, age) [ns] by name of the field of ``SafetyInputs``, None = never received.

    ``flags`` are its boolean fields; ``steady`` [ns] is that of ``ArmInputs`` where it is not the tick. With the
    records themselves this is all that replay needs. An arm's policy tells of each answer so: which joint states and
    wrench, or which features and request.
    """

    stamp: int
    inputs: dict[str, tuple[int, int] | None]
    flags: dict[str, bool]
    steady: int | None = None

    @classmethod
    def of(cls, inputs: SafetyInputs | ArmInputs, *, out_of_time: bool = False) -> UsedInputs:
        """The stamps, ages and flags of ``inputs``; ``out_of_time``: the solver used up its time on them."""
        used: dict[str, tuple[int, int] | None] = {}
        flags: dict[str, bool] = {}
        for item in fields(inputs):
            value = getattr(inputs, item.name)
            if isinstance(value, bool):
                flags[item.name] = value
            elif item.name not in ("now", "steady"):
                used[item.name] = None if value is None else (value.record.stamp, value.age)
        if out_of_time:
            flags["out_of_time"] = True
        steady = inputs.steady if isinstance(inputs, ArmInputs) and inputs.steady != inputs.now else None
        return cls(inputs.now, used, flags, steady)


@dataclass(frozen=True, slots=True)
class Round:
    """Lock-step: the simulator has published the sensors of ``stamp``; a tick needs ``awaited`` before it may run."""

    stamp: int
    awaited: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """The camera's calibration, as ``sensor_msgs/CameraInfo`` has it; values are not judged here.

    Attributes:
        width, height: of the whole picture [px].
        k: (3, 3) intrinsic matrix of the whole picture [px], pixel centres at whole numbers; zero = not calibrated.
        distortion_model, d: model of the lens by name, and its coefficients (n,).
        binning: pixels (across, down) that were put together to one; 0 means 1.
        window: left, top, width, height [px] of the part of the whole picture that is sent; width 0 = all of it.
    """

    stamp: int
    width: int
    height: int
    k: Floats
    distortion_model: str = "plumb_bob"
    d: Floats = field(default_factory=lambda: np.zeros(5))
    binning: tuple[int, int] = (0, 0)
    window: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Values:
    """Numbers by name, for what is only looked at: the simulator's truth, times on the steady clock."""

    stamp: int
    values: dict[str, float]
