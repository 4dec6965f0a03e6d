# SPDX-License-Identifier: Apache-2.0
"""One tick of an arm's safety filter: watch, locate, decide the rung, filter, limit."""

from __future__ import annotations

import numpy as np

from tidegate.errors import SettingsError
from tidegate.records import ArmInputs, ArmTick, Command, Floats, Mode, Solve, nanoseconds, seconds
from tidegate.robot.arm import surface_normal
from tidegate.safety.arm.barrier import arm_barriers
from tidegate.safety.arm.guard import ArmGuard
from tidegate.safety.arm.watch import ArmWatchdog, JointWatch, Place
from tidegate.safety.ladder import Conditions, Rung, advance, asked_to_stop
from tidegate.safety.plausibility import Held
from tidegate.safety.supervisor import FAULT
from tidegate.settings.arm import ArmSettings

OUTSIDE = 0.05
"""An arm that stands so far beyond a limit [rad], or in a clearance [m], is not released."""
SOLVED, NOT_SOLVED = Solve("solved"), Solve("not solved")


class ArmSupervisor:
    """Everything between whoever asks for torques and the joints, at the safety node's own rate.

    The car's ladder with an arm's way to stop: HOLD, STOPPING and STOPPED all ask ``ArmGuard.stop`` for damped braking
    with gravity held; they differ in what leads out. What the ladder calls the camera is what is asked for here. An arm
    that stands beyond a limit is held there, and not released.

    Where the arm is: as the newest joint states say, moved on by the model over their age, once they have followed
    others: by ones that stand alone a standing arm could be taken for a fast one, and braked into motion. While none
    come, or they are not believed, the model alone tells it, with the torques that were sent: so a moving arm is braked
    all the same.
    STOPPED, after ``blind_stop_s`` of it, nothing is sent: by a model alone the arm sinks under what the model does not
    know, and drives that hear nothing hold it by their own encoders.

    A deterministic function of the sequence of inputs; ``tick`` never raises. It starts STOPPED and waits for a reset.

    Attributes:
        guard: the filter with dynamics and limiter.
        rung: where the ladder stands.
    """

    def __init__(self, settings: ArmSettings, *, disable: frozenset[str] = frozenset()) -> None:
        """``disable``: names of barriers to leave out, for evaluation.

        Raises:
            SettingsError: there is no such barrier.
            RobotError: as ``ArmGuard``.
        """
        unknown = sorted(disable - set(arm_barriers))
        if unknown:
            raise SettingsError(f"cannot disable '{unknown[0]}'; an arm's parts are {', '.join(arm_barriers)}")
        self.guard = ArmGuard(settings, disable=disable)
        self._names = self.guard.arm.joint_names
        self._ladder = settings.safety.ladder
        self._command_hold = settings.arm.command_hold_s
        self._hold = nanoseconds(self._ladder.hold_s)
        self._watchdog, self._judge = ArmWatchdog(self.guard.arm), JointWatch(self._ladder)
        persist = nanoseconds(self._ladder.persist_s)
        self._doubted, self._held = Held(persist), Held(persist)
        self.rung = Rung()
        self._no_wish = np.full(len(self._names), np.nan)
        self._place: Place | None = None
        self._seen: object = None
        self._believed = self._lost = False
        self._standing = self._blind = self._step = self._age = 0.0
        self._located = False
        self._now: int | None = None
        self._clock: int | None = None

    def tick(self, inputs: ArmInputs) -> ArmTick:
        """The torques of the next period. Never raises: a fault inside stops the arm and stays until a reset."""
        self._located = False
        try:
            return self._tick(inputs)
        except Exception as error:  # the one place where everything is caught: the arm must be held
            reason = f"fault in the safety filter: {type(error).__name__}: {error}"
            self.rung = Rung(Mode.STOPPING, self._clock or inputs.now, (reason,), latched=True)
            if not self._located:
                self._go_on_blind()
            command = None if self._place is None else Command(inputs.now, self._names, self._braking(self._place))
            return ArmTick(inputs.now, command, Mode.STOPPING, self._no_wish, (), "", (reason,), FAULT)

    def _go_on_blind(self) -> None:
        """A fault came before anybody looked where the arm is: the model tells it, as while no joint states come."""
        self._blind += self._step
        if self._place is not None:
            self._place = self._place.moved(self.guard.acceleration, self._step)
        if self._blind > self._ladder.blind_stop_s:
            self._place = None

    def _braking(self, place: Place) -> Floats:
        """Torques (N,) [N·m] after a fault inside, of parts that may be sound: damped braking, else what held last."""
        try:
            return self.guard.brake(place.position, place.velocity)
        except Exception:
            return self.guard.limiter(None)

    def _tick(self, inputs: ArmInputs) -> ArmTick:
        now, clock = inputs.now, inputs.now if inputs.steady is None else inputs.steady
        step = max(clock - self._clock, 0) if self._clock is not None else 0
        backwards = self._now is not None and now < self._now
        self._now, self._clock, self._step = now, clock, seconds(step)
        watchdog = self._watchdog
        watchdog.check(inputs)
        doubts = self._doubted(self._look(), step)
        late = watchdog.late("joints")
        self._locate(self._step, believed=not (late or doubts))
        self._located = True
        faults = self._held(late + doubts, step)
        if backwards:
            faults += ("time ran backwards",)
        if step > nanoseconds(self._ladder.pause_s):
            faults += (f"no tick for {self._step:.2f} s",)
        if self.rung.mode == Mode.STOPPED:
            faults += self._outside()
        nominal = watchdog.late("nominal")
        conditions = self._conditions(inputs, nominal, faults, clock)
        self.rung = advance(self.rung, conditions, clock, self._hold, self._ladder.hold_share)
        mode, reasons = self.rung.mode, self.rung.reasons
        if mode == Mode.STOPPED:  # what stands against a reset now
            reasons += tuple(why for why in faults + nominal if why not in reasons)
            if self._blind > self._ladder.blind_stop_s:
                self._place = None
        if self._place is None:
            return ArmTick(now, self._as_measured(now), mode, self._no_wish, (), "", reasons, ages=watchdog.ages())
        wanted = self._no_wish
        if mode == Mode.NORMAL:
            wanted = self._in_order(watchdog.newest("nominal"))
            age = min(self._age, self._ladder.joints_timeout_s)  # ones that repeat themselves are frozen before long
            told = self.guard(self._place.position, self._place.velocity, wanted, age)
        else:
            told = self.guard.stop(self._place.position, self._place.velocity)
        solve = SOLVED if told.solved or mode != Mode.NORMAL else NOT_SOLVED
        if not solve.solved:
            reasons += ("the programme had no solution",)
        command = Command(now, self._names, told.torque)
        return ArmTick(now, command, mode, wanted, told.barriers, told.intervened, reasons, solve, watchdog.ages())

    def _as_measured(self, now: int) -> Command | None:
        """The torques that joint states measure which stand alone: what holds the arm goes on; else None."""
        record = self._watchdog.newest("joints")
        if record is None or not (self._believed and self._judge.alone):
            return None
        effort = Place.of(record, self._names).effort
        return Command(now, self._names, effort.copy()) if self._sent(effort) else None

    def _sent(self, effort: Floats) -> bool:
        """Whether measured ``effort`` (N,) [N·m] may be what was sent: the drives measure it."""
        return bool((np.abs(effort) <= self.guard.arm.effort).all())

    def _look(self) -> tuple[str, ...]:
        """Judge the joint states if there are new ones; why they are not to be believed."""
        record = self._watchdog.newest("joints")
        if record is not None and record is not self._seen:
            self._judge.see(record.stamp, Place.of(record, self._names))
        return self._judge.faults

    def _locate(self, step: float, *, believed: bool) -> None:
        """Take joint states that are new and believed, else move on by ``step`` [s] by the model."""
        record = self._watchdog.newest("joints")
        news = record is not None and record is not self._seen and not (self._judge.repeats or self._judge.alone)
        taken = believed and news
        place, since = self._place, step
        if place is not None and self._believed and not believed and self._judge.lie is not None:
            place = place._replace(velocity=place.velocity + self._judge.lie)
        self._seen, self._believed = record, believed
        self._blind = 0.0 if believed else self._blind + step
        self._lost = self._lost or not believed
        if taken:
            place, since = Place.of(record, self._names), seconds(self._watchdog.age("joints"))
            if self._lost:
                self.guard.stand_anew()
            self._lost = False
        self._age = since if taken else self._age + step
        if place is None:
            return
        if self._place is None or step > self._command_hold:  # the actuators have held it by themselves
            self.guard.engage(place.position, place.effort if self._sent(place.effort) else None)
            if not taken:
                place, since = Place(place.position, np.zeros(len(self._names)), self._no_wish), 0.0
        self._place = place.moved(self.guard.acceleration, since)

    def _conditions(
        self, inputs: ArmInputs, nominal: tuple[str, ...], faults: tuple[str, ...], clock: int
    ) -> Conditions:
        ladder = self._ladder
        slow = self._place is not None and float(np.abs(self._place.velocity).max()) < ladder.standstill_speed
        self._standing = self._standing + self._step if slow and self._believed else 0.0
        waited = clock - self.rung.since > nanoseconds(ladder.blind_stop_s)
        return Conditions(
            camera=nominal,
            trusted=faults,
            stop=asked_to_stop(inputs),
            standing=self._standing >= ladder.standstill_s if self._believed else waited,
            reset=bool(inputs.reset_requested),
        )

    def _outside(self) -> tuple[str, ...]:
        """Why the arm may not be released where it stands: its rows would throw it back inside its limits."""
        if self._place is None:
            return ()
        arm, place = self.guard.arm, self._place.position
        surface = arm.settings.safety.surface
        found = [
            f"{name} is at {angle:.2f} rad, outside of {low:.2f} to {high:.2f}"
            for name, angle, low, high in zip(self._names, place, arm.lower, arm.upper, strict=True)
            if not low - OUTSIDE <= angle <= high + OUTSIDE
        ]
        if surface.enabled and surface.clearance > 0:
            motion = self.guard.dynamics(place, np.zeros(len(place)))
            gap = float(surface_normal(arm.settings).dot(motion.position)) - surface.offset
            if gap < surface.clearance - OUTSIDE:
                found.append(f"the tool is {gap:.2f} m from the surface, its clearance is {surface.clearance:.2f} m")
        return tuple(found)

    def _in_order(self, wish: Command) -> Floats:
        """The torques (N,) [N·m] that are asked for, in the arm's order."""
        if wish.names == self._names:
            return wish.effort
        return wish.effort[[wish.names.index(name) for name in self._names]]
