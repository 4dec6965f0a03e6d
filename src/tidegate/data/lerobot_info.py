# SPDX-License-Identifier: Apache-2.0
"""``meta/info.json`` of a LeRobot data set of version 3: columns, cameras, and the names of the files."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tidegate.errors import DataError
from tidegate.security.parse import read_bounded

INFO = "meta/info.json"
OURS = "tidegate"
"""Beginning of ``robot_type`` of what we export: there columns have the names of channels, in SI units."""
LARGEST_INFO = 1 << 22
TEMPLATE = re.compile(r"(?:[\w.-]|/|\{(?:chunk_index|file_index|video_key)(?::0?\d{1,2}d)?\})+", re.ASCII)


@dataclass(frozen=True)
class DataSet:
    """What ``meta/info.json`` says.

    Attributes:
        path: folder.
        fps: frames per second.
        features: columns and cameras by name, with ``dtype``, ``shape`` and ``names``.
        data_path, video_path: templates of file names.
        robot_type: of the robot that recorded.
    """

    path: Path
    fps: float
    features: dict[str, dict[str, Any]]
    data_path: str
    video_path: str
    robot_type: str

    @cached_property
    def cameras(self) -> list[str]:
        """Names of those that have pictures."""
        return [name for name, one in self.features.items() if one.get("dtype") in ("video", "image")]

    def file(self, template: str, **numbers: Any) -> Path:
        """A file of the data set.

        Raises:
            DataError: it is not there, or outside of the folder.
        """
        name = template.format(**numbers)
        found = self.path / name
        if not found.resolve().is_relative_to(self.path.resolve()):
            raise DataError(f"{self.path}: names the file {name!r}, which is outside of it")
        if not found.is_file():
            raise DataError(f"{found}: is missing")
        return found


def read_info(path: Path) -> DataSet:
    """What the data set says of itself.

    Raises:
        DataError: absent, broken, or of another version.
    """
    file = path / INFO
    try:
        values = json.loads(read_bounded(file, LARGEST_INFO))
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: is broken ({error})") from error
    if not isinstance(values, dict):
        raise DataError(f"{file}: must be an object; it is {type(values).__name__}")
    version = str(values.get("codebase_version"))
    if not re.fullmatch(r"v3(\.\d+)*", version):
        older = "; LeRobot's convert_dataset_v21_to_v30 makes one of v3.0" if version.startswith(("v1", "v2")) else ""
        raise DataError(f"{file}: 'codebase_version' is {version}; it must be v3.0 or a later v3{older}")
    fps, features = values.get("fps"), values.get("features")
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0 < fps <= 1000:
        raise DataError(f"{file}: 'fps' is {fps!r}; it must be above 0, and at most 1000")
    if not isinstance(features, dict) or not all(_described(one) for one in features.values()):
        raise DataError(f"{file}: 'features' must describe each column by 'dtype' and 'shape'")
    templates = {}
    for key in ("data_path", "video_path"):
        text = values.get(key) or ""
        if not isinstance(text, str) or (text and not TEMPLATE.fullmatch(text)) or (key == "data_path" and not text):
            raise DataError(f"{file}: '{key}' is {text!r}; it must be a path with {{chunk_index}} and {{file_index}}")
        templates[key] = text
    return DataSet(path, float(fps), features, robot_type=str(values.get("robot_type")), **templates)


def _described(feature: Any) -> bool:
    return (
        isinstance(feature, dict)
        and isinstance(feature.get("dtype"), str)
        and isinstance(feature.get("shape"), list)
        and all(isinstance(one, int) and 0 < one < 1 << 16 for one in feature["shape"])
    )


def numeric(told: DataSet) -> dict[str, dict[str, Any]]:
    """Columns that the robot's numbers are in."""
    kept = ("timestamp", "frame_index", "episode_index", "index", "task_index")
    return {name: one for name, one in told.features.items() if name not in (*told.cameras, *kept)}


def names(feature: dict[str, Any]) -> list[str]:
    """What a feature calls its numbers; empty = nothing."""
    told = feature.get("names")
    if isinstance(told, dict):  # {"motors": [...]}
        told = next((one for one in told.values() if isinstance(one, list)), None)
    return [str(one) for one in told] if isinstance(told, list) else []
