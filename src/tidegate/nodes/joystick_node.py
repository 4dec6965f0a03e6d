# SPDX-License-Identifier: Apache-2.0
"""``joy`` → ``manual``: a driver takes over while the dead-man switch is held. A silent joystick is no driver."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rclpy.node import Node
from std_srvs.srv import Trigger

from tidegate.errors import TidegateError
from tidegate.messages import TOPICS, encode
from tidegate.nodes.parameters import command_line, declare
from tidegate.nodes.topics import make, message_class, offered_qos, read, requested_qos
from tidegate.operate.joystick import Joystick
from tidegate.robot import Car

COMPLAIN_S = 5.0


class JoystickNode(Node):  # type: ignore[misc]
    """Answers each message of the joystick with one of its own; no lifecycle, no timer: it is as silent as that is.

    Two of its buttons call the safety node's services.
    """

    def __init__(self, arguments: Sequence[str] | None = None) -> None:
        """Declare and check the parameters; ``arguments`` replace those of the process.

        Raises:
            SettingsError: a parameter is unknown or refused; RobotError: a URDF that is no car.
        """
        super().__init__(
            "joystick_node", **command_line(arguments), automatically_declare_parameters_from_overrides=True
        )
        try:
            settings = declare(self, (), sys.argv if arguments is None else arguments)
            self._joystick = Joystick(settings, Car.from_settings(settings))
        except BaseException:
            self.destroy_node()
            raise
        self._calls = {name: self.create_client(Trigger, f"safety_node/{name}") for name in ("stop", "reset")}
        self._sender = self.create_publisher(
            message_class(TOPICS["manual"].type), "manual", offered_qos("manual", lock_step=False)
        )
        kind = message_class(TOPICS["joy"].type)
        self.create_subscription(kind, "joy", self._heard, requested_qos("joy", lock_step=False), raw=True)

    def needed(self) -> bool:
        """The car stops without it by itself."""
        return False

    def close(self) -> None:
        """Nothing to undo: from now on it is silent."""

    def _heard(self, data: bytes) -> None:
        try:
            asked = self._joystick.read(read("joy", data))
        except TidegateError as error:
            self.get_logger().warning(f"joy: {error}", throttle_duration_sec=COMPLAIN_S)
            return
        if asked.manual is None:
            self.get_logger().warning(asked.fault, throttle_duration_sec=COMPLAIN_S)
            return
        self._sender.publish(encode(asked.manual, make))
        for name, wanted in (("stop", asked.stop), ("reset", asked.reset)):
            if wanted and self._calls[name].service_is_ready():
                self._calls[name].call_async(Trigger.Request())
            elif wanted:
                self.get_logger().error(f"no safety_node/{name}: the button does nothing")
