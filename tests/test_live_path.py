# SPDX-License-Identifier: Apache-2.0
"""Perception and policy in a process of their own: a command comes, and nothing heavy was imported for it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import packages_distributions

import numpy as np

from tidegate.share import share_path

PROGRAM = """
import sys

before = set(sys.modules)  # what the environment brings along

import json

import numpy as np

from tidegate.bundle import Bundle
from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception
from tidegate.records import Frame, Odometry
from tidegate.settings import load_settings

settings, bundle = load_settings(sys.argv[1]), Bundle.load(sys.argv[2], "car")
image = np.random.default_rng(0).integers(0, 256, (settings.camera.height, settings.camera.width, 3), dtype=np.uint8)
features = Perception(bundle, settings).process(Frame(0, image)).features
decision = LiquidPolicy(bundle, settings).step(features, Odometry(0, 0.0, 0.0, 0.0, 5.0, 0.0))
imported = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print(json.dumps([decision.nominal.force, decision.nominal.curvature, sorted(imported)]))
"""

ALLOWED = {"tidegate", "numpy", "opencv-python-headless", "onnxruntime", "safetensors", "PyYAML", "xacro"}


def test_a_fresh_process_commands_and_imports_few_packages():
    paths = [str(share_path("config/car.yaml")), str(share_path("models/car-ltc19"))]
    run = subprocess.run([sys.executable, "-c", PROGRAM, *paths], capture_output=True, text=True, check=True)
    *command, modules = json.loads(run.stdout)
    assert np.isfinite(command).all()
    homes = packages_distributions()
    packages = {home for module in modules for home in homes.get(module, [])}
    assert {"numpy", "onnxruntime"} <= packages <= ALLOWED


def test_nothing_of_the_car_loads_pinocchio() -> None:
    """Only who imports the arm's filter by name does."""
    program = "import sys, tidegate.safety, tidegate.robot, tidegate.settings, tidegate.simulation; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "tidegate.safety.filter" in loaded
    assert not {"pinocchio", "tidegate.robot.dynamics", "tidegate.safety.arm"} & set(loaded)
