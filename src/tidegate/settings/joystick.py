# SPDX-License-Identifier: Apache-2.0
"""Which axis and which button of a driver's joystick does what; the defaults are those of an Xbox pad under ``joy``."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.errors import SettingsError
from tidegate.settings.schema import setting

AXES = BUTTONS = 64


@dataclass(frozen=True, slots=True)
class JoystickSettings:
    """Axes are 1 to the front and to the left, as ``joy`` has them; a button or an axis goes by its index."""

    drive_axis: int = setting(4, "1", "axis that drives and brakes", low=0, high=AXES)
    steer_axis: int = setting(0, "1", "axis that steers", low=0, high=AXES)
    dead_man_button: int = setting(4, "1", "the driver drives while it is held", low=0, high=BUTTONS)
    hand_back_button: int = setting(
        5,
        "1",
        "pressed while the dead-man switch is held, and held until that is let go: the car drives on by itself",
        low=0,
        high=BUTTONS,
    )
    stop_button: int = setting(1, "1", "calls safety_node/stop; no emergency stop", low=0, high=BUTTONS)
    reset_button: int = setting(7, "1", "calls safety_node/reset", low=0, high=BUTTONS)
    dead_zone: float = setting(0.05, "1", "deflection that counts as none", low=0, high=0.5)
    drive_share: float = setting(0.3, "1", "share of the drive force that a full deflection asks for", low=0, high=1)
    brake_share: float = setting(0.6, "1", "share of the braking force that it asks for", low=0, high=1)
    steer_share: float = setting(1.0, "1", "share of the steering range that it asks for", low=0.01, high=1)

    def __post_init__(self) -> None:
        """Refuse a button that does two things: who holds the dead-man switch must not reset the car by it.

        Raises:
            SettingsError: naming both.
        """
        used: dict[int, str] = {}
        for name in ("dead_man_button", "hand_back_button", "stop_button", "reset_button"):
            index = getattr(self, name)
            if index in used:
                raise SettingsError(
                    f"'joystick.{name}' is {index}, as 'joystick.{used[index]}' is; each must be a button of its own"
                )
            used[index] = name
