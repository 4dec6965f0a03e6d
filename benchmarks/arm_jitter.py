# SPDX-License-Identifier: Apache-2.0
"""How evenly an arm's safety node ticks at 500 Hz: the graph of ``robot.launch.py robot:=arm``, its drives simulated in
another process by the system's clock, a node that asks for torques. Gaps as ``jitter.py`` tells them; beside them how
old a command is when the drives have it, and by how much limits were exceeded in that loop."""

from __future__ import annotations

import argparse
import os
import time
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml
from arm_feed import feed_arm
from common import policy, save
from jitter import LISTENER_PRIORITY, QUANTILES, Listener, gaps, stolen

from tidegate.nodes.bringup import Graph
from tidegate.nodes.graph_options import GraphOptions
from tidegate.nodes.priority import real_time
from tidegate.records import Mode

SETTINGS = "config/arm.yaml"
WARM_S, PATIENCE_S = 3.0, 30.0


def used(pid: int) -> float:
    """Processor time of a process so far [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lenient(folder: Path) -> Path:
    """A copy of the settings with time-outs of seconds, for a machine that is too busy to keep those of the file."""
    document = yaml.safe_load(Path(SETTINGS).read_text("utf-8"))
    values = document["/**"]["ros__parameters"]
    values["arm"]["urdf"] = str(Path("urdf/arm.urdf.xacro").resolve())
    names = ("nominal_timeout_s", "joints_timeout_s", "contradiction_s", "pause_s")
    values["safety"]["ladder"] = dict.fromkeys(names, 1.0) | {"jump_rad": 1.0, "leap_rad_s": 100.0}
    path = folder / "lenient.yaml"
    path.write_text(yaml.safe_dump(document), "utf-8")
    return path


def measure(settings: Path, seconds: float, hostile: bool) -> dict[str, Any]:
    """Drive for so long, and say how it went.

    Raises:
        GraphError: the graph did not come up, or a node died.
    """
    context = get_context("spawn")
    ended, told = context.Event(), context.Queue()
    drives = context.Process(target=feed_arm, args=(str(settings), hostile, ended, told))
    drives.start()
    log: list[str] = []
    try:
        options = GraphOptions(None, settings, simulate=False)
        with Graph(options, lambda node, _level, text: log.append(f"{node}: {text}")) as graph:
            listener = Listener(graph)
            with suppress(OSError):  # the table tells
                real_time(LISTENER_PRIORITY)
            end = time.monotonic() + PATIENCE_S
            while (
                Mode.NORMAL not in listener.modes[-1:] and time.monotonic() < end
            ):  # a busy machine may never get there
                graph.spin(0.1)
            graph.spin(WARM_S)
            pids = {"safety_node": graph.children["safety_node"].pid, "listener": os.getpid()}
            policies = {name: policy(pid) for name, pid in {**pids, "drives": drives.pid or 0}.items()}
            listener.forget()
            log.clear()
            before, worked = stolen(), used(pids["safety_node"])
            graph.spin(seconds)
            worked = used(pids["safety_node"]) - worked
            figures = {
                "seconds": seconds,
                "hostile": hostile,
                "stolen_s": stolen() - before,
                "policies": policies,
                "processor_us_per_tick": 1e6 * worked / max(len(listener.stamps), 1),
                "ticks": gaps(listener.stamps),
                "arrivals": gaps(listener.arrived),
                "normal": listener.modes.count(Mode.NORMAL) / len(listener.modes),
                "log": log.copy(),
            }
        ended.set()
        loop = told.get(timeout=PATIENCE_S)
    finally:
        ended.set()
        drives.join(10.0)
    ages = np.array(loop.pop("ages")) / 1e6
    return figures | loop | {"age_ms": {name: float(np.quantile(ages, share)) for name, share in QUANTILES.items()}}


def main(arguments: list[str] | None = None) -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--hostile", action="store_true", help="full torque to and fro in the place of a swing")
    parser.add_argument("--lenient", action="store_true", help="time-outs of a second, so that a busy machine ticks on")
    chosen = parser.parse_args(arguments)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"  # simulated drives must not meet a robot
    with TemporaryDirectory() as folder:
        settings = lenient(Path(folder)) if chosen.lenient else Path(SETTINGS)
        figures = measure(settings, chosen.seconds, chosen.hostile) | {"lenient": chosen.lenient}
    print(save("arm_jitter", figures), figures)


if __name__ == "__main__":
    main()
