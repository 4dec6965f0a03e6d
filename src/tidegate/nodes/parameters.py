# SPDX-License-Identifier: Apache-2.0
"""The settings as ROS parameters: declared from the settings table, validated and changed by the settings layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from tidegate.errors import SettingsError
from tidegate.settings import Entry, Settings, check_change, entries, settings_from
from tidegate.settings.arm import ArmSettings
from tidegate.settings.kind import robot_kind
from tidegate.settings.schema import put
from tidegate.share import share_path

# Declared by rclpy or by the middleware's QoS overrides, in every node.
ROS_OWN = ("use_sim_time", "qos_overrides", "start_type_description_service")
INT64 = 2**63 - 1
AT_RUN_TIME = {"range": "any of these", "lower": "none above the file's", "higher": "none below the file's"}


@dataclass(frozen=True, slots=True)
class Own:
    """A parameter that belongs to one node and is no setting of the robot; read when the node is configured, and fixed
    from then on until it is cleaned up."""

    name: str
    default: bool | int | float | str
    description: str


def command_line(arguments: Sequence[str] | None) -> dict[str, Any]:
    """Options of a node that takes ``arguments`` in the place of those of its process; None = its process's."""
    return {"cli_args": None if arguments is None else list(arguments), "use_global_arguments": arguments is None}


def declare(
    node: Node,
    own: Sequence[Own],
    arguments: Sequence[str],
    read: Callable[[dict[str, Any], str, Path], Any] = settings_from,
    *,
    live: bool = False,
) -> Any:
    """Declare every setting and the node's ``own`` parameters; return the validated settings.

    The node must have been made with ``automatically_declare_parameters_from_overrides``: only so can a value of the
    wrong type be judged by the settings layer (an integer for a double is accepted) before rclpy raises.

    Args:
        node: whose parameters are declared.
        own: the node's own parameters.
        arguments: command line of the node; its first ``--params-file`` is the robot's file.
        read: makes the settings of nested plain values, their source and its folder.
        live: whether the node takes changes of the settings that may change at run time.

    Raises:
        SettingsError: unknown parameter, wrong type or value out of range, naming the file.
    """
    given = {name: found.value for name, found in node.get_parameters_by_prefix("").items()}
    file = params_file(arguments)
    source = str(file) if file else f"parameters of {node.get_name()}"
    folder = file.parent if file else share_path("config")
    for item in own:
        value = _own_value(item, given.pop(item.name, item.default), source)
        _declare(node, item.name, value, ParameterDescriptor(description=item.description))
    settings = read(_nested(given), source, folder)
    for entry in entries(settings):
        value = list(entry.value) if isinstance(entry.value, tuple) else entry.value
        _declare(node, entry.key, value, descriptor(entry, live=live))
    return settings


def declare_own(node: Node, item: Own) -> Any:
    """Declare a parameter of a node that has no settings of the robot; its value, where a whole number may stand for a
    float.

    Raises:
        SettingsError: another type than it must have, or negative.
    """
    described = ParameterDescriptor(description=item.description, dynamic_typing=True, read_only=True)
    value = node.declare_parameter(item.name, item.default, described).value
    kind = type(item.default)
    if kind is float and type(value) is int:
        value = float(value)
    if kind is str and type(value) is bool:  # as a command line's 'path:=true' is read
        value = str(value).lower()
    negative = isinstance(value, (int, float)) and not value >= 0
    if type(value) is not kind or negative:
        must = f"{kind.__name__}, 0 or more" if kind in (int, float) else kind.__name__
        raise SettingsError(f"{node.get_name()}: '{item.name}' is {value!r}; it must be {must} ({item.description})")
    return value


def params_file(arguments: Sequence[str]) -> Path | None:
    """The first ``--params-file`` of a command line."""
    for flag, value in pairwise(arguments):
        if flag == "--params-file":
            return Path(value)
    return None


def of_an_arm(arguments: Sequence[str]) -> bool:
    """Whether the robot's file of a command line describes an arm.

    Raises:
        SettingsError: it cannot be read.
    """
    file = params_file(arguments)
    return file is not None and robot_kind(file) == "arm"


def descriptor(entry: Entry, *, live: bool = False) -> ParameterDescriptor:
    """What ``ros2 param describe`` shows: meaning with unit, range, what is allowed in words."""
    limits = entry.limits
    unit = f" [{limits.unit}]" if limits.unit else ""
    changes = live and limits.live != "fixed"
    allowed = f"{limits.allowed()}; at run time {AT_RUN_TIME[limits.live] if changes else 'fixed'}"
    made = ParameterDescriptor(description=limits.doc + unit, additional_constraints=allowed, read_only=not changes)
    bounded = not (math.isinf(limits.low) and math.isinf(limits.high))
    if bounded and entry.type is float:
        made.floating_point_range = [FloatingPointRange(from_value=float(limits.low), to_value=float(limits.high))]
    if bounded and entry.type is int:
        low = -INT64 if math.isinf(limits.low) else int(limits.low)
        high = INT64 if math.isinf(limits.high) else int(limits.high)
        made.integer_range = [IntegerRange(from_value=low, to_value=high, step=0)]
    return made


def judge(
    settings: Settings | ArmSettings,
    own: Sequence[Own],
    configured: Callable[[], bool],
    consider: Callable[[Mapping[str, float]], None],
) -> Callable[[Iterable[Parameter]], SetParametersResult]:
    """The callback that judges changes of declared parameters: live settings by their table, and all of one change by
    ``consider``, which raises a SettingsError where it is refused all the same; ``own`` ones by whether the node is
    ``configured``. Read-only ones never come here."""
    known = {entry.key: entry for entry in entries(settings)}
    names = {"use_sim_time", *(item.name for item in own)}  # the clock is rclpy's, and would change between two ticks

    def judged(parameters: Iterable[Parameter]) -> SetParametersResult:
        changed: dict[str, float] = {}
        for parameter in parameters:
            if parameter.name in names and configured():
                reason = f"'{parameter.name}' is read when the node is configured; clean it up first"
                return SetParametersResult(successful=False, reason=reason)
            if parameter.name in known:
                try:
                    changed[parameter.name] = check_change(parameter.value, known[parameter.name])
                except SettingsError as error:
                    return SetParametersResult(successful=False, reason=str(error))
        try:
            consider(changed)
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    return judged


def changed(node: Node, settings: Settings | ArmSettings) -> Mapping[str, float]:
    """The settings of ``node`` that differ from the file's at this moment, by key."""
    live = {entry.key: entry.value for entry in entries(settings) if entry.limits.live != "fixed"}
    now = {key: node.get_parameter(key).value for key in live}
    return {key: value for key, value in now.items() if value != live[key]}


def _declare(node: Node, name: str, value: Any, described: ParameterDescriptor) -> None:
    if node.has_parameter(name):
        node.undeclare_parameter(name)
    node.declare_parameter(name, value, described, ignore_override=True)


def _own_value(item: Own, value: Any, source: str) -> Any:
    kind = type(item.default)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise SettingsError(f"{source}: '{item.name}' is {value!r}; it must be {kind.__name__} ({item.description})")
    return value


def _nested(given: dict[str, Any]) -> dict[str, Any]:
    """Dotted parameter names as nested sections, without the parameters that every ROS node has."""
    nested: dict[str, Any] = {}
    for name, value in given.items():
        if name.partition(".")[0] not in ROS_OWN:
            put(nested, name, value)
    return nested
