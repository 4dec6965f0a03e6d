# SPDX-License-Identifier: Apache-2.0
"""Pair what a bag holds in time: each camera frame with the newest odometry and with its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.bag.reader import BagReader, relative
from tidegate.errors import BagError
from tidegate.records import LaneEstimate, Nominal, Odometry, nanoseconds

GAP_MAX = nanoseconds(0.5)
"""Odometry older than this [ns] is not paired with a frame."""
PAUSE_MAX_S = 0.5
"""A drive is cut where its camera paused for longer than this [s]."""


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """A drive in T steps, one per camera frame.

    ``stamp`` (T,) [ns] and ``speed`` (T,) [m/s]; ``images`` as ``prepare`` made them, (T, …); labels where the bag has
    them: ``force`` [N] and ``curvature`` [1/m] (T,), ``lane`` (T, 2 + K) as in ``LaneEstimate``, NaN where unknown;
    (T, 0) where the bag tells of no lane at all.
    ``interrupted``: the recording was cut off, or something else is wrong with the bag.
    """

    path: Path
    stamp: NDArray[np.int64]
    images: NDArray[Any]
    speed: NDArray[np.float64]
    force: NDArray[np.float64]
    curvature: NDArray[np.float64]
    lane: NDArray[np.float64]
    interrupted: bool


def align(reader: BagReader, prepare: Any, labels: bool | None = True) -> Drive:
    """Read a drive.

    Args:
        reader: of the bag.
        prepare: image (H, W, 3) uint8 → the array that is kept, called once per frame so that no bag is held whole.
        labels: the expert's command is read too, and the lane where the bag tells of it; None = where there is one.

    Raises:
        BagError: no camera, no odometry, no labels, or no time series.
    """
    needed, labels = labels is True, labels is True or (labels is None and reader.held("expert/nominal") is not None)
    topics = ["camera/image_raw", "odom", *(["expert/nominal"] if labels else [])]
    seen = labels and any("expert/lane" in (relative(name), reader.stands_for(name)) for name in reader.topics)
    topics += ["expert/lane"] if seen else []
    stamps: list[int] = []
    images: list[NDArray[np.uint8]] = []
    odometry: list[Odometry] = []
    nominal: dict[int, Nominal] = {}
    lanes: dict[int, LaneEstimate] = {}
    moved, last = False, None
    for topic, _, record in reader.messages(topics):
        if topic == "camera/image_raw":
            stamps.append(record.stamp)
            images.append(prepare(record.image))
            moved = moved or (last is not None and not np.array_equal(last, record.image))
            last = record.image
        elif topic == "odom":
            odometry.append(record)
        elif topic == "expert/nominal":
            nominal[record.stamp] = record
        else:
            lanes[record.stamp] = record
    check_series(reader.path, stamps, moved)
    stamp = np.array(stamps, np.int64)
    paired = newest_before([item.stamp for item in odometry], stamps)
    if (paired < 0).any():
        raise BagError(f"{reader.path}: odometry starts after the camera, {int((paired < 0).sum())} frames have none")
    knots = max((len(item.curvature) for item in lanes.values()), default=0)
    unlabelled = Nominal(0, np.nan, np.nan), np.full(2 + knots if seen or not labels else 0, np.nan)
    if needed and not any(at in nominal and (at in lanes or not seen) for at in stamps):
        raise BagError(f"{reader.path}: no camera frame has the stamp of an expert's label")
    commands = [nominal.get(at, unlabelled[0]) for at in stamps]
    return Drive(
        path=reader.path,
        stamp=stamp,
        images=np.stack(images),
        speed=np.array([odometry[index].speed for index in paired]),
        force=np.array([item.force for item in commands]),
        curvature=np.array([item.curvature for item in commands]),
        lane=np.stack([_lane(lanes[at]) if at in lanes else unlabelled[1] for at in stamps]),
        interrupted=reader.interrupted or bool(reader.problems),
    )


def labelled(drive: Drive) -> NDArray[np.bool_]:
    """Frames (T,) whose labels are known; the force may be missing, or the lane in the whole drive: then it is no
    lesson."""
    known = np.isfinite(drive.curvature) & np.isfinite(drive.speed)
    return np.asarray(known & (np.isfinite(drive.lane).all(axis=1) | (not tells_of_lane(drive))))


def tells_of_lane(drive: Drive) -> bool:
    """Whether any frame says where the lane is; other people's data do not."""
    return bool(np.isfinite(drive.lane).any())


def check_series(path: Path, stamps: Sequence[int], moved: bool) -> None:
    """Refuse what is no time series.

    Raises:
        BagError: fewer than two frames, stamps that do not advance, or the same image throughout.
    """
    if len(stamps) < 2:
        raise BagError(f"{path}: is no time series: it has {len(stamps)} camera frame(s), at least two are needed")
    steps = np.diff(np.array(stamps, np.int64))
    if (steps <= 0).any():
        index = int(np.argmax(steps <= 0))
        raise BagError(
            f"{path}: is no time series: the stamp of frame {index + 1} ({stamps[index + 1]} ns) does not advance on "
            f"that of frame {index} ({stamps[index]} ns)"
        )
    if not moved:
        raise BagError(f"{path}: is no time series: all {len(stamps)} camera frames are the same still image")


def newest_before(stamps: Sequence[int], at: Sequence[int]) -> NDArray[np.int64]:
    """Index of the newest of ``stamps`` not later than each of ``at`` and not older than ``GAP_MAX``, else −1."""
    if not stamps:
        return np.full(len(at), -1, np.int64)
    known, wanted = np.array(stamps, np.int64), np.array(at, np.int64)
    order = np.argsort(known, kind="stable")
    index = np.searchsorted(known[order], wanted, side="right") - 1
    found = np.where(index >= 0, order[index], -1)
    late = (index >= 0) & (wanted - known[order[index]] > GAP_MAX)
    return np.where(late, -1, found).astype(np.int64)


def _lane(record: LaneEstimate) -> NDArray[np.float64]:
    return np.array([record.offset, record.heading, *record.curvature])
