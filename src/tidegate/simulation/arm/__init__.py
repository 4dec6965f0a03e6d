# SPDX-License-Identifier: Apache-2.0
"""The arm in MuJoCo: a world that torques move, scenes in which it has something to do, and an expert."""

from tidegate.simulation.arm import hand_over as _hand_over
from tidegate.simulation.arm import press as _press
from tidegate.simulation.arm import reach as _reach
from tidegate.simulation.arm import wipe as _wipe
from tidegate.simulation.arm.episode import ArmRun, drive
from tidegate.simulation.arm.expert import Expert
from tidegate.simulation.arm.task import ARM_SCENES, ArmTask, Bound, Goal, Nearest, make_arm_scene
from tidegate.simulation.arm.world import ArmScene, ArmTruth

__all__ = [
    "ARM_SCENES",
    "ArmRun",
    "ArmScene",
    "ArmTask",
    "ArmTruth",
    "Bound",
    "Expert",
    "Goal",
    "Nearest",
    "drive",
    "make_arm_scene",
]

del _hand_over, _press, _reach, _wipe  # imported because they register their scenes
