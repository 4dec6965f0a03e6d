# SPDX-License-Identifier: Apache-2.0
"""Whose bag it is: the kind of its robot, and an arm's settings, which travel in it."""

from __future__ import annotations

from pathlib import Path

from tidegate.bag import BagReader
from tidegate.errors import SettingsError
from tidegate.evaluation.midway import STATES
from tidegate.records import ArmSafetyState
from tidegate.robot.contract import recorded_arm, recorded_kind
from tidegate.settings.arm import ArmSettings, load_arm_settings
from tidegate.settings.kind import Kind


def bag_kind(reader: BagReader) -> Kind | None:
    """By the settings that it carries, else by the first state of its filter; None = neither tells.

    Raises:
        BagError: that state cannot be decoded.
    """
    told = reader.messages([STATES]) if reader.held(STATES) is not None else iter(())
    arms = (isinstance(record, ArmSafetyState) for _, _, record in told)
    return recorded_kind(reader.contract()) or ("arm" if next(arms, False) else None)


def arm_settings_of(reader: BagReader, config: Path | None) -> ArmSettings:
    """Those of the file ``config``; None = those that an arm's bag carries, which know of the scene.

    Raises:
        SettingsError: they are refused, or the bag carries none; RobotError: as ``recorded_arm``.
    """
    if config is not None:
        return load_arm_settings(config)
    contract = reader.contract()
    if "settings" not in contract:
        raise SettingsError(f"{reader.path}: is of an arm and does not carry its settings; name them by --config")
    return recorded_arm(contract, str(reader.path))
