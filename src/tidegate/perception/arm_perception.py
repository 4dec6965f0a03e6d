# SPDX-License-Identifier: Apache-2.0
"""An arm's camera frames → where things are in them, and whether they can be trusted."""

from __future__ import annotations

import numpy as np

from tidegate.bundle import Bundle
from tidegate.errors import ImageError
from tidegate.perception.health import HealthMonitor
from tidegate.perception.sight import Sight
from tidegate.records import Features, Frame, ImageHealth, Level

NO_SIGNATURE = np.zeros(0)
"""How pictures of training look is not in an arm's bundle."""


class ArmPerception:
    """``Sight`` frame by frame. What is seen in a picture that is not to be trusted is no number."""

    def __init__(self, bundle: Bundle) -> None:
        """Raises:
        BundleError: as ``Sight``.
        """
        self._sight, self._shape = Sight(bundle), bundle.perception
        self.forget()

    def forget(self) -> None:
        """Judge the next picture as if it were the first."""
        self._health = HealthMonitor(self._shape, None)

    def process(self, frame: Frame) -> tuple[Features, ImageHealth]:
        """Read one frame: what is seen (8,), and its health."""
        try:
            features = self._sight(frame.image)
        except ImageError as error:
            health = ImageHealth(frame.stamp, Level.ERROR, (str(error),))
        else:
            health = self._health.judge(frame.stamp, frame.image, features, NO_SIGNATURE)
        if health.level >= Level.ERROR:
            features = np.full(self._shape.features, np.nan, np.float32)
        return Features(frame.stamp, features), health
