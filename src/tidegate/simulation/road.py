# SPDX-License-Identifier: Apache-2.0
"""A closed two-lane road by seed. Right-hand traffic; all is measured from the centre of the own (right) lane."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import SceneError
from tidegate.records import Floats

LANE_WIDTH = 3.35
SHOULDER = 0.25
"""Paved strip outside the edge line [m]."""
LEFT_LINE = 1.5 * LANE_WIDTH
RIGHT_LINE = -0.5 * LANE_WIDTH
CENTRE_LINE = 0.5 * LANE_WIDTH
OTHER_LANE = LANE_WIDTH
PAVED_LEFT = LEFT_LINE + SHOULDER
PAVED_RIGHT = RIGHT_LINE - SHOULDER

_STEP = 0.5
_FINE = 4096


def unpaved(offset: Floats) -> NDArray[np.bool_]:
    """Whether points are beyond the paved edge, by their ``offset`` [m] left of the lane's centre; any one shape."""
    beyond: NDArray[np.bool_] = (offset < PAVED_RIGHT) | (offset > PAVED_LEFT)
    return beyond


@dataclass(frozen=True, slots=True)
class Place:
    """Where a point stands on the road: arc length ``s`` [m], ``offset`` [m] left of the lane centre, lane ``yaw``
    [rad] and ``curvature`` [1/m] there, ``index`` of the nearest sample (a hint for the next search)."""

    s: float
    offset: float
    yaw: float
    curvature: float
    index: int


