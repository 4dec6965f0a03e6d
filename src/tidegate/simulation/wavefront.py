# SPDX-License-Identifier: Apache-2.0
"""Meshes as Wavefront OBJ files, which Gazebo reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tidegate.records import Floats
from tidegate.simulation.meshes import Mesh


def write_obj(path: Path, mesh: Mesh) -> None:
    """Write ``mesh`` with normals and texture coordinates, lengths to a tenth of a millimetre."""
    lines = ["# SPDX-License-Identifier: Apache-2.0"]
    lines += ["v {:.4f} {:.4f} {:.4f}".format(*vertex) for vertex in mesh.vertices.tolist()]
    lines += ["vt {:.4f} {:.4f}".format(*place) for place in mesh.texture.tolist()]
    lines += ["vn {:.4f} {:.4f} {:.4f}".format(*normal) for normal in _normals(mesh).tolist()]
    lines += ["f {0}/{0}/{0} {1}/{1}/{1} {2}/{2}/{2}".format(*face) for face in (mesh.faces + 1).tolist()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_obj(path: Path) -> Mesh:
    """Read what ``write_obj`` wrote.

    Raises:
        ValueError: another kind of line.
    """
    kept: dict[str, list[list[float]]] = {"v": [], "vt": [], "vn": []}
    faces = []
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, *values = line.split()
        if kind == "f":
            faces.append([int(corner.split("/")[0]) - 1 for corner in values])
        elif kind != "#":
            if kind not in kept:
                raise ValueError(f"{path}: line '{line}' is none of v, vt, vn, f")
            kept[kind].append([float(value) for value in values])
    return Mesh(np.array(kept["v"]), np.array(kept["vt"]), np.array(faces, np.int32))


def _normals(mesh: Mesh) -> Floats:
    """Unit normals (V, 3) of the vertices: the mean of the faces around each, by area."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    total = np.zeros_like(mesh.vertices)
    for k in range(3):
        np.add.at(total, mesh.faces[:, k], across)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    normals: Floats = np.divide(total, length, out=np.tile([0.0, 0.0, 1.0], (len(total), 1)), where=length > 0)
    return normals
