# SPDX-License-Identifier: Apache-2.0
"""Perception and policy on the frames of a bag, and which of them were not run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tidegate.bag import BagReader
from tidegate.evaluation.midway import AT_REST, resume_policy
from tidegate.evaluation.note import Note, stretches
from tidegate.evaluation.topics import DECIDED, FRAMES, LENS, PERCEIVED, Records, diagnostics
from tidegate.liquid import LiquidPolicy
from tidegate.messages import decode_policy
from tidegate.perception import Perception
from tidegate.records import Decision, Frame, Percept

Seen = Callable[[Frame, Percept, Decision | None], None]
"""Sees a frame and what was made of it; no decision where the policy was not run."""


@dataclass(slots=True)
class FramesRun:
    """What came of the frames of a bag.

    Attributes:
        made: what perception and policy made, by topic.
        ran: stamps of the frames that they were run on, by topic.
        frames: stamps of all frames [ns].
        notes: what could not be done.
    """

    made: Records
    ran: dict[str, frozenset[int]]
    frames: list[int]
    notes: list[Note]


def run_frames(
    reader: BagReader,
    perception: Perception,
    policy: LiquidPolicy,
    recorded: Records,
    told: Callable[[int], None],
    seen: Seen,
    *,
    asked: bool,
    midway: bool,
) -> FramesRun:
    """Perception and policy on every frame that they saw when it was recorded; all frames if that is not known.

    Args:
        reader: of the bag.
        perception, policy: at rest.
        recorded: small records of the bag.
        told: hears how many frames are done.
        seen: sees each frame that was run.
        asked: the policy is not run.
        midway: the bag begins while the policy was running.

    Raises:
        BagError: a message cannot be decoded.
    """
    made: Records = {name: {} for name in (*PERCEIVED, *DECIDED)}
    perceived, decided = processed(recorded, PERCEIVED, () if asked else DECIDED)
    odometry = sorted(recorded.get("odom", {}).values(), key=lambda record: record.stamp)
    stamps = np.array([record.stamp for record in odometry], np.int64)
    notes = list(_policy_notes(reader, policy, bool(odometry), asked=asked))
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
        for name, record in zip(PERCEIVED, (percept.features, percept.lane, percept.health), strict=True):
            made[name][frame.stamp] = record
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
        seen(frame, percept, decision)
    ran = dict.fromkeys(PERCEIVED, frozenset(saw)) | dict.fromkeys(DECIDED, frozenset(decides))
    return FramesRun(made, ran, frames, notes)


def _policy_notes(reader: BagReader, policy: LiquidPolicy, driven: bool, *, asked: bool) -> Iterator[Note]:
    """Why the policy is not run, or steps otherwise than it did; ``driven``: the bag has odometry."""
    if asked:
        yield Note("nominal commands are the recorded ones: the policy was not run")
    elif not driven:
        yield Note("no odometry in the bag: the policy was not run")
    elif (recorded_in := ran_in(reader)) not in (None, policy.runs_in):
        yield Note(f"liquid step recorded in {recorded_in}, replayed in {policy.runs_in}: they differ by rounding")


def processed(recorded: Records, perceived: Sequence[str], decided: Sequence[str]) -> tuple[set[int], set[int]]:
    """Stamps of the frames that perception processed when they were recorded, and of those that the policy decided on,
    by whatever the bag holds of the topics that each of them makes; empty = it does not say."""
    known = {stamp for topic in decided for stamp in recorded.get(topic, ())}
    return known | {stamp for topic in perceived for stamp in recorded.get(topic, ())}, known


def left_out(
    run: FramesRun,
    recorded: Records,
    start: int,
    perceived: Sequence[str],
    decided: Sequence[str],
    words: tuple[str, str, str],
) -> Iterator[Note]:
    """Frames that the live nodes left out, or that were not run here, named by their times.

    Args:
        run: what came of the frames.
        recorded: small records of the bag.
        start: stamp [ns] that times are told from.
        perceived, decided: topics that perception and policy make; the latter none where it was not run.
        words: what a frame lacks that the one or the other left out, and what became of one that is not in the bag.
    """
    frames = run.frames
    if not frames:
        return
    saw_then, asked_then = processed(recorded, perceived, decided)
    lost, saw = saw_then - set(frames), run.ran["features"]
    if dropped := set(frames) - saw:
        text = f"{len(dropped)} of {len(frames)} frames have no {words[0]}: perception did not process them"
        yield Note(text, stretches(frames, dropped, start))
    if undecided := {stamp for stamp in saw if asked_then and stamp not in asked_then}:
        text = f"{len(undecided)} of {len(frames)} frames have no {words[1]}: the policy did not decide on them"
        yield Note(text, stretches(frames, undecided, start))
    if unpaired := {stamp for stamp in saw & asked_then if stamp < min(recorded.get("odom", ()), default=0)}:
        text = f"{len(unpaired)} of {len(frames)} frames come before any odometry in the bag: the policy was not run"
        yield Note(text, stretches(frames, unpaired, start))
    if lost:
        text = f"{len(lost)} frames that were processed are not in the bag: not run, and the policy {words[2]}"
        yield Note(text, stretches(sorted({*frames, *lost}), lost, start))


def ran_in(reader: BagReader) -> str | None:
    """What the recorded policy stepped in; None where the bag does not say."""
    if step := reader.contract().get("liquid_step"):
        return step
    return next((runs_in for one in diagnostics(reader) if (runs_in := decode_policy(one)) is not None), None)