@dataclass(frozen=True, slots=True)
class Road:
    """Own lane's centre, sampled evenly: ``xy`` (N, 2) [m], ``yaw`` (N,) unwrapped [rad], ``curvature`` (N,) [1/m]."""

    length: float
    xy: Floats
    yaw: Floats
    curvature: Floats

    @property
    def step(self) -> float:
        """Distance between samples [m]."""
        return self.length / len(self.xy)

    def locate(self, x: float, y: float, hint: int | None = None) -> Place:
        """Project a point on the lane centre; ``hint``: the sample from which to go downhill."""
        if hint is None:
            index = int(np.argmin((self.xy[:, 0] - x) ** 2 + (self.xy[:, 1] - y) ** 2))
        else:
            index = self._downhill(x, y, hint)
        yaw, curvature = self.yaw.item(index), self.curvature.item(index)
        dx, dy = x - self.xy.item(index, 0), y - self.xy.item(index, 1)
        along = dx * math.cos(yaw) + dy * math.sin(yaw)
        left = -dx * math.sin(yaw) + dy * math.cos(yaw)
        # to second order: a lane that curves away moves the foot of the perpendicular
        ds = along / (1 - curvature * left)
        offset = left - 0.5 * curvature * along * along / (1 - curvature * left)
        s = (index * self.step + ds) % self.length
        return Place(s, offset, yaw + curvature * ds, self.curvature_at(s), index)

    def _downhill(self, x: float, y: float, index: int) -> int:
        """The sample nearest to a point, from one that is near already."""
        count, xy = len(self.xy), self.xy.item
        least = (xy(index, 0) - x) ** 2 + (xy(index, 1) - y) ** 2
        for way in (-1, 1):
            while True:
                other = (index + way) % count
                distance = (xy(other, 0) - x) ** 2 + (xy(other, 1) - y) ** 2
                if distance >= least:
                    break
                index, least = other, distance
        return index

    def project(self, points: Floats, hint: int, reach: float = 170.0) -> tuple[Floats, Floats]:
        """Arc lengths (M,) and offsets (M,) of points (M, 2) within ``reach`` [m] of lane around a sample ``hint``."""
        spread = min(int(reach / self.step), len(self.xy) // 2 - 1)
        near = np.arange(hint - spread, hint + spread + 1, 2) % len(self.xy)
        dx = points[:, None, 0] - self.xy[near, 0]
        dy = points[:, None, 1] - self.xy[near, 1]
        index = near[np.argmin(dx * dx + dy * dy, axis=1)]
        delta = points - self.xy[index]
        cos, sin, curvature = np.cos(self.yaw[index]), np.sin(self.yaw[index]), self.curvature[index]
        along = delta[:, 0] * cos + delta[:, 1] * sin
        left = delta[:, 1] * cos - delta[:, 0] * sin
        return index * self.step + along / (1 - curvature * left), left - 0.5 * curvature * along**2

    def curvature_at(self, s: float) -> float:
        """Curvature [1/m] at arc length ``s`` [m], which may run over the end of the lap."""
        count = len(self.xy)
        place = (s % self.length) / (self.length / count)
        whole = int(place)
        part, low = place - whole, whole % count
        return (1 - part) * self.curvature.item(low) + part * self.curvature.item((low + 1) % count)

    def point(self, s: float, offset: float = 0.0) -> tuple[float, float, float]:
        """(x, y, yaw) of the point ``offset`` [m] left of the lane centre at arc length ``s`` [m]."""
        lap = s % self.length
        low = int(lap / self.step) % len(self.xy)
        ds = lap - low * self.step
        yaw, curvature = self.yaw.item(low), self.curvature.item(low)
        middle, here = yaw + 0.5 * curvature * ds, yaw + curvature * ds
        x = self.xy.item(low, 0) + ds * math.cos(middle) - offset * math.sin(here)
        y = self.xy.item(low, 1) + ds * math.sin(middle) + offset * math.cos(here)
        return x, y, math.remainder(here, 2 * math.pi)

    def points(self, s: Floats, offset: Floats) -> Floats:
        """Points (M, 2) [m] at arc lengths ``s`` (M,) and offsets ``offset`` (M,) to the left."""
        index = np.rint(np.asarray(s) / self.step).astype(int) % len(self.xy)
        normal = np.stack([-np.sin(self.yaw[index]), np.cos(self.yaw[index])], axis=1)
        shifted: Floats = self.xy[index] + np.asarray(offset)[:, None] * normal
        return shifted

    def longest_straight(self) -> float:
        """Length [m] of the longest stretch with a curvature of at most ``STRAIGHT``."""
        bends = np.flatnonzero(np.abs(np.concatenate([self.curvature, self.curvature])) > STRAIGHT)
        return float(np.diff(bends).max(initial=0)) * self.step

    def straightest(self, low: float, high: float, before: float = 30.0, after: float = 30.0) -> Floats:
        """Arc lengths [m] between ``low`` and ``high``, the straightest first: the sharpest bend from ``before`` [m]
        before a place to ``after`` [m] behind it counts."""
        bend = np.zeros(len(self.xy))
        for shift in range(-int(after / self.step), int(before / self.step) + 1, 4):
            np.maximum(bend, np.abs(np.roll(self.curvature, shift)), out=bend)
        index = np.arange(int(low / self.step), int(high / self.step))
        best: Floats = index[np.argsort(bend[index % len(self.xy)], kind="stable")] * self.step
        return best


STRAIGHT = 0.003
"""Curvature [1/m] up to which a stretch counts as straight."""


def make_road(
    seed: int,
    *,
    straight: float = 0.0,
    shortest: float = 640.0,
    longest: float = 940.0,
    min_radius: float = 28.0,
) -> Road:
    """Draw a closed road: a random polygon, each corner an arc, smoothed so that curvature comes and goes gradually.

    ``straight`` [m]: length of a straight stretch that it must have somewhere (0 = none needed).

    Raises:
        SceneError: no polygon of this seed gives a road with bends to both sides, none too tight, and no crossing.
    """
    rng = np.random.default_rng([seed, 1])
    for _ in range(20000):
        length = rng.uniform(shortest, longest)
        corners = _polygon(rng)
        corners *= 1.1 * length / np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1).sum()
        turn, radius = _arcs(corners, rng.uniform(1.2 * min_radius, 90.0, len(corners)))
        against = float(np.sum((turn < 0) * radius * np.abs(turn))) / length
        if radius.min() < 1.1 * min_radius or against < 0.1:
            continue
        if rng.random() < 0.5:
            corners, turn, radius = corners[::-1], -turn[::-1], radius[::-1]
        road = _smoothed(_path(corners, turn, radius), smoothing=7.0)
        fits = shortest <= road.length <= longest and np.abs(road.curvature).max() <= 1 / min_radius
        if fits and (straight == 0.0 or road.longest_straight() >= straight) and _clear(road):
            return road
    raise SceneError(f"seed {seed}: no road found with radius ≥ {min_radius:g} m and length {shortest:g}–{longest:g} m")


def make_circle(radius: float) -> Road:
    """A road that turns left all the way with ``radius`` [m]."""
    count = round(2 * math.pi * radius / _STEP)
    yaw = np.arange(count) * 2 * np.pi / count
    xy = radius * np.stack([np.sin(yaw), -np.cos(yaw)], axis=1)
    return Road(2 * math.pi * radius, xy, yaw, np.full(count, 1 / radius))


