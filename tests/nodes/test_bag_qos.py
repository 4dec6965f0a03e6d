# SPDX-License-Identifier: Apache-2.0
"""The files for ``ros2 bag`` against the topic table, by the middleware's own judgement."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)

from tidegate.doctor.graph import SENSORS
from tidegate.messages import TOPICS
from tidegate.messages.graph import OF_ARMS
from tidegate.nodes.topics import FOREIGN, offered_qos, requested_qos
from tidegate.share import share_path

OTHERS = {*SENSORS, *OF_ARMS, *FOREIGN, "clock", "diagnostics"}
"""Topics that nodes of other people publish too, with whatever quality."""
POLICIES: dict[str, Any] = {
    "history": HistoryPolicy.get_from_short_key,
    "reliability": ReliabilityPolicy.get_from_short_key,
    "durability": DurabilityPolicy.get_from_short_key,
    "depth": int,
}
"""Keys as ``ros2 bag`` reads them."""


def profiles(name: str) -> dict[str, QoSProfile]:
    text = yaml.safe_load(share_path(f"config/{name}").read_text())
    return {topic[1:]: QoSProfile(**{key: POLICIES[key](value) for key, value in values.items()})
            for topic, values in text.items()}  # fmt: skip


def test_every_topic_is_there_whose_quality_is_known() -> None:
    recorded = {topic.name for topic in TOPICS.values() if topic.recorded}
    assert set(profiles("record_qos.yaml")) == recorded - OTHERS
    assert set(profiles("play_qos.yaml")) == recorded - {"clock"}


@pytest.mark.parametrize("lock_step", [False, True])
def test_what_is_recorded_gets_what_the_nodes_offer(lock_step: bool) -> None:
    for topic, profile in profiles("record_qos.yaml").items():
        compatible, reason = qos_check_compatible(offered_qos(topic, lock_step), profile)
        assert compatible != QoSCompatibility.ERROR, (topic, reason)


def test_what_is_played_serves_the_nodes() -> None:
    for topic, profile in profiles("play_qos.yaml").items():
        compatible, reason = qos_check_compatible(profile, requested_qos(topic, False))
        assert compatible != QoSCompatibility.ERROR, (topic, reason)
        assert profile.depth == offered_qos(topic, False).depth
