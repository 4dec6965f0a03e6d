# SPDX-License-Identifier: Apache-2.0
"""What the safety nodes of all robots share: their own rate, inbox, services and the way down. Silence gives a stop.

Long because one node owns all these, which must be seen together.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from rclpy.clock import Clock, ClockType
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from std_srvs.srv import Trigger

from tidegate.errors import MessageError, SettingsError
from tidegate.messages import TOPICS, clock_of
from tidegate.nodes.diagnostics import DRY_RUN as SAID_DRY_RUN
from tidegate.nodes.diagnostics import SolverStatus
from tidegate.nodes.emergency import EmergencyChain
from tidegate.nodes.inbox import FIELDS, Inbox, Instant
from tidegate.nodes.input_watch import input_faults
from tidegate.nodes.parameters import Own
from tidegate.nodes.stack_node import DISABLE, LOCK_STEP, AnySettings, StackNode
from tidegate.nodes.topics import latched_qos, loose_qos, ros_name
from tidegate.records import NANOSECONDS, Mode, Round, nanoseconds, seconds

AUTO_RESET = Own("auto_reset", False, "reset by itself until it has driven for two seconds; for simulation only")
DRY_RUN = Own("dry_run", False, "all but the actuators' topics; safety_node/would_command tells what they would get")
DRIVES_OFF = "auto_reset without simulated time: the robot drives off by itself as soon as nothing stands against it"
SETTLED = 2 * NANOSECONDS
"""From the first NORMAL on: what stops the car within this is a start that stumbled, such as late first frames."""
STOP_TIME_S = 5.0
"""Longest time that going down may take, by the clock that drives the ticks."""
SILENCE_S = 5.0
"""Going down, the node gives up when those whose data it needs are there, but silent for this long."""
BLIND_S = 1.0
"""Going down with nobody to tell the time or the speed, the brakes are brought on for this long: at their rate they are
on after it."""
BRAKE_POLL_S = 0.0005
OVERDUE = 1.1
"""Periods from one call of the timer to the next, above which that one is late."""
FLUSH_S = 0.5
DIAGNOSTICS_S = 1.0


class Ticked(Protocol):
    """What a tick of any robot's filter tells."""

    @property
    def mode(self) -> Mode:
        """Rung of the ladder."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is that."""


