# SPDX-License-Identifier: Apache-2.0
"""Scenes in which the arm has something to do. A package may add its own: entry point group ``tidegate.arm_scenes``."""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import SceneError
from tidegate.records import Floats
from tidegate.registry import Registry
from tidegate.robot.arm import Arm
from tidegate.settings.arm import ArmSettings
from tidegate.simulation.arm.furniture import furnish, make_look
from tidegate.simulation.arm.surface import Surface
from tidegate.simulation.arm.view import ArmView
from tidegate.simulation.arm.world import ArmScene, ArmTruth
from tidegate.simulation.engine import mujoco

ELBOW_UP = (0.0, 0.3, 0.0, 1.5, 0.0, 1.3416, 0.0)
"""Joints [rad] with which our arm's tool points straight down, 15 cm above z = 0.25 m, 0.51 m ahead."""

ARM_SCENES: Registry[type[ArmTask]] = Registry("arm_scenes")


class Goal(NamedTuple):
    """What is wanted of the tool point now: ``place`` (3,) [m], its ``velocity`` and ``acceleration`` (3,); with a
    ``force`` [N] above 0 that is pressed with against ``normal`` (3,), which the tool is to be in line with."""

    place: Floats
    velocity: Floats
    acceleration: Floats
    normal: Floats
    force: float


class Nearest(NamedTuple):
    """The arm and what it must not touch: ``distance`` [m] between them where they are nearest, ``away`` (3,) the unit
    vector from it to the arm, ``velocity`` (3,) [m/s] of it."""

    distance: float
    away: Floats
    velocity: Floats


class Bound(NamedTuple):
    """Between which values the figure ``name`` of a score must lie; one that is no number does not."""

    name: str
    least: float = -math.inf
    most: float = math.inf

    def holds(self, value: float) -> bool:
        """Whether it does."""
        return self.least <= value <= self.most


class ArmTask(ArmScene):
    """An arm on its table with something to do, all of it by ``seed``. The arm of the settings is our own.

    Attributes:
        name: as registered; ``seconds`` of an episode; ``scored`` [s]: from when on the errors count; ``passing``:
            what the figures of ``score`` must be for it to be done.
        settings: with what the filter must be told of the scene, such as its surface; ``arm`` is made of them.
        start: (N,) joints at the beginning [rad].
    """

    name: ClassVar[str]
    seconds: ClassVar[float]
    scored: ClassVar[float]
    passing: ClassVar[tuple[Bound, ...]]
    table: ClassVar[float] = 0.20

    def __init__(self, settings: ArmSettings, seed: int, payload: float | None = None) -> None:
        """Build it and put the arm at its start; ``payload`` [kg] at the tool, None = drawn within its bound.

        Raises:
            SceneError: the arm has not seven joints, or see ``ArmScene``.
        """
        if len(settings.arm.joints) != len(ELBOW_UP):
            raise SceneError(
                f"scene '{self.name}': 'arm.joints' has {len(settings.arm.joints)} names; it is made for an arm of "
                f"{len(ELBOW_UP)}"
            )
        self.seed, self.settings, self.look = seed, settings, make_look(seed)
        self._view: ArmView | None = None
        self._rng = np.random.default_rng([seed, 30])
        self.start = np.array(ELBOW_UP)
        self.draw(self._rng)
        self.arm = Arm.from_settings(self.settings)
        model = settings.arm
        if payload is None:
            payload = model.payload + self._rng.uniform(-1, 1) * model.payload_error
        super().__init__(self.arm, payload=payload, surface=self.surface(), furnish=self._furnish)
        self.begin()

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> None:
        """Decide what the seed decides; may change ``settings`` and ``start``."""

    @abstractmethod
    def goal(self) -> Goal:
        """What is wanted now."""

    def due(self, truth: ArmTruth) -> Goal:
        """What to go to next for who is there and cannot tell the time; the goal, where that does not go by time."""
        return self.goal()

    def sights(self) -> Floats:
        """What there is to be seen (7,) [m]: the place of what is to be gone to, how far around it is to be gone over,
        and the place of what is in the way (NaN: of nothing)."""
        return np.array([*self.goal().place, 0.0, *[math.nan] * 3])

    @abstractmethod
    def score(self) -> dict[str, float]:
        """How well it was done so far, by name with unit."""

    @abstractmethod
    def watch(self, truth: ArmTruth) -> None:
        """Keep the score at a physics step."""

    @abstractmethod
    def restart(self) -> None:
        """Forget the score."""

    @abstractmethod
    def furnish(self, spec: Any) -> None:
        """Put into the ``MjSpec`` what there is beside table and arm."""

    def surface(self) -> Surface | None:
        """What the tool presses on; None = the settings' plane."""
        return None

    def move(self, time: float) -> None:
        """Put what moves by itself where it is at ``time`` [s]."""

    def nearest(self) -> Nearest | None:
        """What must not be touched; None = there is nothing."""
        return None

    def done(self) -> bool:
        """Whether the score so far is that of who did what is wanted, by ``passing``."""
        score = self.score()
        return all(bound.holds(score[bound.name]) for bound in self.passing)

    def tell(self, section: str, **values: Any) -> None:
        """Change fields of ``settings.safety.<section>``."""
        safety = self.settings.safety
        changed = dataclasses.replace(safety, **{section: dataclasses.replace(getattr(safety, section), **values)})
        self.settings = dataclasses.replace(self.settings, safety=changed)

    @property
    def time(self) -> float:
        """Since the beginning [s]."""
        return float(self.data.time)

    def begin(self) -> ArmTruth:
        """Put everything where it begins."""
        self.restart()
        truth = self.place(self.start, np.zeros(len(self.start)))
        self.move(0.0)
        mujoco.mj_kinematics(self.model, self.data)
        return truth

    def start_clock(self) -> None:
        """Begin anew with the arm as it is."""
        self.restart()
        self.data.time = 0.0

    def show(self, position: Floats, time: float) -> None:
        """Put the joints (N,) at ``position`` [rad], and what moves by itself where it is at ``time`` [s]."""
        self.place(position, np.zeros(len(position)))
        self.data.time = time
        self.move(time)
        mujoco.mj_kinematics(self.model, self.data)

    def step(self, torque: Floats) -> ArmTruth:
        """See ``ArmScene.step``."""
        self.move(self.time + self._step)
        truth = super().step(torque)
        self.watch(truth)
        return truth

    def image(self, width: int = 160, height: int = 120, camera: str = "front") -> NDArray[np.uint8]:
        """What a camera sees (H, W, 3), uint8 RGB: ``front`` shows the arm, ``closer`` what its tool goes to.

        Raises:
            DependencyError: no graphics library or device.
        """
        if self._view is None or (self._view.size, self._view.camera) != ((width, height), camera):
            self.close()
            self._view = ArmView(self.model, self.look, self.seed, width, height, camera)
        return self._view.picture(self.data)

    def close(self) -> None:
        """Release the graphics context, if there is one."""
        if self._view is not None:
            self._view.close()
            self._view = None

    def _furnish(self, spec: Any) -> None:
        furnish(spec, self.look, self.table)
        self.furnish(spec)


def make_arm_scene(name: str, settings: ArmSettings, seed: int, payload: float | None = None) -> ArmTask:
    """Build a scene by name, as ``ArmTask``.

    Raises:
        SceneError: unknown name, or see ``ArmTask``.
    """
    try:
        kind = ARM_SCENES[name]
    except KeyError as error:
        raise SceneError(str(error.args[0])) from error
    return kind(settings, seed, payload)
