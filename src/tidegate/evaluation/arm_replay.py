# SPDX-License-Identifier: Apache-2.0
"""``replay`` for an arm's bag: perception, policy and filter offline, each on what it had when it was recorded.

What the policy made of what is told by ``policy_node/inputs``: with joint states that come in turn with pictures its
answers depend on the order of arrival, which stamps do not tell.
"""

from __future__ import annotations

from typing import Any

from tidegate.bag import BagReader
from tidegate.bundle import Bundle
from tidegate.errors import BagError
from tidegate.evaluation.arm_replay_frames import SENSED, run_arm_frames, run_arm_policy
from tidegate.evaluation.midway import begins_midway, keep_mode, settled
from tidegate.evaluation.note import Note
from tidegate.evaluation.replay import Replay, Told, settle_dry, start_of, ticks_of
from tidegate.evaluation.replay_frames import FramesRun, left_out
from tidegate.evaluation.replay_ticks import run_ticks
from tidegate.evaluation.topics import (
    ANSWERS,
    ARM_DECIDED,
    ARM_OUTPUTS,
    ARM_PERCEIVED,
    DRY,
    FRAMES,
    TICKS,
    small_records,
)
from tidegate.liquid.arm_policy import ArmPolicy
from tidegate.messages import ARM_FORMS
from tidegate.perception.arm_perception import ArmPerception
from tidegate.records import ArmInputs, ArmSafetyState, Command, UsedInputs
from tidegate.robot.arm import Arm
from tidegate.safety.arm import ArmSupervisor
from tidegate.settings.arm import ArmSettings

NO_CAMERA = "no camera in the bag: perception and policy were not run"
AS_ASKED = "nominal torques are the recorded ones: the policy was not run"
NO_ANSWERS = f"the bag does not tell what the policy's answers were made of ({ANSWERS}): it was not run"
MIDWAY = "the bag begins while the policy was running, and what it remembers is not in it: it was not run"


def replay_arm(
    reader: BagReader,
    bundle: Bundle | None,
    settings: ArmSettings,
    *,
    disable: frozenset[str] = frozenset(),
    asked: bool = False,
    told: Told = lambda done, total: None,
) -> Replay:
    """Replay a bag of an arm; arguments as ``replay.replay``'s.

    Args:
        reader: of the bag; it needs the camera or the ticks' inputs, all else is optional.
        bundle: the model that drove, or another one to see what it would have done; None where there is no camera.
        settings: of the arm that drove.
        disable: barriers that were switched off, as in the recording.
        asked: take nominal torques from the record: somebody else than the policy asked.
        told: hears of the progress.

    Raises:
        BagError: neither camera nor ticks, or a message cannot be decoded.
        BundleError, RobotError, SettingsError: the bundle, the robot or a name in ``disable`` is refused.
    """
    supervisor = ArmSupervisor(settings, disable=disable)
    recorded = settle_dry(small_records(reader, (*SENSED, *ARM_OUTPUTS, TICKS, DRY), ARM_FORMS))
    ticks = ticks_of(recorded)
    midway = begins_midway(ticks, recorded)
    run, total = FramesRun({}, {}, [], [Note(NO_CAMERA)]), len(ticks)
    if reader.held(FRAMES) or not ticks:
        total += reader.counts[reader.find(FRAMES)]
        if bundle is None:
            raise BagError(f"{reader.path}: has camera images, so it needs a bundle")
        run = run_arm_frames(reader, ArmPerception(bundle), recorded, lambda done: told(done, total))
        why = _not_run(reader, asked=asked, midway=midway)
        if why is None:
            policy = ArmPolicy(bundle, settings, lock_step=reader.held("tick") is not None)
            run_arm_policy(reader, policy, run, recorded, start_of(run.frames, ticks))
        else:
            run.notes.append(why)
    start = start_of(run.frames, ticks)
    decided = ARM_DECIDED[:1] if "neurons" in run.ran else ()
    words = "features", "neurons", "was given what is recorded of them"
    run.notes += left_out(run, recorded, start, ARM_PERCEIVED, decided, words)
    until = settled(ticks, midway=midway)

    def step(used: UsedInputs, received: dict[str, Any]) -> tuple[Command | None, ArmSafetyState]:
        if used.stamp < until:
            keep_mode(supervisor, used, recorded)
        tick = supervisor.tick(ArmInputs(used.stamp, **received, steady=used.steady))
        return tick.command, ArmSafetyState.of(tick, supervisor.guard.arm.joint_names)

    done = run_ticks(ticks, run.made, recorded, step, midway, start, lambda count: told(len(run.frames) + count, total))
    notes = (*run.notes, *done.notes)
    return Replay(len(run.frames), len(ticks), start, run.made | done.made, recorded, run.ran | done.ran, notes)


def arm_scales(bundle: Bundle | None, settings: ArmSettings) -> dict[str, float]:
    """Full scale of what has one, as ``difference.full_scales``: what is seen by the distances that the network was
    made for, torques by the joints' limits."""
    arm = Arm.from_settings(settings)
    torques = ("nominal", "command", "filter.wanted", "filter.allowed")
    seen = {} if bundle is None or bundle.tool is None else {"features": bundle.tool.place}
    return seen | {
        f"{of}.{name}": float(most) for of in torques for name, most in zip(arm.joint_names, arm.effort, strict=True)
    }


def _not_run(reader: BagReader, *, asked: bool, midway: bool) -> Note | None:
    """Why the policy is not run; None = it is."""
    if asked:
        return Note(AS_ASKED)
    if reader.held(ANSWERS) is None:
        return Note(NO_ANSWERS)
    return Note(MIDWAY) if midway else None
