# SPDX-License-Identifier: Apache-2.0
"""An arm's perception on the frames of a bag, and its policy on what it heard, in the order in which it answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tidegate.bag import BagReader
from tidegate.errors import BagError, RobotError
from tidegate.evaluation.note import Note, moments
from tidegate.evaluation.replay_frames import FramesRun, processed, ran_in
from tidegate.evaluation.topics import ANSWERS, ARM_DECIDED, ARM_PERCEIVED, FRAMES, Records
from tidegate.liquid.arm_policy import ArmPolicy
from tidegate.perception.arm_perception import ArmPerception
from tidegate.records import Command, Neurons, UsedInputs

SENSED = ("wrench", "wrench_request", "joint_states")
"""What the policy hears besides features."""
HEARD = {"joints": "joint_states", "wrench": "wrench", "features": "features", "wrench_request": "wrench_request"}
"""Name in an answer's inputs → topic."""


def run_arm_frames(
    reader: BagReader, perception: ArmPerception, recorded: Records, told: Callable[[int], None]
) -> FramesRun:
    """Perception on every frame that it saw when it was recorded; all frames if that is not known.

    Args:
        reader: of the bag.
        perception: as it starts.
        recorded: small records of the bag.
        told: hears how many frames are done.

    Raises:
        BagError: a message cannot be decoded.
    """
    made: Records = {name: {} for name in ARM_PERCEIVED}
    perceived, _ = processed(recorded, ARM_PERCEIVED, ARM_DECIDED[:1])
    frames: list[int] = []
    for _, _, frame in reader.messages([FRAMES]):
        frames.append(frame.stamp)
        told(len(frames))
        if not perceived or frame.stamp in perceived:
            made["features"][frame.stamp], made["health"][frame.stamp] = perception.process(frame)
    return FramesRun(made, dict.fromkeys(ARM_PERCEIVED, frozenset(made["features"])), frames, [])


def run_arm_policy(reader: BagReader, policy: ArmPolicy, run: FramesRun, recorded: Records, start: int) -> None:
    """The policy on the records of which its answers were made, one after the other; what it says goes into ``run``.

    Features are those of ``run``, else as recorded.

    Args:
        reader: of the bag.
        policy: at rest.
        run: what came of the frames.
        recorded: small records of the bag.
        start: stamp [ns] that times are told from.

    Raises:
        BagError: a message cannot be decoded, or the bag's records are not such an arm's.
    """
    if (before := ran_in(reader)) not in (None, policy.runs_in):
        run.notes.append(
            Note(f"liquid step recorded in {before}, replayed in {policy.runs_in}: they differ by rounding")
        )
    run.made |= {topic: {} for topic in ARM_DECIDED}
    asked: dict[str, set[int]] = {topic: set() for topic in ARM_DECIDED}
    missing: list[str] = []
    for _, _, used in reader.messages([ANSWERS]):
        given, lacking = _given(used, run.made, recorded)
        missing += [f"{topic} {moments([used.stamp], start)[0]}" for topic in lacking]
        if "joints" not in given and "features" not in given:
            continue
        asked["nominal" if "joints" in used.inputs else "neurons"].add(used.stamp)
        try:
            for answer in policy.repeat(given):
                if isinstance(answer, Command):
                    run.made["nominal"][answer.stamp] = answer
                elif isinstance(answer, Neurons):
                    run.made["neurons"][answer.stamp] = answer
        except RobotError as error:
            raise BagError(f"{reader.path}: {error}") from error
    run.ran |= {topic: frozenset(stamps) for topic, stamps in asked.items()}
    if missing:
        text = f"{len(missing)} inputs of the policy's answers are not in the bag: what it had before was taken"
        run.notes.append(Note(text, tuple(missing)))
    for topic, stamps in asked.items():
        if unsaid := sorted(set(recorded.get(topic, ())) - stamps):
            text = f"{len(unsaid)} records of {topic} whose answers are not in the bag: not run"
            run.notes.append(Note(text, moments(unsaid, start)))


def _given(used: UsedInputs, made: Records, recorded: Records) -> tuple[dict[str, Any], list[str]]:
    """The records that an answer was made of, by name, and the topics of those that are not to be found."""
    given, lacking = {}, []
    for name, source in used.inputs.items():
        if source is None:
            continue
        topic = HEARD.get(name, name)
        record = made.get(topic, {}).get(source[0]) or recorded.get(topic, {}).get(source[0])
        if record is None:
            lacking.append(topic)
        else:
            given[name] = record
    return given, lacking
