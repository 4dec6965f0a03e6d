# SPDX-License-Identifier: Apache-2.0
"""An arm's settings file with what its filter must be told of a scene, such as where the surface is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tidegate.settings.arm import PACKAGE, load_arm_settings
from tidegate.settings.document import read_document
from tidegate.settings.schema import entries, put
from tidegate.simulation.arm.task import make_arm_scene


def write_told(params_file: Path, scene: str, seed: int, folder: Path) -> Path:
    """Write ``folder``/<scene>.yaml: ``params_file``, changed as the scene changes its settings.

    Raises:
        SettingsError: the file is refused; SceneError: as ``make_arm_scene``.
    """
    settings = load_arm_settings(params_file)
    made = make_arm_scene(scene, settings, seed)
    document = read_document(params_file)
    values: dict[str, Any] = document["/**"]["ros__parameters"]
    before = {entry.key: entry.value for entry in entries(settings)}
    for entry in entries(made.settings):
        if entry.value != before[entry.key]:
            put(values, entry.key, list(entry.value) if isinstance(entry.value, tuple) else entry.value)
    if not settings.arm.urdf.startswith(PACKAGE):
        put(values, "arm.urdf", settings.arm.urdf)
    path = folder / f"{scene}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path
