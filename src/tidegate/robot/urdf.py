# SPDX-License-Identifier: Apache-2.0
"""Read a robot description: joints with their limits, links with their inertia, from URDF or xacro."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import xacro

from tidegate.errors import RobotError
from tidegate.records import Floats
from tidegate.security.parse import LARGEST_XML, parse_xml, read_bounded

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class JointLimits:
    """Position [rad or m], ``effort`` [N·m or N] and ``velocity`` [rad/s or m/s] limits of one joint."""

    lower: float
    upper: float
    effort: float
    velocity: float


@dataclass(frozen=True, slots=True)
class Joint:
    """A joint: its ``xyz`` [m] and ``rpy`` [rad] in the parent link, its axis, and ``damping`` [N·m·s/rad].

    ``mimics`` names the joint that it follows, if any.
    """

    name: str
    kind: str
    parent: str
    child: str
    xyz: Vector
    rpy: Vector
    axis: Vector
    limits: JointLimits | None
    damping: float
    friction: float
    mimics: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A link: ``mass`` [kg], its centre ``com`` [m], diagonal ``inertia`` [kg·m²], the collision shape if any."""

    name: str
    mass: float
    com: Vector
    inertia: Vector
    shape: str
    size: tuple[float, ...]
    shape_xyz: Vector


@dataclass(frozen=True, slots=True)
class Description:
    """A parsed robot description; ``source`` is its file."""

    source: str
    name: str
    links: dict[str, Link]
    joints: dict[str, Joint]

    def joint(self, name: str) -> Joint:
        """Return a joint.

        Raises:
            RobotError: no such joint.
        """
        if name not in self.joints:
            raise RobotError(f"{self.source}: no joint '{name}'; it has {', '.join(sorted(self.joints))}")
        return self.joints[name]

    def link(self, name: str) -> Link:
        """Return a link.

        Raises:
            RobotError: no such link.
        """
        if name not in self.links:
            raise RobotError(f"{self.source}: no link '{name}'; it has {', '.join(sorted(self.links))}")
        return self.links[name]

    def limits(self, name: str) -> JointLimits:
        """Return the limits of a moving joint.

        Raises:
            RobotError: no such joint, or it has no limits.
        """
        limits = self.joint(name).limits
        if limits is None:
            raise RobotError(
                f"{self.source}: joint '{name}' has no <limit effort velocity>; every driven joint needs one"
            )
        return limits

    def origin(self, link: str) -> tuple[Vector, Vector]:
        """Position [m] and roll-pitch-yaw [rad] of a link that is fixed to ``base_link``.

        Raises:
            RobotError: no joint from ``base_link`` leads to it.
        """
        for joint in self.joints.values():
            if joint.child == link and joint.parent == "base_link":
                return joint.xyz, joint.rpy
        raise RobotError(f"{self.source}: link '{link}' is not mounted on base_link")

    def mounts(self) -> dict[str, tuple[Floats, Floats]]:
        """Rotation (3, 3) and position (3,) [m] in ``base_link`` of itself and of each link fixed to it."""
        made: dict[str, tuple[Floats, Floats]] = {"base_link": (np.eye(3), np.zeros(3))}
        for joint in self.joints.values():
            if joint.kind == "fixed" and joint.parent == "base_link":
                made[joint.child] = rotation(joint.rpy), np.array(joint.xyz)
        return made


def read_urdf(path: str | Path, arguments: Mapping[str, str] | None = None) -> str:
    """The URDF in a ``.urdf`` or ``.xacro`` file, the latter expanded, with its ``arguments`` by name.

    Raises:
        RobotError: no such file, or no XML.
    """
    path = Path(path)
    if not path.is_file():
        raise RobotError(f"{path}: no such robot description")
    try:
        document = (
            _expanded(path, arguments or {})
            if path.suffix == ".xacro"
            else read_bounded(path, LARGEST_XML).decode("utf-8")
        )
        parse_xml(document)
    except (ValueError, OSError) as error:
        raise RobotError(f"{path}: is no robot description: {' '.join(str(error).split())}") from error
    return document


def load_description(path: str | Path) -> Description:
    """Read a ``.urdf`` or ``.xacro`` file.

    Raises:
        RobotError: no such file, no URDF, or a number or attribute that is missing, naming file and element.
    """
    root = parse_xml(read_urdf(path))
    if root.tag != "robot":
        raise RobotError(f"{path}: root element is <{root.tag}>; it must be <robot>")
    source = str(path)
    links = {item.get("name", ""): _link(item, source) for item in root.findall("link")}
    joints = {item.get("name", ""): _joint(item, source) for item in root.findall("joint")}
    return Description(source, root.get("name", ""), links, joints)


