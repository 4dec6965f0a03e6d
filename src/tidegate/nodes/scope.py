# SPDX-License-Identifier: Apache-2.0
"""What an event of a launch causes is done with the arguments that its launch file was included with."""

from __future__ import annotations

from typing import Any

from launch import Action, LaunchContext
from launch.actions import (
    OpaqueFunction,
    PopEnvironment,
    PopLaunchConfigurations,
    PushEnvironment,
    PushLaunchConfigurations,
    RegisterEventHandler,
)


class Scope:
    """The launch configurations and the environment of the moment in which it is made.

    A user may include a launch file in a group (``GroupAction``), for its remappings or to include it twice. The group
    takes both away as soon as the file has been visited, before the first event comes.
    """

    def __init__(self, context: LaunchContext) -> None:
        self._configurations, self._environment = dict(context.launch_configurations), dict(context.environment)

    def inside(self, *actions: Action) -> list[Action]:
        """Actions that do ``actions`` inside it, whenever that is."""
        enter = [PushLaunchConfigurations(), PushEnvironment(), OpaqueFunction(function=self._enter)]
        return [*enter, *actions, PopEnvironment(), PopLaunchConfigurations()]

    def _enter(self, context: LaunchContext) -> None:
        context.launch_configurations.update(self._configurations)
        context.environment.update(self._environment)


class When(RegisterEventHandler):  # type: ignore[misc]
    """Registers an event handler whose work is done inside the scope in which it was registered."""

    def execute(self, context: LaunchContext) -> None:
        """Register it."""
        scope, handle = Scope(context), self.event_handler.handle

        def inside(event: Any, _context: LaunchContext) -> list[Action]:
            return scope.inside(OpaqueFunction(function=lambda now: handle(event, now)))

        self.event_handler.handle = inside
        super().execute(context)
