# SPDX-License-Identifier: Apache-2.0
"""From a joystick's messages to who drives: joystick node and safety node over real DDS."""

from collections.abc import Iterator
from typing import Any

import pytest
from plant import ARGUMENTS, LOCK_STEP, Plant, let_go, until
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from tidegate.messages import TOPICS, encode
from tidegate.nodes import filter_node
from tidegate.nodes.joystick_node import JoystickNode
from tidegate.nodes.safety_node import SafetyNode
from tidegate.nodes.topics import make, message_class
from tidegate.records import Joy, Mode, SafetyState, nanoseconds

NETWORK_N = 100.0
"""What the plant's policy asks for."""


class Seat:
    """A driver: sends the same message of the joystick each 20 ms of the plant's time, until told otherwise."""

    def __init__(self, plant: Plant, joystick: JoystickNode) -> None:
        self.plant, self.chosen = plant, plant.settings.joystick
        kind = message_class(TOPICS["joy"].type)
        self.sender = plant.node.create_publisher(kind, "joy", 10)
        self.heard: list[Any] = []
        plant.node.create_subscription(message_class(TOPICS["manual"].type), "manual", self.heard.append, 10)
        until(plant.executor, lambda: self.sender.get_subscription_count() == 1, "the joystick node listens")
        until(plant.executor, lambda: joystick.count_subscribers("manual") == 2, "the safety node listens")

    def hold(self, *buttons: int, drive: float = 0.0, rounds: int = 20) -> SafetyState:
        axes, held = [0.0] * 6, [0] * 11
        axes[self.chosen.drive_axis] = drive
        for index in buttons:
            held[index] = 1
        for _ in range(0, rounds, 4):
            count = len(self.heard)
            message = encode(Joy(self.plant.now, tuple(axes), tuple(held)), make)
            self.sender.publish(message)
            until(self.plant.executor, lambda before=count: len(self.heard) > before, "an answer to the joystick")
            state = self.plant.rounds(4)
        return state


@pytest.fixture
def seat(ros: EventsExecutor, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seat]:
    safety, joystick = SafetyNode(LOCK_STEP), JoystickNode(ARGUMENTS)
    for node in (safety, joystick):
        ros.add_node(node)
    assert safety.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert safety.trigger_activate() == TransitionCallbackReturn.SUCCESS
    plant.drive(3.0)
    yield Seat(plant, joystick)
    plant.close()
    monkeypatch.setattr(filter_node, "BLIND_S", 0.0)  # nobody is left to see it brake
    for node in (joystick, safety):
        node.close()
        let_go(ros, node)
        node.destroy_node()


def test_a_driver_takes_over_hands_back_takes_over_and_lets_go(seat: Seat) -> None:
    chosen, car = seat.chosen, seat.plant.car
    driven = seat.hold(chosen.dead_man_button, drive=1.0)
    assert (driven.mode, driven.wanted[0]) == (Mode.NORMAL, pytest.approx(chosen.drive_share * car.force_max))
    seat.hold(chosen.dead_man_button, chosen.hand_back_button)
    handed = seat.hold(chosen.hand_back_button)
    assert (handed.mode, handed.wanted[0]) == (Mode.NORMAL, NETWORK_N)
    assert seat.hold().mode == Mode.NORMAL
    seat.hold(chosen.dead_man_button, drive=1.0)
    assert seat.hold().mode == Mode.STOPPING
    assert (seat.plant.commands[-1].effort[2:] < 0).all()


def test_a_joystick_that_falls_silent_stops_the_car(seat: Seat) -> None:
    assert seat.hold(seat.chosen.dead_man_button, drive=1.0).wanted[0] > NETWORK_N
    rounds = nanoseconds(seat.plant.settings.safety.manual_timeout_s) // seat.plant.period
    assert seat.plant.rounds(rounds - 8).mode == Mode.NORMAL
    assert seat.plant.rounds(20).mode == Mode.STOPPING


def test_buttons_stop_and_reset_and_nonsense_is_no_driver(seat: Seat) -> None:
    chosen, plant = seat.chosen, seat.plant
    seat.hold()
    seat.hold(chosen.stop_button)
    until(plant.executor, lambda: plant.round().mode == Mode.STOPPING, "STOPPING")
    plant.speed = 0.0
    assert plant.rounds(300).mode == Mode.STOPPED
    seat.hold()
    seat.hold(chosen.reset_button)
    until(plant.executor, lambda: plant.round().mode == Mode.NORMAL, "NORMAL")
    count = len(seat.heard)
    seat.sender.publish(encode(Joy(plant.now, (1.0,), (1,)), make))
    assert plant.rounds(60).mode == Mode.NORMAL
    assert len(seat.heard) == count
