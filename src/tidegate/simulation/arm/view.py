# SPDX-License-Identifier: Apache-2.0
"""Pictures of an arm's scene: rendered finer, averaged down, made noisy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.simulation.arm.furniture import SHADOWS, ArmLook
from tidegate.simulation.engine import mujoco, no_graphics

FINER = 2
"""Rows and columns that are drawn per row and column of the picture."""


class ArmView:
    """A camera of a model. Its noise is the next one of the seed with each picture."""

    def __init__(self, model: Any, look: ArmLook, seed: int, width: int, height: int, camera: str = "front") -> None:
        """Make a renderer for the ``camera`` of that name.

        Raises:
            DependencyError: no graphics library or device.
        """
        self.size, self.camera = (width, height), camera
        self._look, self._rng = look, np.random.default_rng([seed, 33])
        model.vis.quality.shadowsize = SHADOWS[camera]
        model.vis.global_.offwidth, model.vis.global_.offheight = FINER * width, FINER * height
        try:
            self._renderer = mujoco.Renderer(model, FINER * height, FINER * width)
        except Exception as error:  # whatever the graphics library raises, the cause is its absence
            raise no_graphics(error) from error

    def picture(self, data: Any) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB of the present state."""
        self._renderer.update_scene(data, self.camera)
        width, height = self.size
        drawn = self._renderer.render().reshape(height, FINER, width, FINER, 3)
        image = drawn.mean(axis=(1, 3), dtype=np.float32)
        image += self._look.noise * self._rng.standard_normal(image.shape, dtype=np.float32)
        finished: NDArray[np.uint8] = np.clip(image, 0, 255, out=image).astype(np.uint8)
        return finished

    def close(self) -> None:
        """Release the graphics context."""
        self._renderer.close()
