# SPDX-License-Identifier: Apache-2.0
"""Launch arguments that are true or false, or a time; what is neither is refused before anything is started."""

from __future__ import annotations

import math
from typing import Any

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument

TRUE, FALSE = "true", "false"
WORDS = {TRUE: TRUE, "1": TRUE, FALSE: FALSE, "0": FALSE}
"""As launch's own conditions read them, in whatever case: Nav2's users write ``True``."""


class Flag(DeclareLaunchArgument):  # type: ignore[misc]
    """An argument that is true or false: from its declaration on its value is one of ``TRUE`` and ``FALSE``, so whoever
    reads it, a condition, a comparison or a node's parameter, reads the same."""

    def __init__(self, name: str, *, or_text: bool = False, **options: Any) -> None:
        """``or_text``: another word is left as it is, else refused; ``options`` of ``DeclareLaunchArgument``."""
        super().__init__(name, **options)
        self._or_text = or_text

    def execute(self, context: LaunchContext) -> None:
        """Declare it.

        Raises:
            RuntimeError: its value is no such word.
        """
        super().execute(context)
        given = context.launch_configurations[self.name]
        value = WORDS.get(given.strip().lower(), given if self._or_text else None)
        if value is None:
            raise RuntimeError(f"{self.name} is '{given}'; it must be true or false")
        context.launch_configurations[self.name] = value


class Seconds(DeclareLaunchArgument):  # type: ignore[misc]
    """An argument that is a time [s], 0 or more: NaN would be longer than none, and less would be never."""

    def execute(self, context: LaunchContext) -> None:
        """Declare it.

        Raises:
            RuntimeError: its value is no such time.
        """
        super().execute(context)
        given = context.launch_configurations[self.name]
        try:
            fits = 0 <= float(given) < math.inf
        except ValueError:
            fits = False
        if not fits:
            raise RuntimeError(f"{self.name} is '{given}'; it must be a number of seconds, 0 or more")


def is_true(name: str, context: LaunchContext) -> bool:
    """Whether the flag ``name``, which is declared, is true."""
    return bool(context.launch_configurations[name] == TRUE)
