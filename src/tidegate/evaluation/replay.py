# SPDX-License-Identifier: Apache-2.0
"""Run the same objects offline on what a bag holds, frame by frame and tick by tick.

The safety filter is a deterministic function of its inputs, and ``safety_node/inputs`` says which record each tick
used and how old it was; the perception and the policy depend on stamps alone. So a replay needs no clock: it makes
features, lane, health and nominal command anew from the recorded frames, hands each tick the ones that it used, and
every difference from the record (``difference``) is a difference of code, model, settings or machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tidegate.bag import BagReader
from tidegate.bag.typestore import deserialise
from tidegate.bundle import Bundle
from tidegate.evaluation.midway import AT_REST, SETTLED, begins_midway, keep_mode, resume_policy, settling
from tidegate.evaluation.note import Note, moments, stretches
from tidegate.liquid import LiquidPolicy
from tidegate.messages import decode_changed, decode_policy, stamp_of
from tidegate.perception import Perception
from tidegate.records import (
    Decision,
    Frame,
    Percept,
    Received,
    SafetyInputs,
    SafetyState,
    Tick,
    UsedInputs,
    seconds,
)
from tidegate.robot import Car
from tidegate.safety import Supervisor
from tidegate.settings import Settings

FIELDS = {
    "nominal": "nominal",
    "gains": "gains",
    "lane": "lane",
    "health": "health",
    "joints": "joint_states",
    "odometry": "odom",
    "imu": "imu",
    "points": "points",
    "manual": "manual",
}
"""Field of ``SafetyInputs`` → topic."""
FRAMES, LENS, TICKS = "camera/image_raw", "camera/camera_info", "safety_node/inputs"
PERCEIVED, DECIDED, FILTERED = ("features", "lane", "health"), ("nominal", "gains"), ("command", "safety_node/barriers")
"""What perception makes of a frame, the policy of features, the filter of a tick's inputs; each with the stamp of what
it is made of."""
OUTPUTS = (*PERCEIVED, *DECIDED, *FILTERED)
"""Topics that a replay makes anew."""

Records = dict[str, dict[int, Any]]
"""Records by topic and stamp."""

DRY = "safety_node/would_command"
"""In a dry run the filter's commands are here; those on ``command``, if any, are another's."""
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


def small_records(reader: BagReader, topics: Iterable[str] = OUTPUTS) -> Records:
    """The records on those of ``topics`` that the bag has.

    Raises:
        BagError: a message cannot be decoded.
    """
    found: Records = {topic: {} for topic in topics if reader.held(topic)}
    for topic, _, record in reader.messages(list(found)):
        found[topic].setdefault(record.stamp, record)
    return found


def replay(
    reader: BagReader,
    bundle: Bundle,
    settings: Settings,
    *,
    disable: frozenset[str] = frozenset(),
    asked: bool = False,
    told: Told = lambda done, total: None,
    watcher: Watcher | None = None,
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

    Raises:
        BagError: neither camera nor ticks, or a message cannot be decoded.
        BundleError, RobotError, SettingsError: the bundle, the robot or a setting that was changed is refused.
    """
    recorded = small_records(reader, dict.fromkeys((*FIELDS.values(), TICKS, *OUTPUTS, "neurons", DRY)))
    if would := recorded.pop(DRY, None):
        recorded["command"] = would
    ticks = [recorded[TICKS][stamp] for stamp in sorted(recorded.get(TICKS, ()))]
    midway = begins_midway(ticks, recorded)
    made: Records = {}
    ran: dict[str, frozenset[int]] = {}
    frames: list[int] = []
    notes = [Note("no camera in the bag: perception and policy were not run")]
    total = len(ticks)
    if reader.held(FRAMES) or not ticks:
        total += reader.counts[reader.find(FRAMES)]
        made, ran, frames, notes = _run_frames(
            reader, bundle, settings, recorded, lambda done: told(done, total), watcher, asked=asked, midway=midway
        )
    start = min([*frames, *(tick.stamp for tick in ticks[:1])])
    notes += _left_out(frames, recorded, ran, start, asked=asked)
    if ticks and recorded.get("command"):
        supervisor, changes = Supervisor(settings, Car.from_settings(settings), disable=disable), _changes(reader)
        until = ticks[0].stamp + (SETTLED if midway else 0)
        outcome, missing = _run_ticks(
            ticks, made, recorded, supervisor, changes, lambda done: told(len(frames) + done, total), until, watcher
        )
        made |= outcome
        ran |= dict.fromkeys(FILTERED, frozenset(tick.stamp for tick in ticks if tick.stamp >= until))
        if midway:
            notes.append(settling([tick.stamp for tick in ticks if tick.stamp < until]))
        notes += _changes_told(changes, ticks[0].stamp)
        if missing:
            text = f"{len(missing)} inputs of ticks are not in the bag, the newest before was taken"
            notes.append(Note(text, tuple(f"{topic} {moments([stamp], start)[0]}" for stamp, topic in missing)))
        if unheard := sorted(set(recorded["command"]) - set(outcome["command"])):
            text = f"{len(unheard)} commands have no inputs of their tick in the bag: not run"
            notes.append(Note(text, moments(unheard, start)))
    else:
        notes.append(Note(f"no commands with their inputs (command, {TICKS}) in the bag: the filter was not run"))
    return Replay(len(frames), len(ticks), start, made, recorded, ran, tuple(notes))


