# SPDX-License-Identifier: Apache-2.0
"""A bag as a ``Drive``: what it lacks is empty, and the page and the video leave it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.bag import BagReader
from tidegate.errors import BagError
from tidegate.insight.drive import Barrier, Drive, Lane, Motion, Truth
from tidegate.records import ArmSafetyState, Floats, SafetyState, seconds

TOPICS = (
    "safety_node/barriers",
    "safety_node/inputs",
    "odom",
    "lane",
    "neurons",
    "truth",
    "timing/rendered",
    "timing/commanded",
)


def load_drive(
    reader: BagReader, name: str, facts: dict[str, object] | None = None, road: Floats | None = None
) -> Drive:
    """Read a bag whole.

    Args:
        reader: of the bag.
        name: title of the drive.
        facts: what is known about it beyond the bag (scene, seed, figures), shown at the head of the page.
        road: (R, 2) centre line [m], drawn below the path where the bag holds the truth.

    Raises:
        BagError: it holds neither ticks of the safety filter nor a camera, or a message cannot be decoded.
    """
    present = [topic for topic in TOPICS if reader.held(topic)]
    if not {"safety_node/barriers"} & set(present) and not reader.held("camera/image_raw"):
        raise BagError(f"{reader.path}: has no ticks of the safety filter and no camera; there is nothing to show")
    held: dict[str, dict[int, Any]] = {topic: {} for topic in TOPICS}
    for topic, _, record in reader.messages(present):
        held[topic].setdefault(record.stamp, record)
    frames = [item[2] for item in reader.messages(["camera/image_raw"])] if reader.held("camera/image_raw") else []
    frames = [frame for frame in frames if frame.image.shape == frames[0].image.shape]
    frames.sort(key=lambda frame: frame.stamp)
    stamps = [*held["safety_node/barriers"], *(frame.stamp for frame in frames[:1])]
    start = min(stamps)
    lanes = in_order(held["lane"])
    neurons = in_order(held["neurons"])
    ticks = in_order(held["safety_node/barriers"])
    return Drive(
        name=name,
        time=times_of(ticks, start),
        mode=np.array([int(tick.mode) for tick in ticks], np.int64),
        wanted=np.array([tick.wanted for tick in ticks], np.float64).reshape(-1, 2),
        allowed=np.array([tick.allowed for tick in ticks], np.float64).reshape(-1, 2),
        row=np.array([tick.intervened for tick in ticks], np.str_),
        barriers=barriers_of(ticks),
        motion=_motion(in_order(held["odom"]), start),
        lane=Lane(
            times_of(lanes, start),
            np.array([lane.offset for lane in lanes]),
            np.array([lane.heading for lane in lanes]),
            np.array([lane.curvature[0] for lane in lanes]),
            np.array([lane.bound[0] for lane in lanes]),
        ),
        latency=_latency(held),
        image_time=times_of(frames, start),
        images=np.stack([frame.image for frame in frames]) if frames else np.zeros((0, 1, 1, 3), np.uint8),
        neuron_time=times_of(neurons, start),
        neurons=np.stack([record.values for record in neurons]) if neurons else np.zeros((0, 0), np.float32),
        truth=_truth(in_order(held["truth"]), start, road),
        facts=facts or {},
    )


def in_order(records: dict[int, Any]) -> list[Any]:
    """By stamp, which is their key."""
    return [records[stamp] for stamp in sorted(records)]


def times_of(records: Sequence[Any], start: int) -> Floats:
    """Seconds since ``start`` [ns]."""
    return np.array([seconds(record.stamp - start) for record in records])


def barriers_of(ticks: Sequence[SafetyState | ArmSafetyState]) -> dict[str, Barrier]:
    """Every barrier over the ticks, by name."""
    names = dict.fromkeys(barrier.name for tick in ticks for barrier in tick.barriers)
    tables: dict[str, NDArray[np.float64]] = {name: np.full((3, len(ticks)), np.nan) for name in names}
    for place, tick in enumerate(ticks):
        for barrier in tick.barriers:
            tables[barrier.name][:, place] = barrier.h, barrier.margin, barrier.multiplier
    return {name: Barrier(*table) for name, table in tables.items()}


def _motion(odometry: list[Any], start: int) -> Motion:
    table = np.array([(one.x, one.y, one.yaw, one.speed) for one in odometry], np.float64).reshape(-1, 4)
    return Motion(times_of(odometry, start), table[:, :2], table[:, 2], table[:, 3])


def _truth(records: list[Any], start: int, road: Floats | None) -> Truth | None:
    if not records:
        return None
    names = ("x", "y", "offset", "speed", "gap")
    table = np.array([[record.values[name] for name in names] for record in records])
    x_y, (offset, speed, gap) = table[:, :2], table[:, 2:].T
    return Truth(times_of(records, start), x_y, offset, speed, gap, np.zeros((0, 2)) if road is None else road)


def _latency(held: dict[str, dict[int, Any]]) -> Floats:
    """From rendered to commanded on one steady clock [ms]; in lock-step, in simulated time, from the ticks' inputs."""
    rendered, commanded = held["timing/rendered"], held["timing/commanded"]
    if rendered and commanded:
        both = sorted(set(rendered) & set(commanded))
        return np.array([commanded[stamp].values["steady"] - rendered[stamp].values["steady"] for stamp in both]) / 1e6
    first: dict[int, int] = {}
    for used in in_order(held["safety_node/inputs"]):
        source = used.inputs.get("nominal")
        if source is not None:
            first.setdefault(source[0], used.stamp - source[0])
    return np.array([first[stamp] for stamp in sorted(first)]) / 1e6
