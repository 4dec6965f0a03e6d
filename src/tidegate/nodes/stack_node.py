# SPDX-License-Identifier: Apache-2.0
"""What the lifecycle nodes share: parameters, topics by record, and faults of set-up told in one line."""

from __future__ import annotations

import contextlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from lifecycle_msgs.srv import ChangeState
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from tidegate.bundle import Bundle
from tidegate.errors import GraphError, TidegateError
from tidegate.messages import PICTURES, TOPICS, decode, encode
from tidegate.nodes.parameters import Own, command_line, declare, judge
from tidegate.nodes.priority import hasten
from tidegate.nodes.topics import (
    deserialise,
    heard_as,
    make,
    message_class,
    offered_qos,
    requested_qos,
    rivals,
    ros_name,
    take,
)
from tidegate.settings import Settings, settings_from
from tidegate.settings.arm import ArmSettings

LOCK_STEP = Own("lock_step", False, "the simulator's ticks drive the graph instead of the wall clock")
BUNDLE = Own("bundle", "", "folder of the trained model")
DISABLE = Own("disable", "", "parts to switch off, comma separated, to show what each is for; never on a road")


Heard = Callable[[str, bytes], None]
AnySettings = TypeVar("AnySettings", Settings, ArmSettings)


def trusted_bundle(node: Node, settings: Settings) -> Bundle:
    """The bundle that the parameter ``BUNDLE`` of ``node`` names, for its robot and by a maker that it trusts.

    Raises:
        BundleError: it is refused; SettingsError: a trusted key is none.
    """
    return Bundle.load(node.get_parameter(BUNDLE.name).value, settings.vehicle.name, settings.trust.keys)


