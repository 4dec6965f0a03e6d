# SPDX-License-Identifier: Apache-2.0
"""What may be wrong with an arm's policy: with what it sees, what it hears, what it asks for. By name."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tidegate.records import Floats
from tidegate.registry import Registry
from tidegate.robot.arm import Arm
from tidegate.robot.task_space import ToolAim, ToolSenses

ARM_POLICIES: Registry[type[PolicyAsItIs]] = Registry("arm_policies")
Picture = NDArray[np.uint8]
Sights = NDArray[np.float32]
MUCH = 10.0
"""So many times what was meant."""
FAR = 1.0
"""An aim that is anywhere is at most so far from the tool, along each axis [m]."""
HELD = 40
"""A stale aim is held for at most so many pictures."""


class PolicyAsItIs:
    """A bundle's policy as it is, behind sensors that err within their bounds."""

    def __init__(self, arm: Arm, rng: np.random.Generator) -> None:
        self.arm, self.rng = arm, rng

    def picture(self, picture: Picture) -> Picture:
        """What is looked at (H, W, 3) where the camera has ``picture``."""
        return picture

    def sights(self, sights: Sights) -> Sights:
        """What is seen (8,) where perception says ``sights``."""
        return sights

    def senses(self, senses: ToolSenses) -> ToolSenses:
        """What is sensed and heard."""
        return senses

    def aim(self, aim: ToolAim, senses: ToolSenses) -> ToolAim:
        """What is asked of the tool where the neurons ask for ``aim``."""
        return aim

    def torque(self, torque: Floats) -> Floats:
        """Torques (N,) [N·m] that are asked for where the law makes ``torque`` of the aim."""
        return torque


ARM_POLICIES.register("policy")(PolicyAsItIs)


@ARM_POLICIES.register("flipped_policy")
class FlippedPolicy(PolicyAsItIs):
    """Every torque has the wrong sign, those that hold gravity too."""

    def torque(self, torque: Floats) -> Floats:
        return -torque


@ARM_POLICIES.register("mirrored_aim")
class MirroredAim(PolicyAsItIs):
    """The tool is drawn away from where it should go."""

    def aim(self, aim: ToolAim, senses: ToolSenses) -> ToolAim:
        return aim._replace(place=2 * senses.place - aim.place)


@ARM_POLICIES.register("amplified")
class Amplified(PolicyAsItIs):
    """Ten times the torques."""

    def torque(self, torque: Floats) -> Floats:
        return MUCH * torque


@ARM_POLICIES.register("wild_aim")
class WildAim(PolicyAsItIs):
    """Neurons that say anything: with every picture another aim, and to press with up to ten times the force."""

    def aim(self, aim: ToolAim, senses: ToolSenses) -> ToolAim:
        hardest = MUCH * self.arm.settings.safety.surface.force_max
        return ToolAim(senses.place + FAR * self.rng.uniform(-1, 1, 3), hardest * float(self.rng.uniform(-0.5, 1)))


@ARM_POLICIES.register("stale_aim")
class StaleAim(PolicyAsItIs):
    """An aim goes on for up to two seconds while newer ones are lost, again and again."""

    def __init__(self, arm: Arm, rng: np.random.Generator) -> None:
        super().__init__(arm, rng)
        self._left, self._held = 0, ToolAim(np.zeros(3))

    def aim(self, aim: ToolAim, senses: ToolSenses) -> ToolAim:
        if self._left <= 0:
            self._left, self._held = int(self.rng.integers(2, HELD + 1)), aim
        self._left -= 1
        return self._held


@ARM_POLICIES.register("black_picture")
class BlackPicture(PolicyAsItIs):
    """Black pictures."""

    def picture(self, picture: Picture) -> Picture:
        return np.zeros_like(picture)


@ARM_POLICIES.register("noise_picture")
class NoisePicture(PolicyAsItIs):
    """Pictures of noise."""

    def picture(self, picture: Picture) -> Picture:
        return self.rng.integers(0, 256, picture.shape, np.uint8)


@ARM_POLICIES.register("frozen_picture")
class FrozenPicture(PolicyAsItIs):
    """The same picture for good."""

    def __init__(self, arm: Arm, rng: np.random.Generator) -> None:
        super().__init__(arm, rng)
        self._first: Picture | None = None

    def picture(self, picture: Picture) -> Picture:
        if self._first is None:
            self._first = picture
        return self._first


@ARM_POLICIES.register("nan_sights")
class NanSights(PolicyAsItIs):
    """Storms of NaN, infinities and huge numbers among what perception says."""

    def sights(self, sights: Sights) -> Sights:
        if self.rng.random() < 0.5:
            return sights
        broken, made = self.rng.random(len(sights)) < 0.3, sights.copy()
        made[broken] = float(self.rng.choice((math.nan, math.inf, -math.inf, 1e30, -1e30, 10.0, -10.0)))
        return made


@ARM_POLICIES.register("wrong_request")
class WrongRequest(PolicyAsItIs):
    """Hears ten times the force that is wanted; where none is wanted, the largest that is allowed."""

    def senses(self, senses: ToolSenses) -> ToolSenses:
        return senses._replace(wanted=MUCH * senses.wanted or self.arm.settings.safety.surface.force_max)