def _polygon(rng: np.random.Generator) -> Floats:
    """Corners (K, 2) of a star-shaped polygon; small radii make it re-entrant, hence bends to both sides."""
    corners = int(rng.integers(7, 10))
    angle = (np.arange(corners) + rng.uniform(-0.2, 0.2, corners)) * 2 * np.pi / corners
    radius = rng.uniform(0.3, 1.0, corners)
    stretch = np.array([rng.uniform(1.0, 1.5), 1.0])
    made: Floats = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1) * stretch
    return made


def _sides(corners: Floats) -> tuple[Floats, Floats]:
    """Lengths (K,) and unit directions (K, 2) of the sides that end in each corner."""
    side = corners - np.roll(corners, 1, axis=0)
    length = np.linalg.norm(side, axis=1)
    return length, side / length[:, None]


def _arcs(corners: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    """Turn (K,) [rad] at each corner and the radius (K,) [m], at most ``wanted``, whose arc fits into half a side."""
    length, into = _sides(corners)
    out = np.roll(into, -1, axis=0)
    turn = np.arctan2(into[:, 0] * out[:, 1] - into[:, 1] * out[:, 0], (into * out).sum(axis=1))
    room = 0.5 * np.minimum(length, np.roll(length, -1))
    return turn, np.minimum(wanted, room / np.maximum(np.tan(np.abs(turn) / 2), 1e-6))


def _path(corners: Floats, turn: Floats, radius: Floats) -> Floats:
    """Points (M, 2) along straights and arcs."""
    _, into = _sides(corners)
    pieces = []
    for corner, direction, angle, bend in zip(corners, into, turn, radius, strict=True):
        start = corner - direction * bend * math.tan(abs(angle) / 2)
        left = np.array([-direction[1], direction[0]]) * math.copysign(1.0, angle)
        swept = np.linspace(0.0, abs(angle), max(3, math.ceil(bend * abs(angle) / _STEP)))[:, None]
        pieces.append(start + bend * (np.sin(swept) * direction + (1 - np.cos(swept)) * left))
    return np.concatenate(pieces)


def _smoothed(path: Floats, smoothing: float) -> Road:
    """Smooth a closed path with a Gaussian of standard deviation ``smoothing`` [m] and sample it evenly."""
    closed = np.vstack([path, path[:1]])
    at = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    even = np.arange(_FINE) * at[-1] / _FINE
    flat = np.interp(even, at, closed[:, 0]) + 1j * np.interp(even, at, closed[:, 1])
    wave = 2 * np.pi * np.fft.fftfreq(_FINE, at[-1] / _FINE)
    spectrum = np.fft.fft(flat) * np.exp(-0.5 * (smoothing * wave) ** 2)
    position, first, second = (np.fft.ifft((1j * wave) ** order * spectrum) for order in range(3))
    pace = np.abs(first)
    curvature = np.imag(np.conj(first) * second) / pace**3
    length = float(pace.mean() * at[-1])
    count = round(length / _STEP)
    arc = np.concatenate([[0.0], np.cumsum((pace + np.roll(pace, -1)) / 2)])
    where = np.interp(np.arange(count) / count, arc / arc[-1], np.arange(_FINE + 1))

    def sample(values: Floats, lap: float = 0.0) -> Floats:
        taken: Floats = np.interp(where, np.arange(_FINE + 1), np.append(values, values[0] + lap))
        return taken

    yaw = np.unwrap(np.angle(first))
    xy = np.stack([sample(position.real), sample(position.imag)], axis=1)
    lap = math.copysign(2 * math.pi, yaw[-1] - yaw[0])
    return Road(length, xy - (xy.min(axis=0) + xy.max(axis=0)) / 2, sample(yaw, lap), sample(curvature))


def _clear(road: Road, least: float = 32.0) -> bool:
    """Whether stretches of the lap that are far apart along it stay ``least`` [m] apart on the ground."""
    xy = road.xy[::8]
    count = len(xy)
    distance = np.linalg.norm(xy[:, None] - xy[None], axis=2)
    apart = np.abs(np.arange(count)[:, None] - np.arange(count)[None])
    apart = np.minimum(apart, count - apart) * road.step * 8
    return not bool((distance[apart > 2.2 * least] < least).any())
