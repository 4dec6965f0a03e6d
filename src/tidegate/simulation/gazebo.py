# SPDX-License-Identifier: Apache-2.0
"""The embedded world's road, ground, plants and light of a seed as a world for Gazebo (SDFormat 1.9)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from tidegate.errors import SceneError
from tidegate.robot import GRAVITY
from tidegate.security.parse import LARGEST_XML, parse_xml, read_bounded
from tidegate.settings import Settings
from tidegate.simulation.appearance import BARK, GLOW, LIGHTS, Colour, Look, make_look, textures
from tidegate.simulation.landscape import landscape
from tidegate.simulation.scene import Scene, make_scene
from tidegate.simulation.terrain import Terrain, make_terrain
from tidegate.simulation.vegetation import TRUNK_RADIUS, Standing, stand
from tidegate.simulation.wavefront import write_obj

Pose = tuple[float, float, float, float, float, float]
"""x, y, z [m], roll, pitch, yaw [rad]."""

START = "start"
"""Frame of the world in which the car's ``base_link`` stands before it drives off."""
SOLID = ("road", "ground_left", "ground_right", "ground")
SYSTEMS = {
    "gz-sim-physics-system": "gz::sim::systems::Physics",
    "gz-sim-user-commands-system": "gz::sim::systems::UserCommands",
    "gz-sim-scene-broadcaster-system": "gz::sim::systems::SceneBroadcaster",
    "gz-sim-imu-system": "gz::sim::systems::Imu",
    "gz-sim-sensors-system": "gz::sim::systems::Sensors",
}


