# SPDX-License-Identifier: Apache-2.0
"""The SROS 2 policy against a real ``ros2 launch`` in a namespace, with respawn, and an operator's ``ros2 service``."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("launch_ros")
pytest.importorskip("ros2launch")
pytest.importorskip("ros2service")

from launched import PATIENCE_S, Launched

from granted import Observer, Rights, beyond, nothing, rights, united, unused
from tidegate.security.access import access_policy
from tidegate.share import share_path

pytestmark = [pytest.mark.slow, pytest.mark.real_time]
NODES = ("perception_node", "policy_node", "safety_node")
ELSEWHERE = {"/car/safety_node/would_command", "/car/cmd_vel", "/car/motion_request"}
"""What only a dry run publishes, and a drive-by-wire car."""
OPERATOR = "/_ros2cli_requester_std_srvs_Trigger"
NONE = nothing()


def gathered(observer: Observer, node: str, allowed: Rights, done: Callable[[], bool]) -> Rights:
    """All that a node is seen to have until ``done``, and until nothing allowed is missing."""
    seen, end = nothing(), time.monotonic() + PATIENCE_S
    while (unused(seen, allowed) != NONE or not done()) and time.monotonic() < end:
        seen = united(seen, observer.sees(node))
        time.sleep(0.02)
    return seen


def calls(environment: dict[str, str], observer: Observer, node: str, service: str) -> Rights:
    """What a person's call of a service has in the graph; it is repeated until it was seen."""
    words = ["ros2", "service", "call", "--rate", "2", service, "std_srvs/srv/Trigger"]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        return observer.until(node, lambda seen: service in seen["request"])
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)
        end = time.monotonic() + PATIENCE_S
        while node in observer.names() and time.monotonic() < end:  # the next one has the same name
            time.sleep(0.1)


def test_launch_nodes_and_operator_have_what_the_policy_allows_and_nothing_else(
    launch: Callable[..., Launched], environment: dict[str, str], tmp_path: Path
) -> None:
    policy = rights(access_policy("/car"))
    arguments = ("namespace:=car", "use_respawn:=true", f"bundle:={share_path('models/car-ltc19')}")
    launched = launch("robot.launch.py", *arguments, f"record:={tmp_path / 'bag'}")
    observer = Observer(int(environment["ROS_DOMAIN_ID"]))
    try:
        launched.wait_for("all nodes are active")
        for name in NODES:
            expected = {kind: names - ELSEWHERE for kind, names in policy[f"/tidegate/{name}"].items()}
            assert observer.until(f"/car/{name}", lambda seen, goal=expected: seen == goal) == expected, name
        places = observer.names()
        assert [places[f"/car/{name}"] for name in NODES] == [f"/tidegate/{name}" for name in NODES]
        (tool,) = (name for name in places if name.startswith("/launch_ros_"))
        assert places[tool] == "/"
        operator = nothing()
        for service in ("/car/safety_node/stop", "/car/safety_node/reset"):
            operator = united(operator, calls(environment, observer, OPERATOR, service))
        assert operator == policy["/tidegate/operator"]
        # each is started again and asked for its state, the recorder excepted
        for name in (*NODES, "recorder_node"):
            os.kill(launched.pid(name), signal.SIGKILL)
        seen = gathered(observer, tool, policy["/"], lambda: "perception_node is active again" in launched.said)
        assert beyond(seen, policy["/"]) == NONE
        assert unused(seen, policy["/"]) == NONE
    finally:
        observer.close()
