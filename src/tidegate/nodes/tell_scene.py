# SPDX-License-Identifier: Apache-2.0
"""Part of a launch description: the nodes of an arm in a scene by name are told of that scene."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from launch import Action, LaunchContext
from launch.actions import SetLaunchConfiguration
from launch.substitutions import LaunchConfiguration

from tidegate.simulation.arm.told import write_told


class TellScene(Action):  # type: ignore[misc]
    """Puts a copy of ``params_file`` in its place, with what the argument ``scene`` changes in it for ``seed``. The
    copy is there for as long as the launch."""

    def execute(self, context: LaunchContext) -> list[Action]:
        """Write the file.

        Raises:
            SettingsError, SceneError: as ``write_told``.
        """
        file, scene, seed = (LaunchConfiguration(name).perform(context) for name in ("params_file", "scene", "seed"))
        self._folder = TemporaryDirectory(prefix="tidegate-")
        told = write_told(Path(file), scene, int(seed), Path(self._folder.name))
        return [SetLaunchConfiguration("params_file", str(told))]
