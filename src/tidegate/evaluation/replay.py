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
from typing import Any

import numpy as np

from tidegate.bag import BagReader
from tidegate.bag.typestore import deserialise
from tidegate.bundle import Bundle
from tidegate.errors import BagError
from tidegate.liquid import LiquidPolicy
from tidegate.messages import decode_changed, decode_policy, stamp_of
from tidegate.perception import Perception
from tidegate.records import Received, SafetyInputs, SafetyState, UsedInputs, seconds
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
OUTPUTS = ("features", "lane", "health", "nominal", "gains", "command", "safety_node/barriers")
"""Topics that a replay makes anew."""
LISTED = 6
"""Moments that a note names at most."""

Records = dict[str, dict[int, Any]]
"""Records by topic and stamp."""

DRY = "safety_node/would_command"
"""In a dry run the filter's commands are here; those on ``command``, if any, are another's."""
Told = Callable[[int, int], None]
"""Hears (steps done, steps in all)."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay made.

    Attributes:
        frames, ticks: in the bag.
        start: first stamp [ns] of either; times are told since then.
        made: what came out anew, by topic of ``OUTPUTS``.
        recorded: what the bag holds of these and of the inputs; frames stay in the bag.
        notes: what could not be done, and which frames and inputs are missing, one line each.
    """

    frames: int
    ticks: int
    start: int
    made: Records
    recorded: Records
    notes: tuple[str, ...]


def small_records(reader: BagReader, topics: Iterable[str] = OUTPUTS) -> Records:
    """The records on those of ``topics`` that the bag has.

    Raises:
        BagError: a message cannot be decoded.
    """
    found: Records = {topic: {} for topic in topics if _has(reader, topic)}
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
) -> Replay:
    """Replay a bag.

    Args:
        reader: of the bag; it needs the camera or the ticks' inputs, all else is optional.
        bundle: the model that drove, or another one to see what it would have done.
        settings: of the robot that drove.
        disable: parts that were switched off, as in the recording.
        asked: take nominal commands and gains from the record: somebody else than the policy asked.
        told: hears of the progress.

    Raises:
        BagError: neither camera nor ticks, or a message cannot be decoded.
        BundleError, RobotError: the bundle or the robot is refused.
    """
    recorded = small_records(reader, dict.fromkeys((*FIELDS.values(), TICKS, *OUTPUTS, DRY)))
    if would := recorded.pop(DRY, None):
        recorded["command"] = would
    ticks = [recorded[TICKS][stamp] for stamp in sorted(recorded.get(TICKS, ()))]
    made: Records = {}
    frames: list[int] = []
    notes = ["no camera in the bag: perception and policy were not run"]
    total = len(ticks)
    if _has(reader, FRAMES) or not ticks:
        total += reader.counts[reader.find(FRAMES)]
        made, frames, notes = _run_frames(
            reader, bundle, settings, recorded, lambda done: told(done, total), asked=asked
        )
    start = min([*frames, *(tick.stamp for tick in ticks[:1])])
    notes += _unprocessed(frames, recorded, start, asked=asked)
    if ticks and recorded.get("command"):
        supervisor, changes = Supervisor(settings, Car.from_settings(settings), disable=disable), _changes(reader)
        outcome, missing = _run_ticks(
            ticks, made, recorded, supervisor, changes, lambda done: told(len(frames) + done, total)
        )
        made |= outcome
        notes += _changes_told(changes, ticks[0].stamp)
        unheard = sorted(set(recorded["command"]) - set(outcome["command"]))
        if missing:
            moments = _listed([f"{topic} at {seconds(stamp - start):.3f}" for stamp, topic in missing])
            notes.append(
                f"{len(missing)} inputs of ticks are not in the bag ({moments} s); the newest before was taken"
            )
        if unheard:
            moments = _listed([f"{seconds(stamp - start):.3f}" for stamp in unheard])
            notes.append(f"{len(unheard)} commands have no inputs of their tick in the bag (at {moments} s): not run")
    else:
        notes.append(f"no commands with their inputs (command, {TICKS}) in the bag: the filter was not run")
    return Replay(len(frames), len(ticks), start, made, recorded, tuple(notes))


