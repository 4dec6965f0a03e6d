# SPDX-License-Identifier: Apache-2.0
"""The records of ``straight_road`` in real time over DDS, from a process of its own."""

from __future__ import annotations

import contextlib
import time
from multiprocessing.synchronize import Event
from typing import Any

import numpy as np
from straight_road import Way, records

from tidegate.messages import TOPICS, encode
from tidegate.nodes.priority import real_time
from tidegate.nodes.topics import make, message_class, offered_qos, ros_name
from tidegate.robot import Car
from tidegate.settings import load_settings

PRIORITY = 75
"""Above the safety node's: a sensor's hardware does not wait for the processor."""


def feed(settings_file: str, go: Event, ended: Event) -> None:
    """Publish at the rates of the settings until ``ended``; stand until ``go``."""
    import rclpy

    settings = load_settings(settings_file)
    car, way, rng = Car.from_settings(settings), Way(), np.random.default_rng(0)
    rclpy.init(args=[])
    node = rclpy.create_node("feed")
    publishers: dict[str, Any] = {}
    with contextlib.suppress(OSError):  # the benchmark tells which policy each process has
        real_time(PRIORITY)
    period, seldom = 1 / settings.safety.rate_hz, round(settings.safety.rate_hz / settings.camera.rate_hz)
    due, tick = time.monotonic(), 0
    while not ended.is_set():
        for topic, record in records(settings, car, way, time.time_ns(), rng, tick % seldom == 0).items():
            if topic not in publishers:
                kind, profile = message_class(TOPICS[topic].type), offered_qos(topic, lock_step=False)
                publishers[topic] = node.create_publisher(kind, ros_name(topic), profile)
            publishers[topic].publish(encode(record, make))
        way.step(period, go.is_set())
        due, tick = due + period, tick + 1
        time.sleep(max(due - time.monotonic(), 0.0))
    node.destroy_node()
    rclpy.shutdown()
