# SPDX-License-Identifier: Apache-2.0
"""Large frames through the live graph: 640 × 480 at 30 Hz, sensors of a recorded drive from a process of their own.

Each frame of the drive is blown up by whole factors, so that the network sees the picture that it knows; what the nodes
get, copy and shrink has the full size. Told is from before the publication of a frame to the command that used it.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shutil
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from common import FIGURES, MODEL, SETTINGS, Aim, add_check, judge, save
from feed import PRIORITY
from latency import QUANTILES

from tidegate.bag import BagReader
from tidegate.evaluation.rollout import Task, run_task
from tidegate.messages import TOPICS, encode, serialised_stamp
from tidegate.messages.graph import SENSORS
from tidegate.middleware import profile_of
from tidegate.nodes.bringup import Graph
from tidegate.nodes.graph_options import GraphOptions
from tidegate.nodes.priority import real_time
from tidegate.nodes.topics import make, message_class, offered_qos, read, ros_name
from tidegate.records import NANOSECONDS, Frame, Mode

IMAGE, LENS = "camera/image_raw", "camera/camera_info"
WIDTH, HEIGHT, RATE_HZ = 640, 480, 30.0
FOV_DEG = 62.0
"""Stated of the large camera until it tells of itself: with square pixels it shows all that the network looks at."""
STAND_S = 0.2
"""The beginning of the drive, in which the car hardly moves: it is repeated until the car is released."""
PATIENCE_S = 60.0


def settings_file(path: Path, **camera: float) -> Path:
    """The car's settings with another camera."""
    known = yaml.safe_load(Path(SETTINGS).read_text("utf-8"))
    parameters = known["/**"]["ros__parameters"]
    parameters["vehicle"]["urdf"] = str((Path(SETTINGS).parent / parameters["vehicle"]["urdf"]).resolve())
    parameters["camera"] = parameters.get("camera", {}) | camera
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(known), "utf-8")
    return path


def feed(bag: str, go: Event, ended: Event, published: Connection) -> None:
    """Publish the sensors of ``bag`` in real time, stamped anew; at its end tell by stamp when frames went out [ns]."""
    import rclpy

    reader = BagReader(bag)
    topics = {reader.find(topic): topic for topic in SENSORS}
    messages = [(topics[name], received, data) for name, _, received, data in reader.raw(topics)]
    frames = {received: record for _, received, record in reader.messages([IMAGE])}
    with contextlib.suppress(OSError):  # a sensor's hardware does not wait for the processor
        real_time(PRIORITY)
    rclpy.init(args=[])
    node = rclpy.create_node("feed")
    senders = {
        topic: node.create_publisher(message_class(TOPICS[topic].type), ros_name(topic), offered_qos(topic, False))
        for topic in topics.values()
    }
    told: dict[int, int] = {}

    def play(most: float) -> None:
        first, begun, later = messages[0][1], time.monotonic_ns(), time.time_ns() - messages[0][1]
        for topic, received, data in messages:
            if ended.is_set() or received - first >= most * NANOSECONDS:
                return
            time.sleep(max(begun + received - first - time.monotonic_ns(), 0) / NANOSECONDS)
            stamp = (serialised_stamp(data) or 0) + later
            if topic == LENS:  # the same view in smaller pixels, no longer square ones
                info = read(LENS, data)
                across, down = WIDTH / info.width, HEIGHT / info.height
                scale = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])
                large = replace(info, stamp=stamp, width=WIDTH, height=HEIGHT, k=scale @ info.k)
                senders[LENS].publish(encode(large, make))
                continue
            if topic != IMAGE:
                fresh = bytearray(data)
                struct.pack_into("<iI", fresh, 4, *divmod(stamp, NANOSECONDS))  # every sensor's message begins with it
                senders[topic].publish(bytes(fresh))
                continue
            image = frames[received].image
            rows, columns = HEIGHT // image.shape[0], WIDTH // image.shape[1]
            message = encode(Frame(stamp, image.repeat(rows, axis=0).repeat(columns, axis=1)), make)
            if go.is_set():
                told[stamp] = time.monotonic_ns()
            senders[IMAGE].publish(message)

    while not go.is_set() and not ended.is_set():
        play(STAND_S)
    play(math.inf)
    published.send(told)
    ended.wait()
    node.destroy_node()
    rclpy.shutdown()