def _run_frames(
    reader: BagReader,
    bundle: Bundle,
    settings: Settings,
    recorded: Records,
    told: Callable[[int], None],
    watcher: Watcher | None,
    *,
    asked: bool,
    midway: bool,
) -> tuple[Records, dict[str, frozenset[int]], list[int], list[Note]]:
    """Perception and policy on every frame that they saw when it was recorded; all frames if that is not known.

    Returns:
        what they made, the stamps that they were run on by topic, the stamps of all frames, notes.
    """
    perception, policy = Perception(bundle, settings), LiquidPolicy(bundle, settings)
    made: Records = {name: {} for name in (*PERCEIVED, *DECIDED)}
    perceived, decided = _processed(recorded, asked=asked)
    odometry = sorted(recorded.get("odom", {}).values(), key=lambda record: record.stamp)
    stamps = np.array([record.stamp for record in odometry], np.int64)
    notes: list[Note] = []
    if asked:
        notes.append(Note("nominal commands are the recorded ones: the policy was not run"))
    elif not odometry:
        notes.append(Note("no odometry in the bag: the policy was not run"))
    elif (recorded_in := _ran_in(reader)) not in (None, policy.runs_in):
        text = f"liquid step recorded in {recorded_in}, replayed in {policy.runs_in}: they differ by rounding"
        notes.append(Note(text))
    frames: list[int] = []
    saw: list[int] = []
    decides: list[int] = []
    begun = False
    for topic, _, frame in reader.messages([FRAMES, *([LENS] if reader.held(LENS) else [])]):
        if topic == LENS:
            said = perception.calibrate(frame)
            if said and (perception.fault or perception.rectifies):
                notes.append(Note(said))
            continue
        frames.append(frame.stamp)
        told(len(frames))
        if perceived and frame.stamp not in perceived:
            continue
        saw.append(frame.stamp)
        percept = perception.process(frame)
        made["features"][frame.stamp] = percept.features
        made["lane"][frame.stamp] = percept.lane
        made["health"][frame.stamp] = percept.health
        decision = None
        known = int(np.searchsorted(stamps, frame.stamp, "right")) - 1
        if not (asked or known < 0 or (decided and frame.stamp not in decided)):
            first, begun = not begun, True
            resumed = None
            if first and (midway or min(decided, default=frame.stamp) < frame.stamp):
                resumed = resume_policy(policy, frame.stamp, recorded)
                notes.append(resumed or Note(AT_REST))
            if resumed is None:
                decides.append(frame.stamp)
                decision = policy.step(percept.features, odometry[known])
                made["nominal"][frame.stamp] = decision.nominal
                made["gains"][frame.stamp] = decision.gains
        if watcher is not None:
            watcher.frame(frame, percept, decision)
    ran = dict.fromkeys(PERCEIVED, frozenset(saw)) | dict.fromkeys(DECIDED, frozenset(decides))
    return made, ran, frames, notes


def _processed(recorded: Records, *, asked: bool) -> tuple[set[int], set[int]]:
    """Stamps of the frames that perception processed when they were recorded, and of those that the policy decided on,
    by whatever the bag holds of them; empty = it does not say."""
    decided = set() if asked else {stamp for topic in DECIDED for stamp in recorded.get(topic, ())}
    return decided | {stamp for topic in PERCEIVED for stamp in recorded.get(topic, ())}, decided


