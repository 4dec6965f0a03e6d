# SPDX-License-Identifier: Apache-2.0
"""Where the time goes: of a closed loop without ROS, of the live graph, and of a training step.

The parts of a loop and of a step are timed from outside, by a stopwatch around the functions that do them: time inside
another part counts there alone. Of the live graph each process tells the processor time that it used.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import MODEL, SETTINGS, save, table
from loader import STAGES, bags

from tidegate.bundle import Bundle
from tidegate.evaluation.log import DriveLog
from tidegate.evaluation.pilot import Pilot
from tidegate.evaluation.rollout import Task, drive
from tidegate.learning import train
from tidegate.learning.dataset import Windows, read_bags
from tidegate.learning.recipe import load_recipe
from tidegate.learning.train import Trainer
from tidegate.liquid.policy import LiquidPolicy
from tidegate.liquid.wired import WiredPolicy
from tidegate.nodes.bringup import Graph
from tidegate.nodes.graph_options import GraphOptions
from tidegate.perception import perception
from tidegate.perception.backbone import Backbone
from tidegate.perception.health import HealthMonitor
from tidegate.perception.perception import Perception
from tidegate.robot import Car
from tidegate.safety.filter import Filter
from tidegate.safety.supervisor import Supervisor
from tidegate.settings import Settings, load_settings
from tidegate.simulation import Simulator
from tidegate.simulation.camera import Camera
from tidegate.simulation.engine import mujoco
from tidegate.simulation.sensors import Proprioception, RangeSensor
from tidegate.stack import Stack

Watched = tuple[str, Any, str]
"""A part's name, and the owner and name of a function that does it; functions of one part are added up."""

LOOP: list[Watched] = [
    ("simulator: picture", Camera, "capture"),
    ("simulator: physics, MuJoCo", mujoco, "mj_step"),
    ("simulator: actuators, limits, traffic, place on the road", Simulator, "step"),
    ("simulator: truth", Simulator, "truth"),
    ("simulator: joints, odometry, imu", Proprioception, "measure"),
    ("simulator: range points", RangeSensor, "scan"),
    ("perception: image", perception, "normalise"),
    ("perception: image", Perception, "_small"),
    ("perception: network", Perception, "_run"),
    ("perception: image health", HealthMonitor, "judge"),
    ("policy", LiquidPolicy, "step"),
    ("safety: rows", Filter, "_fill"),
    ("safety: programme", Filter, "_solve"),
    ("safety: filter beside rows and programme", Filter, "__call__"),
    ("safety: watchdogs, lane, ladder, efforts", Supervisor, "tick"),
    ("evaluation: log", DriveLog, "add"),
    ("evaluation: handing on", Pilot, "tick"),
]


class Stopwatch:
    """Time [s] and calls of each part; of nested parts the inner one counts."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._inner = [0.0]

    @contextmanager
    def around(self, watched: list[Watched]) -> Iterator[None]:
        """Within, calls of the functions are timed."""
        kept = [(owner, name, getattr(owner, name)) for _, owner, name in watched]
        for part, owner, name in watched:
            setattr(owner, name, self._timed(part, getattr(owner, name)))
        try:
            yield
        finally:
            for owner, name, function in kept:
                setattr(owner, name, function)

    def forget(self) -> None:
        """Begin anew."""
        self.parts = dict.fromkeys(self.parts, 0.0)
        self.calls = dict.fromkeys(self.calls, 0)

    def _timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        self.parts.setdefault(part, 0.0)
        self.calls.setdefault(part, 0)

        def timed(*arguments: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            begun = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                spent = time.perf_counter() - begun
                self.parts[part] += spent - self._inner.pop()
                self.calls[part] += 1
                self._inner[-1] += spent

        return timed


def loop(settings: Settings, bundle: Bundle, scene: str, seed: int, longest: float) -> dict[str, Any]:
    """Share of each part in a closed loop, and its time per call."""
    watch = Stopwatch()
    task = Task(SETTINGS, str(MODEL), scene, seed, longest_s=longest)
    plain = drive(settings, task, bundle)
    with watch.around(LOOP):
        run = drive(settings, task, bundle)
    parts = {
        part: {"s": spent, "us_per_call": 1e6 * spent / max(watch.calls[part], 1)}
        for part, spent in watch.parts.items()
    }
    return {
        "scene": scene,
        "driven_s": run.duration_s,
        "wall_s": run.wall_s,
        "plain_wall_s": plain.wall_s,
        "parts": parts,
    }


def processor_time(pid: int) -> float:
    """User and system time [s] of a process and its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def live(scene: str, seed: int, seconds: float) -> dict[str, Any]:
    """Processor time of each process of the live graph [ms per second], and its memory [MB]."""
    options = GraphOptions(MODEL, Path(SETTINGS), scene=scene, seed=seed)
    with Graph(options, lambda node, level, text: None, lambda: False) as graph:
        graph.spin(5.0)
        before, begun = {name: processor_time(child.pid) for name, child in graph.children.items()}, time.monotonic()
        graph.spin(seconds)
        passed = time.monotonic() - begun
        used = {name: processor_time(child.pid) - before[name] for name, child in graph.children.items()}
        for child in graph.children.values():
            child.weigh()
        pss = {name: child.pss_mb for name, child in graph.children.items()}
    return {
        "scene": scene,
        "seconds": passed,
        "ms_per_s": {name: 1e3 * spent / passed for name, spent in used.items()},
        "pss_mb": pss,
    }


