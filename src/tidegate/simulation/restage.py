# SPDX-License-Identifier: Apache-2.0
"""The same moment, pictured with something taken away, painted anew or shifted: interventions on what the camera sees.

The world that drives is left alone. Each way of painting has a copy of the model and a camera of its own, made when it
is first asked for.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.settings import Settings
from tidegate.simulation.appearance import SEASONS, Look, textures
from tidegate.simulation.camera import Camera
from tidegate.simulation.engine import mujoco
from tidegate.simulation.road import CENTRE_LINE, PAVED_LEFT, PAVED_RIGHT, Place
from tidegate.simulation.scene import CameraFault
from tidegate.simulation.world import World

SHADE_AHEAD, SHADE_LENGTH, SHADE = 9.0, 4.0, 0.3
"""A shadow lies across the road so far ahead of the rear axle [m] and is so long [m]; each of its two faces takes so
much of the light."""
SKY, MEADOW = "sky", "meadow"
"""Names in ``Change.painted`` that are no texture of the other season: its sky with its haze, and meadow in the place
of asphalt."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is other than it is; nothing by default.

    Attributes:
        hidden: beginnings of the names of geoms that are taken away.
        painted: textures that look as in another season, ``SKY`` and ``MEADOW`` among them.
        shifted: beginnings of the names of geoms that are moved by ``left`` [m] to the left of the road here.
        shade: a shadow lies across the road.
        sun_turned: the sun shines from the opposite side.
        noise: other numbers give other noise.
    """

    hidden: tuple[str, ...] = ()
    painted: tuple[str, ...] = ()
    shifted: tuple[str, ...] = ()
    left: float = 0.0
    shade: bool = False
    sun_turned: bool = False
    noise: int = 0


class Stage:
    """Pictures of a world, with a change or without."""

    def __init__(self, settings: Settings, world: World, seed: int) -> None:
        self._settings, self._world, self._seed = settings, world, seed
        others = [name for name in SEASONS if name != world.look.season]
        season = others[int(np.random.default_rng([seed, 21]).integers(len(others)))]
        self.look = dataclasses.replace(world.look, season=season)
        self._names = [world.model.geom(index).name for index in range(world.model.ngeom)]
        self._groups = world.model.geom_group.copy()  # now, before a camera hides what stands beside its picture
        self._cameras: dict[tuple[str, ...], Camera] = {}

    def picture(self, data: Any, place: Place, change: Change, tick: int) -> NDArray[np.uint8]:
        """A picture (H, W, 3) uint8 RGB of the state in ``data``, the car at ``place``; its noise is that of the tick.

        ``data`` is as before afterwards.
        """
        camera = self._camera(change.painted)
        camera.withhold(self._named(change.hidden))
        height, width = self._settings.camera.height, self._settings.camera.width
        top, left = np.random.default_rng([self._seed, 22, tick, change.noise]).integers((height + 1, width + 1))
        before = data.geom_xpos.copy(), data.light_xdir.copy()
        try:
            data.geom_xpos[self._named(change.shifted), :2] += change.left * np.array(
                [-np.sin(place.yaw), np.cos(place.yaw)]
            )
            if change.sun_turned:
                data.light_xdir[:, :2] *= -1
            shade = self._shadow(place) if change.shade else lambda scene: None
            return camera.capture(data, CameraFault.NONE, (int(top), int(left)), shade)
        finally:
            data.geom_xpos[:], data.light_xdir[:] = before

    def close(self) -> None:
        """Release the graphics contexts."""
        for camera in self._cameras.values():
            camera.close()
        self._cameras = {}

    def _named(self, beginnings: tuple[str, ...]) -> NDArray[np.bool_]:
        return np.array([bool(beginnings) and name.startswith(beginnings) for name in self._names])

    def _camera(self, painted: tuple[str, ...]) -> Camera:
        if painted not in self._cameras:
            model = copy.copy(self._world.model)
            model.geom_group[:] = self._groups
            _paint(model, self._world.look, self.look, self._seed, painted)
            world = dataclasses.replace(self._world, model=model)
            self._cameras[painted] = Camera(self._settings, world, self._seed)
        return self._cameras[painted]

    def _shadow(self, place: Place) -> Any:
        """What lays the shadow into a ``mjvScene``."""
        x, y, yaw = self._world.road.point(place.s + SHADE_AHEAD, CENTRE_LINE)
        position, orientation = self._world.terrain.frames(np.array([[x, y]]), [yaw])
        turned = np.zeros(9)
        mujoco.mju_quat2Mat(turned, orientation[0])
        size = np.array([SHADE_LENGTH / 2, (PAVED_LEFT - PAVED_RIGHT) / 2, 0.01])

        def add(scene: Any) -> None:
            geom = scene.geoms[scene.ngeom]
            black = np.array([0.0, 0.0, 0.0, SHADE], np.float32)
            mujoco.mjv_initGeom(geom, mujoco.mjtGeom.mjGEOM_BOX, size, position[0] + [0, 0, 0.06], turned, black)
            scene.ngeom += 1

        return add


def _paint(model: Any, own: Look, other: Look, seed: int, names: tuple[str, ...]) -> None:
    """Give the textures ``names`` of ``model`` the look of the ``other`` season, in place."""
    images = textures(other, seed)
    for name in names:
        if name == SKY:
            model.vis.rgba.haze = model.vis.rgba.fog = [*other.horizon, 1.0]
            _fill(model, SKY, _sky(other))
        elif name == MEADOW:
            grass, wanted = textures(own, seed)["grass"], model.texture("road")
            _fill(model, "road", grass[: wanted.height[0], : wanted.width[0]])
        else:
            _fill(model, name, images[name])


def _fill(model: Any, name: str, image: NDArray[np.uint8]) -> None:
    start = model.tex_adr[model.texture(name).id]
    model.tex_data[start : start + image.size] = image.ravel()


def _sky(look: Look) -> NDArray[np.uint8]:
    """The sky's texture as MuJoCo draws it."""
    spec = mujoco.MjSpec()
    sky = spec.add_texture(name=SKY, type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, width=64, height=384)
    sky.builtin = mujoco.mjtBuiltin.mjBUILTIN_GRADIENT
    sky.rgb1, sky.rgb2 = look.zenith, look.horizon
    drawn: NDArray[np.uint8] = spec.compile().tex_data.copy()
    return drawn
