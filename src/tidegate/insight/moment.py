# SPDX-License-Identifier: Apache-2.0
"""What a recorded drive knew and did around one moment: a replay of the very objects that drove, watched."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from tidegate.bag import BagReader
from tidegate.bundle import Bundle
from tidegate.errors import BagError
from tidegate.evaluation.replay import REPLAYED, Replay, replay
from tidegate.evaluation.topics import FRAMES, TICKS, Records, small_records
from tidegate.records import Decision, Frame, Odometry, Percept, SafetyInputs, Tick, nanoseconds, seconds
from tidegate.safety import State, Supervisor
from tidegate.settings import Settings

TRUTH = "truth"
"""Read with what is replayed, for roll-outs: reading a bag takes as long as replaying it."""


@dataclass(frozen=True, slots=True)
class TickView:
    """One tick of the filter: ``inputs``, the ``state`` that the barriers saw, what came out (``tick``).

    ``before`` is the (force [N], curvature [1/m]) commanded one tick earlier; ``state`` holds those commanded now.
    ``late`` says for each input why it could not be used, empty = it could.
    """

    stamp: int
    inputs: SafetyInputs
    state: State
    before: tuple[float, float]
    tick: Tick
    late: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class FrameView:
    """One frame and what was made of it; ``decision`` None = the policy was not run."""

    frame: Frame
    percept: Percept
    decision: Decision | None

    @property
    def stamp(self) -> int:
        """When the picture was taken [ns]."""
        return self.frame.stamp


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What was seen of a replay around ``at`` [ns], from ``begin`` to ``end`` [ns]; times are told since ``start``.

    ``ticks`` and ``frames`` are those of the window, ``active`` all ticks of the bag in which a row changed the
    command. ``earlier`` is the frame before the first of ``frames``; None = there is none.
    """

    start: int
    at: int
    begin: int
    end: int
    ticks: list[TickView]
    active: list[TickView]
    frames: list[FrameView]
    earlier: FrameView | None
    replay: Replay

    def time(self, stamp: int) -> float:
        """``stamp`` [ns] as time since the bag's start [s]."""
        return seconds(stamp - self.start)

    @property
    def tick(self) -> TickView | None:
        """The newest tick that is not later than the moment."""
        return next((one for one in reversed(self.ticks) if one.stamp <= self.at), None)

    @property
    def frame(self) -> FrameView | None:
        """The frame behind the command of ``tick``; the newest not later than the moment where no tick tells."""
        tick = self.tick
        for name in ("nominal", "lane"):
            received = None if tick is None else getattr(tick.inputs, name)
            if received is not None:
                for one in self.frames:
                    if one.stamp == received.record.stamp:
                        return one
        return next((one for one in reversed(self.frames) if one.stamp <= self.at), None)

    def before(self, frame: FrameView) -> FrameView | None:
        """The frame before ``frame``, one of ``frames``; None = there is none."""
        place = self.frames.index(frame)
        return self.frames[place - 1] if place else self.earlier

    def odometry(self, stamp: int) -> Odometry | None:
        """The newest odometry that is not later than ``stamp`` [ns], as the policy takes it."""
        held = self.replay.recorded.get("odom", {})
        newest = max((one for one in held if one <= stamp), default=None)
        return None if newest is None else held[newest]


class _Watch:
    """Keeps what a replay shows of the window, and every tick in which a row changed the command."""

    def __init__(self, begin: int, end: int) -> None:
        self._begin, self._end = begin, end
        self._before = (0.0, 0.0)
        self.ticks: list[TickView] = []
        self.active: list[TickView] = []
        self.frames: list[FrameView] = []
        self.earlier: FrameView | None = None

    def frame(self, frame: Frame, percept: Percept, decision: Decision | None) -> None:
        if frame.stamp < self._begin:
            self.earlier = FrameView(frame, percept, decision)
        elif frame.stamp <= self._end:
            self.frames.append(FrameView(frame, percept, decision))

    def tick(self, inputs: SafetyInputs, tick: Tick, supervisor: Supervisor) -> None:
        inside = self._begin <= inputs.now <= self._end
        if inside or tick.intervened:
            view = TickView(inputs.now, inputs, copy.copy(supervisor.state), self._before, tick, supervisor.late)
            if inside:
                self.ticks.append(view)
            if tick.intervened:
                self.active.append(view)
        self._before = tick.allowed


def span(reader: BagReader, recorded: Records) -> tuple[int, int]:
    """First and last stamp [ns] of what can be explained in a bag that holds ``recorded``: ticks of the filter and
    frames of the camera.

    Raises:
        BagError: it has neither.
    """
    stamps = sorted(recorded.get(TICKS, ()))
    if reader.held(FRAMES):
        frames = (frame.stamp for _, _, frame in reader.messages([FRAMES]))
        stamps += islice(frames, 1) if stamps else frames
    if not stamps:
        raise BagError(f"{reader.path}: has no ticks of the safety filter and no camera; there is nothing to explain")
    return min(stamps), max(stamps)


def observe(
    reader: BagReader,
    bundle: Bundle,
    settings: Settings,
    at_s: float,
    window_s: float,
    *,
    disable: frozenset[str] = frozenset(),
    asked: bool = False,
    told: Callable[[int, int], None] = lambda done, total: None,
    held: Records | None = None,
) -> Moment:
    """Replay a bag and keep what there was around ``at_s`` [s] after its start.

    Args:
        reader, bundle, settings, disable, asked, told, held: as ``evaluation.replay.replay``.
        at_s: the moment [s].
        window_s: how much to keep around it [s], as much before as after.

    Raises:
        BagError: the moment is not in the bag, or the bag cannot be replayed.
        BundleError, RobotError, SettingsError: as ``evaluation.replay.replay``.
    """
    held = small_records(reader, (*REPLAYED, TRUTH)) if held is None else held
    first, last = span(reader, held)
    at = first + nanoseconds(at_s)
    if not first <= at <= last:
        raise BagError(
            f"{reader.path}: --at {at_s:g} s is not in the bag, which has 0 to {seconds(last - first):.3f} s"
        )
    begin, end = at - nanoseconds(window_s / 2), at + nanoseconds(window_s / 2)
    watch = _Watch(begin, end)
    made = replay(reader, bundle, settings, disable=disable, asked=asked, told=told, watcher=watch, held=held)
    return Moment(made.start, at, begin, end, watch.ticks, watch.active, watch.frames, watch.earlier, made)
