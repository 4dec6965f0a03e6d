# SPDX-License-Identifier: Apache-2.0
"""A node that only looks on, in a context of its own: nothing it does reaches the graph."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import rclpy
from rclpy.experimental import EventsExecutor
from rclpy.signals import SignalHandlerOptions

from tidegate.doctor.middleware import domain_of
from tidegate.errors import GraphError
from tidegate.nodes.children import enclave_flags
from tidegate.nodes.run_graph import signals_counted
from tidegate.nodes.topics import CLOCK_INSIDE, INSIDE, remap_flags


class Spin(Protocol):
    """Handles messages for ``span`` [s], or until ``done``; after a signal to end it raises KeyboardInterrupt."""

    def __call__(self, span: float, done: Callable[[], bool] = ...) -> None: ...


@contextmanager
def onlooker(name: str, namespace: str) -> Iterator[tuple[Any, Spin]]:
    """Within, a node of this process's domain without log, parameter services or publishers of its own.

    Raises:
        GraphError: ROS does not start.
    """
    context = rclpy.Context()
    flags = [*enclave_flags(name), *remap_flags(INSIDE, CLOCK_INSIDE)]
    try:
        rclpy.init(context=context, args=flags, signal_handler_options=SignalHandlerOptions.NO)
        node: Any = rclpy.create_node(
            name,
            context=context,
            namespace=namespace.strip("/") or None,
            enable_rosout=False,
            start_parameter_services=False,
        )
    except RuntimeError as error:
        rclpy.try_shutdown(context=context)
        raise GraphError(
            f"ROS does not start in domain {domain_of(os.environ)}: {' '.join(str(error).split())}"
        ) from error
    executor = EventsExecutor(context=context)
    executor.add_node(node)

    def spin(span: float, done: Callable[[], bool] = lambda: False) -> None:
        end = time.monotonic() + span
        while (left := end - time.monotonic()) > 0 and not done():
            executor.spin_once(timeout_sec=min(left, 0.05))
            if interrupted():
                raise KeyboardInterrupt

    try:
        with signals_counted() as interrupted:  # an exception within the executor, which is C++, aborts the process
            yield node, spin
    finally:
        executor.remove_node(node)
        node.destroy_node()
        executor.shutdown()
        rclpy.try_shutdown(context=context)
