# SPDX-License-Identifier: Apache-2.0
"""How a road looks by seed: season, light, sky, textures, wear of the lines, exposure and noise of the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.records import Floats
from tidegate.simulation.meshes import GRAVEL
from tidegate.simulation.road import CENTRE_LINE, PAVED_LEFT, PAVED_RIGHT, unpaved

Colour = tuple[float, float, float]
Image = NDArray[np.uint8]

BARK: Colour = (0.30, 0.22, 0.15)
GLOW = 0.35
"""Light that the far hills give of themselves: haze."""


@dataclass(frozen=True, slots=True)
class Season:
    """Darkest and lightest colour of grass and leaves, sky overhead and at the horizon, far hills, asphalt (0–255)."""

    grass: tuple[Colour, Colour]
    leaf: tuple[Colour, Colour]
    sky: Colour
    horizon: Colour
    hills: Colour
    asphalt: tuple[float, float] = (66.0, 112.0)


@dataclass(frozen=True, slots=True)
class Light:
    """Sun's elevation [rad], its colour and that of the ambient light (1 = neutral), tint of the sky, fog end [m]."""

    elevation: float
    sun: Colour
    ambient: Colour
    sky_tint: Colour
    overcast: float
    fog: tuple[float, float] = (90.0, 480.0)


SEASONS = {
    "summer": Season(((52, 84, 28), (120, 150, 62)), ((28, 62, 20), (78, 120, 44)), (70, 130, 205), (188, 212, 236),
                     (82, 104, 96)),
    "autumn": Season(((92, 84, 40), (160, 140, 74)), ((120, 58, 18), (205, 128, 38)), (120, 150, 185), (214, 216, 214),
                     (120, 98, 80)),
    "winter": Season(((205, 210, 218), (246, 248, 252)), ((70, 70, 66), (168, 174, 178)), (165, 180, 198),
                     (226, 230, 236), (168, 178, 190), (80.0, 126.0)),
    "dry": Season(((140, 118, 70), (196, 172, 112)), ((88, 88, 42), (140, 132, 70)), (86, 146, 214), (222, 222, 206),
                  (150, 128, 100)),
}  # fmt: skip

LIGHTS = {
    "noon": Light(0.95, (0.85, 0.82, 0.76), (0.36, 0.36, 0.38), (1.0, 1.0, 1.0), 0.0),
    "low_sun": Light(0.24, (1.25, 0.95, 0.62), (0.46, 0.43, 0.42), (1.0, 0.93, 0.82), 0.15),
    "dusk": Light(0.30, (0.30, 0.24, 0.26), (0.34, 0.32, 0.40), (0.62, 0.52, 0.56), 0.2, (60.0, 380.0)),
    "overcast": Light(1.2, (0.22, 0.22, 0.23), (0.62, 0.63, 0.66), (0.90, 0.91, 0.93), 0.85, (50.0, 330.0)),
}


@dataclass(frozen=True, slots=True)
class Look:
    """Everything a seed decides about appearance; ``wear`` 0 (new lines) to 1 (gone), ``noise`` [grey levels]."""

    season: str
    light: str
    wear: float
    sun_azimuth: float
    exposure: float
    noise: float

    @property
    def horizon(self) -> Floats:
        """Colour (3,) of the sky at the horizon and of the fog, 0–1."""
        return self._sky(SEASONS[self.season].horizon)

    @property
    def sunbeam(self) -> tuple[float, float, float]:
        """Direction in which the sun shines, a unit vector."""
        elevation = LIGHTS[self.light].elevation
        flat = math.cos(elevation)
        return -flat * math.cos(self.sun_azimuth), -flat * math.sin(self.sun_azimuth), -math.sin(elevation)

    @property
    def zenith(self) -> Floats:
        """Colour (3,) of the sky overhead, 0–1."""
        season, light = SEASONS[self.season], LIGHTS[self.light]
        blue, grey = np.array(season.sky), np.array(season.horizon) * 0.92
        return self._sky(tuple((1 - light.overcast) * blue + light.overcast * grey))

    def _sky(self, colour: Colour) -> Floats:
        light = LIGHTS[self.light]
        grey = (1 - light.overcast) * np.array(colour) + light.overcast * np.mean(colour)
        shade: Floats = np.clip(grey / 255 * np.array(light.sky_tint), 0, 1)
        return shade


