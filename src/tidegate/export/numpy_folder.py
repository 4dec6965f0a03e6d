# SPDX-License-Identifier: Apache-2.0
"""The network as a folder for NumPy alone: ``standalone.py`` as ``network.py``, facts, weights, parity sequence."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.export import standalone
from tidegate.export.network import Network
from tidegate.export.parity import Images, Parity, Step
from tidegate.records import Floats


def export_numpy(network: Network, parity: Parity) -> dict[str, bytes]:
    """Content of each file, by name; the archives hold no pickle."""
    vectors: dict[str, NDArray[Any]] = {
        "images": parity.images,
        "speed": parity.speed,
        "dt": parity.dt,
        "outputs": parity.outputs,
    }
    return {
        "network.py": Path(standalone.__file__).read_bytes(),
        "network.json": json.dumps(network.facts, indent=1).encode(),
        "weights.npz": _archive(network.arrays),
        "parity.npz": _archive({**vectors, "full_scale": np.array(network.facts["full_scale"])}),
    }


def numpy_step(network: Network) -> Step:
    """The exported model within this process."""
    model = standalone.Model(network.facts, network.arrays)

    def step(
        image: Images, speed: float, dt: float, neurons: NDArray[np.float32]
    ) -> tuple[Floats, NDArray[np.float32]]:
        output, after = model.step(image, speed, dt, neurons)
        return np.hstack(output), after

    return step


def _archive(arrays: dict[str, NDArray[Any]]) -> bytes:
    made = io.BytesIO()
    np.savez(made, allow_pickle=False, **arrays)
    return made.getvalue()
