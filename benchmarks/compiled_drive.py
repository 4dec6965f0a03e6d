# SPDX-License-Identifier: Apache-2.0
"""Closed loops on the exported C library: lane and command come from it, image health from the live perception."""

from __future__ import annotations

import argparse
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
from common import MODEL, SETTINGS, save, table
from rich.progress import track

from tidegate.bundle import Bundle
from tidegate.evaluation.campaign import parse_seeds
from tidegate.evaluation.drivers import Seen
from tidegate.evaluation.rollout import Task, roll
from tidegate.export.c_library import export_c
from tidegate.export.compiled import Compiled
from tidegate.export.network import Network
from tidegate.export.parity import Parity
from tidegate.perception import Perception
from tidegate.records import Decision, Features, Gains, LaneEstimate, Nominal, Odometry, seconds
from tidegate.settings import Settings, load_settings
from tidegate.simulation import Observation
from tidegate.workers import as_they_end


class CompiledDriver:
    """As ``evaluation.drivers.BundleDriver``, with the C library for features, lane and policy."""

    def __init__(self, bundle: Bundle, settings: Settings) -> None:
        network = Network.of(bundle, settings)
        self._library = Compiled(network, export_c(network, Parity.of(bundle, settings)))
        self._names = network.facts["gain_names"]
        self._neurons = np.zeros(sum(network.facts["neurons"].values()), np.float32)
        self._health = Perception(bundle, settings)
        self._odometry: deque[Odometry] = deque(maxlen=round(2 * settings.safety.rate_hz))
        self._decided: int | None = None

    def look(self, sensors: Observation) -> Seen:
        """Process the frame, if one came."""
        self._odometry.append(sensors.odometry)
        if sensors.frame is None:
            return None, None
        stamp = sensors.frame.stamp
        features, lane, bound = self._library.see(sensors.frame.image)
        seen = LaneEstimate(stamp, float(lane[0]), float(lane[1]), lane[2:].astype(float), bound.astype(float))
        percept = replace(self._health.process(sensors.frame), features=Features(stamp, features), lane=seen)
        known = next((one for one in reversed(self._odometry) if one.stamp <= stamp), None)
        if known is None:
            return percept, None
        passed = 0.0 if self._decided is None else seconds(stamp - self._decided)
        force, curvature, *gains = map(float, self._library.decide(features, known.speed, passed, self._neurons))
        self._decided = stamp
        named = Gains(stamp, dict(zip(self._names, gains, strict=True)))
        return percept, Decision(Nominal(stamp, force, curvature), named, self._neurons.copy())


def drive(task: Task) -> dict[str, Any]:
    """Figures of one closed loop."""
    settings = load_settings(task.settings)
    bundle = Bundle.load(task.bundle, settings.vehicle.name)
    log, end, state = roll(settings, task, lambda _: CompiledDriver(bundle, settings), camera=True)
    return log.judge(task.scene, task.seed, end, state, 0.0).as_dict()


def main(arguments: list[str] | None = None) -> None:
    """Drive every seed and keep what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", default="road")
    parser.add_argument("--seeds", default="1000:1020")
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args(arguments)
    tasks = [Task(SETTINGS, str(MODEL), chosen.scene, seed) for seed in parse_seeds(chosen.seeds)]
    driven = as_they_end(drive, tasks, chosen.processes)
    runs = [run for _, run in track(driven, "closed loops on the C library", len(tasks))]
    print(save("compiled_drive", {"scene": chosen.scene, "seeds": chosen.seeds, "runs": runs}))


def tell(figures: dict[str, Any]) -> str:
    """The table of docs/results.md."""
    runs = figures["runs"]
    row = (
        f"{sum(run['completed'] for run in runs)}/{len(runs)}",
        sum(run["collisions"] for run in runs),
        sum(run["limit_violations"] for run in runs),
        f"{max(run['max_abs_lane_error_m'] for run in runs):.2f}",
    )
    head = ("completed", "collisions", "limits violated", "largest lane error [m]")
    return (
        f"## Closed loops on the exported C library\n\nScene `{figures['scene']}`, seeds {figures['seeds']} (the end "
        f"excluded); lane and command from the C library, image health from the live path.\n\n{table(head, [row])}"
    )


if __name__ == "__main__":
    main()
