# SPDX-License-Identifier: Apache-2.0
"""Smooth hills: height, gradient and where rays meet the ground, all from one analytic sum of waves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tidegate.records import Floats
from tidegate.simulation.road import Road


@dataclass(frozen=True, slots=True)
class Terrain:
    """z(x, y) = Σ a cos(kx x + ky y + φ): ``wave`` (K, 2) [rad/m], ``amplitude`` (K,) [m], ``phase`` (K,) [rad]."""

    wave: Floats
    amplitude: Floats
    phase: Floats

    def height(self, x: Floats, y: Floats) -> Floats:
        """Height [m] at points of any one shape."""
        angle = np.multiply.outer(x, self.wave[:, 0]) + np.multiply.outer(y, self.wave[:, 1]) + self.phase
        z: Floats = np.cos(angle) @ self.amplitude
        return z

    def planes(self, xy: Floats) -> Floats:
        """Height [m] and slopes dz/dx, dz/dy at points (M, 2): (M, 3)."""
        angle = xy.dot(self.wave.T) + self.phase  # for so few numbers a call of @ costs twice as much
        made = np.empty((len(xy), 3))
        made[:, 0] = np.cos(angle).dot(self.amplitude)
        made[:, 1:] = (np.sin(angle) * -self.amplitude).dot(self.wave)
        return made

    def frames(self, xy: Floats, yaw: Sequence[float]) -> tuple[Floats, Floats]:
        """Positions (M, 3) on the ground and orientations (M, 4) (w, x, y, z) of things that point along ``yaw``."""
        planes = self.planes(xy)
        position = np.empty((len(xy), 3))
        position[:, :2], position[:, 2] = xy, planes[:, 0]
        turned = [upright(heading, dx, dy) for heading, (_, dx, dy) in zip(yaw, planes.tolist(), strict=True)]
        return position, np.array(turned).reshape(-1, 4)

    def first_hits(self, origin: Floats, rays: Floats, reach: float) -> Floats:
        """Distance (R,) [m] at which unit rays (R, 3) from ``origin`` (3,) first meet the ground; inf beyond reach."""
        stride = 8.0
        steps = np.arange(0.0, reach + stride, stride)
        above = origin[2] + steps[:, None] * rays[:, 2] - self._heights_along(origin, rays, stride, len(steps))
        below = above < 0
        first = np.argmax(below, axis=0)
        ray = np.flatnonzero(below.any(axis=0) & (first > 0))
        distance: Floats = np.full(len(rays), np.inf)
        if len(ray):
            before, after = above[first[ray] - 1, ray], above[first[ray], ray]
            sinking = (before - after) / stride
            guess = steps[first[ray] - 1] + before / sinking
            for _ in range(2):  # the ground bends little within a stride: two secant steps leave millimetres
                spot = origin + guess[:, None] * rays[ray]
                guess += (spot[:, 2] - self.height(spot[:, 0], spot[:, 1])) / sinking
            distance[ray] = np.where(guess <= reach, guess, np.inf)
        return distance

    def _heights_along(self, origin: Floats, rays: Floats, stride: float, count: int) -> Floats:
        """Heights (count, R) below points ``stride`` [m] apart on each ray: each wave is a phasor that turns evenly."""
        phasor = np.exp(1j * (origin[:2] @ self.wave.T + self.phase)) * np.ones((len(rays), 1))
        turn = np.exp(1j * stride * (rays[:, :2] @ self.wave.T))
        heights = np.empty((count, len(rays)))
        for row in heights:
            row[:] = phasor.real @ self.amplitude
            phasor *= turn
        return heights


def upright(yaw: float, dx: float, dy: float) -> tuple[float, float, float, float]:
    """Unit quaternion (w, x, y, z) of a thing turned by ``yaw`` [rad] and then tilted onto a slope (dz/dx, dz/dy).

    The tilt is the shortest rotation from (0, 0, 1) to the normal (−dx, −dy, 1).
    """
    length = math.sqrt(1 + dx * dx + dy * dy)
    half = math.sqrt((1 + 1 / length) / 2)
    scale = 1 / (2 * half * length)
    tilt_x, tilt_y = dy * scale, -dx * scale  # axis z × n
    c, s = math.cos(yaw / 2), math.sin(yaw / 2)
    return half * c, tilt_x * c + tilt_y * s, tilt_y * c - tilt_x * s, half * s


def make_terrain(seed: int, road: Road, steepest: float, waves: int = 10) -> Terrain:
    """Draw hills whose gradient along and across the road stays within ``steepest`` (rise over run)."""
    rng = np.random.default_rng([seed, 2])
    direction = rng.uniform(0, 2 * np.pi, waves)
    length = rng.uniform(130.0, 380.0, waves)
    wave = (2 * np.pi / length)[:, None] * np.stack([np.cos(direction), np.sin(direction)], axis=1)
    rough = Terrain(wave, length * rng.uniform(0.3, 1.0, waves), rng.uniform(0, 2 * np.pi, waves))
    angle = road.xy @ wave.T + rough.phase
    slope = np.linalg.norm(-(rough.amplitude * np.sin(angle)) @ wave, axis=1)
    scale = steepest * rng.uniform(0.35, 1.0) / slope.max()
    return Terrain(wave, rough.amplitude * scale, rough.phase)
