# SPDX-License-Identifier: Apache-2.0
"""Real protobuf messages with the fields of ``gz.msgs`` that we read, made without Gazebo; a stand-in for its server.

Field numbers and types are those of gz-msgs 10. The stand-in knows no physics but a mass that wheels push.
"""

from __future__ import annotations

import math
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tidegate.records import Frame, Imu, Points
from tidegate.simulation.gazebo_server import Moved, Stage

LAYOUT = {
    "Time": [("sec", 1, "INT64"), ("nsec", 2, "INT32")],
    "Header": [("stamp", 1, "Time")],
    "Vector3d": [("x", 2, "DOUBLE"), ("y", 3, "DOUBLE"), ("z", 4, "DOUBLE")],
    "Image": [
        ("header", 1, "Header"),
        ("width", 2, "UINT32"),
        ("height", 3, "UINT32"),
        ("step", 4, "UINT32"),
        ("data", 5, "BYTES"),
        ("pixel_format_type", 6, "UINT32"),  # an enumeration: the same on the wire
    ],
    "IMU": [("header", 1, "Header"), ("angular_velocity", 4, "Vector3d"), ("linear_acceleration", 5, "Vector3d")],
    "Field": [("name", 1, "STRING"), ("offset", 2, "UINT32"), ("datatype", 3, "UINT32"), ("count", 4, "UINT32")],
    "PointCloudPacked": [
        ("header", 1, "Header"),
        ("field", 2, "Field"),
        ("height", 3, "UINT32"),
        ("width", 4, "UINT32"),
        ("is_bigendian", 5, "BOOL"),
        ("point_step", 6, "UINT32"),
        ("row_step", 7, "UINT32"),
        ("data", 8, "BYTES"),
        ("is_dense", 9, "BOOL"),
    ],
}


def messages() -> dict[str, Any]:
    """Classes by name."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="gz_standin.proto", package="standin", syntax="proto3")
    for name, layout in LAYOUT.items():
        message = file.message_type.add(name=name)
        for field, number, kind in layout:
            made = message.field.add(name=field, number=number)
            made.label = kinds.LABEL_REPEATED if field == "field" else kinds.LABEL_OPTIONAL
            if kind in LAYOUT:
                made.type, made.type_name = kinds.TYPE_MESSAGE, f".standin.{kind}"
            else:
                made.type = getattr(kinds, f"TYPE_{kind}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"standin.{name}")) for name in LAYOUT}


def stand_in(orders: Connection, stage: Stage) -> None:
    """As ``gazebo_server.serve``: straight on over a plane, IMU 200 Hz, the rest 20 Hz; ends by itself after 30 s."""
    from xml.etree import ElementTree

    from tidegate.simulation.gazebo_world import DROP_M

    world = ElementTree.parse(stage.world).getroot()
    placed = world.find(f"world/model[@name='{stage.model}']/pose")
    assert placed is not None
    x, y, z, _, _, yaw = (float(word) for word in (placed.text or "").split())
    rng, now, speed, rolled, radius, mass = np.random.default_rng(0), 0, 0.0, 0.0, 0.31, 1240.0
    while now < 30_000_000_000:
        try:
            steps, torques = orders.recv()
        except EOFError:
            return
        for _ in range(steps):
            speed += 0.0025 * float(torques[2:].sum()) / radius / mass
            x, y = x + 0.0025 * speed * math.cos(yaw), y + 0.0025 * speed * math.sin(yaw)
            rolled += 0.0025 * speed / radius
            now += 2_500_000
        due = now % 50_000_000 == 0
        points = Points(now, np.ones((3, 3), np.float32), np.zeros(3, np.int32), "range_link")
        image = rng.integers(0, 255, (80, 160, 3), np.uint8)
        orders.send(
            Moved(
                now=now,
                position=(0.0, 0.0, *[rolled] * 4),
                velocity=(0.0, 0.0, *[speed / radius] * 4),
                pose=(x, y, z - DROP_M, yaw),
                speed=speed,
                yaw_rate=0.0,
                imu=Imu(now, rng.standard_normal(3), rng.standard_normal(3)),
                points=points if due else None,
                frame=Frame(now, image) if due and stage.camera_rate else None,
            )
        )
