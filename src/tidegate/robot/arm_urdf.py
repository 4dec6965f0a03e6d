# SPDX-License-Identifier: Apache-2.0
"""Arm descriptions as others write them: found by package, without meshes, with what does not move locked."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from tidegate.errors import RobotError
from tidegate.robot.urdf import Description, read_urdf
from tidegate.security.parse import parse_xml
from tidegate.settings.arm import PACKAGE


def find_urdf(path: str) -> str:
    """The file of ``package://NAME/FILE``; any other path as it is.

    Looked for in ``share/NAME`` of each prefix in ``AMENT_PREFIX_PATH`` and of wheels that bring their data in
    ``cmeel.prefix``, and in NAME of each folder in ``ROS_PACKAGE_PATH``.

    Raises:
        RobotError: no such package, or no such file in it.
    """
    if not path.startswith(PACKAGE):
        return path
    name, _, rest = path.removeprefix(PACKAGE).partition("/")
    found = [folder for folder in _packages(name) if folder.is_dir()]
    if not found:
        raise RobotError(
            f"{path}: no package '{name}' in AMENT_PREFIX_PATH, in ROS_PACKAGE_PATH or beside Python's packages; "
            "install it, or name the file itself in 'arm.urdf'"
        )
    for folder in found:
        if (folder / rest).is_file():
            return str(folder / rest)
    raise RobotError(f"{path}: package '{name}' in {found[0]} has no file '{rest}'")


def read_arm_urdf(path: str, locked: tuple[str, ...] = ()) -> str:
    """The URDF for a solver of dynamics: joints that are ``locked`` fixed at 0, and no shape that is a mesh.

    Meshes are often in formats or places that a solver cannot read; nothing here uses their shapes, for masses and
    inertias are the links' own.

    Raises:
        RobotError: no such file, or no XML.
    """
    root = parse_xml(read_urdf(path))
    for joint in root.findall("joint"):
        if joint.get("name") in locked:
            joint.set("type", "fixed")
            for part in ("axis", "limit", "mimic", "dynamics", "safety_controller"):
                for element in joint.findall(part):
                    joint.remove(element)
    for link in root.findall("link"):
        for shape in (*link.findall("visual"), *link.findall("collision")):
            if shape.find("geometry/mesh") is not None:
                link.remove(shape)
    return ElementTree.tostring(root, encoding="unicode")


def check_masses(description: Description, joints: tuple[str, ...], locked: tuple[str, ...]) -> None:
    """That each joint moves a mass, so that there is an acceleration to bound, and that none is negative.

    Raises:
        RobotError: a joint's link, with all that is fixed to it, has none; or a link's mass or inertia is below 0.
    """
    for link in description.links.values():
        if min(link.mass, *link.inertia) < 0:
            raise RobotError(
                f"{description.source}: link '{link.name}' has mass {link.mass:g} and inertia {link.inertia}; none of "
                "these may be below 0"
            )
    still = [joint for joint in description.joints.values() if joint.kind == "fixed" or joint.name in locked]
    for name in joints:
        body = {description.joint(name).child}
        for _ in still:
            body |= {joint.child for joint in still if joint.parent in body}
        if not sum(description.link(link).mass for link in body) > 0:
            raise RobotError(
                f"{description.source}: link '{description.joint(name).child}', which joint '{name}' moves, has no "
                "<inertial> with a mass above 0, nor has anything that is fixed to it"
            )


def _packages(name: str) -> Iterator[Path]:
    for prefix in filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)):
        yield Path(prefix) / "share" / name
    for folder in filter(None, os.environ.get("ROS_PACKAGE_PATH", "").split(os.pathsep)):
        yield Path(folder) / name
    for folder in filter(None, sys.path):
        yield Path(folder) / "cmeel.prefix" / "share" / name
