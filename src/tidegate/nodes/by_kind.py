# SPDX-License-Identifier: Apache-2.0
"""Part of a launch description that goes by the kind of robot that the settings describe."""

from __future__ import annotations

from collections.abc import Sequence

from launch import Action, LaunchContext
from launch.substitutions import LaunchConfiguration

from tidegate.nodes.arguments import FALSE
from tidegate.settings.kind import robot_kind


class ByKind(Action):  # type: ignore[misc]
    """Does what is for a car or what is for an arm, by what the argument ``params_file`` describes; for an arm that
    drives itself, where the argument ``asked`` is neither empty nor false, what is for that."""

    def __init__(self, car: Sequence[Action], arm: Sequence[Action], driven: Sequence[Action], asked: str) -> None:
        super().__init__()
        self._actions = {"car": list(car), "arm": list(arm), "arm with a policy": list(driven)}
        self._asked = asked

    def describe_conditional_sub_entities(self) -> list[tuple[str, list[Action]]]:
        """What it may do, for who prints or reads the description."""
        return [(f"the settings are of a robot of kind '{kind}'", actions) for kind, actions in self._actions.items()]

    def execute(self, context: LaunchContext) -> list[Action]:
        """The actions of that kind.

        Raises:
            SettingsError: the file cannot be read.
        """
        kind = robot_kind(LaunchConfiguration("params_file").perform(context))
        driven = kind == "arm" and LaunchConfiguration(self._asked).perform(context) not in ("", FALSE)
        return self._actions["arm with a policy" if driven else kind]
