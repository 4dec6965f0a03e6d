# SPDX-License-Identifier: Apache-2.0
"""The lens of a real camera: which place in its picture shows what stands in a given direction.

The models of ``sensor_msgs/CameraInfo``: ``plumb_bob`` (Brown 1966) and ``rational_polynomial`` as in OpenCV's
``calib3d``, ``equidistant`` as in its ``fisheye`` (Kannala and Brandt 2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import ImageError
from tidegate.records import CameraInfo, Floats

COEFFICIENTS = {"plumb_bob": (4, 5), "rational_polynomial": (8,), "equidistant": (4,)}
"""How many coefficients a model may have; none at all = no distortion."""
WIDEST = {"plumb_bob": 10.0, "rational_polynomial": 10.0, "equidistant": np.pi}
"""Farthest from the axis that is looked at: tangent of the angle (84°), or the angle itself [rad]."""


@dataclass(frozen=True, slots=True, eq=False)
class Lens:
    """A calibrated lens with its sensor.

    Attributes:
        width, height: of the picture that is sent [px].
        k: (3, 3) its intrinsic matrix [px], pixel centres at whole numbers.
        model, d: of the distortion.
        reach: distance from the axis, in the terms of ``WIDEST``, up to which the model bends rays in their order;
            beyond it a polynomial folds back and would show what the lens does not see.
    """

    width: int
    height: int
    k: Floats
    model: str
    d: tuple[float, ...]
    reach: float

    @classmethod
    def of(cls, info: CameraInfo) -> Lens:
        """Judge what a camera says of itself.

        Raises:
            ImageError: naming the field, its value and what is allowed.
        """
        k, d = info.k, info.d
        form = [k[1, 0], k[2, 0], k[2, 1], k[2, 2]] == [0, 0, 0, 1]
        if not (np.isfinite(k).all() and form and k[0, 0] > 0 and k[1, 1] > 0):
            raise ImageError(
                f"camera_info: K is {_listed(k)}; it must be fx s cx, 0 fy cy, 0 0 1, focal lengths above 0"
            )
        allowed = COEFFICIENTS.get(info.distortion_model)
        if len(d) and allowed is None:
            raise ImageError(
                f"camera_info: distortion_model is {info.distortion_model!r}; known are {', '.join(COEFFICIENTS)}"
            )
        if len(d) and allowed is not None and (len(d) not in allowed or not np.isfinite(d).all()):
            counts = " or ".join(map(str, allowed))
            raise ImageError(
                f"camera_info: D is {_listed(d)}; {info.distortion_model} has {counts} coefficients, all finite"
            )
        model = info.distortion_model if len(d) else "plumb_bob"
        (left, top, width, height), (across, down) = info.window, (max(1, one) for one in info.binning)
        if width == 0 or height == 0:
            left, top, width, height = 0, 0, info.width, info.height
        sent = np.diag([1 / across, 1 / down, 1.0])
        sent[:2, 2] = (0.5 - left) / across - 0.5, (0.5 - top) / down - 0.5
        coefficients = tuple(map(float, d))
        return cls(
            width // across, height // down, sent @ k, model, coefficients, _reach(model, _padded(model, coefficients))
        )

    def project(self, rays: Floats) -> tuple[Floats, Floats]:
        """Column and row [px] of the pixels that show ``rays``; NaN where the lens does not see.

        Args:
            rays: (3, …) in the optical frame: x right, y down, z ahead; of any length.
        """
        x, y, z = np.asarray(rays, np.float64)
        d = _padded(self.model, self.d)
        with np.errstate(all="ignore"):
            if self.model == "equidistant":
                flat = np.hypot(x, y)
                apart = np.arctan2(flat, z)
                stretch = np.where(flat > 0, _bent(self.model, d, apart) / flat, 0.0)
                a, b = x * stretch, y * stretch
            else:
                x, y = x / z, y / z
                apart = np.where(z > 0, np.hypot(x, y), np.inf)
                stretch, twist = _radial(d, np.square(apart)), 2 * x * y
                a = x * stretch + d[2] * twist + d[3] * (apart**2 + 2 * x**2)
                b = y * stretch + d[2] * (apart**2 + 2 * y**2) + d[3] * twist
            u = self.k[0, 0] * a + self.k[0, 1] * b + self.k[0, 2]
            v = self.k[1, 1] * b + self.k[1, 2]
        seen = (apart <= self.reach) & np.isfinite(u) & np.isfinite(v)
        return np.where(seen, u, np.nan), np.where(seen, v, np.nan)


def _padded(model: str, d: tuple[float, ...]) -> tuple[float, ...]:
    return d + (0.0,) * ((4 if model == "equidistant" else 8) - len(d))


def _radial(d: tuple[float, ...], square: Floats) -> Floats:
    """Factor by which a point at the squared distance ``square`` from the axis moves outwards."""
    above = 1 + square * (d[0] + square * (d[1] + square * d[4]))
    return np.asarray(above / (1 + square * (d[5] + square * (d[6] + square * d[7]))))


def _bent(model: str, d: tuple[float, ...], apart: Floats) -> Floats:
    """Distance from the axis in the picture, in focal lengths, of what is ``apart`` from it in the world."""
    if model == "equidistant":
        square = np.square(apart)
        return np.asarray(apart * (1 + square * (d[0] + square * (d[1] + square * (d[2] + square * d[3])))))
    return np.asarray(apart * _radial(d, np.square(apart)))


def _reach(model: str, d: tuple[float, ...]) -> float:
    apart = np.linspace(0.0, WIDEST[model], 4001)
    with np.errstate(all="ignore"):
        grows = np.diff(_bent(model, d, apart)) > 0
    return float(apart[-1] if grows.all() else apart[int(np.argmin(grows))])


def _listed(values: NDArray[Any]) -> str:
    return " ".join(f"{value:g}" for value in values.ravel()) or "empty"
