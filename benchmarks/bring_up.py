# SPDX-License-Identifier: Apache-2.0
"""How long the graph takes to come up: from the start of the command to all nodes active, and to a released car."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from common import MODEL, SETTINGS, Aim, add_check, judge, save, table

from tidegate.nodes.bringup import Graph
from tidegate.nodes.graph_options import GraphOptions

SIGNS = {"active": "all nodes are active", "released": "[safety_node]: NORMAL"}
"""What is read in the output of the command, in this order."""
SAID = {"launch": "`ros2 launch tidegate simulation.launch.py`", "run": "the graph of `tidegate run`"}
DOMAINS = range(10, 100)
PATIENCE_S = 60.0


def workspace(place: Path) -> dict[str, str] | None:
    """The environment of a fresh colcon build in ``place``, as its set-up script makes it; None: no launch here."""
    tools = Path(sys.executable).parent
    colcon = shutil.which("colcon", path=f"{tools}{os.pathsep}{os.environ['PATH']}")
    if colcon is None or find_spec("launch_ros") is None:
        return None
    build = [colcon, "--log-base", str(place / "log"), "build", "--base-paths", str(Path.cwd())]
    subprocess.run(build, cwd=place, check=True, capture_output=True)
    installed = place / "install" / "tidegate"
    (site,) = installed.glob("lib/python*/site-packages")
    prefixes = (str(installed), os.environ.get("AMENT_PREFIX_PATH"), sys.prefix)
    return {
        "AMENT_PREFIX_PATH": os.pathsep.join(filter(None, prefixes)),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH")))),
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "RCUTILS_COLORIZED_OUTPUT": "0",
    }


def come_up(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Start ``command``, take the time from its start to each sign [s], and end it as Ctrl-C does.

    Raises:
        RuntimeError: it ended, or a sign did not come in time.
    """
    alone = {"ROS_DOMAIN_ID": str(random.choice(DOMAINS)), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        env=os.environ | environment | alone | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    found: dict[str, float] = {}
    said: list[str] = []
    try:
        for line in process.stdout:
            said.append(line)
            found |= {name: time.monotonic() - start for name, sign in SIGNS.items() if sign in line}
            if len(found) == len(SIGNS) or time.monotonic() - start > PATIENCE_S:
                break
        if len(found) < len(SIGNS):
            raise RuntimeError(f"{' '.join(command)} did not come up:\n{''.join(said)}")
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return found


def inside() -> None:
    """Bring the graph up as ``tidegate run`` does, and tell by the same signs."""

    def said(node: str, _level: str, text: str) -> None:
        if node == "safety_node" and text.startswith("NORMAL"):
            print(SIGNS["released"])

    try:
        with Graph(GraphOptions(MODEL, Path(SETTINGS), seed=1000), said) as graph:
            print(SIGNS["active"])
            while True:
                graph.spin(0.1)  # a signal is seen between two
    except KeyboardInterrupt:
        pass


def tell(figures: dict[str, Any]) -> str:
    """The section of the page of results."""
    rows = [
        (
            SAID[way],
            *(f"{sorted(times)[len(times) // 2]:.1f} ({min(times):.1f}–{max(times):.1f})" for times in found.values()),
        )
        for way, found in figures["seconds"].items()
    ]
    return (
        f"## Bring-up\n\nFrom the start of the command to all four nodes active, and to a released car; the "
        f"simulator builds its world meanwhile on the same machine. Median of {figures['rounds']} starts, with the "
        f"least and the largest.\n\n{table(('command', 'all active [s]', 'released [s]'), rows)}"
    )


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """Of every start."""
    for way, found in figures["seconds"].items():
        yield Aim(f"{SAID[way]}: all active, the largest [s]", max(found["active"]), most=10.0)


def main(arguments: list[str] | None = None) -> None:
    """Both ways in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    add_check(parser)
    chosen = parser.parse_args(arguments)
    if chosen.inside:
        return inside()
    here = {"PYTHONPATH": os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))}
    ways = {"run": ([sys.executable, __file__, "--inside"], here)}
    with tempfile.TemporaryDirectory() as place:
        built = workspace(Path(place))
        if built is not None:
            bundle = f"bundle:={MODEL.resolve()}"
            ways["launch"] = (["ros2", "launch", "tidegate", "simulation.launch.py", bundle, "seed:=1000"], built)
        seconds: dict[str, dict[str, list[float]]] = {way: {name: [] for name in SIGNS} for way in ways}
        for _ in range(chosen.rounds):
            for way, (command, environment) in ways.items():
                for name, took in come_up(command, environment).items():
                    seconds[way][name].append(took)
    figures = {"rounds": chosen.rounds, "seconds": seconds}
    print(save("bring_up", figures), seconds)
    judge(aims(figures), chosen.check)
    return None


if __name__ == "__main__":
    main()
