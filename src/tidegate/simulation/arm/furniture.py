# SPDX-License-Identifier: Apache-2.0
"""What stands around the arm, by seed how it looks: floor, table, light, the camera that looks on. Nothing touches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.records import Floats
from tidegate.simulation.engine import mujoco

Colour = tuple[float, float, float]

FLOOR = -0.45
"""Height of the floor below the arm's foot [m]."""
TABLE_CENTRE, TABLE_HALF = (0.56, 0.0), (0.30, 0.48)
"""x, y of the table's top [m]."""
EYE, LOOK_AT = (1.55, -0.66, 1.05), (0.36, 0.0, 0.36)
"""Where the camera stands and what it looks at [m]."""
FOV_DEG = 42.0
CLOSER_LOOK_AT, CLOSER_FOV_DEG = (0.36, 0.0, 0.345), 23.0
"""Of the camera for a policy, from the same place: what the tool goes to, on the table and above it."""
SHADOWS = {"front": 1024, "closer": 256}
"""Texels along a side of the map of shadows, by camera; a fine one takes most of the time of a small picture."""
SUN = 1.1
"""Its elevation [rad]."""
WOOD: tuple[Colour, ...] = ((0.72, 0.56, 0.38), (0.55, 0.41, 0.28), (0.82, 0.74, 0.62), (0.74, 0.76, 0.76))
GROUND: tuple[Colour, ...] = ((0.42, 0.44, 0.47), (0.55, 0.53, 0.49), (0.33, 0.38, 0.40))
LINK, JOINT, STEEL = (0.90, 0.90, 0.88), (0.20, 0.22, 0.25), (0.60, 0.62, 0.65)
SKIN, SLEEVE = (0.87, 0.66, 0.53), (0.24, 0.36, 0.55)
SIGNAL: Colour = (0.93, 0.38, 0.10)
"""Of what the arm is to look at."""


@dataclass(frozen=True, slots=True)
class ArmLook:
    """What a seed decides about appearance; ``noise`` [grey levels]."""

    wood: Colour
    ground: Colour
    sun_azimuth: float
    brightness: float
    noise: float


def make_look(seed: int) -> ArmLook:
    """Draw an appearance."""
    rng = np.random.default_rng([seed, 31])
    return ArmLook(
        wood=WOOD[rng.integers(len(WOOD))],
        ground=GROUND[rng.integers(len(GROUND))],
        sun_azimuth=float(rng.uniform(-2.4, 0.6)),
        brightness=float(np.exp(rng.normal(0, 0.08))),
        noise=float(rng.uniform(1.0, 3.0)),
    )


def furnish(spec: Any, look: ArmLook, top: float) -> None:
    """Room, table with its ``top`` [m] above the arm's foot, light, camera, and the arm's colours."""
    _view(spec, look)
    world = spec.worldbody
    box, cylinder = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER
    world.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.1], pos=[0, 0, FLOOR], material="floor")
    world.add_geom(type=cylinder, size=[0.10, -FLOOR / 2, 0], pos=[0, 0, FLOOR / 2], rgba=opaque(JOINT))
    (x, y), (wide, long) = TABLE_CENTRE, TABLE_HALF
    world.add_geom(type=box, size=[wide, long, 0.015], pos=[x, y, top - 0.015], material="table")
    high = (top - 0.03 - FLOOR) / 2
    for side in (-1, 1):
        for end in (-1, 1):
            leg = [x + side * (wide - 0.03), y + end * (long - 0.03), FLOOR + high]
            world.add_geom(type=box, size=[0.02, 0.02, high], pos=leg, rgba=opaque(STEEL))
    _paint_arm(spec)


def opaque(colour: Colour) -> list[float]:
    """As RGBA."""
    return [*colour, 1.0]


def aim(eye: Floats, target: Floats) -> list[float]:
    """``xyaxes`` (6,) of a camera at ``eye`` (3,) that looks at ``target`` (3,), upright."""
    back = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    return [*right.tolist(), *np.cross(back, right).tolist()]


def pixels(places: Floats, width: int, height: int) -> Floats:
    """Where ``places`` (…, 3) [m] are in a picture of the camera for a policy (…, 2) [px]: from the upper left corner
    to the right and down."""
    eye = np.array(EYE)
    right, up = np.array(aim(eye, np.array(CLOSER_LOOK_AT))).reshape(2, 3)
    away = places - eye
    depth = away @ np.cross(up, right)
    scale = height / 2 / math.tan(math.radians(CLOSER_FOV_DEG) / 2)
    x, y = (scale * (away @ axis) / depth for axis in (right, -up))
    found: Floats = np.stack((width / 2 + x, height / 2 + y), axis=-1)
    return found


def _view(spec: Any, look: ArmLook) -> None:
    """Clipping planes, light, materials and camera."""
    spec.stat.center, spec.stat.extent = [0.4, 0, 0.2], 1.5
    spec.visual.map.znear, spec.visual.map.zfar = 0.05, 40.0
    spec.visual.quality.offsamples = 0
    spec.visual.quality.numslices, spec.visual.quality.numstacks = 20, 10
    light = look.brightness
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [0.34 * light] * 3, [0.18 * light] * 3
    spec.visual.headlight.specular = [0.0] * 3
    flat = math.cos(SUN)
    beam = np.array([-flat * math.cos(look.sun_azimuth), -flat * math.sin(look.sun_azimuth), -math.sin(SUN)])
    sun = spec.worldbody.add_light(name="sun", type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, castshadow=True)
    sun.dir, sun.pos = beam, np.array(LOOK_AT) - 2.0 * beam  # its shadows are reckoned around where it shines from
    spec.visual.map.shadowclip = 1.6
    sun.diffuse, sun.specular = [0.55 * light] * 3, [0.15] * 3
    spec.add_material(name="floor", rgba=opaque(look.ground), specular=0.0)
    spec.add_material(name="table", rgba=opaque(look.wood), specular=0.1)
    for name, target, fov in (("front", LOOK_AT, FOV_DEG), ("closer", CLOSER_LOOK_AT, CLOSER_FOV_DEG)):
        axes = aim(np.array(EYE), np.array(target))
        spec.worldbody.add_camera(name=name, pos=list(EYE), xyaxes=axes, fovy=fov)


def _paint_arm(spec: Any) -> None:
    """Light links, dark joints, a steel tool."""
    sphere = mujoco.mjtGeom.mjGEOM_SPHERE
    for body in spec.bodies:
        for geom in body.geoms:
            if body.name != "world" and geom.type == mujoco.mjtGeom.mjGEOM_CYLINDER:
                geom.rgba = opaque(LINK)
                if body.name != "base_link":
                    body.add_geom(type=sphere, size=[1.12 * geom.size[0], 0, 0], rgba=opaque(JOINT), mass=0)
    tool = spec.body("tool")
    for geom in tool.geoms:
        geom.rgba = opaque(STEEL)
    rod = [0.0, 0.0, -0.10, 0.0, 0.0, -0.012]
    tool.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[0.008, 0, 0], fromto=rod, rgba=opaque(STEEL), mass=0)
