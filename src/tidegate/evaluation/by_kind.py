# SPDX-License-Identifier: Apache-2.0
"""What a replay does by the kind of robot whose bag it is: its settings, what is made anew, how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tidegate.bag import BagReader
from tidegate.bag.reader import AS_IT_IS
from tidegate.bundle import Bundle
from tidegate.errors import SettingsError
from tidegate.evaluation.difference import full_scales
from tidegate.evaluation.replay import Replay, Told, replay
from tidegate.evaluation.topics import ARM_OUTPUTS, FRAMES, OUTPUTS
from tidegate.evaluation.whose import arm_settings_of, bag_kind
from tidegate.messages import ARM_FORMS
from tidegate.robot.contract import contract_of, urdf_hash
from tidegate.safety.supervisor import check_disabled
from tidegate.settings import Settings, load_settings
from tidegate.settings.arm import ArmSettings
from tidegate.settings.kind import robot_kind
from tidegate.share import share_path


@dataclass(frozen=True, slots=True)
class ReplayedCar:
    """A car.

    Attributes:
        settings: of the car; ``file``: where they stand.
        outputs: topics that are made anew; ``forms``: as what some are decoded, as ``BagReader.messages`` takes it.
        model: the bundle that is shipped for it.
    """

    settings: Settings
    file: Path
    outputs: ClassVar[tuple[str, ...]] = OUTPUTS
    forms: ClassVar[Mapping[str, str]] = AS_IT_IS
    model: ClassVar[str] = "models/car-ltc19"

    @property
    def name(self) -> str:
        """Of the car."""
        return self.settings.vehicle.name

    def needs_bundle(self, reader: BagReader) -> bool:
        """Its full scales are the network's."""
        return True

    def scales(self, bundle: Bundle | None) -> dict[str, float]:
        """Full scale of what has one."""
        assert bundle is not None
        return full_scales(bundle, self.settings)

    def present(self, bundle: Path | None) -> dict[str, str]:
        """What a bag that was recorded now would say of settings, description and ``bundle``."""
        return contract_of(self.file, bundle)

    def run(
        self, reader: BagReader, bundle: Bundle | None, disable: frozenset[str], told: Told, *, asked: bool
    ) -> Replay:
        """Arguments and errors as ``replay.replay``'s; a name in ``disable`` that is none is a SettingsError."""
        check_disabled(disable, self.settings)
        assert bundle is not None
        return replay(reader, bundle, self.settings, disable=disable, asked=asked, told=told)


@dataclass(frozen=True, slots=True)
class ReplayedArm:
    """An arm; attributes and methods as those of ``ReplayedCar``. ``file`` None = the settings are the bag's."""

    settings: ArmSettings
    file: Path | None
    outputs: ClassVar[tuple[str, ...]] = ARM_OUTPUTS
    forms: ClassVar[Mapping[str, str]] = ARM_FORMS
    model: ClassVar[str] = "models/arm-ltc19"

    @property
    def name(self) -> str:
        """Of the arm."""
        return self.settings.arm.name

    def needs_bundle(self, reader: BagReader) -> bool:
        """Where somebody's own node asks for torques there is neither camera nor bundle."""
        return reader.held(FRAMES) is not None

    def scales(self, bundle: Bundle | None) -> dict[str, float]:
        """See ``ReplayedCar``."""
        from tidegate.evaluation.arm_replay import arm_scales

        return arm_scales(bundle, self.settings)

    def present(self, bundle: Path | None) -> dict[str, str]:
        """See ``ReplayedCar``."""
        if self.file is not None:
            return contract_of(self.file, bundle)
        return contract_of(None, bundle) | {"urdf_sha256": urdf_hash(self.settings.arm.urdf)}

    def run(
        self, reader: BagReader, bundle: Bundle | None, disable: frozenset[str], told: Told, *, asked: bool
    ) -> Replay:
        """See ``ReplayedCar``."""
        from tidegate.evaluation.arm_replay import replay_arm  # which needs Pinocchio

        return replay_arm(reader, bundle, self.settings, disable=disable, asked=asked, told=told)


def replayed_robot(reader: BagReader, config: Path | None) -> ReplayedCar | ReplayedArm:
    """The robot that ``config`` describes; without one the shipped car, or the arm as its bag describes it.

    Raises:
        SettingsError: as the loader of that kind, or ``config`` is of another kind than the bag.
        RobotError: the arm's description is not here.
    """
    recorded = bag_kind(reader)
    kind = (recorded or "car") if config is None else robot_kind(config)
    if recorded not in (None, kind):
        raise SettingsError(
            f"{config}: describes a robot of the kind '{kind}'; {reader.path} is of the kind '{recorded}'"
        )
    if kind == "car":
        file = config or share_path("config/car.yaml")
        return ReplayedCar(load_settings(file), file)
    return ReplayedArm(arm_settings_of(reader, config), config)
