# SPDX-License-Identifier: Apache-2.0
"""Bring the node graph up without ``ros2 launch``, in order, and down safely, whatever happens in between."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import rclpy
from rclpy.experimental import EventsExecutor
from rclpy.signals import SignalHandlerOptions

from tidegate.doctor.middleware import DOMAIN_MAX
from tidegate.errors import GraphError
from tidegate.messages.graph import LIFECYCLE
from tidegate.middleware import profile_of
from tidegate.nodes.children import Child, Said, enclave_flags, parameter_flags
from tidegate.nodes.graph_options import GraphOptions
from tidegate.nodes.remote import STEPS, Remote
from tidegate.nodes.topics import CLOCK_INSIDE, INSIDE, OUR_NAMES, remap_flags
from tidegate.settings.arm import ArmSettings
from tidegate.settings.kind import load_robot

LOOK_S = 1.0
"""Most often a graph that runs is known by then; one that is not is found while the nodes start."""
LEASE_S = 12.0
"""Longer than the middleware lists a process that was killed (``config/fastdds.xml``)."""
START_TIMEOUT_S = 60.0
"""For one transition: a first start may compile, and a slow machine builds a world for a while."""
LAST_WORDS_S = 0.1
DOWN_TIMEOUT_S = 12.0
LAST_RECORDED = "safety_node/inputs"
"""The recorder subscribes to what it finds in the order of the topic table; this comes late in it."""
AGAIN_S = 1.0
"""How often a node is asked that has nothing to wait for; the third time it goes down at once."""


class Graph:
    """The running graph, as a context manager: entering brings it up, leaving brakes the car and ends all processes.

    A node that ends by itself ends the graph, but for the recorder, once all are up: the drive goes on, and is told so.
    """

    def __init__(self, options: GraphOptions, said: Said, interrupted: Callable[[], bool] = lambda: False) -> None:
        """``said`` hears every line that a node logs; ``interrupted`` ends a bring-up under way.

        Raises:
            SettingsError: the settings are refused, before anything is started; SceneError: an arm's scene is.
        """
        self.settings, self.options = load_robot(options.params_file), options
        self._told: TemporaryDirectory[str] | None = None
        if options.simulate and options.scene and isinstance(self.settings, ArmSettings):
            from tidegate.simulation.arm.told import write_told  # it loads the simulator, which a robot has not

            self._told = TemporaryDirectory(prefix="tidegate-")
            file = write_told(options.params_file, options.scene, options.seed, Path(self._told.name))
            self.options = replace(options, params_file=file)
        self.children: dict[str, Child] = {}
        self._said, self._interrupted = said, interrupted
        self._up = self._told_unrecorded = False
        self._context = rclpy.Context()
        self.node: Any = None

    def __enter__(self) -> Graph:
        try:
            self._open()
            self._refuse_second_graph()
            self._start_processes()
            for step in STEPS:
                for name in self.options.parameters():
                    self._change(name, *step)
                self._await_recorder()
            self._refuse_second_graph()
            self._up = True
        except BaseException:
            self._down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        codes = self._down()
        for name, code in codes.items():
            if code and error is None:
                raise GraphError(f"{name} ended with code {code}: {self.children[name].problem or 'no reason given'}")

    def spin(self, seconds: float) -> None:
        """Handle messages for a while.

        Raises:
            GraphError: a node has ended by itself.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)
        self._check_alive()

    def _open(self) -> None:
        if self.options.simulate:  # a simulated car must not meet the robots of the neighbours
            os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        domain = os.environ.get("ROS_DOMAIN_ID") or "0"
        if not domain.isdecimal() or int(domain) > DOMAIN_MAX:  # Fast DDS would end the process
            raise GraphError(f"ROS_DOMAIN_ID is '{domain}'; it must be 0 to {DOMAIN_MAX}")
        os.environ.update(profile_of(os.environ))  # it greets as often as its nodes do
        try:
            rclpy.init(
                context=self._context,
                args=enclave_flags("tidegate_run"),
                signal_handler_options=SignalHandlerOptions.NO,
            )
            self._executor = EventsExecutor(context=self._context)
            namespace = self.options.namespace or None
            self.node = rclpy.create_node("tidegate_run", context=self._context, namespace=namespace)
        except RuntimeError as error:
            raise GraphError(f"ROS does not start in domain {domain}: {' '.join(str(error).split())}") from error
        self._executor.add_node(self.node)

    def _refuse_second_graph(self) -> None:
        """Looked for before the nodes are started, so that it is told soon, and again before each request: a node of
        the same name would hear it too.

        Raises:
            GraphError: nodes of the same names run already.
        """
        self.spin(0.0 if self.children else LOOK_S)
        end = time.monotonic() + LEASE_S  # one that was killed is listed until then, but does not answer
        remotes: dict[str, Remote] = {}
        while rivals := self._rivals():
            for name in rivals - set(self.children) - set(remotes):
                remotes[name] = Remote(self.node, name)
            answered = next((name for name, remote in remotes.items() if remote.state()), None)
            if answered or time.monotonic() > end:
                raise GraphError(
                    f"domain {os.environ.get('ROS_DOMAIN_ID') or 0} has a "
                    f"{self.node.get_namespace().rstrip('/')}/{answered or min(rivals)} already; "
                    "end that graph, or choose another ROS_DOMAIN_ID or namespace"
                )
            self.spin(0.05)
        for remote in remotes.values():
            remote.close()

    def _rivals(self) -> set[str]:
        """Names of nodes of which there are more than ours."""
        place = self.node.get_namespace()
        known = self.node.get_node_names_and_namespaces()
        counts = Counter(name for name, namespace in known if name in LIFECYCLE and namespace == place)
        return {name for name, count in counts.items() if count > (name in self.children)}

    def _start_processes(self) -> None:
        inside = [INSIDE, CLOCK_INSIDE] if self.options.simulate else [INSIDE]
        shared = remap_flags(("__ns", self.node.get_namespace()), *inside)
        file = ["--params-file", str(self.options.params_file)]
        if self.options.record is not None:
            paths = {"path": self.options.record, "config": self.options.params_file}
            paths |= {} if self.options.bundle is None else {"bundle": self.options.bundle}
            named = OUR_NAMES if self.options.simulate else {}
            parameters = parameter_flags({**{name: str(path) for name, path in paths.items()}, "linger": True, **named})
            self.children["recorder_node"] = Child("recorder_node", [*shared, *parameters], self._said)
        for name, values in self.options.parameters().items():
            self.children[name] = Child(name, [*file, *parameter_flags(values), *shared], self._said)

    def _await_recorder(self) -> None:
        """A drive can be repeated to the bit from the filter's first tick on: that one must be in the bag."""
        if "recorder_node" in self.children:
            self._until(lambda: self.node.count_subscribers(LAST_RECORDED) > 0, "recorder_node", "listen")

    def _change(self, name: str, transition: int, verb: str, goal: str) -> None:
        remote = Remote(self.node, name)
        self._until(remote.ready, name, "start")
        self._refuse_second_graph()
        remote.change(transition)
        outcome = None

        def known() -> bool:
            nonlocal outcome
            outcome = remote.outcome(goal)
            return outcome is not None

        self._until(known, name, verb)
        remote.close()
        if not outcome:
            self._refuse_second_graph()  # its node may be the one that answered
            self.spin(0.1)  # its reason may still be on its way through the pipe
            raise GraphError(f"{name} failed to {verb}: {self.children[name].problem or 'no reason given'}")

    def _until(self, done: Callable[[], bool], name: str, verb: str) -> None:
        end = time.monotonic() + START_TIMEOUT_S
        while not done():
            if self._interrupted():
                raise KeyboardInterrupt
            if time.monotonic() > end:
                seen = ", ".join(sorted(set(self.node.get_node_names()) - {self.node.get_name()})) or "none"
                raise GraphError(
                    f"{name} did not {verb} within {START_TIMEOUT_S:g} s (nodes that are seen: {seen}; "
                    f"it is in: {self.children[name].whereabouts() or 'unknown'})"
                )
            self.spin(0.02)

    def _check_alive(self) -> None:
        for name, child in self.children.items():
            if child.code is not None:
                if self._up and name == "recorder_node":
                    self._tell_unrecorded(child.code)
                    continue
                child.end()
                raise GraphError(f"{name} ended by itself (code {child.code}): {child.problem or 'no reason given'}")

    def _tell_unrecorded(self, code: int) -> None:
        if not self._told_unrecorded:
            self._told_unrecorded = True
            self._said("recorder_node", "ERROR", f"ended by itself (code {code}); nothing is recorded any more")

    def _hear_last_words(self) -> None:
        """Handle what the nodes that are gone have sent; on a busy machine it may still wait here."""
        end = time.monotonic() + LAST_WORDS_S
        while self.node is not None and (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def _down(self) -> dict[str, int]:
        """End the safety node first: it brakes while the others still see and drive; the recorder sees it all."""
        codes = {}
        for group in (("safety_node",), ("policy_node", "perception_node", "simulator_node"), ("recorder_node",)):
            members = [self.children[name] for name in group if name in self.children]
            for child in members:
                child.ask_to_stop()
            end, again = time.monotonic() + DOWN_TIMEOUT_S, time.monotonic() + AGAIN_S
            while any(child.code is None for child in members) and time.monotonic() < end:
                self._executor.spin_once(timeout_sec=0.02)
                if "safety_node" not in group and time.monotonic() > again:  # they may believe that it still drives
                    again += AGAIN_S
                    for child in members:
                        child.ask_to_stop()
            for child in members:
                codes[child.name] = child.end()
            self._hear_last_words()
        if self.node is not None:
            self._executor.remove_node(self.node)
            self.node.destroy_node()
            self._executor.shutdown()
            self.node = None
        rclpy.try_shutdown(context=self._context)
        if self._told is not None:
            self._told.cleanup()
        return codes
