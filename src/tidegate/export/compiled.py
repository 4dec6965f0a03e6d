# SPDX-License-Identifier: Apache-2.0
"""An exported C library, compiled and loaded into this process: how it is tried where there is a compiler."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import ExportError
from tidegate.export.c_camera import workspace_map
from tidegate.export.network import Network
from tidegate.export.parity import Images
from tidegate.records import Floats

SOURCES = ("liquid.c", "cell.c", "liquid_weights.c", "camera.c", "camera_weights.c")
FLAGS = ("-std=c99", "-O2", "-ftree-vectorize")

Singles = NDArray[np.float32]


def compiler() -> str | None:
    """The C compiler for this machine; None where there is none. ``CC`` may be one for another machine: not asked."""
    return shutil.which("cc")


class Compiled:
    """The two functions of ``tidegate.h``, on arrays."""

    def __init__(self, network: Network, files: Mapping[str, str]) -> None:
        """Compile ``files``, which ``export_c`` made of ``network``.

        Raises:
            ExportError: there is no compiler, or it fails.
        """
        command = compiler()
        if command is None:
            raise ExportError("no C compiler (cc) is installed; type: apt-get install gcc")
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                (Path(folder) / name).write_text(text, encoding="utf-8")
            build = [command, *FLAGS, "-fPIC", "-shared", "-o", "library.so", *SOURCES, "-lm"]
            made = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=False)
            if made.returncode:
                raise ExportError(f"{command} cannot compile the exported library: {made.stderr.strip()}")
            self._library = ctypes.CDLL(f"{folder}/library.so")
        facts = network.facts
        self._features, self._lane = facts["features"], len(facts["lane_names"])
        self._percept = np.zeros(self._features + 2 * self._lane, np.float32)
        self._decision = np.zeros(2 + len(facts["gain_names"]), np.float32)
        self._workspace = np.zeros(2 * workspace_map(network), np.float32)

    def see(self, image: Images) -> tuple[Singles, Singles, Singles]:
        """``tidegate_see``: features (F,), lane (2 + K,) and the bounds of its errors (2 + K,) of (H, W, 3) uint8."""
        pixels = np.ascontiguousarray(image)
        self._library.tidegate_see(_at(pixels), _at(self._workspace), _at(self._percept))
        features, lane, bound = np.split(self._percept.copy(), [self._features, self._features + self._lane])
        return features, lane, bound

    def decide(self, features: Singles, speed: float, dt: float, neurons: Singles) -> Singles:
        """``tidegate_decide``: force [N], curvature [1/m] and gains [1/s]; moves ``neurons`` (N,)."""
        arguments = _at(features), ctypes.c_float(speed), ctypes.c_float(dt), _at(neurons)
        self._library.tidegate_decide(*arguments, _at(self._decision))
        return self._decision.copy()

    def step(self, image: Images, speed: float, dt: float, neurons: Singles) -> tuple[Floats, Singles]:
        """Both, as ``parity.Step``."""
        features, lane, bound = self.see(image)
        after = neurons.copy()
        decided = self.decide(features, speed, dt, after)
        return np.concatenate([decided, lane, bound]).astype(np.float64), after


def _at(array: NDArray[Any]) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)
