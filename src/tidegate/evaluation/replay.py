# SPDX-License-Identifier: Apache-2.0
"""Run the same objects offline on what a bag holds, frame by frame and tick by tick, and compare with the record.

The safety filter is a deterministic function of its inputs, and ``safety_node/inputs`` says which record each tick
used and how old it was; the perception and the policy depend on stamps alone. So a replay needs no clock: it makes
features, lane, health and nominal command anew from the recorded frames, hands each tick the ones that it used, and
every difference from the record is a difference of code, model, settings or machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from tidegate.bag import BagReader
from tidegate.bag.typestore import deserialise
from tidegate.bundle import Bundle
from tidegate.errors import BagError
from tidegate.liquid import LiquidPolicy
from tidegate.messages import decode_changed, decode_policy, stamp_of
from tidegate.perception import Perception
from tidegate.records import Command, Floats, Received, SafetyInputs, UsedInputs, seconds
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

DRY = "safety_node/would_command"
"""In a dry run the filter's commands are here; those on ``command``, if any, are another's."""
Told = Callable[[int, int], None]
"""Hears (steps done, steps in all)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one quantity is from the record.

    ``equal`` of ``count`` were equal bit for bit; ``largest`` is a share of full scale, ``at`` [s] since the start of
    the bag where it was (None = all equal).
    """

    name: str
    count: int
    equal: int
    largest: float
    at: float | None


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found: a ``Difference`` per quantity that was recorded, and ``notes`` on what could not be done."""

    frames: int
    ticks: int
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    @property
    def largest(self) -> float:
        """Largest difference of all, as a share of full scale."""
        return max((one.largest for one in self.differences), default=0.0)


class _Recorded:
    """The small records of a bag by topic and stamp; frames stay in the bag."""

    def __init__(self, reader: BagReader) -> None:
        wanted = (*FIELDS.values(), "features", "safety_node/inputs", "command", DRY)
        self._by_stamp: dict[str, dict[int, Any]] = {topic: {} for topic in wanted if _has(reader, topic)}
        for topic, _, record in reader.messages(list(self._by_stamp)):
            self._by_stamp[topic].setdefault(record.stamp, record)

    def of(self, topic: str) -> dict[int, Any]:
        """Records of a topic by stamp; empty where the bag lacks it."""
        return self._by_stamp.get(topic, {})


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
    recorded = _Recorded(reader)
    ticks = sorted(recorded.of("safety_node/inputs").values(), key=lambda used: used.stamp)
    made: dict[str, dict[int, Any]] = {}
    seen, notes = 0, ["no camera in the bag: perception and policy were not run"]
    total = len(ticks)
    if _has(reader, "camera/image_raw") or not ticks:
        total += reader.counts[reader.find("camera/image_raw")]
        made, seen, notes = _run_frames(reader, bundle, settings, recorded, lambda done: told(done, total), asked=asked)
    differences = [
        found
        for name in ("features", "lane", "nominal", "gains")
        if (found := _compare(name, made.get(name, {}), recorded.of(name), _scales(bundle, settings)[name]))
    ]
    sent = recorded.of(DRY) or recorded.of("command")
    if ticks and sent:
        car = Car.from_settings(settings)
        changes = _changes(reader)
        commands, missing = _run_ticks(
            ticks,
            made,
            recorded,
            Supervisor(settings, car, disable=disable),
            changes,
            lambda done: told(seen + done, total),
        )
        notes += _changes_told(changes, ticks[0].stamp)
        scale = np.array([car.limits[name].effort for name in car.joint_names])
        found = _compare("command", commands, sent, scale)
        differences += [found] if found else []
        if missing:
            notes.append(f"{missing} inputs of ticks are not in the bag; the newest one before was taken")
    else:
        notes.append("no commands with their inputs (command, safety_node/inputs) in the bag: the filter was not run")
    return Replay(seen, len(ticks), tuple(differences), tuple(notes))


def _run_frames(
    reader: BagReader,
    bundle: Bundle,
    settings: Settings,
    recorded: _Recorded,
    told: Callable[[int], None],
    *,
    asked: bool,
) -> tuple[dict[str, dict[int, Any]], int, list[str]]:
    """Perception and policy on every frame that they saw when it was recorded; all frames if that is not known."""
    perception, policy = Perception(bundle, settings), LiquidPolicy(bundle, settings)
    made: dict[str, dict[int, Any]] = {name: {} for name in ("features", "lane", "health", "nominal", "gains")}
    perceived, decided = recorded.of("lane"), recorded.of("nominal")
    odometry = sorted(recorded.of("odom").values(), key=lambda record: record.stamp)
    stamps = np.array([record.stamp for record in odometry], np.int64)
    notes: list[str] = []
    if asked:
        notes.append("nominal commands are the recorded ones: the policy was not run")
    elif not odometry:
        notes.append("no odometry in the bag: the policy was not run")
    elif (recorded_in := _ran_in(reader)) not in (None, policy.runs_in):
        notes.append(f"liquid step recorded in {recorded_in}, replayed in {policy.runs_in}: they differ by rounding")
    count = 0
    for _, _, frame in reader.messages(["camera/image_raw"]):
        count += 1
        told(count)
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
    return made, count, notes


