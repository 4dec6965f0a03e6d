# SPDX-License-Identifier: Apache-2.0
"""Lessons: episodes of an arm's scenes in which every picture has the teacher's aim beside it, whoever drives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.evaluation.arm_asked import ToolDriver, teacher_of
from tidegate.evaluation.arm_pilot import ArmPilot
from tidegate.learning.arm.recipe import ArmCollectRecipe
from tidegate.robot.task_space import ToolAim, ToolSenses
from tidegate.settings.arm import load_arm_settings
from tidegate.simulation.arm import ArmTruth, make_arm_scene

KEEPS = 0.9
"""Share of its disturbance that an aim keeps from one picture to the next."""

MIRRORED = np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
"""Signs of our arm's joints in the mirror image of a posture."""


class Glimpses(NamedTuple):
    """T moments that have nothing to do with each other: ``image`` and ``sights`` as a lesson's."""

    image: NDArray[np.uint8]
    sights: NDArray[np.float32]

    @classmethod
    def load(cls, path: Path) -> Glimpses:
        """Read what ``glimpse`` wrote."""
        return cls(**_kept(path, cls._fields))


class Lesson(NamedTuple):
    """An episode of T pictures.

    ``image`` (T, h, w, 3) uint8; ``senses`` (T, 9) as ``ToolSenses``; ``aim`` (T, 4): the teacher's place [m] and 1
    where it presses; ``sights`` (T, 7) [m] as ``ArmTask.sights``.
    """

    image: NDArray[np.uint8]
    senses: NDArray[np.float32]
    aim: NDArray[np.float32]
    sights: NDArray[np.float32]

    @classmethod
    def load(cls, path: Path) -> Lesson:
        """Read what ``collect`` wrote."""
        return cls(**_kept(path, cls._fields))


@dataclass(frozen=True, slots=True)
class LessonPlan:
    """One episode to record: ``seed`` of ``scene`` for ``seconds``, into ``path``; ``bundle`` drives (DAgger; Ross et
    al. 2011) but for ``teacher_share`` of the pictures, '' = the teacher, its aims off by up to ``disturb`` [m]."""

    settings: str
    scene: str
    seed: int
    seconds: float
    path: Path
    recipe: ArmCollectRecipe
    bundle: str = ""
    disturb: float = 0.0


def record(plan: LessonPlan) -> Path:
    """Do the episode and write the lesson; what is there already stays."""
    if plan.path.exists():
        return plan.path
    scene = make_arm_scene(plan.scene, load_arm_settings(plan.settings), plan.seed)
    camera, recipe, random = scene.settings.camera, plan.recipe, np.random.default_rng([plan.seed, 40])
    teacher = teacher_of(scene)
    away, size = np.zeros(3), random.uniform(0, plan.disturb)
    learner = ArmPilot(Bundle.load(plan.bundle), scene.settings) if plan.bundle else None
    rows: list[tuple[NDArray[Any], ...]] = []

    def ask(truth: ArmTruth, senses: ToolSenses) -> ToolAim:
        nonlocal away
        picture = scene.image(camera.width, camera.height, "closer")
        aim = teacher.aim(truth)
        rows.append((picture, senses.row(), np.append(aim.place, aim.push > 0), scene.sights()))
        away = KEEPS * away + size * np.sqrt(1 - KEEPS**2) * random.standard_normal(3)
        if learner is None:
            return ToolAim(aim.place + away, aim.push)
        own = learner(picture, senses)
        return aim if random.random() < recipe.teacher_share else own

    driver, most = ToolDriver(scene, ask), scene.arm.effort
    scene.start = scene.start + random.uniform(-recipe.start, recipe.start, len(scene.start))
    truth = scene.begin()
    for _ in range(round(plan.seconds * scene.settings.safety.rate_hz)):
        torque = np.clip(driver.act(truth), -most, most)
        for _ in range(scene.substeps):
            truth = scene.step(torque)
    scene.close()
    image, *others = zip(*rows, strict=True)
    lesson = Lesson(np.array(image), *(np.array(part, np.float32) for part in others))
    return _write(plan.path, lesson)


def glimpse(plan: LessonPlan) -> Path:
    """See the scene at moments by themselves, the joints anywhere near their start or between it and its mirror image:
    many more different pictures in the same time. What is there already stays."""
    if plan.path.exists():
        return plan.path
    scene = make_arm_scene(plan.scene, load_arm_settings(plan.settings), plan.seed)
    camera, recipe, random = scene.settings.camera, plan.recipe, np.random.default_rng([plan.seed, 41])
    images, sights = [], []
    for _ in range(recipe.glimpses):
        away = random.uniform(-recipe.wild, recipe.wild, len(scene.start))
        scene.show(scene.start * random.uniform(MIRRORED, 1) + away, random.uniform(0, scene.seconds))
        images.append(scene.image(camera.width, camera.height, "closer"))
        sights.append(scene.sights())
    scene.close()
    return _write(plan.path, Glimpses(np.array(images), np.array(sights, np.float32)))


def _kept(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The arrays of what ``_write`` wrote."""
    with np.load(path, allow_pickle=False) as kept:
        return {name: kept[name] for name in names}


def _write(path: Path, seen: Lesson | Glimpses) -> Path:
    """All of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez(file, **seen._asdict())
    unfinished.rename(path)
    return path
