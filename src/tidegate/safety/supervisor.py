# SPDX-License-Identifier: Apache-2.0
"""One tick of the safety filter: watch, decide the rung, filter, actuate, limit.

Long because a tick is read from top to bottom, in the order in which it happens.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from tidegate.errors import SettingsError
from tidegate.records import (
    Command,
    Floats,
    JointStates,
    LaneEstimate,
    Level,
    Mode,
    SafetyInputs,
    Solve,
    Tick,
    nanoseconds,
    seconds,
)
from tidegate.robot import Actuation, Car, MotionLimits
from tidegate.safety.backup import Backup
from tidegate.safety.barrier import State
from tidegate.safety.budget import Clock
from tidegate.safety.filter import Filter, Filtered
from tidegate.safety.joints import joint_box
from tidegate.safety.ladder import Conditions, Rung, advance, asked_to_stop
from tidegate.safety.lane_tracker import LaneTracker, TrackedLane
from tidegate.safety.limiter import Limiter
from tidegate.safety.lowering import Lowering
from tidegate.safety.motion import Motion
from tidegate.safety.plausibility import Held, Plausibility
from tidegate.safety.surroundings import Surroundings
from tidegate.safety.watchdog import Watchdog
from tidegate.settings import Settings, adjusted

TRUSTED = ("joints", "odometry", "imu", "points")
FAULT = Solve("fault")
PARTS = ("filter", "image_health")
"""What may be left out besides a barrier, for evaluation."""


def check_disabled(names: Iterable[str], settings: Settings) -> None:
    """Refuse ``names`` of parts to leave out that are none: a part that is spelt wrong would be on.

    Raises:
        SettingsError: naming it, and those that there are.
    """
    allowed = (*PARTS, *settings.safety.barriers)
    for name in names:
        if name not in allowed:
            raise SettingsError(f"cannot disable '{name}'; parts are {', '.join(allowed)}")


class Supervisor:
    """Everything between the policy's wish and the joints, at the safety node's own rate.

    A deterministic function of the sequence of inputs; ``tick`` never raises. It starts STOPPED and waits for a reset.

    Attributes:
        speed: [m/s], as the last tick had it; None = a trusted sensor was at fault, or the tick was.
    """

    def __init__(
        self, settings: Settings, car: Car, *, disable: frozenset[str] = frozenset(), clock: Clock | None = None
    ) -> None:
        """``disable``: barrier names, 'image_health' or 'filter' to leave out; for evaluation only.

        ``clock`` [ns], such as ``time.monotonic_ns``: for a car that drives in real time. The solver is timed by it and
        has a period; after that the backup goes out. None: commands depend on the inputs alone.
        """
        self._file = self._settings = settings
        self._car, self._disable, self._clock = car, disable, clock
        self._period = 1.0 / settings.safety.rate_hz
        self._share = settings.safety.steering_share
        self._hold = nanoseconds(settings.safety.hold_s)
        self._camera_late = nanoseconds(settings.safety.camera_timeout_s)
        self.filter = Filter(settings, car, disable=disable, clock=clock)
        self._lowering = Lowering(settings, car)
        self._watchdog, self._plausibility = Watchdog(settings, car), Plausibility(settings, car)
        self._held = Held(nanoseconds(settings.safety.plausibility.persist_s))
        self._tracker = LaneTracker(settings)
        self._motion = Motion(settings, car)
        self._backup = Backup(settings, car)
        self._surroundings = Surroundings(settings, car)
        self._actuation = Actuation(car, self._period)
        steering = np.zeros(len(car.steer_joints))
        safe = np.concatenate((steering, car.wheel_efforts(self._backup.guaranteed)))
        self._limiter = Limiter(self._actuation.low, self._actuation.high, self._actuation.step, safe)
        self._last_resort: Floats = np.concatenate((steering, car.wheel_efforts(self._backup.hardest)))
        self._no_joints = JointStates(0, (), *[np.empty(0)] * 3)
        self.rung = Rung()
        self.speed: float | None = None
        self._state = State()
        self._now: int | None = None
        self._ran_back = False
        self._standing = 0.0
        self._lane_stamp: int | None = None
        self._lane_age = -1
        self._unsure: tuple[str, ...] = ()
        self._bounded = False

    @property
    def gain_names(self) -> tuple[str, ...]:
        """Names of the gains that the barriers take from the policy."""
        return self.filter.gain_names

    @property
    def state(self) -> State:
        """What the barriers knew at the last tick, with the command that went out then; the next tick changes it."""
        return self._state

    @property
    def late(self) -> dict[str, tuple[str, ...]]:
        """For each input, a field of ``SafetyInputs``, why it could not be used at the last tick; empty = it could."""
        return {name: self._watchdog.late(name) for name in self._watchdog.names}

    @property
    def joints(self) -> JointStates | None:
        """The newest joint states that the last tick could use; None = too old, or none that are sound."""
        joints: JointStates | None = self._watchdog.usable("joints")
        return joints

    def adjust(self, changed: Mapping[str, float]) -> None:
        """Take settings that were changed at run time, by key, from the next tick on; all others are the file's.

        The barriers are made anew; what remembers goes on. Limits of the car come down as ``Lowering`` says. What else
        is tightened beyond the present state is met as ever: rows give way, backups brake, at the torque rates.

        Raises:
            SettingsError: no such setting, or out of range; nothing has changed then.
        """
        settings = adjusted(self._file, changed)
        self.filter = Filter(settings, self._car, disable=self._disable, clock=self._clock)
        self._settings = settings
        self._hold = nanoseconds(settings.safety.hold_s)
        self._surroundings.adjust(settings)
        self._lowering.set(settings, self._motion.speed)
        self._actuation.limit_drive(settings.vehicle.drive_effort_max)
        self._limiter.tighten(self._actuation.high)

    @property
    def limits(self) -> MotionLimits:
        """Limits of the car in force, which come down gently where they were lowered while driving."""
        return self._lowering.now

    def tick(self, inputs: SafetyInputs) -> Tick:
        """The command for the next period. Never raises: a fault inside brakes the car and stays until a reset."""
        try:
            return self._tick(inputs)
        except Exception as error:  # the one place where everything is caught: the car must get a command
            reason = f"fault in the safety filter: {type(error).__name__}: {error}"
            self.rung = Rung(Mode.STOPPING, inputs.now, (reason,), latched=True)
            effort = self._limiter(self._braking(inputs))
            state, actuation = self._state, self._actuation
            actuation.effort = effort
            state.force = self._car.wheel_force(effort[len(self._car.steer_joints) :])
            state.curvature = actuation.curvature
            backup = self._backup.hardest, actuation.curvature
            command = Command(inputs.now, self._car.joint_names, effort)
            return Tick(command, Mode.STOPPING, backup, backup, (), "", (reason,), solve=FAULT)

    def _braking(self, inputs: SafetyInputs) -> Floats:
        """Efforts (J,) [N·m] after a fault inside, of parts that may be sound: hard brakes, steering held where it was.

        Where these parts are at fault too, the steering torque falls to zero at its rate.
        """
        received, joints = inputs.joints, self._no_joints
        try:
            if received is not None and self._watchdog.sound("joints", received):
                joints = received.record
            return self._actuation.efforts(self._backup.hardest, self._actuation.curvature, joints, inputs.now)
        except Exception:
            return self._last_resort

    def _tick(self, inputs: SafetyInputs) -> Tick:
        self.speed = None
        step = max(inputs.now - self._now, 0) if self._now is not None else 0
        backwards = self._now is not None and inputs.now < self._now
        self._now = inputs.now
        self._ran_back = backwards or (self._ran_back and self.rung.mode != Mode.NORMAL)
        watchdog = self._watchdog
        watchdog.check(inputs)
        if not self._ran_back:  # from a clock that was set back a jump is no pause: it is set right
            self._wake(seconds(min(step, watchdog.passed)) - self._settings.vehicle.command_hold_s)
        self._plausibility.check(watchdog, inputs.now)
        self._move(step)
        if self._lane_age >= 0:
            self._lane_age += step
        camera = self._camera()
        lane = self._tracker.lane(self._settings.safety.lane.lag_s)
        if lane is None and self._sees():
            camera += ("the lane is too far off, or lies across",)
        conditions = self._conditions(inputs, camera, backwards, step)
        self.rung = advance(self.rung, conditions, inputs.now, self._hold, self._settings.safety.hold_share)
        mode = self.rung.mode
        state = self._fill_state(inputs.now, step, lane)
        wanted = self._wanted(mode, conditions)
        box = joint_box(self._car, state.force, state.curvature, self._period, self._share, self._lowering.drive)
        if "filter" in self._disable:
            filtered = Filtered(*box.clip(*wanted))
        else:
            told = watchdog.usable("gains") if mode == Mode.NORMAL else None
            gains = {} if told is None else told.values
            driven = mode == Mode.NORMAL and conditions.manual
            filtered = self.filter(state, wanted, gains, box, learned=not driven, out_of_time=bool(inputs.out_of_time))
        allowed = (filtered.force, filtered.curvature)
        joints = watchdog.usable("joints") or self._no_joints
        effort = self._limiter(self._actuation.efforts(*allowed, joints, inputs.now))
        self._actuation.effort = effort
        state.force, state.curvature = allowed[0], self._actuation.curvature
        if not conditions.trusted:
            self.speed = state.speed
        reasons = self.rung.reasons
        if not filtered.solved:
            reasons += (f"the programme had no solution ({filtered.solve.status})",)
        if mode == Mode.STOPPED:  # what stands against a reset now
            reasons += tuple(why for why in conditions.trusted + camera if why not in reasons)
        return Tick(
            Command(inputs.now, self._car.joint_names, effort),
            mode,
            wanted,
            allowed,
            filtered.barriers,
            filtered.intervened,
            reasons,
            filtered.rows,
            filtered.solve,
            watchdog.ages(),
        )

    def _wake(self, silent: float) -> None:
        """After a pause the last command is not what acts: the actuators have braked by themselves, ``silent`` [s]."""
        if silent > 0:
            self._actuation.effort = effort = self._limiter.rest(silent / self._period)
            self._state.force = self._car.wheel_force(effort[len(self._car.steer_joints) :])

    def _move(self, step: int) -> None:
        """Speed, pose and lane from odometry; speed from the wheels where odometry is late."""
        motion, odometry, joints = self._motion, self._watchdog.usable("odometry"), self._watchdog.usable("joints")
        if odometry is not None:
            motion.update(odometry, self._state.force, self._state.curvature, joints)
            # one wrong sample must not turn the lane away: no car turns faster than on its tightest path
            most = self._car.curvature_max * abs(motion.speed) + self._settings.safety.plausibility.turn_difference
            self._tracker.odometry(odometry.stamp, motion.speed, min(max(odometry.yaw_rate, -most), most))
        elif joints is not None:
            motion.from_wheels(joints)
        slow = abs(motion.speed) < self._settings.safety.ladder.standstill_speed
        blind = odometry is None and joints is None
        if slow and self.rung.mode in (Mode.STOPPING, Mode.STOPPED):  # on its brakes: whoever drives on begins anew
            motion.rolled_back = 0.0
        self._standing = self._standing + step / 1e9 if slow and not blind else 0.0

    def _camera(self) -> tuple[str, ...]:
        """Take a new lane estimate if its frame can be trusted; say what about the camera is out."""
        watchdog = self._watchdog
        lane, health = watchdog.newest("lane"), watchdog.newest("health")
        use_health = "image_health" not in self._disable
        out: tuple[str, ...] = watchdog.late("nominal")
        sick: tuple[str, ...] = ()
        if use_health:
            out += watchdog.late("health")
            if health is not None and health.level >= Level.ERROR:
                sick = ("image not to be trusted: " + (", ".join(health.reasons) or "no reason given"),)
        if lane is not None and lane.stamp != self._lane_stamp:
            judged = not use_health or (health is not None and health.stamp >= lane.stamp)
            if judged:  # for good: what the next picture is like makes this one no better
                self._lane_stamp, self._unsure = lane.stamp, sick
                if not sick:
                    self._take(lane)
        sick += tuple(why for why in self._unsure if why not in sick)
        if not 0 <= self._lane_age <= self._camera_late:
            offered = lane is not None and lane.stamp == self._lane_stamp != self._tracker.stamp
            refused = offered and watchdog.usable("lane") is not None and not sick
            out += ("lane estimate contradicts odometry",) if refused else watchdog.late("lane") or ("no lane",)
        return sick + out

    def _take(self, lane: LaneEstimate) -> None:
        """Use a ``lane`` whose picture is sound, unless it is too uncertain or contradicts what is remembered.

        An infinite bound is not known, and there is no barrier of the lane; from who has stated bounds it is large.
        """
        if lane.bound[0] > self._settings.safety.lane.bound_trusted and (lane.bound[0] < math.inf or self._bounded):
            if "image_health" not in self._disable:  # until a surer one comes, not for this tick alone
                self._unsure = (f"lane estimate too uncertain (±{lane.bound[0]:.2f} m)",)
            else:  # the camera counts as well: drive on in the remembered lane
                self._lane_age = self._watchdog.age("lane")
        elif self._tracker.offer(lane, gated=self.rung.mode != Mode.STOPPED and self._binds(self._tracker.lane())):
            self._lane_age = self._watchdog.age("lane")
            self._bounded |= lane.bound[0] < math.inf

    def _conditions(self, inputs: SafetyInputs, camera: tuple[str, ...], backwards: bool, step: int) -> Conditions:
        watchdog = self._watchdog
        trusted: tuple[str, ...] = ()
        for name in TRUSTED:
            trusted += watchdog.late(name)
        trusted += self._plausibility.faults
        if backwards:
            trusted += ("time ran backwards",)
        manual = watchdog.usable("manual")
        ladder = self._settings.safety.ladder
        blind = watchdog.usable("odometry") is None and watchdog.usable("joints") is None
        waited = self.rung.mode == Mode.STOPPING and inputs.now - self.rung.since > nanoseconds(ladder.blind_stop_s)
        return Conditions(
            camera=camera,
            trusted=self._held(trusted, step),
            rolling=("the car rolls backwards",) if self._motion.rolled_back > ladder.roll_back_m else (),
            stop=asked_to_stop(inputs),
            manual=manual is not None and bool(manual.engaged),
            hand_back=manual is not None and bool(manual.hand_back),
            standing=waited if blind else self._standing >= ladder.standstill_s,
            reset=bool(inputs.reset_requested),
        )

    def _fill_state(self, now: int, step: int, lane: TrackedLane | None) -> State:
        state, motion = self._state, self._motion
        state.speed, state.disturbance = motion.speed, motion.disturbance
        lowering = self._lowering
        lowering.step(state.speed, seconds(step))
        state.speed_left, state.lateral_left = lowering.speed_left, lowering.lateral_left
        state.speed_falling = self._settings.safety.curve_deceleration if state.speed_left else 0.0
        state.x, state.y, state.yaw = motion.pose
        state.force_low, state.force_high = self._car.force_window(state.force, self._period)
        state.lane = lane if self._binds(lane) else None
        points = self._watchdog.newest("points")
        state.arc, state.along_lane = self._surroundings.look(now, points, motion, state.curvature, state.lane)
        return state

    def _binds(self, lane: TrackedLane | None) -> bool:
        """Whether the ``lane`` binds: not driven past, nor remembered for so long that it is not trusted any more."""
        settings = self._settings.safety.lane
        if lane is None or lane.remaining < -settings.reach_m:
            return False
        return lane.offset_bound <= settings.bound_trusted or math.isinf(lane.offset_bound) or self._sees()

    def _sees(self) -> bool:
        """Whether the lane in use is the one that the camera sees, and not one that is remembered."""
        return self._tracker.stamp == self._lane_stamp and 0 <= self._lane_age <= self._camera_late

    def _wanted(self, mode: Mode, conditions: Conditions) -> tuple[float, float]:
        if mode == Mode.NORMAL:
            asked = self._watchdog.newest("manual" if conditions.manual else "nominal")
            car = self._car
            return (
                min(max(float(asked.force), car.force_min), car.force_max),
                min(max(float(asked.curvature), -car.curvature_max), car.curvature_max),
            )
        state = self._state
        lane = self._tracker.lane() if self._watchdog.usable("odometry") is not None else None
        hard = bool(conditions.trusted or conditions.rolling) or self.rung.latched
        blind = bool(conditions.camera)
        return self._backup.command(mode, state.speed, lane, state.curvature, state.disturbance, blind=blind, hard=hard)
