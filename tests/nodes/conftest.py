# SPDX-License-Identifier: Apache-2.0
"""A domain of its own for the tests of nodes, and a bundle with random weights."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from domains import random_domain

pytest.importorskip("rclpy")
os.environ["ROS_DOMAIN_ID"] = random_domain()
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import rclpy
from plant import LOCK_STEP, Plant, let_go
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from tidegate.nodes import filter_node
from tidegate.nodes.safety_node import SafetyNode
from tidegate.robot import Car
from tidegate.settings import Settings, load_settings
from tidegate.share import share_path


@pytest.fixture(scope="session")
def settings() -> Settings:
    return load_settings(share_path("config/car.yaml"))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Path:
    """Random weights: it drives badly, but by the same code as a trained one."""
    pytest.importorskip("torch")
    from tidegate.stack import Stack

    folder = tmp_path_factory.mktemp("bundle")
    mass = Car.from_settings(settings).effective_mass
    Stack.from_settings(settings, 0).to_bundle("random", settings, mass, conformal=[1.0] * 6).save(folder)
    return folder


@pytest.fixture
def ros() -> Iterator[EventsExecutor]:
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    executor = EventsExecutor()
    yield executor
    executor.shutdown()
    rclpy.try_shutdown()


@pytest.fixture
def plant(ros: EventsExecutor, settings: Settings) -> Iterator[Plant]:
    made = Plant(ros, settings)
    yield made
    made.close()


@pytest.fixture
def node(
    request: pytest.FixtureRequest, ros: EventsExecutor, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SafetyNode]:
    """In lock-step and active; a test may give it parameters."""
    made = SafetyNode([*LOCK_STEP, *(part for flag in getattr(request, "param", ()) for part in ("-p", flag))])
    ros.add_node(made)
    assert made.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert made.trigger_activate() == TransitionCallbackReturn.SUCCESS
    yield made
    plant.close()
    monkeypatch.setattr(filter_node, "BLIND_S", 0.0)  # nobody is left to see it brake
    made.close()
    let_go(ros, made)
    made.destroy_node()
