# SPDX-License-Identifier: Apache-2.0
"""What is exported in these tests, and a drive to try it on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from tidegate.bag import BagReader
from tidegate.bag.align import newest_before
from tidegate.bundle import Bundle
from tidegate.evaluation.pilot import Moment
from tidegate.evaluation.rollout import Task, driver_of, roll
from tidegate.evaluation.topics import small_records
from tidegate.export.parity import live
from tidegate.records import Floats, seconds
from tidegate.settings import Settings
from tidegate.share import share_path
from tidegate.stack import Stack

CONFIG, MODEL = share_path("config/car.yaml"), share_path("models/car-ltc19")
CELLS = ("ltc", "midpoint", "cfc")
"""The shipped network; the same by the exponential midpoint rule; a closed form."""


@dataclass(frozen=True, eq=False)
class Drive:
    """Frames of a drive: ``images`` (T, H, W, 3), ``speed`` (T,) [m/s], ``dt`` (T,) [s] since the frame before."""

    images: np.ndarray
    speed: np.ndarray
    dt: np.ndarray

    def live(self, bundle: Bundle, settings: Settings) -> Floats:
        return live(bundle, settings, self.images, self.speed, self.dt)


def bundle_of(cell: str, settings: Settings) -> Bundle:
    """The shipped network's weights; for the closed form random ones everywhere."""
    shipped = Bundle.load(MODEL)
    if cell == "ltc":
        return shipped
    if cell == "midpoint":
        return replace(shipped, policy=replace(shipped.policy, solver="exponential_midpoint", substeps=2))
    closed = replace(settings, policy=replace(settings.policy, cell="cfc"))
    stack = Stack.from_settings(closed, 4)
    random = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in stack.policy.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
    return stack.to_bundle("random-cfc", settings, 1234.0, conformal=[2.0, 3.0, 1.0, 1.0, 1.0, np.inf])


def recorded_drive(bag: Path) -> tuple[Drive, Floats]:
    """The frames of ``bag``, which begins with neurons at rest, and the commands and gains (T, 2 + G) in it."""
    reader = BagReader(bag)
    held = small_records(reader, ("odom", "nominal", "gains"))
    frames = [frame for _, _, frame in reader.messages(["camera/image_raw"]) if frame.stamp in held["nominal"]]
    stamps = [frame.stamp for frame in frames]
    heard = sorted(held["odom"])
    newest = [held["odom"][heard[index]] for index in newest_before(heard, stamps)]
    commands = [(held["nominal"][stamp], held["gains"][stamp].values) for stamp in stamps]
    gaps = [0.0, *(seconds(b - a) for a, b in pairwise(stamps))]
    return (
        Drive(
            np.stack([frame.image for frame in frames]),
            np.float32([odometry.speed for odometry in newest]),
            np.float32(gaps),
        ),
        np.array([[nominal.force, nominal.curvature, *gains.values()] for nominal, gains in commands]),
    )


def drive_of(settings: Settings, longest_s: float) -> Drive:
    """The shipped network at the wheel, every tenth frame lost."""
    frames, speeds = [], {}

    def watch(moment: Moment) -> None:
        speeds[moment.sensors.odometry.stamp] = moment.sensors.odometry.speed
        if moment.sensors.frame is not None:
            frames.append(moment.sensors.frame)

    bundle = Bundle.load(MODEL)
    task = Task(str(CONFIG), str(MODEL), "road", 1000)
    roll(settings, task, driver_of(settings, bundle), watch, longest_s, camera=True)
    kept = [frame for index, frame in enumerate(frames) if index % 10 != 7]
    gaps = [0.0, *(seconds(b.stamp - a.stamp) for a, b in pairwise(kept))]
    driven = [speeds[frame.stamp] for frame in kept]
    return Drive(np.stack([frame.image for frame in kept]), np.float32(driven), np.float32(gaps))