def make_look(seed: int) -> Look:
    """Draw an appearance; seasons and lights are drawn independently."""
    rng = np.random.default_rng([seed, 3])
    return Look(
        season=str(rng.choice(list(SEASONS))),
        light=str(rng.choice(list(LIGHTS), p=[0.4, 0.2, 0.15, 0.25])),
        wear=float(rng.beta(1.2, 3.0) * 0.6),
        sun_azimuth=float(rng.uniform(0, 2 * np.pi)),
        exposure=float(np.exp(rng.normal(0, 0.12))),
        noise=float(rng.uniform(1.5, 5.0)),
    )


def textures(look: Look, seed: int) -> dict[str, Image]:
    """All textures (n, m, 3) uint8 by name: grass, road, paint, hills, leaf0, leaf1."""
    rng = np.random.default_rng([seed, 4])
    season = SEASONS[look.season]
    leaves = [0.5 * _noise(rng, 128, 8) + 0.5 * rng.random((128, 128)) for _ in range(2)]
    hazy = 0.6 * np.array(season.hills) + 0.4 * look.horizon * 255
    asphalt = _asphalt(rng, season)
    return {
        "grass": _mix(*season.grass, 0.55 * _noise(rng, 512, 4) + 0.45 * rng.random((512, 512))),
        "road": asphalt,
        "paint": _paint(rng, look.wear, float(np.mean(season.asphalt))),
        "hills": _mix(tuple(hazy * 0.9), tuple(hazy * 1.06), _noise(rng, 128, 4)),
        "leaf0": _mix(*season.leaf, leaves[0]),
        "leaf1": _mix(*season.leaf, leaves[1]),
    }


def _mix(low: Colour, high: Colour, share: Floats) -> Image:
    blend = np.asarray(low) + (np.asarray(high) - np.asarray(low)) * share[..., None]
    image: Image = blend.clip(0, 255).astype(np.uint8)
    return image


def _noise(rng: np.random.Generator, size: int, coarsest: int, octaves: int = 6) -> Floats:
    """Tileable fractal value noise (size, size), 0–1."""
    total, weight, cells = np.zeros((size, size)), 1.0, coarsest
    for _ in range(octaves):
        if cells > size:
            break
        grid = np.pad(rng.random((cells, cells)), 2, mode="wrap")
        zoom = size // cells
        fine = cv2.resize(grid, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
        total += weight * fine[2 * zoom : 2 * zoom + size, 2 * zoom : 2 * zoom + size]
        weight, cells = 0.6 * weight, 2 * cells
    total -= total.min()
    scaled: Floats = total / total.max()
    return scaled


def _asphalt(rng: np.random.Generator, season: Season, size: int = 256) -> Image:
    """Columns run across the road (right shoulder to left shoulder), rows along it."""
    low, high = season.asphalt
    grey = low + (high - low) * (0.5 * _noise(rng, size, 4) + 0.5 * rng.random((size, size)))
    right, left = PAVED_RIGHT - GRAVEL, PAVED_LEFT + GRAVEL
    offset = right + (np.arange(size) + 0.5) / size * (left - right)
    half = np.abs(offset - CENTRE_LINE)
    grey -= 10 * np.exp(-(((np.abs(half - CENTRE_LINE) - 0.8) / 0.35) ** 2))  # wheel tracks
    image = np.stack([grey, grey, grey * 1.02], axis=-1)
    gravel = 0.3 * (np.array(season.grass[0]) + np.array(season.grass[1])) + 0.4 * np.array([120, 110, 96])
    beside = unpaved(offset)
    image[:, beside] = gravel * (0.8 + 0.4 * rng.random((size, int(beside.sum()), 1)))
    finished: Image = image.clip(0, 255).astype(np.uint8)
    return finished


def _paint(rng: np.random.Generator, wear: float, asphalt: float) -> Image:
    """White paint that flakes off where noise is below the wear; columns across the line, rows along 16 m of it."""
    patchy = cv2.resize(_noise(rng, 256, 8), (32, 256), interpolation=cv2.INTER_AREA)
    grain = rng.random((256, 32))
    gone = np.clip((wear - (0.75 * patchy + 0.25 * grain)) * 6 + 0.5, 0, 1)
    white = 236 - 40 * wear
    return _mix((white, white, white * 0.98), (asphalt, asphalt, asphalt), gone)
