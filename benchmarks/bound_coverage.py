# SPDX-License-Identifier: Apache-2.0
"""How often the lane's conformal error bounds hold, on drives that neither trained nor calibrated the network."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from common import MODEL, SETTINGS, save
from rich.progress import Progress
from scipy.stats import binomtest

from tidegate.bundle import Bundle
from tidegate.evaluation.campaign import parse_seeds
from tidegate.evaluation.drivers import Driver, ExpertDriver
from tidegate.evaluation.pilot import Moment
from tidegate.evaluation.rollout import Task, driver_of, roll
from tidegate.perception import Perception
from tidegate.records import Level, Percept
from tidegate.settings import load_settings
from tidegate.simulation import Simulator, Truth
from tidegate.workers import as_they_end

SCENES = ("road", "traffic", "truck", "truck_whiteout", "camera_lost")
DRIVERS = ("expert", "bundle")
FRAME_SHARE = 0.99
"""Share of a drive's frames that must be within the bound for the drive to be covered, as ``conformal_factors``."""
BEFORE = (100.0, 180.0)
"""Distance [m] before what happens in a scene at which a drive begins."""


@dataclass(frozen=True, slots=True)
class Drive:
    """What one drive showed, per quantity (2 + K,): share of the frames ``within`` the bound, its ``width`` (median).

    ``frames`` were judged, ``refused`` not: image health says that they must not be used.
    """

    scene: str
    driver: str
    frames: int
    refused: int
    within: tuple[float, ...]
    width: tuple[float, ...]


def begin(simulator: Simulator) -> None:
    """Set the car down before the truck, or before the place where the camera is lost; elsewhere it stays."""
    scene = simulator.scene
    event = scene.truck.distance if hasattr(scene, "truck") else getattr(scene, "lost_at", None)
    if event is not None:
        simulator.place(scene.start + max(event - float(scene.rng.uniform(*BEFORE)), 0.0))


def watched(task: Task, longest_s: float) -> Drive:
    """Drive once and compare what the network says of the lane with the truth at the frame's exposure."""
    settings = load_settings(task.settings)
    bundle = Bundle.load(task.bundle, settings.vehicle.name)
    eyes = Perception(bundle, settings) if task.driver == "expert" else None
    states: dict[int, Truth] = {}
    errors, bounds = [], []
    refused = 0

    def make(simulator: Simulator) -> Driver:
        begin(simulator)
        return driver_of(settings, bundle)(simulator) if eyes is None else ExpertDriver(settings, simulator)

    def watch(moment: Moment) -> None:
        nonlocal refused
        states[moment.truth.stamp] = moment.truth
        frame = moment.sensors.frame
        if frame is None:
            return
        percept: Percept | None = moment.step.percept if eyes is None else eyes.process(frame)
        assert percept is not None
        if percept.health.level >= Level.ERROR:
            refused += 1
            return
        lane, truth = percept.lane, states[frame.stamp]
        seen = np.array([lane.offset, lane.heading, *lane.curvature])
        errors.append(np.abs(seen - [truth.offset, truth.heading, *truth.curvature]))
        bounds.append(lane.bound)

    roll(settings, task, make, watch, longest_s, camera=True)
    within = (np.array(errors) <= np.array(bounds)).mean(axis=0)
    width = np.median(bounds, axis=0)
    return Drive(task.scene, task.driver, len(errors), refused, tuple(within.tolist()), tuple(width.tolist()))


def covered(drives: Iterable[Drive], quantity: int) -> dict[str, Any]:
    """Coverage of one quantity over drives: per drive with its Clopper-Pearson interval, per frame, and the width."""
    chosen = list(drives)
    kept = sum(drive.within[quantity] >= FRAME_SHARE for drive in chosen)
    interval = binomtest(kept, len(chosen)).proportion_ci(0.95, method="exact")
    frames = sum(drive.frames for drive in chosen)
    return {
        "kept": kept,
        "drives": len(chosen),
        "low": interval.low,
        "high": interval.high,
        "frames": sum(drive.within[quantity] * drive.frames for drive in chosen) / frames,
        "width": statistics.median(drive.width[quantity] for drive in chosen),
    }


def main(arguments: list[str] | None = None) -> None:
    """Drive every scene with either driver and keep the coverage by scene and over all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seeds", default="820:835", help="neither trained nor calibrated with; dealt out to the scenes"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a drive; 20 in the calibration")
    parser.add_argument("--processes", type=int, default=1)
    chosen = parser.parse_args(arguments)
    settings, bundle = load_settings(SETTINGS), Bundle.load(MODEL, "car")
    tasks = [
        Task(SETTINGS, str(MODEL), SCENES[place % len(SCENES)], seed, driver)
        for place, seed in enumerate(parse_seeds(chosen.seeds))  # no two drives of a driver on the same road
        for driver in DRIVERS
    ]
    drives = []
    with Progress() as progress:
        bar = progress.add_task("coverage", total=len(tasks))
        for _, drive in as_they_end(partial(watched, longest_s=chosen.seconds), tasks, chosen.processes):
            drives.append(drive)
            progress.advance(bar)
    names = ["offset", "heading", *(f"curvature {ahead:g} m ahead" for ahead in settings.perception.preview_m)]
    rows = []
    for driver in DRIVERS:
        for scene in ("all", *SCENES):
            mine = [drive for drive in drives if drive.driver == driver and scene in ("all", drive.scene)]
            judged = [drive for drive in mine if drive.frames]
            quantities = {name: covered(judged, place) for place, name in enumerate(names)} if judged else {}
            refused = sum(drive.refused for drive in mine)
            frames = sum(drive.frames for drive in mine)
            rows.append({"driver": driver, "scene": scene, "frames": frames, "refused": refused, "of": quantities})
    figures = {
        "seeds": chosen.seeds,
        "seconds": chosen.seconds,
        "nominal": 1 - bundle.training["recipe"]["calibrate"]["miscoverage"],
        "frame_share": FRAME_SHARE,
        "names": names,
        "rows": rows,
    }
    print(save("bound_coverage", figures))


if __name__ == "__main__":
    main()
