# SPDX-License-Identifier: Apache-2.0
"""Which format somebody's data have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tidegate.data.mapping import DataMap
from tidegate.data.recording import Recording
from tidegate.data.topics import read_bag
from tidegate.data.tub import is_tub, read_tub
from tidegate.errors import DataError

KINDS = {"tub": "donkeycar tub v2", "lerobot": "LeRobot v3 data set", "bag": "rosbag2"}


def kind_of(path: Path) -> str:
    """A key of ``KINDS``.

    Raises:
        DataError: none of them, or nothing there.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if path.suffix == ".bag":
        raise DataError(f"{path}: is a bag of ROS 1; 'rosbags-convert --src {path.name} --dst NEW' makes one of ROS 2")
    if path.is_file():
        if path.suffix in (".mcap", ".db3"):
            return "bag"
    elif any(path.glob("*.mcap")) or any(path.glob("*.db3")):
        return "bag"
    elif (path / "meta" / "info.json").is_file():
        return "lerobot"
    elif is_tub(path):
        return "tub"
    raise DataError(
        f"{path}: is nothing that can be imported: a donkeycar tub has manifest.json, a LeRobot data set "
        "meta/info.json, a bag files of .mcap or .db3"
    )


def read(path: Path, chart: DataMap) -> Iterator[Recording]:
    """The recordings in ``path``, of whatever format.

    Raises:
        DataError: as its reader does; DependencyError: the packages that read it are absent.
    """
    kind = kind_of(path)
    if kind == "tub":
        return read_tub(path, chart)
    if kind == "bag":
        return read_bag(path, chart)
    from tidegate.data.lerobot import read_lerobot  # its packages are optional

    return read_lerobot(path, chart)
