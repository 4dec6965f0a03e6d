# SPDX-License-Identifier: Apache-2.0
"""Puts road, hills, plants, vehicles and the car together into one compiled MuJoCo model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.robot import Car
from tidegate.settings import Settings
from tidegate.simulation.appearance import BARK, GLOW, LIGHTS, Look, make_look, textures
from tidegate.simulation.car import add_car
from tidegate.simulation.engine import mujoco
from tidegate.simulation.landscape import landscape
from tidegate.simulation.road import Road
from tidegate.simulation.scene import Scene, make_scene
from tidegate.simulation.terrain import Terrain, make_terrain
from tidegate.simulation.traffic import add_body
from tidegate.simulation.vegetation import add_mesh, add_plants, stand

CLASSES = ("road", "lines", "vegetation", "vehicles", "ground", "sky")
"""What a pixel can show; hills count as ground."""
GROUP_GROUND = 0
ROWS_PER_PIXEL = 2
"""Rows drawn for each row of the camera's picture: the road lies flat, so thin lines break up between rows first."""
_PIECES = 12
"""What runs along the road is cut into so many meshes, so that the camera draws only those before it."""
VEHICLE = "vehicle{}"


@dataclass(frozen=True, slots=True)
class World:
    """A compiled model and all that was drawn for it; ``geom_class`` (G,) indexes ``CLASSES``."""

    model: Any
    road: Road
    terrain: Terrain
    scene: Scene
    look: Look
    geom_class: NDArray[np.int32]


def make_world(settings: Settings, car: Car, scene_name: str, seed: int, *, drawn: bool) -> World:
    """Draw a world by seed; without ``drawn`` only what touches the car or reflects its rays is put in.

    Raises:
        SceneError: unknown scene, or no road for the seed.
    """
    scene = make_scene(scene_name, seed)
    road = scene.road
    terrain, look = make_terrain(seed, road, scene.steepest), make_look(seed)
    rng = np.random.default_rng([seed, 8])
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    option = spec.option
    option.timestep = settings.simulator.physics_step_s
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10.0
    _view(spec, settings, look)
    add_car(spec, car, friction=float(rng.uniform(0.9, 1.1)), load=float(rng.uniform(0.95, 1.05)))
    for index, actor in enumerate(scene.actors):
        add_body(spec, VEHICLE.format(index), actor.body)
    if drawn:
        _landscape(spec, road, terrain, look, seed)
        add_plants(spec, stand(seed, road, terrain, scene.clearings))
    model = spec.compile()
    return World(model, road, terrain, scene, look, _classes(model))


def _view(spec: Any, settings: Settings, look: Look) -> None:
    """Buffer size, clipping planes, fog and light."""
    light = LIGHTS[look.light]
    spec.stat.center, spec.stat.extent = [0, 0, 0], 10.0
    view = spec.visual
    view.global_.offwidth = settings.camera.width
    view.global_.offheight = settings.camera.height * ROWS_PER_PIXEL
    view.quality.offsamples, view.quality.shadowsize = 0, 0
    view.quality.numslices, view.quality.numstacks, view.quality.numquads = 8, 4, 1
    view.map.znear, view.map.zfar = 0.05, 70.0
    view.map.fogstart, view.map.fogend = light.fog[0] / 10, light.fog[1] / 10
    view.map.haze = 0.25
    view.rgba.haze = view.rgba.fog = [*look.horizon, 1.0]
    view.headlight.ambient, view.headlight.diffuse, view.headlight.specular = light.ambient, [0.0] * 3, [0.0] * 3
    sun = spec.worldbody.add_light(name="sun", type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, castshadow=False)
    sun.pos = [0, 0, 100]
    sun.dir = look.sunbeam
    sun.diffuse, sun.ambient, sun.specular = light.sun, [0.0] * 3, [0.1] * 3


def _landscape(spec: Any, road: Road, terrain: Terrain, look: Look, seed: int) -> None:
    sky = spec.add_texture(name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, width=64, height=384)
    sky.builtin = mujoco.mjtBuiltin.mjBUILTIN_GRADIENT
    sky.rgb1, sky.rgb2 = look.zenith, look.horizon
    for name, image in textures(look, seed).items():
        made = spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, nchannel=3)
        made.height, made.width, made.data = image.shape[0], image.shape[1], image.tobytes()
        material = spec.add_material(name=name, specular=0.0)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
        if name == "hills":
            material.emission = GLOW
    spec.add_material(name="bark", rgba=[*BARK, 1], specular=0.0)
    parts = [
        (f"{part.name}_{number}" if part.along else part.name, piece, part.material)
        for part in landscape(road, terrain, seed)
        for number, piece in enumerate(part.mesh.pieces(_PIECES) if part.along else [part.mesh])
    ]
    for name, mesh, material in parts:
        add_mesh(spec, name, mesh)
        spec.worldbody.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=name,
            material=material,
            contype=0,
            conaffinity=0,
            group=GROUP_GROUND,
        )


def _classes(model: Any) -> NDArray[np.int32]:
    prefixes = {"road": "road", "lines": "lines", "plant": "vegetation", "vehicle": "vehicles"}
    made = []
    for index in range(model.ngeom):
        name = model.geom(index).name
        made.append(next((kind for prefix, kind in prefixes.items() if name.startswith(prefix)), "ground"))
    return np.array([CLASSES.index(kind) for kind in made], np.int32)
