# SPDX-License-Identifier: Apache-2.0
"""What is made harder while a network drives: pictures that are noisy, dark, absent, or taken at uneven times."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tidegate.errors import SettingsError
from tidegate.insight.maps import noisy
from tidegate.insight.whatif import PLAIN, altered
from tidegate.records import Frame
from tidegate.settings import Settings
from tidegate.simulation import Simulator


@dataclass(frozen=True, slots=True)
class Condition:
    """What the camera does; by default what it always does.

    ``noise``: variance, colours counted from 0 to 1 (Lechner et al. 2020). ``light``: factor of every pixel.
    ``dropped``: share of the frames that never come. ``uneven``: pictures are taken after 0.5 to 1.5 periods.
    """

    noise: float = 0.0
    light: float = 1.0
    dropped: float = 0.0
    uneven: bool = False


CONDITIONS: Mapping[str, Condition] = {
    "clean": Condition(),
    "noise-0.1": Condition(noise=0.1),
    "noise-0.2": Condition(noise=0.2),
    "noise-0.3": Condition(noise=0.3),
    "dark": Condition(light=0.3),  # the training has 0.6 to 1.4
    "dropped-10": Condition(dropped=0.1),
    "dropped-30": Condition(dropped=0.3),
    "jitter": Condition(uneven=True),
}


def check_conditions(names: Sequence[str]) -> None:
    """Refuse what there is none of.

    Raises:
        SettingsError: naming it, and those that there are.
    """
    check_known(names, "condition", CONDITIONS)


def check_known(names: Sequence[str], what: str, known: Mapping[str, object]) -> None:
    """Refuse no name at all, and one that is not ``known``.

    Raises:
        SettingsError: naming it, and those that there are.
    """
    for name in names or ("",):
        if name not in known:
            raise SettingsError(f"'{name}' is no {what}; there are {', '.join(known)}")


class Eyes:
    """What becomes of the frames of one drive; the same ``seed`` draws the same."""

    def __init__(self, condition: Condition, seed: int) -> None:
        self._condition = condition
        self._random = np.random.default_rng([seed, 31])

    def see(self, frame: Frame) -> Frame | None:
        """The frame as it arrives; None = it does not."""
        condition = self._condition
        draw, noise = self._random.random(), int(self._random.integers(2**31))
        if draw < condition.dropped:
            return None
        image = frame.image
        if condition.light != 1.0:
            image = altered(image, **(PLAIN | {"gain": condition.light}))
        if condition.noise:
            image = noisy(image, condition.noise, noise)
        return dataclasses.replace(frame, image=image)


class UnevenCamera(Simulator):
    """The embedded world with a camera whose pictures are 0.5 to 1.5 of its periods apart."""

    def __init__(self, settings: Settings, scene: str = "road", seed: int = 0, *, camera: bool = True) -> None:
        self._random, self._next = np.random.default_rng([seed, 32]), 0
        super().__init__(settings, scene, seed, camera=camera)

    def frame_due(self, tick: int) -> bool:
        """Whether the drawn time has come."""
        if tick < self._next:
            return False
        period = self.settings.safety.rate_hz / self.settings.camera.rate_hz
        self._next = tick + round(period * self._random.uniform(0.5, 1.5))
        return True
