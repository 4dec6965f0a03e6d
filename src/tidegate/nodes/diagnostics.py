# SPDX-License-Identifier: Apache-2.0
"""What the safety node, perception and the recorder tell ``/diagnostics``, in the words of ``diagnostic_updater``: a
status is named ``node: task``, its ``hardware_id`` is the robot's name, and it comes once a second, whatever happens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.messages import CHANGED, Make, encode_diagnostics, encode_policy
from tidegate.messages.rates import SLOW, rate_of
from tidegate.messages.status import SAFETY
from tidegate.records import NANOSECONDS, ArmTick, ImageHealth, Level, Mode, Solve, Tick

PERIOD_S = 1.0
DRY_RUN = "dry run: nothing is sent to the actuators"
LEVELS = {Mode.NORMAL: Level.OK, Mode.HOLD: Level.WARN, Mode.STOPPING: Level.ERROR, Mode.STOPPED: Level.ERROR}


class SolverStatus:
    """What the solver did since it was told last: a tick that braked for want of a solution is over when it is told."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._most, self._longest = 0, 0.0
        self._failed: Counter[str] = Counter()

    def saw(self, solve: Solve) -> None:
        """Count one tick."""
        self._most, self._longest = max(self._most, solve.programmes), max(self._longest, solve.time)
        if not solve.solved:
            self._failed[solve.status] += 1

    def told(self) -> tuple[dict[str, str], list[str]]:
        """Values and warnings; begins anew."""
        values = {"programmes, most": str(self._most)}
        if self._longest:
            values["solve time, longest [ms]"] = f"{1e3 * self._longest:.3f}"
        values |= {f"backup went out: {status}": str(count) for status, count in self._failed.items()}
        words = [f"the backup went out ({status}, {count} ticks)" for status, count in self._failed.items()]
        self._begin()
        return values, words


def safety_diagnostics(
    tick: Tick | ArmTick,
    solver: SolverStatus,
    dropped: Mapping[str, int],
    make: Make,
    robot: str,
    others: Sequence[str] = (),
    changed: Mapping[str, float] | None = None,
    *,
    dry_run: bool = False,
    off: Sequence[str] = (),
    late: int = 0,
    ahead: Mapping[str, int] | None = None,
    gave_way: Mapping[str, int] | None = None,
) -> Any:
    """A DiagnosticArray: mode as level, reasons as message; what the filter changed, rows that give way, ages of the
    inputs and dropped messages as values.

    ``others``: what is wrong with the topics that it commands or hears; an ERROR whatever the mode. ``changed``:
    settings that are not the file's, by key. A ``dry_run`` is at least a WARN, and so
    are parts and barriers that are switched ``off``, ticks that came ``late``, barriers that ``gave_way`` in so many,
    and a backup that went out, as ``solver`` tells. ``ahead`` [ns]: inputs that are stamped ahead of the time.
    """
    stamp, rows = (tick.stamp, ()) if isinstance(tick, ArmTick) else (tick.command.stamp, tick.rows)
    pairs = {
        "mode": tick.mode.name,
        "intervened": tick.intervened,
        **{f"reason_{index}": reason for index, reason in enumerate(tick.reasons)},
        **{f"not newer, dropped: {topic}": str(count) for topic, count in dropped.items()},
        **{f"stamped ahead [ms]: {topic}": f"{by / 1e6:.1f}" for topic, by in (ahead or {}).items()},
        **{f"relaxed: {barrier.name}": "true" for barrier in tick.barriers if barrier.relaxed},
        **{f"slack: {row.barrier}.{row.row} [{row.unit}]": f"{row.slack:.4g}" for row in rows if row.slack != 0},
        **{f"age [ms]: {name}": "never" if age is None else f"{age / 1e6:.1f}" for name, age in tick.ages.items()},
        **{f"{CHANGED}{key}": repr(float(value)) for key, value in (changed or {}).items()},
        **({"dry_run": "true"} if dry_run else {}),
    }
    values, warnings = solver.told()
    pairs |= values
    warnings += [DRY_RUN] if dry_run else []
    if late:
        pairs["ticks late"], warnings = str(late), [*warnings, f"{late} ticks came late"]
    for name, count in (gave_way or {}).items():
        pairs[f"gave way, ticks: {name}"], warnings = str(count), [*warnings, f"{name} gave way in {count} ticks"]
    if off:
        pairs["off"], warnings = ", ".join(off), [*warnings, f"switched off: {', '.join(off)}"]
    level = Level.ERROR if others else max(LEVELS[tick.mode], Level.WARN if warnings else Level.OK)
    text = "; ".join((tick.mode.name, *tick.reasons, *others, *warnings))
    return encode_diagnostics(stamp, f"{SAFETY}: filter", level, text, pairs.items(), make, robot)