def _run_ticks(
    ticks: list[UsedInputs],
    made: dict[str, dict[int, Any]],
    recorded: _Recorded,
    supervisor: Supervisor,
    changes: Mapping[int, Mapping[str, float]],
    told: Callable[[int], None],
) -> tuple[dict[int, Command], int]:
    """The filter on each tick's own inputs: made anew where the frame is there, else as recorded; with the settings
    that were ``changes`` of the file's from a stamp on.

    Returns:
        commands by stamp, and how many inputs were not to be found.
    """
    last: dict[str, Any] = {}
    commands, missing = {}, 0
    for done, used in enumerate(ticks, start=1):
        if used.stamp in changes:
            supervisor.adjust(changes[used.stamp])
        received: dict[str, Any] = dict(used.flags)
        for name, source in used.inputs.items():
            if source is None:
                continue
            stamp, age = source
            record = made.get(name, {}).get(stamp) or recorded.of(FIELDS[name]).get(stamp)
            if record is None:
                missing += 1
                record = last.get(name)
            if record is not None:
                last[name] = record
                received[name] = Received(record, age)
        commands[used.stamp] = supervisor.tick(SafetyInputs(used.stamp, **received)).command
        if done % 100 == 0:
            told(done)
    told(len(ticks))
    return commands, missing


def _compare(name: str, ours: dict[int, Any], theirs: dict[int, Any], scale: Floats | float) -> Difference | None:
    """Compare records of the same stamps; None where there are none."""
    both = sorted(set(ours) & set(theirs))
    if not both:
        return None
    equal, largest, at = 0, 0.0, None
    for stamp in both:
        mine, other = _numbers(ours[stamp]), _numbers(theirs[stamp])
        if mine.shape == other.shape and np.array_equal(mine, other, equal_nan=True):
            equal += 1
            continue
        gap = _gap(mine, other, scale)
        if gap > largest or at is None:
            largest, at = gap, stamp
    start = min(both)
    return Difference(name, len(both), equal, largest, None if at is None else seconds(at - start))


def _gap(mine: Floats, other: Floats, scale: Floats | float) -> float:
    """Largest difference as a share of full scale; inf where shapes or what is not finite differ."""
    if mine.shape != other.shape:
        return float("inf")
    finite = np.isfinite(mine) & np.isfinite(other)
    unlike = ~finite & ~((mine == other) | (np.isnan(mine) & np.isnan(other)))
    if unlike.any():
        return float("inf")
    difference = np.where(finite, np.abs(np.where(finite, mine, 0) - np.where(finite, other, 0)), 0.0)
    return float((difference / scale).max(initial=0.0))


def _numbers(record: Any) -> Floats:
    """All numbers of a record, its stamp left out."""
    found: list[Floats] = []
    for item in fields(record):
        value = getattr(record, item.name)
        if item.name == "stamp" or isinstance(value, (str, tuple)):
            continue
        if isinstance(value, dict):
            value = [value[key] for key in sorted(value)]
        found.append(np.atleast_1d(np.asarray(value, np.float64)))
    return np.concatenate(found)


def _scales(bundle: Bundle, settings: Settings) -> dict[str, Floats | float]:
    """Full scale of each quantity, in its own units."""
    shape, policy = bundle.perception, bundle.policy
    lane = [shape.offset_scale, shape.heading_scale, *[shape.lane_curvature_scale] * len(shape.preview_m)]
    return {
        "features": 1.0,
        "lane": np.array([*lane, *lane]),
        "nominal": np.array([policy.acceleration_scale * bundle.mass_kg, policy.curvature_scale]),
        "gains": policy.gain_high,
    }


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


def agreement(differences: Iterable[Difference]) -> str:
    """One line on the whole: bit-equal, or the largest difference and when."""
    worst = max(differences, key=lambda one: one.largest, default=None)
    if worst is None:
        return "nothing was recorded that could be compared"
    if all(one.at is None for one in differences):
        return "bit-equal"
    return f"largest difference {worst.largest:.2g} of full scale, in {worst.name} at {worst.at:.3f} s"