MEMORY = {
    "Python": "",
    "NumPy": "import numpy",
    "rclpy, Fast DDS, a node": "import rclpy; rclpy.init(args=[]); node = rclpy.create_node('memory')",
    "classes of the messages": (
        "from tidegate.messages import TOPICS; from tidegate.nodes.topics import message_class; "
        "classes = [message_class(topic.type) for topic in TOPICS.values()]"
    ),
    "settings": f"from tidegate.settings import load_settings; settings = load_settings('{SETTINGS}')",
    "OpenCV": "import cv2",
    "onnxruntime": "import onnxruntime",
    "perception with its network": (
        "from tidegate.bundle import Bundle; from tidegate.perception.perception import Perception; "
        f"bundle = Bundle.load('{MODEL}'); see = Perception(bundle, settings)"
    ),
    "first frame": (
        "from tidegate.records import Frame; camera = settings.camera; "
        "see.process(Frame(0, numpy.zeros((camera.height, camera.width, 3), numpy.uint8)))"
    ),
    "policy": "from tidegate.liquid.policy import LiquidPolicy; decide = LiquidPolicy(bundle, settings)",
    "safety filter with DAQP": (
        "from tidegate.robot import Car; from tidegate.safety.supervisor import Supervisor; "
        "keep = Supervisor(settings, Car.from_settings(settings))"
    ),
}
"""Statements that a process takes one after the other."""


def memory() -> dict[str, float]:
    """Resident memory [MB] that each part adds in a fresh process."""
    told = "print(int(next(l for l in open('/proc/self/status') if l.startswith('VmRSS')).split()[1]), flush=True)"
    program = "\n".join(f"{statements}\n{told}" for statements in MEMORY.values())
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    resident = [int(line) / 1024 for line in done.stdout.split()]
    return dict(zip(MEMORY, [resident[0], *np.diff(resident).tolist()], strict=True))


STEP: list[Watched] = [
    ("drawing windows", Windows, "draw"),
    ("disturbing pictures", train, "augment"),
    ("forward: convolutional network", Backbone, "code"),
    ("forward: liquid network", WiredPolicy, "forward"),
    ("losses", train, "losses"),
    ("losses", train, "tau_loss"),
    ("losses", train, "lane_loss"),
    ("backward", torch.Tensor, "backward"),
    ("clipping and optimiser", torch.optim.AdamW, "step"),
    ("clipping and optimiser", torch.nn.utils, "clip_grad_norm_"),
]
THREADED = ("drawing windows", "disturbing pictures")
"""In the stage ``lane`` a thread of their own does these meanwhile."""


