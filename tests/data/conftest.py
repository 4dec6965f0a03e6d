# SPDX-License-Identifier: Apache-2.0
"""Imports as the command makes them, but for its table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tubs import CAR, Take

from tidegate.data.bags import Imported, write_bags
from tidegate.data.detect import read
from tidegate.data.mapping import load_map


@pytest.fixture
def take(tmp_path: Path) -> Take:
    """``take(source, **map)`` imports into ``tmp_path/out``; a car of 1000 kg is to be trained."""

    def run(source: Path, longest_s: float = 60.0, **told: Any) -> Imported:
        file = tmp_path / "map.yaml"
        file.write_text(yaml.safe_dump({"vehicle": CAR} | told), "utf-8")
        chart = load_map(file)
        return write_bags(str(source), read(source, chart), chart, tmp_path / "out", 1000.0, longest_s)

    return run