class FilterNode(StackNode[AnySettings]):
    """Ticks a supervisor: subclasses make it in ``build``, ask it in ``decide`` and tell of it in ``diagnose``.

    It starts STOPPED. Before it leaves the active state, for whatever reason, it brings the robot to standstill: a
    lifecycle publisher is silent afterwards, and an actuator may hold its last command for ever.
    """

    OWN = (LOCK_STEP, DISABLE, AUTO_RESET, DRY_RUN)
    HEARS: ClassVar[tuple[str, ...]] = tuple(FIELDS)
    """Topics of the inbox, each a field of the supervisor's inputs."""
    BEHIND: ClassVar[tuple[str, ...]] = ()
    """Topics that it does not hear, but that those are made from which it hears."""
    SENSED: ClassVar[frozenset[str]]
    """Those that come straight from sensors."""

    def __init__(self, arguments: list[str] | None = None) -> None:
        super().__init__("safety_node", arguments)
        self._timer: Any = None
        self._running = False
        self._untold = False
        self._inbox = Inbox()
        self.create_service(Trigger, "~/stop", self._stop_asked)
        self.create_service(Trigger, "~/reset", self._reset_asked)

    @abstractmethod
    def decide(self, now: int, given: Mapping[str, Any]) -> Ticked:
        """Ask the supervisor at ``now`` [ns] and publish what it says; ``given`` by field of its inputs."""

    @abstractmethod
    def diagnose(self, tick: Any) -> Any:
        """The message for ``/diagnostics``."""

    @property
    @abstractmethod
    def silence_s(self) -> float:
        """For how long the emergency stop's chain may say nothing [s]; 0 = for ever."""

    def switched_off(self) -> list[str]:
        """Parts and barriers that are, by name."""
        return sorted(self.disabled)

    def sources(self) -> tuple[str, ...]:
        """What is wrong with who publishes what is heard, in words."""
        topics = [*self.HEARS, *self.BEHIND, "emergency_stop", *(["clock"] if self._on_clock else [])]
        return input_faults(self, {ros_name(topic): TOPICS[topic].type for topic in topics})

    def prepare(self) -> None:
        """What every ``build`` begins with.

        Raises:
            SettingsError: a dry run in lock-step; GraphError: somebody else commands the actuators.
        """
        self._lock_step, self._dry_run = self.own(LOCK_STEP), self.own(DRY_RUN)
        if self._dry_run and self._lock_step:
            raise SettingsError("dry_run and lock_step are both true; in lock-step the simulator waits for commands")
        if not self._dry_run:
            self.refuse_second(*self.commands())

    @abstractmethod
    def commands(self) -> tuple[str, ...]:
        """The topics on which the actuators are commanded."""

    def start(self) -> None:
        """Begin with empty hands; tick on a steady timer, on ``/clock`` or on the simulator's rounds."""
        if self._dry_run:
            self.get_logger().warning(SAID_DRY_RUN)
        else:
            self.refuse_second(*self.commands())  # another may not have been known yet when this one was configured
        if off := self.switched_off():
            self.get_logger().warning(f"switched off: {', '.join(off)}")
        self._inbox = Inbox()
        self._newest: dict[str, bytes] = {}
        self._arrived: set[str] = set()
        self._round: Round | None = None
        self._emergency = EmergencyChain(self.silence_s)
        self._stop, self._stop_seen, self._reset = False, False, False
        self._auto_reset = self.own(AUTO_RESET)
        self._mode: Mode | None = None
        self._solver = SolverStatus()
        self._begun: int | None = None
        self._told = self._heard_at = 0.0
        self._ticked = self._fired = 0
        for topic in self.HEARS:
            self.listen(topic, self._heard)
        self._emergency_as: set[str] = set()
        self.listen("emergency_stop", self._emergency_heard)
        self._sim_now, self._on_clock = 0, not self._lock_step and self.get_parameter("use_sim_time").value
        self._period = nanoseconds(1 / self.settings.safety.rate_hz)
        if self._auto_reset and not (self._lock_step or self._on_clock or self._dry_run):
            self.get_logger().warning(DRIVES_OFF)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        if self._lock_step or self._on_clock:
            driver, heard = ("tick", self._round_heard) if self._lock_step else ("clock", self._clock_heard)
            self.listen(driver, heard)
            self._looked_at = -1
            self._timer = self.create_timer(SILENCE_S, self._look_for_ticks, clock=steady)
        else:
            self._timer = self.create_timer(1 / self.settings.safety.rate_hz, self._timer_fired, clock=steady)
        self._running = True

    def stop(self) -> None:
        """Brake to standstill, then fall silent."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        if self._running:
            self._running = False
            try:
                if not self._dry_run:
                    self._brake()
                self.flush(FLUSH_S)
            except Exception as error:  # rclpy would swallow it without a word
                told = f"could not brake to standstill ({type(error).__name__}: {error})"
                self.get_logger().fatal(f"{told}; the actuators' time-out must act")

    def needed(self) -> bool:
        """Nobody drives on without it: it goes down first."""
        return False

    def _heard(self, topic: str, data: bytes) -> None:
        """Keep only the newest of each topic until the tick; in lock-step a tick may now be due."""
        self._newest[topic] = data
        self._arrived.add(topic)
        self._heard_at = time.monotonic()
        if self._lock_step and self._running:
            self._tick_if_complete()

    def _round_heard(self, topic: str, data: bytes) -> None:
        self._round = self.record(topic, data)
        if self._running:
            self._tick_if_complete()

    def _clock_heard(self, topic: str, data: bytes) -> None:
        """``use_sim_time``: tick as simulated time passes; while it does not, the world stands still too."""
        try:
            self._sim_now, self._heard_at = clock_of(self.message(topic, data)), time.monotonic()
        except MessageError as error:
            self.get_logger().warning(f"{topic}: {error}", throttle_duration_sec=1.0)
            return
        if self._running and self._clock_due():
            self._tick_now()

    def _clock_due(self) -> bool:
        return not 0 <= self._sim_now - self._ticked < self._period  # a clock that ran back is told of by a tick

    def _emergency_heard(self, topic: str, data: bytes) -> None:
        pressed = self.record(topic, data) is not False  # what cannot be read may have been meant as a stop
        self._emergency.hear(pressed)
        self._auto_reset = self._auto_reset and not pressed

    def _hear_emergency_as_offered(self) -> None:
        """A hardware chain may have spoken once, before this node was there: ask for what it left, if it left it. One
        that sends its word as best effort would not be heard at all by who asks for a reliable one."""
        offered = [info.qos_profile for info in self.get_publishers_info_by_topic("emergency_stop")]
        ways = {
            "left": (DurabilityPolicy.TRANSIENT_LOCAL in {one.durability for one in offered}, latched_qos),
            "best effort": (ReliabilityPolicy.BEST_EFFORT in {one.reliability for one in offered}, loose_qos),
        }
        for way, (there, profile) in ways.items():
            if there and way not in self._emergency_as:
                self._emergency_as.add(way)
                self.listen("emergency_stop", self._emergency_heard, profile=profile("emergency_stop"))

    def _look_for_ticks(self) -> None:
        """Without them nothing is commanded and nothing told: on a robot somebody chose the wrong clock."""
        if self._running and self._ticked == self._looked_at:
            by = "tick" if self._lock_step else "/clock"
            self.get_logger().warning(f"no tick for {SILENCE_S:g} s, nothing is commanded: no time passes on {by}")
        self._looked_at = self._ticked

    def _stop_asked(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._stop, self._stop_seen = self._running, False
        self._auto_reset = False
        response.success, response.message = self._running, "stopping" if self._running else "not active"
        return response

    def _reset_asked(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._reset = self._running
        self._stop = self._stop and not self._stop_seen  # a stop that no tick has seen yet would be lost
        if self._inbox.dropped and self._mode == Mode.STOPPED:  # a source's time ran back: believe its new time
            self._inbox.forget()
        response.success = self._running
        response.message = "asked for; /diagnostics tells the outcome" if self._running else "not active"
        return response

    def _tick_if_complete(self) -> None:
        """Lock-step: tick once everything that this round must have is here."""
        if self._round is not None and self._arrived.issuperset(self._round.awaited):
            self._tick_round()

    def _tick_round(self) -> None:
        assert self._round is not None
        stamp = self._round.stamp
        self._round = None
        self._tick(Instant(stamp, stamp))

    def _timer_fired(self) -> None:
        """A call that was queued when the timer went comes all the same. After one that is late the timer begins anew:
        each tick may change torques by what the actuators do in a whole period, so that none may follow sooner."""
        if self._running:
            fired = time.monotonic_ns()
            if fired - self._fired > OVERDUE * self._period:
                self._timer.reset()
            self._fired = fired
            self._tick_now()

    def _tick_now(self) -> None:
        if self._on_clock:
            self._tick(Instant(self._sim_now, self._sim_now))
        else:
            self._tick(Instant(self.get_clock().now().nanoseconds, time.monotonic_ns()))

    def _tick(self, now: Instant) -> None:
        """Decode what came, ask the supervisor, publish."""
        if now.steady < self._ticked:  # simulated time ran back: what came before it would count as young
            self._inbox.forget()
        self._ticked = now.steady
        newest, self._newest = self._newest, {}
        self._arrived.clear()
        for topic, data in newest.items():
            record = self.record(topic, data)
            if record is not None:
                self._inbox.put(topic, record, now)
        pressed, silent = self._emergency.tick(now.steady)
        given = {
            **self._inbox.received(now),
            "emergency_stop": pressed,
            "emergency_silent": silent,
            "stop_requested": self._stop,
            "reset_requested": self._reset or self._auto_reset,
        }
        self._reset, self._stop_seen = False, self._stop
        self._tell_mode(self.decide(now.stamp, given), now.stamp)

    def _tell_mode(self, tick: Ticked, stamp: int) -> None:
        """Diagnostics once a second and whenever the mode changes, which also goes to the log, or a setting: their
        stamp is that of the first tick that has it, so that a replay can have it too."""
        now = time.monotonic()
        other_mode = tick.mode != self._mode
        if other_mode or self._untold or now - self._told >= DIAGNOSTICS_S:
            self._told, self._untold = now, False
            self._hear_emergency_as_offered()
            self.send_message("diagnostics", self.diagnose(tick))
        if other_mode:
            self.get_logger().info(f"{tick.mode.name}: {'; '.join(tick.reasons) or 'all well'}")
        if tick.mode == Mode.NORMAL:
            self._begun = self._begun or stamp
            self._auto_reset = self._auto_reset and stamp - self._begun < SETTLED
        self._mode = tick.mode

    def _brake(self) -> None:
        """Tick on with a stop asked for until the car stands; the executor is busy here, so messages are fetched."""
        self._stop, self._reset, self._auto_reset = True, False, False
        self._heard_at = ticked = time.monotonic()
        begun: int | None = None
        while True:
            self._rest()
            self.fetch()
            now = time.monotonic()
            if self._lock_step:
                if self._round is not None and (self._sensed() or now - ticked > SILENCE_S):
                    self._tick_round()
                    ticked = now
            elif not self._on_clock or self._clock_due():
                self._tick_now()
            idle = self._round is None or not self._lock_step
            if idle and (self._mode == Mode.STOPPED or self._alone() or now - self._heard_at > SILENCE_S):
                break
            begun = self._ticked if begun is None else begun
            if seconds(self._ticked - begun) > STOP_TIME_S:
                break
            time.sleep(BRAKE_POLL_S)
        if self.asking() or self._mode not in (None, Mode.STOPPED):
            self._brake_blind()
        if self._mode != Mode.STOPPED:
            self.get_logger().warning("went down before the robot was seen to stand; the actuators' time-out must act")

    def _brake_blind(self) -> None:
        """Bring the brakes on though nobody tells how fast the car is, or what time it is: then time passes here. A
        speed that is asked for is brought down to zero, for the last one may be kept for ever."""
        rate = self.settings.safety.rate_hz
        for count in range(round(STOP_TIME_S * rate)):
            if count >= BLIND_S * rate and not self.asking():
                break
            self._rest()
            self.fetch()  # what is told all the same: an arm that is held without its joint states sinks
            if self._lock_step or self._on_clock:
                self._tick(Instant(self._ticked + self._period, self._ticked + self._period))
                time.sleep(self._period / 1e9)
            else:
                self._tick_now()

    def _rest(self) -> None:
        """By the steady clock: until a period after the last tick, for no tick may follow sooner (``_timer_fired``)."""
        if not (self._lock_step or self._on_clock):
            time.sleep(max(self._ticked + self._period - time.monotonic_ns(), 0) / 1e9)

    def asking(self) -> bool:
        """Whether what was sent last asks for motion that a latching actuator would go on with."""
        return False

    def _alone(self) -> bool:
        """Whether nobody is left who could tell how fast the car is."""
        return not any(self.count_publishers(topic) for topic in self.SENSED)

    def _sensed(self) -> bool:
        """Going down, perception and policy may be gone already: only the sensors are waited for."""
        assert self._round is not None
        return self._arrived.issuperset(set(self._round.awaited) & self.SENSED)
