# SPDX-License-Identifier: Apache-2.0
"""Where the files beside the code are: config, urdf, models, worlds, whether run from source, pip or colcon."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tidegate.errors import SettingsError


def share_path(relative: str) -> Path:
    """Find a shipped file such as ``config/car.yaml``: source tree first, then pip's and colcon's ``share/tidegate``.

    Raises:
        SettingsError: nowhere to be found, naming the places looked at.
    """
    prefixes = [Path(part) for part in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if part]
    places = [
        Path(__file__).resolve().parents[2],
        *(prefix / "share" / "tidegate" for prefix in [*prefixes, Path(sys.prefix)]),
    ]
    for place in places:
        if (place / relative).exists():
            return place / relative
    raise SettingsError(f"{relative}: not found in {', '.join(map(str, places))}")
