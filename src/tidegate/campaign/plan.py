# SPDX-License-Identifier: Apache-2.0
"""The plan of a campaign: a short YAML of bundles, scenes, seeds, and what is done with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tidegate.attack.episode import SENSORS
from tidegate.errors import SettingsError
from tidegate.evaluation.campaign import parse_seeds
from tidegate.evaluation.rollout import DRIVERS
from tidegate.settings.document import read_document
from tidegate.settings.schema import build, mapping, setting
from tidegate.share import share_path

FORMAT = 1
MODEL, CAR = "models/car-ltc19", "config/car.yaml"


@dataclass(frozen=True, slots=True)
class Over:
    """What all of it is done over; paths are relative to the plan's folder, none = what is shipped."""

    scenes: tuple[str, ...] = setting((), "", "where to drive")
    seeds: str = setting("", "", 'in quotes: "1000:1020" (the end excluded), "7" or "1,5,9"')
    bundles: tuple[str, ...] = setting((), "", "models to drive with; each episode is driven with each")
    settings: str = setting("", "", "the robot's settings")


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Closed loops, as ``tidegate evaluate``."""

    driver: str = setting("bundle", "", "who asks for commands", choices=DRIVERS)
    seconds: float = setting(600.0, "s", "longest drive", low=0.1)
    disable: tuple[str, ...] = setting((), "", "parts or barriers to switch off")


@dataclass(frozen=True, slots=True)
class Attack:
    """Hostile closed loops, as ``tidegate attack``; without a camera no bundle takes part, and none is told."""

    adversaries: tuple[str, ...] = setting((), "", "who asks; none = all")
    sensors: tuple[str, ...] = setting(SENSORS, "", "take turns by seed", choices=SENSORS)
    from_speed: tuple[float, ...] = setting((0.0, 5.0, 10.0), "m/s", "take turns by seed", low=0.0)
    seconds: float = setting(40.0, "s", "longest episode", low=0.1)
    camera: bool = setting(False, "", "pictures are drawn, and each bundle sees the lane")
    disable: tuple[str, ...] = setting((), "", "parts or barriers to switch off")


KINDS = {"evaluate": Evaluate, "attack": Attack}
"""What can be done, by the name of its section."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan that was read.

    Attributes:
        settings: file of the robot.
        bundles: folder of each bundle, by its name in the plan.
        evaluate, attack: what is done; None = not that.
    """

    over: Over
    settings: Path
    bundles: Mapping[str, Path]
    evaluate: Evaluate | None
    attack: Attack | None

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read the plan in a file.

        Raises:
            SettingsError: it cannot be read, or says what no plan can; SceneError: no seeds.
        """
        values = read_document(path)
        if (told := values.pop("tidegate_campaign", None)) != FORMAT:
            raise SettingsError(f"{path}: 'tidegate_campaign' is {told!r}; it must be {FORMAT}")
        made = {
            name: build(kind, mapping(values.pop(name) or {}, name, str(path)), str(path), f"{name}.")
            for name, kind in KINDS.items()
            if name in values
        }
        over: Over = build(Over, values, str(path))
        if not made or not over.scenes:
            raise SettingsError(f"{path}: nothing to drive; it must have scenes, and {' or '.join(KINDS)}")
        parse_seeds(over.seeds)
        bundles = {name: path.parent / name for name in over.bundles} or {MODEL: share_path(MODEL)}
        settings = path.parent / over.settings if over.settings else share_path(CAR)
        return cls(over, settings, bundles, made.get("evaluate"), made.get("attack"))

    @property
    def seeds(self) -> list[int]:
        """The seeds."""
        return parse_seeds(self.over.seeds)

    @property
    def text(self) -> str:
        """All that it says but where files are: two plans with the same text ask for the same."""
        said = {"over": self.over, **{name: getattr(self, name) for name in KINDS}}
        values = {name: None if one is None else asdict(one) for name, one in said.items()}
        return json.dumps({**values, "bundles": list(self.bundles)})