def write_world(settings: Settings, scene_name: str, seed: int, out: Path) -> Path:
    """Write ``out/world.sdf`` with its meshes and textures; the file's path.

    Raises:
        SceneError: unknown scene, no road for the seed, a scene with vehicles, or a folder that is not empty.
    """
    scene = make_scene(scene_name, seed)
    if scene.actors:
        raise SceneError(
            f"scene '{scene_name}' has vehicles, which Gazebo would not move; take one without, such as road"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SceneError(f"{out}: is there already; name a folder that is absent or empty")
    for folder in ("meshes", "textures"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    terrain, look = make_terrain(seed, scene.road, scene.steepest), make_look(seed)
    for name, image in textures(look, seed).items():
        cv2.imwrite(str(out / "textures" / f"{name}.png"), image[..., ::-1])
    root = ElementTree.Element("sdf", version="1.9")
    world = ElementTree.SubElement(root, "world", name=f"{scene_name}_{seed}")
    _physics(world, settings)
    _light(world, look)
    frame = ElementTree.SubElement(world, "frame", name=START)
    _pose(frame, start_pose(scene, terrain))
    _landscape(world, out, scene, terrain, seed)
    _plants(world, out, scene, terrain, seed)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(out / "world.sdf", encoding="utf-8", xml_declaration=True)
    return out / "world.sdf"


def start_pose(scene: Scene, terrain: Terrain) -> Pose:
    """Where the embedded world stands the car: in its lane, upright on the slope."""
    x, y, yaw = scene.road.point(scene.start)
    position, orientation = terrain.frames(np.array([[x, y]]), [yaw])
    (qw, qx, qy, qz), z = orientation[0].tolist(), float(position[0, 2])
    roll = math.atan2(2 * (qw * qx + qy * qz), 1 - 2 * (qx * qx + qy * qy))
    pitch = math.asin(2 * (qw * qy - qz * qx))
    turned = math.atan2(2 * (qw * qz + qx * qy), 1 - 2 * (qy * qy + qz * qz))
    return x, y, z, roll, pitch, turned


def read_start(world: Path) -> Pose:
    """The start that ``write_world`` put into ``world``.

    Raises:
        SceneError: no such file, no XML, or no frame ``start`` with a pose in it.
    """
    try:
        found = parse_xml(read_bounded(world, LARGEST_XML)).find(f"world/frame[@name='{START}']/pose")
        x, y, z, roll, pitch, yaw = (float(value) for value in ((found is not None and found.text) or "").split())
    except (OSError, ValueError) as error:
        raise SceneError(f"{world}: has no frame '{START}' with a pose; make it with 'tidegate world'") from error
    return x, y, z, roll, pitch, yaw


def _physics(world: ElementTree.Element, settings: Settings) -> None:
    physics = ElementTree.SubElement(world, "physics", name="step", type="dart")
    _text(physics, "max_step_size", settings.simulator.physics_step_s)
    _text(physics, "real_time_factor", 1.0)
    for file, name in SYSTEMS.items():
        system = ElementTree.SubElement(world, "plugin", filename=file, name=name)
        if name.endswith("Sensors"):
            _text(system, "render_engine", "ogre2")
    _text(world, "gravity", 0.0, 0.0, -GRAVITY)


def _light(world: ElementTree.Element, look: Look) -> None:
    light = LIGHTS[look.light]
    scene = ElementTree.SubElement(world, "scene")
    _text(scene, "ambient", *light.ambient, 1.0)
    _text(scene, "background", *look.horizon, 1.0)
    _text(scene, "shadows", "false")
    sun = ElementTree.SubElement(world, "light", name="sun", type="directional")
    _text(sun, "cast_shadows", "false")
    _text(sun, "diffuse", *np.clip(light.sun, 0, 1), 1.0)  # SDFormat's colours end at 1
    _text(sun, "specular", 0.1, 0.1, 0.1, 1.0)
    _text(sun, "direction", *look.sunbeam)


def _landscape(world: ElementTree.Element, out: Path, scene: Scene, terrain: Terrain, seed: int) -> None:
    link = _static(world, "landscape")
    for part in landscape(scene.road, terrain, seed):
        write_obj(out / "meshes" / f"{part.name}.obj", part.mesh)
        if part.name in SOLID:
            collision = ElementTree.SubElement(link, "collision", name=part.name)
            _mesh(collision, part.name)
            friction = ElementTree.SubElement(collision, "surface")
            ode = ElementTree.SubElement(ElementTree.SubElement(friction, "friction"), "ode")
            _text(ode, "mu", 1.0)
            _text(ode, "mu2", 1.0)
        visual = ElementTree.SubElement(link, "visual", name=part.name)
        _mesh(visual, part.name)
        _material(visual, texture=part.material, glow=GLOW if part.material == "hills" else 0.0)


def _plants(world: ElementTree.Element, out: Path, scene: Scene, terrain: Terrain, seed: int) -> None:
    link, vegetation = _static(world, "plants"), stand(seed, scene.road, terrain, scene.clearings)
    for name, mesh in vegetation.meshes.items():
        write_obj(out / "meshes" / f"{name}.obj", mesh)
    for index, one in enumerate(vegetation.standing):
        visual = ElementTree.SubElement(link, "visual", name=f"plant_{index}")
        _pose(visual, (*one.position, 0.0, 0.0, one.yaw))
        _shape(visual, one)


def _shape(visual: ElementTree.Element, one: Standing) -> None:
    if one.mesh:
        _mesh(visual, one.mesh)
        _material(visual, texture=one.material)
        return
    cylinder = ElementTree.SubElement(ElementTree.SubElement(visual, "geometry"), "cylinder")
    _text(cylinder, "radius", TRUNK_RADIUS)
    _text(cylinder, "length", one.height)
    _material(visual, colour=BARK)


def _static(world: ElementTree.Element, name: str) -> ElementTree.Element:
    model = ElementTree.SubElement(world, "model", name=name)
    _text(model, "static", "true")
    return ElementTree.SubElement(model, "link", name=name)


def _mesh(element: ElementTree.Element, name: str) -> None:
    mesh = ElementTree.SubElement(ElementTree.SubElement(element, "geometry"), "mesh")
    _text(mesh, "uri", f"meshes/{name}.obj")


def _material(
    visual: ElementTree.Element, *, texture: str = "", colour: Colour = (1.0, 1.0, 1.0), glow: float = 0.0
) -> None:
    """Dull all over; ``glow`` is light of its own."""
    material = ElementTree.SubElement(visual, "material")
    for kind in ("ambient", "diffuse"):
        _text(material, kind, *colour, 1.0)
    _text(material, "specular", 0.0, 0.0, 0.0, 1.0)
    if glow:
        _text(material, "emissive", glow, glow, glow, 1.0)
    if texture:
        metal = ElementTree.SubElement(ElementTree.SubElement(material, "pbr"), "metal")
        _text(metal, "albedo_map", f"textures/{texture}.png")
        _text(metal, "roughness", 1.0)
        _text(metal, "metalness", 0.0)


def _pose(element: ElementTree.Element, pose: Iterable[float]) -> None:
    _text(element, "pose", *pose)


def _text(parent: ElementTree.Element, tag: str, *values: float | str) -> None:
    words = (value if isinstance(value, str) else f"{float(value):.9g}" for value in values)
    ElementTree.SubElement(parent, tag).text = " ".join(words)
