# SPDX-License-Identifier: Apache-2.0
"""The simulated camera: rendered at twice the size, averaged down, exposed and made noisy; and what it shows."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.settings import Settings
from tidegate.simulation.car import GROUP_SELF
from tidegate.simulation.engine import mujoco, no_graphics
from tidegate.simulation.scene import CameraFault
from tidegate.simulation.traffic import GROUP_SOLID
from tidegate.simulation.vegetation import GROUP_VEGETATION
from tidegate.simulation.world import CLASSES, SUPERSAMPLING, World

GROUP_HIDDEN = 5

DARK_SHARE = 28.0
"""Share of the picture [%] that an over-exposed camera still shows: its darkest part, the asphalt."""
VEIL = 0.1
"""Share of an over-exposed picture that is stray light."""


class Camera:
    """Pictures of a world from the car."""

    def __init__(self, settings: Settings, world: World, seed: int) -> None:
        """Make a renderer.

        Raises:
            DependencyError: no graphics library or device.
        """
        self._world, self._size = world, (settings.camera.width, settings.camera.height)
        self._rng = np.random.default_rng([seed, 20])
        width, height = (side * SUPERSAMPLING for side in self._size)
        world.model.camera("front").fovy[0] = settings.camera.fov_deg
        try:
            self._renderer = mujoco.Renderer(world.model, height, width)
        except Exception as error:  # whatever the graphics library raises, the cause is its absence
            raise no_graphics(error) from error
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_FOG] = 1
        model = world.model
        self._plants = np.flatnonzero(model.geom_group == GROUP_VEGETATION)
        self._eye = model.camera("front").id
        self._wide = np.tan(np.radians(settings.camera.fov_deg / 2)) * self._size[0] / self._size[1]
        self._options = mujoco.MjvOption()
        self._options.geomgroup[:] = 0
        self._options.geomgroup[[0, GROUP_VEGETATION, GROUP_SOLID]] = 1

    def capture(self, data: Any, fault: CameraFault) -> NDArray[np.uint8]:
        """A picture (H, W, 3) uint8 RGB of the present state; ``fault`` WHITE over-exposes it, as when the exposure
        was set for the dark road: sky, meadow, paint and whatever else is bright are one white."""
        self._look(data)
        image = cv2.resize(self._renderer.render(), self._size, interpolation=cv2.INTER_AREA).astype(np.float32)
        look = self._world.look
        noise = self._rng.standard_normal(image.shape, dtype=np.float32)
        noise *= look.noise
        image *= look.exposure
        if fault is CameraFault.WHITE:
            gain = 255.0 / max(float(np.percentile(image.max(axis=2), DARK_SHARE)), 1.0)
            image = (1.0 - VEIL) * gain * image + VEIL * 255.0
        image += noise
        finished: NDArray[np.uint8] = np.clip(image, 0, 255, out=image).astype(np.uint8)
        return finished

    def _look(self, data: Any) -> None:
        """Update what is drawn; plants outside the picture are left out, which saves a third of the time."""
        model = self._world.model
        position, axes = data.cam_xpos[self._eye], data.cam_xmat[self._eye].reshape(3, 3)
        away = model.geom_pos[self._plants] - position
        ahead, right = -away @ axes[:, 2], away @ axes[:, 0]
        drawn = (ahead > -4.0) & (np.abs(right) < self._wide * ahead + 8.0)
        model.geom_group[self._plants] = np.where(drawn, GROUP_VEGETATION, GROUP_HIDDEN)
        self._renderer.update_scene(data, "front", self._options)

    def masks(self, data: Any) -> dict[str, NDArray[np.bool_]]:
        """What each pixel mostly shows, (H, W) bool by class of ``CLASSES``."""
        self._look(data)
        self._renderer.enable_segmentation_rendering()
        try:
            geoms = self._renderer.render()[..., 0]
        finally:
            self._renderer.disable_segmentation_rendering()
        kinds = np.where(geoms >= 0, self._world.geom_class[geoms], CLASSES.index("sky"))
        width, height = self._size
        cells = kinds.reshape(height, SUPERSAMPLING, width, SUPERSAMPLING)
        share = np.stack([(cells == k).mean(axis=(1, 3)) for k in range(len(CLASSES))])
        best = share.argmax(axis=0)
        return {name: best == k for k, name in enumerate(CLASSES)}

    def chase(self, data: Any, width: int, height: int) -> NDArray[np.uint8]:
        """A picture (height, width, 3) from behind and above the car, for people."""
        model = self._world.model
        model.geom_group[self._plants] = GROUP_VEGETATION
        # each frame clears its whole buffer, so the camera's is no larger than its picture and this view has its own
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        with mujoco.Renderer(model, height, width) as renderer:
            options = mujoco.MjvOption()
            options.geomgroup[:] = 0
            options.geomgroup[[0, GROUP_VEGETATION, GROUP_SOLID, GROUP_SELF]] = 1
            renderer.update_scene(data, "chase", options)
            picture: NDArray[np.uint8] = renderer.render().copy()
        return picture

    def close(self) -> None:
        """Release the graphics context."""
        self._renderer.close()
