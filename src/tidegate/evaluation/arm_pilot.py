# SPDX-License-Identifier: Apache-2.0
"""An arm's bundle as who asks for the tool's aim: picture and senses in, one after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.liquid.tool_policy import ToolPolicy
from tidegate.perception.sight import Sight
from tidegate.records import nanoseconds
from tidegate.robot.task_space import ToolAim, ToolSenses
from tidegate.settings.arm import ArmSettings


class ArmPilot:
    """Convolutional network and liquid neurons of a bundle, a picture per period of the camera."""

    def __init__(self, bundle: Bundle, settings: ArmSettings) -> None:
        """Raises:
        BundleError: it is no arm's, or cannot be run.
        """
        self._sight, self._policy = Sight(bundle), ToolPolicy(bundle, settings)
        self._period, self._stamp = nanoseconds(1 / settings.camera.rate_hz), 0

    def __call__(self, picture: NDArray[np.uint8], senses: ToolSenses) -> ToolAim:
        """What it asks for; where it says no number, to stay."""
        return self.decide(self.see(picture), senses)

    def see(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What is seen (8,) in a ``picture``."""
        return self._sight(picture)

    def decide(self, sights: NDArray[np.float32], senses: ToolSenses) -> ToolAim:
        """What it asks for where ``sights`` (8,) are seen; one call per period of the camera."""
        self._stamp += self._period
        aim = self._policy.step(self._stamp, sights, senses)
        return ToolAim(senses.place) if aim is None else aim
