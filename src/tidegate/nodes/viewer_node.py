# SPDX-License-Identifier: Apache-2.0
"""What the nodes for viewers share: they work only while somebody looks, and nothing that drives waits for them."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription

from tidegate.errors import SettingsError, TidegateError
from tidegate.messages import TOPICS
from tidegate.nodes.parameters import Own, command_line, declare
from tidegate.nodes.topics import NEWEST, heard_as, message_class, offered_qos, read, ros_name
from tidegate.records import nanoseconds

RATE, RATE_MIN, RATE_MAX = "rate_hz", 0.1, 30.0


class ViewerNode(Node, ABC):  # type: ignore[misc]
    """Publishes one topic from others, at a modest rate; no lifecycle: it drives nothing.

    It subscribes while its topic has subscribers, and keeps the newest serialised message of each input; they are
    decoded when ``show`` makes the next message of them.
    """

    OWN: ClassVar[tuple[Own, ...]] = ()
    SHOWS: ClassVar[str]
    """The topic that it publishes."""
    HEARS: ClassVar[tuple[str, ...]]
    """The topics that it makes it from."""
    RATE_HZ: ClassVar[float]
    """How often it looks for something new, until it is told otherwise."""

    def __init__(self, name: str, arguments: Sequence[str] | None = None) -> None:
        """Declare and check the parameters; ``arguments`` replace those of the process.

        Raises:
            SettingsError: a parameter is unknown or refused.
        """
        super().__init__(
            name,
            **command_line(arguments),
            automatically_declare_parameters_from_overrides=True,
        )
        try:
            own = (Own(RATE, self.RATE_HZ, "messages a second at most; may be changed at run time"), *self.OWN)
            self.settings = declare(self, own, sys.argv if arguments is None else arguments)
            rate: float = self.get_parameter(RATE).value
            if not RATE_MIN <= rate <= RATE_MAX:
                raise SettingsError(f"{name}: '{RATE}' is {rate:g}; it must be {RATE_MIN:g} to {RATE_MAX:g}")
            self.build()
        except BaseException:
            self.destroy_node()
            raise
        self._newest: dict[str, tuple[bytes, str]] = {}
        self._listeners: list[Subscription] = []
        kind = message_class(TOPICS[self.SHOWS].type)
        self._sender = self.create_publisher(kind, ros_name(self.SHOWS), offered_qos(self.SHOWS, lock_step=False))
        self._timer = self.create_timer(1 / rate, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.add_on_set_parameters_callback(self._judge)
        self.add_post_set_parameters_callback(self._parameters_set)

    @abstractmethod
    def build(self) -> None:
        """Make what ``show`` uses."""

    @abstractmethod
    def show(self) -> Any:
        """The next message; None = nothing new."""

    def needed(self) -> bool:
        """Nobody drives by it."""
        return False

    def listen(self) -> None:
        """Subscribe to what it makes its topic from; it does so by itself once somebody looks."""
        for topic in self.HEARS:
            name, kind = heard_as(self, topic, self.settings.camera.topic)
            listener = self.create_subscription(message_class(kind), name, self._keep(topic, kind), NEWEST, raw=True)
            self._listeners.append(listener)

    def close(self) -> None:
        """Stop listening."""
        for listener in self._listeners:
            self.destroy_subscription(listener)
        self._listeners.clear()
        self._newest.clear()

    def take(self, topic: str) -> Any:
        """The newest record that came on ``topic`` and was not taken yet; None = none, or one that cannot be read."""
        held = self._newest.pop(topic, None)
        if held is None:
            return None
        try:
            return read(topic, *held)
        except TidegateError as error:
            self.get_logger().warning(f"{topic}: {error}", throttle_duration_sec=5.0)
            return None

    def _judge(self, parameters: Iterable[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name != RATE:
                return SetParametersResult(successful=False, reason=f"'{parameter.name}' is read at the node's start")
            value = parameter.value
            if not isinstance(value, (int, float)) or not RATE_MIN <= value <= RATE_MAX:
                told = f"'{RATE}' would be {value!r}; it must be {RATE_MIN:g} to {RATE_MAX:g} Hz"
                return SetParametersResult(successful=False, reason=told)
        return SetParametersResult(successful=True)

    def _parameters_set(self, _parameters: Iterable[Parameter]) -> None:
        self._timer.timer_period_ns = nanoseconds(1 / self.get_parameter(RATE).value)

    def _look(self) -> None:
        if self._sender.get_subscription_count() == 0:
            if self._listeners:
                self.close()
            return
        if not self._listeners:
            self.listen()
        message = self.show()
        if message is not None:
            self._sender.publish(message)

    def _keep(self, topic: str, kind: str) -> Callable[[bytes], None]:
        def keep(data: bytes) -> None:
            self._newest[topic] = data, kind

        return keep
