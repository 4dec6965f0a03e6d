# SPDX-License-Identifier: Apache-2.0
"""The plan: which windows of which bags are learnt from, a YAML file beside bags that nobody touched."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tidegate.curation.rules import Rules
from tidegate.errors import SettingsError
from tidegate.security.parse import read_bounded
from tidegate.settings.document import read_document
from tidegate.settings.schema import build, mapping

FORMAT = 1
LARGEST = 1 << 28
"""Bytes; a plan of a hundred hours has about 14 million."""
VERDICTS = {
    "kept": "learnt from",
    "held": "of a bag that measures the training",
    "budget": "covered by what is kept",
    "duplicate": "shows and asks for the same as another",
    "inconsistent": "same view, contradicting action",
    "stationary": "the car stands",
    "camera": "the picture shows nothing",
    "unlabelled": "no command is known",
    "gapped": "cut off by a pause of the camera",
    "short": "the rest at the end of a bag",
}


@dataclass(frozen=True, slots=True)
class PlannedBag:
    """``path`` of a bag, its hash, whether it is held out to measure, and ``windows``: verdict and why, such as
    ``kept: the first of its kind``, by first frame."""

    path: Path
    sha256: str
    held: bool
    windows: Mapping[int, str]

    def kept(self) -> list[int]:
        """First frames of the windows that are learnt from."""
        return [frame for frame, verdict in self.windows.items() if verdict_of(verdict) == "kept"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What ``tidegate curate`` decided.

    Attributes:
        budget_s: longest that all that is kept may last [s].
        seed: chose the bags that are held out.
        rules: by which it was decided; ``rules.window`` frames are a window.
        remap: names of topics in the bags, as ``BagReader`` takes them.
        bags: in the order in which they were given.
        refused: bags that cannot be learnt from at all, and why.
    """

    budget_s: float
    seed: int
    rules: Rules
    remap: Mapping[str, str]
    bags: tuple[PlannedBag, ...]
    refused: Mapping[Path, str] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Windows by verdict."""
        found = Counter(verdict_of(one) for bag in self.bags for one in bag.windows.values())
        return {name: found[name] for name in VERDICTS if found[name]}

    def save(self, path: Path) -> None:
        """Write it; paths of bags are relative to its folder."""

        def place(bag: Path) -> str:
            return Path(os.path.relpath(bag.resolve(), path.resolve().parent)).as_posix()

        bags = [
            {
                "path": place(bag.path),
                "sha256": bag.sha256,
                "held": bag.held,
                "windows": _Lines("".join(f"{frame} {verdict}\n" for frame, verdict in bag.windows.items())),
            }
            for bag in self.bags
        ]
        values = {
            "tidegate_plan": FORMAT,
            "budget_s": self.budget_s,
            "seed": self.seed,
            "rules": asdict(self.rules),
            "remap": dict(self.remap),
            "bags": bags,
            "refused": {place(bag): why for bag, why in self.refused.items()},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
        path.write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read it.

        Raises:
            SettingsError: it cannot be read, is no plan, or tells of a window what no plan can.
        """
        values = read_document(path, LARGEST)
        if values.get("tidegate_plan") != FORMAT:
            raise SettingsError(f"{path}: 'tidegate_plan' is {values.get('tidegate_plan')!r}; it must be {FORMAT}")
        rules: Rules = build(Rules, mapping(values.get("rules", {}), "rules", str(path)), str(path), "rules.")
        remap = mapping(values.get("remap", {}), "remap", str(path))
        refused = mapping(values.get("refused", {}), "refused", str(path))
        bags = values.get("bags")
        if not isinstance(bags, list) or not bags:
            raise SettingsError(f"{path}: 'bags' is {bags!r}; it must be a list of bags")
        return cls(
            budget_s=_number(values, "budget_s", path),
            seed=int(_number(values, "seed", path)),
            rules=rules,
            remap={str(name): str(topic) for name, topic in remap.items()},
            bags=tuple(_bag(one, f"bags[{index}]", path) for index, one in enumerate(bags)),
            refused={path.parent / str(name): str(why) for name, why in refused.items()},
        )


def verdict_of(text: str) -> str:
    """``kept`` of ``kept: the first of its kind``."""
    return text.partition(":")[0]


def plan_hash(path: Path) -> str:
    """SHA-256 of a plan's file."""
    return hashlib.sha256(read_bounded(path, LARGEST)).hexdigest()


class _Lines(str):
    """Text that is written line by line, as a literal block."""


class _Dumper(yaml.SafeDumper):
    """Knows ``_Lines``."""


_Dumper.add_representer(
    _Lines, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")
)


def _number(values: Mapping[str, Any], key: str, path: Path) -> float:
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e12:
        raise SettingsError(f"{path}: '{key}' is {value!r}; it must be a number of at least 0")
    return float(value)


def _bag(told: Any, key: str, path: Path) -> PlannedBag:
    values = mapping(told, key, str(path))
    place, digest, held, lines = (values.get(name) for name in ("path", "sha256", "held", "windows"))
    for name, value in (("path", place), ("sha256", digest), ("windows", lines)):
        if not isinstance(value, str):
            raise SettingsError(f"{path}: '{key}.{name}' is {value!r}; it must be text")
    if not isinstance(held, bool):
        raise SettingsError(f"{path}: '{key}.held' is {held!r}; it must be true or false")
    windows: dict[int, str] = {}
    for line in str(lines).rstrip("\n").split("\n"):
        frame, _, verdict = line.partition(" ")
        if not frame.isdecimal() or verdict_of(verdict) not in VERDICTS or int(frame) in windows:
            raise SettingsError(
                f"{path}: '{key}.windows' has the line '{line[:80]}'; each must be a frame that is not there before, "
                f"and one of {', '.join(VERDICTS)}"
            )
        windows[int(frame)] = verdict
    return PlannedBag(path.parent / str(place), str(digest), held, windows)
