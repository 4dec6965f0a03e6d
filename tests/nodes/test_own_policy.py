# SPDX-License-Identifier: Apache-2.0
"""A policy of somebody else's, as docs/robot.md shows it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from plant import let_go, until
from rclpy.experimental import EventsExecutor

from blocks import ROOT, blocks
from tidegate.messages import TOPICS, decode, encode
from tidegate.nodes.topics import make, message_class, offered_qos, requested_qos
from tidegate.records import LaneEstimate, Nominal


def test_the_node_of_the_page_is_understood_by_the_safety_node(ros: EventsExecutor) -> None:
    (block,) = [one.text for one in blocks(ROOT / "docs" / "robot.md") if "class LaneKeeper" in one.text]
    page: dict[str, Any] = {}
    exec(block, page)
    keeper = page["LaneKeeper"]()
    ros.add_node(keeper)
    heard: list[Nominal] = []
    kind = {topic: message_class(TOPICS[topic].type) for topic in ("lane", "nominal")}
    lane = keeper.create_publisher(kind["lane"], "lane", offered_qos("lane", False))
    keeper.create_subscription(
        kind["nominal"],
        "nominal",
        lambda message: heard.append(decode("nominal", message)),
        requested_qos("nominal", False),
    )
    until(ros, lambda: lane.get_subscription_count() and keeper.wishes.get_subscription_count(), "they meet")
    lane.publish(encode(LaneEstimate(7_000, 0.5, -0.1, np.array([0.02, 0.03]), np.zeros(4)), make))
    until(ros, lambda: heard, "a wish")
    let_go(ros, keeper)
    keeper.destroy_node()
    assert heard[0].stamp == 7_000
    assert heard[0].force == 300.0
    assert heard[0].curvature == pytest.approx(0.02 - 0.02 * 0.5 + 0.3 * 0.1)
