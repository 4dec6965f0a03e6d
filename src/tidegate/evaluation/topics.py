# SPDX-License-Identifier: Apache-2.0
"""The topics of a bag that a replay reads and makes anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tidegate.bag import BagReader
from tidegate.bag.reader import AS_IT_IS
from tidegate.bag.typestore import deserialise

FIELDS = {
    "nominal": "nominal",
    "gains": "gains",
    "lane": "lane",
    "health": "health",
    "joints": "joint_states",
    "odometry": "odom",
    "imu": "imu",
    "points": "points",
    "manual": "manual",
}
"""Field of ``SafetyInputs`` → topic."""
FRAMES, LENS, TICKS = "camera/image_raw", "camera/camera_info", "safety_node/inputs"
PERCEIVED, DECIDED, FILTERED = ("features", "lane", "health"), ("nominal", "gains"), ("command", "safety_node/barriers")
"""What perception makes of a frame, the policy of features, the filter of a tick's inputs; each with the stamp of what
it is made of."""
OUTPUTS = (*PERCEIVED, *DECIDED, *FILTERED)
"""Topics that a replay makes anew."""
ANSWERS = "policy_node/inputs"
"""Which records each answer of an arm's policy was made of, in the order in which it gave them."""
ARM_PERCEIVED, ARM_DECIDED = ("features", "health"), ("neurons", "nominal")
"""What is made of a frame for an arm, and of these and of joint states."""
ARM_OUTPUTS = (*ARM_PERCEIVED, *ARM_DECIDED, *FILTERED)
EVERY_OUTPUT = tuple(dict.fromkeys((*PERCEIVED, *ARM_DECIDED, *OUTPUTS)))
"""Of whatever robot."""

Records = dict[str, dict[int, Any]]
"""Records by topic and stamp."""
DRY = "safety_node/would_command"
"""In a dry run the filter's commands are here; those on ``command``, if any, are another's."""


def small_records(reader: BagReader, topics: Iterable[str] = OUTPUTS, forms: Mapping[str, str] = AS_IT_IS) -> Records:
    """The records on those of ``topics`` that the bag has; ``forms`` as ``BagReader.messages`` takes them.

    Raises:
        BagError: a message cannot be decoded.
    """
    found: Records = {topic: {} for topic in topics if reader.held(topic)}
    for topic, _, record in reader.messages(list(found), forms):
        found[topic].setdefault(record.stamp, record)
    return found


def diagnostics(reader: BagReader) -> Iterator[Any]:
    """The messages of ``/diagnostics``, of whatever node."""
    if name := reader.held("diagnostics"):
        for _, type_name, _, data in reader.raw({name}):
            yield deserialise(data, type_name)