def _expanded(path: Path, arguments: Mapping[str, str]) -> str:
    """The URDF that a xacro file stands for.

    Raises:
        ValueError: it cannot be expanded.
    """
    parse_xml(read_bounded(path, LARGEST_XML))  # no document type
    try:
        return str(xacro.process_file(str(path), mappings=dict(arguments)).toxml())
    except Exception as error:  # xacro evaluates Python, which may raise whatever it likes
        raise ValueError(f"{type(error).__name__}: {error}") from error


def rotation(rpy: Vector) -> Floats:
    """Rotation (3, 3) by roll, pitch, yaw [rad] about the fixed axes x, y, z, as URDF means them."""
    (a, b, c), (d, e, f) = (tuple(map(math.cos, rpy)), tuple(map(math.sin, rpy)))
    roll = np.array([[1, 0, 0], [0, a, -d], [0, d, a]])
    pitch = np.array([[b, 0, e], [0, 1, 0], [-e, 0, b]])
    turned: Floats = np.array([[c, -f, 0], [f, c, 0], [0, 0, 1]]) @ pitch @ roll
    return turned


def _number(element: ElementTree.Element, key: str, source: str, default: float | None = None) -> float:
    text = element.get(key)
    if text is None:
        if default is None:
            raise RobotError(f"{source}: <{element.tag}> lacks '{key}'")
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RobotError(f"{source}: <{element.tag} {key}='{text}'>; it must be a finite number")
    return value


def _vector(element: ElementTree.Element | None, key: str, source: str, default: Vector = (0.0, 0.0, 0.0)) -> Vector:
    if element is None or element.get(key) is None:
        return default
    try:
        x, y, z = (float(part) for part in (element.get(key) or "").split())
    except ValueError:
        x = y = z = math.nan
    if not all(map(math.isfinite, (x, y, z))):
        raise RobotError(f"{source}: <{element.tag} {key}='{element.get(key)}'>; it must be three numbers")
    return x, y, z


def _link(element: ElementTree.Element, source: str) -> Link:
    inertial = element.find("inertial")
    mass, com, inertia = 0.0, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    if inertial is not None:
        mass_element, tensor = inertial.find("mass"), inertial.find("inertia")
        if mass_element is None or tensor is None:
            raise RobotError(f"{source}: link '{element.get('name')}' has an <inertial> without <mass> or <inertia>")
        mass = _number(mass_element, "value", source)
        com = _vector(inertial.find("origin"), "xyz", source)
        inertia = (
            _number(tensor, "ixx", source),
            _number(tensor, "iyy", source),
            _number(tensor, "izz", source),
        )
    shape, shape_xyz = "", (0.0, 0.0, 0.0)
    size: tuple[float, ...] = ()
    collision = element.find("collision")
    if collision is not None:
        shape_xyz = _vector(collision.find("origin"), "xyz", source)
        geometry = collision.find("geometry")
        solid = next(iter(geometry), None) if geometry is not None else None
        if solid is not None:
            shape = solid.tag
            if shape == "box":
                size = _vector(solid, "size", source)
            elif shape == "cylinder":
                size = (_number(solid, "radius", source), _number(solid, "length", source))
    return Link(element.get("name", ""), mass, com, inertia, shape, size, shape_xyz)


def _joint(element: ElementTree.Element, source: str) -> Joint:
    name, kind = element.get("name", ""), element.get("type", "")
    parent, child = element.find("parent"), element.find("child")
    if parent is None or child is None:
        raise RobotError(f"{source}: joint '{name}' lacks <parent> or <child>")
    limit = element.find("limit")
    limits = None
    if limit is not None:
        endless = kind == "continuous"
        limits = JointLimits(
            -math.inf if endless else _number(limit, "lower", source, 0.0),
            math.inf if endless else _number(limit, "upper", source, 0.0),
            _number(limit, "effort", source),
            _number(limit, "velocity", source),
        )
    dynamics, mimic = element.find("dynamics"), element.find("mimic")
    return Joint(
        name,
        kind,
        parent.get("link", ""),
        child.get("link", ""),
        _vector(element.find("origin"), "xyz", source),
        _vector(element.find("origin"), "rpy", source),
        _vector(element.find("axis"), "xyz", source, (1.0, 0.0, 0.0)),
        limits,
        0.0 if dynamics is None else _number(dynamics, "damping", source, 0.0),
        0.0 if dynamics is None else _number(dynamics, "friction", source, 0.0),
        "" if mimic is None else mimic.get("joint", ""),
    )
