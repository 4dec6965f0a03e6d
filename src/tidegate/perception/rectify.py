# SPDX-License-Identifier: Apache-2.0
"""The picture that the camera of the training would have taken, out of the real camera's.

Another focal length, principal point, distortion and direction of the camera are made up for exactly, pixel by pixel,
by one table: where a ray of the trained camera lands in the real picture. Another place cannot be: what is near would
have to move more than what is far.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import CameraView
from tidegate.errors import ImageError
from tidegate.perception.image import crop_rows
from tidegate.perception.lens import Lens
from tidegate.records import Floats
from tidegate.robot import rotation
from tidegate.settings.perception import PerceptionSettings

SAME_PX = 0.6
"""Pixels of the real picture by which it may be off before it is rectified. A picture's centre is told half a pixel
apart by who counts pixel centres as whole numbers (calibrations) and who counts their edges (Gazebo)."""
MISSING_SHARE = 0.1
"""Share of what the network looks at that the real picture may lack. It gets the colours of the picture's margin, as in
training, where up to a tenth at either side is smeared so (``learning.viewpoint``)."""
APART_M = 0.05
"""How far from the trained camera's place the real one may be [m]. By so much the lane's offset may then be off."""

OPTICAL = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
"""From the axes of ``camera_link`` (x ahead, y left, z up) to the optical frame's (x right, y down, z ahead)."""


class Rectifier:
    """A table for one lens on one mount.

    Attributes:
        missing: share of what the network looks at that is not in the real picture.
        turned_deg: angle between the axes of the two cameras' mounts.
        needed: whether the picture differs from the trained camera's at all, beyond ``SAME_PX``.
    """

    def __init__(self, view: CameraView, rpy: tuple[float, ...], lens: Lens, shape: PerceptionSettings) -> None:
        """Lay out the table.

        Args:
            view: of the camera that the network was trained with.
            rpy: of the real camera's mount [rad], as the URDF has it.
            lens: of the real camera.
            shape: the crop and the size of the network's input.

        Raises:
            ImageError: too much of what the network looks at is not in the real picture.
        """
        self._view, self._lens = view, lens
        self._turn = rotation((rpy[0], rpy[1], rpy[2])).T @ rotation((view.rpy[0], view.rpy[1], view.rpy[2]))
        self._rows = crop_rows(view.height, shape)
        self.turned_deg = math.degrees(math.acos(min(1.0, max(-1.0, (np.trace(self._turn) - 1) / 2))))
        width, height = shape.input_width, shape.input_height
        u, v = self._sources(width, height)
        inside = (u >= -0.5) & (u <= lens.width - 0.5) & (v >= -0.5) & (v <= lens.height - 0.5)
        self.missing = 1 - float(inside.mean())
        first, last = crop_rows(lens.height, shape)
        plain_u = (np.arange(width) + 0.5) * lens.width / width - 0.5
        plain_v = first + (np.arange(height)[:, None] + 0.5) * (last - first) / height - 0.5
        self.needed = not bool((np.abs(u - plain_u) <= SAME_PX).all() and (np.abs(v - plain_v) <= SAME_PX).all())
        if not self.needed:
            return
        if self.missing > MISSING_SHARE:
            raise ImageError(
                f"the camera does not show {self.missing:.0%} of what the network was trained to look at; at most "
                f"{MISSING_SHARE:.0%} may be missing (its mount is turned by {self.turned_deg:.1f}°, "
                f"its focal length is {lens.k[1, 1]:.1f} of {lens.height} px)"
            )
        # as fine as the real picture, which is averaged when it is shrunk; not finer than it could ever be
        focal = view.height / 2 / math.tan(math.radians(view.fov_deg) / 2)
        most = 2 * max(lens.width / view.width, lens.height / view.height)
        fine = max(1.0, min(float(lens.k[1, 1]) / focal, most))
        size = round(view.width * fine), round((self._rows[1] - self._rows[0]) * fine)
        u, v = self._sources(*size)
        self._u, self._v = (
            np.clip(np.nan_to_num(one, nan=-1.0), -1.0, limit).astype(np.float32)
            for one, limit in ((u, lens.width), (v, lens.height))
        )
        self._table = cv2.convertMaps(self._u, self._v, cv2.CV_16SC2)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The cropped picture of the trained camera (h, w, 3) from the real one (H, W, 3), which is ``needed``."""
        taken = cv2.remap(image, *self._table, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(taken, np.uint8)

    def back(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values over the network's input (h, w) laid over the real picture (H, W); zero where it does not look."""
        height, width = self._u.shape
        fine = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
        placed = np.zeros((self._lens.height, self._lens.width), np.float32)
        column, row = np.rint(self._u).astype(int), np.rint(self._v).astype(int)
        inside = (column >= 0) & (column < self._lens.width) & (row >= 0) & (row < self._lens.height)
        np.maximum.at(placed, (row[inside], column[inside]), fine[inside])
        # where the real picture is finer than the table single pixels stay empty
        return np.asarray(cv2.morphologyEx(placed, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)), np.float32)

    def _sources(self, width: int, height: int) -> tuple[Floats, Floats]:
        """Column and row (height, width) in the real picture of a grid over the trained camera's cropped picture."""
        view, (top, bottom) = self._view, self._rows
        focal = view.height / 2 / math.tan(math.radians(view.fov_deg) / 2)
        across = ((np.arange(width) + 0.5) * view.width / width - view.width / 2) / focal
        down = (top + (np.arange(height) + 0.5) * (bottom - top) / height - view.height / 2) / focal
        right, below = np.meshgrid(across, down)
        seen = np.stack([np.ones_like(right), -right, -below])  # in the axes of the trained camera's mount
        return self._lens.project(np.tensordot(OPTICAL @ self._turn, seen, 1))