def _left_out(
    frames: Sequence[int], recorded: Records, ran: Mapping[str, frozenset[int]], start: int, *, asked: bool
) -> Iterator[Note]:
    """Frames that the live nodes left out, or that were not run here, named by their times."""
    if not frames:
        return
    perceived, decided = _processed(recorded, asked=asked)
    lost, saw = perceived - set(frames), ran["lane"]
    if dropped := set(frames) - saw:
        text = f"{len(dropped)} of {len(frames)} frames have no lane: perception did not process them"
        yield Note(text, stretches(frames, dropped, start))
    if undecided := {stamp for stamp in saw if decided and stamp not in decided}:
        text = f"{len(undecided)} of {len(frames)} frames have no nominal command: the policy did not decide on them"
        yield Note(text, stretches(frames, undecided, start))
    if unpaired := {stamp for stamp in saw & decided if stamp < min(recorded.get("odom", ()), default=0)}:
        text = f"{len(unpaired)} of {len(frames)} frames come before any odometry in the bag: the policy was not run"
        yield Note(text, stretches(frames, unpaired, start))
    if lost:
        text = f"{len(lost)} frames that were processed are not in the bag: not run, and the policy does not know them"
        yield Note(text, stretches(sorted({*frames, *lost}), lost, start))


def _run_ticks(
    ticks: Sequence[UsedInputs],
    made: Records,
    recorded: Records,
    supervisor: Supervisor,
    changes: Mapping[int, Mapping[str, float]],
    told: Callable[[int], None],
    until: int,
    watcher: Watcher | None,
) -> tuple[Records, list[tuple[int, str]]]:
    """The filter on each tick's own inputs: made anew where the frame is there, else as recorded; with the settings
    that were ``changes`` of the file's from a stamp on, and in the recorded mode ``until`` one.

    Returns:
        commands and states of the filter, and which inputs were not to be found (tick, topic).
    """
    last: dict[str, Any] = {}
    commands, states, missing = {}, {}, []
    for done, used in enumerate(ticks, start=1):
        if used.stamp in changes:
            supervisor.adjust(changes[used.stamp])
        if used.stamp < until:
            keep_mode(supervisor, used, recorded)
        received: dict[str, Any] = dict(used.flags)
        for name, source in used.inputs.items():
            if source is None:
                continue
            stamp, age = source
            record = made.get(name, {}).get(stamp) or recorded.get(FIELDS[name], {}).get(stamp)
            if record is None:
                missing.append((used.stamp, FIELDS[name]))
                record = last.get(name)
            if record is not None:
                last[name] = record
                received[name] = Received(record, age)
        inputs = SafetyInputs(used.stamp, **received)
        tick = supervisor.tick(inputs)
        if watcher is not None:
            watcher.tick(inputs, tick, supervisor)
        commands[used.stamp], states[used.stamp] = tick.command, SafetyState.of(tick)
        if done % 100 == 0:
            told(done)
    told(len(ticks))
    return {"command": commands, "safety_node/barriers": states}, missing


def _ran_in(reader: BagReader) -> str | None:
    """What the recorded policy stepped in; None where the bag does not say."""
    if step := reader.contract().get("liquid_step"):
        return step
    return next((runs_in for one in _diagnostics(reader) if (runs_in := decode_policy(one)) is not None), None)


def _changes(reader: BagReader) -> dict[int, dict[str, float]]:
    """Settings that were not the file's, by the stamp of the tick that told so."""
    told = ((stamp_of(one), decode_changed(one)) for one in _diagnostics(reader))
    return {stamp: changed for stamp, changed in told if changed is not None}


def _changes_told(changes: Mapping[int, Mapping[str, float]], start: int) -> Iterator[Note]:
    """A note for each change of settings."""
    before: Mapping[str, float] = {}
    for stamp, now in sorted(changes.items()):
        if now != before:
            text = ", ".join(f"{key} {value:g}" for key, value in now.items()) or "as in the file"
            yield Note(f"settings changed at {seconds(stamp - start):.3f} s and replayed so: {text}")
        before = now


def _diagnostics(reader: BagReader) -> Iterator[Any]:
    """The messages of ``/diagnostics``, of whatever node."""
    if name := reader.held("diagnostics"):
        for _, type_name, _, data in reader.raw({name}):
            yield deserialise(data, type_name)
