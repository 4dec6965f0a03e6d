# SPDX-License-Identifier: Apache-2.0
"""onnxruntime, as it comes, keeps an identity of the device in the home and reports to its maker."""

import os
import subprocess
import sys
from pathlib import Path

LOADS = """
from tidegate.bundle import Bundle
from tidegate.perception import Perception
from tidegate.settings import load_settings
from tidegate.share import share_path
Perception(Bundle.load(share_path("models/car-ltc19"), "car"), load_settings(share_path("config/car.yaml")))
"""


def test_a_network_that_is_loaded_leaves_nothing_in_the_home(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    ended = subprocess.run([sys.executable, "-c", LOADS], env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
