# SPDX-License-Identifier: Apache-2.0
"""Run the same objects offline on what a bag holds, frame by frame and tick by tick.

The safety filter is a deterministic function of its inputs, and ``safety_node/inputs`` says which record each tick
used and how old it was; the perception and the policy depend on stamps alone. So a replay needs no clock: it makes
features, lane, health and nominal command anew from the recorded frames, hands each tick the ones that it used, and
every difference from the record (``difference``) is a difference of code, model, settings or machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tidegate.bag import BagReader
from tidegate.bundle import Bundle
from tidegate.evaluation.midway import begins_midway, keep_mode, settled
from tidegate.evaluation.note import Note
from tidegate.evaluation.replay_frames import FramesRun, left_out, run_frames
from tidegate.evaluation.replay_ticks import changes_told, run_ticks, settings_changes
from tidegate.evaluation.topics import (
    DECIDED,
    DRY,
    FIELDS,
    FRAMES,
    OUTPUTS,
    PERCEIVED,
    TICKS,
    Records,
    small_records,
)
from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception
from tidegate.records import Command, Decision, Frame, Percept, SafetyInputs, SafetyState, Tick, UsedInputs
from tidegate.robot import Car
from tidegate.safety import Supervisor
from tidegate.settings import Settings

REPLAYED = tuple(dict.fromkeys((*FIELDS.values(), TICKS, *OUTPUTS, "neurons", DRY)))
"""The topics, the camera aside, that a replay reads."""
Told = Callable[[int, int], None]
"""Hears (steps done, steps in all)."""


class Watcher(Protocol):
    """Sees each step of a replay, in the order of the bag: all frames first, then all ticks."""

    def frame(self, frame: Frame, percept: Percept, decision: Decision | None) -> None:
        """A frame and what was made of it; no decision where the policy was not run."""

    def tick(self, inputs: SafetyInputs, tick: Tick, supervisor: Supervisor) -> None:
        """A tick of the filter: what it was given, what came out, and the supervisor after it."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay made.

    Attributes:
        frames, ticks: in the bag.
        start: first stamp [ns] of either; times are told since then.
        made: what came out anew, by topic of ``OUTPUTS``.
        recorded: what the bag holds of these and of the inputs; frames stay in the bag.
        ran: stamps of the frames and ticks that were run, by topic of ``OUTPUTS``: each must come out again.
        notes: what could not be done, and which frames and inputs are missing.
    """

    frames: int
    ticks: int
    start: int
    made: Records
    recorded: Records
    ran: dict[str, frozenset[int]]
    notes: tuple[Note, ...]


def replay(
    reader: BagReader,
    bundle: Bundle,
    settings: Settings,
    *,
    disable: frozenset[str] = frozenset(),
    asked: bool = False,
    told: Told = lambda done, total: None,
    watcher: Watcher | None = None,
    held: Records | None = None,
) -> Replay:
    """Replay a bag.

    Args:
        reader: of the bag; it needs the camera or the ticks' inputs, all else is optional.
        bundle: the model that drove, or another one to see what it would have done.
        settings: of the robot that drove.
        disable: parts that were switched off, as in the recording.
        asked: take nominal commands and gains from the record: somebody else than the policy asked.
        told: hears of the progress.
        watcher: sees what goes on in between.
        held: what the bag holds of ``REPLAYED`` (``small_records``), by who has read it before; None = it is read here.

    Raises:
        BagError: neither camera nor ticks, or a message cannot be decoded.
        BundleError, RobotError, SettingsError: the bundle, the robot or a setting that was changed is refused.
    """
    recorded = settle_dry(small_records(reader, REPLAYED) if held is None else dict(held))
    ticks = ticks_of(recorded)
    midway = begins_midway(ticks, recorded)
    run = FramesRun({}, {}, [], [Note("no camera in the bag: perception and policy were not run")])
    total = len(ticks)
    if reader.held(FRAMES) or not ticks:
        total += reader.counts[reader.find(FRAMES)]
        run = run_frames(
            reader,
            Perception(bundle, settings),
            LiquidPolicy(bundle, settings),
            recorded,
            lambda done: told(done, total),
            (lambda frame, percept, decision: None) if watcher is None else watcher.frame,
            asked=asked,
            midway=midway,
        )
    start = start_of(run.frames, ticks)
    decided = () if asked else DECIDED
    run.notes += left_out(run, recorded, start, PERCEIVED, decided, ("lane", "nominal command", "does not know them"))
    supervisor = Supervisor(settings, Car.from_settings(settings), disable=disable)
    changes = settings_changes(reader) if ticks else {}
    until = settled(ticks, midway=midway)

    def step(used: UsedInputs, received: dict[str, Any]) -> tuple[Command, SafetyState]:
        if used.stamp in changes:
            supervisor.adjust(changes[used.stamp])
        if used.stamp < until:
            keep_mode(supervisor, used, recorded)
        inputs = SafetyInputs(used.stamp, **received)
        tick = supervisor.tick(inputs)
        if watcher is not None:
            watcher.tick(inputs, tick, supervisor)
        return tick.command, SafetyState.of(tick)

    done = run_ticks(ticks, run.made, recorded, step, midway, start, lambda count: told(len(run.frames) + count, total))
    notes = [*run.notes, *(changes_told(changes, ticks[0].stamp) if done.ran else ()), *done.notes]
    return Replay(len(run.frames), len(ticks), start, run.made | done.made, recorded, run.ran | done.ran, tuple(notes))


def settle_dry(recorded: Records) -> Records:
    """In a dry run the filter's commands are on a topic of their own: they take the place of whatever was on theirs."""
    if would := recorded.pop(DRY, None):
        recorded["command"] = would
    return recorded


def ticks_of(recorded: Records) -> list[UsedInputs]:
    """What each tick used, in the order of time."""
    return [recorded[TICKS][stamp] for stamp in sorted(recorded.get(TICKS, ()))]


def start_of(frames: Sequence[int], ticks: Sequence[UsedInputs]) -> int:
    """First stamp [ns] of either."""
    return min([*frames, *(tick.stamp for tick in ticks[:1])])
