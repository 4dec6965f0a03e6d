# SPDX-License-Identifier: Apache-2.0
"""Smooth hills: height, gradient and where rays meet the ground, all from one analytic sum of waves."""

from __future__ import annotations

import math
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

    def plane(self, x: float, y: float) -> tuple[float, float, float]:
        """Height [m] and slope (dz/dx, dz/dy) at one point."""
        angle = self.wave[:, 0] * x + self.wave[:, 1] * y + self.phase
        slope = -(self.amplitude * np.sin(angle)) @ self.wave
        return float(np.cos(angle) @ self.amplitude), float(slope[0]), float(slope[1])

    def frame(self, x: float, y: float, yaw: float) -> tuple[Floats, Floats]:
        """Position (3,) on the ground and orientation (w, x, y, z) of a thing standing there, pointing along ``yaw``."""
        z, dx, dy = self.plane(x, y)
        up = np.array([-dx, -dy, 1.0]) / math.sqrt(1 + dx * dx + dy * dy)
        ahead = np.array([math.cos(yaw), math.sin(yaw), 0.0])
        ahead -= up * (up @ ahead)
        ahead /= math.sqrt(float(ahead @ ahead))
        return np.array([x, y, z]), quaternion(ahead, up)

    def first_hits(self, origin: Floats, rays: Floats, reach: float) -> Floats:
        """Distance (R,) [m] at which unit rays (R, 3) from ``origin`` (3,) first meet the ground; inf beyond reach."""
        steps = np.arange(0.0, reach + 4.0, 4.0)
        at = origin + steps[:, None, None] * rays
        above = at[..., 2] - self.height(at[..., 0], at[..., 1])
        below = above < 0
        first = np.argmax(below, axis=0)
        hit = below.any(axis=0) & (first > 0)
        ray = np.flatnonzero(hit)
        distance: Floats = np.full(len(rays), np.inf)
        if len(ray):
            before, after = above[first[ray] - 1, ray], above[first[ray], ray]
            guess = steps[first[ray] - 1] + 4.0 * before / (before - after)
            spot = origin + guess[:, None] * rays[ray]
            error = spot[:, 2] - self.height(spot[:, 0], spot[:, 1])
            guess += 4.0 * error / (before - after)  # one secant step: the ground bends little within 4 m
            distance[ray] = np.where(guess <= reach, guess, np.inf)
        return distance


def quaternion(ahead: Floats, up: Floats) -> Floats:
    """Unit quaternion (w, x, y, z) whose x axis is ``ahead`` and z axis ``up`` (orthonormal, with w > 0 or near it)."""
    left = np.cross(up, ahead)
    trace = ahead[0] + left[1] + up[2]
    if trace > 0:
        w = math.sqrt(1 + trace) / 2
        made = np.array([w, (left[2] - up[1]) / (4 * w), (up[0] - ahead[2]) / (4 * w), (ahead[1] - left[0]) / (4 * w)])
    else:  # turned by more than 120°: for a thing that stands upright the z component is then the largest
        z = math.sqrt(max(1 - ahead[0] - left[1] + up[2], 1e-12)) / 2
        made = np.array([(ahead[1] - left[0]) / (4 * z), (up[0] + ahead[2]) / (4 * z), (left[2] + up[1]) / (4 * z), z])
    unit: Floats = made / math.sqrt(float(made @ made))
    return unit


def make_terrain(seed: int, road: Road, steepest: float = 0.06, waves: int = 10) -> Terrain:
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
