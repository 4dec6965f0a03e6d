# SPDX-License-Identifier: Apache-2.0
"""Who asks for an arm's torques: a bundle by its aims, the expert at every period, or its aims at a camera's rate."""

from __future__ import annotations

from collections.abc import Callable

from tidegate.bundle import Bundle
from tidegate.evaluation.arm_asked import ToolDriver, teacher_of
from tidegate.evaluation.arm_pilot import ArmPilot
from tidegate.records import Floats
from tidegate.robot.task_space import ToolAim, ToolSenses
from tidegate.simulation.arm import ArmTask, ArmTruth, Expert

Act = Callable[[ArmTruth], Floats]
DRIVERS = ("bundle", "expert", "teacher")


def make_driver(name: str, bundle: str, scene: ArmTask) -> Act:
    """What asks for torques in ``scene``; the path of a ``bundle`` counts where it drives.

    Raises:
        BundleError: it is unusable.
    """
    if name == "expert":
        return Expert(scene).act
    if name == "teacher":  # what a policy could do at best: it sees the truth, at a camera's rate and latency
        teacher = teacher_of(scene)
        return ToolDriver(scene, lambda truth, senses: teacher.aim(truth)).act
    camera = scene.settings.camera
    pilot = ArmPilot(Bundle.load(bundle, scene.settings.arm.name), scene.settings)

    def ask(truth: ArmTruth, senses: ToolSenses) -> ToolAim:
        return pilot(scene.image(camera.width, camera.height, "closer"), senses)

    return ToolDriver(scene, ask).act
