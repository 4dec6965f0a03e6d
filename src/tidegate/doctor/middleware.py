# SPDX-License-Identifier: Apache-2.0
"""ROS as it is set up on this machine: rclpy, middleware, domain, discovery."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidegate.doctor.facts import MachineFacts, RosFacts
from tidegate.doctor.finding import Finding, fail, ok, warn
from tidegate.middleware import CYCLONE_DDS, FAST_DDS, FILES

DOMAIN_MAX = 232
"""Highest domain whose ports exist."""
EPHEMERAL = range(102, 215)
"""Domains whose ports Linux also gives to other programs."""
RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")


def domain_of(environment: Mapping[str, str]) -> str:
    """The domain as ROS reads it."""
    return environment.get("ROS_DOMAIN_ID") or "0"


def check_ros(ros: RosFacts) -> Iterator[Finding]:
    """rclpy and the middleware."""
    if ros.absent:
        remedy = "source ROS 2 (source /opt/ros/jazzy/setup.bash), or without one: pip install 'tidegate[ros]'"
        yield fail("ros", f"rclpy cannot be imported ({ros.absent})", remedy)
        return
    yield ok("ros", f"rclpy {ros.rclpy}")
    if ros.rmw == FAST_DDS:
        yield ok("middleware", ros.rmw)
    elif ros.rmw == CYCLONE_DDS:
        yield ok("middleware", f"{ros.rmw}, with {FILES[CYCLONE_DDS]}; tidegate is tried with {FAST_DDS}")
    else:
        said = f"{ros.rmw}: tidegate is tried with {FAST_DDS}, and has no profile for camera images for this one"
        yield warn("middleware", said, f"export RMW_IMPLEMENTATION={FAST_DDS} for every node")


def check_domain(machine: MachineFacts) -> Iterator[Finding]:
    """Domain and reach of the discovery."""
    domain = domain_of(machine.environment)
    if not domain.isdecimal() or int(domain) > DOMAIN_MAX:
        yield fail("domain", f"ROS_DOMAIN_ID is '{domain}'", f"export ROS_DOMAIN_ID=N with N from 0 to {DOMAIN_MAX}")
    elif int(domain) in EPHEMERAL:
        said = f"{domain}: Linux may give its ports to other programs"
        yield warn("domain", said, "export ROS_DOMAIN_ID=N with N from 0 to 101")
    else:
        yield ok("domain", domain)
    reach = machine.environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE") or "SUBNET"
    if machine.environment.get("ROS_LOCALHOST_ONLY") == "1":
        yield ok("discovery", "LOCALHOST (by ROS_LOCALHOST_ONLY, which is deprecated)")
    elif reach not in RANGES:
        remedy = f"export ROS_AUTOMATIC_DISCOVERY_RANGE={' or '.join(RANGES[:2])}"
        yield fail("discovery", f"ROS_AUTOMATIC_DISCOVERY_RANGE is '{reach}'; ROS knows {', '.join(RANGES)}", remedy)
    elif reach == "OFF":
        remedy = "export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST (or SUBNET, where nodes run on other machines)"
        yield fail("discovery", "OFF: nodes do not find each other", remedy)
    else:
        yield ok("discovery", reach)
