# SPDX-License-Identifier: Apache-2.0
"""What a driver's joystick asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tidegate.records import Joy, Manual
from tidegate.robot import Car
from tidegate.settings import Settings


@dataclass(frozen=True, slots=True)
class Asked:
    """What one message asks for; ``fault`` says in words why it is not usable: then ``manual`` is None, and who hears
    nothing stops. ``stop`` and ``reset`` are true in the message in which their button went down."""

    manual: Manual | None
    stop: bool = False
    reset: bool = False
    fault: str = ""


class Joystick:
    """Reads the messages of one joystick, in their order.

    To hand back takes two hands and an order: the button must go down while the dead-man switch is held, and be held
    while that is let go. One that is stuck hands nothing back.
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        chosen = self._chosen = settings.joystick
        self._forces = (-car.force_min * chosen.brake_share, car.force_max * chosen.drive_share)
        self._curvature = car.curvature_max * chosen.steer_share
        self._axes = (chosen.drive_axis, chosen.steer_axis)
        self._buttons = (
            chosen.dead_man_button,
            chosen.hand_back_button,
            chosen.stop_button,
            chosen.reset_button,
        )
        self._before: tuple[bool, ...] | None = None
        self._may_hand_back = False

    def read(self, joy: Joy) -> Asked:
        """Take in one message."""
        missing = self._missing(joy)
        if missing:
            return Asked(None, fault=missing)
        drive, steer = (self._deflection(joy.axes[axis]) for axis in self._axes)
        now = tuple(joy.buttons[index] == 1 for index in self._buttons)
        engaged, hand_back, stop, reset = now
        went_down = [held and self._before is not None and not self._before[index] for index, held in enumerate(now)]
        self._may_hand_back = hand_back and (self._may_hand_back or (engaged and went_down[1]))
        self._before = now
        manual = Manual(
            joy.stamp,
            engaged,
            drive * self._forces[drive > 0],
            steer * self._curvature,
            hand_back=self._may_hand_back and not engaged,
        )
        return Asked(manual, stop and went_down[2], reset and went_down[3])

    def _missing(self, joy: Joy) -> str:
        for what, indices, values in (("axis", self._axes, joy.axes), ("button", self._buttons, joy.buttons)):
            for index in indices:
                if index >= len(values):
                    return f"the joystick has no {what} {index}; it has {len(values)}"
        if not all(math.isfinite(joy.axes[axis]) for axis in self._axes):
            return "an axis of the joystick is not finite"
        return ""

    def _deflection(self, value: float) -> float:
        """−1 to 1 outside the dead zone, without a step at its edge."""
        zone = self._chosen.dead_zone
        beyond = min(abs(value), 1.0) - zone
        return math.copysign(beyond / (1 - zone), value) if beyond > 0 else 0.0