class StackNode(LifecycleNode, ABC, Generic[AnySettings]):  # type: ignore[misc]
    """A lifecycle node that decodes, calls one plain object and encodes; of a car or of an arm, by its settings.

    Subclasses name their ``OWN`` parameters and write ``build`` (make the object and the publishers), ``start``
    (subscribe), ``stop`` (the reverse of ``start``) and ``drop`` (forget the object). A ``TidegateError`` in ``build``
    or ``start`` is logged in one line and fails the transition.
    """

    OWN: ClassVar[tuple[Own, ...]] = ()
    READ: ClassVar[Any] = staticmethod(settings_from)
    """Makes the settings of nested plain values."""
    LIVE: ClassVar[bool] = False
    """Whether it takes changes of the settings that may change at run time."""
    alone = False
    """Whether the process is this node's own, so that it may take a real-time priority."""

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
            given = sys.argv if arguments is None else arguments
            self.settings: AnySettings = declare(self, self.OWN, given, self.READ, live=self.LIVE)
        except BaseException:
            self.destroy_node()
            raise
        self._change_state = self._service_change_state.callback
        self._service_change_state.callback = self._asked_to_change
        self._listeners: list[tuple[Subscription, str, Heard]] = []
        self._senders: dict[str, Any] = {}
        self.add_on_set_parameters_callback(judge(self.settings, self.OWN, lambda: bool(self._senders), self.consider))

    def destroy_node(self) -> None:
        """Take the node out of the domain. rclpy alone leaves its lifecycle services there until it is collected, where
        others take it for alive, or its namesake for absent."""
        super().destroy_node()
        for name in [name for name in vars(self) if name == "_state_machine" or name.startswith("_service_")]:
            delattr(self, name)

    def _asked_to_change(self, request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        """rclpy would raise on a transition that the present state has not, and a stranger's request end the node."""
        try:
            return self._change_state(request, response)
        except RuntimeError:
            asked, state = request.transition, self._state_machine.current_state[1]
            self.get_logger().warning(f"transition {asked.label or asked.id} was asked for in state {state}: refused")
            response.success = False
            return response

    @abstractmethod
    def build(self) -> None:
        """Make the plain object and the publishers."""

    def start(self) -> None:
        """Subscribe and start the timers."""

    def stop(self) -> None:
        """Undo ``start``; publishers still publish."""

    def drop(self) -> None:
        """Undo ``build``, publishers excepted."""

    def consider(self, changed: Mapping[str, float]) -> None:
        """Hear what one change would set, by key, after the table has allowed it and before it is made.

        Raises:
            SettingsError: it is refused all the same.
        """

    def own(self, item: Own) -> Any:
        """The present value of one of the node's own parameters."""
        return self.get_parameter(item.name).value

    @property
    def disabled(self) -> frozenset[str]:
        """The parts named by the parameter ``disable``."""
        return frozenset(filter(None, (name.strip() for name in self.own(DISABLE).split(","))))

    def advertise(self, *topics: str, deadline_s: float | None = None) -> None:
        """Make the publishers of ``topics``; silent until the node is active."""
        lock_step = self.own(LOCK_STEP)
        for topic in topics:
            kind, profile = message_class(TOPICS[topic].type), offered_qos(topic, lock_step, deadline_s)
            self._senders[topic] = self.create_lifecycle_publisher(kind, ros_name(topic), profile)

    def send(self, topic: str, record: Any) -> None:
        """Publish ``record`` on ``topic``."""
        self._senders[topic].publish(encode(record, make))

    def flush(self, seconds: float) -> None:
        """Wait until all that was sent has arrived, ``seconds`` for each topic at most; a publisher that goes takes
        with it what a busy listener has not fetched."""
        for sender in self._senders.values():
            sender.wait_for_all_acked(Duration(seconds=seconds))

    def send_message(self, topic: str, message: Any) -> None:
        """Publish a message that carries no record."""
        self._senders[topic].publish(message)

    def listen(self, topic: str, heard: Heard, *, profile: QoSProfile | None = None) -> None:
        """Call ``heard(topic, serialised message)`` for every message on ``topic`` from now on, the camera's where the
        settings have its driver publish; ``profile`` = another than the topic's."""
        profile = profile or requested_qos(topic, self.own(LOCK_STEP))
        camera = self.settings.camera.topic if isinstance(self.settings, Settings) else PICTURES
        name, kind = heard_as(self, topic, camera)
        listener = self.create_subscription(
            message_class(kind), name, lambda data: heard(topic, data), profile, raw=True
        )
        self._listeners.append((listener, topic, heard))

    def fetch(self) -> None:
        """Hand out what waits in the subscriptions; for loops during which the executor cannot."""
        for listener, topic, heard in self._listeners:
            while (data := take(listener)) is not None:
                heard(topic, data)

    def refuse_second(self, *topics: str) -> None:
        """Raise if somebody else publishes one of ``topics``: two masters of one actuator must never be.

        Raises:
            GraphError: naming the other node.
        """
        for topic in topics:
            for who in rivals(self, topic):
                told = f"'{topic}' is published by {who} already (a node that was killed is listed for a while)"
                raise GraphError(told)

    def message(self, topic: str, data: bytes) -> Any:
        """The message whose serialised form is ``data``.

        Raises:
            MessageError: it is none.
        """
        return deserialise(data, TOPICS[topic].type)

    def record(self, topic: str, data: bytes) -> Any:
        """The record in a serialised message of ``topic``; None, with a warning, if its layout is not the topic's."""
        try:
            return decode(topic, self.message(topic, data))
        except TidegateError as error:
            self.get_logger().warning(f"{topic}: {error}", throttle_duration_sec=1.0)
        except Exception as error:  # nothing that a stranger sends may end a node that drives, or brakes
            told = f"{topic}: cannot be decoded ({type(error).__name__}: {error})"
            self.get_logger().error(told, throttle_duration_sec=1.0)
        return None

    def needed(self) -> bool:
        """Whether the safety node still drives: what it drives by must not go before it."""
        return bool(self._listeners) and self.count_publishers(ros_name("command")) > 0

    def close(self) -> None:
        """Go down safely from whatever state; the last thing before the node is destroyed."""
        with contextlib.suppress(RuntimeError):  # it is finalised already
            self.trigger_shutdown()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make the object and the publishers."""
        return self._attempt(self.build, super().on_configure, state, undo=self._clear)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Enable the publishers, then start to listen."""
        done = super().on_activate(state)
        matters = self.alone and not self.own(LOCK_STEP)  # in lock-step nothing can be late
        hastened = hasten(self.get_name()) if matters else ""
        if hastened:
            self.get_logger().info(hastened)
        return self._attempt(self.start, lambda _: done, state, undo=self._silence)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening, then silence the publishers."""
        self._silence()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the object and the publishers."""
        self._clear()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Everything that deactivation and clean-up do, from whatever state."""
        self._silence()
        self._clear()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured."""
        return self.on_shutdown(state)

    def _attempt(
        self,
        work: Callable[[], None],
        then: Callable[[LifecycleState], TransitionCallbackReturn],
        state: LifecycleState,
        undo: Callable[[], None],
    ) -> TransitionCallbackReturn:
        try:
            work()
        except TidegateError as error:
            undo()
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # rclpy would swallow it without a word
            undo()
            self.get_logger().error(f"{type(error).__name__}: {error}")
            return TransitionCallbackReturn.ERROR
        return then(state)

    def _silence(self) -> None:
        self.stop()
        for listener, _, _ in self._listeners:
            self.destroy_subscription(listener)
        self._listeners.clear()

    def _clear(self) -> None:
        for sender in self._senders.values():
            self.destroy_lifecycle_publisher(sender)
        self._senders.clear()
        self.drop()