def _run_frames(
    reader: BagReader,
    bundle: Bundle,
    settings: Settings,
    recorded: Records,
    told: Callable[[int], None],
    *,
    asked: bool,
) -> tuple[Records, list[int], list[str]]:
    """Perception and policy on every frame that they saw when it was recorded; all frames if that is not known.

    Returns:
        what they made, the stamps of all frames, notes.
    """
    perception, policy = Perception(bundle, settings), LiquidPolicy(bundle, settings)
    made: Records = {name: {} for name in ("features", "lane", "health", "nominal", "gains")}
    perceived, decided = recorded.get("lane"), recorded.get("nominal")
    odometry = sorted(recorded.get("odom", {}).values(), key=lambda record: record.stamp)
    stamps = np.array([record.stamp for record in odometry], np.int64)
    notes: list[str] = []
    if asked:
        notes.append("nominal commands are the recorded ones: the policy was not run")
    elif not odometry:
        notes.append("no odometry in the bag: the policy was not run")
    elif (recorded_in := _ran_in(reader)) not in (None, policy.runs_in):
        notes.append(f"liquid step recorded in {recorded_in}, replayed in {policy.runs_in}: they differ by rounding")
    frames = []
    for topic, _, frame in reader.messages([FRAMES, *([LENS] if _has(reader, LENS) else [])]):
        if topic == LENS:
            said = perception.calibrate(frame)
            if said and (perception.fault or perception.rectifies):
                notes.append(said)
            continue
        frames.append(frame.stamp)
        told(len(frames))
        if perceived and frame.stamp not in perceived:
            continue
        percept = perception.process(frame)
        made["features"][frame.stamp] = percept.features
        made["lane"][frame.stamp] = percept.lane
        made["health"][frame.stamp] = percept.health
        known = int(np.searchsorted(stamps, frame.stamp, "right")) - 1
        if not asked and known >= 0 and (not decided or frame.stamp in decided):
            decision = policy.step(percept.features, odometry[known])
            made["nominal"][frame.stamp] = decision.nominal
            made["gains"][frame.stamp] = decision.gains
    return made, frames, notes


def _unprocessed(frames: Sequence[int], recorded: Records, start: int, *, asked: bool) -> list[str]:
    """Frames that the live nodes left out, named by their times."""
    lanes, nominal = recorded.get("lane"), None if asked else recorded.get("nominal")
    seen = [stamp for stamp in frames if not lanes or stamp in lanes]
    left_out = {
        "lane: perception did not process them": set(frames) - set(seen),
        "nominal command: the policy did not decide on them": {one for one in seen if nominal and one not in nominal},
    }
    return [
        f"{len(left)} of {len(frames)} frames have no {what} (at {_listed(_stretches(frames, left, start))} s)"
        for what, left in left_out.items()
        if left
    ]


def _stretches(frames: Sequence[int], left: set[int], start: int) -> list[str]:
    """Neighbours among ``frames`` that were ``left`` out, each run as its first and last time [s]."""
    runs: list[list[int]] = []
    before = None
    for stamp in frames:
        if stamp in left:
            if before in left:
                runs[-1].append(stamp)
            else:
                runs.append([stamp])
        before = stamp
    times = [[f"{seconds(stamp - start):.3f}" for stamp in run] for run in runs]
    return [run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in times]


def _listed(words: Sequence[str]) -> str:
    more = len(words) - LISTED
    return ", ".join(words[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _run_ticks(
    ticks: Sequence[UsedInputs],
    made: Records,
    recorded: Records,
    supervisor: Supervisor,
    changes: Mapping[int, Mapping[str, float]],
    told: Callable[[int], None],
) -> tuple[Records, list[tuple[int, str]]]:
    """The filter on each tick's own inputs: made anew where the frame is there, else as recorded; with the settings
    that were ``changes`` of the file's from a stamp on.

    Returns:
        commands and states of the filter, and which inputs were not to be found (tick, topic).
    """
    last: dict[str, Any] = {}
    commands, states, missing = {}, {}, []
    for done, used in enumerate(ticks, start=1):
        if used.stamp in changes:
            supervisor.adjust(changes[used.stamp])
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
        tick = supervisor.tick(SafetyInputs(used.stamp, **received))
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


def _changes_told(changes: Mapping[int, Mapping[str, float]], start: int) -> Iterator[str]:
    """A note for each change of settings."""
    before: Mapping[str, float] = {}
    for stamp, now in sorted(changes.items()):
        if now != before:
            text = ", ".join(f"{key} {value:g}" for key, value in now.items()) or "as in the file"
            yield f"settings changed at {seconds(stamp - start):.3f} s and replayed so: {text}"
        before = now


def _diagnostics(reader: BagReader) -> Iterator[Any]:
    """The messages of ``/diagnostics``, of whatever node."""
    if _has(reader, "diagnostics"):
        for _, type_name, _, data in reader.raw({reader.find("diagnostics")}):
            yield deserialise(data, type_name)


def _has(reader: BagReader, topic: str) -> bool:
    try:
        reader.find(topic)
    except BagError:
        return False
    return True
