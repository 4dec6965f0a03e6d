# SPDX-License-Identifier: Apache-2.0
"""An arm's drivers in real time over DDS, from a process of their own: MuJoCo behind joint states and commands, by the
system's clock, and somebody who asks for torques."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import replace
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from typing import Any

import numpy as np

from tidegate.messages import TOPICS, decode, encode
from tidegate.nodes.priority import real_time
from tidegate.nodes.topics import make, message_class, offered_qos, requested_qos, ros_name, take
from tidegate.records import Command, Floats
from tidegate.settings.arm import load_arm_settings
from tidegate.simulation.arm.plant import ArmPlant

PRIORITY = 75
"""Above the safety node's: a drive's hardware does not wait for the processor."""
SEED = 5000
WISHES = 100.0
"""Wishes per second."""


def wish(plant: ArmPlant, hostile: bool, rng: np.random.Generator, time_s: float) -> Floats:
    """Torques that are asked for: gravity held and a swing, or full torque to and fro."""
    if hostile:
        return np.array(rng.choice([-1.5, 1.5], len(plant.arm.effort)) * plant.arm.effort)
    return np.array(plant.observe().joints.effort + 0.02 * plant.arm.effort * math.sin(5 * time_s))


def feed_arm(settings_file: str, hostile: bool, ended: Event, told: Queue[dict[str, Any]]) -> None:
    """Drive the arm until ``ended``; then tell by how much limits were exceeded, and how old commands were [ns]."""
    import rclpy

    settings = load_arm_settings(settings_file)
    plant, rng = ArmPlant(settings, seed=SEED), np.random.default_rng(SEED)
    rclpy.init(args=[])
    node = rclpy.create_node("drives")
    says = {
        topic: node.create_publisher(message_class(TOPICS[topic].type), ros_name(topic), offered_qos(topic, False))
        for topic in ("joint_states", "nominal")
    }
    kind = message_class(TOPICS["command"].type)
    hears = node.create_subscription(kind, "command", lambda _: None, requested_qos("command", False), raw=True)
    with contextlib.suppress(OSError):  # the benchmark tells which policy each process has
        real_time(PRIORITY)
    period, seldom = 1 / settings.safety.rate_hz, round(settings.safety.rate_hz / WISHES)
    due, tick, ages, silent = time.monotonic(), 0, [], 0
    while not ended.is_set():
        while (data := take(hears)) is not None:
            command: Command = decode("command", rclpy.serialization.deserialize_message(data, kind))
            ages.append(time.time_ns() - command.stamp)
            plant.apply(command)
        plant.step()
        silent += plant.silent and bool(ages)
        now = time.time_ns()
        says["joint_states"].publish(encode(replace(plant.observe().joints, stamp=now), make))
        if tick % seldom == 0:
            asked = wish(plant, hostile, rng, tick * period)
            says["nominal"].publish(encode(Command(now, plant.arm.joint_names, asked), make))
        due, tick = due + period, tick + 1
        time.sleep(max(due - time.monotonic(), 0.0))
    told.put({"excess": plant.excess, "ages": ages, "held": silent, "steps": tick})
    node.destroy_node()
    rclpy.shutdown()