def training(settings: Settings, steps: int, given: list[Path]) -> dict[str, Any]:
    """Time [ms] of a step of each stage, and of its parts."""
    recipe = load_recipe()
    jobs = [(number, path, None) for number, path in enumerate(bags(given, 6, recipe))]
    drives = [found for _, (found, _) in read_bags(jobs, settings.perception)]
    windows = Windows(drives, recipe.train, Car.from_settings(settings).effective_mass, 1 / settings.camera.rate_hz)
    figures: dict[str, Any] = {}
    for stage in STAGES:
        watch = Stopwatch()
        at: list[float] = []
        watched = [one for one in STEP if stage != "lane" or one[0] not in THREADED]

        def heard(step: int, found: dict[str, float], watch: Stopwatch = watch, at: list[float] = at) -> None:
            if not at:  # what was before, codes for instance, is no part of a step
                watch.forget()
            at.append(time.perf_counter())

        with watch.around(watched):
            Trainer(Stack.from_settings(settings, 0), recipe, settings).fit(windows, stage, steps, heard=heard)
        figures[stage] = {
            "steps": getattr(recipe.train, f"{stage}_steps"),
            "ms": 1e3 * (at[-1] - at[0]) / (steps - 1),
            "parts_ms": {part: 1e3 * spent / (steps - 1) for part, spent in watch.parts.items()},
        }
    return {"steps": steps, "threads": recipe.threads, "stages": figures}


def main(arguments: list[str] | None = None) -> None:
    """Time all three and keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", default="road")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30.0, help="of the loop, and of the live graph")
    parser.add_argument("--steps", type=int, default=40, help="of each stage of training")
    parser.add_argument("--bags", type=Path, action="append", help="to train on; else drives are recorded")
    chosen = parser.parse_args(arguments)
    settings, bundle = load_settings(SETTINGS), Bundle.load(MODEL)
    figures = {
        "loop": loop(settings, bundle, chosen.scene, chosen.seed, chosen.seconds),
        "live": live(chosen.scene, chosen.seed, chosen.seconds),
        "memory_mb": memory(),
        "training": training(settings, chosen.steps, chosen.bags or []),
        "make_train_s": bundle.training["durations_s"],
    }
    print(save("breakdown", figures))
    print(tell(figures))


def tell(figures: dict[str, Any]) -> str:
    """The tables of docs/results.md."""
    loop, live, learnt = figures["loop"], figures["live"], figures["training"]
    rest = loop["wall_s"] - sum(part["s"] for part in loop["parts"].values())

    def row(name: str, spent: float, each: str) -> tuple[str, str, str, str]:
        return name, f"{spent / loop['wall_s']:.1%}", f"{1e3 * spent / loop['driven_s']:.1f}", each

    loop_rows = [row(name, part["s"], f"{part['us_per_call']:.0f}") for name, part in loop["parts"].items()]
    loop_rows.append(row("making the world, and the rest", rest, ""))
    live_rows = [(name, f"{spent:.0f}", f"{live['pss_mb'][name]:.0f}") for name, spent in live["ms_per_s"].items()]
    names = list(dict.fromkeys(name for name, _, _ in STEP))
    step_rows = [
        (
            stage,
            f"{found['steps']:,}",
            f"{found['ms']:.1f}",
            *(f"{found['parts_ms'][name]:.1f}" if name in found["parts_ms"] else "(thread)" for name in names),
            f"{found['ms'] - sum(found['parts_ms'].values()):.1f}",
        )
        for stage, found in learnt["stages"].items()
    ]
    return "\n\n".join(
        [
            "## Where the time goes",
            f"A closed loop without ROS in one process: {loop['driven_s']:.0f} s of scene `{loop['scene']}` in "
            f"{loop['wall_s']:.1f} s under the stopwatch, {loop['plain_wall_s']:.1f} s without. Time inside another "
            "part counts there alone.",
            table(("part", "share", "ms per second driven", "µs per call"), loop_rows),
            f"The live graph in real time, scene `{live['scene']}`, {live['seconds']:.0f} s after it was up: processor "
            "time of each process, all its threads, of the middleware's too.",
            table(("process", "ms per second", "memory, PSS [MB]"), live_rows),
            "Resident memory that each part adds in one fresh process, one after the other; a node has some of them.",
            table(("part", "MB"), [(name, f"{size:.1f}") for name, size in figures["memory_mb"].items()]),
            f"A training step of the shipped recipe, {learnt['threads']} threads: mean of {learnt['steps'] - 1} [ms].",
            table(("stage", "steps of the recipe", "a step", *names, "waiting, and the rest"), step_rows),
            "`make train` of the shipped bundle, by its own record [s]: "
            + ", ".join(f"{name} {spent:.0f}" for name, spent in figures["make_train_s"].items())
            + ".",
        ]
    )


if __name__ == "__main__":
    main()
