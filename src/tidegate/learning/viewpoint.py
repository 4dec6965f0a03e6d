# SPDX-License-Identifier: Apache-2.0
"""What the camera would have seen from a place beside: the ground is moved as a plane, what is higher is turned only.

An expert's drive shows few poses in the lane, and those together with what the expert does about them; a network then
guesses the heading from the offset. Moved views show every pose (as in Bojarski et al. 2016, section 3).
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.learning.recipe import AugmentRecipe
from tidegate.perception.image import crop_rows
from tidegate.robot import Car, rotation
from tidegate.settings import Settings

FARTHEST = 80.0
"""Ground beyond this [m] is turned only."""


MARGIN = 10
"""The widest margin is one part in this many of the image."""


class Viewpoint:
    """The camera's geometry at the size of the network's input."""

    def __init__(self, settings: Settings) -> None:
        """Read the camera's mount off the URDF, its lens and the crop off the settings."""
        camera, shape = settings.camera, settings.perception
        (self._x, self._y, self._z), rpy = Car.from_settings(settings).description.origin("camera_link")
        self._mount = rotation(rpy).astype(np.float32)
        top, bottom = crop_rows(camera.height, shape)
        focal = camera.height / 2 / math.tan(math.radians(camera.fov_deg) / 2)
        self._scale = np.array([shape.input_width / camera.width, shape.input_height / (bottom - top)])
        self._focal = focal * self._scale
        self._centre = np.array([camera.width / 2, camera.height / 2 - top]) * self._scale
        u, v = np.meshgrid(np.arange(shape.input_width) + 0.5, np.arange(shape.input_height) + 0.5)
        across, down = (u - self._centre[0]) / self._focal[0], (v - self._centre[1]) / self._focal[1]
        # rays of the pixels in the car's axes: forward, left, up
        rays = np.stack([np.ones_like(across), -across, -down])
        self._rays = np.tensordot(rotation(rpy), rays, 1).astype(np.float32)

    def move(
        self,
        images: NDArray[np.uint8],
        lane: NDArray[np.float32],
        left: NDArray[np.float64],
        turn: NDArray[np.float64],
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Images and lane labels of a car that stands elsewhere in its lane.

        Args:
            images: (M, h, w, 3) uint8.
            lane: (M, 2 + K) offset [m], heading [rad], curvatures.
            left: (M,) how far ``base_link`` moves to its left [m].
            turn: (M,) how far the car then turns, counter-clockwise [rad].
        """
        moved = np.empty_like(images)
        for index, (source, shift, angle) in enumerate(zip(images, left, turn, strict=True)):
            u, v = self._source(float(shift), float(angle))
            cv2.remap(source, u, v, cv2.INTER_LINEAR, dst=moved[index], borderMode=cv2.BORDER_REPLICATE)
        labels = lane.copy()
        labels[:, 0] += (left * np.cos(lane[:, 1])).astype(np.float32)
        labels[:, 1] += turn.astype(np.float32)
        return moved, labels

    def disturb(
        self,
        images: NDArray[np.uint8],
        lane: NDArray[np.float32],
        recipe: AugmentRecipe,
        random: np.random.Generator,
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Move some of the views at random; see ``move`` for shapes.

        A moved view has a smeared margin. All views get margins of random width, lest the network reads the turn off
        them.
        """
        count = len(images)
        chosen = random.random(count) < recipe.move_share
        left = np.where(chosen, np.clip(random.normal(0, recipe.move_offset, count), *_within(recipe.move_offset)), 0.0)
        turn = np.where(chosen, np.clip(random.normal(0, recipe.move_yaw, count), *_within(recipe.move_yaw)), 0.0)
        moved, labels = self.move(images, lane, left, turn)
        widest = images.shape[2] // MARGIN
        for index, (first, last) in enumerate(random.integers(0, widest + 1, (count, 2))):
            moved[index, :, :first] = moved[index, :, first : first + 1]
            moved[index, :, images.shape[2] - last :] = moved[index, :, images.shape[2] - last - 1, None]
        return moved, labels

    def _source(self, left: float, turn: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Column and row (h, w) in the old image of what each pixel of the new one shows."""
        sine, cosine = np.float32(math.sin(turn)), np.float32(math.cos(turn))
        ahead = cosine * self._rays[0] - sine * self._rays[1]
        aside = sine * self._rays[0] + cosine * self._rays[1]
        up = self._rays[2]
        reach = np.where(up < -self._z / FARTHEST, -np.float32(self._z) / up, np.float32(np.inf))
        # the old camera sees the same ground point at ray + (new camera − old camera) / reach
        x, y = self._x, self._y
        ahead = ahead + np.float32(x * (math.cos(turn) - 1) - y * math.sin(turn)) / reach
        aside = aside + np.float32(left + x * math.sin(turn) + y * (math.cos(turn) - 1)) / reach
        depth, across, above = np.tensordot(self._mount.T, np.stack([ahead, aside, up]), 1)
        depth = np.maximum(depth, np.float32(0.05))
        u = self._centre[0] - self._focal[0] * across / depth - 0.5
        v = self._centre[1] - self._focal[1] * above / depth - 0.5
        return u.astype(np.float32), v.astype(np.float32)


def _within(spread: float) -> tuple[float, float]:
    """Draws beyond 2.5 standard deviations would leave the lane."""
    return -2.5 * spread, 2.5 * spread