def recorder_diagnostics(
    stamp: int, topics: int, written: int, lost: int, held_up: float, failure: str, make: Make, robot: str
) -> Any:
    """A DiagnosticArray: how many messages were written and lost, and for how long the process was ``held_up`` [s] at
    the longest, if it was; an ERROR where nothing is recorded any more."""
    counts = {"topics": topics, "messages written": written, "messages lost": lost}
    level, text = Level.OK, f"recording {topics} topics"
    if failure:
        level, text = Level.ERROR, f"recording has ended: {failure}"
    elif lost:
        level, text = Level.WARN, f"the disk is too slow: {lost} messages lost"
    elif held_up:
        level, text = Level.WARN, f"was held up for {held_up:.1f} s: some topics may be heard no more"
    pairs = [(key, str(count)) for key, count in counts.items()]
    return encode_diagnostics(stamp, "recorder_node: recording", level, text, pairs, make, robot)


class CameraStatus:
    """Counts the frames that perception gets, and says once a second of their own time what became of them.

    A frame that the camera took and perception did not get shows as a gap in the stamps.

    Attributes:
        sources: what is wrong with who publishes the pictures, in words; an ERROR.
    """

    def __init__(self, rate_hz: float, robot: str, notes: Sequence[str] = ()) -> None:
        """``rate_hz``: the camera's, as the settings state it; ``robot``: its name; ``notes``: what is told each time
        as a WARN."""
        self._rate, self._robot, self._notes = rate_hz, robot, notes
        self.sources: tuple[str, ...] = ()
        self._counts = {"frames": 0, "frames dropped": 0, "frames not readable": 0}
        self._recent: list[int] = []
        self._dropped = 0

    def saw(self, health: ImageHealth, *, readable: bool = True) -> None:
        """Count the frame that ``health`` judges."""
        self._counts["frames"] += 1
        self._counts["frames not readable"] += not readable
        self._health = health
        if self._recent:
            gap = health.stamp - self._recent[-1]
            if gap <= 0:  # a clock that was set back: begin anew
                self._recent.clear()
            missing = max(0, round(gap * self._rate / NANOSECONDS) - 1)
            self._dropped += missing
            self._counts["frames dropped"] += missing
        self._recent.append(health.stamp)

    @property
    def due(self) -> bool:
        """Whether a second of the frames' time has passed since it was told."""
        return bool(self._recent) and self._recent[-1] - self._recent[0] >= PERIOD_S * NANOSECONDS

    def told(self, make: Make) -> Any:
        """A DiagnosticArray of the frames since the last one; begins the next second."""
        rate, health = rate_of(self._recent), self._health
        reasons = list(health.reasons)
        reasons += [f"{self._dropped} frames dropped"] if self._dropped else []
        slow = rate < SLOW * self._rate
        reasons += [f"the settings state {self._rate:g} Hz"] if slow else []
        reasons += [*self._notes, *self.sources]
        level = max(health.level, Level.WARN if slow or self._dropped or self._notes else Level.OK)
        level = Level.ERROR if self.sources else level
        message = self._message(health.stamp, level, "; ".join([f"{rate:.1f} Hz", *reasons]), make, rate)
        self._recent, self._dropped = self._recent[-1:], 0
        return message

    def silent(self, stamp: int, make: Make, why: str) -> Any:
        """A DiagnosticArray at ``stamp`` [ns]: an ERROR, ``why`` there is nothing else to tell."""
        return self._message(stamp, Level.ERROR, "; ".join((why, *self.sources)), make, 0.0)

    def _message(self, stamp: int, level: Level, text: str, make: Make, rate: float) -> Any:
        pairs = [("rate [Hz]", f"{rate:.2f}"), *((key, str(count)) for key, count in self._counts.items())]
        return encode_diagnostics(stamp, "perception_node: camera", level, text, pairs, make, self._robot)


class LiquidStatus:
    """Once a second of the frames' time: a bag then says with which arithmetic it can be repeated to the bit, and
    whoever draws the neurons knows their layers."""

    def __init__(self, runs_in: str, layers: Mapping[str, int], robot: str) -> None:
        """``runs_in``: C or NumPy; ``layers``: their sizes; ``robot``: its name."""
        self._said = runs_in, layers, robot
        self._told: int | None = None

    def told(self, stamp: int, make: Make) -> Any | None:
        """A DiagnosticArray with the frame at ``stamp`` [ns]; None = it is not due."""
        if self._told is not None and 0 <= stamp - self._told < PERIOD_S * NANOSECONDS:
            return None
        self._told = stamp
        runs_in, layers, robot = self._said
        return encode_policy(stamp, runs_in, make, layers, robot)
