# SPDX-License-Identifier: Apache-2.0
"""The simulated camera: rendered with twice the rows, averaged down, exposed and made noisy; and what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.settings import Settings
from tidegate.simulation.car import GROUP_SELF
from tidegate.simulation.engine import mujoco, no_graphics
from tidegate.simulation.scene import CameraFault
from tidegate.simulation.traffic import GROUP_SOLID
from tidegate.simulation.vegetation import GROUP_VEGETATION
from tidegate.simulation.world import CLASSES, GROUP_GROUND, ROWS_PER_PIXEL, World

GROUP_HIDDEN = 5
LANDSCAPE = (GROUP_GROUND, GROUP_VEGETATION)

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
        width, height = self._size
        grain = self._rng.standard_normal((2 * height, 2 * width, 3), dtype=np.float32)
        self._grain = grain * np.float32(world.look.noise)
        world.model.camera("front").fovy[0] = settings.camera.fov_deg
        try:
            self._renderer = mujoco.Renderer(world.model, height * ROWS_PER_PIXEL, width)
        except Exception as error:  # whatever the graphics library raises, the cause is its absence
            raise no_graphics(error) from error
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_FOG] = 1
        model = world.model
        self._still = np.flatnonzero((model.geom_bodyid == 0) & np.isin(model.geom_group, LANDSCAPE))
        self._every = model.geom_group.copy()
        self._groups = self._every[self._still]
        self._eye = model.camera("front").id
        self._wide = np.tan(np.radians(settings.camera.fov_deg / 2)) * width / height
        self._reach = model.geom_rbound[self._still] * np.hypot(1.0, self._wide)
        self._options = mujoco.MjvOption()
        self._options.geomgroup[:] = 0
        self._options.geomgroup[[*LANDSCAPE, GROUP_SOLID]] = 1

    def withhold(self, hidden: NDArray[np.bool_]) -> None:
        """Leave the geoms (G,) that are ``hidden`` out of every picture from now on, and show all others again."""
        self._world.model.geom_group[:] = np.where(hidden, GROUP_HIDDEN, self._every)
        self._groups = self._world.model.geom_group[self._still].copy()

    def capture(
        self,
        data: Any,
        fault: CameraFault,
        grain: tuple[int, int] | None = None,
        add: Callable[[Any], None] = lambda scene: None,
    ) -> NDArray[np.uint8]:
        """A picture (H, W, 3) uint8 RGB of the present state; ``fault`` WHITE over-exposes it, as when the exposure
        was set for the dark road: sky, meadow, paint and whatever else is bright are one white.

        ``grain`` says at which (row, column) up to (H, W) its noise begins, None = anywhere; ``add`` may put more into
        the ``mjvScene`` that is drawn.
        """
        self._look(data)
        add(self._renderer.scene)
        width, height = self._size
        drawn = self._renderer.render().reshape(height, ROWS_PER_PIXEL, width, 3)
        image = drawn.mean(axis=1, dtype=np.float32)
        image *= self._world.look.exposure
        if fault is CameraFault.WHITE:
            gain = 255.0 / max(float(np.percentile(image.max(axis=2), DARK_SHARE)), 1.0)
            image = (1.0 - VEIL) * gain * image + VEIL * 255.0
        # drawing fresh noise would take a tenth of a frame
        top, left = self._rng.integers((height + 1, width + 1)) if grain is None else grain
        image += self._grain[top : top + height, left : left + width]
        finished: NDArray[np.uint8] = np.clip(image, 0, 255, out=image).astype(np.uint8)
        return finished

    def _look(self, data: Any) -> None:
        """Update what is drawn; what stands beside the picture or behind is left out: a third of the time."""
        model = self._world.model
        position, axes = data.cam_xpos[self._eye], data.cam_xmat[self._eye].reshape(3, 3)
        away = model.geom_pos[self._still] - position
        ahead, right = -away @ axes[:, 2], away @ axes[:, 0]
        drawn = np.abs(right) < self._wide * ahead + self._reach
        model.geom_group[self._still] = np.where(drawn, self._groups, GROUP_HIDDEN)
        self._renderer.update_scene(data, "front", self._options)
        for eye in self._renderer.scene.camera:  # by itself the frustum would be as wide as the buffer, not the picture
            eye.frustum_width = (eye.frustum_top - eye.frustum_bottom) / 2 * self._size[0] / self._size[1]

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
        cells = kinds.reshape(height, ROWS_PER_PIXEL, width)
        share = np.stack([(cells == k).mean(axis=1) for k in range(len(CLASSES))])
        best = share.argmax(axis=0)
        return {name: best == k for k, name in enumerate(CLASSES)}

    def horizon(self, data: Any) -> float:
        """Row of the picture, from its top edge, at which a flat world would end."""
        climb = float(np.arcsin(-data.cam_xmat[self._eye].reshape(3, 3)[2, 2]))
        height = self._size[1]
        focal = height / 2 / np.tan(np.radians(self._world.model.camera("front").fovy[0] / 2))
        return float(height / 2 + focal * np.tan(climb))

    def chase(self, data: Any, width: int, height: int) -> NDArray[np.uint8]:
        """A picture (height, width, 3) from behind and above the car, for people."""
        model = self._world.model
        model.geom_group[self._still] = self._groups
        # each frame clears its whole buffer, so the camera's is no larger than its picture and this view has its own
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        with mujoco.Renderer(model, height, width) as renderer:
            options = mujoco.MjvOption()
            options.geomgroup[:] = 0
            options.geomgroup[[*LANDSCAPE, GROUP_SOLID, GROUP_SELF]] = 1
            renderer.update_scene(data, "chase", options)
            picture: NDArray[np.uint8] = renderer.render().copy()
        return picture

    def close(self) -> None:
        """Release the graphics context."""
        self._renderer.close()