class Listener:
    """When each hop was done with a frame [ns], by the frame's stamp, and the mode of every tick by its stamp.

    Attributes:
        hops: ``lane`` and ``nominal`` when they were heard here, ``command`` when the first that used it was sent.
    """

    def __init__(self, graph: Graph) -> None:
        self.hops: dict[str, dict[int, float]] = {"lane": {}, "nominal": {}, "command": {}}
        self.modes: dict[int, Mode] = {}
        for topic, heard in (
            ("lane", partial(self._output, "lane")),
            ("nominal", partial(self._output, "nominal")),
            ("timing/commanded", self._command),
            ("safety_node/barriers", self._state),
        ):
            kind, profile = message_class(TOPICS[topic].type), offered_qos(topic, lock_step=False)
            graph.node.create_subscription(kind, ros_name(topic), heard, profile, raw=True)

    def _output(self, topic: str, data: bytes) -> None:
        self.hops[topic].setdefault(serialised_stamp(data) or 0, time.monotonic_ns())

    def _command(self, data: bytes) -> None:
        values = read("timing/commanded", data)
        self.hops["command"].setdefault(values.stamp, values.values["steady"])

    def _state(self, data: bytes) -> None:
        state = read("safety_node/barriers", data)
        self.modes[state.stamp] = state.mode


def hop(published: dict[int, int], done: dict[int, float]) -> dict[str, float]:
    """Frames that came through, and quantiles [ms] of how long after their publication."""
    latency = np.array([(done[stamp] - sent) / 1e6 for stamp, sent in published.items() if stamp in done])
    return {"frames": len(latency)} | {name: float(np.quantile(latency, share)) for name, share in QUANTILES.items()}


def measure(seconds: float) -> dict[str, Any]:
    """Record a drive of so long, play it to the nodes, and say what became of its frames.

    Raises:
        GraphError: the graph did not come up, or a node died.
        RuntimeError: the car was never released.
    """
    folder = FIGURES / "large_frames"
    bag = folder / "bag"
    shutil.rmtree(folder, ignore_errors=True)
    small = settings_file(folder / "recorded.yaml", rate_hz=RATE_HZ)
    run_task(Task(str(small), str(MODEL), "road", 1000, record=str(bag), longest_s=seconds))
    large = settings_file(folder / "played.yaml", rate_hz=RATE_HZ, width=WIDTH, height=HEIGHT, fov_deg=FOV_DEG)
    options = GraphOptions(MODEL, large, simulate=False)
    context = get_context("spawn")
    go, ended = context.Event(), context.Event()
    ours, theirs = context.Pipe()
    # as the robot's drivers need it: Fast DDS has room for 0.5 MB by itself, and loses such frames
    os.environ.update(profile_of(os.environ))
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"  # made-up sensors must not reach a robot
    feeding = context.Process(target=feed, args=(str(bag), go, ended, theirs))
    feeding.start()
    try:
        with Graph(options, lambda *line: None) as graph:
            listener = Listener(graph)
            end = time.monotonic() + PATIENCE_S
            while Mode.NORMAL not in listener.modes.values():
                graph.spin(0.1)
                if time.monotonic() > end:
                    raise RuntimeError(f"the car was not released within {PATIENCE_S:g} s")
            go.set()
            while not ours.poll():
                graph.spin(0.5)
            published: dict[int, int] = ours.recv()
            pss = {}
            for name, child in graph.children.items():
                child.weigh()
                pss[name] = child.pss_mb
    finally:
        ended.set()
        feeding.join(10.0)
    first, last = min(published), max(published)
    modes = [mode for stamp, mode in listener.modes.items() if first <= stamp <= last]
    return {
        "size": [WIDTH, HEIGHT],
        "rate_hz": RATE_HZ,
        "seconds": (last - first) / NANOSECONDS,
        "published": len(published),
        "hops": {name: hop(published, done) for name, done in listener.hops.items()},
        "normal": modes.count(Mode.NORMAL) / len(modes),
        "pss_mb": pss,
    }


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """On two cores; processed is a frame of which perception and policy made a command."""
    processed = figures["hops"]["nominal"]["frames"] / figures["published"]
    yield Aim("share of the frames processed", processed, least=0.99)
    yield Aim("camera to command, median [ms]", figures["hops"]["command"]["median"], most=20.0)


def main(arguments: list[str] | None = None) -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    add_check(parser)
    chosen = parser.parse_args(arguments)
    figures = measure(chosen.seconds)
    print(save("large_frames", figures), figures)
    judge(aims(figures), chosen.check)


if __name__ == "__main__":
    main()
