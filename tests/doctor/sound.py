# SPDX-License-Identifier: Apache-2.0
"""Facts of a machine and a graph on which nothing is wrong, and ways to change one of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tidegate.doctor.facts import GraphFacts, MachineFacts, TopicFacts
from tidegate.doctor.finding import Finding, Verdict
from tidegate.doctor.graph import MAKES, WATCHED
from tidegate.messages import TOPICS, camera_info
from tidegate.messages.rates import EVERY_OUTPUT, stated_rates
from tidegate.records import Frame, JointStates, LaneEstimate, Odometry
from tidegate.robot import Car
from tidegate.settings import load_settings
from tidegate.share import share_path

SETTINGS = load_settings(share_path("config/car.yaml"))
CAR = Car.from_settings(SETTINGS)
BUNDLE = share_path("models/car-ltc19")
GIB = 2**30
BY_WIRE = replace(SETTINGS, vehicle=replace(SETTINGS.vehicle, output="twist"))
OWN = replace(SETTINGS, camera=replace(SETTINGS.camera, width=640, height=480))
SQUEEZED = TopicFacts(name="/front/image_raw/compressed", largest=600_000)
"""Pictures that came compressed, larger than most."""
CHAINED = replace(SETTINGS, safety=replace(SETTINGS.safety, emergency_stop_timeout_s=0.5))


def machine(**other: object) -> MachineFacts:
    """A robot's computer."""
    facts = MachineFacts(
        environment={},
        here=Path("/"),
        shared_memory=4 * GIB,
        left_over=3,
        receive_buffer=212992,
        folder=Path("/bags"),
        free=500 * GIB,
        governors=frozenset({"performance"}),
        priority=70,
        priority_refused="",
        graphics="",
    )
    return replace(facts, **other)  # type: ignore[arg-type]


def joints(*without: str) -> JointStates:
    """Of the car at rest."""
    names = tuple(name for name in CAR.joint_names if name not in without)
    return JointStates(0, names, np.zeros(len(names)), np.zeros(len(names)), np.zeros(0))


def healthy() -> GraphFacts:
    """As a robot whose graph drives."""
    camera = SETTINGS.camera
    records = {
        "joint_states": joints(),
        "camera/image_raw": Frame(0, np.zeros((camera.height, camera.width, 3), np.uint8)),
        "camera/camera_info": camera_info(0, camera),
    }
    topics = {
        topic: TopicFacts(
            publishers=(f"/{MAKES.get(topic, 'driver')}",),
            subscribers=("/controller",) if topic in ("command", *EVERY_OUTPUT) else (),
            types=(TOPICS[topic].type,),
            count=50,
            rate_hz=stated_rates(SETTINGS).get(topic, 100.0),
            behind_s=0.004,
            record=records.get(topic),
        )
        for topic in WATCHED
    }
    states = dict.fromkeys(("perception_node", "policy_node", "safety_node"), "active")
    return GraphFacts("7", "/", ("/controller", "/driver"), states, topics=topics, controlled=CAR.joint_names)


def with_topic(topic: str, **other: object) -> GraphFacts:
    """As ``healthy``, but for one topic."""
    graph = healthy()
    changed = replace(graph.topics.get(topic, TopicFacts()), **other)  # type: ignore[arg-type]
    return replace(graph, topics={**graph.topics, topic: changed})


def bad(findings: list[Finding]) -> list[Finding]:
    """Those that are not OK; each has a remedy, and no other has one."""
    for finding in findings:
        assert (finding.verdict is Verdict.OK) == (not finding.remedy), finding
    return [finding for finding in findings if finding.verdict is not Verdict.OK]


def driven(degrees: float) -> GraphFacts:
    """12 s at 10 m/s along the lane, seen by a camera that is turned to the left by so much."""
    stamps = range(0, 12_050_000_000, 50_000_000)
    lanes = [LaneEstimate(stamp, 0.3, np.radians(degrees), np.zeros(4), np.zeros(6)) for stamp in stamps]
    odometry = [Odometry(stamp, 0.0, 0.0, 0.0, 10.0, 0.0) for stamp in stamps]
    graph = with_topic("lane", course=tuple(lanes))
    return replace(graph, topics={**graph.topics, "odom": replace(graph.topics["odom"], course=tuple(odometry))})


def off_axis(degrees: float) -> GraphFacts:
    """The camera's principal point is aside by so much."""
    info = camera_info(0, SETTINGS.camera)
    info.k[0, 2] += info.k[0, 0] * np.tan(np.radians(degrees))
    return with_topic("camera/camera_info", record=info)
