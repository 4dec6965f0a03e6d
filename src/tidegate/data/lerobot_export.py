# SPDX-License-Identifier: Apache-2.0
"""Bags as a LeRobot data set of version 3, an episode for each stretch without a break.

LeRobot asks for a constant rate: an episode has a frame at each multiple of 1 / fps, the newest picture at that moment.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tidegate.bag import BagReader, Drive, align
from tidegate.bag.align import newest_before
from tidegate.data.lerobot_writer import Episode, Exported, Writer
from tidegate.data.series import PAUSE, SHORTEST_S
from tidegate.errors import DataError
from tidegate.records import NANOSECONDS


def export_lerobot(
    bags: Sequence[Path], out: Path, mass_kg: float, fps: float | None = None, task: str = "drive"
) -> Exported:
    """Write the camera, odometry and commands of ``bags`` as a data set.

    Args:
        bags: with ``camera/image_raw``, ``odom``, and ``expert/nominal`` or ``nominal``.
        out: folder, which appears once it is whole.
        mass_kg: turns forces into accelerations, where a bag does not say the mass itself.
        fps: frames per second; None = the first bag's median, rounded.
        task: what LeRobot calls the task, in words.

    Raises:
        BagError: a bag is unusable or lacks a topic.
        DataError: ``out`` exists, cameras differ in size, or nothing is left.
    """
    if out.exists():
        raise DataError(f"{out}: exists already; an export never overwrites anything")
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        writer: Writer | None = None
        for path in bags:
            reader = _reader(path)
            drive = align(reader, lambda image: np.array(image.shape[:2]))
            if writer is None:
                rate = fps or max(1.0, round(NANOSECONDS / float(np.median(np.diff(drive.stamp)))))
                writer = Writer(partial, rate, task, _even(drive.images[0]))
            if any(_even(size) != writer.size for size in drive.images):
                raise DataError(f"{path}: pictures of {drive.images[0][1]} × {drive.images[0][0]} px; {writer.told()}")
            weight = _mass(reader, mass_kg)
            for episode in _episodes(reader, drive, weight, writer.done):
                writer.add(episode, reader)
        if writer is None or not writer.done.episodes:
            reasons = Counter() if writer is None else writer.done.left_out
            told = "; ".join(f"{count} × {reason}" for reason, count in reasons.items())
            raise DataError(f"{', '.join(map(str, bags))}: nothing can be exported ({told or 'no bag'})")
        writer.finish()
        partial.rename(out)
        return writer.done
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _reader(path: Path) -> BagReader:
    """Of a bag whose driver was the expert, else the network."""
    reader = BagReader(path)
    own = reader.held("nominal")
    return BagReader(path, {own: "expert/nominal"}) if own and reader.held("expert/nominal") is None else reader


def _mass(reader: BagReader, otherwise: float) -> float:
    try:
        return float(reader.contract()["mass_kg"])
    except (KeyError, ValueError):
        return otherwise


def _even(size: NDArray[np.int64]) -> tuple[int, int]:
    """Height and width without the last odd line, which the codec cannot hold."""
    return int(size[0]) // 2 * 2, int(size[1]) // 2 * 2


def _episodes(reader: BagReader, drive: Drive, mass: float, done: Exported) -> Iterator[Episode]:
    """Stretches in which speed and command are known, at the constant rate."""
    turning = [record for _, _, record in reader.messages(["odom"])]
    turned = newest_before([record.stamp for record in turning], drive.stamp.tolist())
    state = np.stack([drive.speed, [turning[index].yaw_rate for index in turned]], axis=1)
    action = np.stack([drive.force / mass, drive.curvature], axis=1)
    known = np.isfinite(state).all(axis=1) & np.isfinite(action).all(axis=1)
    done.left_out["speed or command is not known"] += int((~known).sum())
    left = np.flatnonzero(known)
    for run in np.split(left, np.flatnonzero(np.diff(drive.stamp[left]) > PAUSE) + 1):
        span = (drive.stamp[run[-1]] - drive.stamp[run[0]]) / NANOSECONDS if len(run) else 0.0
        if span < SHORTEST_S:
            done.left_out[f"between breaks that are less than {SHORTEST_S:g} s apart"] += len(run)
            continue
        since = (drive.stamp[run] - drive.stamp[run[0]]) * (done.fps / NANOSECONDS)  # in ticks
        ticks = np.arange(int(span * done.fps + 1e-6) + 1)
        shown = run[np.searchsorted(since, ticks + 0.5, side="right") - 1]  # half a tick late is still in time
        different = len(np.unique(shown))
        done.repeated += len(shown) - different
        done.dropped += len(run) - different
        yield Episode(shown, state[shown].astype(np.float32), action[shown].astype(np.float32))
